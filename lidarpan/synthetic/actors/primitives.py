"""Solid shapes as triangle meshes of kind void: nearly everything is a loft through rings.

All lengths are metres, x forward, y left, z up. A material is a name from kinds.MATERIALS. The
kind of a part is set when an actor is put together from its parts.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lidarpan.structures import IntArray
from lidarpan.synthetic.actors.mesh import Mesh, make_mesh
from lidarpan.synthetic.kinds import KIND, MATERIAL

Array = NDArray[np.float64]
OPEN = 255
"""In a material grid of a loft: no surface here."""


def loft(
    rings: ArrayLike,
    material: str | NDArray[np.uint8],
    caps: bool = True,
    cap_material: str | None = None,
    closed: bool = False,
) -> Mesh:
    """The skin between consecutive rings of points. (R, S, 3) -> at most 2RS triangles.

    Args:
        rings: (R, S, 3), each ring a closed loop of S points.
        material: one name, or (R - 1, S) uint8 per quad, where OPEN leaves a hole; quad [r, s] lies
            between rings r and r + 1 and between points s and s + 1.
        caps: whether the first and the last ring are filled.
        cap_material: what the caps are made of; by default as the quads next to them.
        closed: whether the last ring joins the first (a torus); then there are no caps.
    """
    points = np.asarray(rings, np.float64)
    count, sides = points.shape[:2]
    triangles, num_quads = _loft_triangles(count, sides, caps and not closed, closed)
    materials = np.empty(len(triangles), np.uint8)
    if isinstance(material, str):
        materials[:] = MATERIAL[material]
    else:
        materials[: 2 * num_quads] = np.repeat(material.reshape(-1), 2)
        materials[2 * num_quads :] = material[0, 0]
        materials[len(triangles) - (sides - 2) :] = material[-1, 0]
    if cap_material is not None:
        materials[2 * num_quads :] = MATERIAL[cap_material]
    keep = materials != OPEN
    if not keep.all():
        triangles, materials = triangles[keep], materials[keep]
    kind = np.full(len(triangles), KIND["void"], np.uint8)
    return Mesh(points.reshape(-1, 3).astype(np.float32), triangles, kind, materials)


@lru_cache(maxsize=256)
def _loft_triangles(count: int, sides: int, caps: bool, closed: bool) -> tuple[IntArray, int]:
    rows = count if closed else count - 1
    ring = np.arange(rows)[:, None]
    point = np.arange(sides)[None, :]
    after, beside = (ring + 1) % count, (point + 1) % sides
    a, b = ring * sides + point, ring * sides + beside
    c, d = after * sides + beside, after * sides + point
    skin = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    if caps:
        fan = np.stack(
            [np.zeros(sides - 2), np.arange(2, sides), np.arange(1, sides - 1)], axis=-1
        ).astype(np.int64)
        skin = np.concatenate([skin, fan, fan[:, ::-1] + (count - 1) * sides])
    return skin.astype(np.int32), rows * sides


def panels(corners: ArrayLike, material: str) -> Mesh:
    """Flat convex polygons of K corners each. (Q, K, 3) or (K, 3) -> Q(K - 2) triangles."""
    points = np.asarray(corners, np.float64)
    if points.ndim == 2:
        points = points[None]
    count, size = points.shape[:2]
    fan = np.stack([np.zeros(size - 2), np.arange(1, size - 1), np.arange(2, size)], axis=-1)
    triangles = (np.arange(count)[:, None, None] * size + fan).reshape(-1, 3)
    return make_mesh(points, triangles, KIND["void"], MATERIAL[material])


def facing(x: float, y: float, z: float, half_y: float, half_z: float) -> Array:
    """Corners of an upright rectangle across x: a plate, a lamp. -> (4, 3)."""
    signs = np.array([[0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]], np.float64)
    return signs * [0.0, half_y, half_z] + [x, y, z]


_BOX = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64) / 2


def tapered_box(
    base: ArrayLike,
    bottom: tuple[float, float],
    top: tuple[float, float],
    height: float,
    material: str,
    shift_x: float = 0.0,
) -> Mesh:
    """A box with unequal bottom and top. base: (x, y, z) of the middle of its bottom."""
    rings = np.empty((2, 4, 3))
    rings[0, :, :2] = _BOX * bottom
    rings[1, :, :2] = _BOX * top + [shift_x, 0.0]
    rings[:, :, 2] = [[0.0], [height]]
    return loft(rings + np.asarray(base), material)


def box(center: ArrayLike, size: tuple[float, float, float], material: str) -> Mesh:
    """A box by its middle and its size along x, y, z."""
    base = np.asarray(center) - [0.0, 0.0, size[2] / 2]
    return tapered_box(base, size[:2], size[:2], size[2], material)


def tube(
    path: ArrayLike,
    radius: ArrayLike,
    material: str,
    sides: int = 6,
    caps: bool = True,
    closed: bool = False,
    flatten: float = 1.0,
) -> Mesh:
    """A tube along a polyline with a radius at each of its points. (R, 3), scalar or (R,).

    Args:
        path: (R, 3) points; neighbours differ.
        radius: metres, one or per point.
        material: what it is made of.
        sides: corners of its cross-section.
        caps: whether the ends are filled.
        closed: whether the path is a loop.
        flatten: the cross-section's extent along y relative to the rest.
    """
    points = np.asarray(path, np.float64)
    if closed:
        tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    else:
        tangent = np.empty_like(points)
        tangent[1:-1] = points[2:] - points[:-2]
        tangent[0], tangent[-1] = points[1] - points[0], points[-1] - points[-2]
    tangent /= np.sqrt((tangent * tangent).sum(axis=1, keepdims=True))
    along_y = float(np.abs(tangent[:, 1]).max()) > 0.9
    reference = np.array([1.0, 0.0, 0.0] if along_y else [0.0, 1.0, 0.0])
    first = reference - tangent * (tangent @ reference)[:, None]
    first /= np.sqrt((first * first).sum(axis=1, keepdims=True))
    second = _cross(tangent, first)
    cos_sin = circle(sides)
    radii = np.broadcast_to(np.asarray(radius, np.float64), (len(points),))[:, None, None]
    around = cos_sin[:, :1] * flatten * first[:, None] + cos_sin[:, 1:] * second[:, None]
    return loft(points[:, None] + radii * around, material, caps, closed=closed)


def cylinder(
    start: ArrayLike,
    end: ArrayLike,
    radius: float | tuple[float, float],
    material: str,
    sides: int = 8,
    caps: bool = True,
) -> Mesh:
    """A cylinder or, with two radii, a truncated cone between two points."""
    path = np.stack([np.asarray(start, np.float64), np.asarray(end, np.float64)])
    return tube(path, radius, material, sides, caps)


def ellipsoid(
    center: ArrayLike,
    radii: tuple[float, float, float],
    material: str,
    sides: int = 8,
    rows: int = 4,
) -> Mesh:
    """An ellipsoid by its middle and its half axes, flat at the very poles."""
    polar = np.pi * (np.arange(rows) + 0.35) / (rows - 0.3)
    rings = np.empty((rows, sides, 3))
    rings[..., :2] = np.sin(polar)[:, None, None] * circle(sides)
    rings[..., 2] = -np.cos(polar)[:, None] / np.cos(polar[0])
    return loft(rings * radii + np.asarray(center), material)


def torus(
    center: ArrayLike, radius: float, thickness: float, material: str, segments: int = 14
) -> Mesh:
    """An upright thin ring in the x-z plane: the tyre of a bicycle. thickness is its diameter."""
    cos_sin = circle(segments) * (radius - thickness / 2)
    path = np.stack([cos_sin[:, 0], np.zeros(segments), cos_sin[:, 1]], axis=1)
    return tube(path + np.asarray(center), thickness / 2, material, 3, closed=True)


def wheel(
    center: ArrayLike, radius: float, width: float, sides: int = 10, hub: str = "metal"
) -> Mesh:
    """A wheel that rolls along x: rubber tread and a hub on both faces."""
    rings = np.empty((2, sides, 3))
    rings[..., [0, 2]] = circle(sides, 0.5) * radius
    rings[..., 1] = [[width / 2], [-width / 2]]
    return loft(rings + np.asarray(center), "rubber", cap_material=hub)


def copies(mesh: Mesh, offsets: ArrayLike) -> Mesh:
    """The mesh once for each offset. offsets: (K, 3)."""
    shift = np.asarray(offsets, np.float32).reshape(-1, 1, 3)
    count, size = len(shift), len(mesh.vertices)
    first = np.arange(count, dtype=np.int32)[:, None, None] * np.int32(size)
    return Mesh(
        (mesh.vertices + shift).reshape(-1, 3),
        (mesh.triangles + first).reshape(-1, 3),
        np.tile(mesh.kind, count),
        np.tile(mesh.material, count),
    )


def scaled(mesh: Mesh, factor: float) -> Mesh:
    """The mesh, larger or smaller about the origin."""
    return replace(mesh, vertices=mesh.vertices * np.float32(factor))


def _cross(a: Array, b: Array) -> Array:
    """Row-wise cross product, quicker than np.cross on a few rows."""
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


@lru_cache(maxsize=64)
def circle(sides: int, phase: float = 0.0) -> Array:
    """Corners of a regular polygon. -> (sides, 2)."""
    angle = 2 * np.pi * (np.arange(sides) + phase) / sides
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
