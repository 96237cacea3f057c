"""Which scan files the caller means: files, folders, dataset trees and globs."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lidarpan.structures import InputError

_KNOWN = (".bin", ".pcd", ".ply", ".npy", ".npz", ".las", ".laz", ".feather", ".parquet")
SUFFIXES = ".bin, .pcd.bin, .pcd, .ply, .npy, .npz, .las, .laz, .feather, .parquet"
"""The scan formats, for messages."""

_NOT_SCANS = re.compile(r"_(lidarseg\.bin|panoptic\.npz)$")
_LABEL_FOLDERS = {"labels", "predictions", "lidarseg", "panoptic"}


def natural_key(path: Path) -> tuple[tuple[int, str], ...]:
    """Sort key that puts scan 9 before scan 10."""
    parts = re.split(r"(\d+)", path.as_posix())
    return tuple((int(part), part) if part.isdigit() else (-1, part) for part in parts)


def find_scans(paths: Sequence[str | Path]) -> list[Path]:
    """Find the scan files that files, folders and glob patterns name, each once.

    Folders are searched with all below them: a scan folder, a sequence with `velodyne/`, a
    SemanticKITTI tree with `sequences/`, a nuScenes tree with `samples/LIDAR_TOP/`. Files of one
    argument are in natural order (9 before 10); label files are left out.

    Raises:
        InputError: an argument names nothing, or no scan.
    """
    if not paths:
        raise InputError(f"wanted scan files or folders ({SUFFIXES}), got none")
    found: dict[Path, None] = {}
    for path in paths:
        found |= dict.fromkeys(_find(path))
    return list(found)


def _find(path: str | Path) -> list[Path]:
    named = Path(path)
    if named.is_dir():
        scans = _in_folder(named)
        if not scans:
            seen = sorted({file.suffix for file in named.rglob("*") if file.is_file()})[:8]
            raise InputError(
                f"{named}: wanted scans ({SUFFIXES}), got "
                f"{'files ' + ', '.join(seen) if seen else 'an empty folder'}"
            )
        return scans
    if named.exists():
        if named.suffix.lower() not in _KNOWN:
            raise InputError(
                f"{named}: wanted a scan ({SUFFIXES}), got {named.suffix or 'no'} file"
            )
        return [named]
    if glob.has_magic(str(path)):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        scans = _scans(m for match in matches for m in ([match] if match.is_file() else []))
        folders = sorted((m for m in matches if m.is_dir()), key=natural_key)
        scans += [scan for folder in folders for scan in _in_folder(folder)]
        if scans:
            return scans
        raise InputError(f"{path}: no scan ({SUFFIXES}) matches this pattern")
    raise InputError(f"{named}: no such file or folder: check the path")


def _in_folder(folder: Path) -> list[Path]:
    if (folder / "samples" / "LIDAR_TOP").is_dir():
        folder = folder / "samples" / "LIDAR_TOP"
    below = ((file, file.relative_to(folder)) for file in folder.rglob("*"))
    return _scans(
        file
        for file, inside in below
        if not _LABEL_FOLDERS & set(inside.parts[:-1]) and file.is_file()
    )


def _scans(files: Iterable[Path]) -> list[Path]:
    known = (f for f in files if f.suffix.lower() in _KNOWN and not _NOT_SCANS.search(f.name))
    return sorted(known, key=natural_key)
