"""Scan files -> when each of them was taken."""

from __future__ import annotations

import logging
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

_LONGEST_STEP_S, _UNSURE_STEP_S = 5.0, 60.0
"""Scans follow each other faster; what takes longer may still be seconds."""

_UNITS = (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))

_log = logging.getLogger("lidarpan")

_STAMP_US = re.compile(r"__(\d{16})$")


def find_times(scan_paths: Sequence[Path], file: Path | None = None) -> NDArray[np.float64] | None:
    """Find the time of each scan in seconds: a file of times, else the names of the scans.

    A file has a number a line, seconds or whole milli-, micro- or nanoseconds. Where there are as
    many lines as scans line k belongs to scan k, else to the scan whose name is the number k. Names
    of nuScenes' scans end with a time, and names may be times since 1970 in seconds, milli-, micro-
    or nanoseconds.

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
    lines = [line.strip() for line in read_text(file).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines and not re.search(r"\d", lines[0]):
        del lines[0]  # the column's name
    try:
        times = np.array(lines, np.float64)
    except ValueError as error:
        raise InputError(f"{file}: wanted seconds, a number a line: {error}") from None
    if not np.isfinite(times).all():
        raise InputError(f"{file}: wanted finite seconds, got NaN or infinite ones")
    return _in_seconds(times, file)


def _in_seconds(times: NDArray[np.float64], file: Path) -> NDArray[np.float64]:
    """Times that count in a smaller unit, as seconds; what was found is logged."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if step <= _LONGEST_STEP_S:
        return times
    if step <= _UNSURE_STEP_S or (times != np.round(times)).any():
        _log.warning("%s: %g s from one scan to the next: are these seconds?", file, step)
        return times
    name, per_second = next((u for u in _UNITS if step / u[1] <= _LONGEST_STEP_S), _UNITS[-1])
    _log.warning("%s: times in %s: taken so", file, name)
    return times / per_second


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
