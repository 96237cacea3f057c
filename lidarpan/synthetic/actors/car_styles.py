"""The body styles of cars and vans, and the measures drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.tables import read_table

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """One body style. Lengths in metres; x as fractions of the length from nose to tail.

    Attributes:
        share: how often it is seen.
        length: range of the body's length.
        width: range of the body's width without mirrors.
        height: range of the body's height.
        cowl: where windscreen and bonnet meet.
        roof: where the roof begins and ends.
        tail: where the rear window meets the body; the boot lies behind.
        bonnet: height of the bonnet at the cowl as a fraction of the height.
        belt: height of the window sill as a fraction of the height.
        boot: height of the tail's upper edge as a fraction of the height.
        clearance: height of the sills above the ground.
        glazed: how far back the side windows reach, as a fraction of the cabin.
        bed: whether the part behind the cabin is an open bed.
        open_top: whether it has no roof.
    """

    share: float
    length: Range
    width: Range
    height: Range
    cowl: float
    roof: Range
    tail: float
    bonnet: float
    belt: float
    boot: float
    clearance: float = 0.19
    glazed: float = 1.0
    bed: bool = False
    open_top: bool = False


STYLES, VANS = (
    {name: Style(**row) for name, row in styles.items()}
    for styles in read_table("actors/cars").values()
)


def random_style(styles: dict[str, Style], rng: np.random.Generator) -> Style:
    """A style, drawn by its share."""
    shares = np.array([style.share for style in styles.values()])
    return list(styles.values())[int(rng.choice(len(shares), p=shares / shares.sum()))]


@dataclass(frozen=True)
class Measures:
    """One car's measures in metres; x runs from the tail (negative) to the nose (positive).

    Attributes:
        length: of the body.
        width: of the body without mirrors.
        height: above the ground.
        clearance: of the floor above the ground.
        cowl: x where windscreen and bonnet meet.
        roof: x of the roof's front and rear end.
        tail: x where the rear window meets the body.
        bonnet: height of the bonnet at the cowl.
        belt: height of the window sill.
        boot: height of the tail's upper edge.
        axles: x of the front and the rear axle.
        radius: of the wheels.
    """

    length: float
    width: float
    height: float
    clearance: float
    cowl: float
    roof: Range
    tail: float
    bonnet: float
    belt: float
    boot: float
    axles: Range
    radius: float


def random_measures(style: Style, rng: np.random.Generator) -> Measures:
    """One car of a style."""
    length, width = rng.uniform(*style.length), rng.uniform(*style.width)
    height = rng.uniform(*style.height)
    wiggle = rng.normal(0.0, 0.016, 6)
    front = length / 2

    def x(fraction: float) -> float:
        return front - fraction * length

    radius = np.clip(0.20 * height + rng.uniform(0.0, 0.04), 0.29, 0.38)
    overhang = np.clip(0.19 * length + rng.normal(0, 0.02), 0.66, 1.0)
    rear_overhang = np.clip(0.2 * length + rng.normal(0, 0.04), 0.6, 1.1)
    return Measures(
        length,
        width,
        height,
        style.clearance + rng.uniform(-0.03, 0.03),
        x(style.cowl + wiggle[0]),
        (x(style.roof[0] + wiggle[1]), x(style.roof[1] + wiggle[2])),
        max(x(style.tail + wiggle[2] / 2), 0.09 - front),
        (style.bonnet + wiggle[3]) * height,
        (style.belt + wiggle[4]) * height,
        (style.boot + wiggle[5]) * height,
        (front - overhang, -front + rear_overhang),
        float(radius),
    )
