"""Any scan file as a Scan: KITTI and nuScenes binaries, .pcd, .ply, .npy, .las, tables ..."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.errors import InputError, readable
from lidarpan.scans.arrays import archive_fields, array_fields
from lidarpan.scans.columns import read_columns
from lidarpan.scans.fields import Fields, FileFields, LoadedScan, scan_of_fields
from lidarpan.scans.find import PANDASET, SUFFIXES, TEXT, find_scans, not_a_scan
from lidarpan.scans.headerless import check_width, find_layout, name_columns, read_numbers
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, inspect_scan
from lidarpan.scans.intensity import IntensityScale, bytes_or_fractions
from lidarpan.scans.las import read_las
from lidarpan.scans.numpy_files import read_array
from lidarpan.scans.pandaset import read_pandaset
from lidarpan.scans.pcd import read_pcd, read_viewpoint
from lidarpan.scans.ply import read_ply
from lidarpan.scans.text import read_text
from lidarpan.structures import Scan

__all__ = ["LoadedScan", "find_scans", "inspect_scan", "load_scan", "read_scan"]

_log = logging.getLogger("lidarpan")

_NAMED = (".pcd", ".ply", ".las", ".laz", ".feather", ".parquet")

_MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd archive: unpack it first",
    b"\xfd7zXZ\x00": "an xz archive: unpack it first",
    b"BZh": "a bzip2 archive: unpack it first",
    b"#ROSBAG": "a ROS bag",
}


def read_scan(path: str | Path) -> Scan:
    """Read a scan file; points that are NaN, infinite or no returns are left out.

    Raises:
        InputError: as `load_scan`.
    """
    return load_scan(path).scan


def load_scan(
    path: str | Path,
    expected_height_m: float = EXPECTED_HEIGHT_M,
    columns: str | None = None,
    scale: IntensityScale | None = None,
) -> LoadedScan:
    """Read a scan file and remember which of its points were usable.

    The format follows from the suffix. Intensity is scaled to [0, 1]; `.pcd.bin` files are turned
    from nuScenes' axes (x right, y forward) to x forward, y left. `ScanReader` decides for all
    scans of a folder what this function decides for one.

    Args:
        path: the file.
        expected_height_m: sensor height above ground that the warnings compare with, metres.
        columns: of a headerless file, as in `check_letters`; None finds them out.
        scale: what to divide the intensity by; None finds it out.

    Raises:
        InputError: no such file, an unknown or damaged format, or no usable point.
    """
    path = Path(path)
    loaded = scan_of_fields(read_file(path, columns), str(path), expected_height_m, scale)
    said = inspect_scan(loaded.scan, expected_height_m)
    scan = replace(loaded.scan, path=path)
    return replace(loaded, scan=scan, warnings=(*loaded.warnings, *said))


def read_fields(path: Path) -> Fields:
    """Read the named columns of a scan file, in the axes of a Scan; InputError as `load_scan`."""
    return read_file(path).fields


def read_file(path: Path, columns: str | None = None) -> FileFields:
    """Read what a scan file holds, in the axes of a Scan; arguments and errors as `load_scan`."""
    if path.is_dir():
        raise InputError(f"{path}: wanted a scan file, got a folder")
    if not path.is_file():
        raise InputError(f"{path}: no such file: check the path")
    if not path.stat().st_size:
        raise InputError(
            f"{path}: wanted a scan, got an empty file: fetch it again or leave it out"
        )
    with readable(path):
        file = _read_file(path, columns)
    if columns is not None and path.suffix.lower() in _NAMED:
        told = f"--columns passed over: a {path.suffix} file names its columns"
        return replace(file, warnings=(*file.warnings, told))
    return file


def empty_frame(path: Path) -> LoadedScan | None:
    """The scan without points that an empty file is, None for any other file.

    Recorders write such files where a frame was lost: a film goes on past it.
    """
    if not path.is_file() or path.stat().st_size:
        return None
    nothing = Scan(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), path=path)
    return LoadedScan(nothing, np.zeros(0, np.bool_), ("an empty file: a frame without points",))


def all_empty(paths: Sequence[Path]) -> bool:
    """Whether every file is there and holds not a byte: then no frame was lost, all are wrong."""
    return all(path.is_file() and not path.stat().st_size for path in paths)


def with_points(paths: Sequence[Path]) -> Sequence[Path]:
    """The scan files but for empty ones among others: a film goes on past a lost frame."""
    kept = [path for path in paths if not path.is_file() or path.stat().st_size]
    if not kept or len(kept) == len(paths):
        return paths
    for path in (path for path in paths if path not in set(kept)):
        _log.warning("%s: an empty file: a frame without points, passed over", path)
    return kept


def count_points(path: Path, columns: str | None = None) -> int:
    """How many points a scan file has, usable or not; arguments and errors as `load_scan`."""
    fields = read_file(path, columns).fields
    return len(next(iter(fields.values()))) if fields else 0


def _read_file(path: Path, columns: str | None) -> FileFields:
    if path.name.lower().endswith(PANDASET):
        return read_pandaset(path)
    with path.open("rb") as file:
        head = file.read(8)
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"{path}: wanted a scan ({SUFFIXES}), got {what}")
    if path.suffix.lower() == ".bin":
        is_nuscenes = path.name.lower().endswith(".pcd.bin") and columns is None
        return _nuscenes_bin(path) if is_nuscenes else _headerless(path, columns)
    match path.suffix.lower():
        case ".pcd":
            return FileFields(read_pcd(path), world_T_sensor=read_viewpoint(path))
        case ".ply":
            return FileFields(read_ply(path))
        case ".npy":
            return array_fields(read_array(path), path, columns)
        case ".npz":
            return archive_fields(path, columns)
        case ".las" | ".laz":
            return FileFields(read_las(path))
        case ".feather" | ".parquet":
            return FileFields(read_columns(path))
        case suffix if suffix in TEXT:
            return read_text(path, columns)
        case _:
            raise InputError(f"{path}: {not_a_scan(path)}")


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


def _nuscenes_bin(path: Path) -> FileFields:
    rows = _floats(path, 5, "x y z intensity ring")
    check_width(rows.reshape(-1), 5, str(path))
    x, y, z, intensity, ring = rows.T
    scale = bytes_or_fractions(intensity)
    fields: Fields = {"x": y, "y": -x, "z": z, "intensity": intensity, "ring": ring}
    return FileFields(fields, scale=scale)


def _doubts(rows: NDArray[np.float32], path: Path) -> tuple[str, ...]:
    """What to say where the caller names columns that are plainly not as many as there are."""
    try:
        check_width(rows.reshape(-1), rows.shape[1], str(path))
    except InputError:
        told = (
            f"the numbers do not look like points of {rows.shape[1]} columns: is --columns right?"
        )
        return (told,)
    return ()


def _headerless(path: Path, columns: str | None) -> FileFields:
    """Rows of float32, as many to a point as the caller says or as make sense of them."""
    size = path.stat().st_size
    if columns is not None:
        rows = _floats(path, len(columns), " ".join(columns))
        return FileFields(name_columns(rows, columns)[0], _doubts(rows, path))
    if size % 4:
        _floats(path, 4, "x y z intensity")
    flat, said = read_numbers(path)
    layout = find_layout(flat, str(path))
    fields, letters = name_columns(layout.rows(flat))
    warnings = [said] if said else []
    if layout.is_planar or letters not in ("xyzi", "xyzir"):
        order = ", all x first, then all y and so on" if layout.is_planar else ""
        warnings.append(f"taken for {layout.num_columns} columns {letters}{order} (see --columns)")
    return FileFields(fields, tuple(warnings))
