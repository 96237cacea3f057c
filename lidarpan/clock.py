"""Time of each stage of the pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Synchronize = Callable[[], None]


class StageClock:
    """Adds up elapsed milliseconds by stage name; `synchronize` waits for the device first."""

    def __init__(self, synchronize: Synchronize = lambda: None) -> None:
        self.elapsed_ms: dict[str, float] = {}
        self._synchronize = synchronize

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time the body of a `with clock("network"):` block."""
        self._synchronize()
        start = time.perf_counter()
        try:
            yield
        finally:
            self._synchronize()
            elapsed = (time.perf_counter() - start) * 1e3
            self.elapsed_ms[stage] = self.elapsed_ms.get(stage, 0.0) + elapsed
