"""Scan files of several sensors on one vehicle -> which belong together, and where the sensors are.

The transform of a sensor is its place and rotation in the first one's frame: a point p of its files
lies at R p + t in those of the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.numpy_files import read_array
from lidarpan.scans.recordings.transforms import matrix_of
from lidarpan.scans.stamps import times_of_names
from lidarpan.structures import InputError

MAX_APART_S = 0.06
"""Scans of two sensors further apart than this are not merged, seconds."""

_FORMS = "x,y,z or x,y,z,yaw_deg or x,y,z,qx,qy,qz,qw or the 12 or 16 numbers of a matrix"
_NUMBERS = re.compile(r"[-+.,\deE ]+")


@dataclass(frozen=True)
class Partner:
    """A scan of another sensor that belongs to one of the first.

    Attributes:
        file: the scan.
        first_T_file: (4, 4) from its coordinates into those of the first sensor's files.
    """

    file: Path
    first_T_file: NDArray[np.float64]


Times = NDArray[np.float64]
Partners = Mapping[Path, Sequence[Partner]]
"""Scan of the first sensor -> those of the others."""


def read_transform(given: str) -> NDArray[np.float64]:
    """Read a transform: numbers with commas, or a text file of such numbers.

    Three numbers are a place, a fourth turns about z (degrees), seven are a place and a quaternion
    (x, y, z, w), 12 or 16 the rows of a matrix. In a file, names that end with a colon and comments
    after # are passed over.

    Returns:
        (4, 4).

    Raises:
        InputError: there is no such file, or its numbers are no transform.
    """
    numbers = _numbers(given)
    if len(numbers) in (12, 16):
        matrix = np.vstack([numbers[:12].reshape(3, 4), [0, 0, 0, 1]])
        is_whole = len(numbers) == 12 or np.allclose(numbers[12:], [0, 0, 0, 1])
    elif len(numbers) in (3, 4, 7):
        matrix, is_whole = np.eye(4), True
        matrix[:3, 3] = numbers[:3]
        if len(numbers) == 4:
            cosine, sine = np.cos(np.radians(numbers[3])), np.sin(np.radians(numbers[3]))
            matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
        elif len(numbers) == 7:
            matrix = matrix_of(numbers[:3], numbers[3:])
    else:
        raise InputError(f"{given}: wanted {_FORMS}, got {len(numbers)} numbers")
    turn = matrix[:3, :3]
    is_turn = np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) and np.linalg.det(turn) > 0
    if not (np.isfinite(matrix).all() and is_whole and is_turn):
        raise InputError(
            f"{given}: wanted a place and a rotation ({_FORMS}), got a matrix that stretches, "
            "mirrors or is not finite: check its order, row by row"
        )
    return matrix


def _numbers(given: str) -> NDArray[np.float64]:
    """The numbers of an argument, or of the file that it names."""
    path = Path(given)
    if path.is_file() and path.suffix.lower() == ".npy":
        return np.asarray(read_array(path), np.float64).reshape(-1)
    text = given
    if path.is_file() or not _NUMBERS.fullmatch(given):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "no text"
            raise InputError(f"{given}: wanted {_FORMS}, or a file of them: {why}") from None
    words = re.sub(r"#.*|[^\s,]+:|[][,;]", " ", text).split()
    try:
        return np.array(words, np.float64)
    except ValueError as error:
        raise InputError(f"{given}: wanted {_FORMS}: {error}") from None


def pair(
    sensors: Sequence[Sequence[Path]], first_T_others: Sequence[NDArray[np.float64]]
) -> tuple[Partners, list[str]]:
    """Find the scans of other sensors that belong to each scan of the first.

    Where all names are times, the nearest, no more than 60 ms apart; else those of the same name,
    or of the same numbers in it; else, of as many scans, those in the same place.

    Args:
        sensors: the scans of each, in order.
        first_T_others: (4, 4) of each but the first.

    Returns:
        The partners of each scan of the first sensor, and what there is to say, a sentence each.

    Raises:
        InputError: a scan belongs to two sensors, or nothing says which belong together.
    """
    first, said = sensors[0], list[str]()
    found: dict[Path, list[Partner]] = {path: [] for path in first}
    if len(set().union(*sensors)) < sum(len(set(scans)) for scans in sensors):
        raise InputError("wanted the scans of each sensor by themselves, got a scan in two of them")
    for scans, transform in zip(sensors[1:], first_T_others, strict=True):
        name = scans[0].parent if len(scans) > 1 else scans[0]
        partners, how = _pairs(first, scans)
        if not partners:
            raise InputError(
                f"{name}: wanted scans that belong to those of {first[0].parent}, got "
                f"{len(scans)} beside {len(first)}, of other names: give them the same names"
            )
        for path, partner in partners.items():
            found[path].append(Partner(partner, transform))
        said += [f"{name}: {how}"] if how else []
        if alone := len(first) - len(partners):
            said.append(
                f"{name}: none of its scans belongs to {alone} of {len(first)}: taken alone"
            )
    return found, said


def _pairs(first: Sequence[Path], others: Sequence[Path]) -> tuple[dict[Path, Path], str]:
    """Which belong together, and what to say of how that was found out."""
    times_s, other_times_s = times_of_names(first), times_of_names(others)
    if times_s is not None and other_times_s is not None:
        return _nearest(first, times_s, others, other_times_s), "paired by the times in the names"
    for keys in (_names, _whole_numbers):
        own, theirs = keys(first), keys(others)
        is_unique = len(set(own)) == len(own) and len(set(theirs)) == len(theirs)
        of_key = dict(zip(theirs, others, strict=True))
        if is_unique and not of_key.keys().isdisjoint(own):
            rows = zip(own, first, strict=True)
            return {path: of_key[key] for key, path in rows if key in of_key}, ""
    if len(first) != len(others):
        return {}, ""
    how = "paired in order, as the names say nothing" if len(first) > 1 else ""
    return dict(zip(first, others, strict=True)), how


def _nearest(
    first: Sequence[Path], times_s: Times, others: Sequence[Path], other_times_s: Times
) -> dict[Path, Path]:
    """The other scan nearest in time to each, where one is near."""
    order = np.argsort(other_times_s, kind="stable")
    later = np.clip(np.searchsorted(other_times_s[order], times_s), 0, len(order) - 1)
    choice = np.stack([order[later], order[np.maximum(later - 1, 0)]])
    apart_s = np.abs(other_times_s[choice] - times_s)
    best = choice[apart_s.argmin(axis=0), np.arange(len(first))]
    rows = zip(first, best, apart_s.min(axis=0), strict=True)
    return {path: others[k] for path, k, apart in rows if apart <= MAX_APART_S}


def _names(scans: Sequence[Path]) -> list[str]:
    """Where each lies below what all have in common, without suffixes."""
    common = commonpath([scan.absolute().parent for scan in scans])
    below = (scan.absolute().relative_to(common) for scan in scans)
    return [(path.parent / path.name.split(".")[0]).as_posix() for path in below]


def _whole_numbers(scans: Sequence[Path]) -> list[tuple[int, ...]]:
    return [tuple(int(digits) for digits in re.findall(r"\d+", name)) for name in _names(scans)]
