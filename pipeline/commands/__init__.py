"""Sub-commands on a corpus, or on an index: one module each, with `add_command(subparsers)`.

What a command computes is in the rooms below; here are its flags and what it prints.
"""
