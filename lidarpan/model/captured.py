"""A function of tensors as one CUDA graph for each size: whatever it does, one launch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

logger = logging.getLogger("lidarpan")

Size = TypeVar("Size", bound=Hashable)
Answer = TypeVar("Answer")

LEAST_ROWS = 4096
_STEPS = 4  # sizes between a number of rows and twice as many


def roomy_size(rows: float, least: int = LEAST_ROWS) -> int:
    """The next of a few sizes, up to a quarter apart, that has room for so many rows."""
    size = least
    while size < rows:
        size += (1 << (size.bit_length() - 1)) // _STEPS
    return size


@dataclass
class _Recorded(Generic[Answer]):
    """A graph, None where there is none, what it reads and what it writes."""

    graph: torch.cuda.CUDAGraph | None
    inputs: tuple[Tensor, ...]
    answer: Answer | None


class Captured(Generic[Size, Answer]):
    """A function recorded once for each size and replayed; on a CPU it is called every time.

    Args:
        run: of a size and its inputs on the device to tensors there. It never waits for the
            device, and all that it does depends on the size alone.
        make_inputs: tensors for a size, of any content that `run` can bear.
    """

    def __init__(
        self,
        run: Callable[[Size, tuple[Tensor, ...]], Answer],
        make_inputs: Callable[[Size], tuple[Tensor, ...]],
    ) -> None:
        self._run, self._make_inputs = run, make_inputs
        self._known: dict[Size, _Recorded[Answer]] = {}
        self._pool: Any = None

    def inputs(self, size: Size) -> tuple[Tensor, ...]:
        """Where the inputs of a size go, to be filled before `replay`."""
        if size not in self._known:
            inputs = self._make_inputs(size)
            on_gpu = inputs[0].device.type == "cuda"
            self._known[size] = (
                self._record(size, inputs) if on_gpu else _Recorded(None, inputs, None)
            )
        return self._known[size].inputs

    @property
    def has_graphs(self) -> bool:
        """Whether every size so far was recorded."""
        return all(known.graph is not None for known in self._known.values())

    def replay(self, size: Size) -> Answer:
        """Run on what `inputs` holds; the answer stands until the next replay of any size."""
        known = self._known[size]
        if known.graph is None or known.answer is None:
            return self._run(size, known.inputs)
        known.graph.replay()
        return known.answer

    def _record(self, size: Size, inputs: tuple[Tensor, ...]) -> _Recorded[Answer]:
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            self._run(size, inputs)  # compiles what is not yet compiled
        torch.cuda.current_stream().wait_stream(beside)
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                answer = self._run(size, inputs)
        except RuntimeError as fault:  # an older driver or torch: as right, and slower
            logger.warning("no CUDA graph here, every step is launched by itself: %s", fault)
            return _Recorded(None, inputs, None)
        return _Recorded(graph, inputs, answer)
