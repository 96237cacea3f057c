"""ASPRS `.las` and `.laz` files."""

from __future__ import annotations

import datetime
import struct
from pathlib import Path

import numpy as np

from lidarpan.optional import need
from lidarpan.scans.fields import Fields
from lidarpan.scans.laz_process import decode_laz, read_with_laspy
from lidarpan.scans.numpy_files import wanted
from lidarpan.structures import InputError
from lidarpan.whole_file import whole_file

_MAX_POINTS_A_BYTE = 8  # real scans have a tenth of a point a byte
_MAX_CHUNK_BYTES = 64 << 20
_MAX_RECORDS = 1 << 20


def read_las(path: Path) -> Fields:
    """Read x, y, z (scaled, float64), intensity, gps_time and extra bytes of a `.las` or `.laz`.

    Raises:
        InputError: not such a file, damaged, or cut off.
    """
    need("laspy", "las", f"{path}:")
    is_compressed, num_bytes = _check_header(path)
    if is_compressed:
        return decode_laz(path, num_bytes)
    with wanted(f"{path}: wanted a .las or .laz file"):
        return read_with_laspy(path)


def _check_header(path: Path) -> tuple[bool, int]:
    """Refuse counts that the file is too small for; whether the points are compressed, and bytes.

    Offsets as in the LAS 1.4 specification, section 2.4 (public header block).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(375)
    if not head.startswith(b"LASF") or len(head) < 227:
        raise InputError(f"{path}: wanted a .las or .laz file, got no LASF header")
    start, num_records, point_format, width, count = struct.unpack_from("<IIBHI", head, 96)
    num_extended = 0
    if (head[24], head[25]) >= (1, 4) and len(head) >= 255:
        num_extended, count = struct.unpack_from("<IQ", head, 243)
    is_compressed = point_format >= 128
    scales = struct.unpack_from("<3d", head, 131)
    if not all(np.isfinite(scale) and scale > 0 for scale in scales):
        raise InputError(f"{path}: wanted scales of x y z above 0, got {scales}: damaged")
    if is_compressed:
        _check_chunks(path, start, size, count)
        _check_chunk_size(path, start, width, count)
    needed = start + (count // _MAX_POINTS_A_BYTE if is_compressed else count * width)
    if max(needed, 54 * num_records, 60 * num_extended) > size:
        raise InputError(
            f"{path}: wanted {count} points of {width} bytes from byte {start} on, "
            f"got {size} bytes: cut off or damaged"
        )
    return is_compressed, count * width


def write_las(path: Path, columns: Fields) -> None:
    """Write x, y, z (steps of 0.1 mm), intensity in [0, 1] (as 0..65535) and time as LAS 1.4.

    The suffix decides whether the points are compressed; the file is whole or absent.

    Args:
        path: `.las` or `.laz`.
        columns: (M,) values by name.
    """
    laspy = need("laspy", "las", f"{path}:")

    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales = np.full(3, 1e-4)
    header.offsets = np.zeros(3)
    header.creation_date = datetime.date(2000, 1, 1)  # the same scan gives the same bytes
    las = laspy.LasData(header)
    las.x, las.y, las.z = (np.asarray(columns[axis], np.float64) for axis in "xyz")
    bright = np.asarray(columns["intensity"], np.float64)
    las.intensity = np.round(np.clip(bright, 0, 1) * 65535).astype(np.uint16)
    if "time" in columns:
        las.gps_time = np.asarray(columns["time"], np.float64)
    with whole_file(path) as beside, beside.open("wb") as stream:
        las.write(stream, do_compress=path.suffix.lower() == ".laz")


def _check_chunk_size(path: Path, start: int, width: int, count: int) -> None:
    """Refuse chunks far larger than all points: the decoder makes room for a whole one.

    Their size stands in the record that LASzip leaves before the points, -1 where it varies.
    """
    with path.open("rb") as file:
        records = file.read(min(start, _MAX_RECORDS))
    place = records.find(b"laszip encoded\0\0")
    if place < 0 or len(records) < place + 68:
        return  # the decoder says so
    (size,) = struct.unpack_from("<I", records, place + 64)
    if size < 0xFFFFFFFF and size > count and size * width > _MAX_CHUNK_BYTES:
        raise InputError(
            f"{path}: wanted chunks of no more than its {count} points, got {size}: damaged"
        )


def _check_chunks(path: Path, start: int, size: int, count: int) -> None:
    """Refuse a table of more chunks than there are points: the decoder makes room for them all.

    The points begin with the table's place, eight bytes, -1 for the end of the file; the table with
    its version and the number of chunks (LASzip, "LASzip: lossless compression of LiDAR data").
    """
    with path.open("rb") as file:
        file.seek(start)
        place = file.read(8)
        table = struct.unpack("<q", place)[0] if len(place) == 8 else -2
        if table == -1 and size >= start + 16:
            file.seek(size - 8)
            table = struct.unpack("<q", file.read(8))[0]
        if not start + 8 <= table <= size - 8:
            raise InputError(
                f"{path}: wanted a table of chunks in the file, got it at byte {table}"
            )
        file.seek(table)
        num_chunks = struct.unpack("<II", file.read(8))[1]
    if num_chunks > max(count, 1):
        raise InputError(
            f"{path}: wanted at most {count} chunks for as many points, got {num_chunks}: damaged"
        )
