"""lidarpan track, stream."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lidarpan.classes import DEFAULT_TABLE
from lidarpan.cli.options import (
    Address,
    BoxFormat,
    Classes,
    Device,
    Engine,
    OnDevice,
    OnEngine,
    VoxelSize,
    Weights,
    cluster_of,
)
from lidarpan.cli.root import app
from lidarpan.errors import InputError, printable
from lidarpan.whole_file import check_folder

if TYPE_CHECKING:
    from lidarpan.fleet.cluster import Cluster
    from lidarpan.scans.source import ScanSource
    from lidarpan.stream.score import StreamScores
    from lidarpan.track_files import Tracking


@app.command(
    epilog="Examples: lidarpan track data/sequences/08/velodyne --labels predictions/ --out "
    "tracked/ · lidarpan track scans/ --labels labels/ --classes nuscenes --poses poses.txt "
    "--times times.txt --out tracked/"
)
def track(
    paths: Annotated[list[str], typer.Argument(help="Scan files, folders, recordings or globs.")],
    labels: Annotated[Path, typer.Option(help="Folder of labels, one file per scan.")],
    out: Annotated[Path, typer.Option(help="Folder for the labels with lasting ids.")],
    classes: Classes = DEFAULT_TABLE,
    poses: Annotated[
        Path | None,
        typer.Option(
            help="File of poses, 12 numbers a line: world_T_sensor of the files' own frame, or "
            "KITTI's with calib.txt beside it. [default: poses.txt beside the scans]"
        ),
    ] = None,
    times: Annotated[
        Path | None,
        typer.Option(
            help="File of times, seconds, one a line. [default: times.txt beside the scans]"
        ),
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Answer each scan from the scans before it alone.")
    ] = False,
    odometry: Annotated[
        bool,
        typer.Option("--odometry", help="Estimate poses where there are none (extra odometry)."),
    ] = False,
    mend_classes: Annotated[
        bool, typer.Option(help="Give an object the class that its whole life speaks for.")
    ] = True,
    join: Annotated[bool, typer.Option(help="Join pieces of one object.")] = True,
    cut: Annotated[bool, typer.Option(help="Cut objects that came from two.")] = True,
    by_place: Annotated[
        bool, typer.Option(help="Name what rests by the place it fills (not with --online).")
    ] = True,
    vote: Annotated[
        bool, typer.Option(help="Let the scans around say what stuff is, where there are poses.")
    ] = True,
    moving: Annotated[
        bool, typer.Option(help="Write the class table's labels of moving things (252 to 259).")
    ] = True,
    boxes: Annotated[
        BoxFormat | None, typer.Option(help="Write tracking results for other tools to OUT/boxes.")
    ] = None,
    engine: OnEngine = Engine.local,
    address: Address = None,
) -> None:
    """Ids that stay: labels of a drive's scans, of any network, to one id per object.

    Writes the labels in their own format, tracks.csv and tracks.json.
    """
    from lidarpan.datasets.open import find_classes
    from lidarpan.fleet.store import local_copy, local_output, url_of
    from lidarpan.scans.sources import open_sources
    from lidarpan.track_files import Tracking
    from lidarpan.tracking.tracker import Mending

    table = find_classes(classes)
    mending = Mending(mend_classes, join, cut, by_place, vote)
    with ExitStack() as stack:
        cluster = cluster_of(engine, address)
        if cluster is not None:
            stack.enter_context(cluster)
        local = [stack.enter_context(local_copy(Path(p))) if url_of(p) else p for p in paths]
        run_tracking(
            open_sources(local),
            stack.enter_context(local_copy(labels)),
            stack.enter_context(local_output(out)),
            Tracking(table, online, odometry, mending, moving),
            poses=poses,
            times=times,
            boxes=None if boxes is None else boxes.value,
            cluster=cluster,
        )


def run_tracking(
    sources: Sequence[ScanSource],
    labels: Path,
    out: Path,
    tracking: Tracking,
    *,
    poses: Path | None = None,
    times: Path | None = None,
    boxes: str | None = None,
    cluster: Cluster | None = None,
) -> None:
    """Track with a progress bar; print what was lost, and what there is.

    Raises:
        InputError: a file is damaged; on a cluster once all other drives are done.
    """
    from rich.progress import track as show_progress

    from lidarpan.datasets.track_lists import write_kitti_tracking, write_nuscenes_tracking
    from lidarpan.track_files import Summary, plan_drives, track_files

    drives, notes = plan_drives(sources, labels, out, poses, times)
    check_folder(out)
    if tracking.has_odometry:
        notes = [note for note in notes if ": no poses" not in note]
    for note in notes:
        typer.echo(printable(f"note: {note}"), err=True)
    summary, count = Summary(), sum(len(drive.scans) for drive in drives)
    faults: list[str] = []
    if cluster is None:
        stream = track_files(drives, out, tracking, summary)
        total = count * (1 if tracking.is_online else 2)
        for _ in show_progress(stream, "Tracking", total=total, transient=True):
            pass
    else:
        from lidarpan.fleet.track import track_on_cluster

        done = track_on_cluster(cluster, drives, out, tracking, summary)
        for drive in show_progress(done, "Tracking", total=len(drives), transient=True):
            if drive.error:
                faults.append(drive.error)
                typer.echo(printable(f"error: {drive.error}"), err=True)
    table = tracking.classes
    if boxes == "kitti":
        write_kitti_tracking(out / "boxes", summary.rows, summary.poses, table)
    elif boxes == "nuscenes":
        write_nuscenes_tracking(out / "boxes" / "tracking.json", summary.rows, table)
    objects = len({(row.drive, row.id) for row in summary.rows})
    count = len(summary.poses)
    typer.echo(f"{count} scans tracked, {objects} objects: {out}")
    if faults:
        raise InputError(f"{len(faults)} of {len(drives)} drives could not be tracked")


@app.command(
    epilog="Examples: lidarpan stream data/sequences/08/velodyne --out live/ · lidarpan stream "
    "drive.mcap --out live/ · my_driver | lidarpan stream - --out live/"
)
def stream(
    paths: Annotated[
        list[str], typer.Argument(help="Scan files, a folder, a recording, or - for stdin.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the labels with lasting ids.")],
    weights: Weights = "town",
    device: OnDevice = Device.auto,
    file_format: Annotated[
        str | None,
        typer.Option("--format", help="As of predict. [default: that of the weights' classes]"),
    ] = None,
    pace: Annotated[
        float, typer.Option(min=0, help="Times the sensor's pace; 0: as fast as it goes, no drops.")
    ] = 1.0,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Folder of true labels: the answers are also scored against the world at the time "
            "they come."
        ),
    ] = None,
    voxel_m: VoxelSize = None,
) -> None:
    """Label scans as they come: at the sensor's pace, with ids that last.

    Where scans come faster than they are answered the newest is taken and the drops are counted.
    Standard input holds, for each scan: LPS1, number of points (uint32), seconds (float64), then x
    y z intensity of each point (float32), all little-endian.
    """
    import sys

    from lidarpan.pipeline import PanopticPipeline
    from lidarpan.scans.sources import open_sources
    from lidarpan.stream import LiveStream, PanopticStream, paced
    from lidarpan.stream.files import StreamWriter, arrivals_of, arrivals_of_pipe, truth_of
    from lidarpan.stream.score import StreamRecord
    from lidarpan.tracking.tracker import Tracker

    is_pipe = paths == ["-"]
    if truth is not None and (is_pipe or not pace):
        raise InputError(
            "--truth scores answers by when they come: wanted scans from files at a pace above 0, "
            f"got {'standard input' if is_pipe else '--pace 0'}"
        )
    arrivals = arrivals_of_pipe(sys.stdin.buffer) if is_pipe else arrivals_of(open_sources(paths))
    pipeline = PanopticPipeline.from_weights(weights, device.value, voxel_m=voxel_m)
    check_folder(out)
    writer = StreamWriter(out, file_format or pipeline.classes.name, pipeline.classes)
    live = LiveStream(PanopticStream(pipeline, Tracker(pipeline.classes)), waits=pace == 0)
    record = None if truth is None else StreamRecord(pace)
    begin = live.clock()
    for answer in live.run(paced(arrivals, live.clock, pace) if pace and not is_pipe else arrivals):
        writer.write(answer)
        if record is not None:
            record.add(answer)
        typer.echo(
            f"{answer.arrival.name}: {len(answer.tracked.objects.id)} objects, "
            f"{1000 * answer.latency_s:.0f} ms"
        )
    counts, elapsed_s = live.stream.counts, live.clock() - begin
    half, most, nearly_all = (1000 * value for value in live.percentiles_s())
    typer.echo(
        f"{counts.answered} scans answered in {elapsed_s:.1f} s, {counts.dropped} dropped, "
        f"{counts.late} late: {out}"
    )
    if counts.answered:
        typer.echo(
            f"from a scan's end to its labels: p50 {half:.0f}, p95 {most:.0f}, "
            f"p99 {nearly_all:.0f} ms"
        )
    if truth is not None and record is not None:
        again = arrivals_of(open_sources(paths))
        scores = record.score(again, partial(truth_of, truth, pipeline.classes), pipeline.classes)
        typer.echo(_told(scores))


def _told(scores: StreamScores | None) -> str:
    if scores is None:
        return "no answer came before the last scan: nothing to score"
    own, late = scores.at_once, scores.late
    return (
        f"against their own scans: PQ {own.pq:.4f}, mIoU {own.miou:.4f}; against the world when "
        f"they came: PQ {late.pq:.4f}, mIoU {late.miou:.4f} ({scores.num_scans} scans, answers "
        f"{scores.age_s:.2f} s old)"
    )
