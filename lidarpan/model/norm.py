"""Normalisation of every scan by its own statistics."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lidarpan.model.sparse import norm_kernel
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.numba import num_threads

MIN_ROWS, MIN_ROWS_IN_USE = 256, 8000
"""A scan with fewer voxels on a level borrows from the stored statistics, the more the fewer.

In use it borrows sooner than in training: a narrow or sparse scan, and the coarse levels of any
scan, hold too little of a street to tell its statistics, and a noise that training has to live with
need not be borne any more. Scores of dense scans are flat from 2,500 to 12,000, those of narrow
ones rise.
"""


class ScanNorm(nn.Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, with statistics of each scan by itself.

    Over the voxels of one scan, m and v are the mean and the variance of a channel; with the share
    s = share * min(1, voxels / min_rows) and the stored statistics M and V,

        mean = s * m + (1 - s) * M,   var = s * v + (1 - s) * V,

    with min_rows of 256 in training and of 8,000 in use. Batch normalisation (Ioffe and Szegedy
    2015) over several scans fits the mean sensor; a scan's own statistics fit the sensor at hand.
    Stored statistics are the moving average over the scans seen in training. Tensors are named as
    in nn.BatchNorm1d.

    Args:
        channels: C.
        share: of a scan's own statistics, 1 = nothing else, 0 = the stored ones.
        eps: added to the variance.
        momentum: share of a new scan in the stored statistics.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    kept: tuple[Tensor, Tensor]

    def __init__(
        self, channels: int, share: float = 1.0, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.share, self.eps, self.momentum = share, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(
        self,
        x: SparseTensor,
        residual: Tensor | None = None,
        rectify: bool = False,
        reuse: bool = False,
    ) -> Tensor:
        """(V, C) features -> (V, C), plus a residual, clipped at zero where `rectify`.

        With `reuse` nobody needs the features any more: the answer may take their memory.
        """
        if self.training:
            self.num_batches_tracked += 1
        counts = None if torch.compiler.is_exporting() else x.level.scan_counts()
        is_alone = counts is not None and len(counts) == 1 and len(x.features) > 0
        if is_alone and not self.training and not torch.is_grad_enabled():  # only to predict
            if x.engine.name == "triton" and x.features.dtype != torch.float64:
                return self._in_triton(x, residual, rectify)
            if x.features.device.type == "cpu" and x.features.dtype == torch.float32:
                return self._in_numba(x.features, residual, rectify, reuse)
        if torch.compiler.is_exporting():
            y = self._in_graph(x.features)
        elif counts is None or (x.features.is_cuda and len(counts) > 1):
            y = self._by_product(x.features, x.level.scan_rows())
        elif len(counts) == 1:
            y = self._one_scan(x.features)
        else:
            y = torch.cat([self._one_scan(rows) for rows in torch.split(x.features, counts)])
        if residual is not None:
            y = y + residual
        return torch.relu(y) if rectify else y

    def own_share(self, count: int) -> float:
        """Share of a scan's own statistics, from the number of its voxels."""
        return self.share * min(1.0, count / self.min_rows)

    @property
    def min_rows(self) -> int:
        """Voxels of a scan on a level from which nothing is borrowed."""
        return MIN_ROWS if self.training else MIN_ROWS_IN_USE

    def _one_scan(self, rows: Tensor) -> Tensor:
        """Voxels of one scan, (V, C) -> (V, C)."""
        share = self.own_share(len(rows))
        if share == 1:
            # the backward pass wants the statistics as they are now: the next scan moves them
            mean = self.running_mean.clone() if self.training else None
            var = self.running_var.clone() if self.training else None
            y = functional.batch_norm(
                rows, mean, var, self.weight, self.bias, True, self.momentum, self.eps
            )
            if mean is not None and var is not None:
                self.running_mean.copy_(mean)
                self.running_var.copy_(var)
            return y
        mean, var = self.statistics(rows)
        scale = self.weight / torch.sqrt(var + self.eps)
        return rows * scale + (self.bias - mean * scale)

    def _in_graph(self, rows: Tensor) -> Tensor:
        """One scan with any number of voxels, in operators that a graph can hold."""
        share = self.share * (torch.ones_like(rows[:, 0]).sum() / self.min_rows).clamp(max=1)
        mean = rows.mean(dim=0)
        var = (rows - mean).square().mean(dim=0)
        mean = torch.lerp(self.running_mean, mean, share)
        var = torch.lerp(self.running_var, var, share)
        scale = self.weight / torch.sqrt(var + self.eps)
        return rows * scale + (self.bias - mean * scale)

    def _in_triton(self, x: SparseTensor, residual: Tensor | None, rectify: bool) -> Tensor:
        """One scan on a GPU without gradients: two launches."""
        from lidarpan.model.sparse.triton_norm import normalize_scan

        return normalize_scan(
            x.features.contiguous(),
            x.level.count(),
            (self.weight, self.bias),
            (self.running_mean, self.running_var),
            share=self.share,
            min_rows=self.min_rows,
            eps=self.eps,
            residual=residual,
            rectify=rectify,
        )

    def _in_numba(
        self, rows: Tensor, residual: Tensor | None, rectify: bool, reuse: bool
    ) -> Tensor:
        """One scan on the CPU without gradients: two passes over its voxels."""
        threads = num_threads()
        values, share = rows.contiguous().numpy(), self.own_share(len(rows))
        mean, var = self.running_mean.numpy(), self.running_var.numpy()
        if share > 0:
            own_mean, own_var = norm_kernel.column_moments(values, threads)
            mean = share * own_mean + (1 - share) * mean
            var = share * own_var + (1 - share) * var
        scale = self.weight.detach().numpy() / np.sqrt(var + self.eps)
        shift = self.bias.detach().numpy() - mean * scale
        added = rows.new_zeros((0, rows.shape[1])) if residual is None else residual.contiguous()
        out = rows if reuse and rows.is_contiguous() else torch.empty(rows.shape)
        norm_kernel.scale_rows(
            values,
            scale.astype(np.float32),
            shift.astype(np.float32),
            added.numpy(),
            rectify,
            out.numpy(),
            threads,
        )
        return out

    def statistics(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance that one scan's voxels (V, C) are normalised by. (C,) each."""
        share = self.own_share(len(rows))
        if share == 0:  # copies: the next scan of a batch moves them, and backward wants these
            return self.running_mean.clone(), self.running_var.clone()
        var, mean = torch.var_mean(_at_least_single(rows), dim=0, correction=0)
        if self.training:
            self._remember(mean, var)
        mean = torch.lerp(self.running_mean, mean, share)
        return mean, torch.lerp(self.running_var, var, share)

    def _by_product(self, features: Tensor, rows_of: Tensor) -> Tensor:
        """All scans at once, voxels in any order: no loop of launches, no atomic sums.

        Features (V, C), and (B, V) whether a voxel is of a scan -> (V, C).
        """
        rows = _at_least_single(features)
        rows_of = rows_of.to(rows.dtype)
        count = rows_of.sum(1, keepdim=True)
        own_mean = (rows_of @ rows) / count.clamp(min=1)
        own_var = (rows_of @ (rows - rows_of.T @ own_mean).square()) / count.clamp(min=1)
        if self.training:
            self._remember_all(own_mean.detach(), own_var.detach(), count[:, 0] > 0)
        share = self.share * (count / self.min_rows).clamp(max=1)
        mean = torch.lerp(self.running_mean.expand_as(own_mean), own_mean, share)
        var = torch.lerp(self.running_var.expand_as(own_var), own_var, share)
        scale = self.weight / torch.sqrt(var + self.eps)
        y: Tensor = rows * (rows_of.T @ scale) + rows_of.T @ (self.bias - mean * scale)
        return y.to(features.dtype)

    def _remember_all(self, mean: Tensor, var: Tensor, seen: Tensor) -> None:
        """As `_remember` for one scan after another. (B, C), (B, C), (B,) bool."""
        later = torch.flip(torch.cumsum(torch.flip(seen, [0]), 0), [0]) - seen.long()
        weight = self.momentum * (1 - self.momentum) ** later * seen
        kept = (1 - self.momentum) ** seen.sum()
        with torch.no_grad():
            self.running_mean.mul_(kept).add_(weight.to(mean.dtype) @ mean)
            self.running_var.mul_(kept).add_(weight.to(var.dtype) @ var)

    def _remember(self, mean: Tensor, var: Tensor) -> None:
        with torch.no_grad():
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(var.detach(), self.momentum)


def _at_least_single(rows: Tensor) -> Tensor:
    return rows if rows.dtype == torch.float64 else rows.float()
