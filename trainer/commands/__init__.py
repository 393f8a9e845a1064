"""Commands of training and after: one module each, with `add_command(subparsers)`.

They import TensorFlow when they run, not before: `--help` and `prepare` do without it.
"""
