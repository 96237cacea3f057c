"""Sparse tensors and convolutions of the network; the engine that multiplies comes with the tensor.

A module holds its weight, (K, C_in, C_out) with kernel positions in x, y, z order, and nothing
else. Convolutions are cross-correlations, as
torch's: out[o] = sum_k W[k] x[o * stride - padding + k], over the cells that are occupied.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lidarpan.model.sparse import choose_engine
from lidarpan.model.sparse.tensor import Engine, Epilogue, Geometry, Level, Operands, Triple
from lidarpan.structures import InputError

if TYPE_CHECKING:
    from lidarpan.model.norm import ScanNorm


class SparseTensor:
    """Features of the occupied cells of a batch.

    Args:
        features: (V, C).
        indices: (V, 4) int32 [batch, x, y, z], distinct, ascending.
        shape: cells (X, Y, Z) of the grid.
        batch_size: B.
        engine: what convolves them; None takes the default of the features' device.

    Raises:
        InputError: indices have another shape or dtype, or as many rows as features have not.
    """

    def __init__(
        self,
        features: Tensor,
        indices: Tensor,
        shape: Triple,
        batch_size: int,
        engine: Engine | None = None,
    ) -> None:
        if indices.ndim != 2 or indices.shape[1] != 4 or indices.dtype != torch.int32:
            raise InputError(
                f"indices must be (V, 4) int32, got {tuple(indices.shape)} {indices.dtype}"
            )
        if len(indices) != len(features):
            raise InputError(f"wanted one index per feature, got {len(indices)}, {len(features)}")
        self.features = features
        self.engine = engine or choose_engine(features.device)
        self.level = Level(indices.contiguous(), shape, batch_size)

    @property
    def indices(self) -> Tensor:
        """(V, 4) int32 [batch, x, y, z]."""
        return self.level.indices

    @property
    def shape(self) -> Triple:
        """Cells (X, Y, Z) of the grid."""
        return self.level.shape

    @property
    def batch_size(self) -> int:
        """B."""
        return self.level.batch_size

    def with_features(self, features: Tensor) -> SparseTensor:
        """The same cells with other features, (V, C'); neighbour maps are shared."""
        return self.at_level(self.level, features)

    def at_level(self, level: Level, features: Tensor) -> SparseTensor:
        """Features on another level, with this tensor's engine."""
        return SparseTensor.on_level(features, level, self.engine)

    @classmethod
    def on_level(cls, features: Tensor, level: Level, engine: Engine) -> SparseTensor:
        """Features of a level's cells, which are not looked at."""
        made = object.__new__(cls)
        made.features, made.engine, made.level = features, engine, level
        return made


def _triple(value: int | tuple[int, ...]) -> Triple:
    x, y, z = (value,) * 3 if isinstance(value, int) else value
    return x, y, z


def _weight(kernel: Triple, in_channels: int, out_channels: int) -> nn.Parameter:
    """(K, C_in, C_out), uniform with the variance for rectified units (He et al. 2015, eq. 10)."""
    volume = math.prod(kernel)
    bound = math.sqrt(6 / (in_channels * volume))
    return nn.Parameter(torch.empty(volume, in_channels, out_channels).uniform_(-bound, bound))


class _Convolution(nn.Module):
    """A weight (K, C_in, C_out) and, once a batch norm is folded in, a bias and a clip at zero."""

    bias: Tensor | None

    def __init__(self, kernel: Triple, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = _weight(kernel, in_channels, out_channels)
        self.register_buffer("bias", None)
        self.rectify = False

    def fold(self, norm: ScanNorm, rectify: bool) -> None:
        """Take over the norm that follows, with its stored statistics, and the clip after it."""
        with torch.no_grad():
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            self.weight.mul_(scale)
            self.bias = norm.bias - norm.running_mean * scale
        self.rectify = rectify

    def _with(self, features: Tensor, residual: Tensor | None = None) -> Operands:
        if self.bias is None and residual is None:
            return Operands(features, self.weight)
        return Operands(features, self.weight, Epilogue(self.bias, residual, self.rectify))


class SubmanifoldConv3d(_Convolution):
    """out[i] = sum over occupied neighbours j = i + offset_k of x[j] W[k]. (V, Cin) -> (V, Cout).

    Graham et al. 2018, "3D Semantic Segmentation with Submanifold Sparse Convolutional Networks".

    Raises:
        InputError: a kernel edge is even.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, ...] = 3
    ) -> None:
        kernel = _triple(kernel_size)
        if any(edge % 2 == 0 for edge in kernel):
            raise InputError(f"a submanifold kernel has odd edges, got {kernel}")
        super().__init__(kernel, in_channels, out_channels)
        self.kernel = kernel

    def forward(self, x: SparseTensor, residual: Tensor | None = None) -> SparseTensor:
        """Convolve on the same cells; a residual (V, Cout) is added before the clip."""
        operands = self._with(x.features, residual)
        return x.with_features(x.engine.submanifold(x.level, self.kernel, operands))


class _Resampling(_Convolution):
    """A convolution between a level and a coarser one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...] = 2,
        stride: int | tuple[int, ...] = 2,
        padding: int | tuple[int, ...] = 0,
    ) -> None:
        super().__init__(_triple(kernel_size), in_channels, out_channels)
        self.geometry = Geometry(_triple(kernel_size), _triple(stride), _triple(padding))


class StridedConv3d(_Resampling):
    """out[o] = sum_k x[o * stride - padding + k] W[k] on every cell o that sees an occupied one.

    (V, Cin) -> (W, Cout); with kernel = stride and no padding o = floor(cell / stride), and
    the coarser grid covers the finer one also where it is not a whole number of strides.
    """

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Convolve to the coarser cells."""
        return x.at_level(*x.engine.strided(x.level, self.geometry, self._with(x.features)))


class InverseConv3d(_Resampling):
    """out[f] = sum over o, k with f = o * stride - padding + k of x[o] W[k]. (W, Cin) -> (V, Cout).

    The transpose of a strided convolution of the same geometry, on the cells that one came from.
    """

    def forward(self, x: SparseTensor, like: SparseTensor) -> SparseTensor:
        """Back from the coarser cells of x to those of `like`.

        Raises:
            InputError: x is not on the level that a strided convolution of this geometry made
                from `like`.
        """
        known = like.level.maps.get(self.geometry)
        if known is None or known.coarse is not x.level:
            raise InputError(f"x does not come from `like` by a convolution of {self.geometry}")
        operands = self._with(x.features)
        return like.with_features(x.engine.inverse(like.level, self.geometry, operands))
