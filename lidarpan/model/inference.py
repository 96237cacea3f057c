"""The network's inference form: batch norms folded into convolutions, activations fused."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

from lidarpan.model.sparse.modules import (
    InverseConv3d,
    SparseTensor,
    StridedConv3d,
    SubmanifoldConv3d,
)
from lidarpan.model.unet import NormAct, ResidualBlock, UNet

Network = TypeVar("Network", bound=nn.Module)


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


def fold_batch_norm(network: Network) -> Network:
    """A frozen copy that computes what `network.eval()` does, in fewer passes over the features.

    A norm that does not follow a convolution directly stays as it is. The copy cannot be trained.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    _fold_children(folded)
    return folded


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
