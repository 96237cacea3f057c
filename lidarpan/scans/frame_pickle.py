"""A pickled table of pandas -> named columns, without pandas, and without running anything.

A pickle names functions to be called. Here none is: what the pickle names is looked up in a list of
the parts that tables of numbers and words are made of, and only written down. The columns are then
read off what was written down, piece by piece, so that no file can run code or get a library to
build what it should not.
"""

from __future__ import annotations

import gzip
import io
import pickle
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.errors import InputError, naming

_MAX_BYTES = 1 << 29
"""Of an unpacked table: a sweep has 8 MB."""
_MAX_COLUMNS = 10_000

_MANAGERS = ("pandas.core.internals.managers", "pandas.core.internals")
_INDEXES = ("pandas.core.indexes.base", "pandas.core.indexes.numeric", "pandas.core.indexes.range")
_ALLOWED = {
    ("pandas.core.frame", "DataFrame"),
    *((module, "BlockManager") for module in _MANAGERS),
    ("pandas.core.indexes.base", "_new_Index"),
    *((module, f"{kind}Index") for module in _INDEXES for kind in ("", "Int64", "UInt64", "Range")),
    ("pandas._libs.internals", "_unpickle_block"),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("builtins", "slice"),
}
_NUMBER = re.compile(r"[fiu][1248]|b1|O8?")


class _Part:
    """What a pickle wanted made: of which name, of what, and with what state."""

    name = ""

    def __new__(cls, *made_of: Any) -> _Part:
        part = object.__new__(cls)
        part.made_of, part.state = made_of, None
        return part

    made_of: tuple[Any, ...]
    state: Any

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Recorder(pickle._Unpickler):  # the one in C can be made to ask for any amount of memory
    """Reads a pickle into parts; raises UnpicklingError for what tables are not made of."""

    def find_class(self, module: str, name: str) -> type[_Part]:
        """A part of that name."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which no table of numbers has")
        return type(name, (_Part,), {"name": name})


def read_frame_pickle(path: Path) -> dict[str, NDArray[Any]]:
    """Read a DataFrame that pandas pickled (0.25 to 2.2 but 1.3), packed by gzip or not.

    Args:
        path: `.pkl` or `.pkl.gz`.

    Returns:
        The (R,) columns by name: numbers, or plain words.

    Raises:
        InputError: no such file, damaged, too large, another thing than a table of numbers and
            words, or one that names anything else to be run.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with naming(path):
            return _columns(_Recorder(io.BytesIO(_unpacked(path))).load())
    except InputError:
        raise
    except (pickle.UnpicklingError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: wanted a table that pandas pickled, got {error}") from None
    except Exception as error:  # a damaged pickle may do anything to the stack of its reader
        raise InputError(
            f"{path}: wanted a table that pandas pickled, got damage ({type(error).__name__})"
        ) from None


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_packed else path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InputError(f"wanted a table of at most {_MAX_BYTES} bytes, got a larger one")
    return content


def _columns(frame: Any) -> dict[str, NDArray[Any]]:
    """The columns of a recorded DataFrame."""
    state = _part(frame, "DataFrame").state
    manager = _part(state.get("_mgr", state.get("_data")), "BlockManager")
    blocks, axes = _blocks(manager)
    names, num_rows = _names(axes[0]), _length(axes[1])
    columns: dict[str, NDArray[Any]] = {}
    for values, places in blocks:
        if values.ndim != 2 or values.shape != (len(places), num_rows):
            raise InputError(f"wanted {len(places)} columns of {num_rows} rows, got {values.shape}")
        for place, column in zip(places, values, strict=True):
            columns[names[place]] = column
    if len(columns) != len(names):
        raise InputError(f"wanted {len(names)} columns, got {len(columns)}")
    return {name: columns[name] for name in names}


def _blocks(manager: _Part) -> tuple[list[tuple[NDArray[Any], list[int]]], list[Any]]:
    """Values and places of each block of columns, and the axes."""
    if manager.state is not None:  # to pandas 1.2
        content = manager.state[3]["0.14.1"]
        pairs = [(block["values"], block["mgr_locs"]) for block in content["blocks"]]
        return [(_array(values), _places(at)) for values, at in pairs], list(content["axes"])
    blocks, axes = manager.made_of
    made = [_part(block, "_unpickle_block").made_of for block in blocks]
    return [(_array(values), _places(at)) for values, at, _ in made], list(axes)


def _part(value: Any, name: str) -> _Part:
    if not isinstance(value, _Part) or value.name != name:
        got = value.name if isinstance(value, _Part) else type(value).__name__
        raise InputError(f"wanted a {name} of pandas, got {got}")
    return value


def _places(at: Any) -> list[int]:
    if isinstance(at, _Part) and at.name == "slice":
        start, stop, step = at.made_of
        return list(range(start, stop, 1 if step is None else step)[:_MAX_COLUMNS])
    return [int(place) for place in _array(at)]


def _names(index: Any) -> list[str]:
    names = [str(name) for name in _array(_data(index)).tolist()]
    if len(set(names)) != len(names):
        raise InputError("wanted columns with names of their own, got two of one name")
    return names


def _length(index: Any) -> int:
    data = _data(index)
    if isinstance(data, _Part):
        return len(_array(data))
    return len(range(data["start"], data["stop"], data["step"]))


def _data(index: Any) -> Any:
    """The values of an index, or what a range is made of."""
    content = _part(index, "_new_Index").made_of[1]
    return content.get("data", content)


def _array(part: Any) -> NDArray[Any]:
    """The array that a part stands for: numbers from their bytes, words as they are."""
    if isinstance(part, _Part) and part.name == "_frombuffer":
        raw, kind, shape, order = part.made_of
        is_fortran = order == "F"
    else:
        state = _part(part, "_reconstruct").state
        _, shape, kind, is_fortran, raw = state
    dtype, size = _dtype(kind), int(np.prod([int(n) for n in shape], dtype=object))
    if dtype.kind == "O":
        if not isinstance(raw, list) or len(raw) != size:
            raise InputError(f"wanted {size} words, got {type(raw).__name__}")
        if not all(isinstance(word, (str, int, float, type(None))) for word in raw):
            raise InputError("wanted words and numbers, got other things")
        flat = np.empty(size, object)
        flat[:] = raw
    else:
        if not isinstance(raw, (bytes, bytearray)) or len(raw) != size * dtype.itemsize:
            raise InputError(f"wanted {size} numbers of {dtype.itemsize} bytes, got others")
        flat = np.frombuffer(bytes(raw), dtype)
    return flat.reshape(shape, order="F" if is_fortran else "C")


def _dtype(part: Any) -> np.dtype[Any]:
    made = _part(part, "dtype")
    code = str(made.made_of[0])
    if not _NUMBER.fullmatch(code):
        raise InputError(f"wanted numbers and words, got a column of {code[:20]!r}")
    is_big = bool(made.state) and made.state[1] == ">"
    return np.dtype("O" if code[0] == "O" else (">" if is_big else "<") + code)
