"""The one error that callers can mend themselves, and text that is safe to print."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """The caller gave something that cannot be used: the message says wanted, got, what to do."""

    def __str__(self) -> str:
        return printable(super().__str__())


@contextmanager
def naming(what: object) -> Iterator[None]:
    """Let an InputError of the block begin with what it is about, a file for instance."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {str(error).removeprefix(f'{what}: ')}") from None


@contextmanager
def readable(path: object) -> Iterator[None]:
    """Let an OSError of the block be an InputError that says of what it is."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def printable(text: str) -> str:
    r"""The text with what steers a terminal, or cannot be encoded, spelt out: ESC becomes \x1b.

    Names of files and fields come from others.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
