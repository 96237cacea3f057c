"""Fences, walls and railings, bare or overgrown."""

from __future__ import annotations

import math

import numpy as np

from lidarpan.synthetic.towns.site import Pose, Site, draw, draw_log, pick, place
from lidarpan.synthetic.towns.vegetation import add_hedge

FENCES = ("boards", "pickets", "mesh", "wall", "brick_wall", "rail", "railing")
_SHARES = (0.17, 0.17, 0.22, 0.13, 0.1, 0.06, 0.15)
_WALLS = ("wall", "brick_wall")


def add_fence(
    site: Site, frame: Pose, x0: float, x1: float, y: float, rng: np.random.Generator,
    sort: str | None = None,
) -> None:  # fmt: skip
    """A fence or wall along x of a local frame, in straight pieces that follow the ground.

    Pickets, wire and bars are thin porous bodies that stop an eighth to four fifths of the rays.
    A railing stands on a low wall, often between pillars. Half of all are overgrown, or stand
    close before a hedge.
    """
    sort = sort or str(rng.choice(FENCES, p=_SHARES))
    height, bottom = _draw_height(sort, rng), 0.35 if sort == "rail" else -0.2
    plinth = draw(rng, 0.15, 0.5) if sort == "railing" else 0.0
    thick, kind, material, density = _draw_make(sort, rng)
    wall = pick(rng, ("plaster", "brick", "concrete"))
    pillar = draw(rng, 0.25, 0.4) if sort in ("railing", *_WALLS) and rng.random() < 0.4 else 0.0
    post = (pillar, pillar, height + 0.4) if pillar else (0.08, 0.08, height + 0.3)
    x, step = x0, draw(rng, 1.8, 3.2)
    while x < x1 - 0.2:
        run = min(step, x1 - x)
        pose = (*place(frame, x + run / 2, y), frame[2])
        low = plinth or bottom
        size = (run + 0.02, thick, height - low)
        site.add("box", pose, size, kind, material, bottom=low, density=density)
        if plinth:
            site.add("box", pose, (run + 0.02, 0.25, plinth + 0.2), "wall", wall, bottom=-0.2)
        if pillar or sort not in _WALLS:
            made = wall if pillar else material
            site.add("box", frame, post, "fence", made, at=(x, y), bottom=-0.2)
        x += run
    luck = rng.random()
    if luck < 0.36:
        _overgrow(site, frame, x0, x1, y, rng, height)
    elif luck < 0.54:
        near, tall = y + draw(rng, 0.25, 0.8), height * draw(rng, 0.7, 1.5)
        add_hedge(site, frame, x0, x1, near, rng, tall, clipped=rng.random() < 0.5)


def _draw_height(sort: str, rng: np.random.Generator) -> float:
    """Most are low."""
    low, high = {
        "boards": (0.6, 2.2), "pickets": (0.4, 1.4), "mesh": (0.5, 2.2), "wall": (0.2, 2.1),
        "brick_wall": (0.2, 2.1), "rail": (0.5, 0.9), "railing": (0.7, 1.7),
    }[sort]  # fmt: skip
    return low + (high - low) * math.pow(rng.random(), 1.5)


def _draw_make(sort: str, rng: np.random.Generator) -> tuple[float, str, str, float]:
    """Thickness, kind, material and density of the pieces of a fence."""
    if sort in _WALLS:
        material = "brick" if sort == "brick_wall" else pick(rng, ("plaster", "concrete"))
        return draw(rng, 0.15, 0.4), "wall", material, 0.0
    if sort in ("boards", "rail"):
        return (0.05, "fence", "wood", 0.0) if sort == "boards" else (0.1, "fence", "metal", 0.0)
    depth = draw_log(rng, 0.12, 0.7) if sort == "mesh" else draw_log(rng, 0.4, 1.6)
    material = pick(rng, ("wood", "wood", "metal")) if sort == "pickets" else "metal"
    return 0.06, "fence", material, depth / 0.06


def _overgrow(
    site: Site, frame: Pose, x0: float, x1: float, y: float, rng: np.random.Generator,
    height: float,
) -> None:  # fmt: skip
    """Climbers and shrubs on, before and through a fence, with gaps."""
    x, lush = x0, draw(rng, 0.25, 0.9)
    while x < x1 - 0.3:
        run = min(draw(rng, 0.6, 2.5), x1 - x)
        if rng.random() < lush:
            px, py = place(frame, x + run / 2, y + float(rng.normal(0, 0.15)))
            tall = height * draw(rng, 0.3, 1.4)
            site.add(
                "blob", (px, py, frame[2]), (run * 1.3, draw(rng, 0.15, 0.9), tall),
                "vegetation", "leaf", bottom=draw(rng, -0.3, 0.4),
                density=draw_log(rng, 1.0, 20.0),
            )  # fmt: skip
        x += run
