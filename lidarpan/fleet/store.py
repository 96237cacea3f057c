"""Files in a store that fsspec knows (s3://, gs://, az://, file://), for work on local copies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from lidarpan.errors import InputError
from lidarpan.optional import need

_URL = re.compile(r"^([a-z][a-z0-9+.-]+):/+(.*)$")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")


def url_of(path: str | Path) -> str | None:
    """The URL that an argument is, also where a Path has made one slash of two; None for a path."""
    found = _URL.match(str(path))
    if found is None:
        return None
    return f"{found[1]}:///{found[2]}" if found[1] == "file" else f"{found[1]}://{found[2]}"


@dataclass(frozen=True)
class Stored:
    """A file in a store.

    Attributes:
        path: in the store.
        size: bytes.
        time_s: when it was written, seconds since 1970, or None where the store does not say.
    """

    path: str
    size: int
    time_s: float | None


class Store:
    """A place in a store.

    Args:
        url: of a folder, a file or a pattern.

    Raises:
        InputError: fsspec or what it needs for such a URL is not installed.
    """

    def __init__(self, url: str) -> None:
        fsspec = need("fsspec", "ray", url)
        self.url = url
        try:
            self._files, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError, OSError) as error:
            raise InputError(f"{url}: cannot be opened: {error}") from None

    def find(self) -> list[Stored]:
        """All files there and below, by path.

        Raises:
            InputError: there is nothing, or the store refuses.
        """
        try:
            if any(sign in self.root for sign in "*?["):
                found = self._files.glob(self.root, detail=True)
            else:
                found = self._files.find(self.root, detail=True)
        except Exception as error:  # each store has its own
            raise InputError(f"{self.url}: cannot be listed: {error}") from None
        files = {path: about for path, about in found.items() if about.get("type") == "file"}
        if not files:
            raise InputError(f"{self.url}: wanted files, found none: check the address")
        return [
            Stored(path, int(about.get("size") or 0), _time_of(about))
            for path, about in sorted(files.items())
        ]

    def fetch(self, pairs: Iterable[tuple[str, Path]]) -> None:
        """Copy files of the store to local ones.

        Raises:
            InputError: one cannot be read.
        """
        pairs = list(pairs)
        for _, local in pairs:
            local.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._files.get([path for path, _ in pairs], [str(local) for _, local in pairs])
        except Exception as error:
            raise InputError(f"{self.url}: cannot be read: {error}") from None

    def put(self, folder: Path) -> None:
        """Copy all files of a local folder to the place.

        Raises:
            InputError: the store refuses.
        """
        local = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        there = [f"{self.root}/{path.relative_to(folder).as_posix()}" for path in local]
        try:
            for place in sorted({str(PurePosixPath(path).parent) for path in there}):
                self._files.makedirs(place, exist_ok=True)
            self._files.put([str(path) for path in local], there)
        except Exception as error:
            raise InputError(f"{self.url}: cannot be written: {error}") from None


@contextmanager
def local_copy(path: Path, left_out: Sequence[str] = ()) -> Iterator[Path]:
    """A local folder of what a URL holds, gone after the block; a path itself is given back.

    Args:
        path: a local path, or a URL.
        left_out: names of folders that are not copied.

    Raises:
        InputError: as `Store`.
    """
    url = url_of(path)
    if url is None:
        yield path
        return
    store = Store(url)
    with TemporaryDirectory(prefix="lidarpan-") as made:
        folder, root = Path(made) / Path(store.root).name, PurePosixPath(store.root)
        inside = [(one.path, PurePosixPath(one.path).relative_to(root)) for one in store.find()]
        store.fetch(
            (stored, folder / name)
            for stored, name in inside
            if not set(left_out) & set(name.parts)
        )
        yield folder


@contextmanager
def local_output(path: Path) -> Iterator[Path]:
    """A local folder whose files go to a URL when the block succeeds; a path is given back.

    Raises:
        InputError: as `Store`.
    """
    url = url_of(path)
    if url is None:
        yield path
        return
    store = Store(url)
    with TemporaryDirectory(prefix="lidarpan-") as made:
        yield Path(made)
        store.put(Path(made))


def _time_of(about: Mapping[str, Any]) -> float | None:
    value = next((about[name] for name in _TIMES if about.get(name) is not None), None)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) else None
