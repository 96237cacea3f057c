"""Kernels of the triton engine: sparse convolution as one product over gathered rows."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["num_in", "offsets"])
def convolve(
    x: tl.tensor,
    weight: tl.tensor,
    rows: tl.tensor,
    bias: tl.tensor,
    residual: tl.tensor,
    out: tl.tensor,
    num_in: tl.tensor,
    offsets: tl.tensor,
    num_out: tl.tensor,
    cin: tl.tensor,
    cout: tl.tensor,
    weight_k: tl.tensor,
    weight_in: tl.tensor,
    weight_out: tl.tensor,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    RECTIFY: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    ROWS: tl.constexpr,
    INS: tl.constexpr,
    OUTS: tl.constexpr,
) -> None:
    """out[o] = act(sum_k x[rows[o, k]] W[k] + bias + residual[o]), summed in float32.

    A program makes ROWS x OUTS of it, INS channels of one offset at a time, and writes once. Rows
    behind the first num_out are room to spare, here and below: nobody reads or writes them.

    Args:
        x: (num_in, cin).
        weight: (offsets, cin, cout) by its three strides.
        rows: (num_out, offsets) int32 rows of x, num_in where there is none.
        bias: (cout,), read where HAS_BIAS.
        residual: (num_out, cout), read where HAS_RESIDUAL.
        out: (num_out, cout), written.
        num_in: rows of x.
        offsets: K.
        num_out: (1,) int32 rows of out.
        cin: channels of x.
        cout: channels of out.
        weight_k: stride of the weight over offsets.
        weight_in: stride of the weight over cin.
        weight_out: stride of the weight over cout.
        HAS_BIAS: whether there is a bias.
        HAS_RESIDUAL: whether there is a residual.
        RECTIFY: whether act clips at zero.
        PRECISION: of float32 products, as in tl.dot.
        WIDEN: multiply in float32 whatever the operands are; the interpreter knows no bfloat16.
        ROWS: rows of out in one program.
        INS: channels of x in one step.
        OUTS: channels of out in one program.
    """
    end = tl.load(num_out)
    if tl.program_id(0) * ROWS >= end:
        return
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    o = tl.program_id(1) * OUTS + tl.arange(0, OUTS)
    is_row, is_out = row < end, o < cout
    total = tl.zeros((ROWS, OUTS), tl.float32)
    chunks = tl.cdiv(cin, INS)
    for step in range(offsets * chunks):
        k, i = step // chunks, step % chunks * INS + tl.arange(0, INS)
        source = tl.load(rows + row.to(tl.int64) * offsets + k, mask=is_row, other=num_in)
        taken = (source < num_in)[:, None] & (i < cin)[None, :]
        a = tl.load(x + source.to(tl.int64)[:, None] * cin + i[None, :], mask=taken, other=0.0)
        w = weight + k * weight_k + i[:, None] * weight_in + o[None, :] * weight_out
        b = tl.load(w, mask=(i < cin)[:, None] & is_out[None, :], other=0.0)
        if WIDEN:
            a, b = a.to(tl.float32), b.to(tl.float32)
        total = tl.dot(a, b, total, input_precision=PRECISION)
    if HAS_BIAS:
        total += tl.load(bias + o, mask=is_out, other=0.0).to(tl.float32)[None, :]
    place = row.to(tl.int64)[:, None] * cout + o[None, :]
    written = is_row[:, None] & is_out[None, :]
    if HAS_RESIDUAL:
        total += tl.load(residual + place, mask=written, other=0.0).to(tl.float32)
    if RECTIFY:
        total = tl.maximum(total, 0.0)
    tl.store(out + place, total.to(out.dtype.element_ty), mask=written)


@triton.jit(do_not_specialize=["num_in", "rows_per_part", "offsets"])
def weight_grad(
    x: tl.tensor,
    grad: tl.tensor,
    rows: tl.tensor,
    parts: tl.tensor,
    num_in: tl.tensor,
    offsets: tl.tensor,
    num_out: tl.tensor,
    rows_per_part: tl.tensor,
    cin: tl.tensor,
    cout: tl.tensor,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    ROWS: tl.constexpr,
    INS: tl.constexpr,
    OUTS: tl.constexpr,
) -> None:
    """parts[p, k] = sum over the rows o of part p of x[rows[o, k]]^T grad[o], in float32.

    Args:
        x: (num_in, cin).
        grad: (num_out, cout).
        rows: (num_out, offsets) int32 rows of x, num_in where there is none.
        parts: (P, offsets, cin, cout) float32, written.
        num_in: rows of x.
        offsets: K.
        num_out: (1,) int32 rows of grad.
        rows_per_part: a multiple of ROWS.
        cin: channels of x.
        cout: channels of grad.
        PRECISION: of float32 products, as in tl.dot.
        WIDEN: multiply in float32 whatever the operands are; the interpreter knows no bfloat16.
        ROWS: rows in one step.
        INS: channels of x in one program.
        OUTS: channels of grad in one program.
    """
    part, k = tl.program_id(0), tl.program_id(1)
    end = tl.load(num_out)
    tiles = tl.cdiv(cout, OUTS)
    i = tl.program_id(2) // tiles * INS + tl.arange(0, INS)
    o = tl.program_id(2) % tiles * OUTS + tl.arange(0, OUTS)
    total = tl.zeros((INS, OUTS), tl.float32)
    for begin in range(0, rows_per_part, ROWS):
        row = part * rows_per_part + begin + tl.arange(0, ROWS)
        is_row = row < end
        source = tl.load(rows + row.to(tl.int64) * offsets + k, mask=is_row, other=num_in)
        taken = (source < num_in)[None, :] & (i < cin)[:, None]
        a = tl.load(x + source.to(tl.int64)[None, :] * cin + i[:, None], mask=taken, other=0.0)
        b = tl.load(
            grad + row.to(tl.int64)[:, None] * cout + o[None, :],
            mask=is_row[:, None] & (o < cout)[None, :],
            other=0.0,
        )
        if WIDEN:
            a, b = a.to(tl.float32), b.to(tl.float32)
        total = tl.dot(a, b, total, input_precision=PRECISION)
    place = ((part * offsets + k).to(tl.int64) * cin + i[:, None]) * cout + o[None, :]
    tl.store(parts + place, total, mask=(i < cin)[:, None] & (o < cout)[None, :])


@triton.jit(do_not_specialize=["num_keys", "capacity", "steps"])
def find_rows(
    keys: tl.tensor,
    targets: tl.tensor,
    rows: tl.tensor,
    num_keys: tl.tensor,
    num_targets: tl.tensor,
    capacity: tl.tensor,
    steps: tl.tensor,
    X: tl.constexpr,
    Y: tl.constexpr,
    Z: tl.constexpr,
    KX: tl.constexpr,
    KY: tl.constexpr,
    KZ: tl.constexpr,
    SX: tl.constexpr,
    SY: tl.constexpr,
    SZ: tl.constexpr,
    PX: tl.constexpr,
    PY: tl.constexpr,
    PZ: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """rows[t, k] = row of the key of cell target * stride - padding + k, num_keys where none is.

    Args:
        keys: (num_keys,) int64 ascending, ((batch * X + x) * Y + y) * Z + z of a cell, or more.
        targets: (capacity, 4) int32 [batch, x, y, z].
        rows: (capacity, KX * KY * KZ) int32, written: num_keys for what is no target.
        num_keys: V.
        num_targets: (1,) int32 W.
        capacity: rows of the targets.
        steps: halvings that leave one of num_keys + 1 places.
        X: cells of the source's grid along x.
        Y: along y.
        Z: along z.
        KX: kernel edges, cells.
        KY: along y.
        KZ: along z.
        SX: strides, cells.
        SY: along y.
        SZ: along z.
        PX: paddings, cells.
        PY: along y.
        PZ: along z.
        BLOCK: meetings that a program looks up.
    """
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    target, k = place // (KX * KY * KZ), place % (KX * KY * KZ)
    is_target = target < tl.load(num_targets)
    batch = tl.load(targets + target * 4, mask=is_target, other=0).to(tl.int64)
    x = tl.load(targets + target * 4 + 1, mask=is_target, other=0) * SX - PX + k // (KY * KZ)
    y = tl.load(targets + target * 4 + 2, mask=is_target, other=0) * SY - PY + k // KZ % KY
    z = tl.load(targets + target * 4 + 3, mask=is_target, other=0) * SZ - PZ + k % KZ
    inside = is_target & (x >= 0) & (x < X) & (y >= 0) & (y < Y) & (z >= 0) & (z < Z)
    key = ((batch * X + x) * Y + y) * Z + z
    low = tl.zeros((BLOCK,), tl.int32)
    high = low + num_keys
    for _ in range(steps):
        middle = (low + high) // 2
        seen = tl.load(keys + middle, mask=inside & (low < high), other=0)
        is_before = (seen < key) & (low < high)
        low = tl.where(is_before, middle + 1, low)
        high = tl.where(is_before, high, middle)
    found = inside & (low < num_keys)
    found &= tl.load(keys + low, mask=found, other=-1) == key
    tl.store(rows + place, tl.where(found, low, num_keys), mask=target < capacity)
