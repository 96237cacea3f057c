"""What Ray costs: scans predicted by one process, and by two workers, on the same two cores.

    .venv/bin/python benchmarks/fleet.py --scans 200 --points 24000 --runs 3

Each run predicts the same files into an empty folder: in turn by one process with two threads and
by a cluster of two workers that is up already (its start is told apart). Seconds of the clock, the
least of the runs; and seconds of work that all processes spent, which other programs on the
machine disturb less.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line has it

import numpy as np

from lidarpan.bench.scans import street_scan
from lidarpan.fleet.cluster import Cluster
from lidarpan.fleet.predict import Loading, predict_on_cluster
from lidarpan.inference import Asked, predict_sources
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.sources import open_sources


def work_s():
    """CPU seconds of this process and all below it, alive or not."""
    tick, mine = os.sysconf("SC_CLK_TCK"), os.getpid()
    parents, spent = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(")")[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
            spent[int(entry.name)] = sum(map(int, fields[11:15])) / tick
    total = 0.0
    for process, seconds in spent.items():
        above = process
        while above > 1 and above != mine:
            above = parents.get(above, 0)
        total += seconds if above == mine else 0.0
    return total


def timed(results, count):
    begin, before = time.perf_counter(), work_s()
    assert sum(result.error is None for result in results) == count
    return time.perf_counter() - begin, work_s() - before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--points", type=int, default=24_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "scans"
        folder.mkdir()
        for k in range(args.scans):
            scan = street_scan(args.points, seed=k % 20)
            rows = np.column_stack([scan.points, scan.intensity]).astype(np.float32)
            rows.tofile(folder / f"{k:06d}.bin")
        sources = open_sources([folder])
        pipeline = PanopticPipeline.from_weights(device="cpu")
        begin = time.perf_counter()
        with Cluster(workers=2) as cluster:
            print(f"start of the cluster: {time.perf_counter() - begin:.1f} s")
            times = {"one process": [], "two workers": []}
            for run in range(args.runs + 1):  # the first one loads weights and kernels
                one, two = (Path(made) / f"{name}{run}" for name in ("one", "two"))
                first = timed(predict_sources(pipeline, sources, Asked(one, "npz")), args.scans)
                stream = predict_on_cluster(
                    cluster, Loading(device="cpu"), sources, Asked(two, "npz")
                )
                second = timed(stream, args.scans)
                if run:
                    times["one process"].append(first)
                    times["two workers"].append(second)
                print(
                    f"run {run}: {first[0]:.1f} s ({first[1]:.1f} s of work), two workers "
                    f"{second[0]:.1f} s ({second[1]:.1f} s)"
                )
    least = {name: np.min(runs, axis=0) for name, runs in times.items()}
    for name, (clock, work) in least.items():
        print(
            f"{name}: {clock:.1f} s, {args.scans / clock:.1f} scans a second, {work:.1f} s of work"
        )
    clock, work = least["two workers"] / least["one process"] - 1
    print(f"overhead: {clock:+.0%} by the clock, {work:+.0%} of work")


if __name__ == "__main__":
    main()
