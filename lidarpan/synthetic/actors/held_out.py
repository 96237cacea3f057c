"""Which objects towns leave out, so that other towns can test with what was never trained on."""

from __future__ import annotations

from lidarpan.synthetic.actors.actors import Actor

SLENDERNESS: dict[str, tuple[float, float]] = {
    "car": (2.78, 2.89), "van": (2.42, 2.50), "truck": (2.85, 3.15), "bus": (2.95, 3.25),
    "trailer": (2.50, 2.80), "construction_vehicle": (1.70, 1.90), "tram": (4.2, 5.0),
}  # fmt: skip
"""Held out of each kind: objects whose length over height lies in this span."""

HEIGHT_M: dict[str, tuple[float, float]] = {
    "bicycle": (1.04, 1.06), "motorcycle": (1.285, 1.305), "bicyclist": (1.80, 1.83),
    "motorcyclist": (1.69, 1.71), "pedestrian": (1.68, 1.715), "child": (1.09, 1.16),
    "worker": (1.66, 1.695), "cone": (0.80, 0.90), "barrier": (0.94, 1.00),
}  # fmt: skip
"""Held out of each other kind: objects whose height in metres lies in this span."""


def is_held_out(actor: Actor) -> bool:
    """Whether an object lies in the part of its kind's range that is kept for tests.

    About one drawn object in eight does. The spans lie within the ranges, so that what is trained
    on still reaches from the smallest to the largest.
    """
    length, _, height = actor.size_m
    if actor.kind in SLENDERNESS:
        low, high = SLENDERNESS[actor.kind]
        return low < length / height < high
    low, high = HEIGHT_M[actor.kind]
    return low < height < high
