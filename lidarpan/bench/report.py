"""What `lidarpan bench` found: the record, its JSON, its table, and two of them side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.table import Table

from lidarpan.structures import InputError
from lidarpan.text_trees import read_json_tree
from lidarpan.whole_file import whole_file

FORMAT = "lidarpan-bench-2"
PERCENTILES = (50, 95, 99)
Point = dict[str, Any]


@dataclass(frozen=True)
class BenchReport:
    """What was timed, on what, and how long it took.

    Attributes:
        machine: device, engine, precision, threads, versions.
        workload: weights and scans by name and by fingerprint, grouping method, voxel edge.
        clock: how time was taken, in words.
        num_scans: timed scans, after warm-up.
        num_points: median points per scan.
        num_voxels: median occupied voxels per scan.
        points: of each scan file.
        voxels: of each scan file.
        stages_ms: stage -> {"p50", "p95", "p99"} in milliseconds; "total" is end to end.
        host_memory_mb: peak resident memory of the process over the timed scans, MiB.
        device_memory_mb: peak CUDA memory of its tensors over the timed scans, 0 on a CPU, MiB.
        curves: cost against "points" and against "voxel_size": see `bench.curves`; None if it was
            not measured.
        format: of this record.
    """

    machine: dict[str, str | int | float]
    workload: dict[str, str | float]
    clock: str
    num_scans: int
    num_points: int
    num_voxels: int
    points: list[int]
    voxels: list[int]
    stages_ms: dict[str, dict[str, float]]
    host_memory_mb: float
    device_memory_mb: float
    curves: dict[str, list[Point]] | None = None
    format: str = FORMAT


def write_report(report: BenchReport, path: Path) -> None:
    """The report as JSON; the file is whole or absent."""
    with whole_file(path) as beside:
        beside.write_text(json.dumps(asdict(report), indent=1) + "\n")


def read_report(path: Path) -> BenchReport:
    """What `write_report` wrote.

    Raises:
        InputError: no such file, or no such report.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: wanted a report of lidarpan bench --json")
    tree = read_json_tree(path)
    found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
    names = {field.name for field in fields(BenchReport)}
    if found != FORMAT or set(tree) != names:
        raise InputError(
            f"{path}: wanted a report of lidarpan bench --json ({FORMAT}), got {found or 'none'}: "
            "make it anew with this version"
        )
    return BenchReport(**tree)


def check_comparable(
    here: Mapping[str, str | float], there: Mapping[str, str | float], source: str
) -> None:
    """Two workloads are the same work; machine, engine and precision may differ.

    Raises:
        InputError: other weights, scans, grouping or voxels; says which.
    """
    for what, words in (("weights", "--weights"), ("scans", "scan files")):
        key = f"{what}_sha256"
        if here[key] != there[key]:
            raise InputError(
                f"{source}: not comparable, other {what}: there {there[what]} ({there[key]}), here "
                f"{here[what]} ({here[key]}): time both with the same {words}"
            )
    for key in sorted(set(here) | set(there)):
        if key not in ("weights", "scans") and here.get(key) != there.get(key):
            raise InputError(
                f"{source}: not comparable, other {key}: there {there.get(key)}, here "
                f"{here.get(key)}"
            )


def format_report(report: BenchReport) -> Table:
    """A table of the stages in milliseconds."""
    table = Table(title=_title(report), caption=_caption(report))
    table.add_column("stage")
    for p in PERCENTILES:
        table.add_column(f"p{p} ms", justify="right")
    for stage, values in report.stages_ms.items():
        table.add_row(stage, *(f"{values[f'p{p}']:.1f}" for p in PERCENTILES))
    return table


def format_comparison(here: BenchReport, there: BenchReport, source: str) -> Table:
    """The stages of two reports and here / there: below 1 where this run is faster.

    Raises:
        InputError: the two did not time the same work.
    """
    check_comparable(here.workload, there.workload, source)
    keys = [key for key in here.machine if here.machine[key] != there.machine.get(key)]
    differ = [f"{key}: {here.machine[key]} here, {there.machine.get(key)} there" for key in keys]
    table = Table(title=f"{_title(here)}; ratio: here / {source}", caption="; ".join(differ))
    table.add_column("stage")
    for p in PERCENTILES[:2]:
        for column in (f"p{p} ms here", "there", "ratio"):
            table.add_column(column, justify="right")
    for stage, values in here.stages_ms.items():
        other = there.stages_ms.get(stage, {})
        row = [_beside(values[f"p{p}"], other.get(f"p{p}")) for p in PERCENTILES[:2]]
        table.add_row(stage, *row[0], *row[1])
    for name in ("host_memory_mb", "device_memory_mb"):
        if getattr(here, name):
            row = [_beside(getattr(here, name), getattr(there, name))]
            table.add_row(f"{name.split('_')[0]} memory, MiB", *row[0])
    return table


def _beside(here: float, there: float | None) -> tuple[str, str, str]:
    if not there:
        return f"{here:.1f}", "-", "-"
    return f"{here:.1f}", f"{there:.1f}", f"{here / there:.2f}"


def _title(report: BenchReport) -> str:
    size = f"{report.num_points:,} points, {report.num_voxels:,} voxels"
    return f"{report.num_scans} scans of {size}, batch 1"


def _caption(report: BenchReport) -> str:
    everything = report.machine | report.workload
    hidden = ("weights_sha256", "scans_sha256", "cpu")
    machine = ", ".join(f"{k} {v}" for k, v in everything.items() if k not in hidden)
    memory = f"peak memory {report.host_memory_mb:.0f} MiB host"
    if report.device_memory_mb:
        memory += f", {report.device_memory_mb:.0f} MiB device"
    return f"{machine}; {memory}; {report.clock}"
