"""NumPy's own files, without pickles, with one kind of error, and no larger than they say."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lidarpan.errors import InputError, readable
from lidarpan.whole_file import whole_file

_SMALL_BYTES = 64 << 20
_MAX_RATIO = 50
"""Points and labels deflate to a tenth or so; constant columns in between raise that."""


@dataclass(frozen=True)
class ArrayHeader:
    """What a file says of one of its arrays before its values.

    Attributes:
        shape: numbers along each axis.
        dtype: of the values.
        is_fortran: whether the first axis runs fastest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool = False

    @property
    def size(self) -> int:
        """How many values there are."""
        return math.prod(self.shape)


def check_expansion(packed: int, unpacked: int, path: Path) -> None:
    """Refuse compressed data that is small on disk and would fill the memory; raises InputError."""
    if unpacked > max(_SMALL_BYTES, _MAX_RATIO * packed):
        raise InputError(
            f"{path}: {packed} bytes that unpack to {unpacked}: wanted no more than "
            f"{_MAX_RATIO} times as many; unpack it yourself if it is what you want"
        )


def read_array(path: Path) -> NDArray[Any]:
    """The array of an `.npy` file; raises InputError for a damaged file or one with pickles."""
    with wanted(f"{path}: wanted .npy without pickles"), readable(path), path.open("rb") as stream:
        if stream.read(4).startswith(b"PK"):
            raise InputError(f"{path}: wanted an .npy file, got an archive: name it .npz")
        stream.seek(0)
        return _read(stream, path.stat().st_size)


def array_headers(path: Path) -> dict[str, ArrayHeader]:
    """Name -> header of the arrays in an `.npz` file; raises InputError for a damaged file."""
    headers: dict[str, ArrayHeader] = {}

    def note(name: str, stream: IO[bytes], size: int) -> None:
        headers[name] = _header(stream)

    _each_member(path, lambda name: True, note, is_unpacked=False)
    return headers


def read_arrays(
    path: Path, is_wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz` file by name; raises InputError for a damaged file or one with pickles.

    Args:
        path: the file; an `.npy` file under this name is its array "arr_0".
        is_wanted: says of each name whether to read it.
    """
    if path.is_file():
        with path.open("rb") as stream:
            if stream.read(6) == b"\x93NUMPY":
                return {"arr_0": read_array(path)}
    arrays: dict[str, NDArray[Any]] = {}

    def read(name: str, stream: IO[bytes], size: int) -> None:
        arrays[name] = _read(stream, size)

    _each_member(path, is_wanted, read)
    return arrays


def write_arrays(path: Path, *, is_packed: bool = True, **arrays: NDArray[Any]) -> None:
    """Write arrays as an `.npz` file, whole or not at all.

    Args:
        path: the file.
        is_packed: whether to deflate them.
        arrays: by name.

    Raises:
        InputError: as `whole_file`.
    """
    content = io.BytesIO()  # an archive cannot be closed on a full disk
    (np.savez_compressed if is_packed else np.savez)(content, **arrays)
    with whole_file(path) as beside:
        beside.write_bytes(content.getbuffer())


def _each_member(
    path: Path,
    is_wanted: Callable[[str], bool],
    use: Callable[[str, IO[bytes], int], None],
    *,
    is_unpacked: bool = True,
) -> None:
    """Open every wanted array of an archive in turn."""
    with (
        wanted(f"{path}: wanted .npz without pickles"),
        readable(path),
        zipfile.ZipFile(path) as archive,
    ):
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        chosen = [(info.filename[:-4], info) for info in members]
        chosen = [(name, info) for name, info in chosen if is_wanted(name)]
        packed = sum(info.compress_size for _, info in chosen)
        size = path.stat().st_size
        if is_unpacked:
            check_expansion(min(packed, size), sum(info.file_size for _, info in chosen), path)
        for name, info in chosen:
            with archive.open(info) as stream:
                use(name, stream, info.file_size)


def _header(stream: IO[bytes]) -> ArrayHeader:
    numpy: Any = npy  # its header functions have no types
    version = numpy.read_magic(stream)
    read = numpy.read_array_header_1_0 if version == (1, 0) else numpy.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    if any(length < 0 for length in shape):
        raise ValueError(f"a shape of {shape}")
    return ArrayHeader(shape, dtype, is_fortran)


def _read(stream: IO[bytes], size: int) -> NDArray[Any]:
    """The array of a stream of `size` bytes, of which its header may not want more."""
    start = io.BytesIO(stream.read(min(size, 1 << 16)))
    header = _header(start)
    offset, num_bytes = start.tell(), header.size * header.dtype.itemsize
    if header.dtype.hasobject:
        raise ValueError("objects, which only pickles hold")
    if offset + num_bytes > size:
        raise ValueError(f"{size} bytes of {offset + num_bytes}: cut off")
    content = bytearray(num_bytes)
    filled = min(len(start.getvalue()) - offset, num_bytes)
    content[:filled] = start.getvalue()[offset : offset + filled]
    rest = memoryview(content)[filled:]
    while rest and (count := stream.readinto(rest)):  # type: ignore[attr-defined]
        rest = rest[count:]
    if rest:
        raise ValueError(f"{num_bytes - len(rest)} bytes of {num_bytes}: cut off")
    values: NDArray[Any] = np.frombuffer(content, header.dtype, header.size)
    if header.dtype.kind == "U" and header.dtype.itemsize and (
        np.frombuffer(content, header.dtype.str[0] + "u4") > 0x10FFFF
    ).any():  # fmt: skip
        raise ValueError("text with characters that there are not")
    if header.is_fortran:
        return values.reshape(header.shape[::-1]).T
    return values.reshape(header.shape)


@contextmanager
def wanted(what: str) -> Iterator[None]:
    """Let whatever a library raises in the block be an InputError: `what` was wanted, what came.

    An InputError is left as it is. Damaged files make libraries raise all kinds.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what}, {one_line(error)}") from None


def one_line(error: BaseException) -> str:
    """What a reader of another library says, on one line and not too long."""
    return " ".join(f"got {type(error).__name__}: {error}".split())[:120]
