"""lidarpan draw, serve."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lidarpan.cli.options import DATASETS, Scans, SomeFrame, SomeMerged, SomeTopics
from lidarpan.cli.root import app
from lidarpan.errors import InputError

SomeClasses = Annotated[
    str | None, typer.Option(help=f"Whose classes: {DATASETS}. [default: what the files say]")
]


class View(str, Enum):
    """Where one looks from."""

    bev = "bev"
    range = "range"


@app.command(
    epilog="Examples: lidarpan draw 000000.bin --labels 000000.label --out map.png · lidarpan "
    "draw 000000.bin --labels pred.label --truth true.label --mode error --out errors.png · "
    "lidarpan draw velodyne/ --labels predictions/ --out drive.mp4 (or .html, to look around)"
    " · lidarpan draw sequences/08/velodyne --labels predictions/ --map drive.png · "
    "lidarpan draw drive.mcap --topic /points --labels labels/ --out drive.mp4"
)
def draw(
    paths: Scans,
    out: Annotated[
        Path | None, typer.Option(help="What to write: .png, .html, .mp4 or .gif.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Label file of the scan, or a folder of them.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="True labels, drawn beside.")] = None,
    classes: SomeClasses = None,
    mode: Annotated[
        str, typer.Option(help="panoptic, semantic, instance, height, intensity or error.")
    ] = "panoptic",
    size: Annotated[int, typer.Option(min=200, help="Pixels of a panel's edge.")] = 1000,
    range_m: Annotated[float, typer.Option("--range", help="Metres shown to each side.")] = 50.0,
    view: Annotated[View, typer.Option(help="From above, or as the sensor sees it.")] = View.bev,
    drive_map: Annotated[
        Path | None, typer.Option("--map", help="Write one map of the whole drive here (.png).")
    ] = None,
    poses: Annotated[
        Path | None, typer.Option(help="Poses of the drive. [default: the tree's poses.txt]")
    ] = None,
    rerun: Annotated[
        Path | None, typer.Option(help="Write a recording for the rerun viewer here (.rrd).")
    ] = None,
    window: Annotated[bool, typer.Option(help="Open a window; needs a display.")] = False,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Objects of a lower score are not drawn.")
    ] = 0.0,
    topic: SomeTopics = None,
    frame: SomeFrame = None,
    merged: SomeMerged = None,
) -> None:
    """A map of a scan or a drive from above, a film, a 3D page, a recording or a window."""
    from lidarpan.scans.frame_paths import FramePaths
    from lidarpan.scans.sources import open_sources

    if out is None and drive_map is None and rerun is None and not window:
        raise InputError(
            "nothing to draw to: wanted --out FILE.png|.html|.mp4|.gif, --map FILE.png, "
            "--rerun FILE.rrd or --window"
        )
    if window:
        from lidarpan.viewer.display import need_display

        need_display()
    scans = FramePaths(open_sources(paths, topic or (), frame, merged=merged or ()))
    if out is not None:
        from lidarpan.draw_files import draw_files

        draw_files(
            scans,
            out,
            labels=labels,
            truth=truth,
            classes=classes,
            mode=mode,
            size_px=size,
            range_m=range_m,
            view=view.value,
            min_score=min_score,
            poses=poses,
        )
        typer.echo(f"drawn: {out}")
    if drive_map is not None:
        from lidarpan.draw.drive import map_files

        made = map_files(
            scans,
            drive_map,
            labels=labels,
            poses=poses,
            classes=classes,
            size_px=size,
            range_m=range_m,
        )
        if made.is_linked:
            typer.echo("ids change from scan to scan: objects were tracked")
        typer.echo(f"drawn: {made.image}, placed by {made.world}")
    if rerun is not None:
        from lidarpan.viewer.files import rerun_files

        files = {"labels": labels, "truth": truth, "poses": poses}
        rerun_files(scans, rerun, classes=classes, **files)
        typer.echo(f"recorded, open it with `rerun`: {rerun}")
    if window:
        from lidarpan.viewer.files import window_files
        from lidarpan.viewer.window import KEYS

        typer.echo(KEYS)
        window_files(scans, labels=labels, truth=truth, classes=classes, mode=mode)


@app.command(epilog="Example: lidarpan serve data/sequences/08/velodyne --labels predictions/")
def serve(
    paths: Scans,
    labels: Annotated[Path | None, typer.Option(help="Folder of their labels.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Folder of their true labels.")] = None,
    classes: SomeClasses = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Where the slider for unsure objects starts.")
    ] = 0.0,
    topic: SomeTopics = None,
    frame: SomeFrame = None,
    merged: SomeMerged = None,
) -> None:
    """The 3D page over any number of scans, loaded on demand; on this machine only."""
    from lidarpan.cli.serving import run_server
    from lidarpan.draw.files import Frames
    from lidarpan.scans.frame_paths import FramePaths
    from lidarpan.scans.sources import open_sources

    scans = FramePaths(open_sources(paths, topic or (), frame, merged=merged or ()))
    frames = Frames.of(scans, classes, labels, truth)
    run_server(frames, port, host=host, min_score=min_score)
