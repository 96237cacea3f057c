"""lidarpan check."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lidarpan.cli.options import DATASETS, Address, Engine, OnEngine, cluster_of
from lidarpan.cli.root import app
from lidarpan.errors import InputError, printable

if TYPE_CHECKING:
    from lidarpan.datasets.check import DatasetCheck, Look
    from lidarpan.datasets.faults import Fault

_SHOWN = 100


@app.command(
    epilog="Examples: lidarpan check semantickitti data/kitti --split train · lidarpan check "
    "pandaset data/pandaset --split all --out checked/ · lidarpan check my_classes.yaml data"
)
def check(
    dataset: Annotated[str, typer.Argument(help=f"Whose layout: {DATASETS}.")],
    root: Annotated[Path, typer.Argument(help="Root of the dataset.")],
    split: Annotated[
        str | None,
        typer.Option(help="A split, or names of sequences with commas. [default: all of them]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for faults.csv; a run that was broken off is gone on with."),
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="How many faults to print.")] = _SHOWN,
    engine: OnEngine = Engine.local,
    address: Address = None,
) -> None:
    """Every fault of a dataset, with its file, and how much of it each class is.

    Looks at every scan: what is missing, cut off, of another length or unknown; instances of what
    is no thing, ids that do not stay with their object, poses that do not fit. Exit code 1 where
    there is a fault.
    """
    from lidarpan.datasets.check import FAULTS, DatasetCheck, each
    from lidarpan.datasets.open import find_dataset
    from lidarpan.fleet.check import check_on_cluster

    rules = find_dataset(dataset)
    splits = [split] if split else list(rules.usual_splits(root))
    if not splits:
        raise InputError(
            f"{root}: no split of {rules.name} is there by itself: name one by --split"
        )
    num_shown = num_faults = 0
    with cluster_of(engine, address) or nullcontext() as cluster:
        look = each if cluster is None else partial(check_on_cluster, cluster)
        for name in splits:
            folder = out if out is None or len(splits) == 1 else out / name
            run = DatasetCheck(rules, root, name, folder)
            if run.is_resumed:
                typer.echo(f"going on behind {run.summary.num_scans} scans: {folder}", err=True)
            for fault in _walk(run, name, look):
                if num_shown < show:
                    typer.echo(printable(f"{fault.kind}: {fault}"))
                    num_shown += 1
            num_faults += run.summary.num_faults
            typer.echo("\n".join(_summary(run, name)))
            if run.summary.num_faults and folder is not None:
                typer.echo(f"all faults: {folder / FAULTS}")
    if num_faults > num_shown:
        typer.echo(f"{num_faults} faults, {num_shown} of them printed: see --out and --show")
    raise typer.Exit(1 if num_faults else 0)


def _walk(run: DatasetCheck, name: str, look: Look) -> Iterator[Fault]:
    """The faults, with a progress bar where there is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task(f"Checking {name}", total=run.total)
        for faults in run.run(look):
            progress.update(task, completed=run.summary.num_scans)
            yield from faults


def _summary(run: DatasetCheck, name: str) -> Iterator[str]:
    """What there is, and the share of each class."""
    summary, classes = run.summary, run.dataset.classes
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.faults.items()))
    yield (
        f"{name}: {summary.num_scans} scans, {summary.num_labelled} with labels, "
        f"{summary.num_faults} faults{f' ({kinds})' if kinds else ''}"
    )
    if not summary.num_labelled:
        return
    total, void = int(summary.counts.sum()), int(summary.counts[0])
    yield f"  {total} labelled points, {void / max(total, 1):.1%} of them void; of the others:"
    width = max(map(len, classes.names))
    for class_id, share in enumerate(summary.shares()):
        if class_id:
            count = int(summary.counts[class_id])
            yield f"  {classes.names[class_id]:<{width}} {share:8.3%} {count:>14}"
