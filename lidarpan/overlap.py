"""Three steps for each of many items, with neighbours' steps side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Ready = TypeVar("Ready")
Raw = TypeVar("Raw")
Done = TypeVar("Done")


def overlap(
    items: Iterable[Item],
    before: Callable[[Item], Ready],
    middle: Callable[[Ready], Raw],
    after: Callable[[Raw], Done],
    workers: int = 1,
) -> Iterator[Done]:
    """after(middle(before(item))) of every item, in order.

    `before` of item i + 1 runs in one thread and `after` of item i - 1 in another while `middle`
    of item i runs in the caller's, so that each step sees its items one at a time and in order.
    No more than one item waits at each side. With more workers, so many items are in `before` and
    in `after` at once, in any order, and wait at each side.

    An exception of any step is raised here, in its item's turn; what was not begun by then is
    dropped, and nothing still runs once this iterator has ended or is closed.
    """
    source = iter(items)
    ready: deque[Future[Ready]] = deque()
    done: deque[Future[Done]] = deque()
    with (
        ThreadPoolExecutor(workers, "lidarpan-before") as ahead,
        ThreadPoolExecutor(workers, "lidarpan-after") as behind,
    ):
        try:
            while True:
                while len(ready) <= workers and (item := next(source, _END)) is not _END:
                    ready.append(ahead.submit(before, item))  # type: ignore[arg-type]
                if not ready:
                    break
                try:
                    raw = middle(ready.popleft().result())
                except Exception:
                    while done:  # the items before it come first
                        yield done.popleft().result()
                    raise
                done.append(behind.submit(after, raw))
                while len(done) > workers:
                    yield done.popleft().result()
            while done:
                yield done.popleft().result()
        finally:
            for waiting in ready:
                waiting.cancel()
            for last in done:
                last.cancel()


_END = object()
