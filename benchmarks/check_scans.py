"""Time and memory of `lidarpan check` over many tiny scans.

Writes a SemanticKITTI tree of 20 sequences (16 points a scan, labels, poses) and checks it in a
fresh process for each number of scans:

    python benchmarks/check_scans.py --folder /tmp/many --scans 10000 100000

Prints a line of JSON for each: seconds of wall clock and of processor, and the peak of resident
memory in MB of that process and of one that only imports.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

SEQUENCES, POINTS = 20, 16
RUN = """
import json, resource, time
from lidarpan.datasets.check import DatasetCheck
idle = resource.getrusage(resource.RUSAGE_SELF)
begin = time.perf_counter()
run = DatasetCheck("semantickitti", {root!r}, {split!r}, __import__("pathlib").Path({out!r}))
for _ in run.run():
    pass
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({{
    "scans": run.summary.num_scans, "faults": run.summary.num_faults,
    "wall_s": round(time.perf_counter() - begin, 1),
    "cpu_s": round(used.ru_utime + used.ru_stime - idle.ru_utime - idle.ru_stime, 1),
    "peak_mb": round(used.ru_maxrss / 1024, 1), "imports_mb": round(idle.ru_maxrss / 1024, 1),
}}))
"""


def write_tree(root: Path, scans: int) -> list[str]:
    rng = np.random.default_rng(0)
    rows = rng.uniform(-20, 20, (POINTS, 4)).astype("<f4")
    rows[:, 3] = 0.5
    packed = np.where(np.arange(POINTS) < 4, 10 | 7 << 16, 40).astype("<u4")
    names = [f"{sequence:02d}" for sequence in range(SEQUENCES)]
    for name in names:
        folder, count = root / "sequences" / name, scans // SEQUENCES
        for kind in ("velodyne", "labels"):
            (folder / kind).mkdir(parents=True)
        for k in range(count):
            (folder / "velodyne" / f"{k:06d}.bin").write_bytes(rows.tobytes())
            (folder / "labels" / f"{k:06d}.label").write_bytes(packed.tobytes())
        lines = [f"1 0 0 0 0 1 0 0 0 0 1 {0.1 * k:.6f}" for k in range(count)]
        (folder / "poses.txt").write_text("\n".join(lines) + "\n")
        (folder / "calib.txt").write_text("Tr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scans", type=int, nargs="+", default=[10_000, 100_000])
    arguments = parser.parse_args()
    for scans in arguments.scans:
        root = arguments.folder / str(scans)
        names = (
            write_tree(root, scans)
            if not root.exists()
            else sorted(at.name for at in (root / "sequences").iterdir())
        )
        code = RUN.format(root=str(root), split=",".join(names), out=str(root / "out"))
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        print(done.stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
