"""The sub-commands on a corpus: one module each, with `add_command(subparsers)`."""
