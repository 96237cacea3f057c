"""Scan files and recordings -> predictions; interrupted work is taken up where it ended."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lidarpan.datasets.annotated import MCAP, AnnotatedMcap
from lidarpan.datasets.predictions import prediction_path, prediction_paths
from lidarpan.inference.job import Asked, Handling, Job, OwnVehicles, Prediction
from lidarpan.overlap import overlap
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.files import all_empty
from lidarpan.scans.output_names import output_folders, write_times_and_poses
from lidarpan.scans.source import FileSource, Frame, ScanSource, inputs_of
from lidarpan.structures import InputError
from lidarpan.whole_file import refuse_inputs_as_outputs

MOST_WORKERS = 6


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
        file_format: as in `Asked`, likewise what follows.
        sensor_height_m: of the scans' sensor.
        overwrite: predict again what is there already.
        is_overlapped: whether steps run side by side.
        columns: of headerless files, as in `check_letters`; None finds them out.
        handling: of the scans and their labels; None takes them as they are.

    Yields:
        One Prediction per scan, in order; a scan that cannot be read has its `error` set.
    """
    how = (sensor_height_m, overwrite, is_overlapped, handling or Handling())
    source = FileSource(out, scan_paths, columns)
    yield from predict_sources(pipeline, [source], Asked(out, file_format, *how))


def predict_pairs(
    pipeline: PanopticPipeline,
    source: FileSource,
    pairs: Sequence[tuple[Path, Path]],
    asked: Asked,
) -> Iterator[Prediction]:
    """Predict some scans of a folder as if all of it were predicted.

    Args:
        pipeline: the loaded weights.
        source: all scans, which decide together what intensities mean and where the vehicle is.
        pairs: scans to predict, of the source, and where the labels go.
        asked: what is wanted; its `out` is not used.

    Yields:
        One Prediction per scan, in order.
    """
    frames = source.frames_of([scan for scan, _ in pairs])
    items = zip(frames, (path for _, path in pairs), strict=True)
    yield from _run(_job(pipeline, source, asked), items)


def predict_sources(
    pipeline: PanopticPipeline, sources: Sequence[ScanSource], asked: Asked
) -> Iterator[Prediction]:
    """Predict scan files as `predict_files` does, and the frames of recordings as they are read.

    Nothing is unpacked to disk. Labels of a recording are named by the frame's number, 000000 on,
    in `asked.out`, or in a folder of the recording's name below it where there is more than one
    source. Behind the last frame `times.txt` is written, the stamp of each frame in seconds, and
    where every frame has a pose `poses.txt`, in which line k is world_T_sensor of frame k (12
    numbers).

    Args:
        pipeline: the loaded weights.
        sources: from `scans.sources.open_sources`.
        asked: what is wanted.

    Yields:
        One Prediction per frame. Where a recording breaks off, its last one has its `error` set.
    """
    for source, folder in zip(sources, output_folders(asked.out, sources), strict=True):
        if isinstance(source, FileSource) and asked.file_format != MCAP:
            paths = prediction_paths(folder, source.files, asked.file_format, pipeline.classes)
            refuse_inputs_as_outputs(paths, source.inputs)
            job = _job(pipeline, source, replace(asked, may_be_empty=not all_empty(source.files)))
            pairs = zip(source.frames(), paths, strict=True)
            yield from _run(job, pairs, _workers(pipeline.device.type))
        else:
            yield from _predict_recording(_job(pipeline, source, asked), source, folder)


def _job(pipeline: PanopticPipeline, source: ScanSource, asked: Asked) -> Job:
    return Job(pipeline, asked, OwnVehicles(pipeline.ego_box, source, asked.handling))


def _num_cores() -> int:
    """Processors that this process may run on."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def _workers(device: str) -> int:
    """Scan files that are read at once, and as many grouped, beside a device of its own."""
    return 1 if device == "cpu" else max(1, min(MOST_WORKERS, (os.cpu_count() or 1) // 4))


def _predict_recording(job: Job, source: ScanSource, out: Path) -> Iterator[Prediction]:
    is_mcap = job.asked.file_format == MCAP
    if is_mcap:
        refuse_inputs_as_outputs([out / f"{source.path.stem}.mcap"], inputs_of(source))
    results: list[Prediction] = []
    with ExitStack() as stack:
        if is_mcap:
            file = AnnotatedMcap(out / f"{source.path.stem}.mcap", job.pipeline.classes)
            job = replace(job, annotated=stack.enter_context(file))
        for result in _run(job, _frames_of(source, out, job)):
            results.append(replace(result, labels=None))  # not all labels at once
            yield result
    if is_mcap:
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
    if job.asked.file_format == MCAP:
        return out / f"{source.path.stem}.mcap"
    return prediction_path(out, frame.path, job.asked.file_format, job.pipeline.classes)


def _run(
    job: Job, items: Iterable[tuple[Frame, Path] | Prediction], workers: int = 1
) -> Iterator[Prediction]:
    is_overlapped = job.asked.is_overlapped
    if is_overlapped is None:
        is_overlapped = job.pipeline.device.type != "cpu" or _num_cores() > 1
    if is_overlapped:
        yield from overlap(items, job.read, job.run_network, job.write, workers)
    else:
        for item in items:
            yield job.write(job.run_network(job.read(item)))
