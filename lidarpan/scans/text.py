"""Points as text (`.xyz`, `.csv`, `.txt`, `.asc`, `.pts`) -> named columns.

Columns are parted by commas, semicolons, tabs or blanks, and may be named by a line before the
numbers, also one behind `#` or `//`; a line with the count of points may stand there, too. Numbers
may have decimal commas where commas do not part them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from lidarpan.errors import InputError
from lidarpan.scans.fields import Fields, FileFields, find_axis
from lidarpan.scans.headerless import MAX_COLUMNS, name_columns
from lidarpan.scans.numpy_files import wanted

ALWAYS = (".xyz", ".asc", ".pts")
"""Suffixes that points have and hardly anything else."""

MAYBE = (".csv", ".txt")
"""Suffixes that all kinds of text have."""

_ENDS = " \r\n\x1a"
"""Of lines, and of texts written under DOS."""

_HEAD_BYTES = 1 << 16
_HEAD_LINES = 50
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SEPARATORS = (";", "\t", ",", None)
_UNIT = re.compile(r"\s*[(\[]\s*([^)\]]*?)\s*[)\]]\s*$")
_METRES = {
    "m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0, "mm": 1e-3, "cm": 1e-2,
    "dm": 0.1, "km": 1e3, "ft": 0.3048, "feet": 0.3048, "in": 0.0254, "inch": 0.0254,
}  # fmt: skip
_LEICA = ("x", "y", "z", "intensity", "red", "green", "blue")
_LEICA_ZERO = 2048
"""Leica's `.pts` counts intensities from -2048 on."""

_MIN_LINES = 100
_MOST_UNNAMED = 7


@dataclass(frozen=True)
class _Style:
    """How the lines of a file are read.

    Attributes:
        encoding: of the text.
        separator: of the columns, None for blanks.
        has_commas: whether numbers have decimal commas.
        width: columns.
        used: those of numbers.
        names: of all columns, None where none are given.
        num_points: as the file says, or None.
        skipped: lines before the first point.
    """

    encoding: str
    separator: str | None
    has_commas: bool
    width: int
    used: tuple[int, ...]
    names: tuple[str, ...] | None
    num_points: int | None
    skipped: int


def read_text(path: Path, letters: str | None = None) -> FileFields:
    """Read the columns of numbers of a text file with a line per point.

    Args:
        path: the file.
        letters: of columns without names, as in `check_letters`; None finds them out.

    Raises:
        InputError: no text, no three columns of numbers, or a line unlike the others.
    """
    style = _find_style(path)
    _check_last(path, style)
    with wanted(f"{path}: wanted lines of {style.width} numbers"), _opened(path, style) as lines:
        text = _cleaned(islice(lines, style.skipped, None), style, path)
        table: NDArray[np.float64] = np.loadtxt(
            text, delimiter=style.separator, usecols=style.used, comments=None, ndmin=2
        )
    if style.num_points is not None and len(table) != style.num_points:
        raise InputError(
            f"{path}: wanted {style.num_points} points as its first lines say, got {len(table)}: "
            "cut off?"
        )
    if style.names is None or letters is not None:
        if letters is not None and len(letters) != table.shape[1]:
            raise InputError(f"{path}: wanted {len(letters)} columns {letters}, got {style.width}")
        fields, found = name_columns(table, letters)
        is_plain = letters is not None or found in ("xyz", "xyzi")
        said = () if is_plain else (f"taken for columns {found} (see --columns)",)
        return FileFields(fields, said)
    return FileFields(_named(table, [style.names[k] for k in style.used], path))


def holds_points(path: Path) -> bool:
    """Whether a `.csv` or `.txt` among other files looks like one with a line per point."""
    try:
        style = _find_style(path)
        with _opened(path, style) as lines:
            num_lines = sum(1 for _ in islice(lines, _MIN_LINES))
    except (InputError, OSError, UnicodeError):
        return False
    if style.names is not None:
        return _are_axes(style.names)
    return style.width <= _MOST_UNNAMED and num_lines == _MIN_LINES


def _find_style(path: Path) -> _Style:
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        is_whole = not stream.read(1)
    encoding = next((name for bom, name in _BOMS.items() if head.startswith(bom)), "utf-8")
    text = head.decode(encoding, "replace")
    if "\0" in text or sum(not (c.isprintable() or c.isspace()) for c in text) > len(text) / 100:
        raise InputError(f"{path}: wanted text with a line per point, got a binary file")
    lines = text.splitlines()
    if not is_whole:
        lines = lines[:-1]
    skipped = next((k for k, line in enumerate(lines[:_HEAD_LINES]) if _is_point(line)), None)
    if skipped is None:
        raise InputError(
            f"{path}: wanted a line per point, of x y z and perhaps others, "
            f"got {(lines or [''])[0][:60]!r}"
        )
    separator, has_commas = _separator(lines[skipped])
    while separator and skipped and _is_blank(lines[skipped - 1], separator):
        skipped -= 1  # a point of which nothing is known
    rows = [_words(line, separator) for line in lines[skipped : skipped + _HEAD_LINES]]
    width = len(rows[0])
    rows = [row for row in rows if len(row) == width]
    used = tuple(
        k
        for k in range(width)
        if all(_is_number(row[k], has_commas, may_lack=True) for row in rows)
    )
    ends_blank = separator is not None and not any(row[-1] for row in rows)
    names = _find_names(lines[:skipped], width, separator, path, ends_blank=ends_blank)
    if path.suffix.lower() == ".pts" and names is None and width in (4, 7):
        names = _LEICA[:width]
    if names is None and not 3 <= len(used) <= MAX_COLUMNS:
        raise InputError(
            f"{path}: wanted 3 to {MAX_COLUMNS} columns of numbers or a line of their names, "
            f"got {len(used)} of {width}"
        )
    count = next((line.strip() for line in lines[:skipped] if line.strip().isdecimal()), None)
    num_points = None if count is None else int(count)
    return _Style(encoding, separator, has_commas, width, used, names, num_points, skipped)


def _separator(line: str) -> tuple[str | None, bool]:
    """What parts the columns of a line, and whether its numbers have decimal commas."""
    ways = [(separator, False) for separator in _SEPARATORS]
    ways += [(separator, True) for separator in _SEPARATORS if separator != ","]
    return max(ways, key=lambda way: sum(_is_number(w, way[1]) for w in _words(line, way[0])))


def _words(line: str, separator: str | None) -> list[str]:
    return [word.strip().strip('"') for word in line.strip(_ENDS).split(separator)]


def _is_number(word: str, has_commas: bool, *, may_lack: bool = False) -> bool:
    if not word:
        return may_lack
    try:
        float(word.replace(",", ".") if has_commas else word)
    except ValueError:
        return False
    return True


def _is_point(line: str) -> bool:
    """Whether a line has three numbers or more, and does not count columns, as pandas does."""
    separator, has_commas = _separator(line)
    words = _words(line, separator)
    named = words if words[0] else words[1:]
    is_counted = named == [str(k) for k in range(len(named))]
    return sum(_is_number(word, has_commas) for word in words) >= 3 and not is_counted


def _are_axes(names: Sequence[str]) -> bool:
    return {"x", "y", "z"} <= {find_axis(_UNIT.sub("", name)) for name in names}


def _is_blank(line: str, separator: str) -> bool:
    return separator in line and not line.replace(separator, "").strip()


def _find_names(
    lines: Sequence[str], width: int, separator: str | None, path: Path, *, ends_blank: bool
) -> tuple[str, ...] | None:
    """The names of the columns in the lines before the first point, None where there are none.

    Where every line of numbers ends with what parts columns, the last column needs no name.
    """
    for line in reversed(lines):
        bare = line.lstrip("\ufeff \t").removeprefix("#").removeprefix("//").strip()
        if not re.search("[A-Za-z]", bare):
            continue
        is_comment = line.lstrip("\ufeff \t").startswith(("#", "//"))
        for other in (separator, *_SEPARATORS):
            words = _words(bare, other)
            words += [""] * (ends_blank and len(words) == width - 1)
            if len(words) == width and not (is_comment and not _are_axes(words)):
                return tuple(words)
        if not is_comment:
            raise InputError(
                f"{path}: wanted a name for each of {width} columns, got {bare[:60]!r}: "
                "name them all, or leave the line out"
            )
    return None


def _opened(path: Path, style: _Style) -> TextIO:
    return path.open(encoding=style.encoding, errors="replace")


def _check_last(path: Path, style: _Style) -> None:
    """Refuse a long text that is cut off in its last line before all others are read."""
    size = path.stat().st_size
    if size <= 2 * _HEAD_BYTES or style.encoding == "utf-16":
        return
    with path.open("rb") as stream:
        stream.seek(size - _HEAD_BYTES)
        lines = stream.read().decode("utf-8", "replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip(_ENDS)), "")
    if not last.startswith(("#", "//")) and len(_words(last, style.separator)) != style.width:
        raise InputError(
            f"{path}: the last line: wanted {style.width} columns, got {last[:60]!r}: cut off?"
        )


def _cleaned(lines: Iterable[str], style: _Style, path: Path) -> Iterator[str]:
    """The lines of points, with NaN for what is missing and points in numbers."""
    separator = style.separator
    for k, given in enumerate(lines, style.skipped + 1):
        line = given.strip(_ENDS)
        if not line or line.startswith(("#", "//")):
            continue
        width = len(line.split()) if separator is None else line.count(separator) + 1
        if width != style.width:
            raise InputError(f"{path}: line {k}: wanted {style.width} columns, got {line[:60]!r}")
        if separator and (separator * 2 in line or separator in (line[0], line[-1])):
            line = separator.join(word.strip() or "nan" for word in line.split(separator))
        yield line.replace(",", ".") if style.has_commas else line


def _named(table: NDArray[np.float64], names: Sequence[str], path: Path) -> Fields:
    """Columns by their names without units; coordinates in metres."""
    fields: dict[str, NDArray[np.float64]] = {}
    for k, name in enumerate(names):
        plain, unit = _UNIT.sub("", name).strip(), _UNIT.search(name)
        column = table[:, k]
        if unit and find_axis(plain) is not None:
            if unit[1].lower() not in _METRES:
                raise InputError(
                    f"{path}: column {name!r}: wanted a unit of {', '.join(_METRES)}, "
                    f"got {unit[1]!r}: convert it, or take the word out of the name"
                )
            column = column * _METRES[unit[1].lower()]
        fields[plain if plain and plain not in fields else f"{plain}{k}"] = column
    intensity = fields.get("intensity")
    if path.suffix.lower() == ".pts" and intensity is not None and (intensity < 0).any():
        fields["intensity"] = intensity + _LEICA_ZERO
    return {**fields}
