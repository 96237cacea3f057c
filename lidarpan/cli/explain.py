"""lidarpan explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lidarpan.cli.options import Device, OnDevice, Weights
from lidarpan.cli.root import app


@app.command(
    epilog="Examples: lidarpan explain 000000.bin --instance 12 --out why.png · lidarpan "
    "explain 000000.bin --point 5000 --out why.html"
)
def explain(
    scan: Annotated[Path, typer.Argument(help="A scan file.")],
    out: Annotated[Path, typer.Option(help="What to write: .png or .html.")],
    instance: Annotated[
        int | None, typer.Option(help="Number of an object, as `predict` numbers them.")
    ] = None,
    point: Annotated[int | None, typer.Option(help="Place of a point in the file, from 0.")] = None,
    weights: Weights = "town",
    device: OnDevice = Device.auto,
    steps: Annotated[int, typer.Option(min=4, max=300, help="Of the integral.")] = 24,
    check: Annotated[
        bool, typer.Option(help="Also take pieces away and see what the answer loses.")
    ] = True,
) -> None:
    """Why the network says what an object is: where the evidence lies, in words and a picture.

    Wants the extra `explain`: pip install 'lidarpan[explain]'.
    """
    from rich.console import Console

    from lidarpan.attribution.files import explain_file

    with Console(stderr=True).status("Weighing the evidence ..."):
        told = explain_file(
            scan,
            out,
            instance=instance,
            point=point,
            weights=weights,
            device=device.value,
            steps=steps,
            is_checked=check,
        )
    for sentence in told:
        typer.echo(sentence)
    typer.echo(f"drawn: {out}")
