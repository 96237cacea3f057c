"""lidarpan export, publish."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lidarpan.cli.options import Device
from lidarpan.cli.root import app
from lidarpan.errors import InputError


class Kind(str, Enum):
    """What a network can be exported to."""

    onnx = "onnx"
    aoti = "aoti"


SUFFIXES = {Kind.onnx: ".onnx", Kind.aoti: ".pt2"}


@app.command(
    epilog="Examples: lidarpan export town --to onnx · lidarpan export town --to aoti --out "
    "town.pt2 · lidarpan export run/best.safetensors --to onnx --out best.onnx"
)
def export(
    weights: Annotated[str, typer.Argument(help="Shipped weights or a .safetensors file.")],
    to: Annotated[Kind, typer.Option(help="A file for ONNX Runtime, or a package for C++.")],
    out: Annotated[
        Path | None, typer.Option(help="What to write. [default: WEIGHTS.onnx or .pt2, here]")
    ] = None,
    device: Annotated[Device, typer.Option(help="What a package (aoti) runs on.")] = Device.auto,
) -> None:
    """The network without Python: features and neighbour tables in, probabilities out.

    An ONNX file holds plain operators alone and runs in ONNX Runtime. A package (aoti) is compiled
    here, for this kind of processor or GPU; C++ runs it with torch's library.
    docs/export.md says what the inputs are and shows a C++ program. Labels for labelling tools are
    written by lidarpan prelabel.
    """
    from rich.console import Console

    from lidarpan.export.files import export_aoti, export_onnx

    path = out or Path(Path(weights).stem + SUFFIXES[to])
    if path.suffix != SUFFIXES[to]:
        raise InputError(f"--out {path}: wanted a name that ends in {SUFFIXES[to]} for {to.value}")
    with Console(stderr=True).status(f"Exporting to {to.value}: up to a few minutes ..."):
        if to is Kind.onnx:
            export_onnx(weights, path)
        else:
            export_aoti(weights, path, device.value)
    typer.echo(f"{path.stat().st_size / 1e6:.1f} MB: {path}")


@app.command(epilog="Example: lidarpan publish runs/mine/best.safetensors hf://me/my-weights")
def publish(
    weights: Annotated[Path, typer.Argument(help="A .safetensors file.")],
    place: Annotated[str, typer.Argument(help="On the Hugging Face hub: hf://OWNER/NAME.")],
    public: Annotated[
        bool, typer.Option("--public", help="A new repository is for everyone.")
    ] = False,
) -> None:
    """Put weights and their card on the Hugging Face hub; --weights hf://OWNER/NAME takes them."""
    from lidarpan.model.hub import publish_weights

    typer.echo(publish_weights(weights, place, is_private=not public))
