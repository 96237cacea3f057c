"""Parts of a job as tasks of a Ray cluster: retried where a process dies, answered in order."""

from __future__ import annotations

import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lidarpan.errors import InputError
from lidarpan.optional import need

Answer = TypeVar("Answer")
Item = TypeVar("Item")

RETRIES = 3
"""Times that a task is begun again when its process dies."""

ENVIRONMENT = {"NUMBA_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
"""Of the workers: each has a core, and a thread of its own for it."""

AHEAD = 3
"""Tasks per worker that are handed to the cluster before the first of them is answered."""


@dataclass
class Part(Generic[Answer]):
    """A call that makes up a part of a job.

    Attributes:
        call: a function of a module, run in another process.
        arguments: plain values, or what `Cluster.share` gave.
        smaller: the same work in smaller parts, for a part whose process dies again and again; one
            that has none is lost.
        lost: what to answer for a part that is lost, from the reason.
    """

    call: Callable[..., Answer]
    arguments: Sequence[Any]
    lost: Callable[[str], Answer]
    smaller: Callable[[], Sequence[Part[Answer]]] = field(default=lambda: ())


def part_of_many(
    call: Callable[..., list[Answer]],
    arguments: tuple[Any, ...],
    items: Sequence[Item],
    lost: Callable[[Item, str], Answer],
) -> Part[list[Answer]]:
    """A part that answers several items and can be cut down to single ones, which may be lost.

    Args:
        call: takes the arguments, then a list of items; answers each.
        arguments: as in Part.
        items: of the part.
        lost: what to answer for an item that is lost, from the reason.
    """

    def smaller() -> Sequence[Part[list[Answer]]]:
        some = items if len(items) > 1 else ()
        return [part_of_many(call, arguments, [item], lost) for item in some]

    def all_lost(why: str) -> list[Answer]:
        return [lost(item, why) for item in items]

    return Part(call, (*arguments, list(items)), all_lost, smaller)


class Cluster:
    """A Ray cluster: one of this machine's own cores, or one that runs already.

    Args:
        address: None starts one on this machine that ends with the block; "auto" or host:port
            joins one.
        gpus: asked for by each task, 0 for none; None asks for one where the cluster has any.
        workers: processes at a time on a cluster of this machine; None takes a core each.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self, address: str | None = None, gpus: float | None = 0, workers: int | None = None
    ) -> None:
        self.address, self.gpus, self.workers = address, gpus, workers
        self._ray: Any = None

    def __enter__(self) -> Cluster:
        """Start or join."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray = need("ray", "ray", "--engine ray")
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        own = {"num_cpus": self.workers, "include_dashboard": False} if not self.address else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(
                    self.address or "local",
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    runtime_env={"env_vars": ENVIRONMENT},
                    **own,
                )
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            said = " ".join(str(error).split())[:200]
            raise InputError(
                f"--address {self.address}: no Ray cluster there ({said}): start one with ray "
                "start --head, or leave --address out"
            ) from None
        self._ray = ray
        if self.gpus is None:
            self.gpus = 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started here, or what was asked of others."""
        self._ray.shutdown()

    @property
    def num_workers(self) -> int:
        """Tasks that the cluster runs at a time."""
        has = self._ray.cluster_resources()
        count = has.get("GPU", 0) / self.gpus if self.gpus else has.get("CPU", 1)
        return max(1, int(count))

    def share(self, value: Any) -> Any:
        """Put a value where all workers find it; to be handed on as an argument."""
        return self._ray.put(value)

    def run(self, parts: Iterable[Part[Answer]]) -> Iterator[Answer]:
        """The answers of all parts, in order.

        Raises:
            InputError: a part raised it.
        """
        waiting: deque[_Tried[Answer]] = deque()
        left = iter(parts)
        try:
            while True:
                running = self._running(waiting)
                while len(running) < AHEAD * self.num_workers:
                    part = next(left, None)
                    if part is None:
                        break
                    waiting.append(_Tried(part, self._begin(part)))
                    running.append(waiting[-1].reference)
                if not waiting:
                    return
                if waiting[0].reference in running:
                    self._ray.wait(running)
                else:
                    yield from self._answers(waiting.popleft())
        finally:
            for tried in waiting:
                with suppress(Exception):
                    self._ray.cancel(tried.reference, force=True)

    def _running(self, waiting: deque[_Tried[Answer]]) -> list[Any]:
        """References of what is not done."""
        references = [tried.reference for tried in waiting]
        if not references:
            return []
        _, rest = self._ray.wait(references, num_returns=len(references), timeout=0)
        return list(rest)

    def _begin(self, part: Part[Answer], retries: int = RETRIES) -> Any:
        options = {"num_cpus": 0 if self.gpus else 1, "num_gpus": self.gpus or 0}
        remote = self._ray.remote(part.call).options(
            max_retries=retries, retry_exceptions=False, name=part.call.__name__, **options
        )
        return remote.remote(*part.arguments)

    def _answers(self, tried: _Tried[Answer]) -> Iterator[Answer]:
        """Of one part; in smaller parts where its process died each time."""
        errors = self._ray.exceptions
        try:
            yield self._ray.get(tried.reference)
        except errors.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, InputError) else error) from None
        except errors.RayError as error:
            smaller = tried.part.smaller()
            if not smaller:
                yield tried.part.lost(
                    f"the process that worked on it died {RETRIES + 1} times: {_kind(error)}"
                )
            for part in smaller:
                yield from self._answers(_Tried(part, self._begin(part)))


@dataclass
class _Tried(Generic[Answer]):
    part: Part[Answer]
    reference: Any


def _kind(error: Exception) -> str:
    return "out of memory" if "memory" in type(error).__name__.lower() else "killed or crashed"
