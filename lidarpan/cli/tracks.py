"""lidarpan track."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lidarpan.cli.predict import BoxFormat, Classes
from lidarpan.cli.recordings import make_folder
from lidarpan.errors import printable


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(
        epilog="Examples: lidarpan track data/sequences/08/velodyne --labels predictions/ --out "
        "tracked/ · lidarpan track scans/ --labels labels/ --classes nuscenes --poses poses.txt "
        "--times times.txt --out tracked/"
    )(track)


def track(
    paths: Annotated[list[str], typer.Argument(help="Scan files, folders or globs.")],
    labels: Annotated[Path, typer.Option(help="Folder of labels, one file per scan.")],
    out: Annotated[Path, typer.Option(help="Folder for the labels with lasting ids.")],
    classes: Classes = "semantickitti",
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
    mend_classes: Annotated[
        bool, typer.Option(help="Give an object the class that its whole life speaks for.")
    ] = True,
    join: Annotated[bool, typer.Option(help="Join pieces of one object.")] = True,
    cut: Annotated[bool, typer.Option(help="Cut objects that came from two.")] = True,
    moving: Annotated[
        bool, typer.Option(help="Write the class table's labels of moving things (252 to 259).")
    ] = True,
    boxes: Annotated[
        BoxFormat | None, typer.Option(help="Write tracking results for other tools to OUT/boxes.")
    ] = None,
) -> None:
    """Ids that stay: labels of a drive's scans, of any network, to one id per object.

    Writes the labels in their own format, tracks.csv and tracks.json.
    """
    from rich.progress import track as show_progress

    from lidarpan.datasets.open import find_classes
    from lidarpan.datasets.track_lists import write_kitti_tracking, write_nuscenes_tracking
    from lidarpan.scans.files import find_scans
    from lidarpan.track_files import Summary, plan_drives, track_files
    from lidarpan.tracking.tracker import Mending

    table = find_classes(classes)
    scans = find_scans(paths)
    drives, notes = plan_drives(scans, labels, out, poses, times)
    make_folder(out)
    for note in notes:
        typer.echo(printable(f"note: {note}"), err=True)
    summary = Summary()
    mending = Mending(classes=mend_classes, join=join, cut=cut)
    stream = track_files(
        drives, out, table, summary, is_online=online, mending=mending, names_moving=moving
    )
    total = len(scans) * (1 if online else 2)
    for _ in show_progress(stream, "Tracking", total=total, transient=True):
        pass
    if boxes is BoxFormat.kitti:
        write_kitti_tracking(out / "boxes", summary.rows, summary.poses, table)
    elif boxes is BoxFormat.nuscenes:
        write_nuscenes_tracking(out / "boxes" / "tracking.json", summary.rows, table)
    objects = len({(row.drive, row.id) for row in summary.rows})
    typer.echo(f"{len(scans)} scans tracked, {objects} objects: {out}")
