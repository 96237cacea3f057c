"""Messages that hold what others wrote."""

import pytest

from lidarpan.errors import InputError, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("scan 000000.bin", "scan 000000.bin"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\x07b\rc\x9b2J", "a\\x07b\\rc\\x9b2J"),
        ("Straße 街", "Straße 街"),
        ("not utf-8: \udcff", "not utf-8: \\udcff"),
        ("right to left \u202e", "right to left \\u202e"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown
    assert str(InputError(text)) == shown
    shown.encode()
