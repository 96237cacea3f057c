"""Any scan file as a Scan: KITTI and nuScenes binaries, .pcd, .ply, .npy, .las, tables ..."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.columns import read_columns
from lidarpan.scans.fields import Fields, LoadedScan, scan_of_fields
from lidarpan.scans.find import SUFFIXES, find_scans
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, inspect_scan
from lidarpan.scans.las import read_las
from lidarpan.scans.numpy_files import read_array, read_arrays
from lidarpan.scans.pcd import read_pcd
from lidarpan.scans.ply import read_ply
from lidarpan.structures import InputError, Scan

__all__ = ["LoadedScan", "find_scans", "inspect_scan", "load_scan", "read_scan"]

_MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
    b"#ROSBAG": "a ROS bag",
}
_POINTS_KEYS = ("points", "xyz", "coord", "data", "arr_0")


def read_scan(path: str | Path) -> Scan:
    """Read a scan file; points that are NaN, infinite or no returns are left out.

    Raises:
        InputError: as `load_scan`.
    """
    return load_scan(path).scan


def load_scan(path: str | Path, expected_height_m: float = EXPECTED_HEIGHT_M) -> LoadedScan:
    """Read a scan file and remember which of its points were usable.

    The format follows from the suffix. Intensity from 0..255 or 0..65535 is scaled to [0, 1];
    `.pcd.bin` files are turned from nuScenes' axes (x right, y forward) to x forward, y left.

    Args:
        path: the file.
        expected_height_m: sensor height above ground that the warnings compare with, metres.

    Raises:
        InputError: no such file, an unknown or damaged format, or no usable point.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: wanted a scan file, got a folder")
    if not path.is_file():
        raise InputError(f"{path}: no such file: check the path")
    if not path.stat().st_size:
        raise InputError(
            f"{path}: wanted a scan, got an empty file: fetch it again or leave it out"
        )
    try:
        loaded = scan_of_fields(read_fields(path), str(path), expected_height_m)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    said = inspect_scan(loaded.scan, expected_height_m)
    return LoadedScan(replace(loaded.scan, path=path), loaded.valid, (*loaded.warnings, *said))


def read_fields(path: Path) -> Fields:
    """Read the named columns of a scan file, in the axes of a Scan. Raises InputError."""
    with path.open("rb") as file:
        head = file.read(8)
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"{path}: wanted a scan ({SUFFIXES}), got {what}")
    match path.suffix.lower():
        case ".bin" if path.name.lower().endswith(".pcd.bin"):
            return _nuscenes_bin(path)
        case ".bin":
            return _kitti_bin(path)
        case ".pcd":
            return read_pcd(path)
        case ".ply":
            return read_ply(path)
        case ".npy":
            return array_fields(read_array(path), path)
        case ".npz":
            return _archive_fields(read_arrays(path), path)
        case ".las" | ".laz":
            return read_las(path)
        case ".feather" | ".parquet":
            return read_columns(path)
        case suffix:
            raise InputError(f"{path}: wanted a scan ({SUFFIXES}), got {suffix or 'no suffix'}")


def _floats(path: Path, width: int, meaning: str) -> NDArray[np.float32]:
    """The (M, width) float32 rows of a headerless file."""
    size = path.stat().st_size
    if size % (4 * width):
        raise InputError(
            f"{path}: wanted {width} float32 per point ({meaning}), got {size} bytes, which is "
            f"{size // (4 * width)} points and {size % (4 * width)} bytes more: "
            "cut off, or of another format"
        )
    return np.fromfile(path, np.float32).reshape(-1, width)


def _nuscenes_bin(path: Path) -> Fields:
    rows = _floats(path, 5, "x y z intensity ring")
    x, y, z, intensity, ring = rows.T
    return {"x": y, "y": -x, "z": z, "intensity": _bytes_to_unit(intensity), "ring": ring}


def _bytes_to_unit(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale by 255: nuScenes intensity is 0..255 whatever the scan's maximum."""
    scaled: NDArray[np.float32] = intensity / np.float32(255.0)
    return scaled


def _kitti_bin(path: Path) -> Fields:
    """Four floats per point, or five where only five make sense of the bytes."""
    size = path.stat().st_size
    if size % 20 == 0 and (size % 16 or not _plausible(_floats(path, 4, ""))):
        five = _floats(path, 5, "")
        if _plausible(five):
            x, y, z, intensity, ring = five.T
            return {"x": x, "y": y, "z": z, "intensity": intensity, "ring": ring}
    rows = _floats(path, 4, "x y z intensity")
    x, y, z, intensity = rows.T
    return {"x": x, "y": y, "z": z, "intensity": intensity}


def _plausible(rows: NDArray[np.float32]) -> bool:
    """Whether column 3 may be an intensity: hardly ever negative."""
    return float(np.mean(rows[:1000, 3] < 0)) < 0.01


def _archive_fields(archive: dict[str, NDArray[Any]], path: Path) -> Fields:
    keys = list(archive)
    key = next((key for key in _POINTS_KEYS if key in keys), None)
    if key is None and not {"x", "y", "z"} <= set(keys):
        wanted = ", ".join(_POINTS_KEYS)
        raise InputError(f"{path}: wanted one of the keys {wanted}, got {', '.join(keys)}")
    fields = {} if key is None else array_fields(archive[key], path)
    num_points = len(fields["x"] if fields else archive["x"])
    others = {k: v.reshape(-1) for k, v in archive.items() if k != key and v.size == num_points}
    return fields | others


def array_fields(array: NDArray[Any], path: Path | str) -> Fields:
    """A structured array, or rows of x y z and perhaps intensity."""
    if array.dtype.names:
        return {name: array[name].reshape(-1) for name in array.dtype.names}
    if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] < 3:
        hint = ": transpose it" if array.ndim == 2 and array.shape[0] in (3, 4, 5) else ""
        raise InputError(
            f"{path}: wanted an (N, 3 or more) array of x y z [intensity], "
            f"got {array.shape} {array.dtype}{hint}"
        )
    return dict(zip(("x", "y", "z", "intensity"), array.T, strict=False))
