"""The one error that callers can mend themselves."""


class InputError(ValueError):
    """The caller gave something that cannot be used: the message says wanted, got, what to do."""
