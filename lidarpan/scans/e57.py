"""ASTM E57 files -> the scans in them, each with its pose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.fields import Fields, FileFields
from lidarpan.scans.intensity import IntensityScale
from lidarpan.scans.numpy_files import wanted
from lidarpan.scans.recordings.transforms import matrix_of
from lidarpan.scans.source import Frame, column_frame, frame_path
from lidarpan.structures import InputError


@dataclass
class E57Source:
    """The scans of an E57 file, in the frame of the scanner that took each.

    Attributes:
        path: the file.
        num_frames: how many scans it holds.
        is_recording: always.

    Raises:
        InputError: no E57 file, damaged, without scans, or pye57 is not installed.
    """

    path: Path
    num_frames: int | None = field(init=False)
    is_recording: bool = True

    def __post_init__(self) -> None:
        self.num_frames = self._open().scan_count
        if not self.num_frames:
            raise InputError(f"{self.path}: no points: the file holds no scans")

    def _open(self) -> Any:
        with self.path.open("rb") as file:
            if file.read(8) != b"ASTM-E57":
                raise InputError(f"{self.path}: wanted an E57 file, got another one")
        pye57 = need("pye57", RECORDINGS)
        with wanted(f"{self.path}: wanted an E57 file"):
            return pye57.E57(str(self.path))

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The scans from number `start` on; a damaged one says so when it is loaded."""
        file = self._open()
        for number in range(start, self.num_frames or 0):
            path = frame_path(self.path, number)
            header = file.get_header(number)
            pose = None
            if header.has_pose():
                w, x, y, z = (float(value) for value in header.rotation)
                pose = matrix_of(np.asarray(header.translation), (x, y, z, w))
            yield column_frame(path, partial(_read, file, number, path), None, "", pose)


def _read(file: Any, number: int, path: Path) -> FileFields:
    with wanted(f"{path}: cannot be read"):
        columns = file.read_scan_raw(number)
        header = file.get_header(number)
        if "cartesianX" not in columns:  # spherical, or with a flag: the library turns it
            columns = file.read_scan(
                number, intensity=True, ignore_missing_fields=True, transform=False
            )
        scale = _intensity_range(header)
    fields: Fields = {axis.lower(): columns[f"cartesian{axis}"] for axis in "XYZ"}
    for name, ours in (("intensity", "intensity"), ("timeStamp", "time"), ("rowIndex", "ring")):
        if name in columns:
            fields[ours] = columns[name]
    if scale is not None and "intensity" in fields:
        low, high = scale
        given = fields["intensity"].astype(np.float64)
        fields["intensity"] = ((given - low) / (high - low)).astype(np.float32)
    invalid = columns.get("cartesianInvalidState")
    if invalid is not None:
        for axis in "xyz":
            fields[axis] = np.where(invalid == 0, fields[axis], np.nan)
    return FileFields(fields, scale=None if scale is None else IntensityScale(1.0))


def _intensity_range(header: Any) -> tuple[float, float] | None:
    """Lowest and highest intensity that the file states."""
    try:
        limits = header["intensityLimits"]
        low = float(limits["intensityMinimum"].value())
        high = float(limits["intensityMaximum"].value())
    except Exception:  # the file states none
        return None
    return (low, high) if high > low else None
