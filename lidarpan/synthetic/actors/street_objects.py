"""Traffic cones and barriers as triangle meshes."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.mesh import Mesh


def cone(rng: np.random.Generator) -> list[Mesh]:
    """A traffic cone, a drum of plastic, or a beacon on a foot."""
    height = rng.choice([0.45, 0.75, 1.0], p=[0.25, 0.5, 0.25]) * rng.uniform(0.85, 1.12)
    foot = rng.uniform(0.42, 0.56) * height
    luck = rng.random()
    if luck < 0.15:  # a drum
        height, stout = rng.uniform(0.8, 1.1), rng.uniform(0.22, 0.3)
        parts = [("plastic", 0.0, 0.5), ("retroreflector", 0.5, 0.75), ("plastic", 0.75, 1.0)]
        sides = (stout, 0.93 * stout)
        return [
            p.cylinder((0, 0, low * height), (0, 0, high * height), sides, made, 8)
            for made, low, high in parts
        ]
    if luck < 0.33:  # a beacon: an upright board
        height = rng.uniform(1.0, 1.25)
        return [
            p.box((0.0, 0.0, 0.05), (0.8, 0.4, 0.1), "rubber"),
            p.box((0.0, 0.0, 0.1 + height / 2), (0.04, 0.25, height), "retroreflector"),
        ]
    base = p.box((0.0, 0.0, 0.02), (foot, foot, 0.04), "rubber")
    radius = [0.19 * height, 0.13 * height, 0.075 * height, 0.03 * height]
    levels = [0.04, 0.35 * height, 0.7 * height, height]
    bands = ["plastic", "retroreflector", "plastic"]
    skin = [
        p.cylinder(
            (0, 0, levels[i]), (0, 0, levels[i + 1]), (radius[i], radius[i + 1]), bands[i], 8
        )
        for i in range(3)
    ]
    return [base, *skin]


def barrier(rng: np.random.Generator) -> list[Mesh]:
    """One barrier: a concrete or plastic profile, a board on feet, or a crowd-control grille."""
    match int(rng.choice(4, p=[0.3, 0.4, 0.15, 0.15])):
        case 0:
            return _jersey(rng.uniform(1.8, 4.5), rng.uniform(0.75, 1.1), 1.0, "concrete")
        case 1:
            return _jersey(rng.uniform(1.4, 2.2), rng.uniform(0.8, 1.1), 0.75, "plastic")
        case 2:
            return _board(rng.uniform(1.0, 2.6), rng.uniform(0.85, 1.2))
        case _:
            return _grille(rng.uniform(1.8, 2.5), rng.uniform(1.0, 1.15))


def _jersey(width: float, height: float, stout: float, material: str) -> list[Mesh]:
    """The New Jersey profile, across the way it faces; stout: its thickness, 1 for concrete."""
    half = np.array([[0.30, 0.0], [0.30, 0.08], [0.17, 0.33], [0.09, 1.0]])
    half = half * [stout * height, height]
    profile = np.concatenate([half, half[::-1] * [-1, 1]])
    rings = np.empty((2, len(profile), 3))
    rings[..., 0], rings[..., 2] = profile[:, 0], profile[:, 1]
    rings[..., 1] = [[-width / 2], [width / 2]]
    return [p.loft(rings, material)]


def _feet(width: float) -> Mesh:
    foot = p.box((0.0, 0.0, 0.05), (0.6, 0.2, 0.1), "rubber")
    return p.copies(foot, [(0.0, -0.4 * width, 0.0), (0.0, 0.4 * width, 0.0)])


def _board(width: float, height: float) -> list[Mesh]:
    post = p.box((0.0, 0.0, height / 2 + 0.05), (0.05, 0.05, height - 0.1), "metal")
    return [
        _feet(width),
        p.copies(post, [(0.0, -0.4 * width, 0.0), (0.0, 0.4 * width, 0.0)]),
        p.box((0.0, 0.0, height - 0.12), (0.04, width, 0.25), "retroreflector"),
        p.box((0.0, 0.0, 0.35), (0.04, width, 0.15), "plastic"),
    ]


def _grille(width: float, height: float) -> list[Mesh]:
    frame = np.array([[-1, 0.2], [1, 0.2], [1, 1.0], [-1, 1.0]]) * [width / 2, height]
    path = np.zeros((4, 3))
    path[:, 1:] = frame
    bar = p.cylinder((0, 0, 0.2 * height), (0, 0, height), 0.01, "metal", 3, caps=False)
    places = np.zeros((int(width / 0.12) - 1, 3))
    places[:, 1] = (np.arange(len(places)) + 1) * 0.12 - width / 2
    rails = [
        p.cylinder(path[i], path[(i + 1) % 4], 0.022, "metal", 4, caps=False) for i in range(4)
    ]
    return [*rails, p.copies(bar, places), _feet(width)]
