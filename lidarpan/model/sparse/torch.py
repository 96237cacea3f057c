"""The torch engine, in torch's own operations: any device, any dtype, no other library.

Neighbour tables are built on the device and hold, for every output row and kernel offset, the
input row they meet. A convolution gathers those rows into one wide matrix and multiplies once,
a piece of the rows at a time. Nothing is scattered, so a result is the same bits every time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lidarpan.model.sparse.tensor import Epilogue, Geometry, Level, Operands, Triple
from lidarpan.structures import InputError
from lidarpan.voxels.keys import NO_CELL, cell_keys, cells_of, distinct_keys

PIECE_ELEMENTS = 1 << 26  # of a gathered matrix: 256 MiB in float32
PIECE_CELLS = 1 << 16  # output rows whose neighbours are looked up together


@dataclass(eq=False)
class Table:
    """Which input row an output row meets under each kernel offset.

    Attributes:
        forward: (Vout, K) int32 input rows, Vin where there is none.
        find_back: makes `back`, when it is first wanted.
        num_out: (1,) int32 output rows on the device, see `Level.count`.
        num_in: (1,) int32 input rows.
    """

    forward: Tensor
    find_back: Callable[[], Tensor]
    num_out: Tensor
    num_in: Tensor

    @cached_property
    def back(self) -> Tensor:
        """(Vin, K) int32 output rows, Vout where there is none."""
        return self.find_back()

    @cached_property
    def turned(self) -> Table:
        """The table of the transposed convolution."""
        return Table(self.back, lambda: self.forward, self.num_in, self.num_out)


@dataclass(eq=False)
class StridedMap:
    """A strided convolution's coarser level and its table, from fine to coarse."""

    coarse: Level
    table: Table


class _Convolve(torch.autograd.Function):
    """out[o] = sum_k x[forward[o, k]] W[k]. (Vin, Cin), (K, Cin, Cout) -> (Vout, Cout)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, table: Table, engine: TorchEngine) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.table, ctx.engine = table, engine
        return engine.multiply(x, weight, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = ctx.engine.multiply(grad, weight.transpose(1, 2), ctx.table.turned)
        if ctx.needs_input_grad[1]:
            grad_weight = ctx.engine.weight_grad(x, grad, weight.shape, ctx.table)
        return grad_x, grad_weight, None, None


def _pieces(rows: int, width: int) -> list[slice]:
    """Cuts of the rows whose gathered matrix, `width` wide, stays below PIECE_ELEMENTS."""
    step = max(PIECE_ELEMENTS // max(width, 1), 1)
    return [slice(begin, begin + step) for begin in range(0, rows, step)]


def _gathered(padded: Tensor, rows: Tensor) -> Tensor:
    """(Vin + 1, C), (P, K) int32 -> (P, K * C); the last row of `padded` is zero."""
    return padded.index_select(0, rows.reshape(-1)).view(len(rows), -1)


def _with_zero_row(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_zeros(1, x.shape[1])])


class TorchEngine:
    """Sparse convolution in torch alone."""

    name = "torch"

    def submanifold(self, level: Level, kernel: Triple, x: Operands) -> Tensor:
        """(V, C_in), (K, C_in, C_out) -> (V, C_out)."""
        features, weight, finish = x
        if kernel not in level.maps:
            padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
            rows = self.find_rows(level, level, Geometry(kernel, (1, 1, 1), padding))
            # Seen from the input, an offset is its mirror image.
            back = partial(rows.flip, 1)
            level.maps[kernel] = Table(rows, back, level.count(), level.count())
        return self.convolve(features, weight, level.maps[kernel], finish)

    def strided(self, level: Level, geometry: Geometry, x: Operands) -> tuple[Level, Tensor]:
        """(V, C_in), (K, C_in, C_out) -> the coarser level and (W, C_out)."""
        features, weight, finish = x
        found = self.coarser(level, geometry)
        return found.coarse, self.convolve(features, weight, found.table, finish)

    def coarser(self, level: Level, geometry: Geometry) -> StridedMap:
        """The level of a strided convolution's output and the way to it, built once."""
        if geometry not in level.maps:
            coarse = _coarser_level(level, geometry)
            rows = self.find_rows(level, coarse, geometry)
            back = partial(_turn, rows, len(level.indices))
            table = Table(rows, back, coarse.count(), level.count())
            level.maps[geometry] = StridedMap(coarse, table)
        found: StridedMap = level.maps[geometry]
        return found

    def inverse(self, level: Level, geometry: Geometry, x: Operands) -> Tensor:
        """(W, C_in), (K, C_in, C_out) -> (V, C_out)."""
        features, weight, finish = x
        found: StridedMap = level.maps[geometry]
        return self.convolve(features, weight, found.table.turned, finish)

    def find_rows(self, source: Level, target: Level, geometry: Geometry) -> Tensor:
        """Row of the source cell target * stride - padding + k, or V. -> (W, K) int32."""
        keys, targets = level_keys(source), target.indices
        offsets = _offsets(geometry.kernel, targets.device)
        shape = offsets.new_tensor(source.shape)
        stride, padding = offsets.new_tensor(geometry.stride), offsets.new_tensor(geometry.padding)
        rows = torch.full(
            (len(targets), len(offsets)), len(keys), dtype=torch.int32, device=targets.device
        )
        if not len(keys):
            return rows
        for begin in range(0, len(targets), PIECE_CELLS):
            cells = targets[begin : begin + PIECE_CELLS].long()
            seen = (cells[:, None, 1:] * stride - padding) + offsets
            inside = ((seen >= 0) & (seen < shape)).all(-1)
            batch = cells[:, None, :1].expand(-1, len(offsets), 1)
            wanted = cell_keys(torch.cat([batch, seen], -1), source.shape)
            place = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
            found = inside & (keys[place] == wanted)
            rows[begin : begin + PIECE_CELLS] = torch.where(found, place, len(keys)).int()
        return rows

    def convolve(self, x: Tensor, weight: Tensor, table: Table, finish: Epilogue | None) -> Tensor:
        """(Vin, Cin), (K, Cin, Cout) -> (Vout, Cout) by the table's rows."""
        x, weight = in_autocast(x, weight)
        out: Tensor = _Convolve.apply(x, weight, table, self)  # type: ignore[no-untyped-call]
        return finish.apply(out) if finish else out

    def multiply(self, x: Tensor, weight: Tensor, table: Table) -> Tensor:
        """(Vin, Cin), (K, Cin, Cout) -> (Vout, Cout), no gradient."""
        offsets, cin, cout = weight.shape
        matrix, rows = weight.reshape(offsets * cin, cout), table.forward
        padded, out = _with_zero_row(x), x.new_empty(len(rows), cout)
        for piece in _pieces(len(rows), offsets * cin):
            torch.mm(_gathered(padded, rows[piece]), matrix, out=out[piece])
        return out

    def weight_grad(self, x: Tensor, grad: Tensor, shape: torch.Size, table: Table) -> Tensor:
        """(Vin, Cin), (Vout, Cout) -> (K, Cin, Cout); pieces add up in float32 or more."""
        wide = torch.promote_types(x.dtype, torch.float32)
        padded, total = _with_zero_row(x), x.new_zeros(shape, dtype=wide)
        for piece in _pieces(len(table.forward), shape[0] * shape[1]):
            product = _gathered(padded, table.forward[piece]).T @ grad[piece]
            total += product.view(shape)
        return total.to(x.dtype)


def in_autocast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Features and weight in one dtype: that of autocast, if it is on, else the features'."""
    device = x.device.type
    if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        x = x.to(torch.get_autocast_dtype(device))
    return x, weight.to(x.dtype)


def level_keys(level: Level) -> Tensor:
    """Keys of a level's cells, checked once. (V,) int64."""
    if "keys" not in level.maps:
        keys = cell_keys(level.indices, level.shape)
        ends = keys.new_tensor([level.batch_size, *level.shape])
        fault = ((level.indices < 0) | (level.indices >= ends)).any(1)
        fault[1:] |= keys[1:] <= keys[:-1]
        if bool(fault.any()):
            row = int(fault.int().argmax())
            raise InputError(
                f"indices must be distinct, ascending in [batch, x, y, z] and inside "
                f"{level.shape} x {level.batch_size} scans: row {row} is "
                f"{level.indices[row].tolist()}"
            )
        level.maps["keys"] = keys
    known: Tensor = level.maps["keys"]
    return known


def _offsets(kernel: Triple, device: torch.device) -> Tensor:
    """Kernel positions in x, y, z order. -> (K, 3) int64."""
    return torch.tensor(list(itertools.product(*map(range, kernel))), device=device)


def _turn(rows: Tensor, num_in: int) -> Tensor:
    """The same meetings seen from the input. (Vout, K) -> (Vin, K) int32."""
    turned = rows.new_full((num_in + 1, rows.shape[1]), len(rows))
    target = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
    turned.scatter_(0, rows.long(), target[:, None].expand_as(rows))
    return turned[:-1]  # what has no input row met the last


def _coarser_level(level: Level, geometry: Geometry) -> Level:
    """Cells that see an occupied one, ascending; with room to spare where `level` has it."""
    shape, keys = geometry.coarser(level.shape), level_keys(level)
    if geometry.kernel == geometry.stride and geometry.padding == (0, 0, 0):
        batch, *cell = level.indices.long().unbind(1)
        parent = [x // stride for x, stride in zip(cell, geometry.stride, strict=True)]
        parents = cell_keys(torch.stack([batch, *parent], 1), shape)
        keys, count = distinct_keys(torch.where(keys < NO_CELL, parents, NO_CELL))
        if level.num_cells is None:
            keys = keys[: int(count)]
    elif level.num_cells is None:
        keys, count = _strided_keys(level, geometry, shape), keys
    else:
        raise ValueError(f"a level with room to spare has no {geometry}: kernel = stride alone")
    spare = None if level.num_cells is None else count
    coarse = Level(cells_of(keys, shape), shape, level.batch_size, num_cells=spare)
    coarse.maps["keys"] = keys
    return coarse


def _strided_keys(level: Level, geometry: Geometry, shape: Triple) -> Tensor:
    """Keys of the cells that see an occupied one, ascending. -> (W,) int64."""
    offsets = _offsets(geometry.kernel, level.indices.device)
    stride, padding = offsets.new_tensor(geometry.stride), offsets.new_tensor(geometry.padding)
    seen = level.indices[:, None, 1:].long() + padding - offsets
    cells = torch.div(seen, stride, rounding_mode="floor")
    fits = ((seen % stride == 0) & (cells >= 0) & (cells < offsets.new_tensor(shape))).all(-1)
    batch = level.indices[:, None, :1].long().expand(-1, len(offsets), 1)
    found: Tensor = torch.unique(cell_keys(torch.cat([batch, cells], -1), shape)[fits])
    return found


def make_engine(_device: torch.device) -> TorchEngine:
    """The engine, whatever the device."""
    return TorchEngine()


def describe() -> tuple[bool, str]:
    """(True, version)."""
    return True, f"torch {torch.__version__}"
