"""Scan files of folders -> scans, with what is the same for all of a folder decided once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import FileFields, LoadedScan, intensity_values, scan_of_fields
from lidarpan.scans.files import read_file
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, inspect_scan
from lidarpan.scans.intensity import (
    IntensityScale,
    choose_scale,
    common_scale,
    contradicts,
    thinned,
)
from lidarpan.structures import InputError

_SAMPLE = 8
_Group = tuple[Path, str, str]


class ScanReader:
    """Reads scans so that the intensities of a folder are all divided by the same number.

    The number is decided from up to eight scans spread over the folder, whichever of them are read,
    so that a run that is taken up again divides as the one before. A scan whose own values are
    plainly of another kind (bytes among fractions) keeps its own number and says so.

    Args:
        paths: the scans to come; what is not among them is read as `load_scan` does.
        columns: of headerless files, as in `check_letters`; None finds them out.
    """

    def __init__(self, paths: Iterable[Path], columns: str | None = None) -> None:
        self.columns = columns
        self._folders: dict[tuple[Path, str], list[Path]] = {}
        for path in paths:
            self._folders.setdefault((path.parent, path.suffix.lower()), []).append(path)
        self._scales: dict[_Group, IntensityScale] = {}
        self._known: set[tuple[Path, str]] = set()

    def load(self, path: Path, expected_height_m: float = EXPECTED_HEIGHT_M) -> LoadedScan:
        """Read one scan; arguments and errors as `load_scan`."""
        file = read_file(path, self.columns)
        scale, said = self.scale_of(path, file)
        loaded = scan_of_fields(file, str(path), expected_height_m, scale)
        more = (*said, *inspect_scan(loaded.scan, expected_height_m))
        scan = replace(loaded.scan, path=path)
        return LoadedScan(scan, loaded.valid, (*loaded.warnings, *more))

    def scale_of(
        self, path: Path, file: FileFields
    ) -> tuple[IntensityScale | None, tuple[str, ...]]:
        """What to divide the intensity of a file by, and what there is to say about that."""
        found = intensity_values(file)
        if found is None:
            return None, ()
        self._sample(path)
        scale = self._scales.get(_group(path, file, found[0]))
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

    def _sample(self, of: Path) -> None:
        """Decide for the folder of a file from some of its files."""
        key = (of.parent, of.suffix.lower())
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
            group = _group(path, file, found[0])
            values.setdefault(group, []).append(thinned(found[1]))
            if file.scale is not None:
                self._scales.setdefault(group, file.scale)
        for group, parts in values.items():
            self._scales.setdefault(group, common_scale(parts))


def sampled(paths: Sequence[Path]) -> list[Path]:
    """The scans of one folder and suffix that decide what the intensities of all mean."""
    chosen = np.unique(np.linspace(0, len(paths) - 1, _SAMPLE).round().astype(int))
    return [paths[k] for k in chosen]


def _group(path: Path, file: FileFields, column: str) -> _Group:
    """Files of one folder and format with the same columns share a scale."""
    return path.parent, path.suffix.lower(), f"{column} of {' '.join(file.fields)}"
