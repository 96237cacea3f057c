"""Where the labels of a scan file lie in a folder of predictions, and what the scan is called."""

from __future__ import annotations

import os
from pathlib import Path

from lidarpan.scans.find import natural_key


def scan_stem(scan_path: Path) -> str:
    """File name without its scan suffix: "a" of a.pcd.bin, "00" of 00.pkl.gz."""
    stem = scan_path.stem
    return stem[:-4] if scan_path.name.lower().endswith((".pcd.bin", ".pkl.gz")) else stem


def plain_path(out: Path, scan_path: Path, suffix: str) -> Path:
    """Where labels of a scan file lie when no dataset says more.

    A scan in `NN/velodyne` goes to `sequences/NN/predictions`, any other straight to `out`.
    """
    name, whole = scan_stem(scan_path) + suffix, scan_path.absolute()
    if whole.parent.name == "velodyne":
        return out / "sequences" / whole.parents[1].name / "predictions" / name
    return out / name


def mirrored_path(out: Path, scan_path: Path, suffix: str) -> Path:
    """As `plain_path`, but a scan below a folder `scans` goes to the same place below `out`."""
    whole = scan_path.absolute()
    above = next((folder for folder in whole.parents if folder.name == "scans"), None)
    if above is None:
        return plain_path(out, scan_path, suffix)
    return out / whole.relative_to(above).with_name(scan_stem(scan_path) + suffix)


def names_in(folder: Path, suffix: str) -> list[str]:
    """Names of a folder's files with a suffix, 9 before 10; none where there is no such folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(suffix)]
    if len({len(name) for name in names}) > 1:
        return sorted(names, key=lambda name: natural_key(Path(name)))
    return sorted(names)
