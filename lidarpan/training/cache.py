"""Decoded scans with their labels on disk, so that a second pass reads them in a moment."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lidarpan.datasets.split import Split
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.whole_file import whole_file

_log = logging.getLogger("lidarpan")
_FORM = 1


class CachedScans:
    """The scans of a split; each is decoded once and then read from the cache.

    A file of the cache carries size and time of the files it was made of: one that has changed is
    decoded again. It holds what training reads, 21 bytes a point, and can be deleted at any time.

    Args:
        split: the dataset.
        folder: of the cache; each split has a folder of its own in it.
    """

    def __init__(self, split: Split, folder: Path) -> None:
        root = hashlib.sha256(str(split.root.absolute()).encode()).hexdigest()[:8]
        name = f"{split.dataset.name}-{split.split}-{root}".replace("/", "_").replace(",", "_")
        self.split, self.folder = split, folder / name
        self._last: tuple[int, Scan, PanopticLabels | None] | None = None

    @property
    def classes(self) -> object:
        """What the labels mean."""
        return self.split.classes

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.split)

    def name(self, i: int) -> str:
        """Name of scan i."""
        return self.split.name(i)

    def __getitem__(self, i: int) -> Scan:
        """Scan i; errors as the dataset's own."""
        return self._read(i)[0]

    def labels(self, i: int) -> PanopticLabels | None:
        """Truth of scan i."""
        return self._read(i)[1]

    def _read(self, i: int) -> tuple[Scan, PanopticLabels | None]:
        if self._last is None or self._last[0] != i:
            path, made_of = self.folder / f"{i:08d}.safetensors", self._made_of(i)
            self._last = (i, *(_load(path, made_of) or self._decode(i, path, made_of)))
        return self._last[1:]

    def _decode(
        self, i: int, path: Path, made_of: NDArray[np.int64]
    ) -> tuple[Scan, PanopticLabels | None]:
        scan, labels = self.split[i], self.split.labels(i)
        arrays = {"made_of": made_of, "points": scan.points, "intensity": scan.intensity}
        if labels is not None:
            arrays |= {"semantic": labels.semantic, "instance": labels.instance}
        with whole_file(path) as beside:
            save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(beside))
        return scan, labels

    def _made_of(self, i: int) -> NDArray[np.int64]:
        """Form of the cache, size and time of the scan's and the labels' files."""
        numbers = [_FORM]
        for path in (self.split.path(i), self.split.label_path(i)):
            try:
                status = path.stat() if path else None
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror}") from None
            numbers += [status.st_size, status.st_mtime_ns] if status else [0, 0]
        return np.array(numbers, np.int64)


def _load(path: Path, made_of: NDArray[np.int64]) -> tuple[Scan, PanopticLabels | None] | None:
    """What the cache holds of a scan; None where there is none, or one of other files."""
    if not path.is_file():
        return None
    try:
        arrays = load_file(str(path))
        if not np.array_equal(arrays["made_of"], made_of):
            return None
        scan = Scan(arrays["points"], arrays["intensity"])
        if "semantic" not in arrays:
            return scan, None
        return scan, PanopticLabels(arrays["semantic"], arrays["instance"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        _log.warning("%s: damaged, made again: %s", path, error)
        return None
