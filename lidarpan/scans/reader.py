"""Scan files of folders -> scans, with what is the same for all of a folder decided once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import FileFields, LoadedScan, intensity_values
from lidarpan.scans.files import count_points, empty_frame, read_file
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M
from lidarpan.scans.intensity import (
    IntensityScale,
    choose_scale,
    common_scale,
    contradicts,
    thinned,
)
from lidarpan.scans.merge import Part, merge
from lidarpan.scans.partners import Partners
from lidarpan.structures import InputError

_SAMPLE = 8
_Folder = tuple[Path, str, int]
_Group = tuple[_Folder, str]


class ScanReader:
    """Reads scans so that the intensities of a folder are all divided by the same number.

    The number is decided from up to eight scans spread over the folder, whichever of them are read,
    so that a run that is taken up again divides as the one before. A scan whose own values are
    plainly of another kind (bytes among fractions) keeps its own number and says so.

    Args:
        paths: the scans to come; what is not among them is read as `load_scan` does.
        columns: of headerless files, as in `check_letters`; None finds them out.
        partners: scans of other sensors that are merged into some of the paths'.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        columns: str | None = None,
        partners: Partners | None = None,
    ) -> None:
        self.columns = columns
        self.partners = partners or {}
        self._folders: dict[_Folder, list[Path]] = {}
        for path in paths:
            for sensor, file in enumerate([path, *(p.file for p in self.partners.get(path, ()))]):
                self._folders.setdefault(_folder(file, sensor), []).append(file)
        self._scales: dict[_Group, IntensityScale] = {}
        self._known: set[_Folder] = set()

    def load(self, path: Path, expected_height_m: float = EXPECTED_HEIGHT_M) -> LoadedScan:
        """Read one scan, merged with its partners; arguments and errors as `load_scan`."""
        partners = self.partners.get(path, ())
        files = [(path, np.eye(4)), *((p.file, p.first_T_file) for p in partners)]
        parts, said = [], []
        for sensor, (file, first_T_file) in enumerate(files):
            if partners and empty_frame(file) is not None:
                said.append(f"{file}: an empty file, left out")
                continue
            fields = read_file(file, self.columns)
            scale, more = self.scale_of(file, fields, sensor)
            parts.append(Part(fields, str(file), first_T_file, scale))
            said += more
        if not parts:
            raise InputError(f"{path}: wanted a scan, got empty files: leave them out")
        loaded = merge(parts, expected_height_m)
        return replace(
            loaded, scan=replace(loaded.scan, path=path), warnings=(*said, *loaded.warnings)
        )

    def count(self, path: Path) -> int:
        """How many points the file of a scan and those of its partners have, usable or not.

        Raises:
            InputError: as `load_scan`.
        """
        files = [path, *(partner.file for partner in self.partners.get(path, ()))]
        return sum(count_points(f, self.columns) for f in files if f.stat().st_size)

    def scale_of(
        self, path: Path, file: FileFields, sensor: int = 0
    ) -> tuple[IntensityScale | None, tuple[str, ...]]:
        """What to divide the intensity of a file by, and what there is to say about that.

        Args:
            path: of the file.
            file: what it holds.
            sensor: 0, or its place among the partners from 1 on.
        """
        found = intensity_values(file)
        if found is None:
            return None, ()
        folder = _folder(path, sensor)
        self._sample(folder)
        scale = self._scales.get(_group(folder, file, found[0]))
        if scale is None:
            return None, ()
        own = file.scale or choose_scale([found[1]])
        if contradicts(scale, own):
            said = (
                f"intensities of another kind than in the other scans of the folder: divided by "
                f"{own.divisor:g}, not {scale.divisor:g}"
            )
            return own, (said,)
        return scale, ()

    def _sample(self, key: _Folder) -> None:
        """Decide for a folder from some of its files."""
        if key in self._known or key not in self._folders:
            return
        self._known.add(key)
        paths = self._folders[key]
        values: dict[_Group, list[NDArray[np.generic]]] = {}
        for path in sampled(paths):
            try:
                file = read_file(path, self.columns)
            except InputError:
                continue  # said when it is its turn
            found = intensity_values(file)
            if found is None:
                continue
            group = _group(key, file, found[0])
            values.setdefault(group, []).append(thinned(found[1]))
            if file.scale is not None:
                self._scales.setdefault(group, file.scale)
        for group, parts in values.items():
            self._scales.setdefault(group, common_scale(parts))


def sampled(paths: Sequence[Path]) -> list[Path]:
    """The scans of one folder and suffix that decide what the intensities of all mean."""
    chosen = np.unique(np.linspace(0, len(paths) - 1, _SAMPLE).round().astype(int))
    return [paths[k] for k in chosen]


def _folder(path: Path, sensor: int) -> _Folder:
    """Files of one folder, format and sensor."""
    return path.parent, path.suffix.lower(), sensor


def _group(folder: _Folder, file: FileFields, column: str) -> _Group:
    """Those with the same columns share a scale."""
    return folder, f"{column} of {' '.join(file.fields)}"
