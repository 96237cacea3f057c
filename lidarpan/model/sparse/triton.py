"""The triton engine, on a GPU: our kernels on the neighbour tables of the torch engine.

A convolution is one launch: it gathers the rows that a block of output rows meets, multiplies them
by the weight's slice offset by offset, adds up in float32 and writes once, after bias, residual and
clip. Nothing is scattered, so a result is the same bits every time. float64 goes torch's way.
"""

from __future__ import annotations

import importlib.util
import math
import os
from importlib import metadata
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lidarpan.model.sparse.tensor import Epilogue, Geometry, Level
from lidarpan.model.sparse.torch import Table, TorchEngine, in_autocast, level_keys
from lidarpan.structures import InputError

if TYPE_CHECKING:
    from types import ModuleType

PRECISION = "tf32x3"
"""Of products in float32: "tf32x3", three products of shorter numbers, or "ieee"."""

_MEETINGS = 256  # looked up by one program
_PARTS = 16  # of the rows whose weight gradients are summed apart


def _multiply(x: Tensor, weight: Tensor, table: Table, finish: Epilogue | None = None) -> Tensor:
    """(Vin, Cin), (K, Cin, Cout) -> (Vout, Cout), no gradient."""
    rows, (offsets, cin, cout) = table.forward, weight.shape
    out = x.new_empty((len(rows), cout))
    if not out.numel():
        return out
    bias, residual, rectify = finish or Epilogue(None)
    outs = _block(cout, 64)
    block = 64 if cout <= 32 else 32  # wide layers have few rows: more and smaller programs
    grid = (-(-len(rows) // block), -(-cout // outs))
    _kernels().convolve[grid](
        x, weight, rows, x if bias is None else bias.contiguous(),
        x if residual is None else residual.contiguous(), out, len(x), offsets, table.num_out,
        cin, cout, *weight.stride(), HAS_BIAS=bias is not None,
        HAS_RESIDUAL=residual is not None, RECTIFY=rectify, PRECISION=PRECISION,
        WIDEN=_is_interpreted(), ROWS=block, INS=_block(cin, 64), OUTS=outs,
    )  # fmt: skip
    return out


def _block(channels: int, most: int) -> int:
    """Channels that a program takes at once: a power of two, at least 16 and at most `most`."""
    return min(max(1 << (channels - 1).bit_length(), 16), most)


class TritonEngine(TorchEngine):
    """Sparse convolution by our kernels.

    Raises:
        InputError: Triton is missing, or the device is no GPU (its interpreter would do).
    """

    name = "triton"

    def __init__(self, device: torch.device) -> None:
        available, reason = describe()
        if device.type == "cpu" and not (available and _is_interpreted()):
            raise InputError("the triton engine needs a GPU, got device cpu: use numba or torch")
        if not available:
            raise InputError(f"the triton engine is not available: {reason}")

    def convolve(self, x: Tensor, weight: Tensor, table: Table, finish: Epilogue | None) -> Tensor:
        """(Vin, Cin), (K, Cin, Cout) -> (Vout, Cout)."""
        if x.dtype == torch.float64 or torch.is_grad_enabled():
            return super().convolve(x.contiguous(), weight, table, finish)
        x, weight = in_autocast(x, weight)
        return _multiply(x.contiguous(), weight, table, finish)

    def multiply(self, x: Tensor, weight: Tensor, table: Table) -> Tensor:
        """(Vin, Cin), (K, Cin, Cout) -> (Vout, Cout), no gradient."""
        is_double = x.dtype == torch.float64
        return (super().multiply if is_double else _multiply)(x.contiguous(), weight, table)

    def weight_grad(self, x: Tensor, grad: Tensor, shape: torch.Size, table: Table) -> Tensor:
        """(Vin, Cin), (Vout, Cout) -> (K, Cin, Cout)."""
        grad = grad.contiguous()
        if x.dtype == torch.float64:
            return super().weight_grad(x, grad, shape, table)
        rows, (offsets, cin, cout) = table.forward, shape
        block, ins, outs = 32, _block(cin, 32), _block(cout, 64)
        step = max(-(-len(rows) // (_PARTS * block)), 1) * block
        parts = x.new_empty((-(-len(rows) // step), *shape), dtype=torch.float32)
        if parts.numel():
            grid = (len(parts), offsets, -(-cin // ins) * -(-cout // outs))
            _kernels().weight_grad[grid](
                x, grad, rows, parts, len(x), offsets, table.num_out, step, cin, cout,
                PRECISION=PRECISION, WIDEN=_is_interpreted(), ROWS=block, INS=ins, OUTS=outs,
            )  # fmt: skip
        return parts.sum(0).to(x.dtype)

    def find_rows(self, source: Level, target: Level, geometry: Geometry) -> Tensor:
        """Row of the source cell target * stride - padding + k, or V. -> (W, K) int32."""
        keys, targets = level_keys(source), target.indices
        rows = targets.new_empty((len(targets), math.prod(geometry.kernel)))
        if rows.numel():
            _kernels().find_rows[-(-rows.numel() // _MEETINGS),](
                keys, targets, rows, len(keys), target.count(), len(targets),
                len(keys).bit_length(), *source.shape, *geometry.kernel, *geometry.stride,
                *geometry.padding, BLOCK=_MEETINGS,
            )  # fmt: skip
        return rows


def _kernels() -> ModuleType:
    return importlib.import_module("lidarpan.model.sparse.triton_kernels")


def _is_interpreted() -> bool:
    """Whether Triton runs its kernels on the CPU, line by line: TRITON_INTERPRET=1."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def describe() -> tuple[bool, str]:
    """(whether Triton can run here, its version or the reason why not)."""
    if importlib.util.find_spec("triton") is None:
        return False, "needs Triton, which torch's CUDA wheels bring along: none is installed"
    if not torch.cuda.is_available() and not _is_interpreted():
        return False, "needs a GPU: torch finds none"
    return True, f"Triton {metadata.version('triton')}"


make_engine = TritonEngine
