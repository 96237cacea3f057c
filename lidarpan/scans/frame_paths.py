"""All frames of some sources as a sequence of paths, each of which can be loaded at any time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import overload

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import load_scan
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M
from lidarpan.scans.reader import ScanReader
from lidarpan.scans.source import FileSource, Frame, ScanSource, frame_path
from lidarpan.structures import InputError

_log = logging.getLogger("lidarpan")


class FramePaths(Sequence[Path]):
    """Paths of scan files and of recordings' frames (drive.mcap/000012), and their scans.

    Loading is quick in order and for files; a jump back in a recording reads it from the start. It
    may be done from several threads.

    Args:
        sources: from `open_sources`; one that does not know its length is read once to count.
    """

    def __init__(self, sources: Sequence[ScanSource]) -> None:
        self._sources = sources
        self._paths: list[Path] = []
        self._place: dict[Path, tuple[int, int]] = {}  # source and number in it
        self._cursors = [_Cursor(source) for source in sources]
        self._lock = Lock()
        files: list[Path] = []
        for which, source in enumerate(sources):
            paths = _paths_of(source)
            self._place |= {path: (which, number) for number, path in enumerate(paths)}
            self._paths += paths
            files += paths if isinstance(source, FileSource) else []
        columns = next((s.columns for s in sources if isinstance(s, FileSource)), None)
        partners = {
            path: others
            for source in sources
            if isinstance(source, FileSource)
            for path, others in source.partners.items()
        }
        self._files = ScanReader(files, columns, partners)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._paths)

    @overload
    def __getitem__(self, i: int) -> Path: ...
    @overload
    def __getitem__(self, i: slice) -> list[Path]: ...
    def __getitem__(self, i: int | slice) -> Path | list[Path]:
        """The path of frame i."""
        return self._paths[i]

    def __iter__(self) -> Iterator[Path]:
        """The paths in order."""
        return iter(self._paths)

    def load(self, path: Path, expected_height_m: float = EXPECTED_HEIGHT_M) -> LoadedScan:
        """Load the scan of a path; raises InputError as `load_scan`."""
        which, number = self._place[path]
        if isinstance(self._sources[which], FileSource):
            return self._files.load(path, expected_height_m)
        with self._lock:
            frame = self._cursors[which].frame(number)
        return frame.load(expected_height_m)

    def poses(self) -> NDArray[np.float64] | None:
        """(T, 4, 4) world_T_sensor of all frames; None where one is not known."""
        poses = []
        for source in self._sources:
            if isinstance(source, FileSource):
                return None
            for frame in source.frames():
                if frame.world_T_sensor is None:
                    return None
                poses.append(frame.world_T_sensor)
                if len(poses) == len(self):
                    break
        return np.array(poses)


def loader_of(paths: Sequence[Path]) -> Callable[[Path, float], LoadedScan]:
    """What loads the scans of some paths: their sources, or `load_scan` where they are plain."""
    return paths.load if isinstance(paths, FramePaths) else load_scan


def _paths_of(source: ScanSource) -> list[Path]:
    if isinstance(source, FileSource):
        return list(source.files)
    if source.num_frames is not None:
        return [frame_path(source.path, number) for number in range(source.num_frames)]
    paths: list[Path] = []
    try:
        paths.extend(frame.path for frame in source.frames())
    except InputError as error:
        if not paths:
            raise
        _log.warning("%s", error)
    if not paths:
        raise InputError(f"{source.path}: no points: the recording holds no scans")
    return paths


class _Cursor:
    """Where a recording was read to."""

    def __init__(self, source: ScanSource) -> None:
        self._source = source
        self._stream: Iterator[Frame] = iter(())
        self._next = 0

    def frame(self, number: int) -> Frame:
        """Frame `number`; raises InputError where there are fewer."""
        if number < self._next or not self._next:
            self._stream = self._source.frames(number)
            self._next = number
        while True:
            frame = next(self._stream, None)
            if frame is None:
                raise InputError(f"{self._source.path}: wanted frame {number}, but there are fewer")
            self._next += 1
            if self._next > number:
                return frame
