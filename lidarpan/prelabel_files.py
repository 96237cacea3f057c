"""Predicted labels of drives -> what labelling tools import, the most doubtful scans first."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.kitti_labels import write_predictions
from lidarpan.datasets.label_ids import read_named
from lidarpan.datasets.prelabels import FILE, PrelabelledScan, write_prelabels
from lidarpan.datasets.tools.choose import POINT_LABELER, TOOLS, find_tool
from lidarpan.datasets.tools.frames import ToolBox, ToolFrame
from lidarpan.grouping.objects import PanopticObject, find_objects
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.source import FileSource, ScanSource
from lidarpan.structures import InputError, PanopticLabels
from lidarpan.track_files import Drive, plan_drives
from lidarpan.whole_file import whole_text, write_text

QUEUE = "queue.csv"
MIN_BOX_POINTS = 5
_UNKNOWN = 0.5  # score of an object that nobody gave one
_UNSURE = 0.5


class Prelabelling:
    """Writes the labels of some scans for a labelling tool.

    Args:
        sources: from `open_sources`; scan files, in order of time within a folder.
        labels: folder of label files, named as the scans; ids that last are kept as they are.
        out: folder for what the tool imports, `queue.csv` and `prelabels.json`.
        classes: of the labels.
        tool: one of TOOLS.
        poses: file of poses, as `plan_drives` takes it.
        times: file of times, likewise.
        most: write only so many scans, the most doubtful ones; None writes all.

    Attributes:
        drives: that are written.
        notes: what nobody says of them.

    Raises:
        InputError: an unknown tool, recordings, a scan without labels, or poses that do not fit.
    """

    def __init__(
        self,
        sources: Sequence[ScanSource],
        labels: Path,
        out: Path,
        classes: ClassTable,
        tool: str,
        *,
        poses: Path | None = None,
        times: Path | None = None,
        most: int | None = None,
    ) -> None:
        """Find what belongs to the scans."""
        if tool not in TOOLS:
            raise InputError(f"no tool {tool!r}: wanted {', '.join(TOOLS)}")
        others = [source.path for source in sources if not isinstance(source, FileSource)]
        if others:
            raise InputError(
                f"{others[0]}: wanted scan files, got a recording: write its scans with "
                "lidarpan convert first"
            )
        if (out / FILE).exists():
            raise InputError(
                f"{out / FILE}: labels of an earlier run are there, and may have been corrected: "
                "choose another --out"
            )
        self.drives, self.notes = plan_drives(sources, labels, out, poses, times)
        self._out, self._classes, self._tool, self._most = out, classes, tool, most
        if tool == POINT_LABELER:
            self._refuse_tree()

    def _refuse_tree(self) -> None:
        """Raise InputError where the layout to be written is there already, with other labels."""
        for name in _names(self.drives):
            folder = self._out / "sequences" / name
            for file in (folder / "labels", folder / "calib.txt", folder / "poses.txt"):
                if file.exists():
                    raise InputError(f"{file}: is there already: choose another --out")

    @property
    def total(self) -> int:
        """How many scans there are."""
        return sum(len(drive.scans) for drive in self.drives)

    def run(self) -> Iterator[PrelabelledScan]:
        """Box every scan's objects, and write all when the last is done.

        Yields:
            Each scan as it is read.
        """
        scans: list[PrelabelledScan] = []
        for name, drive in zip(_names(self.drives), self.drives, strict=True):
            for k, loaded in enumerate(drive.load()):
                scan = self._scan(name, drive, k, loaded)
                scans.append(scan)
                yield scan
        doubtful = sorted(scans, key=lambda s: (-s.doubt, s.drive, s.frame.number))
        chosen = doubtful[: self._most]
        kept = {(scan.drive, scan.frame.name) for scan in chosen}
        for drive_name in dict.fromkeys(scan.drive for scan in scans):
            of_drive = [s for s in scans if s.drive == drive_name]
            of_drive = [s for s in of_drive if (s.drive, s.frame.name) in kept]
            if of_drive:
                chosen = self._write(drive_name, of_drive, chosen)
        self._write_queue(chosen)
        write_prelabels(self._out, self._tool, self._classes, chosen)

    def _scan(self, name: str, drive: Drive, k: int, loaded: LoadedScan) -> PrelabelledScan:
        file = drive.labels[k]
        seen = loaded.labels_of(read_named(file, self._classes), file)
        things = self._classes.things
        objects = [
            one
            for one in find_objects(loaded.scan, seen, self._classes)
            if one.class_id in things and one.num_points >= MIN_BOX_POINTS
        ]
        stem = drive.scans[k].name.split(".")[0]
        pose = None if drive.poses is None else drive.poses[k]
        frame = ToolFrame(
            stem,
            int(stem) if stem.isdecimal() and len(stem) < 9 else k,
            tuple(_box_of(one) for one in objects),
            float(drive.times_s[k]),
            pose,
        )
        doubt, why = doubt_of(objects)
        return PrelabelledScan(name, frame, drive.scans[k], file, doubt, why)

    def _write(
        self, drive: str, scans: list[PrelabelledScan], chosen: list[PrelabelledScan]
    ) -> list[PrelabelledScan]:
        """Write a drive; all chosen scans, with the boxes of the drive as the tool has them."""
        if self._tool == POINT_LABELER:
            self._write_points(drive, scans)
            return chosen
        tool, frames = find_tool(self._tool), [scan.frame for scan in scans]
        tool.write(self._out, drive, frames, self._classes)
        written = tool.read(self._out, drive, frames, self._classes)
        return [
            replace(s, frame=replace(s.frame, boxes=tuple(written.get(s.frame.name, ()))))
            if s.drive == drive
            else s
            for s in chosen
        ]

    def _write_points(self, drive: str, scans: list[PrelabelledScan]) -> None:
        """SemanticKITTI's layout beside the scans, as point_labeler opens it."""
        folder = self._out / "sequences" / drive
        lines = []
        for scan in scans:
            labels = read_named(scan.labels, self._classes)
            things = self._classes.is_thing[labels.semantic]
            known = PanopticLabels(labels.semantic, np.where(things, labels.instance, 0))
            file = folder / "labels" / f"{scan.frame.name}.label"
            write_predictions(file, known, self._classes)
            pose = np.eye(4) if scan.frame.world_T_sensor is None else scan.frame.world_T_sensor
            lines.append(" ".join(f"{v:.9g}" for v in pose[:3].reshape(-1)))
        write_text(folder / "calib.txt", "Tr: 1 0 0 0 0 1 0 0 0 0 1 0\n")
        if self._most is None:  # line k is of scan k
            write_text(folder / "poses.txt", "\n".join(lines) + "\n")

    def _write_queue(self, scans: list[PrelabelledScan]) -> None:
        with whole_text(self._out / QUEUE) as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("rank", "drive", "scan", "doubt", "objects", "why"))
            for rank, scan in enumerate(scans, 1):
                count = len(scan.frame.boxes)
                name = scan.frame.name
                table.writerow((rank, scan.drive, name, f"{scan.doubt:.3f}", count, scan.why))


def doubt_of(objects: Sequence[PanopticObject]) -> tuple[float, str]:
    """How many objects of a scan are expected to be wrong, and the worst of them in words.

    An object is wrong with what its score lacks to 1; without a score, as likely as not.
    """
    if not objects:
        return 0.0, "no objects"
    lack = [1 - (_UNKNOWN if one.score is None else one.score) for one in objects]
    if all(one.score is None for one in objects):
        return float(sum(lack)), f"{len(objects)} objects without a score"
    worst = objects[int(np.argmax(lack))]
    unsure = sum(1 for value in lack if value > _UNSURE)
    score = _UNKNOWN if worst.score is None else worst.score
    return float(sum(lack)), (
        f"{unsure} of {len(objects)} objects are unsure, the most {worst.class_name} {worst.id} "
        f"({score:.2f}) at {worst.distance_m:.0f} m"
    )


def _box_of(one: PanopticObject) -> ToolBox:
    return ToolBox(one.id, one.class_id, one.center_m, one.size_m, one.yaw_rad, one.score)


def _names(drives: Sequence[Drive]) -> list[str]:
    """A name for each drive; of those that share one, all but the first get a number."""
    seen: dict[str, int] = {}
    names = []
    for drive in drives:
        seen[drive.name] = seen.get(drive.name, 0) + 1
        again = seen[drive.name]
        names.append(drive.name if again == 1 else f"{drive.name}-{again}")
    return names
