"""Scan files and recordings -> predictions; interrupted work is taken up where it ended."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lidarpan.datasets.annotated import MCAP, AnnotatedMcap
from lidarpan.datasets.predictions import (
    prediction_path,
    prediction_paths,
    refuse_inputs_as_outputs,
)
from lidarpan.inference_job import Handling, Job, OwnVehicles, Prediction
from lidarpan.overlap import overlap
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.files import all_empty
from lidarpan.scans.inspection import sensor_height
from lidarpan.scans.output_names import output_folders, write_times_and_poses
from lidarpan.scans.source import FileSource, Frame, ScanSource
from lidarpan.structures import InputError

MOST_WORKERS = 6

__all__ = [
    "Handling",
    "Prediction",
    "predict_files",
    "predict_pairs",
    "predict_sources",
    "sensor_height",
]


def predict_files(
    pipeline: PanopticPipeline,
    scan_paths: Sequence[Path],
    out: Path,
    file_format: str,
    *,
    sensor_height_m: float | None = None,
    overwrite: bool = False,
    is_overlapped: bool | None = None,
    columns: str | None = None,
    handling: Handling | None = None,
) -> Iterator[Prediction]:
    """Predict each scan and write its labels; scans whose prediction is whole are passed over.

    Overlapped, one thread reads and voxelizes the next scan and another groups and writes the one
    before while the network runs, or several of each beside a GPU; the labels are the same bits.

    Args:
        pipeline: the loaded weights.
        scan_paths: files that `scans.files.load_scan` reads.
        out: folder for the predictions.
        file_format: npz, ply or a dataset; that of the classes themselves goes by their name.
        sensor_height_m: of the scans' sensor; None measures it in each scan.
        overwrite: predict again what is there already.
        is_overlapped: None overlaps, but on one core alone. It takes numba's
            OpenMP or TBB threads, which several callers may use at once.
        columns: of headerless files, as in `check_letters`; None finds them out.
        handling: of the scans and their labels; None takes them as they are.

    Yields:
        One Prediction per scan, in order; a scan that cannot be read has its `error` set.
    """
    paths = prediction_paths(out, scan_paths, file_format, pipeline.classes)
    refuse_inputs_as_outputs(paths, scan_paths)
    source, handling = FileSource(out, scan_paths, columns), handling or Handling()
    ego = OwnVehicles(pipeline.ego_box, source, handling)
    job = Job(pipeline, file_format, sensor_height_m, overwrite, ego, handling)
    job = replace(job, may_be_empty=not all_empty(scan_paths))
    pairs = zip(source.frames(), paths, strict=True)
    yield from _run(job, pairs, is_overlapped, _workers(pipeline.device.type))


def predict_pairs(
    pipeline: PanopticPipeline,
    source: FileSource,
    pairs: Sequence[tuple[Path, Path]],
    file_format: str,
    *,
    sensor_height_m: float | None = None,
    overwrite: bool = False,
    is_overlapped: bool | None = None,
    handling: Handling | None = None,
    may_be_empty: bool = True,
    begun_s: float | None = None,
) -> Iterator[Prediction]:
    """Predict some scans of a folder as if all of it were predicted.

    Args:
        pipeline: the loaded weights.
        source: all scans, which decide together what intensities mean and where the vehicle is.
        pairs: scans to predict, of the source, and where the labels go.
        file_format: as in `predict_files`.
        sensor_height_m: as in `predict_files`.
        overwrite: as in `predict_files`.
        is_overlapped: as in `predict_files`.
        handling: as in `predict_files`.
        may_be_empty: whether an empty file is a lost frame, or a fault.
        begun_s: seconds since 1970: labels that are younger are made again.

    Yields:
        One Prediction per scan, in order.
    """
    handling = handling or Handling()
    ego = OwnVehicles(pipeline.ego_box, source, handling)
    job = Job(pipeline, file_format, sensor_height_m, overwrite, ego, handling)
    job = replace(job, may_be_empty=may_be_empty, begun_s=begun_s)
    frames = source.frames_of([scan for scan, _ in pairs])
    items = zip(frames, (path for _, path in pairs), strict=True)
    yield from _run(job, items, is_overlapped)


def predict_sources(
    pipeline: PanopticPipeline,
    sources: Sequence[ScanSource],
    out: Path,
    file_format: str,
    *,
    sensor_height_m: float | None = None,
    overwrite: bool = False,
    is_overlapped: bool | None = None,
    handling: Handling | None = None,
) -> Iterator[Prediction]:
    """Predict scan files as `predict_files` does, and the frames of recordings as they are read.

    Nothing is unpacked to disk. Labels of a recording are named by the frame's number, 000000 on,
    in `out`, or in a folder of the recording's name below it where there is more than one source.
    Behind the last frame `times.txt` is written, the stamp of each frame in seconds, and where
    every frame has a pose `poses.txt`, in which line k is world_T_sensor of frame k (12 numbers).

    Args:
        pipeline: the loaded weights.
        sources: from `scans.sources.open_sources`.
        out: folder for the predictions.
        file_format: as in `predict_files`; or mcap, for each source one `NAME.mcap`
            with the points, their classes and instances, and boxes.
        sensor_height_m: as in `predict_files`.
        overwrite: as in `predict_files`; an MCAP file is always written anew.
        is_overlapped: as in `predict_files`.
        handling: as in `predict_files`.

    Yields:
        One Prediction per frame. Where a recording breaks off, its last one has its `error` set.
    """
    handling = handling or Handling()
    for source, folder in zip(sources, output_folders(out, sources), strict=True):
        ego = OwnVehicles(pipeline.ego_box, source, handling)
        job = Job(pipeline, file_format, sensor_height_m, overwrite, ego, handling)
        if isinstance(source, FileSource) and file_format != MCAP:
            paths = prediction_paths(folder, source.files, file_format, pipeline.classes)
            refuse_inputs_as_outputs(paths, source.files)
            job = replace(job, may_be_empty=not all_empty(source.files))
            pairs = zip(source.frames(), paths, strict=True)
            yield from _run(job, pairs, is_overlapped, _workers(pipeline.device.type))
        else:
            yield from _predict_recording(job, source, folder, is_overlapped)


def _num_cores() -> int:
    """Processors that this process may run on."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def _workers(device: str) -> int:
    """Scan files that are read at once, and as many grouped, beside a device of its own."""
    return 1 if device == "cpu" else max(1, min(MOST_WORKERS, (os.cpu_count() or 1) // 4))


def _predict_recording(
    job: Job, source: ScanSource, out: Path, is_overlapped: bool | None
) -> Iterator[Prediction]:
    results: list[Prediction] = []
    with ExitStack() as stack:
        if job.file_format == MCAP:
            file = AnnotatedMcap(out / f"{source.path.stem}.mcap", job.pipeline.classes)
            job = replace(job, annotated=stack.enter_context(file))
        for result in _run(job, _frames_of(source, out, job), is_overlapped):
            results.append(replace(result, labels=None))  # not all labels at once
            yield result
    if job.file_format == MCAP:
        return
    frames = [r for r in results if r.scan_path != source.path]
    stamps = [frame.stamp_ns for frame in frames]
    write_times_and_poses(out, stamps, [frame.world_T_sensor for frame in frames])


def _frames_of(
    source: ScanSource, out: Path, job: Job
) -> Iterator[tuple[Frame, Path] | Prediction]:
    """Each frame and where its labels go; where the source breaks off, why."""
    try:
        for frame in source.frames():
            yield frame, _recording_path(out, frame, source, job)
    except InputError as error:
        yield Prediction(source.path, out, error=str(error))


def _recording_path(out: Path, frame: Frame, source: ScanSource, job: Job) -> Path:
    if job.file_format == MCAP:
        return out / f"{source.path.stem}.mcap"
    return prediction_path(out, frame.path, job.file_format, job.pipeline.classes)


def _run(
    job: Job,
    items: Iterable[tuple[Frame, Path] | Prediction],
    is_overlapped: bool | None,
    workers: int = 1,
) -> Iterator[Prediction]:
    if is_overlapped is None:
        is_overlapped = job.pipeline.device.type != "cpu" or _num_cores() > 1
    if is_overlapped:
        yield from overlap(items, job.read, job.run_network, job.write, workers)
    else:
        for item in items:
            yield job.write(job.run_network(job.read(item)))
