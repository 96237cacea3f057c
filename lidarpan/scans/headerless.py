"""Headerless float files -> how many numbers a point has, and what they are.

The count of columns is the one with which the numbers are told in the fewest bits: under the right
count each column has a distribution of its own and resembles the point before, under a wrong one
all columns are mixtures. The bits are those of the Krichevsky-Trofimov estimator (IEEE Transactions
on Information Theory 27(2), 1981) for each number's sixteenth given its column and the sixteenth of
the number before it in that column, so that more columns than needed cost more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import Fields
from lidarpan.structures import InputError

MAX_COLUMNS = 24
"""More numbers to a point than this are something else."""

_WIDTHS = tuple(range(3, MAX_COLUMNS + 1))
_PLANAR = (3, 4, 5, 6)
_USUAL = 4
_LEVELS = 16
_NUM_PLACES, _NUMBERS_PER_PLACE = 4, 12_000
_STRIDE = 29
"""Between numbers that are looked at: it shares no factor with any count of columns."""

_MIN_POINTS = 100
_MARGIN = 0.03
_CLEARLY = 2.0
"""Times fewer bits that tell the right count of columns from wrong ones."""

_LEAST = 1e-30
"""Counts that are read as float32 are less."""

_MOST_RINGS = 128
_MOST_CLASSES = 32
"""Whole numbers of fewer kinds say what a point is, not how bright."""

_ALIKE, _UNLIKE = 0.2, 0.45
_LETTERS = {"x": "x", "y": "y", "z": "z", "i": "intensity", "r": "ring", "t": "time"}

_NUMBERS = {"<f4": "", "<f8": "float64", ">f4": "big-endian", ">f8": "big-endian float64"}
"""Types of numbers, in the order in which they are tried, and what to call them."""

Numbers = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """How the numbers of a file make points.

    Attributes:
        num_columns: numbers per point.
        is_planar: whether all x come first, then all y and so on.
    """

    num_columns: int
    is_planar: bool = False

    def rows(self, flat: Numbers) -> Numbers:
        """(N, num_columns) points of the (N * num_columns,) numbers."""
        if self.is_planar:
            return flat.reshape(self.num_columns, -1).T
        return flat.reshape(-1, self.num_columns)

    def __str__(self) -> str:
        return f"{self.num_columns} columns" + (" one after the other" if self.is_planar else "")


def read_numbers(path: Path) -> tuple[Numbers, str]:
    """All numbers of a headerless file, and "" or what to say of them.

    They are float32, or what alone makes sense of the bytes: float64, or either one big-endian.

    Raises:
        InputError: neither does.
    """
    for dtype, name in _NUMBERS.items():
        if path.stat().st_size % np.dtype(dtype).itemsize:
            continue
        if _is_plausible(np.memmap(path, dtype, "r")):
            said = f"taken for {name} numbers" if name else ""
            return np.fromfile(path, dtype).astype(dtype.replace(">", "="), copy=False), said
    raise InputError(
        f"{path}: wanted float32 numbers of points, got bytes that are no such numbers: "
        "this is not a scan, or not in this format: write it as float32, or as .pcd, .ply or .npy"
    )


def _is_plausible(flat: Numbers) -> bool:
    """Whether nearly all of some numbers are as large as a scan's, or are marked as missing."""
    step = max(len(flat) // 20_000, 1)
    while any(gcd(step, width) > 1 for width in _WIDTHS):
        step += 1  # so that no column is left out
    return bool(np.mean(_is_usual(flat[::step])) > 0.95)


def _is_usual(numbers: Numbers) -> NDArray[np.bool_]:
    """Which numbers are as large as a scan's, or marked as missing; other bytes hardly are."""
    size = np.abs(numbers)
    usual: NDArray[np.bool_] = (size == 0) | ((size > 1e-12) & (size < 1e10)) | ~np.isfinite(size)
    return usual


def find_layout(flat: Numbers, origin: str) -> Layout:
    """The layout of a headerless file.

    Args:
        flat: all numbers of the file.
        origin: what to call the file in errors.

    Raises:
        InputError: no count of columns fits, or several fit equally well.
    """
    widths = [width for width in _WIDTHS if len(flat) % width == 0]
    if len(flat) < _MIN_POINTS * _USUAL:  # too few to tell
        widths = [width for width in (_USUAL, 5, 3) if width in widths]
        if widths:
            return Layout(widths[0])
    if not widths:
        raise _cut_off(origin, len(flat), _USUAL)
    starts, levels = _levels(flat)
    if levels.min() == levels.max():  # all alike: no count is better than another
        return Layout(_USUAL if _USUAL in widths else widths[0])
    bits = {width: _bits(levels, starts, width) for width in widths}
    best = min(bits.values())
    if bits.get(_USUAL) != best:
        _refuse_other_width(len(flat), levels, starts, best, origin)
    rivals = [width for width, b in bits.items() if b <= best * (1 + _MARGIN)]
    rivals = [w for w in rivals if not _is_multiple(w, rivals)]
    rivals = [_repeating(levels, starts, w, widths) for w in rivals]
    is_planar = _is_planar(levels, starts, _USUAL if _USUAL in rivals else rivals[0])
    if len(set(rivals)) > 1 and _USUAL not in rivals and not is_planar:
        raise _undecided(origin, [Layout(width) for width in rivals])
    width = _USUAL if _USUAL in rivals else rivals[0]
    if is_planar:
        return _find_planar(flat, origin)
    size = np.abs(flat[: 2 * width].reshape(2, width))
    first, second = ((size > 0) & (size < _LEAST)).any(axis=1)
    if first and not second:
        raise InputError(
            f"{origin}: wanted points from the first byte on, got other things there: is it a "
            "header? Leave it out"
        )
    return Layout(width)


def check_width(flat: Numbers, width: int, origin: str) -> None:
    """Raise InputError where the numbers are plainly points of another count of columns."""
    if len(flat) >= _MIN_POINTS * _USUAL:
        starts, levels = _levels(flat)
        bits = _bits(levels, starts, width)
        _refuse_other_width(len(flat), levels, starts, bits, origin)


def _refuse_other_width(
    count: int, levels: NDArray[np.int64], starts: NDArray[np.int64], bits: float, origin: str
) -> None:
    """Raise InputError where a count of columns takes far fewer bits, so that the file is cut."""
    others = {width: _bits(levels, starts, width) for width in _WIDTHS}
    width = min(others, key=lambda w: others[w])
    if _CLEARLY * others[width] < bits:
        raise _cut_off(origin, count, width)


def _cut_off(origin: str, count: int, width: int) -> InputError:
    left = f" and {count % width} numbers more" if count % width else ""
    return InputError(
        f"{origin}: wanted 3 to {MAX_COLUMNS} float32 per point, got {count} numbers, which are "
        f"{count // width} points of {width}{left}: cut off, with a header, or of another format"
    )


def _is_planar(levels: NDArray[np.int64], starts: NDArray[np.int64], width: int) -> bool:
    """Whether, place by place, x y and z are alike, as where each was written on its own."""
    alike = 0
    for start, numbers in zip(starts, levels, strict=True):
        place = numbers[-start % width :]
        rows = place[: len(place) // width * width].reshape(-1, width)[:, :3]
        share = np.stack([np.bincount(c, minlength=_LEVELS) for c in rows.T]) / max(len(rows), 1)
        alike += int(np.abs(share - share[0]).sum(axis=1).max() < 0.3)
    return 2 * alike > len(levels)


def _find_planar(flat: Numbers, origin: str) -> Layout:
    """How many columns follow each other: where the ray turns and rises steadily."""
    fitting = [width for width in _PLANAR if len(flat) % width == 0]
    turns = {width: _turn(flat.reshape(width, -1)[:3]) for width in fitting}
    order = sorted((width for width in fitting if turns[width] < np.inf), key=lambda w: turns[w])
    if not order or (len(order) > 1 and turns[order[0]] > 0.5 * turns[order[1]]):
        wide = order or _PLANAR
        raise InputError(
            f"{origin}: all x seem to come first, then all y and so on, in "
            f"{' or '.join(map(str, wide))} columns: write it a point at a time (transpose it)"
        )
    return Layout(order[0], is_planar=True)


def _turn(xyz: Numbers) -> float:
    """How much neighbouring rays turn times how much they rise; infinite where it is no scan."""
    x, y, z = xyz.astype(np.float64)
    is_return = (x != 0) & (y != 0) & np.isfinite(x + y + z)
    azimuth = np.arctan2(y, x)[is_return]
    elevation = np.arctan2(z, np.hypot(x, y))[is_return]
    if len(azimuth) < _MIN_POINTS // 2 or np.mean((x == 0) != (z == 0)) > 0.02:
        return np.inf
    rise = float(np.median(np.abs(np.diff(elevation))))
    turn = float(np.median(np.abs(np.sin(np.diff(azimuth) / 2))))
    return turn * rise if rise > 0 else np.inf


def _is_multiple(width: int, others: list[int]) -> bool:
    return any(other < width and width % other == 0 for other in others)


def _undecided(origin: str, layouts: list[Layout]) -> InputError:
    wide = max(layout.num_columns for layout in layouts)
    return InputError(
        f"{origin}: {' and '.join(map(str, layouts))} fit equally well: name the columns, such as "
        f"--columns {'xyzi'.ljust(wide, '_')}"
    )


def name_columns(rows: Numbers, letters: str | None = None) -> tuple[Fields, str]:
    """Say which columns are x y z and what the others are: intensity, ring, time, or of no use.

    Args:
        rows: (N, C) points.
        letters: one of x y z i r t _ for each column, from the caller; None finds them out.

    Returns:
        (N,) columns by name, and the letters.

    Raises:
        InputError: nothing says which three columns are the coordinates.
    """
    letters = letters or _guess(rows)
    return {
        _LETTERS[letter]: rows[:, k] for k, letter in enumerate(letters) if letter in _LETTERS
    }, letters


def check_letters(letters: str) -> str:
    """`--columns`, checked: InputError where it does not say x, y and z once each."""
    wrong = sorted(set(letters) - {*_LETTERS, "_"})
    doubled = [letter for letter in _LETTERS if letters.count(letter) > 1]
    if wrong or doubled or not {"x", "y", "z"} <= set(letters):
        raise InputError(
            f"--columns: wanted a letter for each number of a point (x y z, i intensity, r ring, "
            f"t time, _ to pass over), such as xyzi__, got {letters!r}"
        )
    return letters


def _levels(flat: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sixteenths of numbers at some places of a file: (P,) starts and (P, L) levels."""
    count = min(_NUMBERS_PER_PLACE, len(flat) // _NUM_PLACES)
    starts = np.linspace(0, len(flat) - count, _NUM_PLACES).astype(np.int64)
    values = np.stack([flat[start : start + count] for start in starts])
    values = np.nan_to_num(values, nan=1e30, posinf=1e30, neginf=-1e30)
    shares = np.linspace(0, 1, _LEVELS + 1)[1:-1]
    edges = np.unique(np.quantile(values[:, ::_STRIDE], shares).astype(values.dtype))
    return starts, np.searchsorted(edges, values, side="right")


def _column(levels: NDArray[np.int64], starts: NDArray[np.int64], width: int) -> Any:
    count = levels.shape[1]
    cycle = np.resize(np.arange(width), count + width)
    return np.stack([cycle[start % width : start % width + count] for start in starts])


def _bits(levels: NDArray[np.int64], starts: NDArray[np.int64], width: int) -> float:
    """Mean bits per number; see the module."""
    column = _column(levels, starts, width)
    context = (column * _LEVELS)[:, width:] + levels[:, :-width]
    counts = np.bincount((context * _LEVELS + levels[:, width:]).ravel())
    table = np.append(counts, np.zeros(-len(counts) % _LEVELS, np.int64)).reshape(-1, _LEVELS)
    total = table.sum(axis=1)
    num_coded = int(total.sum())
    one, all_levels = _log_factorials(0.5), _log_factorials(_LEVELS / 2)
    return float((all_levels[total].sum() - one[table].sum()) / max(num_coded, 1))


@lru_cache(maxsize=2)
def _log_factorials(start: float) -> NDArray[np.float64]:
    """log2 of start * (start + 1) * ... of n factors at position n, for all n there can be."""
    factors = np.arange(_NUM_PLACES * _NUMBERS_PER_PLACE) + start
    return np.concatenate([[0.0], np.cumsum(np.log2(factors))])


def _repeating(
    levels: NDArray[np.int64], starts: NDArray[np.int64], width: int, widths: list[int]
) -> int:
    """The width with which x and y come again.

    Points of 8 numbers may be pairs of 4, and 3 half of 6 where what follows x and y is nothing
    like them.
    """
    for small in (w for w in widths if w < width and width % w == 0):
        if _unlike(levels, starts, width, small) < _ALIKE:
            return small
    for large in (w for w in widths if w > width and w % width == 0):
        if _unlike(levels, starts, large, width) > _UNLIKE:
            return large
    return width


def _unlike(levels: NDArray[np.int64], starts: NDArray[np.int64], large: int, small: int) -> float:
    """How x and y differ from the same columns `small` further on: total variation, 0 to 1."""
    column = _column(levels, starts, large)
    counts = np.bincount((column * _LEVELS + levels).ravel(), minlength=large * _LEVELS)
    parts = counts.reshape(large // small, small, _LEVELS)[:, :2] / max(levels.size / large, 1)
    apart = np.abs(parts - parts[0]).sum(axis=2)[1:] / 2
    return float(np.median(apart))


def _guess(rows: Numbers) -> str:
    """Letters of all columns."""
    if len(rows) < _MIN_POINTS:
        return "xyzir".ljust(rows.shape[1], "_")[: rows.shape[1]]
    places = _coordinates(rows)
    rest = [k for k in range(rows.shape[1]) if k not in places]
    letters = dict(zip(places, "xyz", strict=True))
    letters |= zip(rest, _guess_others(rows, rest, places), strict=True)
    return "".join(letters[k] for k in range(rows.shape[1]))


def _coordinates(rows: Numbers) -> list[int]:
    """The places of x, y and z: the first three columns, unless one of them cannot be.

    Coordinates have both signs; what is never negative and up to 1, or whole, or only grows, is an
    intensity, a ring or a time.
    """
    first, num_columns = [0, 1, 2], rows.shape[1]
    some = _some(rows)
    only_grows = (np.diff(some, axis=0) >= 0).mean(axis=0) > 0.99
    is_signed = ((some < 0).mean(axis=0) > 0.01) & ~only_grows
    if is_signed[:3].all() or num_columns == 3:
        return first
    is_plain = only_grows | (some.max(axis=0) <= 1) | (some == np.round(some)).all(axis=0)
    is_other = is_plain & (some >= 0).all(axis=0)
    for fits in (is_signed, ~is_other):
        if fits.sum() == 3:
            return [int(k) for k in np.flatnonzero(fits)]
    return first


def _some(rows: Numbers) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        some = rows[:: (len(rows) // 20_000) | 1].astype(np.float64)
    return np.nan_to_num(some, posinf=0.0, neginf=0.0)


def _guess_others(rows: Numbers, others: list[int], places: list[int]) -> list[str]:
    """Letters of the columns beside x y z, of which nothing but some rows is copied."""
    letters = ["_"] * len(others)
    thinned = _some(rows)
    some, xyz = thinned[:, others], thinned[:, places]
    is_constant = (some == some[:1]).all(axis=0)
    is_other = (_is_usual(some).mean(axis=0) < 0.9) | _is_distance(some, xyz) | _is_colour(some)
    is_other[:3] |= _is_normal(some)
    is_passed = is_constant | is_other
    for k in np.flatnonzero(~is_passed):
        column = some[:, k]
        is_whole = column.max() < 1024 and bool((column == np.round(column)).all())
        if (np.diff(column) >= 0).mean() > 0.99 and not {"t", "r"} <= set(letters):
            letters[k] = "r" if is_whole and "r" not in letters else "t"
        elif (column < 0).mean() > 0.01 and len(np.unique(column[column < 0])) > 1:
            continue  # one value below 0 marks what is not known
        elif is_whole and "r" not in letters and _is_ring(rows[:, others[k]], xyz):
            letters[k] = "r"
        elif "i" not in letters and not (is_whole and len(np.unique(column)) < _MOST_CLASSES):
            letters[k] = "i"
    if len(letters) and "i" not in letters and is_constant[0] and not is_other[0]:
        letters[0] = "i"  # all of one brightness
    return letters


def _is_distance(others: Numbers, xyz: Numbers) -> NDArray[np.bool_]:
    """Which columns only repeat how far the points are: ranges, or distances on the ground."""
    result = np.zeros(others.shape[1], np.bool_)
    for length in (np.linalg.norm(xyz, axis=1), np.hypot(xyz[:, 0], xyz[:, 1])):
        is_alike = np.abs(others - length[:, None]) <= 0.01 + 0.001 * length[:, None]
        result |= (is_alike.mean(axis=0) > 0.9) & (length > 0).any()
    return result


def _is_ring(whole: Numbers, xyz: Numbers) -> bool:
    """Whether (N,) whole numbers count beams: they go round one by one, or tell the elevations.

    xyz are those of some of the points, as `_some` takes them.
    """
    step = np.abs(np.diff(whole[:20_000]))
    if np.mean(step == 1) > 0.8:
        return True
    x, y, z = xyz.T
    elevation = np.arctan2(z, np.hypot(x, y))
    _, beam, count = np.unique(_some(whole[:, None])[:, 0], return_inverse=True, return_counts=True)
    if len(count) < 4:
        return False
    mean = np.bincount(beam, elevation) / count
    return bool(np.var(elevation - mean[beam]) < 0.05 * np.var(elevation))


def _is_colour(some: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which columns are red, green and blue: three alike, or all whole up to 255.

    They come first, or behind an intensity where that makes them more alike.
    """
    result = np.zeros(some.shape[1], np.bool_)
    alike = [_likeness_of_colours(some[:, k : k + 3]) for k in range(min(2, some.shape[1] - 2))]
    if alike and max(alike) > -1:
        start = int(len(alike) > 1 and alike[1] > alike[0] + 0.1)
        result[start : start + 3] = True
    return result


def _likeness_of_colours(rgb: NDArray[np.float64]) -> float:
    """The least correlation of three columns, -2 where they are no red, green and blue."""
    if rgb.min() < 0 or rgb.max() > 255 or not (rgb.std(axis=0) > 0).all():
        return -2.0
    alike = float(np.corrcoef(rgb.T).min())
    are_bytes = bool((rgb == np.round(rgb)).all() and (rgb.max(axis=0) > _MOST_RINGS).all())
    return alike if are_bytes or alike > 0.7 else -2.0


def _is_normal(some: NDArray[np.float64]) -> bool:
    """Whether the first three columns are vectors of length 1."""
    if some.shape[1] < 3:
        return False
    length = np.linalg.norm(some[:, :3], axis=1)
    return bool(np.mean(np.abs(length - 1) < 0.01) > 0.9) and bool(some[:, :3].min() < 0)
