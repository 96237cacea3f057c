"""Houses, blocks of flats, garages and halls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lidarpan.synthetic.towns.facades import Wall, draw_facade
from lidarpan.synthetic.towns.site import Pose, Site, draw, pick, place


def add_building(
    site: Site, frame: Pose, x: float, y: float, length: float, depth: float, height: float,
    rng: np.random.Generator, roof: str | None = None, yaw: float = 0.0, use: str = "house",
    sides: Sequence[int] = (0, 1, 2, 3),
) -> None:  # fmt: skip
    """A building whose middle is (x, y) in a local frame.

    Args:
        site: takes the parts.
        frame: local frame, x along the street.
        x: of the middle.
        y: of the middle.
        length: along x.
        depth: along y.
        height: of the walls.
        rng: source of chance.
        roof: "gable", "cross" (ridge along y), "hip" or "flat"; drawn when None.
        yaw: turn in the frame.
        use: "house", "block" or "hall".
        sides: walls that are seen: 0 is the front, then counter-clockwise.
    """
    cx, cy = place(frame, x, y)
    own: Pose = (cx, cy, frame[2] + yaw)
    look = draw_facade(rng, use)
    roof = roof or str(rng.choice(("gable", "cross", "hip", "flat"), p=(0.45, 0.13, 0.2, 0.22)))
    size = (length, depth, height + 1.5)
    site.add("box", own, size, "building", look.material, bottom=-1.5, anchor=(cx, cy))
    _add_roof(site, own, length, depth, height, roof, rng)
    has_balconies = height > 5 and rng.random() < 0.25
    ivied = sides[int(rng.random() * len(sides))] if rng.random() < 0.12 else None
    for side in sides:
        wide, half = (length, depth / 2) if side % 2 == 0 else (depth, length / 2)
        turn = side * np.pi / 2
        front = (*place(own, half * np.sin(turn), -half * np.cos(turn)), own[2] + turn)
        wall = Wall(site, front, (cx, cy), wide, height, look, rng)
        wall.cover()
        if side == 0:
            wall.add_entrance()
        if has_balconies and side in (0, 2):
            wall.add_balconies()
        if side == ivied:
            wall.add_ivy()


def add_canopy(
    site: Site, pose: Pose, size: tuple[float, float, float], rng: np.random.Generator
) -> None:
    """A flat roof on posts: a carport, a covered walkway, a filling station, a pavilion.

    Args:
        site: takes the parts.
        pose: of its middle.
        size: length, width and clear height, metres.
        rng: source of chance.
    """
    length, width, height = size
    made, wide = pick(rng, ("wood", "metal", "concrete")), draw(rng, 0.08, 0.35)
    roof = (length + 0.4, width + 0.4, draw(rng, 0.12, 0.6))
    site.add("box", pose, roof, "building", made, bottom=height, anchor=pose[:2])
    spans = max(1, round(length / draw(rng, 3, 6)))
    xs, y = np.linspace(-length / 2, length / 2, spans + 1), width / 2
    post = (wide, wide, height + 0.3)
    for x in xs:
        for at in ((float(x), y), (float(x), -y)):
            site.add("box", pose, post, "building", made, at=at, bottom=-0.3, anchor=pose[:2])
    if rng.random() < 0.4:  # closed behind
        wall = (length, 0.1, height)
        site.add("box", pose, wall, "building", made, at=(0, y), anchor=pose[:2])


def add_backdrop(
    site: Site, frame: Pose, half: float, used: float, depth: float, rng: np.random.Generator
) -> None:
    """Sometimes a house or a tall block far back on a plot, behind all else on it.

    Args:
        site: takes the parts.
        frame: of the plot.
        half: its width.
        used: how far back the plot is built on.
        depth: of the plot.
        rng: source of chance.
    """
    deep = 9.0
    if depth - used > deep + 1 and rng.random() < 0.55:
        length = 2 * half * draw(rng, 0.35, 1.0)
        low = rng.random() < 0.5
        height = draw(rng, 3.5, 9) if low else draw(rng, 9, 34)
        x = draw(rng, -0.5, 0.5) * (2 * half - length)
        add_building(
            site, frame, x, depth - deep / 2, length, deep, height, rng,
            None if low else "flat", use="house" if low else "block", sides=(0, 1, 3),
        )  # fmt: skip


def _add_roof(
    site: Site, own: Pose, length: float, depth: float, height: float, roof: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    x, y, yaw = own
    over = draw(rng, 0.3, 0.7)
    if roof == "flat":
        size = (length + 0.1, depth + 0.1, 0.3)
        site.add("box", own, size, "building", "concrete", bottom=height)
        return
    turned = roof == "cross"
    span = length if turned else depth
    size = (
        (depth if turned else length) + 2 * over,
        span + 2 * over,
        span * rng.uniform(0.3, 0.55),
    )
    inset = draw(rng, 0.4, 0.8) if roof == "hip" else 0.0
    pose = (x, y, yaw + np.pi / 2 * turned)
    site.add("gable", pose, size, "building", "brick", bottom=height - 0.1, parameter=inset)
    if rng.random() < 0.6:
        at = (draw(rng, -0.3, 0.3) * length, 0.5)
        size = (0.6, 0.6, size[2] + 0.8)
        site.add("box", own, size, "building", "brick", at=at, bottom=height, anchor=(x, y))
