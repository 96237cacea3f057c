"""Scan files -> when each of them was taken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.stamps import times_of_names
from lidarpan.structures import InputError
from lidarpan.text_trees import read_text

USUAL_STEP_S = 0.1
"""Between two scans whose times nobody knows: most scanners turn ten times a second."""

_STAMP_US = re.compile(r"__(\d{16})$")


def find_times(scan_paths: Sequence[Path], file: Path | None = None) -> NDArray[np.float64] | None:
    """Find the time of each scan in seconds: a file of times, else the names of the scans.

    A file has a number a line. Where there are as many lines as scans line k belongs to scan k,
    else to the scan whose name is the number k. Names of nuScenes' scans end with a time, and names
    may be times since 1970 in seconds, milli-, micro- or nanoseconds.

    Args:
        scan_paths: T scans of one drive, in order.
        file: of times; None looks for `times.txt` beside the scans' folder, then beside the scans.

    Returns:
        (T,) s, ascending, or None where nothing says.

    Raises:
        InputError: no such file, a line that is no time, lines that do not fit the scans, or times
            that do not grow.
    """
    if file is None:
        folder = scan_paths[0].absolute().parent
        tried = (folder.parent / "times.txt", folder / "times.txt")
        file = next((path for path in tried if path.is_file()), None)
    if file is None:
        return _of_names(scan_paths)
    times = _of_lines(scan_paths, _read(file), file)
    later = np.flatnonzero(np.diff(times) <= 0)
    if len(later):
        k = int(later[0])
        raise InputError(
            f"{file}: wanted times that grow, got {times[k]:g} s for {scan_paths[k].name} and "
            f"{times[k + 1]:g} s for {scan_paths[k + 1].name}"
        )
    return times


def _read(file: Path) -> NDArray[np.float64]:
    if not file.is_file():
        raise InputError(f"{file}: no such file of times")
    words = read_text(file).split()
    try:
        times = np.array(words, np.float64)
    except ValueError as error:
        raise InputError(f"{file}: wanted seconds, a number a line: {error}") from None
    if not np.isfinite(times).all():
        raise InputError(f"{file}: wanted finite seconds, got NaN or infinite ones")
    return times


def _of_lines(
    scan_paths: Sequence[Path], times: NDArray[np.float64], file: Path
) -> NDArray[np.float64]:
    if len(times) == len(scan_paths):
        return times
    numbers = [int(path.stem) if path.stem.isdecimal() else -1 for path in scan_paths]
    if min(numbers) >= 0 and max(numbers) < len(times):
        return times[numbers]
    raise InputError(
        f"{file}: wanted a time for each of {len(scan_paths)} scans up to "
        f"{scan_paths[-1].name}, got {len(times)}"
    )


def _of_names(scan_paths: Sequence[Path]) -> NDArray[np.float64] | None:
    whole = times_of_names(scan_paths)
    if whole is not None:
        return whole if (np.diff(whole) > 0).all() else None
    found = [_STAMP_US.search(path.name.split(".")[0]) for path in scan_paths]
    stamps = [int(match[1]) * 1e-6 for match in found if match]
    times = np.array(stamps)
    if len(stamps) < len(scan_paths) or (np.diff(times) <= 0).any():
        return None
    return times
