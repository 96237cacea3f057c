"""Stanford `.ply` files: ascii and binary, the vertices only."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import Fields
from lidarpan.scans.text_table import check_end, check_head, check_last, number_table
from lidarpan.structures import InputError
from lidarpan.whole_file import whole_file

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "int64": "i8", "long": "i8", "longlong": "i8", "uint64": "u8", "ulong": "u8", "ulonglong": "u8",
    "half": "f2", "float16": "f2", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip


def read_ply(path: Path) -> Fields:
    """Read every scalar property of the vertices of a `.ply` file.

    Raises:
        InputError: no vertex element, list properties in or before it, or the data is cut off.
    """
    content = path.read_bytes()
    order, elements, start = _header(content, path)
    skipped = 0
    for name, count, properties in elements:
        if name != "vertex":
            skipped += count if order == "ascii" else count * _record(properties, order).itemsize
            continue
        dtype = _record(properties, "<" if order == "ascii" else order)
        if order == "ascii":
            if elements[-1][0] == "vertex":
                check_last(content, start, len(properties), "vertex", path)
            records = _ascii(content, start, skipped, count, dtype, path)
        else:
            body = memoryview(content)[start + skipped :]
            if len(body) < count * dtype.itemsize:
                raise InputError(
                    f"{path}: wanted {count} vertices of {dtype.itemsize} bytes, got "
                    f"{len(body)} bytes: the file is cut off"
                )
            if elements[-1][0] == "vertex":
                check_end(body[count * dtype.itemsize :], dtype.itemsize, count, path)
            records = np.frombuffer(body, dtype, count)
        return {name: records[name] for name in dtype.names or ()}
    raise InputError(f"{path}: wanted a vertex element, got {[name for name, _, _ in elements]}")


Element = tuple[str, int, list[tuple[str, str]]]


def _header(content: bytes, path: Path) -> tuple[str, list[Element], int]:
    """Byte order ("ascii", "<" or ">"), elements up to the vertices, and where the data starts."""
    ending = re.compile(rb"[\r\n]end_header[ \t]*(\r\n|\r|\n)").search(content)
    if not content.startswith(b"ply") or ending is None:
        raise InputError(f"{path}: wanted a .ply header from 'ply' to 'end_header', got none")
    end, start = ending.span()
    order, elements = "", list[Element]()
    for line in content[:end].decode("latin-1").splitlines():
        match line.split():
            case ["format", "ascii", *_]:
                order = "ascii"
            case ["format", "binary_little_endian", *_]:
                order = "<"
            case ["format", "binary_big_endian", *_]:
                order = ">"
            case ["element", name, count] if count.isascii() and count.isdigit():
                elements.append((name, int(count), []))
            case ["property", "list", *_] if elements and not _past_vertices(elements):
                raise InputError(
                    f"{path}: wanted plain properties, got {line.strip()!r}: write it without"
                )
            case ["property", _, name] if elements and name in dict(elements[-1][2]):
                raise InputError(f"{path}: wanted each property once, got {name!r} twice")
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1][2].append((name, _TYPES[kind]))
            case ["property", *_] if not elements or _past_vertices(elements):
                continue
            case ["property", *_]:
                raise InputError(
                    f"{path}: wanted properties of type {', '.join(_TYPES)}, got {line.strip()!r}"
                )
    if not order:
        raise InputError(f"{path}: wanted format ascii or binary in the .ply header, got neither")
    return order, elements, start


def _past_vertices(elements: list[Element]) -> bool:
    return any(name == "vertex" for name, _, _ in elements[:-1])


def _record(properties: list[tuple[str, str]], order: str) -> np.dtype[np.void]:
    return np.dtype([(name, order + kind) for name, kind in properties])


def _ascii(
    content: bytes, start: int, skipped: int, count: int, dtype: np.dtype[np.void], path: Path
) -> NDArray[np.void]:
    names = dtype.names or ()
    width = len(names)
    if not skipped:
        check_head(content, start, count, width, "vertex", path)
    text = str(memoryview(content)[start:], "latin-1")
    lines = text.splitlines()[skipped : skipped + count]
    if len(lines) < count:
        raise InputError(
            f"{path}: wanted {count} vertices of {width} values, got {len(lines)} lines: "
            "the file is cut off"
        )
    table = number_table(lines, width, "vertex", path)
    records = np.zeros(count, dtype)
    for column, name in enumerate(names):
        records[name] = table[:, column]
    return records


def write_ply(path: Path, columns: Fields, comments: list[str]) -> None:
    """Write vertices as a binary little-endian `.ply` file, whole or not at all.

    Args:
        path: the file.
        columns: property name -> (M,) values of a type that `.ply` knows.
        comments: lines for the header.
    """
    names = {numpy: ply for ply, numpy in reversed(_TYPES.items())}  # the first of each
    dtype = np.dtype([(name, column.dtype.newbyteorder("<")) for name, column in columns.items()])
    records = np.empty(len(next(iter(columns.values()))), dtype)
    for name, column in columns.items():
        records[name] = column
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {comment}" for comment in comments),
        f"element vertex {len(records)}",
        *(f"property {names[c.dtype.str[1:]]} {name}" for name, c in columns.items()),
        "end_header\n",
    ]
    with whole_file(path) as beside, beside.open("wb") as stream:
        stream.write("\n".join(lines).encode("ascii"))
        stream.write(records.tobytes())
