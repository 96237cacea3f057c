"""Label files -> labels whose instances are called what the file calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.kitti_labels import read_label
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.nuscenes_labels import FACTOR, panoptic_of
from lidarpan.scans.numpy_files import read_arrays
from lidarpan.structures import IntArray, PanopticLabels

ID_SPACE = 1 << 16  # ids in the files of SemanticKITTI and nuScenes are below it


def read_named(path: str | Path, classes: ClassTable) -> PanopticLabels:
    """Read labels of any kind with the file's own instance ids, which may stay over a sequence.

    SemanticKITTI's are the upper 16 bits, nuScenes' 1000 * class + instance. Where several
    instances of a scan share an id (of different classes), the first in the scan keeps it, the
    others get it plus 65536, 131072 and so on.

    Args:
        path: as `read_prediction` takes.
        classes: of the labels.

    Raises:
        InputError: as `read_prediction`.
    """
    path = Path(path)
    labels = read_prediction(path, classes)
    if path.suffix.lower() == ".label":
        return _renamed(labels, read_label(path) >> 16)
    if path.suffix.lower() == ".npz" and "semantic" not in (arrays := read_arrays(path)):
        within = panoptic_of(arrays, path).astype(np.int64) % FACTOR
        return _renamed(labels, within + FACTOR * labels.semantic.astype(np.int64))
    return labels


def _renamed(labels: PanopticLabels, file_id: NDArray[Any]) -> PanopticLabels:
    """Instances 1, 2, ... of a scan renamed to what the file calls each point's. (N,) -> N."""
    has = np.flatnonzero(labels.instance > 0)
    numbers, first, place = np.unique(labels.instance[has], return_index=True, return_inverse=True)
    taken: set[int] = set()
    names = np.zeros(len(numbers), np.int32)
    for k in np.argsort(first).tolist():
        name = int(file_id[has[first[k]]])
        while name in taken:
            name += ID_SPACE
        names[k] = name
        taken.add(name)
    instance: IntArray = np.zeros(labels.num_points, np.int32)
    instance[has] = names[place]
    return PanopticLabels(labels.semantic, instance, labels.score)
