"""What the query head costs: network and grouping, in turn with the center heads, in one process.

python benchmarks/learning_time.py --data data/learning --device cpu
python benchmarks/learning_time.py --data data/learning --device cuda --engine torch
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from learning import VALID_FIRST, head
from learning_run import Run
from learning_towns import town_files

from lidarpan.model.device_network import voxel_network
from lidarpan.model.sparse import choose_engine
from lidarpan.model.weights import build_network
from lidarpan.pipeline import PanopticPipeline

HEADS = {"centers": {}, "queries": head()}


def main() -> None:
    """Fresh weights: least time of the rounds, median over the scans, and most memory.

    On a CPU it is the time of the processor, which other work on the machine disturbs less, and
    what the process holds at most beyond what it held before (Linux only).
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="data/learning", help="folder of the towns")
    parser.add_argument("--scans", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--engine")
    o = parser.parse_args()
    paths = tuple(map(str, town_files(Path(o.data), VALID_FIRST, o.scans)))
    towns = Run("", 0, (), (), "").towns(paths)
    device = torch.device(o.device)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    made = {}
    for name, changes in HEADS.items():
        config = Run(name, 0, (), (), "", changes=changes).config()
        network = build_network(config).eval().to(device)
        made[name] = PanopticPipeline.from_config(config, network, choose_engine(device, o.engine))
    print("| head | parameters | network, ms | memory, MiB |\n|---|---|---|---|")
    least = {name: np.full(len(towns), np.inf) for name in made}
    memory = dict.fromkeys(made, 0.0)
    for _ in range(o.rounds):
        for i in range(len(towns)):
            for name, pipeline in made.items():
                prepared = pipeline.prepare(towns[i])
                held = forget_peak(device)
                begin = clock()
                pipeline.run_network(prepared)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                least[name][i] = min(least[name][i], 1000 * (clock() - begin))
                memory[name] = max(memory[name], peak_mib(device) - held)
    for name, pipeline in made.items():
        network = voxel_network(pipeline.network).network
        count = sum(p.numel() for p in network.parameters())
        print(f"| {name} | {count:,} | {np.median(least[name]):.1f} | {memory[name]:.0f} |")


def forget_peak(device: torch.device) -> float:
    """Let the peak of memory begin anew; what is held of it already, MiB."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return 0.0
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mib(device)


def peak_mib(device: torch.device) -> float:
    """Most memory since the peak began anew, MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
