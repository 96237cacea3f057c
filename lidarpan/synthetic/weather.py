"""Simulated scans under weather, or as a faulty sensor takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lidarpan.structures import InputError
from lidarpan.synthetic.kinds import KIND
from lidarpan.synthetic.sensors.corruptions import CORRUPTIONS, LASTING, STRENGTHS, corrupt

if TYPE_CHECKING:
    from lidarpan.synthetic.render import SimulatedScan


class Weather(NamedTuple):
    """One of CORRUPTIONS, and how strong it is: 1, 2 or 3."""

    kind: str
    strength: int


def parse_weather(text: str, rng: np.random.Generator) -> Weather:
    """What "KIND" or "KIND:STRENGTH" asks for, KIND one of CORRUPTIONS or "random".

    Args:
        text: what is asked for.
        rng: draws what is not said.

    Raises:
        InputError: there is no such kind or strength.
    """
    kind, colon, strength = text.partition(":")
    known = [*CORRUPTIONS, "random"]
    if kind not in known or (colon and strength not in map(str, STRENGTHS)):
        raise InputError(
            f"weather {text!r}: wanted KIND or KIND:STRENGTH, KIND one of {', '.join(known)}, "
            f"STRENGTH 1, 2 or 3"
        )
    drawn = str(rng.choice(list(CORRUPTIONS))), int(rng.choice(STRENGTHS))
    return Weather(drawn[0] if kind == "random" else kind, int(strength or drawn[1]))


def drive_in_weather(
    drive: Iterable[SimulatedScan], asked: str, seed: int
) -> Iterator[SimulatedScan]:
    """A drive in the weather asked for (see `parse_weather`); faults last."""
    rng = np.random.default_rng(seed)
    weather = parse_weather(asked, rng)
    for clean in drive:
        is_new = weather.kind not in LASTING
        yield in_weather(clean, weather, rng if is_new else np.random.default_rng(seed))


def in_weather(clean: SimulatedScan, weather: Weather, rng: np.random.Generator) -> SimulatedScan:
    """The scan as it is taken in this weather, N points -> N' of them, with their truth.

    Returns from drops, fog or another sensor's light are void and of no instance.
    """
    scan, source = corrupt(clean.scan, *weather, rng)
    seen = np.maximum(source, 0)
    from_nothing = source < 0
    return replace(
        clean,
        scan=scan,
        kind=np.where(from_nothing, KIND["void"], clean.kind[seen]).astype(clean.kind.dtype),
        instance=np.where(from_nothing, 0, clean.instance[seen]).astype(clean.instance.dtype),
        moving=~from_nothing & clean.moving[seen],
    )
