"""What a run leaves beside its weights, so that its folder alone is enough to repeat it."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import lidarpan
from lidarpan.classes import table_names
from lidarpan.config import Config, dump_config
from lidarpan.model.weights import find_weights
from lidarpan.structures import InputError
from lidarpan.text_trees import read_json_tree
from lidarpan.training.sources import Source
from lidarpan.whole_file import whole_file

CONFIG, RECORD, BEGINNING = "config.yaml", "run.json", "begin.safetensors"
_LIBRARIES = ("torch", "lightning", "numpy", "numba", "safetensors", "spconv-cu120", "spconv-cu126")


def keep_beginning(config: Config) -> Config:
    """Copy what a run begins with into its folder; the configuration that needs nothing else.

    The class table of a file goes into the configuration, the weights to begin with beside it.
    """
    tree = config.model_dump()
    classes = config.build_classes()
    if config.class_table is None and classes.name not in table_names():
        tree["class_table"] = classes.to_tree()
    begin = config.training.start_from
    if begin is not None:
        kept, given = config.out / BEGINNING, find_weights(begin)
        if given.is_file() and not (kept.is_file() and kept.samefile(given)):
            with whole_file(kept) as beside:
                shutil.copyfile(given, beside)
        tree["training"]["start_from"] = BEGINNING  # found beside config.yaml, wherever that lies
    kept_config = Config.model_validate(tree)
    with whole_file(config.out / CONFIG) as beside:
        beside.write_text(dump_config(kept_config))
    return kept_config


def write_record(config: Config, sources: list[Source], step: int) -> None:
    """Add to run.json what ran: when, by which command, with which versions, on which data.

    Args:
        config: of the run.
        sources: its training data.
        step: that this part of the run begins at.
    """
    part = {
        "begun": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "step": step,
        "command": sys.argv,
        "lidarpan": lidarpan.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "device": _device(),
        "libraries": _versions(),
        "seed": config.training.seed,
        "data": [
            {**entry.model_dump(mode="json"), "scans": len(source.scans), "names": _digest(source)}
            for entry, source in zip(config.train_data, sources, strict=False)
        ],
    }
    path = config.out / RECORD
    parts = [*(read_record(path) if step else []), part]
    with whole_file(path) as beside:
        beside.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")


def read_record(path: Path) -> list[dict[str, Any]]:
    """The parts of a run, in order; none without the file.

    Raises:
        InputError: it is damaged.
    """
    if not path.is_file():
        return []
    parts = read_json_tree(path)
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise InputError(f"{path}: wanted the parts of a run, got something else: move it away")
    return parts


def _digest(source: Source) -> str:
    """Of the names of the scans, which tells another choice or order."""
    names = "\n".join(source.dataset.name(position) for position in source.scans)
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
