"""The single files of a submission: what is wrong with one, and its mended bytes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from lidarpan.classes import load_class_table
from lidarpan.datasets.nuscenes_labels import FACTOR, NUM_CHALLENGE
from lidarpan.datasets.semantickitti import read_label
from lidarpan.scans.numpy_files import read_arrays
from lidarpan.structures import InputError

File = tuple[bytes, list[tuple[str, bool]]]
"""Mended bytes, and faults as (message, whether the bytes are mended of it)."""


def check_label(path: Path, num_points: int) -> File:
    """Check a SemanticKITTI prediction; instance ids on stuff and void are taken off."""
    try:
        packed = read_label(path)
    except InputError as error:
        return b"", [(str(error).removeprefix(f"{path}: "), False)]
    if len(packed) != num_points:
        return b"", [(f"wanted {num_points} labels, got {len(packed)}", False)]
    classes = load_class_table("semantickitti")
    try:
        semantic = classes.to_train((packed & 0xFFFF).astype(np.int32))
    except InputError as error:
        return b"", [(str(error), False)]
    on_stuff = (packed > 0xFFFF) & ~classes.is_thing[semantic]
    mended = np.where(on_stuff, packed & 0xFFFF, packed).astype("<u4").tobytes()
    if not on_stuff.any():
        return mended, []
    names = ", ".join(classes.names[c] for c in np.unique(semantic[on_stuff])[:4])
    return mended, [(f"{int(on_stuff.sum())} points of {names} have an instance id", True)]


def check_panoptic(path: Path, num_points: int, *, is_tracking: bool = False) -> File:
    """Check a nuScenes prediction; ids on stuff are taken off, things without one get their own.

    For tracking they do not: an id would have to be free in the other scans, and to last.
    """
    try:
        arrays = read_arrays(path)
    except InputError as error:
        return b"", [(str(error).removeprefix(f"{path}: "), False)]
    if "data" not in arrays:
        return b"", [(f"wanted an array 'data', got {', '.join(arrays)}", False)]
    data = arrays["data"]
    if data.shape != (num_points,):
        return b"", [(f"wanted {num_points} labels, got {data.shape}", False)]
    whole = data.dtype.kind in "ui" or (data.dtype.kind == "f" and bool((data % 1 == 0).all()))
    if not whole or (data.size and not 0 <= data.min() <= data.max() < FACTOR * NUM_CHALLENGE):
        wanted = f"whole numbers 0..{FACTOR * NUM_CHALLENGE - 1} (challenge classes, not general)"
        return b"", [(f"wanted {wanted}, got {data.dtype} up to {data.max()}", False)]
    faults = []
    if data.dtype != np.uint16:
        faults.append((f"wanted uint16, got {data.dtype}", True))
    labels = data.astype(np.int64)
    is_thing = load_class_table("nuscenes").is_thing[labels // FACTOR]
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
            return b"", faults
        for category in np.unique(labels[without]):
            used = labels[labels // FACTOR == category // FACTOR].max() - category
            if used + 1 >= FACTOR:
                return b"", [*faults, ("no instance id is free for things without one", False)]
            labels[without & (labels == category)] += used + 1
    stream = io.BytesIO()
    np.savez_compressed(stream, data=labels.astype(np.uint16))
    return stream.getvalue(), faults
