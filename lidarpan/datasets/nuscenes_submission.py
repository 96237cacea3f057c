"""The files of a nuScenes submission: predictions, and submission.json with task and inputs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.dataset import Checked
from lidarpan.datasets.nuscenes_labels import FACTOR, INPUTS, NUM_CHALLENGE
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.scans.numpy_files import read_arrays
from lidarpan.structures import InputError
from lidarpan.text_trees import read_json_tree


def inputs_used(file: Path) -> dict[str, bool]:
    """What a submission.json says of the inputs used; LiDAR alone where it says nothing."""
    try:
        meta = read_json_tree(file)["meta"]
        return {key: bool(meta.get(key, usual)) for key, usual in INPUTS.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return dict(INPUTS)


def check_meta(file: Path, task: str) -> list[str]:
    """What is wrong with a submission.json: no task or another, inputs not said.

    A missing one is no fault: packing writes it.
    """
    if not file.is_file():
        return []
    try:
        meta = read_json_tree(file)["meta"]
    except (ValueError, KeyError, TypeError) as error:
        return [f"wanted JSON with an object 'meta', got {error!r}"]
    if not isinstance(meta, dict):
        return [f"wanted an object 'meta', got {meta!r}"]
    faults = []
    if meta.get("task") != task:
        faults.append(f"wanted task {task!r}, got {meta.get('task')!r}")
    faults += [
        f"wanted {key} true or false, got {meta.get(key)!r}"
        for key in INPUTS
        if not isinstance(meta.get(key), bool)
    ]
    return faults


def check_panoptic(
    path: Path, num_points: int, classes: ClassTable, *, is_tracking: bool = False
) -> Checked:
    """Check a file of predictions; ids on stuff are taken off, things without one get their own.

    For tracking they do not: an id would have to be free in the other scans, and to last.
    """
    try:
        arrays = read_arrays(path)
    except InputError as error:
        return Checked(b"", faults=[(str(error).removeprefix(f"{path}: "), False)])
    if "data" not in arrays:
        return Checked(b"", faults=[(f"wanted an array 'data', got {', '.join(arrays)}", False)])
    data = arrays["data"]
    if data.shape != (num_points,):
        return Checked(b"", faults=[(f"wanted {num_points} labels, got {data.shape}", False)])
    whole = data.dtype.kind in "ui" or (data.dtype.kind == "f" and bool((data % 1 == 0).all()))
    if not whole or (data.size and not 0 <= data.min() <= data.max() < FACTOR * NUM_CHALLENGE):
        wanted = f"whole numbers 0..{FACTOR * NUM_CHALLENGE - 1} (challenge classes, not general)"
        return Checked(
            b"", faults=[(f"wanted {wanted}, got {data.dtype} up to {data.max()}", False)]
        )
    faults = []
    if data.dtype != np.uint16:
        faults.append((f"wanted uint16, got {data.dtype}", True))
    labels = data.astype(np.int64)
    is_thing = classes.is_thing[labels // FACTOR]
    on_stuff = ~is_thing & (labels % FACTOR > 0)
    without = is_thing & (labels % FACTOR == 0)
    if on_stuff.any():
        faults.append((f"{int(on_stuff.sum())} points of stuff or void have an instance id", True))
        labels[on_stuff] -= labels[on_stuff] % FACTOR
    if without.any():
        faults.append(
            (f"{int(without.sum())} points of things have no instance id 1..999", not is_tracking)
        )
        if is_tracking:
            return Checked(b"", faults=faults)
        for category in np.unique(labels[without]):
            used = labels[labels // FACTOR == category // FACTOR].max() - category
            if used + 1 >= FACTOR:
                full = ("no instance id is free for things without one", False)
                return Checked(b"", faults=[*faults, full])
            labels[without & (labels == category)] += used + 1
    stream = io.BytesIO()
    np.savez_compressed(stream, data=labels.astype(np.uint16))
    semantic = (labels // FACTOR).astype(np.uint8)
    return Checked(stream.getvalue(), PackedLabels(semantic, labels, labels % FACTOR), faults)
