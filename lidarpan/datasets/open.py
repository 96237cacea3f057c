"""A dataset by its name."""

from __future__ import annotations

from pathlib import Path

from lidarpan.datasets.dataset import Dataset
from lidarpan.structures import InputError


def open_dataset(name: str, root: str | Path, split: str) -> Dataset:
    """Open one split of "semantickitti" or "nuscenes" below the folder `root`.

    Raises:
        InputError: another name, no such folder, an unknown split or one without scans.
    """
    match name:
        case "semantickitti":
            from lidarpan.datasets.semantickitti import SemanticKitti

            return SemanticKitti(root, split)
        case "nuscenes":
            from lidarpan.datasets.nuscenes import NuScenesPanoptic

            return NuScenesPanoptic(root, split)
        case _:
            raise InputError(f"no dataset {name!r}: wanted semantickitti or nuscenes")
