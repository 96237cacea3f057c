"""The objects of a run, collected scan by scan and written when it ends."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lidarpan.classes import ClassTable
from lidarpan.datasets.boxes import (
    ScanObjects,
    check_objects_file,
    write_kitti,
    write_nuscenes,
    write_objects,
)
from lidarpan.inference.job import Prediction
from lidarpan.whole_file import check_output, refuse_inputs_as_outputs


class ObjectFiles:
    """What `predict` writes beside the labels: one list of objects, and boxes for other tools.

    Args:
        out: folder of the labels; boxes go to `boxes` in it.
        file: the list, .json or .csv, or None.
        boxes: "kitti", "nuscenes", or None.
        inputs: the scans, which the list may not replace.

    Raises:
        InputError: the list has another suffix, or would replace a scan or another file.
    """

    def __init__(
        self, out: Path, file: Path | None, boxes: str | None, inputs: Iterable[Path] = ()
    ) -> None:
        if file is not None:
            check_objects_file(file)
            refuse_inputs_as_outputs([file], inputs)
            mark = '"objects"' if file.suffix.lower() == ".json" else "distance_m"
            check_output(file, file.suffix.lower(), mark)
        self._out, self._file, self._boxes = out, file, boxes
        self._scans: list[ScanObjects] = []

    @property
    def is_wanted(self) -> bool:
        """Whether anything will be written."""
        return self._file is not None or self._boxes is not None

    def add(self, result: Prediction) -> None:
        """Take the objects of a scan; KITTI's file is written at once."""
        if result.objects is None:
            return
        if self._boxes == "kitti":
            inside = result.path.relative_to(self._out)
            write_kitti(self._out / "boxes" / inside.with_suffix(".txt"), result.objects)
        turned = None if result.turn is None else result.turn.rotation
        pose = result.world_T_sensor
        self._scans.append(ScanObjects(str(result.scan_path), result.objects, None, pose, turned))

    def write(self, classes: ClassTable) -> list[str]:
        """Write the lists; returns what was written where, a line each."""
        lines = []
        if self._file is not None:
            write_objects(self._file, self._scans)
            total = sum(len(scan.objects) for scan in self._scans)
            lines.append(f"{total} objects listed: {self._file}")
        if self._boxes == "kitti":
            lines.append(f"boxes as KITTI writes them: {self._out / 'boxes'}")
        if self._boxes == "nuscenes":
            path = self._out / "boxes" / "results_nusc.json"
            unplaced = write_nuscenes(path, self._scans, classes)
            said = f" ({unplaced} scans without token or pose: in the sensor's frame)"
            lines.append(f"boxes as nuScenes wants them: {path}{said if unplaced else ''}")
        return lines
