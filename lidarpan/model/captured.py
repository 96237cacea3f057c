"""The network as one CUDA graph for each size of scan: a scan costs one launch, whatever it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Engine, Level, Triple
from lidarpan.model.sparse.torch import NO_CELL, cells_of

Answer = TypeVar("Answer")

_STEP = 4  # sizes between a number of rows and twice as many


def roomy_size(rows: int, least: int = 4096) -> int:
    """The next of a few sizes, a quarter of an octave apart, that has room for so many rows."""
    size = least
    while size < rows:
        octave = 1 << (size.bit_length() - 1)
        size += octave // _STEP
    return size


def roomy_tensor(cells: tuple[Tensor, ...], shape: Triple, engine: Engine) -> SparseTensor:
    """One scan's cells with room to spare behind them.

    Args:
        cells: features (R, F), of which what is behind the cells is not read; keys (R,) int64,
            ascending, NO_CELL behind the cells; how many cells there are, (1,) int32.
        shape: cells (X, Y, Z) of the grid.
        engine: which knows of room to spare: triton.
    """
    features, keys, count = cells
    level = Level(cells_of(keys, shape), shape, 1, num_cells=count)
    level.maps["keys"] = keys
    tensor = SparseTensor(features, level.indices, shape, 1, engine)
    return tensor.at_level(level, features)


@dataclass
class _Captured(Generic[Answer]):
    """A graph, what it reads and what it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    answer: Answer


class Captured(Generic[Answer]):
    """A function of tensors, recorded once for each size and replayed.

    Args:
        run: of tensors on the device to tensors there; it never waits for the device, and all
            that it does depends on the sizes alone.
        make_inputs: empty tensors for a size.
    """

    def __init__(
        self,
        run: Callable[..., Answer],
        make_inputs: Callable[[int], tuple[Tensor, ...]],
    ) -> None:
        self._run, self._make_inputs = run, make_inputs
        self._known: dict[int, _Captured[Answer]] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def inputs(self, size: int) -> tuple[Tensor, ...]:
        """Where the inputs of a size go, to be filled before `replay`."""
        if size not in self._known:
            self._known[size] = self._capture(size)
        return self._known[size].inputs

    def replay(self, size: int) -> Answer:
        """Run on what `inputs` holds; the answer stands until the next replay of any size."""
        known = self._known[size]
        known.graph.replay()
        return known.answer

    def _capture(self, size: int) -> _Captured[Answer]:
        inputs = self._make_inputs(size)
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            self._run(*inputs)  # compiles what is not yet compiled
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            answer = self._run(*inputs)
        return _Captured(graph, inputs, answer)


def empty_scan(size: int, num_features: int, device: torch.device) -> tuple[Tensor, ...]:
    """Features, keys and count of a scan of no cells with room for `size`."""
    return (
        torch.zeros((size, num_features), device=device),
        torch.full((size,), NO_CELL, device=device),
        torch.zeros(1, dtype=torch.int32, device=device),
    )
