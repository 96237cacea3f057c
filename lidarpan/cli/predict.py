"""lidarpan demo, predict, group."""

from __future__ import annotations

import dataclasses
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lidarpan.cli.options import (
    Address,
    BoxFormat,
    Classes,
    Device,
    Engine,
    Gpus,
    InPrecision,
    Level,
    OnDevice,
    OnEngine,
    Precision,
    Scans,
    SensorHeight,
    SomeFrame,
    SomeMerged,
    SomeTopics,
    Sparse,
    VoxelSize,
    Weights,
    cluster_of,
)
from lidarpan.cli.root import app
from lidarpan.errors import InputError, printable
from lidarpan.whole_file import check_folder

if TYPE_CHECKING:
    from lidarpan.model.configured import Choices


@app.command(epilog="Example: lidarpan demo --out out/demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it makes.")] = Path("out/demo"),
    seed: Annotated[int, typer.Option(help="Which town.")] = 7,
    weights: Weights = "town",
    device: OnDevice = Device.auto,
) -> None:
    """Make a town scan, predict it with the shipped weights, score it, draw it."""
    from rich.console import Console

    from lidarpan.demo import run_demo

    console = Console(highlight=False)
    with console.status("Simulating, predicting, scoring, drawing ..."):
        report = run_demo(out, seed=seed, weights=weights, device=device.value)
    console.print(report.table)
    for line in report.lines:
        console.print(line, soft_wrap=True)


@app.command(
    epilog="Examples: lidarpan predict 000000.bin --out labels/ · lidarpan predict "
    "data/sequences/08/velodyne --out predictions/ · lidarpan predict 'drive/*.pcd' --out "
    "labels/ --format ply · lidarpan predict drive.mcap --topic /points --out labels/ · "
    "lidarpan predict drive.bag --format mcap --out annotated/"
)
def predict(
    paths: Scans,
    out: Annotated[Path, typer.Option(help="Folder for the predictions.")],
    weights: Weights = "town",
    device: OnDevice = Device.auto,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="semantickitti, nuscenes, npz, ply, mcap or any dataset. [default: that of the "
            "weights' classes]",
        ),
    ] = None,
    sensor_height: SensorHeight = None,
    sparse: Sparse = None,
    precision: InPrecision = Precision.fp32,
    overlap: Annotated[
        bool | None,
        typer.Option(
            "--overlap/--no-overlap",
            help="Read the next scan and group the last while the network runs. [default: on]",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Of .bin, .npy and text without names: a letter of x y z i r t _ each."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Predict again what is there already.")] = False,
    ego_box: Annotated[
        str | None,
        typer.Option(
            help="Void, on the own vehicle: auto, off or x0,y0,z0,x1,y1,z1 in metres. "
            "[default: as the weights say, auto]"
        ),
    ] = None,
    tta: Annotated[
        bool,
        typer.Option(
            "--tta", help="Average turned, mirrored, scaled copies: better, 3 x the work."
        ),
    ] = False,
    voxel_m: VoxelSize = None,
    topic: SomeTopics = None,
    frame: SomeFrame = None,
    merged: SomeMerged = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Objects of a lower score go back to stuff. [default: the weights']"
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Points whose class is less sure are void. [default: the weights']"
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Classes to keep, such as car,person; the rest is void.")
    ] = None,
    objects: Annotated[
        Path | None, typer.Option(help="Write the list of all objects here, .json or .csv.")
    ] = None,
    boxes: Annotated[
        BoxFormat | None, typer.Option(help="Write boxes for other tools to OUT/boxes.")
    ] = None,
    up: Annotated[str | None, typer.Option(help="Axis that points up: x, -x, ... -z.")] = None,
    forward: Annotated[
        str | None, typer.Option(help="Axis that points forward: x, -x, ... -z.")
    ] = None,
    level: Annotated[
        Level, typer.Option(help="Turn scans whose ground does not lie below by that ground.")
    ] = Level.auto,
    is_tracked: Annotated[
        bool,
        typer.Option(
            "--track",
            help="Give objects ids that last over a drive; single scans go to untracked/.",
        ),
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Open the page with the result.")] = False,
    engine: OnEngine = Engine.local,
    address: Address = None,
    gpus: Gpus = None,
) -> None:
    """Panoptic labels of scans and recordings.

    Scans: .bin, .pcd.bin, .pcd, .ply, .npy, .npz, .las, .laz, .feather, .parquet, .xyz, .csv, .txt,
    .asc, .pts. Recordings: ROS bags (.bag, folders, .db3), .mcap, packets of Velodyne and Ouster
    (.pcap), .osf, .e57.
    """
    from rich.console import Console
    from rich.progress import track

    from lidarpan.cli.told import Notes, compile_first, summarize
    from lidarpan.fleet.store import url_of
    from lidarpan.inference import Asked, Handling, predict_sources
    from lidarpan.inference.objects_files import ObjectFiles
    from lidarpan.model.weights import read_classes
    from lidarpan.pipeline import PanopticPipeline
    from lidarpan.scans.axes import turn_to
    from lidarpan.scans.headerless import check_letters
    from lidarpan.scans.source import inputs_of
    from lidarpan.scans.sources import count_frames, open_sources

    console = Console(stderr=True, highlight=False)
    turn = turn_to(up or "z", forward or "x") if up or forward else None
    letters = None if columns is None else check_letters(columns)
    is_stored = any(url_of(path) for path in [*paths, str(out)])
    sources = [] if is_stored else open_sources(paths, topic or (), frame, letters, merged or ())
    compile_first(console)
    inputs = [file for source in sources for file in inputs_of(source)]
    lists = ObjectFiles(out, objects, None if boxes is None else boxes.value, inputs)
    choices: Choices = {
        "tta": tta,
        "min_score": min_score,
        "ego_box": ego_box,
        "voxel_m": voxel_m,
    }
    cluster = cluster_of(engine, address, 0 if device is Device.cpu else gpus)
    loading = (weights, device.value, sparse, precision.value)
    pipeline = None if cluster else PanopticPipeline.from_weights(*loading, **choices)
    classes = pipeline.classes if pipeline else read_classes(weights)
    handling = Handling(
        turn=turn,
        is_levelled=turn is None and level is Level.auto,
        only=classes.ids_of(only.split(",")) if only else (),
        has_objects=lists.is_wanted,
    )
    if is_tracked and file_format == "mcap":
        raise InputError("--track writes label files, not --format mcap: choose another format")
    single = out / "untracked" if is_tracked else out
    if is_stored and (cluster is None or is_tracked or boxes or show):
        raise InputError("files in a store are for --engine ray, without --track, --boxes, --show")
    if merged and (is_stored or is_tracked or show):
        raise InputError(
            "--merge is for files on this machine, without --track and --show: merge them first by "
            "`lidarpan convert --merge`"
        )
    if url_of(out) is None:
        check_folder(out)
    notes, results, wanted = Notes(classes), [], file_format or classes.name
    asked = Asked(
        single, wanted, sensor_height, overwrite, overlap, handling, keeps_scores=is_tracked
    )
    begin = time.perf_counter()
    total = count_frames(sources)
    with ExitStack() as stack:
        if cluster is not None:
            from lidarpan.fleet.predict import Loading, predict_on_cluster

            stack.enter_context(cluster)
            how = Loading(*loading, tuple(choices.items()))
            if is_stored:
                from lidarpan.fleet.staged import predict_all_stored

                total, stream = predict_all_stored(cluster, how, paths, out, asked, letters)
            else:
                stream = predict_on_cluster(cluster, how, sources, asked)
        else:
            assert pipeline is not None
            stream = predict_sources(pipeline, sources, asked)
        for result in track(stream, "Predicting", total=total, console=console, transient=True):
            for note in notes.of(result):
                console.print(note, soft_wrap=True, markup=False)
            lists.add(result)
            results.append(dataclasses.replace(result, labels=None, counts=None, objects=None))
    for note in notes.rest():
        console.print(note, soft_wrap=True, markup=False)
    for line in [*notes.counts(), *lists.write(classes)]:
        typer.echo(line)
    elapsed_s = time.perf_counter() - begin
    is_next_said = not show and not is_tracked and not is_stored
    summarize(results, paths, out, elapsed_s, is_next_said=is_next_said, merged=merged or ())
    if is_tracked:
        from lidarpan.cli.tracks import run_tracking
        from lidarpan.track_files import Tracking

        with cluster_of(engine, address) or nullcontext() as again:
            run_tracking(sources, single, out, Tracking(classes), cluster=again)
    if show:
        from lidarpan.cli.serving import open_page

        open_page([result.scan_path for result in results], out, classes)


@app.command(
    epilog="Example: lidarpan group data/sequences/08/velodyne --semantic network_output/ "
    "--classes semantickitti --out predictions/"
)
def group(
    paths: Scans,
    semantic: Annotated[Path, typer.Option(help="Folder of semantic labels, one per scan.")],
    classes: Classes,
    out: Annotated[Path, typer.Option(help="Folder for the panoptic predictions.")],
    method: Annotated[str, typer.Option(help="Grouping method.")] = "auto",
    ids: Annotated[
        str | None,
        typer.Option(
            help="What the labels count: raw labels, train ids, or train0, those from the first "
            "real class on. [default: found out]"
        ),
    ] = None,
) -> None:
    """Panoptic labels from any network's semantic labels."""
    from rich.progress import track

    from lidarpan.group_files import group_files
    from lidarpan.scans.files import find_scans

    scans = find_scans(paths)
    check_folder(out)
    stream = group_files(scans, semantic, out, classes, method, ids)
    failed = 0
    for result in track(stream, "Grouping", total=len(scans), transient=True):
        if result.error:
            failed += 1
            typer.echo(printable(f"error: {result.error}"), err=True)
    typer.echo(f"{len(scans) - failed} scans grouped: {out}")
    if failed:
        raise InputError(f"{failed} of {len(scans)} scans could not be grouped")
