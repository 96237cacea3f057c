"""The network's inference form: fixed norms folded into convolutions, activations fused."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from lidarpan.model.norm import ScanNorm
from lidarpan.model.sparse.modules import (
    InverseConv3d,
    SparseTensor,
    StridedConv3d,
    SubmanifoldConv3d,
)
from lidarpan.model.unet import NormAct, ResidualBlock, UNet

Network = TypeVar("Network", bound=nn.Module)
Statistics = dict[str, tuple[Tensor, Tensor]]
"""Name of a norm -> mean (C,) and variance (C,) of its input."""


class FoldedBlock(nn.Module):
    """relu(skip(x) + conv(relu(conv(x)))): a residual block in two fused convolutions."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.conv1, self.conv2, self.skip = block.conv1, block.conv2, block.skip
        self.conv1.fold(block.act1.norm, rectify=True)
        self.conv2.fold(block.norm2, rectify=True)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The formula above."""
        return self.conv2(self.conv1(x), residual=self.skip(x.features))  # type: ignore[no-any-return]


def fold_batch_norm(network: Network, statistics: Statistics | None = None) -> Network:
    """A frozen copy that computes what `network.eval()` does, in fewer passes over the features.

    Where scans are normalised by their own statistics, as `norm_share` says, norms stay as they
    are. With given statistics (see `measure_statistics`) every scan is normalised by these: the
    fastest form, for scans of one sensor. The copy cannot be trained.

    Args:
        network: with ScanNorm layers.
        statistics: name of a norm -> mean (C,) and variance (C,); None leaves the network's own.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    norms = scan_norms(folded)
    if statistics is not None:
        for name, norm in norms.items():
            mean, var = statistics[name]
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(var)
            norm.share = 0.0
    if all(norm.share == 0 for norm in norms.values()):
        _fold_children(folded)
    return folded


def measure_statistics(
    network: nn.Module, scans: Iterable[SparseTensor], momentum: float | None = None
) -> Statistics:
    """What each norm of a network sees of some scans, each normalised as it is in use at share 1.

    Args:
        network: with ScanNorm layers, not folded; it is run, not changed.
        scans: the network's inputs, one scan each.
        momentum: weight of each new scan in a moving average; None weighs all scans alike.

    Returns:
        Name of the norm -> mean (C,) and variance (C,), averaged over the scans.
    """
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    norms = scan_norms(copied)
    for norm in norms.values():
        norm.share = 1.0
        norm.register_forward_pre_hook(_keep_statistics)
    found: Statistics = {}
    with torch.inference_mode():
        for index, scan in enumerate(scans):
            copied(scan)
            weight = 1 / (index + 1) if momentum is None or index == 0 else momentum
            for name, norm in norms.items():
                new = norm.kept
                old = found.get(name, new)
                mean, var = (torch.lerp(a, b, weight) for a, b in zip(old, new, strict=True))
                found[name] = mean, var
    return found


def scan_norms(network: nn.Module) -> dict[str, ScanNorm]:
    """The norms of a network by name."""
    return {n: m for n, m in network.named_modules() if isinstance(m, ScanNorm)}


def _keep_statistics(norm: nn.Module, inputs: tuple[SparseTensor, ...]) -> None:
    assert isinstance(norm, ScanNorm)
    norm.kept = norm.statistics(inputs[0].features)


def _fold_children(module: nn.Module) -> None:
    if isinstance(module, UNet):
        for index, (up, act) in enumerate(zip(module.up, module.up_act, strict=True)):
            assert isinstance(up, InverseConv3d)
            assert isinstance(act, NormAct)
            up.fold(act.norm, rectify=True)
            module.up_act[index] = nn.Identity()
    if isinstance(module, nn.Sequential) and len(module) == 2:
        conv, act = module
        if isinstance(conv, SubmanifoldConv3d | StridedConv3d) and isinstance(act, NormAct):
            conv.fold(act.norm, rectify=True)
            module[1] = nn.Identity()
    for name, child in module.named_children():
        if isinstance(child, ResidualBlock):
            setattr(module, name, FoldedBlock(child))
        else:
            _fold_children(child)
