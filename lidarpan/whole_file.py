"""Files that are either whole or absent."""

from __future__ import annotations

import os
import re
import secrets
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lidarpan.errors import InputError

_PART = re.compile(r"^\.lidarpan-([0-9a-f]{8})-(\d+)-[0-9a-f]{16}\.part(\.\w+)?$")
_STALE_S = 86_400.0
_cleaned: set[Path] = set()


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


def changed_ns(*files: Path) -> tuple[int, ...]:
    """When files were last written, 0 for one that is not there: key of what is kept of them."""
    times = []
    for file in files:
        try:
            times.append(file.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)
