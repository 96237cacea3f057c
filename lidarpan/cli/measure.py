"""lidarpan bench, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lidarpan.cli.build import Overrides
from lidarpan.cli.options import (
    Device,
    InPrecision,
    OnDevice,
    Precision,
    Sparse,
    VoxelSize,
    Weights,
)
from lidarpan.cli.root import app
from lidarpan.whole_file import check_output

if TYPE_CHECKING:
    from rich.console import Console


@app.command(
    epilog="Examples: lidarpan bench --json bench.json · after a change: lidarpan bench "
    "--compare bench.json · lidarpan bench velodyne/ --scans 100 · lidarpan bench --curves "
    "curves.png · lidarpan bench --loader semantickitti --set training.num_workers=8"
)
def bench(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Scan files, folders or globs. [default: simulated HDL-64E scans]"),
    ] = None,
    device: OnDevice = Device.auto,
    weights: Weights = "town",
    scans: Annotated[int, typer.Option(min=1, help="Scans to time, after warm-up.")] = 20,
    sparse: Sparse = None,
    precision: InPrecision = Precision.fp32,
    voxel_m: VoxelSize = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="A report of the same work, shown beside, with ratios.")
    ] = None,
    curves: Annotated[
        Path | None,
        typer.Option(help="Measure cost against points and voxel size; draw it here (.png)."),
    ] = None,
    loader: Annotated[
        Path | None,
        typer.Option(help="Instead: whether the loader of this training configuration keeps up."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Honest latency: batch 1, from the file's bytes to labels, per stage."""
    from rich.console import Console

    if loader:
        from lidarpan.config import load_config
        from lidarpan.optional import need

        need("lightning.pytorch", "train", "--loader")
        from lidarpan.training.loader import measure_loader

        with Console(stderr=True).status("opening the data") as waiting:
            rate = measure_loader(load_config(loader, overrides or ()), say=waiting.update)
        typer.echo(str(rate))
        return

    from lidarpan.bench import (
        format_comparison,
        format_report,
        read_report,
        run_bench,
        write_report,
    )
    from lidarpan.bench.plot import check_png, save_curves
    from lidarpan.scans.find import find_scans

    other = (read_report(compare), str(compare)) if compare else None
    if curves:
        check_png(curves)
    if json:
        check_output(json, ".json", '"machine"')
    console = Console(highlight=False)
    with console.status("loading") as status:
        report = run_bench(
            weights=weights,
            device=device.value,
            num_scans=scans,
            sparse=sparse,
            precision=precision.value,
            voxel_m=voxel_m,
            scan_paths=find_scans(paths) if paths else (),
            with_curves=curves is not None,
            against=other,
            say=status.update,
        )
    console.print(format_report(report))
    if json:
        write_report(report, json)
        typer.echo(f"report: {json}")
    if curves and report.curves:
        machine = report.machine
        words = [machine[key] for key in ("device", "engine", "precision")]
        title = f"streets of boxes, end to end, batch 1: {', '.join(map(str, words))}"
        save_curves(report.curves, curves, f"{title}, {machine['threads']} threads")
        typer.echo(f"curves: {curves}")
    if other:
        console.print(format_comparison(report, *other))


@app.command(epilog="Examples: lidarpan doctor · after an installation: lidarpan doctor --compile")
def doctor(
    is_compiling: Annotated[
        bool,
        typer.Option("--compile", help="Compile the kernels of predict, as its first run would."),
    ] = False,
) -> None:
    """What is installed, which sparse engine runs and why, and the command that mends each fault.

    Exit code 1 if the main job, predict, cannot run.
    """
    from rich.console import Console

    if is_compiling:
        _compile(Console(stderr=True, highlight=False))
        return

    from lidarpan.doctor import examine, format_findings, list_commands

    findings = examine()
    Console(highlight=False).print(format_findings(findings))
    commands = list_commands(findings)
    if commands:
        typer.echo("To mend what is out, run:\n")
        typer.echo("\n".join(commands))
    if any(finding.is_fatal for finding in findings if not finding.ok):
        raise typer.Exit(1)


def _compile(console: Console) -> None:
    import time

    from lidarpan.doctor.kernels import compile_kernels

    began = time.perf_counter()
    with console.status("Compiling ...") as status:
        count = compile_kernels(lambda name, n: status.update(f"Compiled {n}: {name}"))
    typer.echo(f"{count} kernels compiled in {time.perf_counter() - began:.0f} s")
