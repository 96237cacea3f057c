"""The steps of gpu_check.py, each a process of its own: gpu_steps.py STEP DEVICE [--out FILE]."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PRECISIONS = ("fp32", "fp16", "bf16")
STEPS = ("compile", "network", "parity", "overlap")
COMPILED = (
    """
from lidarpan.bench.scans import street_scan
from lidarpan.pipeline import PanopticPipeline
PanopticPipeline.from_weights("town", "cpu").predict(street_scan(20_000, 0))
""",
    """
import numpy as np
from lidarpan.classes import load_class_table
from lidarpan.grouping import group_points
rng = np.random.default_rng(0)
points = rng.uniform(-9, 9, (2000, 3)).astype(np.float32)
softmax = rng.dirichlet(np.ones(20), 2000).astype(np.float32)
offsets, classes = np.zeros((2000, 2), np.float32), load_class_table("semantickitti")
group_points(points, softmax.argmax(1).astype(np.uint8), classes, offsets=offsets, softmax=softmax)
""",
)
"""Programs whose kernels numba compiles: the CPU's network, grouping."""


def compile_kernels() -> int:
    """Numba's kernels, several processes side by side, into its cache beside the files."""
    words = [sys.executable, "-W", "ignore", "-c"]
    running = [subprocess.Popen([*words, code], cwd=ROOT) for code in COMPILED]
    return max(part.wait() for part in running)


def run_step(
    step: str, device: str, engines: list[str], scans: list[Path], out: Path | None
) -> int:
    """One step in this process; its result goes to `out`."""
    is_dry = device == "cpu"
    if step == "compile":
        return compile_kernels()
    assert out is not None
    if step == "parity":
        from parity import measure_parity

        precisions = ("fp32",) if is_dry else PRECISIONS
        rows = measure_parity(device, engines, precisions, num_points=5000 if is_dry else 30_000)
        out.write_text(json.dumps(rows))
        failed = [row for row in rows if not row["passed"]]
        print(*failed, sep="\n")
        return int(bool(failed))
    if step == "network":
        from gpu_network import measure_network

        from lidarpan.bench.scans import street_scan
        from lidarpan.scans.files import load_scan

        halves = ("fp32",) if is_dry else PRECISIONS if engines == ["triton"] else ("fp32", "fp16")
        runs = [(name, half) for name in engines for half in halves]
        if engines == ["triton"]:
            runs.insert(0, ("triton", "ieee"))
        num_points, repeats = (5000, 2) if is_dry else (120_000, 60)
        scan = load_scan(scans[0]).scan if scans else street_scan(num_points, seed=1)
        result = measure_network(device, runs, scan, repeats=repeats)
        out.write_text(json.dumps(result))
        failed = [row for row in result["rows"] if "error" in row]
        print(*failed, sep="\n")
        return int(bool(failed))
    from overlap import measure_overlap

    from lidarpan.pipeline import PanopticPipeline

    precision = "fp32" if is_dry else "fp16"
    pipeline = PanopticPipeline.from_weights("town", device, precision=precision)
    sizes: dict[str, Any] = {"num_scans": 3, "num_points": 8000} if is_dry else {"num_scans": 60}
    result = measure_overlap(pipeline, scan_paths=scans, **sizes)
    out.write_text(json.dumps(result))
    return int(not result["is_same"])


def main() -> int:
    """Parse, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("device", choices=("cpu", "cuda"))
    parser.add_argument("--engines", nargs="*", default=[])
    parser.add_argument("--scans", nargs="*", type=Path, default=[])
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    return run_step(chosen.step, chosen.device, chosen.engines, chosen.scans, chosen.out)


if __name__ == "__main__":
    sys.exit(main())
