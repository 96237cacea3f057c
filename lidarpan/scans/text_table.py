"""Lines of numbers in a text -> a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import InputError

_HEAD_BYTES = 1 << 16


def check_head(content: bytes, start: int, count: int, width: int, what: str, path: Path) -> None:
    """Raise as `number_table` for the first of `count` lines behind a header, if it is long."""
    if len(content) > start + 2 * _HEAD_BYTES:
        head = content[start : start + _HEAD_BYTES].decode("latin-1").splitlines()[:-1]
        lines = [line for line in head if line and not line.isspace()]
        number_table(lines[:count], width, what, path)


def check_last(content: bytes, start: int, width: int, what: str, path: Path) -> None:
    """Raise InputError where the last line of long text behind a header is cut off.

    Args:
        content: of the file.
        start: where the lines begin.
        width: numbers in each.
        what: a row is, for errors.
        path: of the file, for errors.
    """
    if len(content) > start + 2 * _HEAD_BYTES:
        last = content[-_HEAD_BYTES:].decode("latin-1").strip().splitlines()[-1:]
        words = last[0].split() if last else []
        if len(words) != width:
            raise InputError(
                f"{path}: wanted {width} values a line, got {len(words)} for the last {what}: "
                f"{' '.join(words)[:60]!r}: cut off?"
            )


def check_end(rest: memoryview, width: int, count: int, path: Path) -> None:
    """Raise InputError where more points follow the `count` of a header.

    Args:
        rest: what follows them in the file; less than a point, or zeros, may.
        width: bytes of a point.
        count: points that the header says.
        path: of the file, for errors.
    """
    if len(rest) >= max(width, 1) and np.frombuffer(rest, np.uint8).any():
        raise InputError(
            f"{path}: wanted {count} points as the header says, got {len(rest)} bytes more behind "
            "them: several scans in one file? Split them, or mend the header"
        )


def number_table(lines: Sequence[str], width: int, what: str, path: Path) -> NDArray[np.float64]:
    """Read a row of numbers from each line.

    Args:
        lines: of the text, none of them blank.
        width: numbers in each.
        what: a row is, for errors: "point" or "vertex".
        path: of the file, for errors.

    Returns:
        (len(lines), width) table.

    Raises:
        InputError: a line has another number of values, or one that is no number; says which.
    """
    if not lines or not width:
        return np.zeros((len(lines), width))
    try:
        table: NDArray[np.float64] = np.loadtxt(lines, comments=None, ndmin=2)
    except ValueError:
        table = np.zeros((0, 0))
    if table.shape == (len(lines), width):
        return table
    for k, line in enumerate(lines):
        words = line.split()
        if len(words) != width:
            raise InputError(
                f"{path}: wanted {width} values a line, got {len(words)} for {what} {k}: "
                f"{line[:60]!r}"
            )
        for word in words:
            try:
                float(word)
            except ValueError:
                raise InputError(
                    f"{path}: wanted numbers, got {word[:40]!r} for {what} {k}"
                ) from None
    raise InputError(f"{path}: wanted lines of {width} numbers, got others")
