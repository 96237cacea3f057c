"""A labelled scan under weather, or as a faulty sensor would have taken it."""

from __future__ import annotations

import numpy as np

from lidarpan.structures import Scan
from lidarpan.synthetic.sensors.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from lidarpan.training.augment import Sample


def weather(sample: Sample, rng: np.random.Generator) -> Sample:
    """One kind of weather or fault, in one strength, drawn evenly.

    The sensor is at (0, 0, 0). Returns from drops, fog or another sensor are void.
    """
    kind, strength = str(rng.choice(list(CORRUPTIONS))), int(rng.choice(STRENGTHS))
    scan, source = corrupt(Scan(sample.points, sample.intensity), kind, strength, rng)
    if scan.num_points <= 1000:
        return sample
    known, seen = source >= 0, sample.take(np.maximum(source, 0))
    return Sample(
        scan.points,
        scan.intensity,
        np.where(known, seen.semantic, 0).astype(seen.semantic.dtype),
        np.where(known, seen.instance, 0).astype(seen.instance.dtype),
        None if seen.origin is None else np.where(known, seen.origin, -1),
    )
