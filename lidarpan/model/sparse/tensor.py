"""The types that pass between the network's modules and the engines that multiply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

Triple = tuple[int, int, int]


@dataclass(eq=False)
class Level:
    """The occupied cells of a batch at one resolution, and what engines know of them.

    Attributes:
        indices: (V, 4) int32 [batch, x, y, z], contiguous, distinct. The numba and torch engines
            want them in ascending order; `voxelize` and strided convolutions give them so.
        shape: cells (X, Y, Z) of the grid.
        batch_size: B.
        maps: neighbour maps and coarser levels by geometry, built once and shared.
        num_cells: (1,) int32 on the device where only that many first rows are cells and the others
            are room to spare; None where all are.
    """

    indices: Tensor
    shape: Triple
    batch_size: int
    maps: dict[Any, Any] = field(default_factory=dict, repr=False)
    num_cells: Tensor | None = None

    def count(self) -> Tensor:
        """How many rows are cells, on the device. (1,) int32."""
        if self.num_cells is None:
            if "count" not in self.maps:
                self.maps["count"] = self.indices.new_full((1,), len(self.indices))
            known: Tensor = self.maps["count"]
            return known
        return self.num_cells

    def scan_counts(self) -> list[int] | None:
        """Cells of each scan, where the rows are in the scans' order; None where they are not."""
        if self.batch_size == 1:
            return [len(self.indices)]
        if "scan_counts" not in self.maps:
            scan = self.indices[:, 0]
            ordered = bool((scan[1:] >= scan[:-1]).all())
            counts = torch.bincount(scan, minlength=self.batch_size).tolist() if ordered else None
            self.maps["scan_counts"] = counts
        known: list[int] | None = self.maps["scan_counts"]
        return known

    def scan_rows(self) -> Tensor:
        """Whether a cell is of a scan, 1 or 0. (B, V) float32."""
        if "scan_rows" not in self.maps:
            scans = torch.arange(self.batch_size, device=self.indices.device)
            self.maps["scan_rows"] = (self.indices[:, 0] == scans[:, None]).float()
        known: Tensor = self.maps["scan_rows"]
        return known


class Geometry(NamedTuple):
    """Kernel size, stride and padding of a convolution, in cells along x, y, z."""

    kernel: Triple
    stride: Triple
    padding: Triple

    def coarser(self, shape: Triple) -> Triple:
        """Shape of the strided convolution's output; a cell that is cut off by the end counts."""
        x, y, z = (
            -(-max(n + 2 * p - k, 0) // s) + 1 for n, k, s, p in zip(shape, *self, strict=True)
        )
        return x, y, z


class Epilogue(NamedTuple):
    """What follows a convolution whose batch norm is folded: act(out + bias + residual).

    Attributes:
        bias: (C_out,) or None.
        residual: (V, C_out) or None.
        rectify: whether act clips at zero; else it does nothing.
    """

    bias: Tensor | None
    residual: Tensor | None = None
    rectify: bool = False

    def apply(self, out: Tensor) -> Tensor:
        """The formula above, in torch's operations. (V, C_out) -> (V, C_out)."""
        if self.bias is not None:
            out = out + self.bias.to(out.dtype)
        if self.residual is not None:
            out = out + self.residual
        return torch.relu(out) if self.rectify else out


class Operands(NamedTuple):
    """What a convolution multiplies.

    Attributes:
        features: (V, C_in), a row for each cell that is read.
        weight: (K, C_in, C_out), kernel positions in x, y, z order.
        finish: what follows, None for nothing.
    """

    features: Tensor
    weight: Tensor
    finish: Epilogue | None = None

    def finished(self, out: Tensor) -> Tensor:
        """What follows the product, in torch's operations. (V, C_out) -> (V, C_out)."""
        return self.finish.apply(out) if self.finish else out


class Engine(Protocol):
    """What multiplies: every method is differentiable in features and weight."""

    name: str

    def submanifold(self, level: Level, kernel: Triple, x: Operands) -> Tensor:
        """(V, C_in), (K, C_in, C_out) -> (V, C_out) on the same cells."""

    def strided(self, level: Level, geometry: Geometry, x: Operands) -> tuple[Level, Tensor]:
        """(V, C_in), (K, C_in, C_out) -> the coarser level and (W, C_out)."""

    def inverse(self, level: Level, geometry: Geometry, x: Operands) -> Tensor:
        """(W, C_in), (K, C_in, C_out) -> (V, C_out) on `level`, the finer one."""
