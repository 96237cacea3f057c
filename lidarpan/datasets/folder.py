"""The generic layout: scans/ and labels/ with a class table, no code needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from lidarpan.classes import ClassTable
from lidarpan.datasets.dataset import Dataset, ScanFiles
from lidarpan.datasets.paths import mirrored_path, scan_stem
from lidarpan.datasets.poses import find_poses, has_poses
from lidarpan.scans.find import find_scans
from lidarpan.structures import InputError
from lidarpan.text_trees import read_text

ALL = "all"
LABEL_ENDS = (".label", ".npz", ".npy", ".ply", "_panoptic.npz", "_lidarseg.bin")


class FolderDataset(Dataset):
    """Scans of any format in `ROOT/scans`, labels of the same names in `ROOT/labels`.

    A split is a folder `scans/SPLIT`, or a list `splits/SPLIT.txt` of folders and scans below
    `scans`, a line each; "all" is everything. The folder of a scan is its sequence; with a
    `poses.txt` in it (12 numbers a line) scans have poses. Predictions lie as the scans do.

    Args:
        classes: what the labels mean.
    """

    layout = "a .label file for each scan, in the same folders as below scans/"

    def __init__(self, classes: ClassTable) -> None:
        """Take the class table's name."""
        self.name, self.classes = classes.name, classes

    def list_scans(self, root: Path, split: str) -> list[ScanFiles]:
        """The scans of a split in order; InputError where there are none."""
        scans = root / "scans"
        if not scans.is_dir():
            raise InputError(
                f"{root}: wanted a folder with scans/ and labels/, got no scans/ in it"
            )
        paths = find_scans(self._places(root, scans, split))
        listed = []
        for folder, group in groupby(paths, lambda path: path.parent):
            files = list(group)
            poses = find_poses(files) if has_poses(files) else None
            for k, path in enumerate(files):
                name = path.relative_to(scans).with_name(scan_stem(path)).as_posix()
                sequence = folder.relative_to(scans).as_posix()
                pose = None if poses is None else poses[k]
                listed.append(ScanFiles(name, sequence, path, _labels_of(root, name), pose))
        return listed

    def usual_splits(self, root: Path) -> Sequence[str]:
        """Everything."""
        return (ALL,)

    def prediction_path(self, out: Path, scan_path: Path) -> Path:
        """The place below `scans`, below `out`."""
        return mirrored_path(out, scan_path, self.suffix)

    def scored_path(self, out: Path, scan_path: Path) -> Path:
        """The same as `.npz`."""
        return mirrored_path(out, scan_path, ".npz")

    def _places(self, root: Path, scans: Path, split: str) -> list[Path]:
        """Folders and scans of a split."""
        if split == ALL:
            return [scans]
        file = root / "splits" / f"{split}.txt"
        if file.is_file():
            lines = [line.strip() for line in read_text(file).splitlines()]
            names = [line for line in lines if line and not line.startswith("#")]
            absent = [name for name in names if not (scans / name).exists()]
            if absent or not names:
                got = f"{absent[0]}, which is not there" if absent else "an empty file"
                raise InputError(f"{file}: wanted folders or scans below {scans}, got {got}")
            return [scans / name for name in names]
        if (scans / split).is_dir():
            return [scans / split]
        there = [path.stem for path in sorted((root / "splits").glob("*.txt"))]
        there += sorted(path.name for path in scans.iterdir() if path.is_dir())
        raise InputError(
            f"no split {split!r} in {root}: wanted {', '.join([ALL, *there][:12])} "
            f"(a list splits/{split}.txt, or a folder scans/{split})"
        )


def _labels_of(root: Path, name: str) -> Path | None:
    """The label file of a scan, whatever its format; None without."""
    tried = (root / "labels" / f"{name}{end}" for end in LABEL_ENDS)
    return next((path for path in tried if path.is_file()), None)
