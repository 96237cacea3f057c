"""Words for the terminal that do not steer it."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """A text whose control characters, which could steer a terminal, are shown as such."""
    return "".join(
        character
        if character == "\n" or unicodedata.category(character)[0] != "C"
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
