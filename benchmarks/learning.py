"""Tables of ways to learn, each trained anew on small simulated towns: see docs/learning.md.

python benchmarks/learning.py --table queries --device cuda --jobs 12 --minutes 5
python benchmarks/learning.py --quick --table labels --only "baseline;points 1 %"
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from learning_run import Run, execute
from learning_towns import town_files

VALID_FIRST = 900_000
"""Seed of the first town held out."""

SIZES = (200, 40, 1000, 1)
"""Towns to train on and held out, steps, and loader processes; all can be set."""

QUICK_SIZES = (150, 24, 500, 0)

BASE = "baseline"
KINDS = ("points", "scans", "scribbles", "clicks", "objects")
LOOKS = 5  # along the way, in the table of curricula

OWN = ("auto", "center-offset")  # groupings of the center heads
SET = ("auto", "center-offset")  # "auto" is what the queries say themselves


def variants_of(table: str) -> dict[str, dict[str, Any]]:
    """Name of a row -> what its runs differ in, the most telling first.

    The baseline is the same run in all tables: center heads, all labels, fixed weights, no stages.
    """
    baseline = {"groupings": OWN, "looks": LOOKS}
    match table:
        case "queries":
            return {
                BASE: baseline,
                "queries": {"changes": head(), "groupings": SET},
                "queries, learned alone": {
                    "changes": head(learned=100, sampled=0),
                    "groupings": SET,
                },
                "queries, no overlap": {
                    "changes": head() | {"loss": {"overlap": 1.0}},
                    "groupings": SET,
                },
            }
        case "labels":
            return {BASE: baseline} | label_variants()
        case "tasks":
            return {BASE: baseline} | task_variants()
        case "curriculum":
            return {BASE: baseline} | curriculum_variants()
        case "weather":
            return {BASE: baseline, "weather": {"changes": {"augment": {"weather": 0.3}}}}
        case _:
            raise SystemExit(
                f"no table {table!r}: wanted queries, labels, tasks, curriculum or weather"
            )


def head(**queries: int) -> dict[str, Any]:
    """The query head, with other sizes than the set-up's."""
    return {"network": {"head": "queries", "queries": queries}}


def label_variants() -> dict[str, dict[str, Any]]:
    """Each kind of labels at 1 %, then at the other shares, without and with teacher."""
    out: dict[str, dict[str, Any]] = {}
    taught = {"loss": {"pseudo": 1.0}}
    cells = [(kind, share) for share in (0.01, 0.1, 0.001) for kind in KINDS]
    cells.remove(("scans", 0.001))  # less than one
    for kind, share in [*cells, ("clicks", 1.0)]:
        name = f"{kind} {100 * share:g} %"
        out[name] = {"labelled": (kind, share)}
        out[f"{name}, teacher"] = {"labelled": (kind, share), "changes": taught}
    return out


def task_variants() -> dict[str, dict[str, Any]]:
    """Tasks beside semantics, centers and offsets, and how they are weighed."""
    ground, depth = {"ground_height": 0.5}, {"depth": 0.5}
    equal = {"cross_entropy": 1.0, "lovasz": 1.0, "heatmap": 1.0, "offset": 1.0}
    learned = {"learned_uncertainty": True}
    losses = {
        "equal weights": equal,
        "learned weights": learned,
        "fixed, + ground height": ground,
        "fixed, + hidden beams": depth,
        "fixed, + both": ground | depth,
        "equal, + both": equal | {"ground_height": 1.0, "depth": 1.0},
        "learned, + both": learned | {"ground_height": 1.0, "depth": 1.0},
    }
    return {name: {"changes": {"loss": terms}} for name, terms in losses.items()}


def curriculum_variants() -> dict[str, dict[str, Any]]:
    """Stages of the loss, for both heads, in equal steps; scores are looked at along the way."""
    semantic = ["cross_entropy", "lovasz"]
    instance = ["heatmap", "offset", "queries"]
    orders = {
        "semantic, then all": [{"until": 0.3, "terms": semantic}],
        "semantic, instance, all": [
            {"until": 0.25, "terms": semantic},
            {"until": 0.5, "terms": instance},
        ],
        "instance, then all": [{"until": 0.3, "terms": instance}],
    }
    out: dict[str, dict[str, Any]] = {}
    for name, stages in orders.items():
        out[name] = {"changes": {"training": {"stages": stages}}, "looks": LOOKS}
    for name, stages in ({"all at once": []} | orders).items():
        changes = head() | {"training": {"stages": stages}}
        out[f"queries: {name}"] = {"changes": changes, "looks": LOOKS}
    return out


def main() -> None:
    """Train those runs of a table that have no result yet, side by side, and print it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # runs side by side must not spin
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    o = arguments()
    scans, valid, steps, loaders = QUICK_SIZES if o.quick else SIZES
    folder = Path(o.out)
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    workers = o.cores or os.cpu_count() or 1
    paths = {
        "train": tuple(map(str, town_files(Path(o.data), 0, o.scans or scans, workers))),
        "valid": tuple(map(str, town_files(Path(o.data), VALID_FIRST, o.valid or valid, workers))),
    }
    say(f"the scans in {time.perf_counter() - begin:.0f} s")
    shared = {"steps": o.steps or steps, "device": o.device, "engine": o.engine}
    shared |= {"workers": loaders if o.loaders is None else o.loaders, "minutes": o.minutes}
    shared |= {"out": str(folder), "is_quick": o.quick, **paths}
    tables = {table: chosen_rows(table, o.only) for table in o.table.split(",")}
    every = {name: settings for rows in tables.values() for name, settings in rows.items()}
    runs = [
        Run(name, seed, **shared, **settings)
        for seed in range(o.seeds)
        for name, settings in every.items()
    ]
    train_all([run for run in runs if not run.result.is_file()], o.jobs)
    results = [json.loads(run.result.read_text()) for run in runs if run.result.is_file()]
    for table, names in tables.items():
        rows = [row for name in names for row in results if row["variant"] == name]
        print(f"\n{table}\n\n{markdown(rows)}")
        if table == "curriculum":
            print(curves(rows))
        if table == "labels":
            print(label_counts(rows))


def chosen_rows(table: str, only: str | None) -> dict[str, Any]:
    """The rows of a table, or those that are asked for."""
    rows = variants_of(table)
    return {name: row for name, row in rows.items() if only is None or name in only.split(";")}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--table", default="queries", help="queries, labels, tasks, curriculum, weather, or several"
    )
    parser.add_argument("--only", help="rows of the tables, separated by ;")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each row")
    parser.add_argument("--minutes", type=float, help="of training a run, in place of steps")
    parser.add_argument("--steps", type=int, help="of training a run")
    parser.add_argument("--scans", type=int, help="towns to train on")
    parser.add_argument("--valid", type=int, help="towns held out")
    parser.add_argument("--quick", action="store_true", help="half a minute of a core a run")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--engine", help="of the sparse convolutions: numba, torch ...")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--cores", type=int, help="that simulate towns; all of the machine's")
    parser.add_argument("--loaders", type=int, help="loader processes of each run")
    parser.add_argument("--data", default="data/learning", help="folder of the towns")
    parser.add_argument("--out", default="out/learning", help="folder of weights and tables")
    return parser.parse_args()


def train_all(runs: list[Run], jobs: int) -> None:
    """Execute runs, some side by side; a run that fails is told and left out."""
    if jobs == 1:
        for run in runs:
            say_row(run, execute(run))
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = {pool.submit(execute, run): run for run in runs}
        for future in as_completed(futures):
            run = futures[future]
            try:
                say_row(run, future.result())
            except Exception as error:  # the others go on
                say(f"{run.variant}, seed {run.seed}: {type(error).__name__}: {error}")


def say_row(run: Run, row: dict[str, Any]) -> None:
    """What a run has reached."""
    scores = row["scores"][run.groupings[0]]
    pq, miou = scores["pq"], scores["miou"]
    say(f"{run.variant}, seed {run.seed}: {row['step']} steps, PQ {pq:.3f}, mIoU {miou:.3f}")


def markdown(rows: list[dict[str, Any]]) -> str:
    """Mean and half the spread over the seeds of each row and grouping."""
    columns = ("pq", "pq_things", "rq_things", "sq_things", "miou", "boundary_f")
    lines = [f"| | objects by | runs | steps | {' | '.join(columns)} |"]
    lines.append("|---|---|---|---|" + "---|" * len(columns))
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == name]
        steps = np.mean([row["step"] for row in own])
        for grouping in own[0]["scores"]:
            cells = [_spread([row["scores"][grouping][c] for row in own]) for c in columns]
            lines.append(
                f"| {name} | {grouping} | {len(own)} | {steps:.0f} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)


def curves(rows: list[dict[str, Any]]) -> str:
    """Mean PQ along the way, and where each row first reaches the final PQ of the first."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    mean = {
        name: np.mean([row["looks"] for row in rows if row["variant"] == name], axis=0)
        for name in names
    }
    lines = [
        "",
        "| | PQ (things) at each look | share of the training to the first row's last PQ |",
    ]
    lines.append("|---|---|---|")
    goal = mean[names[0]][-1, 1]
    for name, way in mean.items():
        said = ", ".join(f"{at:.0%}: {pq:.3f} ({things:.3f})" for at, pq, things in way)
        reached = [float(at) for at, pq, _ in way if pq >= goal]
        lines.append(f"| {name} | {said} | {f'{reached[0]:.0%}' if reached else 'not'} |")
    return "\n".join(lines)


def label_counts(rows: list[dict[str, Any]]) -> str:
    """How many points of the training scans had a label in each row."""
    counts = {row["variant"]: row["labelled_points"] for row in rows}
    lines = [f"| {name} | {count:,} |" for name, count in counts.items()]
    return "\n".join(["", "| | points labelled |", "|---|---|", *lines])


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}"


def say(text: str) -> None:
    """What is going on, at once."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
