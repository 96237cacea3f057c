"""Class shares of the scans trained on and of real streets -> what to add to the logits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.structures import FloatArray, InputError

MOST = 4.0
"""No logit is moved further: shares of the rarest classes are known badly."""


def street_prior(
    classes: ClassTable, trained: Mapping[str, float], power: float
) -> FloatArray | None:
    """Power * log(street share / trained share) of each class, to be added to its logit.

    A network that was trained where people are twenty times as frequent as in a street expects them
    there (Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities",
    Neural Computation 2002). With a loss that weighs a class by its frequency ** -b the network
    expects frequency ** (1 - b), so that power = 1 - b gives what the same training on scans with
    the shares of real streets would have given; power = 1 gives the most probable class.

    Args:
        classes: the class table, with the shares of real streets.
        trained: class name -> share of the points trained on; classes left out are not corrected.
        power: 0 for no correction, up to 1.

    Returns:
        (C - 1,) float32 of train ids 1..C-1, within +-MOST; None where there is nothing to correct.

    Raises:
        InputError: a name that is no class of the table, or a share outside (0, 1].
    """
    if classes.street_share is None or not trained or not power:
        return None
    shift = np.zeros(classes.num_classes)
    for name, share in trained.items():
        train_id = classes.id_of(name)
        if not 0 < share <= 1:
            raise InputError(f"trained share of {name}: wanted above 0, up to 1, got {share}")
        street = classes.street_share[train_id]
        if street > 0:
            shift[train_id] = power * np.log(street / share)
    return np.clip(shift[1:], -MOST, MOST).astype(np.float32)
