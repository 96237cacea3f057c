"""Panoptic nuScenes: LIDAR_TOP key frames and their labels, through nuscenes-devkit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.nuscenes_frame import NATIVE_T_SCAN, transform
from lidarpan.datasets.nuscenes_labels import read_panoptic, unpack_panoptic
from lidarpan.structures import InputError, PanopticLabels, Scan

SPLITS = ("mini_train", "mini_val", "train", "val", "test")
_VERSIONS = {
    "mini_train": ("v1.0-mini",),
    "mini_val": ("v1.0-mini",),
    "train": ("v1.0-trainval", "v1.0-mini"),
    "val": ("v1.0-trainval", "v1.0-mini"),
    "test": ("v1.0-test", "v1.0-mini"),
}


@dataclass(frozen=True)
class KeyFrame:
    """One LIDAR_TOP key frame.

    Attributes:
        token: of its sample_data record.
        scene: name of its scene.
        file: its `.pcd.bin` file.
        label_file: its panoptic `.npz` or else lidarseg `.bin` file, None without.
        world_T_sensor: (4, 4) pose, x forward.
    """

    token: str
    scene: str
    file: Path
    label_file: Path | None
    world_T_sensor: NDArray[np.float64]


class NuScenesPanoptic:
    """The LIDAR_TOP key frames of one split of a nuScenes tree, scene by scene.

    Implements `Dataset`. `name(i)` is the token that names label files; true labels are mapped
    from the 32 general classes to the challenge's.

    Args:
        root: the folder above `v1.0-*` and `samples`.
        split: one of the devkit's mini_train, mini_val, train, val, test; those of its scenes that
            are in the tree are used.
        version: such as "v1.0-mini"; found by itself.

    Raises:
        InputError: no such folder, split or version, or no scene of the split in the tree.
    """

    def __init__(self, root: str | Path, split: str, version: str | None = None) -> None:
        self.classes: ClassTable = load_class_table("nuscenes")
        self.root = Path(root)
        self.split = split
        self.version = version or find_version(self.root, split)
        tables = _load_tables(self.root, self.version)
        scenes = _scenes_of(tables, split)
        self.sequences: tuple[str, ...] = tuple(scene["name"] for scene in scenes)
        self._frames = [frame for scene in scenes for frame in _key_frames(tables, scene)]
        if not self._frames:
            there = [scene["name"] for scene in tables.scene][:12]
            raise InputError(
                f"{self.root}: wanted scenes of the {split} split, {self.version} has "
                f"{', '.join(there) or 'none'}"
            )

    def __len__(self) -> int:
        """Number of scans."""
        return len(self._frames)

    def path(self, i: int) -> Path:
        """The `.pcd.bin` file of scan i."""
        return self._frames[i].file

    def name(self, i: int) -> str:
        """The LIDAR_TOP sample_data token of scan i."""
        return self._frames[i].token

    def label_path(self, i: int) -> Path | None:
        """The label file of scan i, None where the tree has none."""
        return self._frames[i].label_file

    def scene(self, i: int) -> str:
        """The name of scan i's scene."""
        return self._frames[i].scene

    def __getitem__(self, i: int) -> Scan:
        """Scan i with its ring and pose; raises InputError for a damaged file."""
        frame = self._frames[i]
        if not frame.file.is_file():
            raise InputError(f"{frame.file}: no such file: the tables name it")
        size = frame.file.stat().st_size
        if not size or size % 20:
            raise InputError(f"{frame.file}: wanted 20 bytes per point, got {size} bytes: cut off?")
        rows = np.fromfile(frame.file, np.float32).reshape(-1, 5)
        if not np.isfinite(rows).all():
            raise InputError(f"{frame.file}: wanted finite points, got NaN or infinite ones")
        return Scan(
            np.column_stack([rows[:, 1], -rows[:, 0], rows[:, 2]]),
            np.clip(rows[:, 3] / np.float32(255.0), 0.0, 1.0),
            ring=rows[:, 4].astype(np.int32),
            world_T_sensor=frame.world_T_sensor,
        )

    def raw_labels(self, i: int) -> NDArray[np.uint32] | None:
        """(N,) 1000 * general class + instance, unique over a scene; None without labels."""
        frame = self._frames[i]
        if frame.label_file is None:
            return None
        if not frame.label_file.is_file():
            raise InputError(f"{frame.label_file}: no such file: the tables name it")
        if frame.label_file.suffix == ".npz":
            packed = read_panoptic(frame.label_file).astype(np.uint32)
        else:
            packed = np.fromfile(frame.label_file, np.uint8).astype(np.uint32) * np.uint32(1000)
        num_points = frame.file.stat().st_size // 20
        if len(packed) != num_points:
            raise InputError(
                f"{frame.label_file}: wanted {num_points} labels as {frame.file} has points, "
                f"got {len(packed)}"
            )
        return packed

    def labels(self, i: int) -> PanopticLabels | None:
        """Truth of scan i; None where there is none."""
        packed = self.raw_labels(i)
        if packed is None:
            return None
        return unpack_panoptic(packed.astype(np.uint16), self.classes, is_general=True)


def find_version(root: Path, split: str) -> str:
    """The version folder of a tree that holds a split; raises InputError where there is none."""
    if split not in SPLITS:
        raise InputError(f"no split {split!r} of nuScenes: wanted {', '.join(SPLITS)}")
    if not root.is_dir():
        raise InputError(f"{root}: wanted the folder of a nuScenes tree, found no such folder")
    there = sorted(path.parent.name for path in root.glob("v1.0-*/scene.json"))
    version = next((name for name in _VERSIONS[split] if name in there), None)
    if version is None:
        raise InputError(
            f"{root}: wanted {' or '.join(_VERSIONS[split])} for the {split} split, "
            f"got {', '.join(there) or 'no v1.0-* folder with scene.json'}"
        )
    return version


def _load_tables(root: Path, version: str) -> Any:
    from nuscenes import NuScenes

    try:
        return NuScenes(version=version, dataroot=str(root), verbose=False)
    except (AssertionError, OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"{root / version}: wanted whole nuScenes tables, got {error}") from None


def _scenes_of(tables: Any, split: str) -> list[dict[str, Any]]:
    """The tree's scenes that are in the split, in the split's order."""
    from nuscenes.utils.splits import create_splits_scenes

    there = {scene["name"]: scene for scene in tables.scene}
    return [there[name] for name in create_splits_scenes()[split] if name in there]


def _key_frames(tables: Any, scene: dict[str, Any]) -> list[KeyFrame]:
    frames = []
    sample_token = scene["first_sample_token"]
    while sample_token:
        sample = tables.get("sample", sample_token)
        sample_token = sample["next"]
        if "LIDAR_TOP" in sample["data"]:
            frames.append(_key_frame(tables, sample["data"]["LIDAR_TOP"], scene["name"]))
    return frames


def _key_frame(tables: Any, token: str, scene: str) -> KeyFrame:
    record = tables.get("sample_data", token)
    mount = tables.get("calibrated_sensor", record["calibrated_sensor_token"])
    ego = tables.get("ego_pose", record["ego_pose_token"])
    world_T_ego = transform(ego["translation"], ego["rotation"])
    ego_T_native = transform(mount["translation"], mount["rotation"])
    root = Path(tables.dataroot)
    table = next((t for t in ("panoptic", "lidarseg") if t in tables.table_names), None)
    label = root / tables.get(table, token)["filename"] if table else None
    pose = world_T_ego @ ego_T_native @ NATIVE_T_SCAN
    return KeyFrame(token, scene, root / record["filename"], label, pose)
