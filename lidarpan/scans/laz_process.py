"""Compressed points decoded in a process of their own, which a hostile file may end.

The decoder asks for as much memory as a file says it needs, and ends the process where there is not
so much. The other process starts with the first `.laz` file, has its memory bounded by what the
points of each file need, serves all further ones, and ends with this one.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.optional import need
from lidarpan.scans.fields import Fields
from lidarpan.structures import InputError

_BASE_BYTES, _PER_BYTE = 512 << 20, 6
_PATIENCE_S = 120.0
_FEW_THREADS = {"RAYON_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""Of the decoder: each thread more takes memory, of which it has little."""

_lock = threading.Lock()
_child: subprocess.Popen[bytes] | None = None


def decode_laz(path: Path, num_bytes: int) -> Fields:
    """Read a `.laz` file as `read_las` does.

    Args:
        path: the file.
        num_bytes: of its points unpacked, by its header.

    Raises:
        InputError: the file is damaged, or asks for more than any scan needs.
    """
    with _lock:
        child = _start()
        assert child.stdin is not None
        assert child.stdout is not None
        watch = threading.Timer(_PATIENCE_S, child.kill)
        watch.start()
        try:
            child.stdin.write(json.dumps([str(path.absolute()), num_bytes]).encode() + b"\n")
            child.stdin.flush()
            head = child.stdout.readline()
            said: Any = json.loads(head) if head else {"error": "the decoder gave up"}
            fields: Fields = {
                name: np.frombuffer(_exactly(child, num_bytes), dtype)
                for name, dtype, num_bytes in said.get("columns", ())
            }
        except (OSError, EOFError):
            said, fields = {"error": "the decoder gave up"}, {}
        finally:
            watch.cancel()
        if not fields and child.poll() is not None:
            _stop()
    if not fields:
        raise InputError(f"{path}: wanted a .laz file, {said.get('error', 'got no points')}")
    return fields


def _exactly(child: subprocess.Popen[bytes], num_bytes: int) -> bytes:
    assert child.stdout is not None
    content = child.stdout.read(num_bytes)
    if len(content) < num_bytes:
        raise EOFError
    return content


def _start() -> subprocess.Popen[bytes]:
    """The running decoder, or a new one."""
    global _child
    if _child is None or _child.poll() is not None:
        package = str(Path(__file__).parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        _child = subprocess.Popen(
            [sys.executable, "-c", "from lidarpan.scans.laz_process import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_FEW_THREADS, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # an interrupt of the terminal is the parent's
        )
    return _child


@atexit.register
def _stop() -> None:
    global _child
    if _child is not None:
        _child.kill()
        _child.wait()
        _child = None


def read_with_laspy(path: Path) -> Fields:
    """What `read_las` reads, of a file whose header has been checked; raises all kinds."""
    laspy = need("laspy", "las", f"{path}:")
    las = laspy.read(path)
    fields: Fields = {axis: np.asarray(las[axis]) for axis in "xyz"}
    extra = tuple(las.point_format.extra_dimension_names)
    for name in ("intensity", "gps_time", *extra):
        if name in las.point_format.dimension_names and name not in fields:
            column = np.asarray(las[name])
            if column.ndim == 1:
                fields[name] = column
    if len(fields["x"]) < las.header.point_count:
        raise InputError(
            f"{path}: wanted {las.header.point_count} points, got {len(fields['x'])}: cut off"
        )
    return fields


def serve() -> None:
    """Decode the files named on standard input, a JSON string a line, until it ends."""
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        path, num_bytes = json.loads(line)
        _bound_memory(num_bytes)
        try:
            fields = read_with_laspy(Path(path))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # damaged files raise all kinds, Rust's panics among them
            said = " ".join(f"got {type(error).__name__}: {error}".split())[:120]
            out.write(json.dumps({"error": said}).encode() + b"\n")
            out.flush()
            continue
        columns = [(name, c.dtype.str, c.nbytes) for name, c in fields.items()]
        out.write(json.dumps({"columns": columns}).encode() + b"\n")
        for column in fields.values():
            out.write(column.tobytes())
        out.flush()


def _bound_memory(num_bytes: int) -> None:
    """Let the decoder fail where it asks for more than so many bytes of points need."""
    try:
        import resource

        own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # not on this system
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = own + _BASE_BYTES + _PER_BYTE * num_bytes
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
