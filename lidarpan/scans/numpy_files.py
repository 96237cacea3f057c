"""NumPy's own files, without pickles and with one kind of error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import InputError


def read_array(path: Path) -> NDArray[Any]:
    """The array of an `.npy` file; raises InputError for a damaged file or one with pickles."""
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except Exception as error:  # damaged headers raise all kinds
        raise InputError(f"{path}: wanted .npy without pickles, {one_line(error)}") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: wanted an .npy file, got an archive: name it .npz")
    return array


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an `.npz` file; raises InputError for a damaged file or one with pickles."""
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            return {"arr_0": archive}
        with archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # damaged headers raise all kinds
        raise InputError(f"{path}: wanted .npz without pickles, {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """What a reader of another library says, on one line and not too long."""
    return " ".join(f"got {type(error).__name__}: {error}".split())[:120]
