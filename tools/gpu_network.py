"""Time the network alone on a device, engine by engine, beside its floor, and profile the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lidarpan.model.sparse.triton as sparse_triton
from lidarpan.model.device_network import DeviceNetwork, voxel_network
from lidarpan.model.outputs import PreparedScan
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Epilogue
from lidarpan.model.sparse.torch import Table, TorchEngine
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.model.weights import PRECISIONS
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import Scan

BUDGET_S = 3.0  # for the repetitions of one row


class CountingEngine(TorchEngine):
    """The torch engine, adding up what its convolutions must do at the least.

    Attributes:
        multiply_adds: pairs of rows that meet, times C_in, times C_out.
        elements: of every convolution's input, output and weight, each once.
    """

    def __init__(self) -> None:
        self.multiply_adds, self.elements = 0, 0

    def convolve(self, x: Tensor, weight: Tensor, table: Table, finish: Epilogue | None) -> Tensor:
        """As the engine's, counted."""
        out = super().convolve(x, weight, table, finish)
        pairs = int((table.forward < len(x)).sum())
        self.multiply_adds += pairs * weight.shape[1] * weight.shape[2]
        self.elements += x.numel() + out.numel() + weight.numel()
        return out


def network_floor(network: VoxelNetwork, prepared: PreparedScan) -> dict[str, float]:
    """What a forward pass must take on the network's device, in its precision.

    Returns:
        "gflop", "gbyte", the rates of a dense product and of a copy there, and "floor_ms", the
        longer of the two times.
    """
    counting, kept = CountingEngine(), network.engine
    network.engine = counting
    with torch.inference_mode():
        network.forward(network.tensor_of(prepared))
    network.engine = kept
    dtype = PRECISIONS[network.precision] or torch.float32
    rate, bandwidth = _rates(network.device, dtype)
    flop = 2 * counting.multiply_adds
    moved = counting.elements * torch.empty(0, dtype=dtype).element_size()
    return {
        "gflop": flop / 1e9,
        "gbyte": moved / 1e9,
        "tflops": rate / 1e12,
        "gbyte_per_s": bandwidth / 1e9,
        "floor_ms": 1e3 * max(flop / rate, moved / bandwidth),
    }


def _rates(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """FLOP/s of a dense product of 40,000 x 96 x 96 and bytes/s of a copy."""
    a, b = (torch.randn(size, device=device).to(dtype) for size in ((40_000, 96), (96, 96)))
    source = torch.zeros(1 << 24, device=device)
    target = torch.empty_like(source)
    gemm = min(_seconds(lambda: torch.mm(a, b), device, 20))
    copy = min(_seconds(lambda: target.copy_(source), device, 20))
    return 2 * 40_000 * 96 * 96 / gemm, 2 * source.nbytes / copy


def _seconds(run: Callable[[], Any], device: torch.device, repeats: int) -> list[float]:
    """Wall times, the device waited for; as many as BUDGET_S lets, after three of warm-up."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    times: list[float] = []
    begin = time.perf_counter()
    for index in range(repeats + 3):
        wait()
        started = time.perf_counter()
        run()
        wait()
        if index >= 3:
            times.append(time.perf_counter() - started)
        if times and time.perf_counter() - begin > BUDGET_S:
            break
    return times


def measure_network(
    device: str, runs: Sequence[tuple[str, str]], scan: Scan, *, repeats: int = 100
) -> dict[str, Any]:
    """Time the network of the shipped weights on a scan.

    Args:
        device: cpu or cuda.
        runs: (engine, precision) pairs; the last is profiled. "ieee" is "fp32" without tensor cores
            in the triton engine.
        scan: to see again and again.
        repeats: timed runs of each row, at most.

    Returns:
        "num_voxels"; "rows", for each pair the floor and p50, p99 of "eager", the network operation
        by operation, its neighbour maps included; "warm", with maps that are there already; "run",
        as `predict` runs it, from points on the host to answers there; and "profile", of "run".
    """
    prepared, rows, last = None, [], None
    for engine, precision in runs:
        sparse_triton.PRECISION = "ieee" if precision == "ieee" else "tf32x3"
        row: dict[str, Any] = {"engine": engine, "precision": precision}
        rows.append(row)
        try:
            pipeline = PanopticPipeline.from_weights(
                "town", device, engine, "fp32" if precision == "ieee" else precision
            )
            network = voxel_network(pipeline.network)
            prepared = prepared or network.prepare(scan)
            seen = pipeline.prepare(scan)
            last = partial(pipeline.network.run, seen), network.device
            _time_network(row, network, prepared, repeats)
            _note(row, "run", *last, repeats)
            if isinstance(pipeline.network, DeviceNetwork):
                row["has_graphs"] = pipeline.network.captured.has_graphs
        except Exception as fault:  # one engine's fault must not cost the others' figures
            row["error"] = f"{type(fault).__name__}: {fault}"[:2000]
    num_voxels = prepared.voxels.num_voxels if prepared else 0
    profile = profile_run(*last) if last else {}
    return {"num_voxels": num_voxels, "rows": rows, "profile": profile}


def _time_network(
    row: dict[str, Any], network: VoxelNetwork, prepared: PreparedScan, repeats: int
) -> None:
    """Fill a row, figure by figure."""

    def again(tensor: SparseTensor | None = None) -> None:
        with torch.inference_mode():
            network.forward(tensor or network.tensor_of(prepared))

    row |= network_floor(network, prepared)
    _note(row, "eager", again, network.device, repeats)
    _note(row, "warm", partial(again, network.tensor_of(prepared)), network.device, repeats)


def _note(
    row: dict[str, Any], name: str, run: Callable[[], Any], device: torch.device, repeats: int
) -> None:
    begin = time.perf_counter()
    run()
    row[f"{name}_first_s"] = time.perf_counter() - begin
    times = _seconds(run, device, repeats)
    row[f"{name}_p50_ms"] = 1e3 * float(np.percentile(times, 50))
    row[f"{name}_p99_ms"] = 1e3 * float(np.percentile(times, 99))
    row[f"{name}_runs"] = len(times)


def profile_run(run: Callable[[], Any], device: torch.device, repeats: int = 5) -> dict[str, Any]:
    """Where the device's time goes.

    Returns:
        Per run: "wall_ms", "busy_ms" (sum of the kernels), "kernels" (launches), "idle_share", and
        "top", the 15 longest [name, launches, ms].
    """
    from torch.profiler import ProfilerActivity, profile

    is_cuda = device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_cuda else [])]
    run()
    with profile(activities=kinds) as found:
        begin = time.perf_counter()
        for _ in range(repeats):
            run()
        if is_cuda:
            torch.cuda.synchronize()
        wall = time.perf_counter() - begin
    totals: dict[str, list[float]] = {}
    for event in found.events() or []:
        is_kernel = event.device_type.name == "CUDA" if is_cuda else not event.cpu_parent
        if is_kernel:
            spent = event.time_range.elapsed_us() if is_cuda else event.cpu_time_total
            count, total = totals.get(event.name, (0, 0.0))
            totals[event.name] = [count + 1, total + spent]
    busy = sum(total for _, total in totals.values()) / 1e3
    longest = sorted(totals.items(), key=lambda item: -item[1][1])[:15]
    return {
        "wall_ms": 1e3 * wall / repeats,
        "busy_ms": busy / repeats,
        "kernels": sum(count for count, _ in totals.values()) / repeats,
        "idle_share": max(0.0, 1 - busy / (1e3 * wall)),
        "top": [
            [name[:70], count / repeats, total / 1e3 / repeats] for name, (count, total) in longest
        ],
    }
