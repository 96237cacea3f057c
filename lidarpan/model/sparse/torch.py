"""The torch engine, in torch's own operations: any device, any dtype, no other library.

Neighbour tables are built on the device and hold, for every output row and kernel offset, the
input row they meet. A convolution gathers those rows into one wide matrix and multiplies once,
a piece of the rows at a time. Nothing is scattered, so a result is the same bits every time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lidarpan.model.sparse.tensor import Epilogue, Geometry, Level, Operands, Triple
from lidarpan.structures import InputError

PIECE_ELEMENTS = 1 << 26  # of a gathered matrix: 256 MiB in float32
PIECE_CELLS = 1 << 16  # output rows whose neighbours are looked up together


@dataclass(eq=False)
class Table:
    """Which input row an output row meets under each kernel offset.

    Attributes:
        forward: (Vout, K) int32 input rows, Vin where there is none.
        back: (Vin, K) int32 output rows, Vout where there is none.
    """

    forward: Tensor
    back: Tensor

    def turned(self) -> Table:
        """The table of the transposed convolution."""
        return Table(self.back, self.forward)


@dataclass(eq=False)
class StridedMap:
    """A strided convolution's coarser level and its table, from fine to coarse."""

    coarse: Level
    table: Table


class _Convolve(torch.autograd.Function):
    """out[o] = sum_k x[forward[o, k]] W[k]. (Vin, Cin), (K, Cin, Cout) -> (Vout, Cout)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, table: Table) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.table = table
        return _gather_multiply(x, weight, table.forward)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _gather_multiply(grad, weight.transpose(1, 2), ctx.table.back)
        if ctx.needs_input_grad[1]:
            grad_weight = _weight_grad(x, grad, ctx.table.forward, weight.shape)
        return grad_x, grad_weight, None


def _pieces(rows: int, width: int) -> list[slice]:
    """Cuts of the rows whose gathered matrix, `width` wide, stays below PIECE_ELEMENTS."""
    step = max(PIECE_ELEMENTS // max(width, 1), 1)
    return [slice(begin, begin + step) for begin in range(0, rows, step)]


def _gathered(padded: Tensor, rows: Tensor) -> Tensor:
    """(Vin + 1, C), (P, K) int32 -> (P, K * C); the last row of `padded` is zero."""
    return padded.index_select(0, rows.reshape(-1)).view(len(rows), -1)


def _with_zero_row(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_zeros(1, x.shape[1])])


def _gather_multiply(x: Tensor, weight: Tensor, rows: Tensor) -> Tensor:
    """(Vin, Cin), (K, Cin, Cout), (Vout, K) -> (Vout, Cout)."""
    offsets, cin, cout = weight.shape
    matrix = weight.reshape(offsets * cin, cout)
    padded, out = _with_zero_row(x), x.new_empty(len(rows), cout)
    for piece in _pieces(len(rows), offsets * cin):
        torch.mm(_gathered(padded, rows[piece]), matrix, out=out[piece])
    return out


def _weight_grad(x: Tensor, grad: Tensor, rows: Tensor, shape: torch.Size) -> Tensor:
    """(Vin, Cin), (Vout, Cout), (Vout, K) -> (K, Cin, Cout); pieces add up in float32 or more."""
    wide = torch.promote_types(x.dtype, torch.float32)
    padded, total = _with_zero_row(x), x.new_zeros(shape, dtype=wide)
    for piece in _pieces(len(rows), shape[0] * shape[1]):
        product = _gathered(padded, rows[piece]).T @ grad[piece]
        total += product.view(shape)
    return total.to(x.dtype)


class TorchEngine:
    """Sparse convolution in torch alone."""

    name = "torch"

    def submanifold(self, level: Level, kernel: Triple, x: Operands) -> Tensor:
        """(V, C_in), (K, C_in, C_out) -> (V, C_out)."""
        features, weight, finish = x
        if kernel not in level.maps:
            padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
            rows = _find_rows(level, level.indices, Geometry(kernel, (1, 1, 1), padding))
            # Seen from the input, an offset is its mirror image.
            level.maps[kernel] = Table(rows, rows.flip(1))
        return _convolve(features, weight, level.maps[kernel], finish)

    def strided(self, level: Level, geometry: Geometry, x: Operands) -> tuple[Level, Tensor]:
        """(V, C_in), (K, C_in, C_out) -> the coarser level and (W, C_out)."""
        features, weight, finish = x
        if geometry not in level.maps:
            indices = _coarser_cells(level, geometry)
            coarse = Level(indices, geometry.coarser(level.shape), level.batch_size)
            rows = _find_rows(level, indices, geometry)
            level.maps[geometry] = StridedMap(coarse, Table(rows, _turn(rows, len(level.indices))))
        found: StridedMap = level.maps[geometry]
        return found.coarse, _convolve(features, weight, found.table, finish)

    def inverse(self, level: Level, geometry: Geometry, x: Operands) -> Tensor:
        """(W, C_in), (K, C_in, C_out) -> (V, C_out)."""
        features, weight, finish = x
        found: StridedMap = level.maps[geometry]
        return _convolve(features, weight, found.table.turned(), finish)


def _convolve(x: Tensor, weight: Tensor, table: Table, finish: Epilogue | None) -> Tensor:
    device = x.device.type
    if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        half = torch.get_autocast_dtype(device)
        x, weight = x.to(half), weight.to(half)
    out: Tensor = _Convolve.apply(x, weight.to(x.dtype), table)  # type: ignore[no-untyped-call]
    return finish.apply(out) if finish else out


def _keys(cells: Tensor, shape: Triple) -> Tensor:
    """One number for each cell, ascending with [batch, x, y, z]. (..., 4) -> (...) int64."""
    batch, x, y, z = cells.long().unbind(-1)
    keys: Tensor = ((batch * shape[0] + x) * shape[1] + y) * shape[2] + z
    return keys


def _level_keys(level: Level) -> Tensor:
    """Keys of a level's cells, checked once. (V,) int64."""
    if "keys" not in level.maps:
        keys = _keys(level.indices, level.shape)
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


def _find_rows(source: Level, targets: Tensor, geometry: Geometry) -> Tensor:
    """Row of the source cell target * stride - padding + k, or V. (W, 4) -> (W, K) int32."""
    keys = _level_keys(source)
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
        wanted = _keys(torch.cat([batch, seen], -1), source.shape)
        place = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
        found = inside & (keys[place] == wanted)
        rows[begin : begin + PIECE_CELLS] = torch.where(found, place, len(keys)).int()
    return rows


def _turn(rows: Tensor, num_in: int) -> Tensor:
    """The same meetings seen from the input. (Vout, K) -> (Vin, K) int32."""
    turned = rows.new_full((num_in, rows.shape[1]), len(rows))
    target, offset = (rows < num_in).nonzero(as_tuple=True)
    turned[rows[target, offset].long(), offset] = target.int()
    return turned


def _coarser_cells(level: Level, geometry: Geometry) -> Tensor:
    """Cells that see an occupied one, ascending. -> (W, 4) int32."""
    _level_keys(level)
    offsets = _offsets(geometry.kernel, level.indices.device)
    stride, padding = offsets.new_tensor(geometry.stride), offsets.new_tensor(geometry.padding)
    shape = geometry.coarser(level.shape)
    seen = level.indices[:, None, 1:].long() + padding - offsets
    cells = torch.div(seen, stride, rounding_mode="floor")
    fits = ((seen % stride == 0) & (cells >= 0) & (cells < offsets.new_tensor(shape))).all(-1)
    batch = level.indices[:, None, :1].long().expand(-1, len(offsets), 1)
    keys = torch.unique(_keys(torch.cat([batch, cells], -1), shape)[fits])
    columns = []
    for edge in reversed(shape):
        columns.append(keys % edge)
        keys = torch.div(keys, edge, rounding_mode="floor")
    return torch.stack([keys, *reversed(columns)], 1).int()


def make_engine(_device: torch.device) -> TorchEngine:
    """The engine, whatever the device."""
    return TorchEngine()


def describe() -> tuple[bool, str]:
    """(True, version)."""
    return True, f"torch {torch.__version__}"
