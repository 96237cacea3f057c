"""lidarpan evaluate, compare, submit."""

from __future__ import annotations

from contextlib import ExitStack
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lidarpan.cli.options import DATASETS, Address, Engine, OnEngine, cluster_of
from lidarpan.cli.root import app
from lidarpan.errors import InputError
from lidarpan.whole_file import check_output, refuse_inputs_as_outputs

WhichDataset = Annotated[str, typer.Argument(help=f"Whose rules and layout: {DATASETS}.")]


class Task(str, Enum):
    """What a submission is for."""

    segmentation = "segmentation"
    tracking = "tracking"


submit = typer.Typer(help="Check and pack what a benchmark's server takes.")
app.add_typer(submit, name="submit")


Sequences = Annotated[
    str | None,
    typer.Option(help="Sequences of one's own instead of a split: their names, with commas."),
]


@app.command(
    epilog="Examples: lidarpan evaluate semantickitti --data kitti --predictions predictions "
    "--split valid --json scores.json · lidarpan evaluate nuscenes --data nuscenes "
    "--predictions results --split mini_val --per-scan scans.csv"
)
def evaluate(
    dataset: WhichDataset,
    data: Annotated[Path, typer.Option(help="Root of the dataset.")],
    predictions: Annotated[Path, typer.Option(help="Folder above sequences/ or panoptic/.")],
    split: Annotated[str | None, typer.Option(help="Which split.")] = None,
    sequences: Sequences = None,
    json: Annotated[Path | None, typer.Option(help="Write the scores here.")] = None,
    per_scan: Annotated[Path | None, typer.Option(help="Write a row per scan here (CSV).")] = None,
    min_points: Annotated[
        int | None, typer.Option(help="Smallest segment that counts. [default: the benchmark's]")
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(help="official, upper16 (instance id alone) or present (classes present)."),
    ] = "official",
    explain: Annotated[
        bool, typer.Option(help="Sort the errors into kinds; say what mending each would give.")
    ] = False,
    tracking: Annotated[
        bool, typer.Option(help="PAT, LSTQ, IDF1 and the like; ids must stay over a sequence.")
    ] = False,
    calibration: Annotated[
        bool,
        typer.Option(help="Whether confidences can be trusted; wants predict --format npz."),
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a report with pictures here.")] = None,
    engine: OnEngine = Engine.local,
    address: Address = None,
) -> None:
    """PQ, SQ, RQ and mIoU of predictions, equal to the official scripts."""
    from rich.console import Console
    from rich.progress import track

    from lidarpan.evaluation import evaluate_folder
    from lidarpan.evaluation.report import CSV_COLUMNS, format_table, write_csv, write_json
    from lidarpan.fleet.score import score_on_cluster
    from lidarpan.fleet.store import local_copy

    chosen = sequences or split
    if chosen is None:
        raise InputError("wanted --split or --sequences: which scans to score")
    for file, suffix, mark in (
        (json, ".json", '"protocol"'),
        (per_scan, ".csv", CSV_COLUMNS[-1]),
        (html, ".html", "<table class='classes'>"),
    ):
        if file is not None:
            check_output(file, suffix, mark)
    stderr = Console(stderr=True)
    with ExitStack() as stack:
        cluster = cluster_of(engine, address)
        if cluster is not None:
            stack.enter_context(cluster)
        scans = ("velodyne", "samples", "sweeps")
        evaluation = evaluate_folder(
            dataset,
            stack.enter_context(local_copy(data, left_out=scans)),
            stack.enter_context(local_copy(predictions)),
            chosen,
            min_points=min_points,
            protocol=protocol,
            score=None if cluster is None else partial(score_on_cluster, cluster),
            progress=lambda results, total: track(
                results,
                "Scoring",
                total,
                console=stderr,
                transient=True,
                disable=not stderr.is_terminal,
            ),
        )
    written = [file for file in (json, per_scan, html) if file is not None]
    read = [f for s in evaluation.scans for f in (s.files.files.labels, s.files.prediction) if f]
    refuse_inputs_as_outputs(written, read)
    console = Console()
    console.print(format_table(evaluation))
    extra: dict[str, object] = {}
    reasons = None
    if explain:
        from lidarpan.evaluation.explain import explain as find_reasons
        from lidarpan.evaluation.explained import explanation_json, format_explanation

        reasons = find_reasons(evaluation)
        console.print(format_explanation(reasons))
        extra["explanation"] = explanation_json(reasons)
    if tracking:
        from lidarpan.evaluation import tracking as over_time

        followed = over_time.evaluate_tracking(evaluation)
        lstq = over_time.evaluate_lstq(evaluation)
        console.print(over_time.format_tracking(followed))
        console.print(over_time.format_lstq(lstq))
        extra["tracking"] = over_time.tracking_json(followed, evaluation.classes)
        extra["tracking_4d"] = over_time.lstq_json(lstq, evaluation.classes)
    if calibration:
        from lidarpan.evaluation.calibration import (
            calibration_json,
            evaluate_calibration,
            format_calibration,
        )

        trusted = evaluate_calibration(evaluation)
        console.print(format_calibration(trusted, evaluation.classes))
        extra["calibration"] = calibration_json(trusted, evaluation.classes)
    if json:
        write_json(evaluation, json, extra)
        typer.echo(f"scores: {json}")
    if per_scan:
        write_csv(evaluation, per_scan)
        typer.echo(f"per scan: {per_scan}")
    if html:
        from lidarpan.evaluation.html_report import write_html_report

        report, *pages = write_html_report(evaluation, html, explanation=reasons)
        typer.echo(f"report: {report}" + (f" and {len(pages)} pages beside it" if pages else ""))


@app.command(
    epilog="Examples: lidarpan compare before.json after.json --tolerance 0.002 · lidarpan "
    "compare runs/a runs/b runs/c"
)
def compare(
    a: Annotated[Path, typer.Argument(help="Scores: evaluate --json; or the folder of a run.")],
    b: Annotated[Path, typer.Argument(help="Scores of the same scans; or another run's folder.")],
    more: Annotated[list[Path] | None, typer.Argument(help="Further folders of runs.")] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Accepted drop of PQ or mIoU.")] = 0.0,
) -> None:
    """Which run is better, with a 95 % interval; exit code 1 if B is worse.

    Of training runs: what was set otherwise, and what came of it.
    """
    more = more or []
    from rich.console import Console

    from lidarpan.evaluation.compare import compare_files, format_comparison
    from lidarpan.training.compare_runs import drops, format_runs, is_run, read_run

    if is_run(a) and is_run(b):
        runs = [read_run(path) for path in (a, b, *more)]
        Console().print(format_runs(runs))
        if drops(runs[0], runs[1], tolerance):
            raise typer.Exit(1)
        return
    if more:
        raise InputError(f"{more[0]}: only run folders are compared by more than two")
    comparison = compare_files(a, b, tolerance=tolerance)
    Console().print(format_comparison(comparison))
    if comparison.is_worse:
        raise typer.Exit(1)


Data = Annotated[Path, typer.Option(help="Root of the dataset: its scans say what is wanted.")]
Predictions = Annotated[Path, typer.Option(help="Folder above sequences/ or panoptic/.")]
Split = Annotated[str, typer.Option(help="Which split.")]
WhichTask = Annotated[Task, typer.Option(help="With tracking, ids must stay over a sequence.")]


@submit.command(
    epilog="Example: lidarpan submit check semantickitti --data kitti --predictions predictions"
)
def check(
    dataset: WhichDataset,
    data: Data,
    predictions: Predictions,
    split: Split = "test",
    task: WhichTask = Task.segmentation,
) -> None:
    """List every fault of a submission, file by file; exit code 1 if there is one."""
    from rich.progress import track

    from lidarpan.datasets.submission import check_submission, open_submission

    submission = open_submission(dataset, predictions, data, split, task.value)
    faults = check_submission(submission, lambda files: track(files, "Checking", transient=True))
    for fault in faults:
        typer.echo(str(fault))
    if faults:
        raise typer.Exit(1)
    typer.echo(f"{len(submission.wanted)} files, no fault: {predictions}")


@submit.command(
    epilog="Example: lidarpan submit pack nuscenes --data nuscenes --predictions results "
    "--task tracking --out submission.zip"
)
def pack(
    dataset: WhichDataset,
    data: Data,
    predictions: Predictions,
    out: Annotated[Path, typer.Option(help="The .zip to write.")],
    split: Split = "test",
    task: WhichTask = Task.segmentation,
    fix: Annotated[bool, typer.Option(help="Mend in the zip what needs no guessing.")] = False,
    description: Annotated[str | None, typer.Option(help="Text for description.txt.")] = None,
) -> None:
    """Write the zip that the benchmark's server takes."""
    from rich.progress import track

    from lidarpan.datasets.submission import open_submission, pack_submission

    submission = open_submission(dataset, predictions, data, split, task.value)
    faults = pack_submission(
        submission,
        out,
        fix=fix,
        description=description,
        track=lambda files: track(files, "Packing", transient=True),
    )
    for fault in faults:
        typer.echo(str(fault))
    if faults:
        raise typer.Exit(1)
    typer.echo(f"submission: {out}")
