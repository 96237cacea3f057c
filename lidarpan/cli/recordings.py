"""lidarpan scans, convert."""

from __future__ import annotations

import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lidarpan.cli.options import SomeFrame, SomeMerged, SomeTopics
from lidarpan.cli.root import app
from lidarpan.errors import InputError
from lidarpan.whole_file import check_folder

if TYPE_CHECKING:
    from lidarpan.scans.describe import Contents, Sample


class ScanFormat(str, Enum):
    """What scans are converted to."""

    bin = "bin"
    nuscenes = "pcd.bin"
    pcd = "pcd"
    ply = "ply"
    npy = "npy"
    npz = "npz"
    las = "las"
    laz = "laz"
    feather = "feather"
    parquet = "parquet"
    mcap = "mcap"


@app.command(
    epilog="Examples: lidarpan scans drive.mcap · lidarpan scans drive.bag scans/ · "
    "lidarpan scans ouster.pcap"
)
def scans(
    paths: Annotated[list[str], typer.Argument(help="Scan files, folders, recordings or globs.")],
) -> None:
    """What files, folders and recordings hold: topics, frames, fields, ranges, ground, sensor."""
    from lidarpan.scans.describe import describe

    for number, contents in enumerate(describe(paths)):
        if number:
            typer.echo()
        for line in lines_of(contents):
            typer.echo(line)


def lines_of(contents: Contents) -> list[str]:
    """What a source holds, as text."""
    frames = "" if contents.num_frames is None else f", {contents.num_frames} frames"
    lines = [f"{contents.path}: {contents.kind}{frames}"]
    if contents.topics:
        wide = max(len(topic.name) for topic in contents.topics)
        for topic in contents.topics:
            number = "?" if topic.num_messages is None else str(topic.num_messages)
            lines.append(f"  {topic.name:<{wide}}  {number:>7} x {topic.type or 'no schema'}")
    for name, sample in contents.points:
        if isinstance(sample, str):
            lines.append(f"  {name}: {sample}")
        else:
            lines += [f"  {name}, first frame {sample.name}:", *_sample_lines(sample)]
    return lines


def _sample_lines(sample: Sample) -> list[str]:
    from lidarpan.scans.inspection import height_in_words

    stamp = "unknown"
    if sample.stamp_ns is not None:
        when = datetime.datetime.fromtimestamp(sample.stamp_ns * 1e-9, datetime.timezone.utc)
        stamp = f"{sample.stamp_ns * 1e-9:.3f} s ({when:%Y-%m-%d %H:%M:%S} UTC)"
    half, most, far = sample.range_m
    low, high = sample.elevation_deg
    ground = "not seen" if sample.height_m is None else height_in_words(sample.height_m)
    beams = "unknown" if sample.num_beams is None else str(sample.num_beams)
    guess = f", as {' or '.join(sample.sensor)} have" if sample.sensor else ""
    rows = {
        "points": f"{sample.num_points}, {sample.num_usable} of them usable",
        "fields": ", ".join(sample.fields) or "merged",
        "range": f"half within {half:.1f} m, 98 % within {most:.1f} m, all within {far:.1f} m",
        "view": f"{low:.1f} to {high:.1f} degrees of elevation, beams: {beams}{guess}",
        "ground": ground,
        "time": stamp,
        "frame": sample.frame_id or "unnamed",
        "pose": "known" if sample.has_pose else "unknown",
    }
    lines = [f"    {name:<8}{text}" for name, text in rows.items()]
    return lines + [f"    note    {warning}" for warning in sample.warnings]


@app.command(
    epilog="Examples: lidarpan convert drive.mcap --topic /points --out velodyne/ --to bin · "
    "lidarpan convert 'scans/*.pcd' --out clouds/ --to ply · "
    "lidarpan convert velodyne/ --out . --to mcap"
)
def convert(
    paths: Annotated[list[str], typer.Argument(help="Scan files, folders, recordings or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    to: Annotated[ScanFormat, typer.Option(help="Format to write.")],
    topic: SomeTopics = None,
    frame: SomeFrame = None,
    merged: SomeMerged = None,
    keep_empty: Annotated[
        bool,
        typer.Option("--keep-empty", help="Write points without a return too, at (0, 0, 0)."),
    ] = False,
) -> None:
    """Scans of any format in another: a file for each frame, with times and poses, or one MCAP."""
    from rich.progress import track

    from lidarpan.scans.convert import convert_sources
    from lidarpan.scans.sources import count_frames, open_sources

    sources = open_sources(paths, topic or (), frame, merged=merged or ())
    check_folder(out)
    stream = convert_sources(sources, out, to.value, keep_empty=keep_empty)
    total, done, failed = count_frames(sources), 0, 0
    for result in track(stream, "Converting", total=total, transient=True):
        if result.error:
            failed += 1
            typer.echo(f"error: {result.error}", err=True)
        else:
            done += 1
    typer.echo(f"{done} scans written: {out}")
    if failed:
        raise InputError(f"{failed} of {done + failed} scans could not be converted")
