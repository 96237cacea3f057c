"""Time the sparse engines on one scan, forward and training step, in one run, beside the floor.

    .venv/bin/python benchmarks/sparse.py [SCAN] [--config configs/town.yaml] [--repeats 10]

The engines take turns, so that they meet the same machine. Memory is the growth of a fresh
process's peak over what it held before the first step. The floor of a pass is its multiply-adds
over the rate of a dense float32 product (torch.mm, 8192 x 512 x 512) on the same threads, or its
bytes (each convolution's input and output once) over the copy bandwidth, whichever is longer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

import lidarpan  # isort: skip  before torch: it says how OpenMP threads wait
import torch  # isort: skip

from lidarpan.config import load_config
from lidarpan.model.inference import fold_batch_norm
from lidarpan.model.sparse import choose_engine, describe_engines
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.weights import build_network
from lidarpan.scans.files import read_scan
from lidarpan.voxels.features import NUM_FEATURES
from lidarpan.voxels.voxelize import voxelize

DEFAULT_SCAN = "semantickitti/sequences/00/velodyne/000000.bin"


class Counting:
    """The numba engine, noting what each convolution does."""

    def __init__(self):
        self.engine, self.name, self.rows = choose_engine("cpu", "numba"), "numba", []

    def _note(self, kind, book, x, run):
        begin = time.perf_counter()
        result = run()
        elapsed = time.perf_counter() - begin
        pairs = int((book().starts[:, -1] - book().starts[:, 0]).sum())
        _, cin, cout = x.weight.shape
        moved = 4 * (x.features.numel() + book().num_out * cout)
        self.rows.append((kind, book().num_out, pairs, cin, cout, elapsed, moved))
        return result

    def submanifold(self, level, kernel, x):
        """As the engine's, noted."""
        kind = "x".join(map(str, kernel))
        run = partial(self.engine.submanifold, level, kernel, x)
        return self._note(kind, lambda: level.maps[kernel], x, run)

    def strided(self, level, geometry, x):
        """As the engine's, noted."""
        run = partial(self.engine.strided, level, geometry, x)
        return self._note("down", lambda: level.maps[geometry].down, x, run)

    def inverse(self, level, geometry, x):
        """As the engine's, noted."""
        run = partial(self.engine.inverse, level, geometry, x)
        return self._note("up", lambda: level.maps[geometry].up, x, run)


def load(args):
    config = load_config(Path(args.config))
    grid = config.grid.build()
    voxels = voxelize(read_scan(args.scan).points, grid)
    batch = np.zeros((voxels.num_voxels, 1), np.int32)
    indices = torch.from_numpy(np.concatenate([batch, voxels.indices], 1))
    torch.manual_seed(0)
    features = torch.randn(len(indices), NUM_FEATURES)
    network = build_network(config)

    def tensor(engine):
        return SparseTensor(features, indices, grid.shape, 1, engine)

    return network, tensor


def forward(network, x):
    with torch.no_grad():
        return network(x)


def step(network, x):
    out = network(x)
    loss = sum(part.square().mean() for part in (out.semantic, out.offset_m, out.heatmap))
    (loss + out.bev_offset_m.square().mean()).backward()


def seconds(run, repeats):
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return times


def rates():
    """Multiply-add rate of torch.mm in FLOP/s, and bandwidth of a copy in bytes/s."""
    a, b, out = torch.randn(8192, 512), torch.randn(512, 512), torch.empty(8192, 512)
    gemm = 2 * 8192 * 512 * 512 / min(seconds(lambda: torch.mm(a, b, out=out), 20))
    source = torch.zeros(32 << 20)
    target = torch.empty_like(source)
    return gemm, 2 * source.nbytes / min(seconds(lambda: target.copy_(source), 10))


def peak_memory(args, engine, training):
    """MiB that the first step of a fresh process adds to its peak."""
    words = [sys.executable, "-W", "ignore", __file__, str(args.scan), "--config", args.config]
    words += ["--memory-of", engine, *(["--training"] if training else [])]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return float(out.split()[-1])


def measure_memory(args):
    network, tensor = load(args)
    engine = choose_engine("cpu", args.memory_of)
    small = tensor(engine)
    crop = small.indices[:200].contiguous()
    first = SparseTensor(small.features[:200], crop, small.shape, 1, engine)
    step(network, first)  # compiles and loads everything
    network.zero_grad()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from now
    before = resident("VmRSS")
    (step if args.training else forward)(network, tensor(engine))
    print(resident("VmHWM") - before)


def resident(field):
    """MiB that Linux counts for this process now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def report_floor(network, tensor, gemm, bandwidth):
    engine = Counting()
    forward(network, tensor(engine))
    engine.rows.clear()
    forward(network, tensor(engine))
    print("\nkernel  rows_out   pairs  pairs/row  Cin  Cout     ms  GFLOP/s")
    for kind, rows, pairs, cin, cout, elapsed, _ in engine.rows:
        flops = 2 * pairs * cin * cout
        print(
            f"{kind:7} {rows:8} {pairs:7} {pairs / max(rows, 1):10.1f} {cin:4} {cout:5} "
            f"{elapsed * 1e3:6.1f} {flops / elapsed / 1e9:8.1f}"
        )
    flops = sum(2 * pairs * cin * cout for _, _, pairs, cin, cout, _, _ in engine.rows)
    moved = sum(row[-1] for row in engine.rows)
    spent = sum(row[-2] for row in engine.rows)
    print(f"times above include the neighbour maps; all convolutions: {spent * 1e3:.0f} ms")
    print(
        f"floor of the forward pass: {flops / 1e9:.1f} GFLOP at {gemm / 1e9:.0f} GFLOP/s = "
        f"{flops / gemm * 1e3:.0f} ms; {moved / 1e6:.0f} MB at {bandwidth / 1e9:.1f} GB/s = "
        f"{moved / bandwidth * 1e3:.0f} ms"
    )
    floor = max(flops / gemm, moved / bandwidth)
    return {"forward": floor, "forward folded": floor, "training step": 3 * floor}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = Path(os.environ.get("LIDARPAN_REAL_DATA", "../shared/data"))
    parser.add_argument("scan", nargs="?", type=Path, default=data / DEFAULT_SCAN)
    parser.add_argument("--config", default="configs/town.yaml")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--training", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        measure_memory(args)
        return
    network, tensor = load(args)
    names = [name for name, ready, _ in describe_engines() if ready and name != "triton"]
    engines = {name: choose_engine("cpu", name) for name in names}
    gemm, bandwidth = rates()
    print(f"{platform.machine()}, lidarpan {lidarpan.__version__}, torch {torch.__version__}")
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, {describe_engines()}")
    print(f"{args.scan.name}: {len(tensor(engines['numba']).indices)} voxels, {args.config}")
    folded = fold_batch_norm(network)
    floors = report_floor(network, tensor, gemm, bandwidth)
    passes = {"forward": (forward, network), "training step": (step, network)}
    passes["forward folded"] = (forward, folded)
    walls, cpus = {}, {}
    for turn in range(args.repeats + 1):
        for pass_name, (run, net) in passes.items():
            for name, engine in engines.items():
                net.train(pass_name == "training step")
                cpu, wall = time.process_time(), time.perf_counter()
                run(net, tensor(engine))
                if turn:  # the first turn warms up
                    walls.setdefault((pass_name, name), []).append(time.perf_counter() - wall)
                    cpus.setdefault((pass_name, name), []).append(time.process_time() - cpu)
    results = {}
    print("\npass            engine   wall min   median  cpu min  times the floor  peak MiB")
    for (pass_name, name), times in walls.items():
        best, cpu = min(times), min(cpus[pass_name, name])
        memory = peak_memory(args, name, pass_name == "training step")
        print(
            f"{pass_name:15} {name:7} {best * 1e3:6.0f} ms {np.median(times) * 1e3:5.0f} ms "
            f"{cpu * 1e3:5.0f} ms {best / floors[pass_name]:16.1f} {memory:9.0f}"
        )
        results[f"{pass_name}, {name}"] = {
            "wall_min_s": best,
            "wall_median_s": float(np.median(times)),
            "cpu_min_s": cpu,
            "floor_s": floors[pass_name],
            "peak_mib": memory,
        }
    if "spconv" in engines:
        for pass_name in passes:
            ratio = np.median(walls[pass_name, "spconv"]) / np.median(walls[pass_name, "numba"])
            best = min(walls[pass_name, "spconv"]) / min(walls[pass_name, "numba"])
            print(f"{pass_name}: numba is {ratio:.2f} times as fast as spconv (minima {best:.2f})")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
