"""lidarpan evaluate, compare, submit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lidarpan.cli.predict import Dataset


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(
        epilog="Examples: lidarpan evaluate semantickitti --data kitti --predictions predictions "
        "--split valid --json scores.json · lidarpan evaluate nuscenes --data nuscenes "
        "--predictions results --split mini_val --per-scan scans.csv"
    )(evaluate)


def evaluate(
    dataset: Annotated[Dataset, typer.Argument(help="Whose rules and layout.")],
    data: Annotated[Path, typer.Option(help="Root of the dataset.")],
    predictions: Annotated[Path, typer.Option(help="Folder above sequences/ or panoptic/.")],
    split: Annotated[str, typer.Option(help="Which split.")],
    json: Annotated[Path | None, typer.Option(help="Write the scores here.")] = None,
    per_scan: Annotated[Path | None, typer.Option(help="Write a row per scan here (CSV).")] = None,
    min_points: Annotated[
        int | None, typer.Option(help="Smallest segment that counts. [default: the benchmark's]")
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(help="official, upper16 (instance id alone) or present (classes present)."),
    ] = "official",
) -> None:
    """PQ, SQ, RQ and mIoU of predictions, equal to the official scripts."""
    from rich.console import Console

    from lidarpan.evaluation import evaluate_folder, format_table, write_csv, write_json

    evaluation = evaluate_folder(
        dataset.value, data, predictions, split, min_points=min_points, protocol=protocol
    )
    Console().print(format_table(evaluation))
    if json:
        write_json(evaluation, json)
        typer.echo(f"scores: {json}")
    if per_scan:
        write_csv(evaluation, per_scan)
        typer.echo(f"per scan: {per_scan}")
