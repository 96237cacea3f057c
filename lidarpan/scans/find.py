"""Which scan files the caller means: files, folders, dataset trees and globs."""

from __future__ import annotations

import glob
import logging
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lidarpan.scans.text import ALWAYS, MAYBE, holds_points
from lidarpan.structures import InputError

_log = logging.getLogger("lidarpan")

TEXT = (*ALWAYS, *MAYBE)
_TABLES = (".las", ".laz", ".feather", ".parquet")
_KNOWN = (".bin", ".pcd", ".ply", ".npy", ".npz", *_TABLES, *TEXT)
PANDASET = ".pkl.gz"
SUFFIXES = (
    ".bin, .pcd.bin, .pcd, .ply, .npy, .npz, .las, .laz, .feather, .parquet, .pkl.gz, .xyz, .csv, "
    ".txt, .asc, .pts"
)
"""The scan formats, for messages."""

_ARCHIVES = {".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar", ".tar"}
_CONTAINERS = {".mat", ".pkl", ".pickle", ".pt", ".pth", ".h5", ".hdf5", ".json", ".tif", ".ptx"}
_NOT_SCANS = re.compile(r"_lidarseg\.bin$|_panoptic\.npz$|\.scores\.npz$|^\._")
"""Labels, their scores, and notes of macOS."""

_MAX_FOLDERS = 100_000
_DECIMAL = re.compile(r"(?:^|[^\d.])(\d+\.\d+)$")
_LABEL_FOLDERS = {"labels", "predictions", "lidarseg", "panoptic", "annotations"}
_SCAN_FOLDERS = ("samples/LIDAR_TOP", "sensors/lidar")  # of nuScenes, of a log of Argoverse 2


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts scan 9 before scan 10, and the time 1.25 before 1.3."""
    stem = path.stem
    name = path.as_posix()
    decimal = _DECIMAL.search(stem)
    if decimal and path.suffix:
        name = name[: len(name) - len(path.name)] + stem[: decimal.start(1)]
        whole, fraction = decimal[1].split(".")
        last = ((int(whole), 0, ""), (0, 0, fraction), (-1, 0, path.suffix))
        return (*_parts(name), *last)
    return _parts(name)


def _parts(name: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.split(r"(\d+)", name)
    return tuple(
        (int(part), len(part), "") if part.isdecimal() else (-1, 0, part) for part in parts
    )


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
    found: dict[str, Path] = {}
    for path in paths:
        for file in _find(path):  # from here or from the root, a file is the same
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def _find(path: str | Path) -> list[Path]:
    if not str(path):
        raise InputError("wanted a path, got an empty one: for this folder say .")
    named = Path(path)
    if named.is_dir():
        scans = _in_folder(named)
        if not scans:
            seen = sorted({file.suffix or "without suffix" for file in files_below(named)})[:8]
            got = f"files {', '.join(seen)}" if seen else "an empty folder"
            raise InputError(f"{named}: wanted scans ({SUFFIXES}), got {got}{_remedy(seen)}")
        return scans
    if named.exists():
        if not _is_known(named):
            raise InputError(f"{named}: {not_a_scan(named)}")
        return [named]
    if glob.has_magic(str(path)):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        scans = [m for m in _scans(m for m in matches if m.is_file()) if not is_own_output(m)]
        folders = sorted((m for m in matches if m.is_dir()), key=natural_key)
        scans += [scan for folder in folders for scan in _in_folder(folder)]
        if scans:
            return scans
        raise InputError(f"{path}: no scan ({SUFFIXES}) matches this pattern")
    raise InputError(f"{named}: no such file or folder: check the path")


def not_a_scan(file: Path) -> str:
    """What a file of another suffix is told: wanted, got, what to do."""
    got = f"a {file.suffix} file" if file.suffix else "a file without suffix"
    return f"wanted a scan ({SUFFIXES}), got {got}{_remedy([file.suffix or 'without suffix'])}"


def _remedy(suffixes: Sequence[str]) -> str:
    if {suffix.lower() for suffix in suffixes} & _ARCHIVES:
        return ": unpack it first"
    if {suffix.lower() for suffix in suffixes} & _CONTAINERS:
        return ": write its points as .npy, rows of x y z intensity"
    return ": name it by its format" if "without suffix" in suffixes else ""


def _in_folder(folder: Path) -> list[Path]:
    """The scans below a folder; text that may be something else only where there are no others."""
    folder = next((folder / at for at in _SCAN_FOLDERS if (folder / at).is_dir()), folder)
    below = ((file, file.relative_to(folder)) for file in files_below(folder))
    files = [file for file, inside in below if not _LABEL_FOLDERS & set(inside.parts[:-1])]
    _tell("packed scans are left out: unpack them", [file for file in files if _is_packed(file)])
    named = _scans(files)
    missing = {file for file in named if file.is_symlink() and not file.exists()}
    _tell("links to scans lead nowhere and are left out: mend them", sorted(missing))
    found = [file for file in named if file not in missing and not is_own_output(file)]
    sure = [file for file in found if file.suffix.lower() not in MAYBE]
    return sure or [file for file in found if holds_points(file)]


def _tell(what: str, files: Sequence[Path]) -> None:
    if files:
        _log.warning("%d %s: %s ...", len(files), what, files[0])


def _is_packed(file: Path) -> bool:
    """Whether a file is a scan in an archive of its own, as `scan.bin.gz`."""
    return file.suffix.lower() in _ARCHIVES and not _is_known(file) and _is_known(Path(file.stem))


def scans_among(files: Iterable[Path]) -> list[Path]:
    """Those of some files that are scans by their names, in natural order."""
    return _scans(file for file in files if not _LABEL_FOLDERS & set(file.parts[:-1]))


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and below, links followed, but not back to a folder above.

    Links that lead nowhere are among them.

    Raises:
        InputError: a folder below cannot be read, and what is in it would be left out unsaid.
    """
    waiting: list[tuple[Path, tuple[tuple[int, int], ...]]] = [(folder, ())]
    num_folders = 0
    while waiting:
        place, above = waiting.pop()
        num_folders += 1
        try:
            status = place.stat()
            own = (status.st_dev, status.st_ino)
            if own in above:
                continue
            with os.scandir(place) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(
                f"{place}: cannot be read: {error.strerror}: allow it, or name the others"
            ) from None
        if num_folders > _MAX_FOLDERS:
            raise InputError(f"{folder}: more than {_MAX_FOLDERS} folders: do links go round?")
        kinds = {entry.path: _kind(entry) for entry in inside}
        waiting += [
            (Path(e.path), (*above, own)) for e in reversed(inside) if kinds[e.path] == "folder"
        ]
        yield from (Path(path) for path, kind in kinds.items() if kind in ("file", "broken link"))


def _kind(entry: os.DirEntry[str]) -> str:
    """What an entry of a folder is: "folder", "file", "broken link" or "other"."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
    except OSError:  # a link that goes round
        return "broken link"
    return "broken link" if entry.is_symlink() else "other"


def is_own_output(file: Path) -> bool:
    """Whether a `.npz` or `.ply` holds labels that this package wrote, not a scan."""
    try:
        match file.suffix.lower():
            case ".npz":
                with zipfile.ZipFile(file) as archive:
                    names = set(archive.namelist())
                return {"semantic.npy", "instance.npy", "class_names.npy"} <= names
            case ".ply":
                with file.open("rb") as stream:
                    head = stream.read(4096).split(b"end_header")[0]
                return b"\ncomment dataset " in head and b" semantic\n" in head
            case _:
                return False
    except (OSError, zipfile.BadZipFile):
        return False


def _scans(files: Iterable[Path]) -> list[Path]:
    known = (f for f in files if _is_known(f) and not _NOT_SCANS.search(f.name))
    return sorted(known, key=natural_key)


def _is_known(file: Path) -> bool:
    return file.suffix.lower() in _KNOWN or file.name.lower().endswith(PANDASET)
