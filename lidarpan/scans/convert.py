"""Scans of any source -> files of one format, or one MCAP file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.columns import write_columns
from lidarpan.scans.fields import Fields, LoadedScan
from lidarpan.scans.las import write_las
from lidarpan.scans.numpy_files import write_arrays
from lidarpan.scans.output_names import output_folders, write_times_and_poses
from lidarpan.scans.pcd import write_pcd
from lidarpan.scans.ply import write_ply
from lidarpan.scans.recordings.pointcloud2 import pack_points
from lidarpan.scans.recordings.writer import RosMcapWriter
from lidarpan.scans.source import FileSource, Frame, ScanSource, inputs_of
from lidarpan.structures import InputError
from lidarpan.whole_file import refuse_inputs_as_outputs, whole_file

FORMATS = (
    "bin", "pcd.bin", "pcd", "ply", "npy", "npz", "las", "laz", "feather", "parquet", "mcap",
)  # fmt: skip
MCAP = "mcap"
TOPIC = "/points"
WORLD = "world"
_PERIOD_NS = 100_000_000


@dataclass(frozen=True)
class Converted:
    """What became of one frame.

    Attributes:
        frame_path: the input.
        path: the file written.
        error: why it could not be, or None.
        stamp_ns: when the scan was taken, or None.
        world_T_sensor: (4, 4) pose, or None.
    """

    frame_path: Path
    path: Path
    error: str | None = None
    stamp_ns: int | None = None
    world_T_sensor: NDArray[np.float64] | None = None


def convert_sources(
    sources: Sequence[ScanSource], out: Path, file_format: str, *, keep_empty: bool = False
) -> Iterator[Converted]:
    """Write every frame in another format; outputs are named as `predict` names its labels.

    Files keep their name, frames of a recording are named by their number, with `times.txt` and
    `poses.txt` beside them. A format keeps what it has a place for: coordinates and intensity in
    [0, 1] all; ring and time .pcd, .ply, .npz, tables and MCAP; time .las; ring .pcd.bin.

    Args:
        sources: from `open_sources`.
        out: folder.
        file_format: one of `FORMATS`; mcap writes one file for each source.
        keep_empty: write unusable points too, at (0, 0, 0), so that point i stays point i.

    Yields:
        One Converted per frame; where a recording breaks off, the last one has its `error` set.

    Raises:
        InputError: an unknown format.
    """
    if file_format not in FORMATS:
        raise InputError(f"no format {file_format!r}: wanted {', '.join(FORMATS)}")
    for source, folder in zip(sources, output_folders(out, sources), strict=True):
        results = []
        for result in _convert(source, folder, file_format, keep_empty):
            results.append(result)
            yield result
        frames = [result for result in results if result.frame_path != source.path]
        if source.is_recording and file_format != MCAP:
            stamps = [frame.stamp_ns for frame in frames]
            write_times_and_poses(folder, stamps, [frame.world_T_sensor for frame in frames])


def _convert(
    source: ScanSource, out: Path, file_format: str, keep_empty: bool
) -> Iterator[Converted]:
    taken: dict[Path, int] = {}
    inputs = inputs_of(source)
    with ExitStack() as stack:
        writer = None
        if file_format == MCAP:
            name = out / f"{source.path.stem}.mcap"
            refuse_inputs_as_outputs([name], inputs)
            file = stack.enter_context(whole_file(name))
            writer = stack.enter_context(RosMcapWriter(file))
        frames = source.frames()
        number = 0
        while True:
            try:
                frame = next(frames, None)
            except InputError as error:
                yield Converted(source.path, out, str(error))
                return
            if frame is None:
                return
            path = _path(out, frame, source, file_format, taken)
            result = Converted(frame.path, path, None, frame.stamp_ns, frame.world_T_sensor)
            try:
                if writer is None:
                    refuse_inputs_as_outputs([path], inputs)
                fields = scan_fields(frame.load(), keep_empty)
                if writer is None:
                    write_fields(path, fields, file_format)
                else:
                    _add(writer, frame, fields, number)
            except InputError as error:
                result = Converted(frame.path, path, str(error), frame.stamp_ns)
            number += 1
            yield result


def _path(
    out: Path, frame: Frame, source: ScanSource, file_format: str, taken: dict[Path, int]
) -> Path:
    if file_format == MCAP:
        return out / f"{source.path.stem}.mcap"
    name = frame.path.name
    if isinstance(source, FileSource):
        name = name[:-8] if name.lower().endswith(".pcd.bin") else frame.path.stem
    path = out / f"{name}.{file_format}"
    taken[path] = taken.get(path, 0) + 1
    if taken[path] > 1:  # a scan of the same name from another folder
        path = out / frame.path.parent.name / path.name
        if taken.setdefault(path, 0):
            raise InputError(f"{frame.path}: a third scan of the name {name}: convert it by itself")
        taken[path] = 1
    return path


def _add(writer: RosMcapWriter, frame: Frame, fields: Fields, number: int) -> None:
    stamp_ns = frame.stamp_ns if frame.stamp_ns is not None else number * _PERIOD_NS
    frame_id = frame.frame_id or "lidar"
    if frame.world_T_sensor is not None:
        writer.add_pose(stamp_ns, WORLD, frame_id, frame.world_T_sensor)
    writer.add_points(TOPIC, stamp_ns, frame_id, pack_points(fields))


def scan_fields(loaded: LoadedScan, keep_empty: bool) -> Fields:
    """Columns x, y, z, intensity and, where the scan has them, ring and time.

    Args:
        loaded: the scan.
        keep_empty: M values instead of N, zeros where a point is unusable.
    """
    scan = loaded.scan
    x, y, z = scan.points.T
    fields: Fields = {"x": x, "y": y, "z": z, "intensity": scan.intensity}
    if scan.ring is not None:
        fields["ring"] = np.clip(scan.ring, 0, 65535).astype(np.uint16)
    if scan.time is not None:
        fields["time"] = scan.time
    if not keep_empty:
        return fields
    full: Fields = {}
    for name, values in fields.items():
        column = np.zeros(loaded.num_file_points, values.dtype)
        column[loaded.valid] = values
        full[name] = column
    return full


def write_fields(path: Path, fields: Fields, file_format: str) -> None:
    """Write columns as a file of a format, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    match file_format:
        case "bin":
            _write_rows(path, [fields[name] for name in ("x", "y", "z", "intensity")])
        case "pcd.bin":
            ring = fields.get("ring", np.zeros(len(fields["x"]), np.uint16))
            bright = np.asarray(fields["intensity"], np.float32) * 255
            _write_rows(path, [-np.asarray(fields["y"]), fields["x"], fields["z"], bright, ring])
        case "pcd":
            write_pcd(path, fields)
        case "ply":
            write_ply(path, fields, [])
        case "las" | "laz":
            write_las(path, fields)
        case "feather" | "parquet":
            write_columns(path, fields)
        case _:
            _write_numpy(path, fields)


def _write_rows(path: Path, columns: Sequence[NDArray[np.generic]]) -> None:
    rows = np.stack([np.asarray(column, "<f4") for column in columns], axis=1)
    with whole_file(path) as beside:
        beside.write_bytes(rows.tobytes())


def _write_numpy(path: Path, fields: Fields) -> None:
    points = np.stack([np.asarray(fields[axis], np.float32) for axis in "xyz"], axis=1)
    others = {name: column for name, column in fields.items() if name not in "xyz"}
    if path.suffix == ".npy":
        bright = np.asarray(fields["intensity"], np.float32)
        with whole_file(path) as beside, beside.open("wb") as stream:
            np.save(stream, np.column_stack([points, bright]))
    else:
        write_arrays(path, is_packed=False, points=points, **others)
