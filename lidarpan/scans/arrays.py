"""Arrays of numpy's files, or of a caller -> named columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lidarpan.errors import InputError
from lidarpan.scans.fields import Fields, FileFields
from lidarpan.scans.headerless import MAX_COLUMNS, name_columns
from lidarpan.scans.numpy_files import ArrayHeader, array_headers, read_arrays

_POINTS_KEYS = (
    "points", "xyz", "coord", "coords", "coordinates", "pos", "position", "positions", "data",
    "arr_0",
)  # fmt: skip
_MIN_COLUMN = 100
_USUAL_LETTERS = ("xyz", "xyzi", "xyzir")
"""What columns most often are, so that nothing need be said of them."""


def array_fields(array: NDArray[Any], origin: str | Path, letters: str | None = None) -> FileFields:
    """A structured array, or rows of x y z and perhaps others, as columns.

    Args:
        array: (N,) records, or (N, 3 or more) numbers.
        origin: what to call it in errors.
        letters: of the columns, as in `check_letters`; None finds them out.

    Raises:
        InputError: anything else.
    """
    if array.dtype.names:
        return FileFields(_record_fields(array))
    is_flat = array.ndim == 2 and len(array) <= MAX_COLUMNS and array.shape[1] > max(len(array), 12)
    is_rows = array.ndim == 2 and 3 <= array.shape[1] <= MAX_COLUMNS and not is_flat
    if array.dtype.kind not in "fiu" or not is_rows:
        hint = ": transpose it" if is_flat or (array.ndim == 2 and len(array) in (3, 4, 5)) else ""
        if array.ndim > 2 and 3 <= array.shape[-1] <= MAX_COLUMNS:
            hint = f": make rows of it by reshape(-1, {array.shape[-1]})"
        raise InputError(
            f"{origin}: wanted an (N, 3 or more) array of x y z [intensity], "
            f"got {array.shape} {array.dtype}{hint}"
        )
    if letters is not None and len(letters) != array.shape[1]:
        raise InputError(f"{origin}: wanted {len(letters)} columns {letters}, got {array.shape[1]}")
    fields, found = name_columns(array, letters)
    is_said = letters is None and found not in _USUAL_LETTERS
    return FileFields(fields, (f"taken for columns {found} (see --columns)",) if is_said else ())


def _record_fields(records: NDArray[Any]) -> Fields:
    """Columns of records; three numbers under a name of points are x, y and z."""
    fields: Fields = {}
    for name in records.dtype.names or ():
        column = records[name]
        if column.shape == (len(records), 3) and name.lower() in _POINTS_KEYS:
            fields |= {axis: column[:, k] for k, axis in enumerate("xyz")}
        else:
            fields[name] = column.reshape(-1)
    return fields


def archive_fields(path: Path, letters: str | None = None) -> FileFields:
    """The points of an `.npz` file and the columns beside them; arguments as `array_fields`."""
    headers = array_headers(path)
    key, said = _find_points(headers, path)
    if key is None:
        arrays = read_arrays(path, lambda name: headers[name].size == _length(headers))
        return FileFields({name: array.reshape(-1) for name, array in arrays.items()})
    num_points = (*headers[key].shape, 0)[0]
    arrays = read_arrays(path, lambda name: name == key or headers[name].size == num_points)
    points = array_fields(arrays[key], path, letters)
    others: Fields = {
        name: array.reshape(-1)
        for name, array in arrays.items()
        if name != key and name not in points.fields
    }
    return FileFields(points.fields | others, (*said, *points.warnings, *_left_out(headers, key)))


def _left_out(headers: Mapping[str, ArrayHeader], key: str) -> list[str]:
    """What to say of long columns that do not have a value for each point."""
    count = headers[key].shape[0]
    return [
        f"{name!r} left out: {header.size} values for {count} points"
        for name, header in headers.items()
        if name != key
        and len(header.shape) == 1
        and header.size != count
        and header.size > max(_MIN_COLUMN, count // 2)
    ]


def _length(headers: Mapping[str, ArrayHeader]) -> int:
    return next(header.size for name, header in headers.items() if name.lower() == "x")


def _find_points(
    headers: Mapping[str, ArrayHeader], path: Path
) -> tuple[str | None, tuple[str, ...]]:
    """The array of points, None where x, y and z are arrays of their own; and what to say."""
    plain = {name.lower(): name for name in headers}
    key = next((plain[key] for key in _POINTS_KEYS if key in plain), None)
    if key is not None:
        return key, ()
    if {"x", "y", "z"} <= set(plain):
        return None, ()
    tables = [name for name, header in headers.items() if _is_table(header)]
    if len(tables) == 1:
        return tables[0], (f"taken for the points: {tables[0]!r}",)
    wanted = ", ".join(_POINTS_KEYS)
    raise InputError(f"{path}: wanted one of the keys {wanted}, got {', '.join(headers)}")


def _is_table(header: ArrayHeader) -> bool:
    """Whether an array can be rows of coordinates, and hardly anything else."""
    count, width = header.shape if len(header.shape) == 2 else (0, 0)
    is_rows = 3 <= width <= MAX_COLUMNS and count > max(width, 12)
    return header.dtype.names is not None or (is_rows and header.dtype.kind == "f")
