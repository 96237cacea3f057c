"""The parts of a site as triangles: boxes, roofs, tubes, lumps, all of a shape at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray
from lidarpan.synthetic.actors.mesh import Mesh, join
from lidarpan.synthetic.actors.primitives import circle
from lidarpan.synthetic.towns.ground import Ground
from lidarpan.synthetic.towns.site import Site


@dataclass(frozen=True)
class Body:
    """A mesh and, for porous bodies, how dense each triangle's body is (0: solid)."""

    mesh: Mesh
    density: FloatArray


_BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0, 1)])
_BOX_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)  # fmt: skip
_GABLE_FACES = np.array(
    [[0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5], [1, 2, 5], [3, 0, 4], [0, 3, 2], [0, 2, 1]]
)
_SIDES = 8


def _tube_unit() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    ring = 0.5 * circle(_SIDES)
    points = np.concatenate([np.c_[ring, np.zeros(_SIDES)], np.c_[ring, np.ones(_SIDES)]])
    a = np.arange(_SIDES)
    b = (a + 1) % _SIDES
    skin = np.concatenate([np.c_[a, b, b + _SIDES], np.c_[a, b + _SIDES, a + _SIDES]])
    top = np.c_[np.full(_SIDES - 2, _SIDES), _SIDES + a[1:-1], _SIDES + a[2:]]
    return points, np.concatenate([skin, top])


def _blob_unit() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A twice-stacked octahedron-like ball: 5 rings of 8, poles, outward triangles; z in [0, 1]."""
    sides, tilts = 8, np.radians([-60, -25, 10, 40, 68])
    angle = 2 * np.pi * np.arange(sides) / sides
    rings = [
        np.c_[np.cos(t) * np.cos(angle + 0.4 * k), np.cos(t) * np.sin(angle + 0.4 * k),
              np.full(sides, np.sin(t))]
        for k, t in enumerate(tilts)
    ]  # fmt: skip
    points = np.concatenate([*rings, [[0, 0, -1.0]], [[0, 0, 1.0]]])
    a = np.arange(sides)
    b = (a + 1) % sides
    faces = []
    for k in range(len(tilts) - 1):
        low, high = k * sides, (k + 1) * sides
        faces += [np.c_[low + a, low + b, high + b], np.c_[low + a, high + b, high + a]]
    last = (len(tilts) - 1) * sides
    south, north = len(points) - 2, len(points) - 1
    faces += [np.c_[b, a, np.full(sides, south)], np.c_[last + a, last + b, np.full(sides, north)]]
    return points * 0.5 + [0, 0, 0.5], np.concatenate(faces)


_TUBE, _TUBE_FACES = _tube_unit()
_BLOB, _BLOB_FACES = _blob_unit()


def _unit_points(shape: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit-size vertices of each row. (n, 13) -> (n, V, 3)."""
    count, parameter = len(rows), rows[:, 9]
    if shape == "box":
        return np.broadcast_to(_BOX, (count, *_BOX.shape))
    if shape == "tube":
        points = np.repeat(_TUBE[None], count, axis=0)
        points[:, _SIDES:, :2] *= parameter[:, None, None]
        return points
    if shape == "blob":
        lumps = np.abs(np.sin(12.9898 * rows[:, 2:3] + 78.233 * np.arange(len(_BLOB))))
        middle = np.array([0, 0, 0.5])
        scale = (0.82 + 0.36 * lumps)[:, :, None]
        lumpy: NDArray[np.float64] = (_BLOB - middle) * scale + middle
        return lumpy
    ridge = 0.5 * (1 - parameter)
    points = np.zeros((count, 6, 3))
    points[:, :4, :2] = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    points[:, 4, 0], points[:, 5, 0] = -ridge, ridge
    points[:, 4:, 2] = 1
    return points


_FACES = {"box": _BOX_FACES, "gable": _GABLE_FACES, "tube": _TUBE_FACES, "blob": _BLOB_FACES}


def build_parts(site: Site, ground: Ground | None, barred: NDArray[np.bool_]) -> tuple[Body, Body]:
    """The solid and the porous bodies of a site standing on the ground.

    Args:
        site: the parts.
        ground: gives the height under each anchor; parts anchored off it are left out. Without
            one the ground is flat at 0.
        barred: (number of surfaces,) bool: parts whose anchor lies on such a surface are left out
            (no hedge grows on a road).
    """
    solid: list[Body] = []
    porous: list[Body] = []
    for shape, part_rows in site.parts.items():
        if not part_rows:
            continue
        rows = np.array(part_rows, np.float64)
        bottom = rows[:, 8]
        if ground is not None:
            rows = rows[ground.contains(rows[:, :2])]
            rows = rows[~barred[ground.codes_at(rows[:, :2])]]
            bottom = rows[:, 8] + ground.heights_at(rows[:, :2])
        points = _unit_points(shape, rows) * rows[:, None, 5:8]
        cos, sin = np.cos(rows[:, 4])[:, None], np.sin(rows[:, 4])[:, None]
        world = np.empty(points.shape, np.float32)
        world[..., 0] = cos * points[..., 0] - sin * points[..., 1] + rows[:, 2:3]
        world[..., 1] = sin * points[..., 0] + cos * points[..., 1] + rows[:, 3:4]
        world[..., 2] = points[..., 2] + bottom[:, None]
        for chosen, bodies in ((rows[:, 12] == 0, solid), (rows[:, 12] > 0, porous)):
            bodies.append(_assemble(world[chosen], rows[chosen], _FACES[shape]))
    return _join(solid), _join(porous)


def _assemble(world: FloatArray, rows: NDArray[np.float64], faces: NDArray[np.int64]) -> Body:
    count, vertices = world.shape[:2]
    triangles = faces[None] + (np.arange(count) * vertices)[:, None, None]
    per = len(faces)
    mesh = Mesh(
        world.reshape(-1, 3),
        triangles.reshape(-1, 3).astype(np.int32),
        np.repeat(rows[:, 10].astype(np.uint8), per),
        np.repeat(rows[:, 11].astype(np.uint8), per),
    )
    return Body(mesh, np.repeat(rows[:, 12].astype(np.float32), per))


def _join(bodies: list[Body]) -> Body:
    density = np.concatenate([np.zeros(0, np.float32), *(body.density for body in bodies)])
    return Body(join([body.mesh for body in bodies]), density)
