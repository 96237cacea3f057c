"""Whose classes a label file holds, as far as the file itself says."""

from __future__ import annotations

import re
from pathlib import Path

from lidarpan.classes import ClassTable
from lidarpan.datasets.kitti_labels import NAME as KITTI
from lidarpan.datasets.nuscenes_labels import NAME as NUSCENES
from lidarpan.scans.numpy_files import read_arrays
from lidarpan.structures import InputError

_BY_SUFFIX = {".label": KITTI, "_lidarseg.bin": NUSCENES, "_panoptic.npz": NUSCENES}


def implied_classes(path: Path) -> str | None:
    """The dataset whose classes a label file holds; None where it does not say.

    This package's `.npz` and `.ply` name it; `.label` is SemanticKITTI's (or of a table of one's
    own), `_panoptic.npz` and `_lidarseg.bin` are nuScenes'.

    Raises:
        InputError: a damaged `.npz`.
    """
    name = path.name.lower()
    if name.endswith(".npz"):
        arrays = read_arrays(path)
        if "semantic" in arrays:
            return str(arrays["dataset"]) if "dataset" in arrays else None
        return NUSCENES if "data" in arrays else None
    if name.endswith(".ply"):
        return _of_ply(path)
    return next((whose for end, whose in _BY_SUFFIX.items() if name.endswith(end)), None)


def check_classes(path: Path, classes: ClassTable) -> None:
    """Raise InputError where a label file holds other classes than those.

    A table of one's own may use the benchmarks' formats for its own labels.
    """
    implied = implied_classes(path)
    is_own = classes.name not in (KITTI, NUSCENES) and implied in (KITTI, NUSCENES)
    if implied in (None, classes.name) or is_own:
        return
    raise InputError(
        f"{path}: wanted labels in the classes of {classes.name}, got those of {implied}: "
        f"use --classes {implied}, or labels that fit"
    )


def _of_ply(path: Path) -> str | None:
    with path.open("rb") as file:
        header = file.read(4096)
    found = re.search(rb"^comment dataset (\S+)\s*$", header, re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else None
