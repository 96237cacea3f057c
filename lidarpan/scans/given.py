"""What a caller has in hand, a scan, rows of numbers or a path, as a scan."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.arrays import array_fields
from lidarpan.scans.axes import levelled
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import load_scan
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M
from lidarpan.scans.source import load_fields
from lidarpan.structures import InputError, Scan

Given: TypeAlias = "Scan | NDArray[Any] | str | Path"
_log = logging.getLogger("lidarpan")


Kind = tuple[Path, str]
"""A folder and what was said of a scan in it, without numbers."""


def kind_of(text: str, path: Path) -> Kind:
    """What a note on a scan is, apart from its name and numbers: each is said once per folder."""
    return path.parent, re.sub(r"\d+(\.\d+)?", "#", text.replace(str(path), ""))


def as_loaded(
    given: Given, expected_height_m: float | None = None, told: set[Kind] | None = None
) -> LoadedScan:
    """A scan and which of the M given points or rows it has; what was changed is logged.

    A Scan is taken as it is; a file or rows that look turned are levelled by their own ground.

    Args:
        given: a Scan; the path of a scan file; or (M, 3 or more) rows of x y z [intensity].
        expected_height_m: of the sensor above the ground, for what is said of it.
        told: kinds of notes that are not logged again; new ones are added.

    Raises:
        InputError: none of these, or nothing usable in it.
    """
    if isinstance(given, Scan):
        return LoadedScan(given, np.ones(given.num_points, np.bool_))
    height_m = EXPECTED_HEIGHT_M if expected_height_m is None else expected_height_m
    if isinstance(given, str | Path):
        loaded = load_scan(given, height_m)
    elif isinstance(given, np.ndarray):
        loaded = load_fields(array_fields(given, "the array"), "the array", height_m)
    else:
        raise InputError(
            f"wanted a Scan, an (N, 3 or more) array or a path, got {type(given).__name__}"
        )
    loaded, _ = levelled(loaded, height_m)
    name = "the array" if isinstance(given, np.ndarray) else given
    told = set() if told is None else told
    for warning in loaded.warnings:
        if getattr(warning, "kind", "") in ("height", "forward"):
            continue  # the pipeline mends the one, the network does not mind the other
        kind = kind_of(warning, Path(name))
        if kind not in told:
            told.add(kind)
            _log.warning("%s: %s", name, warning)
    return loaded
