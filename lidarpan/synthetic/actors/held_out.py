"""Which objects towns leave out, so that other towns can test with what was never trained on."""

from __future__ import annotations

from lidarpan.synthetic.actors.actors import Actor
from lidarpan.synthetic.kinds import KINDS

SLENDERNESS = {kind.name: kind.held_out_slenderness for kind in KINDS if kind.held_out_slenderness}
"""Held out of each kind: objects whose length over height lies in this span."""

HEIGHT_M = {kind.name: kind.held_out_height_m for kind in KINDS if kind.held_out_height_m}
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
