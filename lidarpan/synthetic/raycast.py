"""Rays meet triangles: solid ones stop them, porous bodies let them through by chance."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, IntArray
from lidarpan.synthetic.actors.mesh import Mesh

NO_TRIANGLE = -1
_LAYERS = 7  # surfaces of porous bodies a ray crosses at most
_SAMPLES = 10  # samples of the density between two surfaces
_STEP_OFF = 2e-3  # metres beyond a surface where the next cast starts


@dataclass(frozen=True)
class Hits:
    """Where rays end.

    Attributes:
        range_m: (R,) float32 metres, inf where a ray meets nothing.
        triangle: (R,) int32, the triangle met, NO_TRIANGLE where none.
        normal: (R, 3) float32 unit normal of that triangle.
    """

    range_m: FloatArray
    triangle: IntArray
    normal: FloatArray


class Caster:
    """The ray caster of a mesh: Embree of open3d or embreex where installed, else one of our own.

    They differ in the last bits of a range, so a town gives the same bytes with each of them, not
    with two.
    """

    def __init__(self, mesh: Mesh) -> None:
        """Build the search tree of a mesh; an empty mesh is hit by nothing."""
        self._tree = _engine()(mesh) if len(mesh.triangles) else None

    def cast(self, origins: FloatArray, directions: FloatArray) -> Hits:
        """First triangle of each ray. (3,) or (R, 3), (R, 3) -> R hits."""
        count = len(directions)
        if self._tree is None or count == 0:
            return Hits(
                np.full(count, np.inf, np.float32),
                np.full(count, NO_TRIANGLE, np.int32),
                np.zeros((count, 3), np.float32),
            )
        return self._tree.cast(np.broadcast_to(origins, (count, 3)), directions)


@lru_cache(maxsize=1)
def _engine() -> type[_Open3dScene | _EmbreexScene | _OwnTree]:
    """The first caster whose library loads."""
    for name, engine in (("open3d", _Open3dScene), ("embreex", _EmbreexScene)):
        try:
            import_module(name)
            return engine
        except (ImportError, OSError) as error:
            logging.getLogger("lidarpan").info("towns are cast without %s: %s", name, error)
    logging.getLogger("lidarpan").warning(
        "towns are made slowly: pip install 'lidarpan[simulate]' brings a fast ray caster"
    )
    return _OwnTree


class _Open3dScene:
    """Embree, by open3d."""

    def __init__(self, mesh: Mesh) -> None:
        o3d = import_module("open3d")
        self._tensor = o3d.core.Tensor
        self._scene = o3d.t.geometry.RaycastingScene(nthreads=2)
        self._scene.add_triangles(
            self._tensor(np.ascontiguousarray(mesh.vertices)),
            self._tensor(np.ascontiguousarray(mesh.triangles.astype(np.uint32))),
        )

    def cast(self, origins: FloatArray, directions: FloatArray) -> Hits:
        """(R, 3), (R, 3) -> R hits."""
        answer = self._scene.cast_rays(self._tensor(np.hstack([origins, directions])))
        triangle = answer["primitive_ids"].numpy().astype(np.int64)
        triangle[triangle == 0xFFFFFFFF] = NO_TRIANGLE
        return Hits(
            answer["t_hit"].numpy(),
            triangle.astype(np.int32),
            answer["primitive_normals"].numpy(),
        )


class _EmbreexScene:
    """Embree, by embreex."""

    def __init__(self, mesh: Mesh) -> None:
        self._scene = import_module("embreex.rtcore_scene").EmbreeScene(robust=True)
        corners = np.ascontiguousarray(mesh.vertices[mesh.triangles], np.float32)
        import_module("embreex.mesh_construction").TriangleMesh(self._scene, corners)
        self._normal = _unit_normals(corners)

    def cast(self, origins: FloatArray, directions: FloatArray) -> Hits:
        """(R, 3), (R, 3) -> R hits."""
        rays = (np.ascontiguousarray(array, np.float32) for array in (origins, directions))
        answer = self._scene.run(*rays, query="INTERSECT", output=True)
        return _hits(answer["tfar"], answer["primID"], self._normal)


class _OwnTree:
    """A tree of boxes in compiled Python."""

    def __init__(self, mesh: Mesh) -> None:
        from lidarpan.synthetic.raycast_kernel import build_tree

        self._corners = np.ascontiguousarray(mesh.vertices[mesh.triangles], np.float32)
        self._triangles, self._boxes = build_tree(self._corners)
        self._normal = _unit_normals(self._corners)

    def cast(self, origins: FloatArray, directions: FloatArray) -> Hits:
        """(R, 3), (R, 3) -> R hits."""
        from lidarpan.synthetic.raycast_kernel import cast_rays

        rays = (np.ascontiguousarray(array, np.float32) for array in (origins, directions))
        ranges, triangle = cast_rays(self._corners, self._triangles, self._boxes, *rays)
        return _hits(ranges, triangle, self._normal)


def _unit_normals(corners: FloatArray) -> FloatArray:
    """(T, 3, 3) -> (T, 3)."""
    a, b, c = corners.astype(np.float64).transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    unit: FloatArray = (normal / np.maximum(length, 1e-30)).astype(np.float32)
    return unit


def _hits(range_m: FloatArray, triangle: IntArray, normal: FloatArray) -> Hits:
    """What rays met, from the range and the triangle of each, -1 where none. (R,), (R,), (T, 3)."""
    is_hit = triangle >= 0
    return Hits(
        np.where(is_hit, range_m, np.float32(np.inf)),
        triangle,
        np.where(is_hit[:, None], normal[triangle], np.float32(0)),
    )


@dataclass(frozen=True)
class DensityField:
    """How dense leaves are from place to place: a periodic block of positive numbers of mean 1.

    Attributes:
        values: (K, K, K) float32.
        cell_m: side of a cell, metres.
    """

    values: FloatArray
    cell_m: float

    def at(self, points: FloatArray) -> FloatArray:
        """(..., 3) float32 -> (...) float32."""
        index = np.floor(points / self.cell_m).astype(np.int32) % len(self.values)
        value: FloatArray = self.values[index[..., 0], index[..., 1], index[..., 2]]
        return value


def penetrate(
    caster: Caster,
    density: FloatArray,
    is_leafy: NDArray[np.bool_],
    field: DensityField,
    origin: FloatArray,
    directions: FloatArray,
    limit_m: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, IntArray]:
    """Where rays are stopped inside porous bodies.

    A ray is stopped when the density integrated along its way through bodies exceeds a number
    drawn once per ray from the unit exponential distribution (Beer-Lambert). Between two surfaces
    a ray is inside a body when it entered by the first or leaves by the second.

    Args:
        caster: of closed bodies with outward triangles.
        density: (T,) float32 per triangle, stops per metre.
        is_leafy: (T,) bool, whether the density field scales the density.
        field: the density field of leaves.
        origin: (3,) float32 metres.
        directions: (R, 3) float32.
        limit_m: (R,) float32, where rays stop anyway.
        rng: source of chance.

    Returns:
        (R,) float32 metres, inf where the ray is not stopped, and (R,) int32 triangles.
    """
    count = len(directions)
    stop_m = np.full(count, np.inf, np.float32)
    stopper = np.full(count, NO_TRIANGLE, np.int32)
    budget = rng.exponential(1.0, count).astype(np.float32)
    hits = caster.cast(origin, directions)
    rays = np.flatnonzero(hits.range_m < limit_m)
    near, triangle = hits.range_m[rays], hits.triangle[rays]
    front = np.einsum("ij,ij->i", hits.normal[rays], directions[rays]) < 0
    for _ in range(_LAYERS):
        if not len(rays):
            break
        way, limit = directions[rays], limit_m[rays]
        after = caster.cast(origin + way * (near + _STEP_OFF)[:, None], way)
        far = near + _STEP_OFF + after.range_m
        far_front = np.einsum("ij,ij->i", after.normal, way) < 0
        leaves = (after.triangle != NO_TRIANGLE) & ~far_front
        inside = front | leaves
        body = np.where(front, triangle, after.triangle)
        end = np.minimum(np.where(leaves, far, np.minimum(far, near + 6.0)), limit)
        walk = np.flatnonzero(inside & (end > near))
        met = _walk(
            origin, way[walk], near[walk], end[walk], density[body[walk]],
            is_leafy[body[walk]], field, budget, rays[walk],
        )  # fmt: skip
        done = np.isfinite(met)
        stop_m[rays[walk[done]]] = met[done]
        stopper[rays[walk[done]]] = body[walk[done]]
        going = (after.triangle != NO_TRIANGLE) & (far < limit)
        going[walk[done]] = False
        rays, near, triangle, front = (
            rays[going], far[going], after.triangle[going], far_front[going]
        )  # fmt: skip
    return stop_m, stopper


def _walk(
    origin: FloatArray,
    way: FloatArray,
    near: FloatArray,
    end: FloatArray,
    density: FloatArray,
    is_leafy: NDArray[np.bool_],
    field: DensityField,
    budget: FloatArray,
    rays: NDArray[np.intp],
) -> FloatArray:
    """Range at which each ray's budget is spent between near and end, inf if it is not.

    The budget of a ray that gets through is lessened in place.
    """
    step = (end - near) / _SAMPLES
    middles = near[:, None] + step[:, None] * (np.arange(_SAMPLES, dtype=np.float32) + 0.5)
    points = origin + way[:, None, :] * middles[:, :, None]
    local = np.where(is_leafy[:, None], field.at(points), np.float32(1)) * density[:, None]
    spent = np.cumsum(local * step[:, None], axis=1)
    over = spent >= budget[rays, None]
    stopped = over[:, -1]
    index = np.argmax(over, axis=1)
    row = np.arange(len(rays))
    before = np.where(index > 0, spent[row, index - 1], 0)
    share = (budget[rays] - before) / np.maximum(spent[row, index] - before, 1e-9)
    budget[rays] -= np.where(stopped, 0, spent[:, -1])
    return np.where(stopped, near + step * (index + share), np.inf).astype(np.float32)
