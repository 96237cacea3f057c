"""submission.json of a nuScenes submission: which task it is for and which inputs were used."""

from __future__ import annotations

import json
from pathlib import Path

_INPUTS = {
    "use_camera": False,
    "use_lidar": True,
    "use_radar": False,
    "use_map": False,
    "use_external": False,
}


def meta_path(predictions: Path, split: str) -> Path:
    """Where it lies in a folder of predictions."""
    return predictions / split / "submission.json"


def inputs_used(file: Path) -> dict[str, bool]:
    """What it says of the inputs used; LiDAR alone where it says nothing."""
    try:
        meta = json.loads(file.read_text())["meta"]
        return {key: bool(meta.get(key, usual)) for key, usual in _INPUTS.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return dict(_INPUTS)


def check_meta(file: Path, task: str) -> list[str]:
    """Everything that is wrong with it: a missing file, no task or another, inputs not said."""
    if not file.is_file():
        return ["missing; wanted {'meta': {'task', 'use_lidar', ...}}"]
    try:
        meta = json.loads(file.read_text())["meta"]
    except (ValueError, KeyError, TypeError) as error:
        return [f"wanted JSON with an object 'meta', got {error!r}"]
    if not isinstance(meta, dict):
        return [f"wanted an object 'meta', got {meta!r}"]
    faults = []
    if meta.get("task") != task:
        faults.append(f"wanted task {task!r}, got {meta.get('task')!r}")
    faults += [
        f"wanted {key} true or false, got {meta.get(key)!r}"
        for key in _INPUTS
        if not isinstance(meta.get(key), bool)
    ]
    return faults
