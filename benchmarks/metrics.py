"""Time the scorer and the evaluation of a folder beside the official evaluator, in one run.

    .venv/bin/python benchmarks/metrics.py [--scans 1000]

Needs `pip install --no-deps semantic-kitti-api==0.1` for the official figure.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

NUM_POINTS, NUM_CLASSES, NUM_INSTANCES = 120_000, 20, 30


def scan_like(rng):
    """Labels as a sensor sees them: neighbours in the file are mostly of one object."""
    length = rng.geometric(1 / 15, NUM_POINTS)
    segment = np.repeat(rng.integers(0, NUM_INSTANCES + 11, NUM_POINTS), length)[:NUM_POINTS]
    is_instance = segment < NUM_INSTANCES
    semantic = np.where(is_instance, 1 + segment % 8, segment - NUM_INSTANCES + 9)
    semantic[rng.random(NUM_POINTS) < 0.02] = 0
    instance = np.where(is_instance, segment + 1, 0)
    return semantic, instance


def with_errors(rng, semantic, instance, share):
    semantic, instance = semantic.copy(), instance.copy()
    wrong = rng.random(NUM_POINTS) < share
    semantic[wrong] = rng.integers(0, NUM_CLASSES, wrong.sum())
    instance[wrong] = rng.integers(0, NUM_INSTANCES, wrong.sum())
    return semantic, instance


def cases():
    rng = np.random.default_rng(0)
    truth = scan_like(rng)
    yield "as in a scan, 3 % wrong", (*with_errors(rng, *truth, 0.03), *truth)
    truth = rng.integers(0, NUM_CLASSES, NUM_POINTS), rng.integers(0, NUM_INSTANCES, NUM_POINTS)
    yield "every point by chance, 10 % wrong", (*with_errors(rng, *truth, 0.1), *truth)


def median_ms(function, repeats):
    elapsed = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        elapsed.append((time.perf_counter() - start) * 1e3)
    return median(elapsed), min(elapsed)


def time_update():
    from auxiliary.eval_np import PanopticEval

    from lidarpan.metrics import PanopticQuality

    print(f"update: {NUM_POINTS:,} points, {NUM_CLASSES} classes, one thread, ms per scan")
    for name, case in cases():
        with contextlib.redirect_stdout(io.StringIO()):
            official = PanopticEval(NUM_CLASSES, None, [0], min_points=50)
        ours = PanopticQuality(NUM_CLASSES, range(1, 9), min_points=50)
        official.addBatch(*case)
        ours.update(*case)
        assert abs(official.getPQ()[0] - ours.compute().pq) < 1e-9
        theirs, theirs_best = median_ms(
            lambda official=official, case=case: official.addBatch(*case), 15
        )
        mine, mine_best = median_ms(lambda ours=ours, case=case: ours.update(*case), 200)
        moved = sum(part.nbytes for part in case)
        print(
            f"  {name}: {mine:.2f} median, {mine_best:.2f} best; official {theirs:.1f}, "
            f"{theirs_best:.1f}: {theirs / mine:.0f} times; "
            f"reading the {moved / 1e6:.1f} MB once takes {1e3 * moved / memory_rate():.2f}"
        )


def memory_rate():
    """Bytes per second of a sum over an array that no cache holds."""
    array = np.ones(1 << 24, np.int64)
    return array.nbytes / (median_ms(array.sum, 5)[1] / 1e3)


def time_folder(num_scans):
    from lidarpan.classes import load_class_table

    classes = load_class_table("semantickitti")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rng = np.random.default_rng(1)
        for i in range(num_scans):
            truth = scan_like(rng)
            for (semantic, instance), name in (
                (truth, "data/sequences/08/labels"),
                (with_errors(rng, *truth, 0.03), "pred/sequences/08/predictions"),
            ):
                file = root / name / f"{i:06d}.label"
                file.parent.mkdir(parents=True, exist_ok=True)
                raw = classes.train_to_raw[semantic].astype(np.uint32)
                (raw | (instance.astype(np.uint32) << 16)).tofile(file)
        moved = 2 * 4 * NUM_POINTS * num_scans
        program = str(Path(sys.executable).with_name("lidarpan"))
        command = [program, "evaluate", "semantickitti", "--split"]
        command += ["valid", "--data", f"{root}/data", "--predictions", f"{root}/pred"]
        elapsed = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            elapsed.append(time.perf_counter() - start)
        start = time.perf_counter()
        for file in root.rglob("*.label"):
            np.fromfile(file, np.uint32)
        read = time.perf_counter() - start
    print(
        f"lidarpan evaluate: {num_scans:,} scans, {os.cpu_count()} cores, with start-up: "
        f"{min(elapsed):.1f} s of {', '.join(f'{value:.1f}' for value in elapsed)}; "
        f"reading the {moved / 1e9:.2f} GB once from the page cache takes {read:.1f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=1000)
    time_update()
    time_folder(parser.parse_args().scans)
