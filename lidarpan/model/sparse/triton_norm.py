"""Normalisation of one scan on a GPU: moments of blocks of rows, then one pass with them."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_PARTS = 128  # of the rows, few enough that every program can join their moments itself
_TILE = 4096  # elements that a program holds at once


@triton.jit
def _rows_per_part(num_rows: tl.tensor, PARTS: tl.constexpr) -> tl.tensor:
    """A multiple of 16, so that so many parts hold all rows."""
    return tl.cdiv(tl.cdiv(num_rows, PARTS), 16) * 16


@triton.jit
def _part_moments(
    x: tl.tensor,
    parts: tl.tensor,
    num_rows: tl.tensor,
    channels: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """Mean, and sum of squares around it, of each part of the rows. (V, C) -> (P, 2, C) float32."""
    part, c = tl.program_id(0), tl.arange(0, COLUMNS)
    rows = tl.load(num_rows)
    begin = part * _rows_per_part(rows, PARTS)
    end = tl.minimum(rows, begin + _rows_per_part(rows, PARTS))
    count = tl.maximum(end - begin, 1).to(tl.float32)
    total = tl.zeros((COLUMNS,), tl.float32)
    for row in range(begin, end, ROWS):
        r = row + tl.arange(0, ROWS)
        taken = (r < end)[:, None] & (c < channels)[None, :]
        tile = tl.load(x + r.to(tl.int64)[:, None] * channels + c[None, :], mask=taken, other=0.0)
        total += tl.sum(tile.to(tl.float32), 0)
    mean = total / count
    square = tl.zeros((COLUMNS,), tl.float32)
    for row in range(begin, end, ROWS):
        r = row + tl.arange(0, ROWS)
        taken = (r < end)[:, None] & (c < channels)[None, :]
        tile = tl.load(x + r.to(tl.int64)[:, None] * channels + c[None, :], mask=taken, other=0.0)
        away = tl.where(taken, tile.to(tl.float32) - mean[None, :], 0.0)
        square += tl.sum(away * away, 0)
    tl.store(parts + part * 2 * channels + c, mean, mask=c < channels)
    tl.store(parts + (part * 2 + 1) * channels + c, square, mask=c < channels)


@triton.jit
def _apply_moments(
    x: tl.tensor,
    parts: tl.tensor,
    residual: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    stored_mean: tl.tensor,
    stored_var: tl.tensor,
    out: tl.tensor,
    num_rows: tl.tensor,
    channels: tl.constexpr,
    share: tl.constexpr,
    min_rows: tl.constexpr,
    eps: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    RECTIFY: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    PARTS: tl.constexpr,
    JOINED: tl.constexpr,
) -> None:
    """Write act((x - mean) / sqrt(var + eps) * weight + bias + residual); see ScanNorm.

    Moments of the parts are joined as in Chan, Golub and LeVeque, "Algorithms for computing the
    sample variance", 1983, eq. 2.1.
    """
    end = tl.load(num_rows)
    if tl.program_id(0) * ROWS >= end:
        return
    c, rows = tl.arange(0, COLUMNS), end.to(tl.float32)
    size = _rows_per_part(end, PARTS)
    is_channel = c < channels
    total = tl.zeros((COLUMNS,), tl.float32)
    for begin in range(0, PARTS, JOINED):
        p = begin + tl.arange(0, JOINED)
        count = tl.minimum(tl.maximum(end - p * size, 0), size)
        taken = (count > 0)[:, None] & is_channel[None, :]
        mean = tl.load(parts + (p * 2 * channels)[:, None] + c[None, :], mask=taken, other=0.0)
        total += tl.sum(count.to(tl.float32)[:, None] * mean, 0)
    center = total / rows
    square = tl.zeros((COLUMNS,), tl.float32)
    for begin in range(0, PARTS, JOINED):
        p = begin + tl.arange(0, JOINED)
        count = tl.minimum(tl.maximum(end - p * size, 0), size)
        taken = (count > 0)[:, None] & is_channel[None, :]
        mean = tl.load(parts + (p * 2 * channels)[:, None] + c[None, :], mask=taken, other=0.0)
        own = tl.load(parts + ((p * 2 + 1) * channels)[:, None] + c[None, :], mask=taken, other=0.0)
        away = tl.where(taken, mean - center[None, :], 0.0)
        square += tl.sum(own + count.to(tl.float32)[:, None] * away * away, 0)
    own_share = share * tl.minimum(rows / min_rows, 1.0)
    mean = tl.load(stored_mean + c, mask=is_channel, other=0.0)
    var = tl.load(stored_var + c, mask=is_channel, other=1.0)
    mean += own_share * (center - mean)
    var += own_share * (square / rows - var)
    scale = tl.load(weight + c, mask=is_channel, other=0.0) / tl.sqrt(var + eps)
    shift = tl.load(bias + c, mask=is_channel, other=0.0) - mean * scale
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    place = r.to(tl.int64)[:, None] * channels + c[None, :]
    taken = (r < end)[:, None] & is_channel[None, :]
    y = tl.load(x + place, mask=taken, other=0.0).to(tl.float32) * scale[None, :] + shift[None, :]
    if HAS_RESIDUAL:
        y += tl.load(residual + place, mask=taken, other=0.0).to(tl.float32)
    if RECTIFY:
        y = tl.maximum(y, 0.0)
    tl.store(out + place, y.to(out.dtype.element_ty), mask=taken)


def normalize_scan(
    x: Tensor,
    num_rows: Tensor,
    affine: tuple[Tensor, Tensor],
    stored: tuple[Tensor, Tensor],
    *,
    share: float,
    min_rows: int,
    eps: float,
    residual: Tensor | None = None,
    rectify: bool = False,
) -> Tensor:
    """One scan normalised by its own statistics in two launches, the same bits every time.

    Args:
        x: (V, C) float32, float16 or bfloat16, contiguous, V at least 1.
        num_rows: (1,) int32, rows that are voxels; what the others get is undefined.
        affine: weight and bias, (C,) float32 each.
        stored: mean and variance, (C,) float32 each.
        share: of the scan's own statistics, from min_rows voxels on.
        min_rows: a scan with fewer borrows from the stored ones.
        eps: added to the variance.
        residual: (V, C) to add, or None.
        rectify: whether to clip at zero.

    Returns:
        (V, C) of x's dtype.
    """
    rows, channels = x.shape
    columns = max(triton.next_power_of_2(channels), 16)
    tile = max(_TILE // columns, 32)
    parts = torch.empty((_PARTS, 2, channels), dtype=torch.float32, device=x.device)
    out = torch.empty_like(x)
    _part_moments[(min(_PARTS, -(-rows // 16)),)](
        x, parts, num_rows, channels, PARTS=_PARTS, ROWS=tile // 2, COLUMNS=columns
    )
    _apply_moments[(-(-rows // tile),)](
        x, parts, x if residual is None else residual.contiguous(), *affine, *stored, out,
        num_rows, channels, share, min_rows, eps, HAS_RESIDUAL=residual is not None,
        RECTIFY=rectify, ROWS=tile, COLUMNS=columns, PARTS=_PARTS, JOINED=16,
    )  # fmt: skip
    return out
