"""Cost against the number of points and of threads, in one run; draw it.

    .venv/bin/python benchmarks/threads.py [--repeats 5] [--out docs/images/threads.png]

Streets of boxes of 10,000, 100,000 and 1,000,000 points, from the file's bytes to the labels, with
the shipped weights; scans and numbers of threads take turns, the least of the repeats counts. Drawn
is processor time, the sum over all threads: on a machine that others use, too, it is what can be
compared. Wall time is in the table; on a busy machine it says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from lidarpan.bench.plot import COLORS
from lidarpan.bench.scans import write_street
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.files import load_scan

POINTS = (10_000, 100_000, 1_000_000)
STAGES = ("read", "voxelize", "network", "grouping")


def time_scan(pipeline, path):
    """(processor ms, wall ms) of each stage; grouping has fusion in it."""
    times = {}
    mark = [time.process_time(), time.perf_counter()]

    def stop(stage):
        now = time.process_time(), time.perf_counter()
        times[stage] = [1e3 * (b - a) for a, b in zip(mark, now, strict=True)]
        mark[:] = now

    scan = load_scan(path).scan
    stop("read")
    prepared = pipeline.prepare(scan)
    stop("voxelize")
    raw = pipeline.run_network(prepared)
    stop("network")
    pipeline.finish(prepared, raw)
    stop("grouping")
    times["total"] = [sum(times[stage][k] for stage in STAGES) for k in (0, 1)]
    return times, prepared.voxels.num_voxels


def measure(threads, repeats):
    pipeline = PanopticPipeline.from_weights("town", "cpu")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {count: write_street(Path(folder), count) for count in POINTS}
        for turn in range(repeats + 1):
            for count, path in paths.items():
                for number in threads:
                    torch.set_num_threads(number)
                    times, voxels = time_scan(pipeline, path)
                    if turn:  # the first turn warms up
                        row = rows.setdefault(f"{count} points, {number} threads", dict(times))
                        for stage, found in times.items():
                            row[stage] = [min(p) for p in zip(row[stage], found, strict=True)]
                        row["voxels"] = voxels
    return rows


def draw(rows, threads, path, repeats):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    panel = figure.subplots()
    for stage in (*STAGES, "total"):
        for number, dash in zip(threads, ("-", "--", ":"), strict=False):
            up = [rows[f"{n} points, {number} threads"][stage][0] for n in POINTS]
            words = f"{stage}, {number} thread{'s' * (number > 1)}"
            if stage in ("network", "total") or number == threads[0]:
                panel.loglog(POINTS, up, f"o{dash}", color=COLORS[stage], label=words)
    panel.set_xticks(POINTS, [f"{n:,}" for n in POINTS])
    panel.set_xlabel("points per scan (streets of boxes)")
    panel.set_ylabel(f"processor ms, all threads together, least of {repeats}")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.grid(alpha=0.3, which="both")
    panel.legend()
    figure.savefig(path, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path("docs/images/threads.png"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = measure(args.threads, args.repeats)
    print(f"load {os.getloadavg()[0]:.1f}; processor ms (wall ms)")
    print(f"{'':28} " + " ".join(f"{stage:>14}" for stage in (*STAGES, "total")))
    for name, row in rows.items():
        cells = [f"{row[stage][0]:.0f} ({row[stage][1]:.0f})" for stage in (*STAGES, "total")]
        print(
            f"{name:28} " + " ".join(f"{cell:>14}" for cell in cells) + f" {row['voxels']} voxels"
        )
    draw(rows, args.threads, args.out, args.repeats)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
