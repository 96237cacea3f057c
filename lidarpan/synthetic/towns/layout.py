"""The street network of a town: streets with their cross-sections, and where they meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lidarpan.synthetic.tables import read_table
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


STYLES = read_table("towns/streets")
"""Name of a style -> its row in streets.yaml, which says what the numbers mean."""


def make_profile(rng: np.random.Generator, style: str) -> Profile:
    """Draw the cross-section of a street of a style."""
    row = STYLES[style]
    has_median = "median" in row and (
        "median_chance" not in row or rng.random() < row["median_chance"]
    )
    median = draw(rng, *row["median"]) if has_median else 0.0
    lanes = 1
    if style == "main":
        road = pick(rng, (3.3, 6.5, 7.0))
        lanes, half_width = 1 + (road > 5), road + median / 2 + 0.3
    elif style == "avenue":
        lanes = pick(rng, (2, 2, 3, 4))
        half_width = lanes * draw(rng, 3.1, 3.6) + median / 2
    else:
        is_narrow = "one_lane" in row and rng.random() < row["one_lane"]
        half_width = draw(rng, *((1.6, 2.5) if is_narrow else row["half_width"])) + median / 2
    bay, strip, bikeway = (_beside(rng, row.get(part)) for part in ("bay", "strip", "bikeway"))
    walks = row.get("sidewalk")
    sidewalk = _walks(rng, row["square"], *walks) if "square" in row else _beside(rng, walks)
    marked = "marked" not in row or rng.random() < row["marked"]
    ego_lane = 0
    if style == "avenue":
        ego_lane = int(rng.integers(lanes))
    elif style == "highway" or lanes > 1:
        ego_lane = int(rng.random() < row["inner_lane"])
    return Profile(style, half_width, median, bay, strip, bikeway, sidewalk, marked, ego_lane)


def _beside(
    rng: np.random.Generator, widths: tuple[float, float, float] | None
) -> dict[int, float]:
    """Width of a strip on either side: a chance that there is one, and its range in metres."""
    if widths is None:
        return {-1: 0.0, 1: 0.0}
    chance, low, high = widths
    return {side: draw(rng, low, high) if rng.random() < chance else 0.0 for side in (-1, 1)}


def _walks(
    rng: np.random.Generator, square: float, chance: float, low: float, high: float
) -> dict[int, float]:
    """Widths of the sidewalks of a street: from low to high metres, or by a chance a square's."""
    drawn = {side: draw(rng, low, high) for side in (-1, 1)}
    wide = {side: draw(rng, high, 16.0) if rng.random() < square else drawn[side] for side in drawn}
    return {side: wide[side] if rng.random() < chance else 0.0 for side in wide}


def make_layout(rng: np.random.Generator, length_m: float) -> Layout:
    """A main street of at least length_m metres and streets that meet it."""
    style = str(rng.choice(tuple(STYLES), p=[row["share"] for row in STYLES.values()]))
    row, profile = STYLES[style], make_profile(rng, style)
    sides, shares = zip(*row["joined_by"].items(), strict=True)
    main = _curve(rng, np.zeros(2), 0.0, length_m, row["bend"], profile, 0)
    streets, junctions = [main], []
    s = draw(rng, 15, 60)
    while s < length_m - 15:
        arms = ((-1,), (1,), (-1, 1))[int(rng.choice(3, p=(0.33, 0.33, 0.34)))]
        for arm in arms:
            x, y, yaw = main.frame(s)
            turn = np.pi / 2 + float(np.clip(rng.normal(0, 0.22), -0.6, 0.6))
            heading = yaw + arm * turn
            side_profile = make_profile(rng, str(rng.choice(sides, p=shares)))
            reach = draw(rng, 50, 130)
            streets.append(
                _curve(rng, np.array([x, y]), heading, reach, 0.7, side_profile, len(streets))
            )
            junctions.append(Junction(0, len(streets) - 1, s, (arm,)))
        s += row["spacing_m"] * draw(rng, 0.45, 1.6)
    return Layout(tuple(streets), tuple(junctions))


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
