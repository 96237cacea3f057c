"""Labelled triangle meshes: the only thing a town is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, IntArray


@dataclass(frozen=True)
class Mesh:
    """Triangles, each with what it is and what it is made of.

    Attributes:
        vertices: (M, 3) float32, metres; an actor's own frame is x forward, y left, z up, with the
            origin on the ground below its middle.
        triangles: (T, 3) int32 vertex indices.
        kind: (T,) uint8 index into kinds.KINDS.
        material: (T,) uint8 index into kinds.MATERIALS.
    """

    vertices: FloatArray
    triangles: IntArray
    kind: NDArray[np.uint8]
    material: NDArray[np.uint8]

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw_rad: float = 0.0) -> Mesh:
        """The mesh turned about z and then shifted by (x, y, z) metres."""
        c, s = np.cos(yaw_rad), np.sin(yaw_rad)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
        shift = np.array([x, y, z], np.float32)
        vertices: FloatArray = (self.vertices @ rotation.T + shift).astype(np.float32)
        return Mesh(vertices, self.triangles, self.kind, self.material)

    def rolled(self, roll_rad: float) -> Mesh:
        """The mesh turned about x."""
        c, s = np.cos(roll_rad), np.sin(roll_rad)
        rotation = np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)
        vertices: FloatArray = (self.vertices @ rotation.T).astype(np.float32)
        return Mesh(vertices, self.triangles, self.kind, self.material)


def make_mesh(vertices: object, triangles: object, kind: int, material: int) -> Mesh:
    """A mesh of one kind and material from anything array-like. (M, 3), (T, 3) -> Mesh."""
    vertex_array = np.ascontiguousarray(vertices, np.float32).reshape(-1, 3)
    triangle_array = np.ascontiguousarray(triangles, np.int32).reshape(-1, 3)
    count = len(triangle_array)
    return Mesh(
        vertex_array,
        triangle_array,
        np.full(count, kind, np.uint8),
        np.full(count, material, np.uint8),
    )


def join(meshes: Sequence[Mesh]) -> Mesh:
    """All meshes as one."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([np.zeros((0, 3), np.float32), *(mesh.vertices for mesh in meshes)]),
        np.concatenate(
            [
                np.zeros((0, 3), np.int32),
                *(m.triangles + np.int32(o) for m, o in zip(meshes, offsets, strict=False)),
            ]
        ),
        np.concatenate([np.zeros(0, np.uint8), *(mesh.kind for mesh in meshes)]),
        np.concatenate([np.zeros(0, np.uint8), *(mesh.material for mesh in meshes)]),
    )
