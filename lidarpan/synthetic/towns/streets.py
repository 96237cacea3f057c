"""Streets become painted ground: sidewalks, bays, kerbs, junctions, lane markings."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.towns.layout import Junction, Layout, Points, Street
from lidarpan.synthetic.towns.site import Site, draw, pick


def paint_streets(site: Site, layout: Layout, rng: np.random.Generator) -> None:
    """Paint all streets: first what lies beside the roads, then the roads, then what is on them."""
    looks = [_look(rng) for _ in layout.streets]
    for street, look in zip(layout.streets, looks, strict=True):
        _paint_borders(site, street, look)
    for junction in layout.junctions:
        walk = looks[junction.side]["sidewalk"]
        _paint_corners(site, layout, junction, walk, outer=True)
    for street, look in zip(layout.streets, looks, strict=True):
        _paint_bays(site, street, look, rng)
    for street in layout.streets:
        half = street.profile.half_width
        site.cover("road", street.ribbon(0, street.length, -half, half))
        crown = street.ribbon(0, street.length, -0.5 * half, 0.5 * half)
        site.mounds.append((draw(rng, 0.0, 0.1), crown))
    for junction in layout.junctions:
        _paint_corners(site, layout, junction, "road", outer=False)
    for street, look in zip(layout.streets, looks, strict=True):
        _paint_median(site, street, layout, look)
        if street.profile.marked:
            _paint_markings(site, street, layout)
    for junction in layout.junctions:
        _paint_crosswalks(site, layout, junction, rng)
        _paint_refuge(site, layout, junction, rng)


_WALKS = (
    "sidewalk", "sidewalk", "sidewalk_flush", "sidewalk_high", "sidewalk_asphalt", "sidewalk_setts"
)  # fmt: skip
_BAYS = ("bay", "bay_asphalt", "bay_asphalt", "bay_raised")


def _look(rng: np.random.Generator) -> dict[str, str]:
    walk = pick(rng, _WALKS)
    return {
        "sidewalk": walk,
        "strip": pick(rng, ("verge", "verge", "turf", "turf", "soil", walk, walk)),
        "bay": pick(rng, _BAYS),
        "bay_line": pick(rng, ("bay_line", "")),
        "median": pick(rng, ("island", "verge", "verge", "turf", "turf", "rails")),
    }


def _paint_borders(site: Site, street: Street, look: dict[str, str]) -> None:
    profile = street.profile
    for side in (-1, 1):
        inner = profile.half_width
        strip = "verge" if profile.style in ("rural", "highway") else look["strip"]
        for name, width in (
            (strip, profile.bay[side] + profile.strip[side]),
            ("bikeway", profile.bikeway[side]),
            (look["sidewalk"], profile.sidewalk[side]),
        ):
            if width > 0:
                low, high = sorted((side * inner, side * (inner + width)))
                site.cover(name, street.ribbon(0, street.length, low, high))
                inner += width
        if profile.style in ("rural", "highway") and profile.sidewalk[side] == 0:
            low, high = sorted((side * (inner + 0.5), side * (inner + 2.0)))
            site.cover("ditch", street.ribbon(0, street.length, low, high))


def _paint_bays(site: Site, street: Street, look: dict[str, str], rng: np.random.Generator) -> None:
    """Parking strips, broken by kerb islands every few cars."""
    profile = street.profile
    for side in (-1, 1):
        width = profile.bay[side]
        s = 8.0
        while width > 0 and s < street.length:
            run = draw(rng, 10, 40)
            low, high = sorted((side * profile.half_width, side * (profile.half_width + width)))
            stop = min(s + run, street.length)
            site.cover(look["bay"], street.ribbon(s, stop, low, high))
            if look["bay_line"]:
                _paint_stalls(site, street, s, stop, side * width)
            s += run + draw(rng, 1.5, 6)


def _paint_stalls(site: Site, street: Street, start: float, stop: float, width: float) -> None:
    """Lines between the places of a bay: one behind another, or side by side in a deep bay."""
    low, high = sorted((0.0, width))
    offset = np.sign(width) * street.profile.half_width
    pitch = 2.5 if abs(width) > 4.2 else 5.7
    for s in np.arange(start + 0.1, stop, pitch):
        site.cover("bay_line", street.ribbon(s, s + 0.15, offset + low, offset + high))
    site.cover("bay_line", street.ribbon(start, stop, offset - 0.08, offset + 0.08))


def _paint_median(site: Site, street: Street, layout: Layout, look: dict[str, str]) -> None:
    half = street.profile.median / 2
    if half == 0:
        return
    gaps = [(j.s - 10, j.s + 10) for j in layout.junctions if j.main == street.number]
    for start, stop in _between(gaps, street.length):
        site.cover(look["median"], street.ribbon(start, stop, -half, half))


def _between(gaps: list[tuple[float, float]], length_m: float) -> list[tuple[float, float]]:
    """The pieces of 0..length_m outside the gaps."""
    pieces, start = [], 0.0
    for low, high in sorted(gaps):
        if low > start + 1:
            pieces.append((start, low))
        start = max(start, high)
    if length_m > start + 1:
        pieces.append((start, length_m))
    return pieces


def _paint_markings(site: Site, street: Street, layout: Layout) -> None:
    profile = street.profile
    gaps = [(j.s - 9, j.s + 9) for j in layout.junctions if j.main == street.number]
    if street.number:
        gaps.append((-1.0, 14.0))
    inner = profile.median / 2
    lanes = max(1, round((profile.half_width - inner) / 3.3))
    lane = (profile.half_width - inner) / lanes
    offsets = [s * (inner + k * lane) for k in range(1, lanes) for s in (-1, 1)]
    if inner == 0:
        offsets.append(0.0)
    edge = profile.half_width - 0.25
    for start, stop in _between(gaps, street.length):
        for offset in offsets:
            for s in np.arange(start, stop - 3, 9.0):
                site.cover("marking", street.ribbon(s, s + 3.5, offset - 0.09, offset + 0.09))
        if profile.style in ("rural", "highway"):
            for offset in (-edge, edge):
                site.cover("marking", street.ribbon(start, stop, offset - 0.09, offset + 0.09))


def _bezier(a: Points, control: Points, b: Points) -> Points:
    t = np.linspace(0, 1, 9)[:, None]
    curve: Points = (1 - t) ** 2 * a + 2 * t * (1 - t) * control + t**2 * b
    return curve


def _paint_corners(
    site: Site, layout: Layout, junction: Junction, surface: str, outer: bool
) -> None:
    """Round the corners between a street and the one that meets it."""
    main, side = layout.streets[junction.main], layout.streets[junction.side]
    arm = junction.arms[0]
    along = np.array([np.cos(main.frame(junction.s)[2]), np.sin(main.frame(junction.s)[2])])
    heading = side.headings[0]
    away = np.array([np.cos(heading), np.sin(heading)])
    main_edge = main.profile.edge(arm) if outer else main.profile.half_width
    for turn in (-1, 1):
        flank = turn * -arm
        side_edge = side.profile.edge(flank) if outer else side.profile.half_width
        across = np.array([-along[1], along[0]]) * arm
        flank_way = np.array([-away[1], away[0]]) * flank
        # corner = start + across * main_edge + k * along = start + flank_way * side_edge + m * away
        system = np.stack([along, -away], axis=1)
        k, _ = np.linalg.solve(system, flank_way * side_edge - across * main_edge)
        corner = side.points[0] + across * main_edge + k * along
        radius = 4.0 if outer else 6.0
        a, b = corner + turn * np.sign(k * turn) * along * radius, corner + away * radius
        site.cover(surface, np.concatenate([[corner], _bezier(a, corner, b)]))


def _paint_crosswalks(
    site: Site, layout: Layout, junction: Junction, rng: np.random.Generator
) -> None:
    side = layout.streets[junction.side]
    main = layout.streets[junction.main]
    if rng.random() > 0.35:
        return
    start = main.profile.edge(junction.arms[0]) + draw(rng, 0, 3)
    half = side.profile.half_width
    for offset in np.arange(-half + 0.4, half - 0.4, 1.0):
        site.cover("marking", side.ribbon(start, start + 3.0, offset, offset + 0.5))


def _paint_refuge(site: Site, layout: Layout, junction: Junction, rng: np.random.Generator) -> None:
    """A raised island in the middle of a wide road, where people cross it."""
    main = layout.streets[junction.main]
    if main.profile.median or main.profile.half_width < 5 or rng.random() < 0.5:
        return
    start = junction.s + pick(rng, (-1, 1)) * draw(rng, 10, 16)
    half = draw(rng, 0.5, 1.0)
    outline = main.ribbon(start, start + draw(rng, 3, 12), -half, half)
    site.cover(pick(rng, ("island", "island", "verge", "turf")), outline)
