"""The clockwork of `lidarpan bench`: time scans one by one, and say what they were timed on."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

import lidarpan
from lidarpan.clock import StageClock
from lidarpan.datasets.predictions import prediction_path, write_prediction
from lidarpan.model.device_network import voxel_network
from lidarpan.model.sparse import describe_engines
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.files import load_scan

CLOCK = "perf_counter; the device is waited for before and after each stage"


@dataclass(frozen=True)
class TimedScan:
    """One scan, from its file's bytes to its label file.

    Attributes:
        stages_ms: time of each stage, and "total", their sum.
        num_points: usable points.
        num_voxels: occupied voxels.
    """

    stages_ms: dict[str, float]
    num_points: int
    num_voxels: int


def time_scans(
    pipeline: PanopticPipeline, paths: Sequence[Path], count: int, out: Path
) -> list[TimedScan]:
    """Read, predict and write `count` scans, taking the paths in turn; labels go to `out`."""
    is_cuda = pipeline.device.type == "cuda"
    timed = []
    for index in range(count):
        path = paths[index % len(paths)]
        clock = StageClock(torch.cuda.synchronize if is_cuda else lambda: None)
        with clock("read"):
            loaded = load_scan(path)
        prepared = pipeline.prepare(loaded.scan, clock=clock)
        labels = pipeline.finish(prepared, pipeline.run_network(prepared, clock), clock)
        with clock("write"):
            layout = pipeline.classes.name
            target = prediction_path(out, path, layout, pipeline.classes)
            write_prediction(target, labels, loaded, pipeline.classes, layout)
        stages = {**clock.elapsed_ms, "total": sum(clock.elapsed_ms.values())}
        timed.append(TimedScan(stages, loaded.scan.num_points, prepared.voxels.num_voxels))
    return timed


def forget_peaks() -> None:
    """Let the memory peaks of host and device start again from what is held now."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # no Linux, or not allowed: the peak since the start is reported
        return


def peak_memory_mb(device: torch.device) -> tuple[float, float]:
    """Peak resident memory of the process and peak CUDA memory of its tensors, 0 on a CPU. MiB."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        host = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        pass  # getrusage's peak stands
    is_cuda = device.type == "cuda"
    return host, torch.cuda.max_memory_allocated(device) / 2**20 if is_cuda else 0.0


def digest_of(paths: Sequence[Path]) -> str:
    """Short fingerprint of some files' bytes, in their order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12]


def describe_machine(pipeline: PanopticPipeline) -> dict[str, str | int | float]:
    """Device, engine, precision, threads and versions."""
    network = voxel_network(pipeline.network)
    is_cuda = pipeline.device.type == "cuda"
    ((_, _, engine_version),) = describe_engines([network.engine.name])
    machine: dict[str, str | int | float] = {
        "device": torch.cuda.get_device_name() if is_cuda else f"CPU {_cpu_name()}",
        "engine": network.engine.name,
        "engine_version": engine_version,
        "precision": network.precision,
        "threads": torch.get_num_threads(),
        "cpu": _cpu_name(),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "load_before": round(os.getloadavg()[0], 2),
        "lidarpan": lidarpan.__version__,
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
        "python": platform.python_version(),
    }
    return machine | {name: metadata.version(name) for name in ("numba", "numpy")}


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        named = next(line for line in lines if line.startswith("model name"))
        return named.partition(":")[2].strip()
    except (OSError, StopIteration):
        return platform.machine()
