"""How far each engine and precision on a device is from the numba engine on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lidarpan.bench.scans import street_scan
from lidarpan.model.device_network import voxel_network
from lidarpan.pipeline import PanopticPipeline

LIMITS = {
    "fp32": {"output": 1e-4, "gradients": 1e-4, "scale": 1e-4, "worst": 1e-3},
    "fp16": {"output": 5e-3, "gradients": 0.03, "scale": 0.005, "worst": 0.1},
    "bf16": {"output": 0.04, "gradients": 0.12, "scale": 0.02, "worst": 0.35},
}
"""Three to four times what the torch engine has on a CPU with the shipped weights: fp16 .0013,
.0097, .0009 and .034, bf16 .013, .042, .005 and .125, fp32 3e-6 at most. On an H200 the worst
gradient in fp32, the bias of one norm, is 3e-4 off with the torch and the triton engine alike: a
unit at the kink of its clip falls to the other side. "scale" is what makes a
gradient that is zero, turned about or 5 % too large fail in every precision."""
_OUTPUTS = ("semantic", "offset_m", "heatmap", "bev_offset_m")


def measure_parity(
    device: str,
    engines: Sequence[str],
    precisions: Sequence[str] = ("fp32",),
    *,
    weights: str = "town",
    num_points: int = 20_000,
) -> list[dict[str, Any]]:
    """Forward and backward through the whole network on a street of boxes, engine by engine.

    Args:
        device: cpu or cuda.
        engines: those that can run there.
        precisions: fp32, fp16, bf16.
        weights: shipped weights or a file.
        num_points: of the scan, about.

    Returns:
        One row for each engine, precision and tensor: "engine", "precision", and what
        `compare_runs` says.
    """
    wanted = _run(PanopticPipeline.from_weights(weights, "cpu", "numba"), num_points)
    rows = []
    for engine in engines:
        for precision in precisions:
            pipeline = PanopticPipeline.from_weights(weights, device, engine, precision)
            compared = compare_runs(_run(pipeline, num_points), wanted, precision)
            rows += [{"engine": engine, "precision": precision, **row} for row in compared]
    return rows


def compare_runs(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], precision: str
) -> list[dict[str, Any]]:
    """Distances of a run's tensors from another's, as norm over norm, and whether they pass.

    Args:
        found: outputs of the network by name, and gradients by "gradient of ...".
        wanted: the same of the reference.
        precision: whose limits hold.

    Returns:
        A row for each output, one for all gradients together, one for the scale of the gradients
        (their projection on the wanted ones is that many times too long), one for the weight
        whose gradient is worst: "tensor", "relative_error", "limit" and "passed".
    """
    weights = [name for name in wanted if name.startswith("gradient of ")]
    ours, theirs = (torch.cat([run[name].ravel() for name in weights]) for run in (found, wanted))
    worst = max(weights, key=lambda name: _distance(found[name], wanted[name]))
    scale = abs(float(ours @ theirs / (theirs @ theirs).clamp(min=1e-24)) - 1)
    rows = [
        *(("output", name, _distance(found[name], wanted[name])) for name in _OUTPUTS),
        ("gradients", "gradients", _distance(ours, theirs)),
        ("scale", "scale of the gradients", scale),
        ("worst", f"worst {worst}", _distance(found[worst], wanted[worst])),
    ]
    return [
        {
            "tensor": name,
            "relative_error": error,
            "limit": LIMITS[precision][kind],
            "passed": error <= LIMITS[precision][kind],  # NaN does not pass
        }
        for kind, name, error in rows
    ]


def _distance(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-12))


def _run(pipeline: PanopticPipeline, num_points: int) -> dict[str, Tensor]:
    """Outputs and the gradients of their squares by every weight, float64 on the host."""
    network = voxel_network(pipeline.network)
    network.network.requires_grad_(True)
    prepared = pipeline.prepare(street_scan(num_points, seed=1))
    outputs = network.forward(network.tensor_of(prepared))
    tensors = {name: getattr(outputs, name).float() for name in _OUTPUTS}
    loss = torch.stack([tensor.square().mean() for tensor in tensors.values()]).sum()
    weights = {name: p for name, p in network.network.named_parameters() if p.requires_grad}
    grads = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    named = zip(weights, grads, strict=True)
    tensors |= {f"gradient of {name}": grad for name, grad in named if grad is not None}
    return {name: tensor.detach().double().cpu() for name, tensor in tensors.items()}
