"""A dataset by its name: shipped, installed, a class table of one's own, or one's own code."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import metadata, util
from pathlib import Path

from lidarpan.classes import ClassTable
from lidarpan.datasets.argoverse2 import Argoverse2
from lidarpan.datasets.coarse import SUFFIX as COARSE
from lidarpan.datasets.coarse import Coarse
from lidarpan.datasets.dataset import Dataset
from lidarpan.datasets.folder import FolderDataset
from lidarpan.datasets.kitti360 import Kitti360
from lidarpan.datasets.nuscenes import NuScenes
from lidarpan.datasets.pandaset import PandaSet
from lidarpan.datasets.prelabels import FILE as PRELABELS
from lidarpan.datasets.prelabels import Prelabels
from lidarpan.datasets.semantickitti import SemanticKitti, SemanticKittiMultiscan, SemanticPoss
from lidarpan.datasets.split import Split
from lidarpan.datasets.waymo import Waymo
from lidarpan.structures import InputError

ENTRY_POINTS = "lidarpan.datasets"
"""The group in which an installed package names its datasets: name -> class or function."""

SHIPPED: dict[str, Callable[[], Dataset]] = {
    each.name: each
    for each in (
        SemanticKitti,
        NuScenes,
        SemanticKittiMultiscan,
        SemanticPoss,
        Kitti360,
        PandaSet,
        Waymo,
        Argoverse2,
    )
}
WANTED = "FILE.yaml (a class table: scans/ and labels/) or FILE.py:CLASS"


@cache
def _installed(_path: tuple[str, ...]) -> tuple[metadata.EntryPoint, ...]:
    """What packages on a path offer, looked up once: it takes a read of each one's files."""
    return tuple(metadata.entry_points(group=ENTRY_POINTS))


def dataset_names() -> tuple[str, ...]:
    """The datasets that are known by name: the shipped ones, then the installed ones."""
    installed = (entry.name for entry in _installed(tuple(sys.path)))
    return (*SHIPPED, *sorted(set(installed) - set(SHIPPED)))


def find_dataset(name: str | Path | Dataset) -> Dataset:
    """Find a dataset by its name.

    Args:
        name: of SHIPPED; of an entry point of the group `lidarpan.datasets`; a class table
            FILE.yaml, for scans and labels in the generic layout; a `prelabels.json` of
            `lidarpan prelabel`, for what was corrected; FILE.py:CLASS, which runs that file; any of
            them with @coarse behind it, in the common classes; or a dataset, which is given back.

    Raises:
        InputError: there is none of that name, or it cannot be made.
    """
    if not isinstance(name, (str, Path)):
        return name
    word = str(name)
    if word.endswith(COARSE):
        return Coarse(find_dataset(word.removesuffix(COARSE)))
    if word in SHIPPED:
        return _shipped(word)
    if word.endswith((".yaml", ".yml")):
        return FolderDataset(ClassTable.from_yaml(word))
    if Path(word).name == PRELABELS:
        return Prelabels(Path(word))
    path, colon, attribute = word.rpartition(":")
    if colon and path.endswith(".py"):
        return _of_file(Path(path), attribute)
    for entry in _installed(tuple(sys.path)):
        if entry.name == word:
            return _made(entry.load(), f"dataset {word}")
    near = difflib.get_close_matches(word, dataset_names(), n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    raise InputError(f"no dataset {word!r}: wanted {', '.join(dataset_names())}, {WANTED}{hint}")


def find_classes(name: str | Path | Dataset) -> ClassTable:
    """The classes of a dataset by its name; see `find_dataset`."""
    return find_dataset(name).classes


def open_dataset(name: str | Path | Dataset, root: str | Path, split: str) -> Split:
    """Open one split of a dataset below the folder `root`.

    Raises:
        InputError: no such dataset, no such folder, an unknown split or one without scans.
    """
    return Split(find_dataset(name), root, split)


@lru_cache(maxsize=8)
def _shipped(name: str) -> Dataset:
    return SHIPPED[name]()


def _of_file(path: Path, attribute: str) -> Dataset:
    """Run a file of the user's own and make what it calls `attribute`."""
    if not path.is_file():
        raise InputError(f"{path}: no such file: wanted {WANTED}")
    spec = util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses and pickle look there
    spec.loader.exec_module(module)
    if not hasattr(module, attribute):
        there = [name for name in vars(module) if not name.startswith("_")]
        raise InputError(f"{path}: has no {attribute!r}: it has {', '.join(there[:12])}")
    return _made(getattr(module, attribute), f"{path}:{attribute}")


def _made(found: Callable[[], Dataset] | Dataset, where: str) -> Dataset:
    """The dataset itself: classes and functions are called."""
    made = found() if callable(found) else found
    for wanted in ("name", "classes", "list_scans", "read_prediction"):
        if not hasattr(made, wanted):
            raise InputError(
                f"{where}: wanted a dataset, got a {type(made).__name__} without {wanted}: "
                "inherit from lidarpan.datasets.dataset.Dataset"
            )
    return made
