"""Cells as sorted numbers in torch, with room to spare: sizes that no tensor's values decide.

What is behind the cells of a tensor with room to spare has the key NO_CELL, which is behind all
cells, and is never waited for: a device can go on without telling the host how many cells it found.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

NO_CELL = 1 << 62
"""Key of a row to spare."""


def cell_keys(cells: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """One number for each cell, ascending with [batch, x, y, z]. (..., 4) -> (...) int64."""
    batch, x, y, z = cells.long().unbind(-1)
    keys: Tensor = ((batch * shape[0] + x) * shape[1] + y) * shape[2] + z
    return keys


def cells_of(keys: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """[batch, x, y, z] of keys, the first cell for NO_CELL. (V,) int64 -> (V, 4) int32."""
    keys, columns = torch.where(keys < NO_CELL, keys, 0), []
    for edge in reversed(shape):
        columns.append(keys % edge)
        keys = keys // edge
    return torch.stack([keys, *reversed(columns)], 1).int()


def distinct_keys(keys: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct keys, ascending, NO_CELL behind them; and how many. (V,) -> (V,), (1,) int32."""
    distinct, _, count = number_keys(keys.sort().values)
    return distinct, count


def number_keys(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sorted keys, equal ones side by side, numbered.

    Args:
        keys: (V,) int64 ascending.

    Returns:
        The distinct keys (V,), NO_CELL behind them; the place of each key among them (V,) int64, V
        for NO_CELL; how many there are (1,) int32.
    """
    if not len(keys):
        return keys, keys, keys.new_zeros(1, dtype=torch.int32)
    is_key = keys < NO_CELL
    is_first = is_key.clone()
    is_first[1:] &= keys[1:] != keys[:-1]
    number = is_first.cumsum(0)
    place = torch.where(is_key, number - 1, len(keys))
    distinct = keys.new_full((len(keys) + 1,), NO_CELL)
    distinct.scatter_(0, place, keys)  # equal keys write the same
    return distinct[:-1], place, number[-1:].int()


@cache
def constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Numbers on a device, sent there once. A quotient by them is exact, by a number it is not."""
    return torch.tensor(values, device=device, dtype=dtype)


def add_rows(values: Tensor, place: Tensor, size: int, bits: int) -> Tensor:
    """Sums of the rows of each place, the same bits in any order: whole numbers are added.

    Args:
        values: (V,) or (V, K), of which the sums stay below 2 ** (63 - bits).
        place: (V,) int64 in [0, size]; what goes to `size` is dropped.
        size: of the result.
        bits: binary places that are kept.

    Returns:
        (size,) or (size, K) float64.
    """
    whole = (values.double() * 2.0**bits).round().long()
    total = whole.new_zeros((size + 1, *values.shape[1:])).index_add_(0, place, whole)
    return total[:-1].double() * 2.0**-bits
