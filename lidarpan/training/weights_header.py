"""What a file of trained weights says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import lidarpan
from lidarpan.classes import ClassTable, table_names
from lidarpan.config import PREDICTION_SECTIONS, Config


def weights_header(
    config: Config, classes: ClassTable, shares: NDArray[np.float64], **training: Any
) -> dict[str, Any]:
    """The header that `save_weights` writes: all that prediction needs, and how it was trained.

    Args:
        config: of the run.
        classes: its class table; it goes along where it is no shipped one.
        shares: (C - 1,) of the points trained on, by train id from 1.
        training: the record of the run: step, seed, scores.
    """
    tree = config.model_dump(mode="json", include=PREDICTION_SECTIONS)
    known = {n: float(s) for n, s in zip(classes.names[1:], shares, strict=True) if s > 0}
    tree["prior"]["trained"] = tree["prior"]["trained"] or known
    if classes.name not in table_names():
        tree["class_table"] = classes.to_tree()
    return {
        "version": lidarpan.__version__,
        "config": tree,
        "classes": list(classes.names),
        "training": training,
    }
