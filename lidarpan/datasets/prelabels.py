"""Predictions that were written for a labelling tool, and corrected there: a labelled dataset.

`prelabels.json`, which `lidarpan prelabel` writes, says what was predicted for which scan. What the
tool gives back is read beside it: a box that nobody touched keeps its predicted points, one that
was moved, added or renamed has those within it, and what was predicted as a thing and is in no box
any more is void.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.cuboids import Cuboids, points_in_cuboids
from lidarpan.datasets.dataset import Dataset, ScanFiles, found
from lidarpan.datasets.label_ids import read_named
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.datasets.tools.choose import POINT_LABELER, find_tool
from lidarpan.datasets.tools.frames import ToolBox, ToolFrame
from lidarpan.structures import InputError, PanopticLabels
from lidarpan.text_trees import read_json_tree
from lidarpan.whole_file import write_json

FILE = "prelabels.json"
ALL = "all"
_VERSION = 1
_MARGIN_M = 0.05  # around a box that was drawn by hand


@dataclass(frozen=True)
class PrelabelledScan:
    """A scan that was written for a tool.

    Attributes:
        drive: of it.
        frame: its name and number, its boxes as the tool was given them, and its pose.
        scan: its file.
        labels: that was predicted for it.
        doubt: how many of its objects are expected to be wrong.
        why: the doubt in words.
    """

    drive: str
    frame: ToolFrame
    scan: Path
    labels: Path
    doubt: float
    why: str


def write_prelabels(
    out: Path, tool: str, classes: ClassTable, scans: Sequence[PrelabelledScan]
) -> None:
    """Write what was given to a tool to `out`; paths of scans and labels are from there."""
    rows = [_row_of(scan, out) for scan in scans]
    content = {"version": _VERSION, "tool": tool, "classes": classes.to_tree(), "scans": rows}
    write_json(out / FILE, content)


def _row_of(scan: PrelabelledScan, out: Path) -> dict[str, Any]:
    pose = scan.frame.world_T_sensor
    return {
        "drive": scan.drive,
        "name": scan.frame.name,
        "number": scan.frame.number,
        "time_s": scan.frame.time_s,
        "pose": None if pose is None else pose.tolist(),
        "scan": os.path.relpath(scan.scan.absolute(), out.absolute()),
        "labels": os.path.relpath(scan.labels.absolute(), out.absolute()),
        "doubt": round(scan.doubt, 4),
        "why": scan.why,
        "boxes": [
            [b.id, b.class_id, *b.center_m, *b.size_m, b.yaw_rad, b.score] for b in scan.frame.boxes
        ],
    }


def read_prelabels(file: Path) -> tuple[str, ClassTable, list[PrelabelledScan]]:
    """The tool, the classes and the scans of a `prelabels.json`; InputError: it is none."""
    tree = read_json_tree(file)
    if not isinstance(tree, dict) or tree.get("version") != _VERSION:
        raise InputError(f"{file}: wanted what lidarpan prelabel writes (version {_VERSION})")
    try:
        classes = ClassTable.from_tree(tree["classes"], str(file))
        return str(tree["tool"]), classes, [_scan_of(row, file) for row in tree["scans"]]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: wanted what lidarpan prelabel writes, got {error!r}") from None


def _scan_of(row: dict[str, Any], file: Path) -> PrelabelledScan:
    boxes = tuple(
        ToolBox(int(b[0]), int(b[1]), tuple(b[2:5]), tuple(b[5:8]), float(b[8]), b[9])
        for b in row["boxes"]
    )
    pose = None if row["pose"] is None else np.array(row["pose"], np.float64).reshape(4, 4)
    frame = ToolFrame(str(row["name"]), int(row["number"]), boxes, float(row["time_s"]), pose)
    scan, labels = (Path(os.path.normpath(file.parent / row[key])) for key in ("scan", "labels"))
    return PrelabelledScan(
        str(row["drive"]), frame, scan, labels, float(row["doubt"]), str(row["why"])
    )


class Prelabels(Dataset):
    """What came back from a labelling tool.

    The root is the folder of what the tool exported, that of `prelabels.json` where it was
    corrected in place. A split is "all" or names of drives. Scans that the tool did not give back
    are left out.

    Args:
        file: `prelabels.json`.
    """

    title = "corrected labels"

    def __init__(self, file: Path) -> None:
        """Read what was written for the tool."""
        self._tool, self.classes, self._scans = read_prelabels(file)
        self.name = self.classes.name
        self._corrected: dict[str, tuple[PrelabelledScan, list[ToolBox] | None]] = {}

    def usual_splits(self, root: Path) -> Sequence[str]:
        """All of them."""
        return (ALL,)

    def list_scans(self, root: Path, split: str) -> list[ScanFiles]:
        """The scans of the drives, by time; InputError: unknown drives, or damaged files."""
        if not root.is_dir():
            raise InputError(f"{root}: wanted the folder of corrected labels, found none")
        drives = list(dict.fromkeys(scan.drive for scan in self._scans))
        chosen = drives if split == ALL else split.split(",")
        if not set(chosen) <= set(drives):
            raise InputError(f"no split {split!r}: wanted {ALL} or {', '.join(drives[:12])}")
        what = f"labels that {self._tool} gave back"
        return found((f for drive in chosen for f in self._list_drive(root, drive)), root, what)

    def _list_drive(self, root: Path, drive: str) -> list[ScanFiles]:
        scans = sorted(
            (scan for scan in self._scans if scan.drive == drive), key=lambda s: s.frame.number
        )
        frames = [scan.frame for scan in scans]
        corrected = {}
        if self._tool != POINT_LABELER:
            corrected = find_tool(self._tool).read(root, drive, frames, self.classes)
        listed = []
        for scan in scans:
            name = f"{drive}/{scan.frame.name}"
            label = root / "sequences" / drive / "labels" / f"{scan.frame.name}.label"
            boxes = corrected.get(scan.frame.name)
            there = scan.labels if boxes is not None else label
            if boxes is None and not label.is_file():
                continue
            self._corrected[name] = scan, boxes
            pose = scan.frame.world_T_sensor
            listed.append(ScanFiles(name, drive, scan.scan, there, pose))
        return listed

    def truth_of(self, files: ScanFiles) -> PackedLabels:
        """The predicted labels with what was corrected."""
        if files.labels is None or files.name not in self._corrected:
            raise InputError(f"{files.scan}: wanted true labels, there are none")
        scan, boxes = self._corrected[files.name]
        if boxes is None:
            return self.read_truth(files.labels)
        loaded = self.read_scan(files)
        predicted = read_named(files.labels, self.classes)
        loaded.check_count(predicted.num_points, files.labels)
        points = np.full((loaded.num_file_points, 3), np.nan)
        points[loaded.valid] = loaded.scan.points
        labels = corrected_labels(points, predicted, scan.frame.boxes, boxes, self.classes)
        ids = labels.instance.astype(np.int64)
        raw = self.classes.to_raw(labels.semantic).astype(np.int64)
        return PackedLabels(labels.semantic, raw + (ids << 16), ids)


def corrected_labels(
    points: NDArray[np.float64],
    predicted: PanopticLabels,
    given: Sequence[ToolBox],
    corrected: Sequence[ToolBox],
    classes: ClassTable,
) -> PanopticLabels:
    """What boxes that came back say of the points.

    Args:
        points: (N, 3) in the boxes' frame.
        predicted: of the points; instances by the ids that the boxes had.
        given: boxes that the tool was given.
        corrected: boxes that came back.
        classes: of all of them.
    """
    semantic = np.where(classes.is_thing[predicted.semantic], 0, predicted.semantic)
    instance = np.zeros(len(points), np.int64)
    changed = []
    for box in _with_own_ids(corrected, given):
        same = [g for g in given if box.is_like(g)]
        kept = next((g for g in same if g.id == box.id), same[0] if same else None)
        if kept is None:
            changed.append(box)
            continue
        own = predicted.instance == kept.id
        semantic[own], instance[own] = box.class_id, box.id
    if changed:
        boxes = Cuboids(
            np.array([box.center_m for box in changed]),
            np.array([box.size_m for box in changed]) + 2 * _MARGIN_M,
            np.array([box.yaw_rad for box in changed]),
            np.array([box.class_id for box in changed], np.int64),
            np.array([box.id for box in changed], np.int64),
        )
        place = points_in_cuboids(points, boxes)
        is_free = (place >= 0) & (instance == 0)
        thing = boxes.raw[place]
        is_free &= ~classes.protected[thing, predicted.semantic]
        semantic[is_free], instance[is_free] = thing[is_free], boxes.instance[place[is_free]]
    return PanopticLabels(semantic.astype(np.uint8), instance.astype(np.int32))


def _with_own_ids(boxes: Sequence[ToolBox], given: Sequence[ToolBox]) -> list[ToolBox]:
    """The boxes of a scan; those without an id, or with that of another, get a free one."""
    free = max((box.id for box in (*boxes, *given)), default=0) + 1
    taken: set[int] = set()
    own = []
    for box in boxes:
        if box.id <= 0 or box.id in taken:
            box, free = replace(box, id=free), free + 1
        taken.add(box.id)
        own.append(box)
    return own
