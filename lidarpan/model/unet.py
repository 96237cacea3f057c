"""A residual sparse 3D U-Net (submanifold blocks, strided down, inverse up)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lidarpan.model.norm import ScanNorm
from lidarpan.model.sparse.modules import (
    InverseConv3d,
    SparseTensor,
    StridedConv3d,
    SubmanifoldConv3d,
)

Kernel = tuple[int, int, int]


class NormAct(nn.Module):
    """relu(norm(x)). (V, C) -> (V, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ScanNorm(channels)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Normalise and clip at zero."""
        return x.with_features(self.norm(x, rectify=True, reuse=True))


class ResidualBlock(nn.Module):
    """relu(skip(x) + norm(conv(relu(norm(conv(x)))))). (V, C_in) -> (V, C_out)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: Kernel = (3, 3, 3)) -> None:
        super().__init__()
        self.conv1 = SubmanifoldConv3d(in_channels, out_channels, kernel)
        self.act1 = NormAct(out_channels)
        self.conv2 = SubmanifoldConv3d(out_channels, out_channels, kernel)
        self.norm2 = ScanNorm(out_channels)
        self.skip = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Linear(in_channels, out_channels, bias=False)
        )

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The formula above."""
        y = self.conv2(self.act1(self.conv1(x)))
        residual: Tensor = self.skip(x.features)
        return x.with_features(self.norm2(y, residual, rectify=True, reuse=True))


def _blocks(count: int, in_channels: int, out_channels: int) -> nn.Sequential:
    channels = [in_channels] + [out_channels] * count
    return nn.Sequential(*(ResidualBlock(a, b) for a, b in itertools.pairwise(channels)))


class UNet(nn.Module):
    """Voxel features -> decoder features of every level, finest first.

    Level l has cells 2 ** l times as large as the input's. (V_0, F) -> [(V_l, channels[l])].
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        encoder_blocks: Sequence[int],
        decoder_blocks: Sequence[int],
    ) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(channels))
        self.stem = nn.Sequential(
            SubmanifoldConv3d(in_channels, channels[0], 3), NormAct(channels[0])
        )
        self.down = nn.ModuleList(
            nn.Sequential(StridedConv3d(fine, coarse, 2, 2), NormAct(coarse))
            for fine, coarse in pairs
        )
        self.encoder = nn.ModuleList(
            _blocks(n, c, c) for n, c in zip(encoder_blocks, channels, strict=True)
        )
        self.up = nn.ModuleList(InverseConv3d(coarse, fine, 2, 2) for fine, coarse in pairs)
        self.up_act = nn.ModuleList(NormAct(fine) for fine, _ in pairs)
        self.decoder = nn.ModuleList(
            _blocks(n, 2 * c, c) for n, c in zip(decoder_blocks, channels[:-1], strict=True)
        )

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """Down to the coarsest level, and up again with skips."""
        x = self.encoder[0](self.stem(x))
        skips = [x]
        for down, blocks in zip(self.down, self.encoder[1:], strict=True):
            x = blocks(down(x))
            skips.append(x)
        levels = [x]
        for level in reversed(range(len(self.up))):
            fine = skips[level]
            x = self.up_act[level](self.up[level](x, like=fine))
            x = self.decoder[level](x.with_features(torch.cat([fine.features, x.features], dim=1)))
            levels.insert(0, x)
        return levels
