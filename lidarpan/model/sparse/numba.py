"""The numba engine, on the CPU: our kernels for float32, torch's own operations for float64."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lidarpan.model.sparse import convolve, neighbours
from lidarpan.model.sparse.tensor import Epilogue, Geometry, Level, Operands, Triple
from lidarpan.structures import InputError


@dataclass(eq=False)
class Rulebook:
    """Which input rows add to which output rows, by block of output rows and kernel offset.

    Attributes:
        pair_in: (M,) int32 input rows, with gaps between blocks.
        pair_out: (M,) int32 output rows.
        starts: (blocks, K + 1) int64 first pair of each offset, and the end of the last.
        num_out: number of output rows.
    """

    pair_in: NDArray[np.int32]
    pair_out: NDArray[np.int32]
    starts: NDArray[np.int64]
    num_out: int

    def offset_pairs(self) -> list[tuple[Tensor, Tensor]]:
        """(input rows, output rows) of every offset, int64."""
        pairs = []
        for k in range(self.starts.shape[1] - 1):
            pieces = [
                np.arange(a, b)
                for a, b in zip(self.starts[:, k], self.starts[:, k + 1], strict=True)
            ]
            rows = np.concatenate([np.zeros(0, np.int64), *pieces])
            pairs.append(
                (
                    torch.from_numpy(self.pair_in[rows]).long(),
                    torch.from_numpy(self.pair_out[rows]).long(),
                )
            )
        return pairs


@dataclass(eq=False)
class StridedMap:
    """A strided convolution's coarser level, and its pairs in both directions."""

    coarse: Level
    down: Rulebook
    up: Rulebook


class _Convolve(torch.autograd.Function):
    """out[o] = sum over pairs (i, o) of offset k of x[i] W[k], float32 on the CPU."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, book: Rulebook, back: Rulebook, mirror: bool
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.book, ctx.back, ctx.mirror = book, back, mirror
        return _multiply(x, weight, book)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            # Seen from the input, a submanifold offset is its mirror image's pairs swapped.
            turned = weight.flip(0) if ctx.mirror else weight
            grad_x = _multiply(grad, turned.transpose(1, 2), ctx.back)
        if ctx.needs_input_grad[1]:
            grad_weight = _weight_grad(x, grad, ctx.book, weight.shape)
        return grad_x, grad_weight, None, None, None


def num_threads() -> int:
    """Threads that kernels may take: torch's, as far as numba has as many."""
    return min(torch.get_num_threads(), int(numba.config.NUMBA_NUM_THREADS))


def _multiply(x: Tensor, weight: Tensor, book: Rulebook, finish: Epilogue | None = None) -> Tensor:
    """(Vin, Cin), (K, Cin, Cout) -> (Vout, Cout), no gradient."""
    cout, panels = weight.shape[2], _panels(weight)
    padded = panels.shape[1] * panels.shape[3]
    out = torch.empty((book.num_out, padded), dtype=torch.float32)
    bias, residual = torch.zeros(padded), torch.zeros((0, cout))
    if finish and finish.bias is not None:
        bias[:cout] = finish.bias
    if finish and finish.residual is not None:
        residual = finish.residual.detach().float().contiguous()
    convolve.convolve(
        x.detach().contiguous().numpy(),
        panels.numpy(),
        book.pair_in,
        book.pair_out,
        book.starts,
        bias.numpy(),
        residual.numpy(),
        bool(finish and finish.rectify),
        out.numpy(),
        num_threads(),
    )
    return out if padded == cout else out[:, :cout].contiguous()


_KEPT: dict[int, tuple[weakref.ref[Tensor], tuple[int, int], Tensor]] = {}
"""By identity: a weight that learns nothing, its state, and its panels."""


def _panels(weight: Tensor) -> Tensor:
    """A weight in the order in which `convolve` reads it. (K, Cin, Cout) -> (K, P, Cin, width).

    Those of a parameter that learns nothing are kept until it changes or goes.
    """
    can_keep = isinstance(weight, nn.Parameter) and not weight.requires_grad
    can_keep = can_keep and not weight.is_inference()  # such a one does not say when it changes
    name, state = id(weight), (weight._version, weight.data_ptr()) if can_keep else (0, 0)
    if can_keep and name in _KEPT:
        owner, kept_state, kept = _KEPT[name]
        if owner() is weight and kept_state == state:
            return kept
    offsets, cin, cout = weight.shape
    width = convolve.panel_width(cout)
    padded = functional.pad(weight.detach(), (0, -cout % width))
    panels = padded.reshape(offsets, cin, -1, width).transpose(1, 2).contiguous()
    if can_keep:
        owner = weakref.ref(weight, lambda _: _KEPT.pop(name, None))
        _KEPT[name] = owner, state, panels
    return panels


def _weight_grad(x: Tensor, grad: Tensor, book: Rulebook, shape: torch.Size) -> Tensor:
    """(Vin, Cin), (Vout, Cout) -> (K, Cin, Cout)."""
    offsets, cin, cout = shape
    width = convolve.grad_width(cout)
    padded = -(-cout // width) * width
    if padded != cout:
        grad = functional.pad(grad, (0, padded - cout))
    slices, offsets_per_task = convolve.weight_grad_tasks(book.num_out, offsets, cin, padded)
    parts = torch.zeros((slices, offsets, cin, padded), dtype=torch.float32)
    convolve.convolve_weight_grad(
        x.detach().contiguous().numpy(),
        grad.detach().contiguous().numpy(),
        book.pair_in,
        book.pair_out,
        book.starts,
        width,
        offsets_per_task,
        parts.numpy(),
        num_threads(),
    )
    out = parts.sum(0) if slices > 1 else parts[0]
    return out if padded == cout else out[:, :, :cout].contiguous()


def _multiply_plain(x: Tensor, weight: Tensor, book: Rulebook) -> Tensor:
    """What `_multiply` does, in torch's own differentiable operations: any dtype."""
    out: Tensor | None = None
    for k, (rows_in, rows_out) in enumerate(book.offset_pairs()):
        product = x.index_select(0, rows_in) @ weight[k]
        if out is None:
            out = product.new_zeros((book.num_out, weight.shape[2]))
        out = out.index_add(0, rows_out, product)
    assert out is not None
    return out


def _convolve(
    x: Tensor,
    weight: Tensor,
    book: Rulebook,
    back: Rulebook,
    mirror: bool,
    finish: Epilogue | None = None,
) -> Tensor:
    if torch.float64 in (x.dtype, weight.dtype):
        out = _multiply_plain(x, weight, book)
    elif finish and not torch.is_grad_enabled():
        return _multiply(x.float(), weight.float(), book, finish).to(x.dtype)
    else:
        out = _Convolve.apply(x.float(), weight.float(), book, back, mirror).to(x.dtype)  # type: ignore[no-untyped-call]
    return finish.apply(out) if finish else out


def _cells(level: Level) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Cells on the host, the first row of each of their columns, and the box of the columns."""
    if "columns" not in level.maps:
        cells = level.indices.numpy()
        fault = neighbours.find_fault(cells, np.asarray(level.shape), level.batch_size)
        if fault >= 0:
            raise InputError(
                f"indices must be distinct, ascending in [batch, x, y, z] and inside "
                f"{level.shape} x {level.batch_size} scans: row {fault} is {cells[fault].tolist()}"
            )
        level.maps["columns"] = cells, *neighbours.column_starts(cells, level.batch_size)
    columns: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]] = level.maps["columns"]
    return columns


def _list_pairs(source: Level, target: Level, geometry: Geometry) -> Rulebook:
    targets, *_ = _cells(target)
    pair_in, pair_out, block_starts = neighbours.list_pairs(
        *_cells(source), targets, *map(np.asarray, geometry)
    )
    return Rulebook(pair_in, pair_out, block_starts, len(targets))


class NumbaEngine:
    """Sparse convolution in numba on the CPU; `torch` is its twin for other devices."""

    name = "numba"

    def submanifold(self, level: Level, kernel: Triple, x: Operands) -> Tensor:
        """(V, C_in), (K, C_in, C_out) -> (V, C_out)."""
        features, weight, finish = x
        if kernel not in level.maps:
            padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
            level.maps[kernel] = _list_pairs(level, level, Geometry(kernel, (1, 1, 1), padding))
        book = level.maps[kernel]
        return _convolve(features, weight, book, book, mirror=True, finish=finish)

    def strided(self, level: Level, geometry: Geometry, x: Operands) -> tuple[Level, Tensor]:
        """(V, C_in), (K, C_in, C_out) -> the coarser level and (W, C_out)."""
        features, weight, finish = x
        found = self._strided_map(level, geometry)
        out = _convolve(features, weight, found.down, found.up, mirror=False, finish=finish)
        return found.coarse, out

    def inverse(self, level: Level, geometry: Geometry, x: Operands) -> Tensor:
        """(W, C_in), (K, C_in, C_out) -> (V, C_out)."""
        features, weight, finish = x
        found = self._strided_map(level, geometry)
        return _convolve(features, weight, found.up, found.down, mirror=False, finish=finish)

    def _strided_map(self, level: Level, geometry: Geometry) -> StridedMap:
        if geometry not in level.maps:
            cells, *_ = _cells(level)
            shape = geometry.coarser(level.shape)
            kernel, stride, padding = map(np.asarray, geometry)
            coarse_cells = neighbours.strided_cells(
                cells, np.asarray(shape), level.batch_size, kernel, stride, padding
            )
            coarse = Level(torch.from_numpy(coarse_cells), shape, level.batch_size)
            down = _list_pairs(level, coarse, geometry)
            pair_in, pair_out, starts = neighbours.turn_pairs(
                down.pair_in, down.pair_out, down.starts, len(cells)
            )
            up = Rulebook(pair_in, pair_out, starts, len(cells))
            level.maps[geometry] = StridedMap(coarse, down, up)
        found: StridedMap = level.maps[geometry]
        return found


def make_engine(device: torch.device) -> NumbaEngine:
    """The engine.

    Raises:
        InputError: the device is not the CPU.
    """
    if device.type != "cpu":
        raise InputError(
            f"the numba engine runs on the CPU, got device {device}: use triton or torch"
        )
    return NumbaEngine()


def describe() -> tuple[bool, str]:
    """(True, version)."""
    return True, f"numba {numba.__version__}"
