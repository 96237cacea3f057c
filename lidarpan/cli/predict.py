"""lidarpan demo, predict, group."""

from __future__ import annotations

import dataclasses
import re
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lidarpan.cli.words import printable
from lidarpan.errors import InputError

if TYPE_CHECKING:
    from lidarpan.inference import Prediction


class Device(str, Enum):
    """Where the network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(str, Enum):
    """What the network computes in."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


DATASETS = "semantickitti, nuscenes, an installed one, FILE.yaml (a class table) or FILE.py:CLASS"
Classes = Annotated[str, typer.Option(help=f"Whose classes: {DATASETS}.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(epilog="Example: lidarpan demo --out out/demo")(demo)
    app.command(
        epilog="Examples: lidarpan predict 000000.bin --out labels/ · lidarpan predict "
        "data/sequences/08/velodyne --out predictions/ · lidarpan predict 'drive/*.pcd' --out "
        "labels/ --format ply · lidarpan predict drive.mcap --topic /points --out labels/ · "
        "lidarpan predict drive.bag --format mcap --out annotated/"
    )(predict)
    app.command(
        epilog="Example: lidarpan group data/sequences/08/velodyne --semantic network_output/ "
        "--classes semantickitti --out predictions/"
    )(group)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it makes.")] = Path("out/demo"),
    seed: Annotated[int, typer.Option(help="Which town.")] = 7,
    weights: Annotated[str, typer.Option(help="Shipped weights or a .safetensors file.")] = "town",
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
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


def predict(
    paths: Annotated[list[str], typer.Argument(help="Scan files, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the predictions.")],
    weights: Annotated[str, typer.Option(help="Shipped weights or a .safetensors file.")] = "town",
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="semantickitti, nuscenes, npz, ply, mcap or any dataset. [default: that of the "
            "weights' classes]",
        ),
    ] = None,
    sensor_height: Annotated[
        float | None,
        typer.Option(help="Sensor above the ground, metres. [default: measured in each scan]"),
    ] = None,
    sparse: Annotated[
        str | None, typer.Option(help="Sparse convolution engine: numba, torch, spconv or triton.")
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of the network; fp16 and bf16 need CUDA.")
    ] = Precision.fp32,
    overlap: Annotated[
        bool | None,
        typer.Option(
            "--overlap/--no-overlap",
            help="Read the next scan and group the last while the network runs. [default: on CUDA]",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Of headerless .bin files: a letter of x y z i r t _ per number."),
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
            "--tta", help="Average turned, mirrored, scaled copies: better, 5 x the work."
        ),
    ] = False,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="Topic of a bag or MCAP file; several are merged by their extrinsics."),
    ] = None,
    frame: Annotated[
        str | None, typer.Option(help="Of sensors that share a topic, the one in this frame.")
    ] = None,
) -> None:
    """Panoptic labels of scans and recordings.

    Scans: .bin, .pcd.bin, .pcd, .ply, .npy, .npz, .las, .laz, .feather, .parquet. Recordings: ROS
    bags (.bag, folders, .db3), .mcap, packets of Velodyne and Ouster (.pcap), .osf, .e57.
    """
    from rich.console import Console
    from rich.progress import track

    from lidarpan.inference import predict_sources
    from lidarpan.pipeline import PanopticPipeline
    from lidarpan.scans.headerless import check_letters
    from lidarpan.scans.sources import count_frames, open_sources

    console = Console(stderr=True, highlight=False)
    letters = None if columns is None else check_letters(columns)
    sources = open_sources(paths, topic or (), frame, letters)
    pipeline = PanopticPipeline.from_weights(
        weights, device.value, sparse, precision.value, tta=tta, ego_box=ego_box
    )
    make_folder(out)
    results: list[Prediction] = []
    stream = predict_sources(
        pipeline,
        sources,
        out,
        file_format or pipeline.classes.name,
        sensor_height_m=sensor_height,
        overwrite=overwrite,
        is_overlapped=overlap,
    )
    begin = time.perf_counter()
    total = count_frames(sources)
    notes = Notes()
    for result in track(stream, "Predicting", total=total, console=console, transient=True):
        results.append(dataclasses.replace(result, labels=None))
        for note in notes.of(result):
            console.print(note, soft_wrap=True, markup=False)
    for note in notes.rest():
        console.print(note, soft_wrap=True, markup=False)
    _summarize(results, out, time.perf_counter() - begin)


class Notes:
    """What to say about the scans; of each folder or recording each kind of note once."""

    def __init__(self) -> None:
        self._said: set[tuple[Path, str]] = set()
        self._again: dict[Path, int] = {}

    def of(self, result: Prediction) -> list[str]:
        """Lines to print for a scan."""
        what = [("warning", f"{result.scan_path}: {warning}") for warning in result.warnings]
        unusable = result.num_dropped - result.num_own
        if unusable:
            dropped = f"{unusable} unusable points are labelled void"
            what.append(("note", f"{result.scan_path}: {dropped}"))
        what = [(kind, text) for kind, text in what if self._is_new(text, result.scan_path)]
        if result.error:
            what.append(("error", result.error))
        return [printable(f"{kind}: {text}") for kind, text in what]

    def _is_new(self, text: str, path: Path) -> bool:
        kind = re.sub(r"\d+(\.\d+)?", "#", text.replace(str(path), ""))
        is_new = (path.parent, kind) not in self._said
        self._said.add((path.parent, kind))
        if not is_new:
            self._again[path.parent] = self._again.get(path.parent, 0) + 1
        return is_new

    def rest(self) -> list[str]:
        """How many notes of each folder or recording were not printed."""
        return [
            printable(f"note: {path}: {n} more of these in later scans")
            for path, n in self._again.items()
        ]


def _summarize(predictions: list[Prediction], out: Path, elapsed_s: float) -> None:
    failed = [r for r in predictions if r.error]
    fresh = [r for r in predictions if r.elapsed_ms]
    there = len(predictions) - len(failed) - len(fresh)
    if fresh:
        total = sorted(sum((r.elapsed_ms or {}).values()) for r in fresh)
        stages = {
            stage: sorted((r.elapsed_ms or {}).get(stage, 0.0) for r in fresh)[len(fresh) // 2]
            for stage in (fresh[-1].elapsed_ms or {})
        }
        typer.echo(
            f"median {total[len(total) // 2]:.0f} ms per scan: "
            + ", ".join(f"{stage} {ms:.0f}" for stage, ms in stages.items())
            + f"; {len(fresh) / elapsed_s:.2g} scans per second in all"
        )
    outside = sum(r.outside for r in fresh) / max(len(fresh), 1)
    if outside > 0.0005:
        typer.echo(f"{outside:.1%} of the points lie outside the network's range and are void")
    skipped = f", {there} were there already" if there else ""
    typer.echo(f"{len(fresh)} scans predicted{skipped}: {out}")
    own = sum(r.num_own for r in fresh)
    if own:
        share = own // len(fresh)
        typer.echo(f"{share} points a scan lie on the own vehicle: void (--ego-box off keeps them)")
    if failed:
        raise InputError(f"{len(failed)} of {len(predictions)} scans could not be predicted")


def group(
    paths: Annotated[list[str], typer.Argument(help="Scan files, folders or globs.")],
    semantic: Annotated[Path, typer.Option(help="Folder of semantic labels, one per scan.")],
    classes: Classes,
    out: Annotated[Path, typer.Option(help="Folder for the panoptic predictions.")],
    method: Annotated[str, typer.Option(help="Grouping method.")] = "auto",
) -> None:
    """Panoptic labels from any network's semantic labels."""
    from rich.progress import track

    from lidarpan.group_files import group_files
    from lidarpan.scans.files import find_scans

    scans = find_scans(paths)
    make_folder(out)
    stream = group_files(scans, semantic, out, classes, method)
    count = sum(1 for _ in track(stream, "Grouping", total=len(scans), transient=True))
    typer.echo(f"{count} scans grouped: {out}")


def make_folder(folder: Path) -> None:
    """Create an output folder; InputError where that cannot be."""
    from lidarpan.whole_file import check_folder

    check_folder(folder)
