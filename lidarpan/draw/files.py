"""Scan files with the label files that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lidarpan.classes import DEFAULT_TABLE, ClassTable
from lidarpan.datasets.implied import implied_classes
from lidarpan.datasets.label_ids import read_named
from lidarpan.datasets.open import find_classes
from lidarpan.datasets.predictions import find_prediction
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.frame_paths import FramePaths
from lidarpan.scans.reader import ScanReader
from lidarpan.structures import PanopticLabels, Scan


@dataclass(frozen=True)
class Frames:
    """Scan files with the label files that belong to them, read when asked for.

    Attributes:
        scan_paths: the scans in order.
        classes: of the labels.
        labels: a label file (one scan), a folder of them, or None.
        truth: the same for true labels.
    """

    scan_paths: Sequence[Path]
    classes: ClassTable
    labels: Path | None = None
    truth: Path | None = None

    @classmethod
    def of(
        cls,
        scan_paths: Sequence[Path],
        classes: str | None,
        labels: Path | None = None,
        truth: Path | None = None,
    ) -> Frames:
        """Frames whose classes have a name; None takes what the first label file says.

        Raises:
            InputError: no such classes, or no label file of the first scan.
        """
        places = [place for place in (labels, truth) if place is not None]
        for place in places if classes is None else ():
            path = find_prediction(place, scan_paths[0]) if place.is_dir() else place
            classes = classes or implied_classes(path) if path.is_file() else classes
        return cls(scan_paths, find_classes(classes or DEFAULT_TABLE), labels, truth)

    @cached_property
    def reader(self) -> ScanReader | FramePaths:
        """Reads the scans."""
        paths = self.scan_paths
        return paths if isinstance(paths, FramePaths) else ScanReader(paths)

    def __len__(self) -> int:
        return len(self.scan_paths)

    def read(self, i: int) -> tuple[Scan, PanopticLabels | None, PanopticLabels | None]:
        """Scan i, its labels and its true labels.

        Raises:
            InputError: a file cannot be read, or has another number of labels than points.
        """
        loaded = self.reader.load(self.scan_paths[i])
        return loaded.scan, self._of(self.labels, i, loaded), self._of(self.truth, i, loaded)

    def _of(self, place: Path | None, i: int, loaded: LoadedScan) -> PanopticLabels | None:
        if place is None:
            return None
        path = find_prediction(place, self.scan_paths[i]) if place.is_dir() else place
        return loaded.labels_of(read_named(path, self.classes), path)
