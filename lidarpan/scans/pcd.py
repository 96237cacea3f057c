"""Point Cloud Library `.pcd` files: ascii, binary and binary_compressed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import Fields
from lidarpan.scans.numpy_files import check_expansion
from lidarpan.scans.rotations import rotation
from lidarpan.scans.text_table import check_end, check_head, check_last, number_table
from lidarpan.structures import InputError
from lidarpan.whole_file import whole_file

_MAX_HEADER = 1 << 16


def read_pcd(path: Path) -> Fields:
    """Read every field of a `.pcd` file, version 0.7 or earlier.

    Raises:
        InputError: the header is incomplete, or the data is shorter or longer than it says.
    """
    content = path.read_bytes()
    header, start = _header(content, path)
    try:
        num_points = _num_points(header)
        dtype = _record(header)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: wanted a .pcd header with FIELDS SIZE TYPE POINTS DATA, got {error}"
        ) from None
    match [word.lower() for word in header["DATA"]]:
        case ["ascii"]:
            return _ascii(content, start, dtype, num_points, path)
        case ["binary"]:
            return _binary(memoryview(content)[start:], dtype, num_points, path)
        case ["binary_compressed"]:
            return _compressed(memoryview(content)[start:], dtype, num_points, path)
        case _:
            raise InputError(
                f"{path}: wanted DATA ascii, binary or binary_compressed, "
                f"got {' '.join(header['DATA'])!r}"
            )


def read_viewpoint(path: Path) -> NDArray[np.float64] | None:
    """The (4, 4) pose that VIEWPOINT (x y z, quaternion w x y z) gives, None for the identity."""
    with path.open("rb") as stream:
        header, _ = _header(stream.read(_MAX_HEADER), path)
    words = header.get("VIEWPOINT", [])
    try:
        x, y, z, qw, qx, qy, qz = (float(word) for word in words)
    except ValueError:
        return None
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    length = np.linalg.norm([qw, qx, qy, qz])
    if not np.isfinite(pose).all() or not np.isfinite(length) or length == 0:
        return None
    pose[:3, :3] = rotation(np.array([qw, qx, qy, qz]) / length)
    return None if np.allclose(pose, np.eye(4)) else pose


def _num_points(header: dict[str, list[str]]) -> int:
    """POINTS, or WIDTH x HEIGHT of files without; ValueError where they differ or are below 0."""
    points = int(header["POINTS"][0]) if "POINTS" in header else None
    size = None
    if "WIDTH" in header:
        size = int(header["WIDTH"][0]) * int(header.get("HEIGHT", ["1"])[0])
    count = size if points is None else points
    if count is None:
        raise KeyError("POINTS")
    if count < 0 or (size is not None and size != count):
        raise ValueError(f"POINTS {points}, WIDTH x HEIGHT {size}")
    return count


def _header(content: bytes, path: Path) -> tuple[dict[str, list[str]], int]:
    header: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in header:
        end = content.find(b"\n", start, start + _MAX_HEADER)
        if end < 0 or start > _MAX_HEADER:
            raise InputError(f"{path}: wanted a .pcd header that ends in DATA, got none: cut off?")
        words = content[start:end].decode("latin-1").split()
        if words and not words[0].startswith("#"):
            name = words[0].upper()
            header["FIELDS" if name == "COLUMNS" else name] = words[1:]  # before version 0.7
        start = end + 1
    return header, start


def _record(header: dict[str, list[str]]) -> np.dtype[np.void]:
    """The record of one point; a field of count n gets n columns, padding fields their own."""
    fields, sizes, types = header["FIELDS"], header["SIZE"], header["TYPE"]
    counts = header.get("COUNT", ["1"] * len(fields))
    kinds = {"F": "f", "I": "i", "U": "u"}
    if any(int(count) < 1 for count in counts):
        raise ValueError(f"COUNT {' '.join(counts)}")
    columns: list[tuple[str, str, tuple[int, ...]]] = []
    rows = zip(fields, sizes, types, counts, strict=True)
    for i, (name, size, kind, count) in enumerate(rows):
        unique = name if name != "_" and name not in fields[:i] else f"{name}{i}"
        shape = () if count == "1" else (int(count),)
        columns.append((unique, f"<{kinds[kind.upper()]}{size}", shape))
    return np.dtype(columns)


def _columns(records: NDArray[np.void]) -> Fields:
    names = records.dtype.names or ()
    return {name: records[name] for name in names if records[name].ndim == 1}


def _short(path: Path, wanted: object, got: object) -> InputError:
    return InputError(f"{path}: wanted {wanted}, got {got}: the file is cut off")


def _ascii(
    content: bytes, start: int, dtype: np.dtype[np.void], num_points: int, path: Path
) -> Fields:
    widths = {name: int(np.prod(dtype[name].shape)) for name in dtype.names or ()}
    width = sum(widths.values())
    check_last(content, start, width, "point", path)
    check_head(content, start, num_points, width, "point", path)
    num_breaks = content.count(b"\n", start) + content.count(b"\r", start)
    if num_breaks + 1 < num_points or num_breaks > 4 * num_points + 1000:  # before they are cut up
        raise InputError(f"{path}: wanted {num_points} lines below DATA, got {num_breaks}")
    text = str(memoryview(content)[start:], "latin-1")
    lines = [line for line in text.splitlines() if line and not line.isspace()]
    if len(lines) < num_points:
        raise _short(path, f"{num_points} lines below DATA", f"{len(lines)}")
    if len(lines) > num_points:
        raise InputError(f"{path}: wanted {num_points} lines below DATA, got {len(lines)}")
    table = number_table(lines, width, "point", path)
    records = np.zeros(num_points, dtype)
    column = 0
    with np.errstate(invalid="ignore"):
        for name, count in widths.items():
            if not dtype[name].shape:
                records[name] = table[:, column]
            column += count
    return _columns(records)


def _binary(body: memoryview, dtype: np.dtype[np.void], num_points: int, path: Path) -> Fields:
    if len(body) < num_points * dtype.itemsize:
        raise _short(path, f"{num_points} points of {dtype.itemsize} bytes", f"{len(body)} bytes")
    check_end(body[num_points * dtype.itemsize :], dtype.itemsize, num_points, path)
    return _columns(np.frombuffer(body, dtype, num_points))


def _compressed(body: memoryview, dtype: np.dtype[np.void], num_points: int, path: Path) -> Fields:
    """Field after field, LZF-compressed behind two uint32 byte counts."""
    if len(body) < 8:
        raise _short(path, "two sizes below DATA", f"{len(body)} bytes")
    packed, unpacked = (int(size) for size in np.frombuffer(body, "<u4", 2))
    if len(body) < 8 + packed or unpacked != num_points * dtype.itemsize:
        raise _short(
            path,
            f"{packed} bytes that unpack to {num_points * dtype.itemsize}",
            f"{len(body) - 8} bytes for {unpacked}",
        )
    check_expansion(packed, unpacked, path)
    check_end(body[8 + packed :], 8, num_points, path)
    data = decompress_lzf(bytes(body[8 : 8 + packed]), unpacked)
    if len(data) != unpacked:
        raise _short(path, f"{unpacked} bytes", f"{len(data)} after decompression")
    fields: Fields = {}
    start = 0
    for name in dtype.names or ():
        column = dtype[name]
        if not column.shape:
            fields[name] = np.frombuffer(data, column, num_points, start)
        start += num_points * column.itemsize
    return fields


def decompress_lzf(data: bytes, size: int) -> bytes:
    """Unpack an LZF stream (format as in LibLZF by Marc Lehmann) of `size` bytes.

    A control byte below 32 is followed by that many literals plus one; above, its upper three bits
    are a length (7: plus the next byte) and the rest with the next byte a distance backwards.
    A damaged stream yields fewer bytes.
    """
    out = bytearray()
    i, end = 0, len(data)
    while i < end and len(out) < size:
        control = data[i]
        i += 1
        if control < 32:
            out += data[i : i + control + 1]
            i += control + 1
            continue
        length = control >> 5
        if length == 7 and i < end:
            length += data[i]
            i += 1
        if i >= end:
            break
        distance = ((control & 31) << 8) + data[i] + 1
        i += 1
        start, length = len(out) - distance, length + 2
        if start < 0:
            break
        if distance >= length:
            out += out[start : start + length]
        else:
            repeats = -(-length // distance)
            out += (out[start:] * repeats)[:length]
    return bytes(out)


def write_pcd(path: Path, columns: Fields) -> None:
    """Write columns as a binary `.pcd` file of version 0.7, whole or not at all.

    Args:
        path: the file.
        columns: field name -> (M,) values.
    """
    dtype = np.dtype([(name, c.dtype.newbyteorder("<")) for name, c in columns.items()])
    records = np.empty(len(next(iter(columns.values()))), dtype)
    for name, column in columns.items():
        records[name] = column
    kinds = {"f": "F", "i": "I", "u": "U"}
    count = len(records)
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        f"FIELDS {' '.join(columns)}",
        f"SIZE {' '.join(str(c.dtype.itemsize) for c in columns.values())}",
        f"TYPE {' '.join(kinds[c.dtype.kind] for c in columns.values())}",
        f"COUNT {' '.join('1' for _ in columns)}",
        f"WIDTH {count}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {count}",
        "DATA binary\n",
    ]
    with whole_file(path) as beside, beside.open("wb") as stream:
        stream.write("\n".join(lines).encode("ascii"))
        stream.write(records.tobytes())
