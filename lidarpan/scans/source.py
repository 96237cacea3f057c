"""One interface to scans, wherever they lie: files in a folder, or a recording of a drive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import Fields, FileFields, LoadedScan, scan_of_fields
from lidarpan.scans.files import read_fields
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, inspect_scan
from lidarpan.scans.intensity import IntensityScale
from lidarpan.scans.partners import Partners
from lidarpan.scans.reader import ScanReader

Pose = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """One scan of a source, not yet decoded: cheap to pass over, decoded by `load`.

    Attributes:
        path: the scan file, or the recording and the frame's number in it: drive.mcap/000012.
            Outputs are named by it.
        decode: the points, for a sensor expected so many metres above the ground.
        stamp_ns: when it was taken, nanoseconds in the source's clock (most often since 1970), or
            None where the source does not say.
        frame_id: name of the coordinate frame the points are in, "" where it has none.
        world_T_sensor: (4, 4) float64 pose of that frame in the world, or None.
        warnings: what the source has to say about this frame, one sentence each.
        columns: the named columns as they are written, or None where the frame was put together.
        count: how many points it has as written, or None where only decoding tells.
        inputs: the files that it is made of.
    """

    path: Path
    decode: Callable[[float], LoadedScan]
    stamp_ns: int | None = None
    frame_id: str = ""
    world_T_sensor: Pose | None = None
    warnings: tuple[str, ...] = ()
    columns: Callable[[], Fields | FileFields] | None = None
    count: Callable[[], int] | None = None
    inputs: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path without a scan's suffix: the frame's number or the file."""
        return self.path.stem

    def load(self, expected_height_m: float = EXPECTED_HEIGHT_M) -> LoadedScan:
        """Decode the points.

        Raises:
            InputError: they are damaged, of another format than stated, or there is none.
        """
        loaded = self.decode(expected_height_m)
        scan = replace(loaded.scan, path=self.path)
        if self.world_T_sensor is not None:
            scan = replace(scan, world_T_sensor=self.world_T_sensor)
        return replace(loaded, scan=scan, warnings=(*self.warnings, *loaded.warnings))


class ScanSource(Protocol):
    """Scans in the order in which they were taken, read one after the other."""

    @property
    def path(self) -> Path:
        """The folder or recording."""
        ...

    @property
    def num_frames(self) -> int | None:
        """How many frames there are, or None where only reading to the end tells."""
        ...

    @property
    def is_recording(self) -> bool:
        """Whether the frames are numbered parts of one recording, not files."""
        ...

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames from number `start` on.

        Raises:
            InputError: from here on the source cannot be read, such as where it is cut off; the
                frames before were whole.
        """
        ...


@dataclass(frozen=True)
class FileSource:
    """Scan files, each a frame.

    Attributes:
        path: what they have in common, for messages.
        files: the scans in order.
        columns: of headerless files, as in `check_letters`; None finds them out.
        partners: scans of other sensors that are merged into the files'.
    """

    path: Path
    files: Sequence[Path]
    columns: str | None = None
    partners: Partners = field(default_factory=dict)
    is_recording: bool = False

    @property
    def num_frames(self) -> int:
        """How many files there are."""
        return len(self.files)

    @property
    def inputs(self) -> list[Path]:
        """The files and their partners."""
        others = (partner.file for found in self.partners.values() for partner in found)
        return [*self.files, *others]

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The files from number `start` on; a damaged one says so when it is loaded."""
        yield from self.frames_of(self.files[start:])

    def frames_of(self, files: Sequence[Path]) -> Iterator[Frame]:
        """Some of the files, read as all of them are."""
        reader = ScanReader(self.files, self.columns, self.partners)
        for file in files:
            others = [partner.file for partner in self.partners.get(file, ())]
            columns = None if others else partial(read_fields, file)
            count, inputs = partial(reader.count, file), (file, *others)
            yield Frame(
                file, partial(reader.load, file), columns=columns, count=count, inputs=inputs
            )


def inputs_of(source: ScanSource) -> list[Path]:
    """The files that a source is made of."""
    return source.inputs if isinstance(source, FileSource) else [source.path]


def frame_path(recording: Path, number: int) -> Path:
    """The path that names frame `number` of a recording: six digits or more below the recording."""
    return recording / f"{number:06d}"


def column_frame(
    path: Path,
    columns: Callable[[], Fields | FileFields],
    stamp_ns: int | None,
    frame_id: str = "",
    world_T_sensor: Pose | None = None,
    warnings: tuple[str, ...] = (),
) -> Frame:
    """A frame of named columns; arguments as Frame's."""

    def decode(expected_height_m: float) -> LoadedScan:
        return load_fields(columns(), str(path), expected_height_m)

    return Frame(path, decode, stamp_ns, frame_id, world_T_sensor, warnings, columns)


def load_fields(
    fields: Fields | FileFields,
    origin: str,
    expected_height_m: float,
    scale: IntensityScale | None = None,
) -> LoadedScan:
    """Make a scan of named columns and say what looks wrong with it, as `load_scan` does for files.

    Arguments and errors as `scan_of_fields`.
    """
    loaded = scan_of_fields(fields, origin, expected_height_m, scale)
    said = inspect_scan(loaded.scan, expected_height_m)
    return replace(loaded, warnings=(*loaded.warnings, *said))
