"""The kernels of `predict`, compiled before its first scan: several processes side by side."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import numpy as np

import lidarpan

PARTS = ("grouping", "network")
"""Compiled in a process each; the first takes twice as long as the second."""

_ROOMS = ("grouping", "model/sparse", "voxels")


def are_compiled() -> bool:
    """Whether this machine has compiled these very kernels before."""
    mark = _mark()
    return mark is None or mark.exists()


def compile_kernels(say: Callable[[str, int], None]) -> int:
    """Compile what is not compiled yet, in numba's cache; the next start finds it there.

    Args:
        say: told the name of each kernel once it is compiled, and how many there are so far.

    Returns:
        How many kernels were compiled.

    Raises:
        RuntimeError: a process failed; says what it said last.
    """
    names: SimpleQueue[str | None] = SimpleQueue()
    with ThreadPoolExecutor(len(PARTS)) as pool:
        parts = [pool.submit(_run_process, part, names) for part in PARTS]
        count = 0
        for _ in PARTS:
            while (name := names.get()) is not None:
                count += 1
                say(name, count)
        for part in parts:
            part.result()
    mark = _mark()
    if mark is not None:
        with suppress(OSError):  # of a cache that cannot be written to the doctor tells
            for old in mark.parent.glob("lidarpan-*.compiled"):
                old.unlink(missing_ok=True)
            mark.touch()
    return count


def _run_process(part: str, names: SimpleQueue[str | None]) -> None:
    code = f"from lidarpan.doctor.kernels import compile_part; compile_part({part!r})"
    words = [sys.executable, "-W", "ignore", "-c", code]
    pipe = subprocess.PIPE
    try:
        with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                names.put(line.strip())
            said = process.stderr.read().strip().splitlines()
        if process.returncode:
            raise RuntimeError(f"the kernels of {part} cannot be compiled: {said[-1:]}")
    finally:
        names.put(None)


def _mark() -> Path | None:
    """An empty file that says so; named by all that a compiled kernel depends on."""
    import llvmlite.binding
    import numba

    from lidarpan.voxels.voxelize_kernel import voxelize

    if numba.config.DISABLE_JIT:
        return None
    package = Path(lidarpan.__file__).parent
    files = [file for room in _ROOMS for file in sorted((package / room).glob("*.py"))]
    stats = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    known = sys.version, numba.__version__, llvmlite.binding.get_host_cpu_name(), stats
    digest = hashlib.sha256(repr(known).encode()).hexdigest()[:16]
    return Path(voxelize.stats.cache_path) / f"lidarpan-{digest}.compiled"


def compile_part(part: str) -> None:
    """Run one part's kernels on a small scan; write the name of each compiled one to stdout."""
    from numba.core import event

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: event.Event) -> None:
            """Nothing."""

        def on_end(self, event: event.Event) -> None:
            function = event.data["dispatcher"].py_func
            if function.__module__.startswith("lidarpan."):
                sys.stdout.write(f"{function.__module__}.{function.__name__}\n")
                sys.stdout.flush()

    event.register("numba:compile", Listener())
    {"grouping": _group, "network": _see}[part]()


def _group() -> None:
    from lidarpan.classes import DEFAULT_TABLE, load_class_table
    from lidarpan.grouping import group_points
    from lidarpan.grouping.fusion import merge_semantic_and_instance

    rng = np.random.default_rng(0)
    classes = load_class_table(DEFAULT_TABLE)
    points = rng.uniform(-9, 9, (2000, 3)).astype(np.float32)
    semantic = rng.integers(0, classes.num_classes, 2000).astype(np.uint8)
    softmax = rng.dirichlet(np.ones(classes.num_classes), 2000).astype(np.float32)
    offsets = np.zeros((2000, 2), np.float32)
    ids = group_points(points, semantic, classes, offsets=offsets, softmax=softmax)
    merge_semantic_and_instance(semantic, ids, softmax, classes)


def _see() -> None:
    from lidarpan.model.configured import Choices, open_weights
    from lidarpan.structures import Scan

    rng = np.random.default_rng(0)
    network, _ = open_weights("town", "cpu", "numba", "fp32", Choices())
    points = rng.uniform(-9, 9, (2000, 3)).astype(np.float32)
    prepared = network.prepare(Scan(points, rng.random(2000, np.float32)))
    outputs = network.run(prepared)
    assert outputs is not None
    network.per_point(prepared, outputs)
