"""What is found here and there along a street: groups, racks, bus stops, road works."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.towns.furniture import (
    add_shelter,
)
from lidarpan.synthetic.towns.layout import Layout, Street
from lidarpan.synthetic.towns.site import Pose, Site, draw, pick, place
from lidarpan.synthetic.towns.stock import VARIANTS


def variant(kind: str, rng: np.random.Generator) -> int:
    """Which shape of a kind, by chance."""
    return int(rng.integers(VARIANTS[kind]))


def free(layout: Layout, street: Street, pose: Pose, room_m: float) -> bool:
    """Whether a pose keeps room_m metres from the land of every other street."""
    point = np.array([pose[:2]])
    return bool(layout.clearance(point, street.number)[0] > room_m)


def along(street: Street, s: float, offset: float, side: int) -> Pose:
    """Pose at an offset whose x axis follows the traffic of that side (right-hand)."""
    x, y, yaw = street.frame(s, offset)
    return x, y, yaw if side < 0 else yaw + np.pi


def gather(
    site: Site, layout: Layout, street: Street, side: int, start: float, stop: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """People in groups, bicycles at racks, motorcycles in a row, bus stops."""
    profile = street.profile
    walk = profile.sidewalk[side]
    if profile.style == "highway":
        return
    middle = profile.edge(side) - max(walk, 0.8) / 2
    for _ in range(int(rng.poisson(0.55 if walk else 0.15))):
        offset = middle  # or close to the hedge, wall or front behind the pavement
        if rng.random() < 0.5:
            offset = profile.edge(side) - draw(rng, 0.0, 0.6)
        pose = street.frame(draw(rng, start, stop), side * offset)
        if free(layout, street, pose, 0.0):
            group(site, pose, rng)
    for _ in range(int(rng.poisson(0.6 if walk else 0.0))):
        pose = street.frame(draw(rng, start, stop), side * (profile.edge(side) - 0.35))
        if free(layout, street, pose, 0.5):
            kind = pick(rng, ("bicycle", "bicycle", "motorcycle"))
            turn = float(rng.normal(0, 0.15))
            site.put(kind, variant(kind, rng), (pose[0], pose[1], pose[2] + turn))
    if rng.random() < 0.12:
        _row_of(site, layout, street, side, draw(rng, start, stop), rng)
    if rng.random() < 0.3 and walk:
        pose = street.frame(draw(rng, start, stop), side * (profile.edge(side) - 0.9))
        kind = "bicycle" if rng.random() < 0.6 else "motorcycle"
        if free(layout, street, pose, 2.0):
            pitch = draw(rng, 0.45, 0.8) if kind == "bicycle" else 1.1
            for k in range(int(rng.integers(1, 7))):
                px, py = place(pose, pitch * k, 0)
                turn = np.pi / 2 + float(rng.normal(0, 0.1))
                site.put(kind, variant(kind, rng), (px, py, pose[2] + turn))
                if kind == "bicycle" and rng.random() < 0.6:
                    size = (0.05, 0.7, 0.75)
                    site.add("box", (px, py, pose[2]), size, "clutter", "metal")
    if rng.random() < 0.08 and walk > 1.8:
        _bus_stop(site, layout, street, side, draw(rng, start, stop), rng)


def _row_of(
    site: Site, layout: Layout, street: Street, side: int, s: float, rng: np.random.Generator
) -> None:
    """A few cones or barriers at the kerb."""
    kind = pick(rng, ("cone", "barrier"))
    step = draw(rng, 1.0, 2.0) if kind == "cone" else draw(rng, 1.6, 2.6)
    offset = side * (street.profile.half_width + draw(rng, -0.6, 0.6))
    for k in range(int(rng.integers(2, 7))):
        pose = street.frame(s + k * step, offset)
        if free(layout, street, pose, 0.0):
            site.put(kind, variant(kind, rng), pose)


def group(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """One to five people close together."""
    for _ in range(pick(rng, (1, 1, 2, 2, 3, 5, 7))):
        kind = "child" if rng.random() < 0.15 else "pedestrian"
        px, py = place(pose, float(rng.normal(0, 0.9)), float(rng.normal(0, 0.35)))
        turn = pick(rng, (0, np.pi)) + float(rng.normal(0, 0.6))
        site.put(kind, variant(kind, rng), (px, py, pose[2] + turn))


def _bus_stop(
    site: Site, layout: Layout, street: Street, side: int, s: float, rng: np.random.Generator
) -> None:
    profile = street.profile
    pose = along(street, s, side * (profile.edge(side) - 0.6), side)
    if not free(layout, street, pose, 4.0):
        return
    add_shelter(site, pose, rng)
    for _ in range(int(rng.integers(1, 4))):
        group(site, (*place(pose, draw(rng, -2, 2), draw(rng, -0.2, 1.3)), pose[2]), rng)
    kerb = side * (profile.half_width - 1.5)
    if rng.random() < 0.6 and profile.half_width > 3.2:
        site.put("bus", variant("bus", rng), along(street, s + 6, kerb, side))


def road_works(
    site: Site, layout: Layout, street: Street, start: float, stop: float, rng: np.random.Generator
) -> None:
    """A closed piece of a lane with cones or barriers, workers and a machine."""
    side = pick(rng, (-1, 1))
    s0, run = draw(rng, start, stop - 5), draw(rng, 10, 22)
    inner = side * (street.profile.half_width - draw(rng, 1.5, 2.6))
    outer = side * (street.profile.half_width + 0.5)
    for s in np.arange(s0, s0 + run, draw(rng, 1.6, 3)):
        for offset in (inner, outer):
            kind = "cone" if rng.random() < 0.5 else "barrier"
            pose = street.frame(float(s), offset)
            if free(layout, street, pose, 0.0):
                site.put(kind, variant(kind, rng), pose)
    for _ in range(int(rng.integers(1, 5))):
        pose = street.frame(s0 + draw(rng, 1, run), (inner + outer) / 2)
        turn = draw(rng, 0, 6.28)
        site.put("worker", variant("worker", rng), (pose[0], pose[1], turn))
    if rng.random() < 0.7:
        pose = street.frame(s0 + run / 2, (inner + outer) / 2)
        kind = "construction_vehicle" if rng.random() < 0.65 else "truck"
        site.put(kind, variant(kind, rng), pose)
