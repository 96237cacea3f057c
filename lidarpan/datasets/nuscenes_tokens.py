"""The token and split of a nuScenes scan file, from the tables of the tree it lies in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lidarpan.structures import InputError

_EVALUATED = {"v1.0-mini": ("mini_train", "mini_val"), "v1.0-trainval": ("train", "val")}


@dataclass(frozen=True)
class ScanToken:
    """What the devkit calls a LIDAR_TOP key frame.

    Attributes:
        token: of its sample_data record, which names its label files.
        split: the devkit's split that its scene is in.
    """

    token: str
    split: str


def find_token(scan_path: Path) -> ScanToken | None:
    """Look a scan file up in its nuScenes tree (`ROOT/samples/LIDAR_TOP/*.pcd.bin`).

    Returns:
        None where the file does not lie in such a tree, or is no key frame of it.

    Raises:
        InputError: a table of the tree is damaged.
    """
    scan_path = scan_path.absolute()
    if len(scan_path.parents) < 3 or scan_path.parts[-3:-1] != ("samples", "LIDAR_TOP"):
        return None
    root = scan_path.parents[2]
    filename = scan_path.relative_to(root).as_posix()
    for version in sorted(path.parent.name for path in root.glob("v1.0-*/sample_data.json")):
        found = _tokens(root, version).get(filename)
        if found:
            return found
    return None


@lru_cache(maxsize=4)
def _tokens(root: Path, version: str) -> dict[str, ScanToken]:
    """File name -> token and split, of every LIDAR_TOP key frame of a version."""
    from nuscenes.utils.splits import create_splits_scenes

    scenes_of = create_splits_scenes()
    splits = _EVALUATED.get(version, ("test",))
    split_of = {scene: split for split in splits for scene in scenes_of[split]}
    try:
        scene_of = {row["token"]: row["name"] for row in _table(root, version, "scene")}
        sample_scene = {
            row["token"]: scene_of[row["scene_token"]] for row in _table(root, version, "sample")
        }
        return {
            row["filename"]: ScanToken(
                row["token"], split_of.get(sample_scene[row["sample_token"]], splits[-1])
            )
            for row in _table(root, version, "sample_data")
            if row["is_key_frame"] and "/LIDAR_TOP/" in row["filename"]
        }
    except KeyError as error:
        raise InputError(f"{root / version}: a table lacks {error}: unpack it again") from None


def _table(root: Path, version: str, name: str) -> list[dict[str, str]]:
    file = root / version / f"{name}.json"
    try:
        rows: list[dict[str, str]] = json.loads(file.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{file}: wanted a nuScenes table, got {error}") from None
    return rows
