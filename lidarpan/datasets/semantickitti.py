"""SemanticKITTI: scans, poses and packed labels (layout of the KITTI odometry benchmark)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.dataset import number_by_first_point
from lidarpan.scans.find import natural_key
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.whole_file import whole_file

SPLITS: dict[str, tuple[str, ...]] = {
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "valid": ("08",),
    "test": tuple(f"{number}" for number in range(11, 22)),
}
"""The benchmark's sequences by split."""

_MAX_INSTANCE = 0xFFFF


class SemanticKitti:
    """The scans of one split of a SemanticKITTI tree (`ROOT/sequences/NN/velodyne/*.bin`).

    Implements `Dataset`. Scan i is `name(i)`, such as "08/000123"; its points are all those of the
    file, its pose comes from `poses.txt` (camera frame) and `Tr` of `calib.txt`.

    Args:
        root: the folder above `sequences`, or `sequences` itself.
        split: "train", "valid" or "test"; those of its sequences that exist are used.
        sequences: use these instead of the split's.

    Raises:
        InputError: no such folder or split, or none of the sequences has scans.
    """

    def __init__(
        self, root: str | Path, split: str, sequences: Sequence[str] | None = None
    ) -> None:
        self.classes: ClassTable = load_class_table("semantickitti")
        self.root = sequences_folder(root)
        if sequences is None and split not in SPLITS:
            raise InputError(f"no split {split!r} of SemanticKITTI: wanted {', '.join(SPLITS)}")
        wanted = tuple(sequences) if sequences is not None else SPLITS[split]
        found = {
            name: sorted((self.root / name / "velodyne").glob("*.bin"), key=natural_key)
            for name in wanted
        }
        self.sequences: tuple[str, ...] = tuple(name for name in wanted if found[name])
        self._files = [file for name in self.sequences for file in found[name]]
        if not self._files:
            there = sorted(folder.parent.name for folder in self.root.glob("*/velodyne"))
            raise InputError(
                f"{self.root}: wanted scans of the {split} split (sequences "
                f"{', '.join(wanted)}), got sequences {', '.join(there) or 'none'}"
            )
        self._poses: dict[str, NDArray[np.float64] | None] = {}

    def __len__(self) -> int:
        """Number of scans."""
        return len(self._files)

    def path(self, i: int) -> Path:
        """The `.bin` file of scan i."""
        return self._files[i]

    def name(self, i: int) -> str:
        """Sequence and number, such as "08/000123"."""
        return f"{self._files[i].parts[-3]}/{self._files[i].stem}"

    def __getitem__(self, i: int) -> Scan:
        """Scan i with its pose; raises InputError for a damaged file."""
        file = self._files[i]
        size = file.stat().st_size
        if not size or size % 16:
            raise InputError(f"{file}: wanted 16 bytes per point, got {size} bytes: cut off?")
        rows = np.fromfile(file, np.float32).reshape(-1, 4)
        if not np.isfinite(rows).all():
            raise InputError(f"{file}: wanted finite points, got NaN or infinite ones")
        return Scan(
            np.ascontiguousarray(rows[:, :3]),
            np.clip(rows[:, 3], 0.0, 1.0),
            world_T_sensor=self._pose(file),
        )

    def raw_labels(self, i: int) -> NDArray[np.uint32] | None:
        """(N,) uint32: raw class in the low, instance in the high 16 bits; None without a file."""
        file = self._label_file(i)
        if not file.is_file():
            return None
        packed = read_label(file)
        num_points = self._files[i].stat().st_size // 16
        if len(packed) != num_points:
            raise InputError(
                f"{file}: wanted {num_points} labels as {self._files[i]} has points, "
                f"got {len(packed)}"
            )
        return packed

    def labels(self, i: int) -> PanopticLabels | None:
        """Truth of scan i; None where there is no label file."""
        packed = self.raw_labels(i)
        if packed is None:
            return None
        try:
            return unpack_labels(packed, self.classes)
        except InputError as error:
            raise InputError(f"{self._label_file(i)}: {error}") from None

    def _label_file(self, i: int) -> Path:
        file = self._files[i]
        return file.parents[1] / "labels" / f"{file.stem}.label"

    def _pose(self, file: Path) -> NDArray[np.float64] | None:
        folder = file.parents[1]
        if folder.name not in self._poses:
            self._poses[folder.name] = read_poses(folder)
        poses = self._poses[folder.name]
        number = int(file.stem) if file.stem.isdigit() else -1
        return poses[number] if poses is not None and 0 <= number < len(poses) else None


def sequences_folder(root: str | Path) -> Path:
    """The folder `sequences` at or below `root`; raises InputError where there is none."""
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: wanted the folder of a SemanticKITTI tree, found no such folder")
    for folder in (root / "sequences", root / "dataset" / "sequences", root):
        if folder.is_dir() and folder.name == "sequences":
            return folder
    inside = sorted(path.name for path in root.iterdir())[:8]
    raise InputError(
        f"{root}: wanted a SemanticKITTI tree with sequences/NN/velodyne, "
        f"got {', '.join(inside) or 'an empty folder'}"
    )


def read_poses(sequence: Path, name: str = "poses.txt") -> NDArray[np.float64] | None:
    """(P, 4, 4) world_T_sensor of a sequence folder, None without its file of poses.

    `poses.txt` holds camera poses; with T = `Tr` (camera from sensor) of `calib.txt` the sensor's
    pose is T^-1 P T, in the sensor frame of the first scan. Without `calib.txt` T is the identity.

    Raises:
        InputError: a line has not 12 numbers.
    """
    file = sequence / name
    if not file.is_file():
        return None
    rows = [_matrix(line.split(), file) for line in file.read_text().splitlines() if line.strip()]
    poses = np.array(rows, np.float64).reshape(-1, 4, 4)
    camera_T_sensor = np.eye(4)
    calibration = sequence / "calib.txt"
    if calibration.is_file():
        for line in calibration.read_text().splitlines():
            if line.startswith("Tr:"):
                camera_T_sensor = _matrix(line.split()[1:], calibration)
    world: NDArray[np.float64] = np.linalg.inv(camera_T_sensor) @ poses @ camera_T_sensor
    return world


def _matrix(words: Sequence[str], file: Path) -> NDArray[np.float64]:
    try:
        rows = np.array(words, np.float64).reshape(3, 4)
    except ValueError:
        raise InputError(f"{file}: wanted 12 numbers a line, got {' '.join(words)[:60]}") from None
    return np.vstack([rows, [0.0, 0.0, 0.0, 1.0]])


def read_label(file: Path) -> NDArray[np.uint32]:
    """Read a `.label` file: (N,) uint32, raw class in the low, instance in the high 16 bits.

    Raises:
        InputError: no such file, or cut in the middle of a label.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such label file")
    size = file.stat().st_size
    if size % 4:
        raise InputError(f"{file}: wanted 4 bytes per label, got {size} bytes: cut off")
    return np.fromfile(file, "<u4")


def write_label(file: Path, packed: NDArray[np.uint32]) -> None:
    """Write a `.label` file, whole or not at all. packed: (N,) uint32."""
    with whole_file(file) as beside:
        packed.astype("<u4", copy=False).tofile(beside)


def unpack_labels(packed: NDArray[np.uint32], classes: ClassTable) -> PanopticLabels:
    """Split packed labels into train ids and instances. (N,) uint32 -> N points.

    Each packed value of a thing with an instance is one instance, so that equal ids of different
    classes stay apart; they are numbered by their first point.

    Raises:
        InputError: a raw label that the dataset does not define.
    """
    semantic = classes.to_train((packed & 0xFFFF).astype(np.int32))
    is_instance = classes.is_thing[semantic] & (packed > 0xFFFF)
    instance = number_by_first_point(np.where(is_instance, packed, 0))
    return PanopticLabels(semantic, instance)


def pack_labels(labels: PanopticLabels, classes: ClassTable) -> NDArray[np.uint32]:
    """Join train ids and instances to raw packed labels; stuff and void get instance 0.

    Raises:
        InputError: an instance id does not fit 16 bits.
    """
    instance = np.where(classes.is_thing[labels.semantic], labels.instance, 0)
    if instance.size and not 0 <= int(instance.min()) <= int(instance.max()) <= _MAX_INSTANCE:
        raise InputError(
            f"wanted instance ids 0..{_MAX_INSTANCE}, got {instance.min()}..{instance.max()}"
        )
    raw = classes.to_raw(labels.semantic).astype(np.uint32)
    packed: NDArray[np.uint32] = raw | (instance.astype(np.uint32) << np.uint32(16))
    return packed


def write_predictions(file: Path, labels: PanopticLabels, classes: ClassTable) -> None:
    """Write predicted labels as the benchmark wants them, whole or not at all."""
    write_label(file, pack_labels(labels, classes))
