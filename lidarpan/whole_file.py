"""Files that are either whole or absent."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TextIO, TypeVar

from lidarpan.errors import InputError

_PART = re.compile(r"^\.lidarpan-([0-9a-f]{8})-(\d+)-[0-9a-f]{16}\.part(\.\w+)?$")
_STALE_S = 86_400.0
_HEAD_BYTES = 1 << 16
_cleaned: set[Path] = set()

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def whole_file(path: Path, suffix: str = "") -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` when the block succeeds.

    Folders are made as needed; when the block fails the temporary file is removed. What a process
    that was killed has left in the folder is removed, too. The temporary file has a name that
    nobody can foresee and is new, so that no link that lies there is followed.

    Args:
        path: of the file.
        suffix: that the temporary file's name must end in, for writers that go by it.

    Raises:
        InputError: the folder cannot be made or written to, or the disk is full.
    """
    part = f".lidarpan-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.part{suffix}"
    beside = path.with_name(part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield beside
        beside.replace(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}: choose another folder"
        ) from None
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def whole_text(path: Path) -> Iterator[TextIO]:
    """Give a text file to write, UTF-8 with line ends as written; errors as `whole_file`.

    Names of files that are no UTF-8 keep their bytes in it.
    """
    with (
        whole_file(path) as beside,
        beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield file


def write_text(path: Path, text: str) -> None:
    """Write a text as `whole_text` does."""
    with whole_text(path) as file:
        file.write(text)


def write_json(path: Path, tree: Any, indent: int | None = None) -> None:
    """Write plain values as a JSON file that ends with a line; errors as `whole_file`."""
    write_text(path, json.dumps(tree, indent=indent) + "\n")


def refuse_inputs_as_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise an InputError where writing the outputs would replace an input."""
    ours = {path.absolute().resolve() for path in inputs}
    for path in outputs:
        if path.absolute().resolve() in ours:
            raise InputError(f"{path}: would replace the input of this name: choose another one")


def check_output(path: Path, suffix: str, mark: str) -> None:
    """Refuse, before any work, a name for an output that is another file's.

    Args:
        path: of the output.
        suffix: that its name must end in.
        mark: what the first bytes of such an output hold: a file that is there must hold it, too.

    Raises:
        InputError: another suffix, a folder, or a file that is no earlier output.
    """
    if path.suffix.lower() != suffix:
        raise InputError(f"{path}: wanted a name that ends in {suffix}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder: choose another name")
    if path.is_file():
        with path.open("rb") as file:
            if mark.encode() not in file.read(_HEAD_BYTES) and path.stat().st_size:
                raise InputError(
                    f"{path}: is there and is none of our {suffix} files: choose another name, or "
                    "remove it"
                )


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that are gone; once per folder and process."""
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(".lidarpan-")]
    for name in names:
        found = _PART.match(name)
        if found and not _is_in_use(folder / name, found[1], int(found[2])):
            with suppress(OSError):
                (folder / name).unlink()


def check_folder(folder: Path) -> None:
    """Create a folder for outputs; InputError where that cannot be or nothing can be written."""
    probe = folder / f".lidarpan-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        probe.unlink()
    except OSError as error:
        raise InputError(f"{folder}: cannot write there: {error.strerror or error}") from None


def _is_in_use(part: Path, machine: str, process: int) -> bool:
    """Whether the process that began a temporary file may still write it."""
    if machine != _machine():
        with suppress(OSError):
            return time.time() - part.stat().st_mtime < _STALE_S
        return False
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _machine() -> str:
    """Eight digits for this computer: folders may be shared by several."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return f"{zlib.crc32(name.encode()):08x}"


def while_unchanged(
    most: int, files: Callable[P, tuple[Path, ...]]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function keep its results as long as the files that they come from stay as they are.

    Args:
        most: results that are kept.
        files: the function's arguments -> what it reads; a file may be missing.
    """

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        kept = lru_cache(most)(lambda changed, *args, **named: function(*args, **named))

        @wraps(function)
        def looked_up(*args: P.args, **named: P.kwargs) -> T:
            changed = tuple(map(_changed_ns, files(*args, **named)))
            return kept(changed, *args, **named)  # type: ignore[arg-type]

        return looked_up

    return decorated


def _changed_ns(file: Path) -> int:
    """When a file was last written, 0 where it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
