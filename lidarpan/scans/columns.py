"""Tables of points (`.feather`, `.parquet`) -> named columns; Argoverse 2 keeps its sweeps so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.fields import Fields
from lidarpan.scans.numpy_files import wanted
from lidarpan.structures import InputError
from lidarpan.whole_file import whole_file

SUFFIXES = (".feather", ".parquet")

_NAMES = {"laser_number": "ring", "offset_ns": "time"}
"""Argoverse 2's names of columns, and ours."""


def read_columns(path: Path) -> Fields:
    """Read the numeric columns of a table with a row per point.

    Argoverse 2's `laser_number` is the ring and `offset_ns` the time.

    Raises:
        InputError: damaged, no table, or pyarrow is not installed.
    """
    table = open_table(path)
    fields: Fields = {}
    for name in table.column_names:
        with wanted(f"{path}: the column {name!r} cannot be read"):
            values = np.asarray(table.column(name).to_numpy())
        if values.dtype.kind in "iufb":
            fields[_NAMES.get(name, name)] = values
    return fields


def open_table(path: Path) -> Any:
    """The pyarrow table of a file; raises InputError."""
    is_feather = path.suffix.lower() == ".feather"
    library = need("pyarrow.feather" if is_feather else "pyarrow.parquet", RECORDINGS)
    with wanted(f"{path}: wanted a {path.suffix} table"):
        return library.read_table(path)


def table_columns(file: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of a small table; InputError: no such file, damaged, or a column is missing."""
    if not file.is_file():
        raise InputError(f"{file}: no such file: fetch it too")
    table = open_table(file)
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise InputError(f"{file}: wanted a column {missing[0]!r}, got {table.column_names}")
    return {name: np.asarray(table.column(name).to_pylist()) for name in names}


def write_columns(path: Path, columns: Fields) -> None:
    """Write columns as a `.feather` or `.parquet` table, whole or not at all.

    Args:
        path: the file; its suffix decides.
        columns: name -> (M,) values.

    Raises:
        InputError: pyarrow is not installed, or the file cannot be written.
    """
    table = need("pyarrow", RECORDINGS).table({name: np.asarray(c) for name, c in columns.items()})
    with whole_file(path) as beside:
        if path.suffix.lower() == ".feather":
            need("pyarrow.feather", RECORDINGS).write_feather(table, str(beside))
        else:
            need("pyarrow.parquet", RECORDINGS).write_table(table, str(beside))
