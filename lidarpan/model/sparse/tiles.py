"""Register tiles of a matrix product over listed rows, written as LLVM vector code.

A tile keeps `mr` rows by some vectors of eight or sixteen floats in registers and runs over the
inner dimension once. LLVM maps the vectors to what the machine has (AVX, NEON); numba's own loop
vectorizer would spill them. The two tiles are what a sparse convolution needs:

    add_rows:     out[o_m, :] += x[i_m, :] @ w              for mr pairs (i_m, o_m)
    add_outer:    w[m, :]     += sum_pairs x[i, m] g[o, :]  for mr input channels m
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

LANES = 8  # floats in a vector


def _has_wide_vectors() -> bool:
    """Whether code is compiled for vectors of 16 floats, and twice as many of them as elsewhere."""
    if config.CPU_NAME is None and config.CPU_FEATURES is None:
        return bool(binding.get_host_cpu_features().get("avx512vl"))
    return "+avx512vl" in (config.CPU_FEATURES or "")


IS_WIDE = _has_wide_vectors()

_F32 = ir.FloatType()
_INTP = ir.IntType(64)


def _element(builder: Any, base: Any, index: Any) -> Any:
    """Address of float `index` behind the float pointer `base`."""
    return builder.gep(base, [index], inbounds=True)


def _load_vector(builder: Any, address: Any, lanes: int = LANES) -> Any:
    kind = ir.VectorType(_F32, lanes).as_pointer()
    return builder.load(builder.bitcast(address, kind), align=4)


def _store_vector(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.bitcast(address, value.type.as_pointer()), align=4)


def _splat(builder: Any, scalar: Any, lanes: int) -> Any:
    undefined = ir.Constant(ir.VectorType(_F32, lanes), ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(one, undefined, zeros)


def cut(width: int) -> list[tuple[int, int]]:
    """(first column, columns) of the vectors that cover `width` columns, a multiple of LANES."""
    widest = 2 * LANES if IS_WIDE else LANES
    return [(first, min(widest, width - first)) for first in range(0, width, widest)]


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    product = builder.fmul(a, b, flags=["contract"])
    return builder.fadd(product, c, flags=["contract"])


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value).data


def _row(builder: Any, pairs: Any, position: Any, stride: Any) -> Any:
    """Offset of the row that `pairs[position]` names."""
    index = builder.load(builder.gep(pairs, [position], inbounds=True))
    return builder.mul(builder.sext(index, _INTP), stride)


def _tile(
    context: Any,
    builder: Any,
    starts: list[Any],
    columns: list[tuple[int, int]],
    depth: Any,
    body: Any,
) -> None:
    """Accumulators that begin as the columns at `starts`, and end after `depth` runs of `body`."""
    accumulators = {}
    for m, start in enumerate(starts):
        for first, lanes in columns:
            address = _element(builder, start, ir.Constant(_INTP, first))
            slot = cgutils.alloca_once(builder, ir.VectorType(_F32, lanes))
            builder.store(_load_vector(builder, address, lanes), slot)
            accumulators[m, first] = slot, address
    with cgutils.for_range(builder, depth) as loop:
        factors, vectors = body(loop.index)
        for m, factor in enumerate(factors):
            wide = {lanes: _splat(builder, factor, lanes) for _, lanes in columns}
            for (first, lanes), vector in zip(columns, vectors, strict=True):
                slot, _ = accumulators[m, first]
                builder.store(_multiply_add(builder, wide[lanes], vector, builder.load(slot)), slot)
    for slot, address in accumulators.values():
        _store_vector(builder, builder.load(slot), address)


@intrinsic(prefer_literal=True)
def add_rows(
    typingctx: Any,
    x: Any,
    pair_in: Any,
    w: Any,
    w_start: Any,
    out: Any,
    pair_out: Any,
    column: Any,
    position: Any,
    mr: Any,
    width: Any,
) -> Any:
    """out[pair_out[p], column:] += x[pair_in[p], :] @ panel for mr pairs p from `position`.

    x (Vin, Cin), out (Vout, Cout) float32; w flat float32, the panel (Cin, width) starts at
    element `w_start`; mr and width are literal ints; all columns must exist in out.
    """
    rows, columns = mr.literal_value, cut(width.literal_value)
    signature = types.void(x, pair_in, w, w_start, out, pair_out, column, position, mr, width)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kinds = sig.args
        x_data = _data(context, builder, kinds[0], args[0])
        in_data = _data(context, builder, kinds[1], args[1])
        w_data = _element(builder, _data(context, builder, kinds[2], args[2]), args[3])
        out_data = _element(builder, _data(context, builder, kinds[4], args[4]), args[6])
        out_pairs = _data(context, builder, kinds[5], args[5])
        shape = context.make_array(kinds[0])(context, builder, args[0]).shape
        cin = builder.extract_value(shape, 1)
        shape = context.make_array(kinds[4])(context, builder, args[4]).shape
        cout = builder.extract_value(shape, 1)
        places = [builder.add(args[7], ir.Constant(_INTP, m)) for m in range(rows)]
        inputs = [_element(builder, x_data, _row(builder, in_data, p, cin)) for p in places]
        outputs = [_element(builder, out_data, _row(builder, out_pairs, p, cout)) for p in places]
        line_length = ir.Constant(_INTP, width.literal_value)

        def body(c: Any) -> tuple[list[Any], list[Any]]:
            line = _element(builder, w_data, builder.mul(c, line_length))
            vectors = [
                _load_vector(builder, _element(builder, line, ir.Constant(_INTP, first)), lanes)
                for first, lanes in columns
            ]
            return [builder.load(_element(builder, row, c)) for row in inputs], vectors

        _tile(context, builder, outputs, columns, cin, body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def add_outer(
    typingctx: Any,
    x: Any,
    pair_in: Any,
    channel: Any,
    g: Any,
    pair_out: Any,
    column: Any,
    first: Any,
    count: Any,
    w: Any,
    w_start: Any,
    mr: Any,
    nr: Any,
) -> Any:
    """w[channel + m, column:] += sum over pairs p of x[pair_in[p], channel + m] g[pair_out[p], :].

    The sum runs over `count` pairs from `first`; w is flat, its matrix (Cin, Cout) starts at
    element `w_start`; mr and nr are literal ints.
    """
    rows, lanes = mr.literal_value, nr.literal_value
    signature = types.void(
        x, pair_in, channel, g, pair_out, column, first, count, w, w_start, mr, nr
    )

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kinds = sig.args
        x_data = _element(builder, _data(context, builder, kinds[0], args[0]), args[2])
        in_data = _data(context, builder, kinds[1], args[1])
        g_data = _element(builder, _data(context, builder, kinds[3], args[3]), args[5])
        out_pairs = _data(context, builder, kinds[4], args[4])
        shape = context.make_array(kinds[0])(context, builder, args[0]).shape
        cin = builder.extract_value(shape, 1)
        shape = context.make_array(kinds[3])(context, builder, args[3]).shape
        cout = builder.extract_value(shape, 1)
        w_data = _element(builder, _data(context, builder, kinds[8], args[8]), args[9])
        w_data = _element(builder, w_data, args[5])
        lines = []
        for m in range(rows):
            line = builder.mul(builder.add(args[2], ir.Constant(_INTP, m)), cout)
            lines.append(_element(builder, w_data, line))

        def body(p: Any) -> tuple[list[Any], list[Any]]:
            place = builder.add(args[6], p)
            row = _element(builder, x_data, _row(builder, in_data, place, cin))
            line = _element(builder, g_data, _row(builder, out_pairs, place, cout))
            factors = [
                builder.load(_element(builder, row, ir.Constant(_INTP, m))) for m in range(rows)
            ]
            vectors = [
                _load_vector(builder, _element(builder, line, ir.Constant(_INTP, n * LANES)))
                for n in range(lanes)
            ]
            return factors, vectors

        columns = [(n * LANES, LANES) for n in range(lanes)]
        _tile(context, builder, lines, columns, args[7], body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def take_ticket(typingctx: Any, counter: Any) -> Any:
    """The value of counter[0] before it is raised by one, atomically: the next piece of work."""
    signature = types.int64(counter)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _data(context, builder, sig.args[0], args[0])
        return builder.atomic_rmw("add", address, ir.Constant(_INTP, 1), "monotonic")

    return signature, codegen


def _add_rows_plain(
    x: Floats,
    pair_in: Ints,
    w: Floats,
    w_start: int,
    out: Floats,
    pair_out: Ints,
    column: int,
    position: int,
    mr: int,
    width: int,
) -> None:
    cin = x.shape[1]
    panel = w[w_start : w_start + cin * width].reshape(cin, width)
    for p in range(position, position + mr):
        out[pair_out[p], column : column + width] += x[pair_in[p]] @ panel


def _add_outer_plain(
    x: Floats,
    pair_in: Ints,
    channel: int,
    g: Floats,
    pair_out: Ints,
    column: int,
    first: int,
    count: int,
    w: Floats,
    w_start: int,
    mr: int,
    nr: int,
) -> None:
    cin, cout, width = x.shape[1], g.shape[1], nr * LANES
    matrix = w[w_start : w_start + cin * cout].reshape(cin, cout)
    rows_in, rows_out = pair_in[first : first + count], pair_out[first : first + count]
    left, right = x[rows_in, channel : channel + mr], g[rows_out, column : column + width]
    matrix[channel : channel + mr, column : column + width] += left.T @ right


def _take_ticket_plain(counter: Longs) -> int:
    counter[0] += 1
    return int(counter[0]) - 1


if config.DISABLE_JIT:  # intrinsics exist in compiled code only
    add_rows, add_outer, take_ticket = _add_rows_plain, _add_outer_plain, _take_ticket_plain
