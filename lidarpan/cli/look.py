"""lidarpan draw, bench, doctor."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lidarpan.cli.predict import Dataset, Device


class View(str, Enum):
    """Where one looks from."""

    bev = "bev"
    range = "range"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(
        epilog="Examples: lidarpan draw 000000.bin --labels 000000.label --out map.png · lidarpan "
        "draw 000000.bin --labels pred.label --truth true.label --mode error --out errors.png"
    )(draw)
    app.command(epilog="Example: lidarpan bench --json bench.json")(bench)
    app.command(epilog="Example: lidarpan doctor")(doctor)


def draw(
    scan: Annotated[Path, typer.Argument(help="A scan file.")],
    out: Annotated[Path, typer.Option(help="Picture to write, .png.")],
    labels: Annotated[Path | None, typer.Option(help="Its labels: .label, .npz or .ply.")] = None,
    truth: Annotated[Path | None, typer.Option(help="True labels, drawn beside.")] = None,
    classes: Annotated[Dataset, typer.Option(help="Whose classes.")] = Dataset.semantickitti,
    mode: Annotated[
        str, typer.Option(help="panoptic, semantic, instance, height, intensity or error.")
    ] = "panoptic",
    size: Annotated[int, typer.Option(min=200, help="Pixels of a panel's edge.")] = 1000,
    range_m: Annotated[float, typer.Option("--range", help="Metres shown to each side.")] = 50.0,
    view: Annotated[View, typer.Option(help="From above, or as the sensor sees it.")] = View.bev,
) -> None:
    """A bird's-eye-view map of a scan and its panoptic labels, or its range view."""
    from lidarpan.draw_files import draw_file

    path = draw_file(
        scan,
        out,
        labels=labels,
        truth=truth,
        classes=classes.value,
        mode=mode,
        size_px=size,
        range_m=range_m,
        view=view.value,
    )
    typer.echo(f"picture: {path}")


def bench(
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    weights: Annotated[str, typer.Option(help="Shipped weights or a .safetensors file.")] = "town",
    scans: Annotated[int, typer.Option(min=1, help="Scans to time, after warm-up.")] = 20,
    sparse: Annotated[
        str | None, typer.Option(help="Sparse convolution engine: native, spconv or triton.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
) -> None:
    """Honest latency: batch 1, from the file's bytes to labels, per stage."""
    from rich.console import Console

    from lidarpan.bench import format_report, run_bench, write_report

    report = run_bench(weights=weights, device=device.value, num_scans=scans, sparse=sparse)
    Console().print(format_report(report))
    if json:
        write_report(report, json)
        typer.echo(f"report: {json}")


def doctor() -> None:
    """What is installed, which sparse engine runs and why, and how to mend what is not."""
    from rich.console import Console

    from lidarpan.doctor import examine, format_findings

    findings = examine()
    Console(highlight=False).print(format_findings(findings))
    if any(finding.is_fatal for finding in findings):
        raise typer.Exit(1)
