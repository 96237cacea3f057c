"""How far each engine and precision on a device is from the numba engine on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lidarpan.bench.scans import street_scan
from lidarpan.model.voxel_network import voxel_network
from lidarpan.pipeline import PanopticPipeline

LIMITS = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1}
"""Largest accepted error of an output, as norm over norm; gradients may have ten times as much."""
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
        One row for each engine, precision and tensor: "engine", "precision", "tensor",
        "relative_error" (norm of the difference over the norm), "limit" and "passed".
    """
    reference = _run(PanopticPipeline.from_weights(weights, "cpu", "numba"), num_points)
    rows = []
    for engine in engines:
        for precision in precisions:
            pipeline = PanopticPipeline.from_weights(weights, device, engine, precision)
            found = _run(pipeline, num_points)
            for name, wanted in reference.items():
                error = float((found[name] - wanted).norm() / wanted.norm().clamp(min=1e-12))
                limit = LIMITS[precision] * (10 if name == "gradients" else 1)
                rows.append(
                    {
                        "engine": engine,
                        "precision": precision,
                        "tensor": name,
                        "relative_error": error,
                        "limit": limit,
                        "passed": error <= limit,  # NaN does not pass
                    }
                )
    return rows


def _run(pipeline: PanopticPipeline, num_points: int) -> dict[str, Tensor]:
    """Outputs and the gradients of their squares by every weight, float64 on the host."""
    network = voxel_network(pipeline.network)
    network.network.requires_grad_(True)
    prepared = pipeline.prepare(street_scan(num_points, seed=1))
    outputs = network.forward(network.tensor_of(prepared))
    tensors = {name: getattr(outputs, name).float() for name in _OUTPUTS}
    loss = torch.stack([tensor.square().mean() for tensor in tensors.values()]).sum()
    weights = [p for p in network.network.parameters() if p.requires_grad]
    grads = torch.autograd.grad(loss, weights, allow_unused=True)
    flat = torch.cat([g.float().reshape(-1) for g in grads if g is not None])
    everything = {**tensors, "gradients": flat}
    return {name: tensor.detach().double().cpu() for name, tensor in everything.items()}
