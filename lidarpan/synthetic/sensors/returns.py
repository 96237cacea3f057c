"""What a surface gives back: which returns are lost, and how bright the others are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray
from lidarpan.synthetic.kinds import MATERIALS
from lidarpan.synthetic.tables import read_table

_OPTICS = read_table("materials")


def _each(key: str) -> FloatArray:
    """A number of every material. -> (materials,) float32."""
    return np.array([_OPTICS[name].get(key, 0) for name in MATERIALS], np.float32)


_BRIGHT, _SPREAD, _LOST, _LOOSE = (_each(key) for key in ("bright", "spread", "lost", "loose_m"))
_SHINY = _each("shiny") > 0


def is_lost(
    material: NDArray[np.uint8],
    range_m: FloatArray,
    cosine: FloatArray,
    max_range_m: float,
    empty_share: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Which returns are too weak to be reported. (N,) each -> (N,) bool.

    Weakness grows with range, grazing incidence, and for shiny surfaces with any incidence.

    Args:
        material: index into MATERIALS.
        range_m: metres.
        cosine: of the angle of incidence.
        max_range_m: of the sensor.
        empty_share: lost from any surface.
        rng: source of chance.
    """
    far = np.clip(range_m / max_range_m, 0, 1)
    graze = np.clip(1 - cosine / 0.35, 0, 1)
    shiny = _SHINY[material]
    chance = _LOST[material] * np.where(shiny, 1 + 1.2 * (1 - cosine), 1)
    chance = chance + np.where(shiny, 0.25, 0.06) * graze * (0.3 + far)
    chance = chance + 0.75 * np.clip(far - 0.35, 0, 1) ** 2 * (1.2 - _BRIGHT[material])
    chance = chance + empty_share
    lost: NDArray[np.bool_] = rng.random(len(material)) < chance
    return lost


def draw_tints(rng: np.random.Generator) -> FloatArray:
    """How much brighter than usual each material is in one town. -> (materials,) about 1."""
    tints: FloatArray = np.exp(rng.normal(0, 0.22, len(MATERIALS))).astype(np.float32)
    return tints


def measured_intensity(
    material: NDArray[np.uint8],
    range_m: FloatArray,
    cosine: FloatArray,
    tone: FloatArray,
    gain: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Brightness of returns, in [0, 1]. (N,) each -> (N,) float32.

    Range is compensated by the sensor as the KITTI one does, so only incidence, material and the
    tone of the object count.

    Args:
        material: index into MATERIALS.
        range_m: metres.
        cosine: of the angle of incidence.
        tone: standard normal, the same over an object or a patch of ground.
        gain: of the beam and of the town's materials, about 1.
        rng: source of chance.
    """
    bright = _BRIGHT[material] + _SPREAD[material] * (
        0.7 * tone + 0.55 * rng.standard_normal(len(material)).astype(np.float32)
    )
    steep = np.where(_SHINY[material], 0.45 + 0.55 * cosine**2, 0.72 + 0.28 * np.sqrt(cosine))
    faint = 1 - 0.25 * np.clip(range_m / 80 - 0.3, 0, 1)
    intensity = np.clip(bright * steep * faint * gain, 0, 0.99)
    quantised: FloatArray = (np.round(intensity * 100) / 100).astype(np.float32)
    return quantised


def stopped_short_m(
    material: NDArray[np.uint8], cosine: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """How far before the ground rays meet a blade of grass or a clod. (N,) each -> (N,) metres.

    Returns of real lawns scatter along the ray by about 4 mm over the cosine of incidence.
    """
    height = _LOOSE[material] * np.abs(rng.standard_normal(len(material), np.float32))
    short: FloatArray = np.minimum(height / np.maximum(cosine, 0.03), 0.5)
    return short
