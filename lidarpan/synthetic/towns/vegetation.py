"""Trees, bushes, hedges: porous bodies that rays enter, and trunks that stop them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from lidarpan.structures import FloatArray
from lidarpan.synthetic.raycast import DensityField
from lidarpan.synthetic.towns.site import Pose, Site, draw, place


@lru_cache(maxsize=16)
def make_density_field(seed: int) -> DensityField:
    """Clumps of leaves of about half a metre with gaps between them, of mean density 1."""
    rng = np.random.default_rng([seed, 5])
    noise = gaussian_filter(rng.normal(size=(48, 48, 48)).astype(np.float32), 1.3, mode="wrap")
    clumps: FloatArray = np.exp(1.4 * noise / noise.std()).astype(np.float32)
    return DensityField(clumps / clumps.mean(), 0.22)


def add_tree(site: Site, x: float, y: float, rng: np.random.Generator, size: float = 1.0) -> None:
    """A trunk, a few boughs and a crown; size 1 is a street tree of about 8 m."""
    height = size * draw(rng, 5.5, 11)
    bare = height * draw(rng, 0.2, 0.42) if rng.random() < 0.8 else 0.4
    radius = 0.014 * height * draw(rng, 0.7, 1.6)
    yaw = draw(rng, 0, np.pi)
    if rng.random() < 0.18:
        _add_conifer(site, x, y, rng, height, radius)
        return
    if rng.random() < 0.2:  # shrubs around the foot
        add_bush(site, x + float(rng.normal(0, 0.4)), y + float(rng.normal(0, 0.4)), rng, 0.6)
    trunk = bare + 0.25 * height
    site.add(
        "tube", (x, y, yaw), (2 * radius, 2 * radius, trunk + 0.3), "trunk", "bark",
        bottom=-0.3, parameter=0.6,
    )  # fmt: skip
    site.add(
        "tube", (x, y, yaw), (3 * radius, 3 * radius, 0.7), "trunk", "bark",
        bottom=-0.3, parameter=0.55,
    )  # fmt: skip
    spread = height * draw(rng, 0.22, 0.36)
    density = draw(rng, 0.8, 3.5)
    crown = height - bare
    for _ in range(int(rng.integers(2, 5))):
        dx, dy = rng.normal(0, 0.35 * spread, 2)
        tall = crown * draw(rng, 0.55, 0.95)
        wide = spread * draw(rng, 1.0, 1.7)
        low = bare + draw(rng, 0, crown - tall)
        site.add(
            "blob", (x + dx, y + dy, draw(rng, 0, 6)), (wide, wide, tall),
            "vegetation", "leaf", bottom=low, density=density, anchor=(x, y),
        )  # fmt: skip


def _add_conifer(
    site: Site, x: float, y: float, rng: np.random.Generator, height: float, radius: float
) -> None:
    low = draw(rng, 0.1, 1.2)
    wide = height * draw(rng, 0.25, 0.45)
    site.add(
        "tube", (x, y, 0), (2 * radius, 2 * radius, 0.6 * height), "trunk", "bark",
        bottom=-0.3, parameter=0.5,
    )  # fmt: skip
    density = draw(rng, 1.5, 4.0)
    for share, width in ((0.0, 1.0), (0.3, 0.72), (0.6, 0.42)):
        site.add(
            "blob", (x, y, draw(rng, 0, 6)),
            (wide * width, wide * width, 0.5 * height), "vegetation", "leaf",
            bottom=low + share * 0.75 * height, density=density, anchor=(x, y),
        )  # fmt: skip


def add_bush(site: Site, x: float, y: float, rng: np.random.Generator, size: float = 1.0) -> None:
    """One to three leafy lumps that stand on the ground."""
    for _ in range(int(rng.integers(1, 4))):
        wide, tall = size * draw(rng, 0.7, 2.5), size * draw(rng, 0.5, 2.3)
        dx, dy = rng.normal(0, 0.45 * size, 2)
        site.add(
            "blob", (x + dx, y + dy, draw(rng, 0, 6)),
            (wide, wide * draw(rng, 0.6, 1.2), tall), "vegetation", "leaf",
            bottom=-0.25 * tall, density=draw(rng, 3.0, 14.0),
        )  # fmt: skip


def add_hedge(
    site: Site, frame: Pose, x0: float, x1: float, y: float, rng: np.random.Generator,
    height: float, clipped: bool,
) -> None:  # fmt: skip
    """A hedge along x of a local frame: clipped to a wall of leaves, or a row of bushes."""
    wide = draw(rng, 0.5, 1.3)
    x = x0
    while x < x1 - 0.3:
        run = min(draw(rng, 1.2, 3.0), x1 - x)
        px, py = place(frame, x + run / 2, y + float(rng.normal(0, 0.05)))
        tall = height * float(rng.uniform(0.94, 1.06) if clipped else rng.uniform(0.6, 1.3))
        if clipped:
            size = (run + 0.05, wide, tall + 0.2)
            site.add(
                "box", (px, py, frame[2]), size, "vegetation", "leaf",
                bottom=-0.2, density=draw(rng, 9, 22),
            )  # fmt: skip
        else:
            size = (run * 1.7, wide * draw(rng, 1.2, 2.4), tall * 1.35)
            site.add(
                "blob", (px, py, frame[2]), size, "vegetation", "leaf",
                bottom=-0.35 * tall, density=draw(rng, 4, 12),
            )  # fmt: skip
        x += run


def add_thicket(
    site: Site, frame: Pose, x0: float, y0: float, x1: float, y1: float,
    rng: np.random.Generator, per_100m2: float,
) -> None:  # fmt: skip
    """Woods or wild growth on a rectangle of a local frame: trees over bushes."""
    count = int((x1 - x0) * (y1 - y0) / 100 * per_100m2)
    for _ in range(count):
        x, y = place(frame, draw(rng, x0, x1), draw(rng, y0, y1))
        if rng.random() < 0.3:
            add_tree(site, x, y, rng, draw(rng, 0.7, 1.6))
        else:
            add_bush(site, x, y, rng, draw(rng, 0.8, 1.9))
