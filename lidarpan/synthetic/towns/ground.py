"""The ground of a town as one raster: what each cell is and how high it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, uniform_filter, zoom

from lidarpan.structures import FloatArray
from lidarpan.synthetic.heightfield import cast_heightfield
from lidarpan.synthetic.kinds import KIND, MATERIAL
from lidarpan.synthetic.towns.ground_kernel import lay_heights
from lidarpan.synthetic.towns.surfaces import CODE, SURFACES

CELL_M = 0.15
TILE = 16
"""Cells along the side of a tile of the ray search."""
_COARSE = 8  # cells along the side of a coarse cell, where slopes live
_PERIOD = 256


_KIND = np.array([KIND[s.kind] for s in SURFACES.values()], np.uint8)
_MATERIAL = np.array([MATERIAL[s.material] for s in SURFACES.values()], np.uint8)
_HEIGHT = np.array([s.height_m for s in SURFACES.values()], np.float32)
_ROUGH = np.array([s.rough_m for s in SURFACES.values()], np.float32)
_SWELL = np.array([s.swell_m for s in SURFACES.values()], np.float32)

Polygon = NDArray[np.float64]


@dataclass(frozen=True)
class Relief:
    """The slope of the land: a sum of long waves. wave_* are (K,) float64, metres and radians."""

    wave_x: NDArray[np.float64]
    wave_y: NDArray[np.float64]
    phase: NDArray[np.float64]
    amplitude: NDArray[np.float64]

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Height in metres at the points of a grid. (X,), (Y,) -> (X, Y)."""
        total = np.zeros((len(x), len(y)))
        for kx, ky, phase, amplitude in zip(
            self.wave_x, self.wave_y, self.phase, self.amplitude, strict=True
        ):
            total += amplitude * np.sin(kx * x[:, None] + ky * y[None, :] + phase)
        return total


def make_relief(rng: np.random.Generator, hilliness: float) -> Relief:
    """Waves of 60 to 400 m whose slopes are about hilliness (0.02 = two per cent)."""
    count = 6
    length = np.exp(rng.uniform(np.log(60), np.log(400), count))
    angle = rng.uniform(0, 2 * np.pi, count)
    number = 2 * np.pi / length
    amplitude = hilliness * rng.uniform(0.3, 1.0, count) / number / np.sqrt(count / 2)
    return Relief(
        number * np.cos(angle), number * np.sin(angle), rng.uniform(0, 2 * np.pi, count), amplitude
    )


@dataclass(frozen=True)
class Ground:
    """A square piece of ground.

    Attributes:
        corner: (2,) float64, outer corner of cell (0, 0), metres in the world.
        code: (X, X) uint8 index into SURFACES.
        height: (X, X) float32 metres.
        tile_max: (X // TILE, X // TILE) float32, highest cell of each tile.
    """

    corner: NDArray[np.float64]
    code: NDArray[np.uint8]
    height: FloatArray
    tile_max: FloatArray

    def _cells(self, xy: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        cell = np.floor((np.asarray(xy)[..., :2] - self.corner) / CELL_M).astype(np.int64)
        cell = np.clip(cell, 0, len(self.code) - 1)
        return cell[..., 0], cell[..., 1]

    def codes_at(self, xy: NDArray[Any]) -> NDArray[np.uint8]:
        """Surface codes at world points. (..., 2) -> (...)."""
        return self.code[self._cells(xy)]

    def heights_at(self, xy: NDArray[Any]) -> FloatArray:
        """Heights at world points, metres. (..., 2) -> (...)."""
        return self.height[self._cells(xy)]

    def contains(self, xy: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether points lie on this piece. (..., 2) -> (...)."""
        cell = np.floor((np.asarray(xy)[..., :2] - self.corner) / CELL_M)
        inside: NDArray[np.bool_] = ((cell >= 0) & (cell < len(self.code))).all(axis=-1)
        return inside

    def surface_at(self, xy: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Kind and material at world points. (..., 2) -> (...), (...)."""
        codes = self.codes_at(xy)
        return _KIND[codes], _MATERIAL[codes]

    def cast(self, origin: FloatArray, directions: FloatArray, limit_m: FloatArray) -> FloatArray:
        """Range at which rays meet the ground, inf if not before limit. -> (R,)."""
        local = (origin - np.r_[self.corner, 0]).astype(np.float32)
        ranges: FloatArray = cast_heightfield(
            local, directions, limit_m, self.height, self.tile_max, 0.0, 0.0, CELL_M, TILE
        )
        return ranges


def make_ground(
    middle: NDArray[np.float64],
    radius_m: float,
    background: str,
    polygons: Sequence[tuple[str, Polygon]],
    mounds: Sequence[tuple[float, Polygon]],
    relief: Relief,
    seed: int,
) -> Ground:
    """Paint polygons in order on the background and lay them on the relief.

    Args:
        middle: (2,) world point in the middle.
        radius_m: half the side of the piece.
        background: surface where nothing is painted.
        polygons: (surface, (K, 2) world points), later ones over earlier ones.
        mounds: (height in metres, (K, 2) world points): raised or sunken land with soft edges.
        relief: the slope of the land.
        seed: of the roughness.
    """
    tiles = int(np.ceil(2 * radius_m / (CELL_M * TILE)))
    size = tiles * TILE
    corner = np.floor((middle - 0.5 * size * CELL_M) / (CELL_M * TILE)) * (CELL_M * TILE)
    code = _paint(corner, size, background, polygons)
    texture = make_texture(seed)
    first = np.round(corner / CELL_M).astype(int) % _PERIOD
    height = lay_heights(
        code, _slope(corner, size, mounds, relief), texture.rise, texture.rough, texture.swell,
        texture.fine, texture.broad, int(first[0]), int(first[1]),
    )  # fmt: skip
    tile_max = height.reshape(tiles, TILE, tiles, TILE).max(axis=(1, 3))
    return Ground(corner, code, height, np.ascontiguousarray(tile_max))


def _paint(
    corner: NDArray[np.float64],
    size: int,
    background: str,
    polygons: Sequence[tuple[str, Polygon]],
) -> NDArray[np.uint8]:
    image = Image.new("L", (size, size), CODE[background])
    draw = ImageDraw.Draw(image)
    for name, polygon in polygons:
        cells = (polygon - corner) / CELL_M - 0.5
        low, high = cells.min(axis=0), cells.max(axis=0)
        if (high > 0).all() and (low < size).all():
            draw.polygon(cells[:, ::-1].ravel().tolist(), fill=CODE[name])
    return np.ascontiguousarray(np.asarray(image))  # rows are x, columns are y


def _slope(
    corner: NDArray[np.float64],
    size: int,
    mounds: Sequence[tuple[float, Polygon]],
    relief: Relief,
) -> FloatArray:
    """Relief and mounds at every _COARSE-th cell. -> (size // _COARSE + 1,) * 2 float32 metres."""
    coarse = size // _COARSE + 1
    side = CELL_M * _COARSE
    axis = np.arange(coarse) * side
    land = relief.at(corner[0] + axis, corner[1] + axis)
    if mounds:
        image = Image.new("F", (coarse, coarse), 0.0)
        draw = ImageDraw.Draw(image)
        for rise, polygon in mounds:
            draw.polygon(((polygon - corner) / side)[:, ::-1].ravel().tolist(), fill=rise)
        land += uniform_filter(np.asarray(image), 4, mode="nearest")
    return land.astype(np.float32)


@dataclass(frozen=True)
class Texture:
    """How the ground of one town lies and feels; S surfaces.

    Attributes:
        rise: (S,) float32 height of each surface over the land, metres.
        rough: (S,) float32 standard deviation of its unevenness from cell to cell, metres.
        swell: (S,) float32 of its unevenness from metre to metre.
        fine: (P, P) float32 periodic standard normal noise of cells.
        broad: (P, P) float32 periodic standard normal noise of metres.
    """

    rise: FloatArray
    rough: FloatArray
    swell: FloatArray
    fine: FloatArray
    broad: FloatArray


@lru_cache(maxsize=2)
def make_texture(seed: int) -> Texture:
    """Draw the ground of the town of a seed.

    Pavements are as in SURFACES, or all but level with the road. Lawns and verges lie as they
    fall, or level with the pavement; places to park likewise, or level with the road.
    """
    rng = np.random.default_rng([seed, 12])
    kinds = np.array([surface.kind for surface in SURFACES.values()])
    land, walk, parking = (kinds == k for k in ("terrain", "sidewalk", "parking"))
    rise = _HEIGHT * np.where(walk, rng.uniform(0.5, 1.3), 1.0)
    rise += land * (rng.normal(0, 0.03) + rng.normal(0, 0.03, len(rise)))
    if rng.random() < 0.25:
        rise[walk] *= rng.uniform(0.05, 0.4)
    pavement = rise[CODE["sidewalk"]]
    if rng.random() < 0.4:
        level = land & (rise > 0)  # ditches stay deep
        rise[level] = pavement + rng.normal(0, 0.012, int(level.sum()))
    luck = rng.random()
    if luck < 0.5:
        rise[parking] *= rng.uniform(0.0, 0.5)
    elif luck < 0.68:
        rise[parking] = pavement + rng.normal(0, 0.008, int(parking.sum()))
    rough = np.exp(rng.uniform(-1.3, 0.3, len(rise)))
    rough *= np.where(land, np.exp(rng.uniform(-0.6, 0.2)), np.exp(rng.uniform(0.0, 0.9)))
    swell = np.exp(rng.normal(0, 0.4, len(rise)))
    blur = rng.uniform(0.8, 2.0)
    fine = gaussian_filter(rng.standard_normal((_PERIOD, _PERIOD), np.float32), blur, mode="wrap")
    coarse = gaussian_filter(rng.standard_normal((32, 32), np.float32), 1.2, mode="wrap")
    broad = zoom(coarse, _PERIOD // 32, order=1, mode="grid-wrap", grid_mode=True)
    return Texture(
        rise.astype(np.float32),
        (_ROUGH * rough).astype(np.float32),
        (_SWELL * swell).astype(np.float32),
        fine / fine.std(),
        broad / broad.std(),
    )
