"""The body styles of cars and vans, and the measures drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


STYLES: dict[str, Style] = {
    "hatchback": Style(
        0.27, (3.7, 4.5), (1.65, 1.83), (1.40, 1.55), 0.26, (0.44, 0.85), 0.965, 0.66, 0.65, 0.66
    ),
    "sedan": Style(
        0.15, (4.3, 5.2), (1.72, 1.92), (1.38, 1.52), 0.27, (0.44, 0.69), 0.84, 0.66, 0.65, 0.70
    ),
    "estate": Style(
        0.14, (4.4, 5.0), (1.74, 1.90), (1.42, 1.55), 0.26, (0.43, 0.88), 0.975, 0.65, 0.64, 0.66
    ),
    "suv": Style(
        0.18, (4.0, 4.9), (1.76, 1.96), (1.55, 1.80), 0.26, (0.42, 0.87), 0.97, 0.65, 0.63, 0.64,
        clearance=0.24,
    ),
    "large_suv": Style(
        0.03, (4.8, 5.4), (1.92, 2.05), (1.75, 1.98), 0.24, (0.38, 0.92), 0.98, 0.62, 0.60, 0.62,
        clearance=0.28,
    ),
    "mpv": Style(
        0.08, (4.1, 5.1), (1.72, 1.95), (1.55, 1.90), 0.19, (0.38, 0.89), 0.975, 0.60, 0.59, 0.60
    ),
    "city": Style(
        0.06, (3.0, 3.75), (1.56, 1.69), (1.42, 1.60), 0.22, (0.40, 0.88), 0.98, 0.64, 0.63, 0.64
    ),
    "coupe": Style(
        0.03, (3.9, 4.8), (1.72, 1.95), (1.20, 1.40), 0.31, (0.48, 0.66), 0.90, 0.69, 0.68, 0.72
    ),
    "cabriolet": Style(
        0.02, (3.7, 4.7), (1.68, 1.88), (1.25, 1.42), 0.30, (0.44, 0.72), 0.82, 0.69, 0.68, 0.70,
        open_top=True,
    ),
    "pickup": Style(
        0.04, (4.9, 5.9), (1.80, 2.05), (1.70, 1.95), 0.25, (0.38, 0.58), 0.62, 0.62, 0.60, 0.60,
        clearance=0.28, bed=True,
    ),
}  # fmt: skip
VANS: dict[str, Style] = {
    "compact": Style(
        0.32, (4.2, 4.9), (1.75, 1.92), (1.75, 1.95), 0.19, (0.35, 0.96), 0.99, 0.56, 0.55, 0.55,
        glazed=0.4,
    ),
    "minibus": Style(
        0.25, (4.7, 5.6), (1.86, 2.02), (1.85, 2.15), 0.15, (0.28, 0.96), 0.99, 0.54, 0.52, 0.52,
    ),
    "panel": Style(
        0.33, (4.9, 6.6), (1.92, 2.10), (2.1, 2.8), 0.13, (0.26, 0.97), 0.99, 0.47, 0.46, 0.46,
        clearance=0.22, glazed=0.25,
    ),
    "long_panel": Style(
        0.1, (6.4, 7.3), (1.98, 2.15), (2.5, 3.0), 0.12, (0.23, 0.98), 0.99, 0.44, 0.43, 0.43,
        clearance=0.24, glazed=0.25,
    ),
}  # fmt: skip


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
