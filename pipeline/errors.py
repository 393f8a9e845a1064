"""The exceptions for what a user did: the command line shows them without a traceback."""


class UserError(ValueError):
    """An input that cannot work; the message says what, where and the remedy.

    A subclass of `ValueError`, so that library code may catch the standard type.
    The command line prints the message and exits with 1; any other exception is
    a defect and keeps its traceback.
    """


class OptionError(UserError):
    """An option whose value cannot work, whatever the input; the command line exits with 2."""
