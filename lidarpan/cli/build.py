"""lidarpan train, adapt, simulate, config."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lidarpan.cli.options import (
    Address,
    Device,
    Engine,
    OnDevice,
    OnEngine,
    SensorHeight,
    SomeFrame,
    SomeTopics,
    Weights,
    cluster_of,
)
from lidarpan.cli.root import app
from lidarpan.whole_file import check_folder

Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="key.path=value, may be repeated.")
]


@app.command(
    epilog="Examples: lidarpan train configs/town.yaml · lidarpan train configs/town.yaml "
    "--set training.max_steps=500 --set out=runs/short · lidarpan train configs/town.yaml "
    "--resume"
)
def train(
    config: Annotated[Path, typer.Argument(help="YAML file, or a shipped one by name: town.")],
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in the out folder.")] = False,
) -> None:
    """Train the network; weights, logs and the effective configuration go to the out folder."""
    # MKL's products else differ by 1e-7 from run to run; it reads this when torch is imported
    os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")
    from lidarpan.config import load_config
    from lidarpan.optional import need

    need("lightning.pytorch", "train", "training")
    from lidarpan.training.run import is_first_process
    from lidarpan.training.run import train as run

    best = run(load_config(config, overrides or ()), resume=resume)
    if is_first_process():
        typer.echo(f"best weights: {best}")


@app.command(
    epilog="Examples: lidarpan simulate semantickitti --out data/town --scans 200 --seed 1 · "
    "to train on, few scans of many places: lidarpan simulate semantickitti --out data/town "
    "--scans 2400 --rate 0.5 --scans-per-town 6 · in the rain: lidarpan simulate semantickitti "
    "--out data/rain --scans 20 --weather rain:2"
)
def simulate(
    dataset: Annotated[str, typer.Argument(help="Layout to write: semantickitti or nuscenes.")],
    out: Annotated[Path, typer.Option(help="Root of the new dataset.")],
    scans: Annotated[int, typer.Option(min=1, help="How many scans.")],
    seed: Annotated[int, typer.Option(help="Which towns.")] = 0,
    sensor: Annotated[
        str | None,
        typer.Option(
            help="Name of a sensor (hdl64e, vlp16, os1-64), a YAML file that describes one, or "
            "random. [default: the dataset's own]"
        ),
    ] = None,
    scans_per_town: Annotated[
        int | None, typer.Option(min=1, help="Scans in a row from one town. [default: 5 or 10]")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Scans per second. [default: the dataset's: 10 or 2]")
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="To test on: vehicles and people of shapes that other towns leave out.",
        ),
    ] = False,
    weather: Annotated[
        str | None,
        typer.Option(
            metavar="KIND[:STRENGTH]",
            help="rain, snow, fog, wet-ground, dirt, motion-blur, dropped-beams, cross-talk, "
            "wrong-echoes, or random; strength 1 to 3.",
        ),
    ] = None,
    engine: OnEngine = Engine.local,
    address: Address = None,
) -> None:
    """Write a labelled dataset of simulated towns."""
    from rich.progress import track

    from lidarpan.fleet.store import local_output
    from lidarpan.synthetic.simulated import write_simulated

    with ExitStack() as stack:
        cluster, make_towns = cluster_of(engine, address), None
        if cluster is not None:
            from lidarpan.fleet.simulate import towns_on_cluster

            make_towns = partial(towns_on_cluster, stack.enter_context(cluster))
        folder = stack.enter_context(local_output(out))
        check_folder(folder)
        stream = write_simulated(
            dataset,
            folder,
            num_scans=scans,
            seed=seed,
            sensor=sensor,
            scans_per_town=scans_per_town,
            rate_hz=rate,
            held_out=held_out,
            weather=weather,
            make_towns=make_towns,
        )
        count = sum(1 for _ in track(stream, "Simulating", total=scans, transient=True))
    typer.echo(f"{count} scans: {out}")


@app.command(
    epilog="Examples: lidarpan adapt drive/ --out my.safetensors · minutes, and better: "
    "lidarpan adapt drive/ --out my.safetensors --full · then: lidarpan predict drive/ --out "
    "labels/ --weights my.safetensors"
)
def adapt(
    paths: Annotated[list[str], typer.Argument(help="Unlabelled scans: files, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Weights to write, .safetensors.")],
    weights: Weights = "town",
    full: Annotated[
        bool, typer.Option("--full", help="Teach the network too: minutes, not seconds.")
    ] = False,
    steps: Annotated[
        int, typer.Option(min=1, help="Most training steps of each of the two parts of --full.")
    ] = 120,
    scans: Annotated[int, typer.Option(min=2, help="Most scans to look at.")] = 24,
    sensor_height: SensorHeight = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder of the report. [default: beside the weights]")
    ] = None,
    device: OnDevice = Device.auto,
    seed: Annotated[int, typer.Option(help="Of --full.")] = 0,
    topic: SomeTopics = None,
    frame: SomeFrame = None,
) -> None:
    """Fit weights to unlabelled scans of your own sensor; the old ones come back without a gain."""
    from rich.console import Console

    from lidarpan.scans.frame_paths import FramePaths
    from lidarpan.scans.sources import open_sources
    from lidarpan.training.adapt import adapt as run
    from lidarpan.training.adapt_report import verdict, write_report

    console = Console(stderr=True, highlight=False)
    frames = FramePaths(open_sources(paths, topic or (), frame))
    check_folder(out.parent)
    with console.status("Reading scans ...") as status:

        def say(text: str) -> None:
            console.print(text, soft_wrap=True, markup=False)
            status.update(text)

        result = run(
            weights,
            frames,
            out,
            full=full,
            steps=steps,
            most_scans=scans,
            sensor_height_m=sensor_height,
            device=device.value,
            seed=seed,
            say=say,
        )
        status.update("Writing the report ...")
        place = report or out.with_name(f"{out.stem}_report")
        page = write_report(result, weights, place, load=frames.load)
    typer.echo(f"{verdict(result)} {out}")
    typer.echo(f"report: {page}")


@app.command(epilog="Example: lidarpan config configs/town.yaml --set network.bev_channels=48")
def config(
    path: Annotated[Path | None, typer.Argument(help="YAML file. [default: the defaults]")] = None,
    overrides: Overrides = None,
) -> None:
    """Print the effective, validated configuration."""
    from lidarpan.config import dump_config, load_config

    typer.echo(dump_config(load_config(path, overrides or ())), nl=False)
