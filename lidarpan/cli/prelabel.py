"""lidarpan prelabel."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lidarpan.classes import DEFAULT_TABLE
from lidarpan.cli.options import Classes, Scans
from lidarpan.cli.root import app
from lidarpan.errors import printable
from lidarpan.whole_file import check_folder


class Tool(str, Enum):
    """What labelling tools import."""

    kitti_boxes = "kitti-boxes"
    nuscenes_boxes = "nuscenes-boxes"
    openlabel = "openlabel"
    cvat = "cvat"
    segments = "segments"
    sustech = "sustech"
    point_labeler = "point-labeler"


@app.command(
    epilog="Examples: lidarpan prelabel scans/ --labels predictions/ --to cvat --out job/ · "
    "lidarpan prelabel data/sequences/08/velodyne --labels tracked/ --to openlabel --out job/ "
    "--most 200 · lidarpan train with train_data: [{dataset: job/prelabels.json, root: job, "
    "split: all}]"
)
def prelabel(
    paths: Scans,
    labels: Annotated[
        Path, typer.Option(help="Folder of labels, one file per scan; --format npz has scores.")
    ],
    to: Annotated[Tool, typer.Option(help="The tool, or the format that it imports.")],
    out: Annotated[Path, typer.Option(help="Folder for what the tool imports.")],
    classes: Classes = DEFAULT_TABLE,
    poses: Annotated[
        Path | None, typer.Option(help="File of poses. [default: poses.txt beside the scans]")
    ] = None,
    times: Annotated[
        Path | None, typer.Option(help="File of times. [default: times.txt beside the scans]")
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many scans, the most doubtful. [default: all]"),
    ] = None,
) -> None:
    """Labels for a labelling tool to correct: boxes with heading, ids and confidence.

    queue.csv lists the scans, the most doubtful first, with the reason. prelabels.json remembers
    what was predicted: named as a dataset, it reads what the tool gives back, for lidarpan train.
    """
    from rich.progress import track

    from lidarpan.datasets.open import find_classes
    from lidarpan.prelabel_files import QUEUE, Prelabelling
    from lidarpan.scans.sources import open_sources

    table = find_classes(classes)
    job = Prelabelling(
        open_sources(paths), labels, out, table, to.value, poses=poses, times=times, most=most
    )
    check_folder(out)
    for note in job.notes:
        typer.echo(printable(f"note: {note}"), err=True)
    scans = list(track(job.run(), "Boxing", total=job.total, transient=True))
    count = min(most or len(scans), len(scans))
    boxes = sum(len(scan.frame.boxes) for scan in scans)
    typer.echo(f"{count} of {len(scans)} scans written for {to.value}, {boxes} boxes in all: {out}")
    typer.echo(f"the most doubtful first: {out / QUEUE}")
