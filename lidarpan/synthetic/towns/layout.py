"""The street network of a town: streets with their cross-sections, and where they meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lidarpan.synthetic.towns.site import Pose, draw, pick

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """The cross-section of a street, metres; sides are -1 (right) and 1 (left).

    Attributes:
        style: one of STYLES.
        half_width: from the centreline to the kerb.
        median: full width of the strip in the middle, 0 for none.
        bay: width of the parking strip beyond the kerb, per side; 0 for none.
        strip: width of the planted strip after it, per side.
        bikeway: width of the cycle path, per side.
        sidewalk: width of the sidewalk, per side.
        marked: whether lanes are painted.
        ego_lane: which lane the ego keeps to, counted from the kerb.
    """

    style: str
    half_width: float
    median: float
    bay: dict[int, float]
    strip: dict[int, float]
    bikeway: dict[int, float]
    sidewalk: dict[int, float]
    marked: bool
    ego_lane: int = 0

    def edge(self, side: int) -> float:
        """From the centreline to where private land begins."""
        return (
            self.half_width + self.bay[side] + self.strip[side]
            + self.bikeway[side] + self.sidewalk[side]
        )  # fmt: skip


@dataclass(frozen=True)
class Street:
    """A centreline, one point a metre, and a cross-section.

    Attributes:
        points: (S, 2) float64 world metres.
        headings: (S,) float64 radians.
        profile: the cross-section.
        number: of this street in its town.
    """

    points: Points
    headings: NDArray[np.float64]
    profile: Profile
    number: int

    @property
    def length(self) -> float:
        """Metres."""
        return float(len(self.points) - 1)

    def frame(self, s: float, offset: float = 0.0) -> Pose:
        """Pose at s metres along, offset metres to the left."""
        s = float(np.clip(s, 0, self.length - 1e-6))
        index = int(s)
        share = s - index
        x, y = (1 - share) * self.points[index] + share * self.points[index + 1]
        turn = self.headings[index + 1] - self.headings[index]
        yaw = float(self.headings[index] + share * turn)
        return float(x - offset * np.sin(yaw)), float(y + offset * np.cos(yaw)), yaw

    def line(self, start: float, stop: float, offset: float) -> Points:
        """The line parallel to the centreline. -> (K, 2)."""
        s = np.linspace(
            max(start, 0.0), min(stop, self.length), max(2, int((stop - start) / 2) + 1)
        )
        index = np.minimum(s.astype(int), len(self.points) - 2)
        share = (s - index)[:, None]
        middle = (1 - share) * self.points[index] + share * self.points[index + 1]
        yaw = self.headings[index]
        line: Points = middle + offset * np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
        return line

    def ribbon(self, start: float, stop: float, right: float, left: float) -> Points:
        """The outline between two parallels. -> (K, 2)."""
        return np.concatenate([self.line(start, stop, right), self.line(start, stop, left)[::-1]])


@dataclass(frozen=True)
class Junction:
    """Street main meets street side at s metres along main; arms: sides of main it leaves on."""

    main: int
    side: int
    s: float
    arms: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """All streets (the ego's is number 0) and junctions of a town."""

    streets: tuple[Street, ...]
    junctions: tuple[Junction, ...]

    @cached_property
    def _samples(self) -> tuple[Points, NDArray[np.float64], NDArray[np.int64]]:
        """Every third centreline point (M, 2), its street's half width and its street's number."""
        points = [street.points[::3] for street in self.streets]
        counts = [len(part) for part in points]
        edges = [max(s.profile.edge(-1), s.profile.edge(1)) for s in self.streets]
        numbers = [street.number for street in self.streets]
        return np.concatenate(points), np.repeat(edges, counts), np.repeat(numbers, counts)

    def clearance(self, points: Points, besides: int) -> NDArray[np.float64]:
        """Metres from points to the nearest other street's private edge. (K, 2) -> (K,)."""
        samples, edges, numbers = self._samples
        squared = (points[:, None, 0] - samples[:, 0]) ** 2
        squared += (points[:, None, 1] - samples[:, 1]) ** 2
        gap = np.sqrt(squared) - edges
        gap[:, numbers == besides] = np.inf
        nearest: NDArray[np.float64] = gap.min(axis=1)
        return nearest


def make_profile(rng: np.random.Generator, style: str) -> Profile:
    """Draw the cross-section of a street of a style."""

    def each(chance: float, low: float, high: float) -> dict[int, float]:
        return {s: draw(rng, low, high) if rng.random() < chance else 0.0 for s in (-1, 1)}

    none = {-1: 0.0, 1: 0.0}
    match style:
        case "residential":
            return Profile(
                style, _half_width(rng, 2.5, 4.1), 0.0, each(0.24, 2.0, 2.4),
                each(0.4, 0.8, 4.0), none, _walks(rng, 0.97, 1.5, 4.5),
                bool(rng.random() < 0.15),
            )  # fmt: skip
        case "urban":
            return Profile(
                style, _half_width(rng, 3.0, 5.5), 0.0, each(0.5, 2.0, 5.0),
                each(0.3, 0.8, 2.0), each(0.2, 1.2, 2.0), _walks(rng, 1.0, 2.0, 4.5),
                bool(rng.random() < 0.5),
            )  # fmt: skip
        case "main":
            median = draw(rng, 1.2, 6.0) if rng.random() < 0.6 else 0.0
            lanes = pick(rng, [3.3, 6.5, 7.0])
            return Profile(
                style, lanes + median / 2 + 0.3, median, each(0.25, 2.0, 2.5),
                each(0.6, 1.0, 4.0), each(0.45, 1.5, 2.2), each(0.95, 1.8, 3.5), True,
                int(lanes > 5 and rng.random() < 0.4),
            )  # fmt: skip
        case "avenue":
            median = draw(rng, 1.0, 5.0) if rng.random() < 0.55 else 0.0
            count = pick(rng, (2, 2, 3, 4))
            return Profile(
                style, count * draw(rng, 3.1, 3.6) + median / 2, median, each(0.2, 2.0, 2.6),
                each(0.55, 1.0, 5.0), each(0.2, 1.5, 2.5), each(0.97, 2.0, 8.0), True,
                int(rng.integers(count)),
            )  # fmt: skip
        case "rural":
            return Profile(
                style, draw(rng, 2.4, 3.7), 0.0, none, each(1.0, 0.8, 3.0), none,
                each(0.2, 1.4, 2.2), bool(rng.random() < 0.4),
            )  # fmt: skip
        case _:
            median = draw(rng, 1.5, 5.0)
            return Profile(
                "highway", draw(rng, 7.5, 11.5) + median / 2, median, none,
                each(1.0, 2.0, 5.0), none, none, True, int(rng.random() < 0.5),
            )  # fmt: skip


def _half_width(rng: np.random.Generator, low: float, high: float) -> float:
    """Of a street: one lane between its kerbs in three of ten, else from low to high metres."""
    return draw(rng, 1.6, 2.5) if rng.random() < 0.3 else draw(rng, low, high)


def _walks(rng: np.random.Generator, chance: float, low: float, high: float) -> dict[int, float]:
    """Widths of the sidewalks of a street: from low to high metres, one in four a square's."""
    drawn = {side: draw(rng, low, high) for side in (-1, 1)}
    wide = {side: draw(rng, high, 11.0) if rng.random() < 0.25 else drawn[side] for side in drawn}
    return {side: wide[side] if rng.random() < chance else 0.0 for side in wide}


STYLES = ("residential", "urban", "main", "avenue", "rural", "highway")
_STYLE_SHARES = (0.46, 0.21, 0.10, 0.11, 0.08, 0.04)
_BEND = dict(zip(STYLES, (1.0, 0.5, 0.4, 0.25, 1.2, 0.25), strict=True))
_SPACING_M = dict(zip(STYLES, (65, 75, 90, 90, 140, 300), strict=True))


def make_layout(rng: np.random.Generator, length_m: float) -> Layout:
    """A main street of at least length_m metres and streets that meet it."""
    style = str(rng.choice(STYLES, p=_STYLE_SHARES))
    profile = make_profile(rng, style)
    main = _curve(rng, np.zeros(2), 0.0, length_m, _BEND[style], profile, 0)
    streets, junctions = [main], []
    s = draw(rng, 15, 60)
    while s < length_m - 15:
        arms = ((-1,), (1,), (-1, 1))[int(rng.choice(3, p=(0.33, 0.33, 0.34)))]
        for arm in arms:
            x, y, yaw = main.frame(s)
            turn = np.pi / 2 + float(np.clip(rng.normal(0, 0.22), -0.6, 0.6))
            heading = yaw + arm * turn
            side_style = str(rng.choice(_SIDE_STYLES, p=_side_shares(style)))
            side_profile = make_profile(rng, side_style)
            reach = draw(rng, 50, 130)
            streets.append(
                _curve(rng, np.array([x, y]), heading, reach, 0.7, side_profile, len(streets))
            )
            junctions.append(Junction(0, len(streets) - 1, s, (arm,)))
        s += _SPACING_M[style] * draw(rng, 0.45, 1.6)
    return Layout(tuple(streets), tuple(junctions))


_SIDE_STYLES = ("residential", "urban", "avenue", "rural")


def _side_shares(style: str) -> tuple[float, ...]:
    match style:
        case "avenue":
            return 0.15, 0.55, 0.3, 0.0
        case "urban" | "main":
            return 0.35, 0.55, 0.05, 0.05
        case "residential":
            return 0.8, 0.12, 0.0, 0.08
        case _:
            return 0.4, 0.05, 0.0, 0.55


def _curve(
    rng: np.random.Generator,
    start: Points,
    heading: float,
    length_m: float,
    bend: float,
    profile: Profile,
    number: int,
) -> Street:
    """A street whose curvature changes every few tens of metres; radii stay above 25 m."""
    count = int(length_m) + 2
    knots = np.arange(0, count + 45, 45)
    values = rng.normal(0, 0.009 * bend, len(knots)) * (rng.random(len(knots)) < 0.65)
    curvature = np.clip(np.interp(np.arange(count), knots, values), -0.03, 0.03)
    curvature[:12] *= 0.2
    headings = heading + np.cumsum(curvature)
    headings -= curvature[0]
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    points = start + np.cumsum(steps, axis=0) - steps[0]
    return Street(points, headings, profile, number)
