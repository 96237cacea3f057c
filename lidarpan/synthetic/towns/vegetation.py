"""Trees, bushes, hedges: porous bodies that rays enter, and trunks that stop them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from lidarpan.structures import FloatArray
from lidarpan.synthetic.raycast import DensityField
from lidarpan.synthetic.towns.site import Pose, Site, draw, draw_log, place


def make_density_field(seed: int) -> DensityField:
    """The leaves of the town of a seed: clumps with gaps between them.

    Clumps are a quarter of a metre to a metre wide and stand out more or less; foliage is thin in
    one town and dense in another.
    """
    rng = np.random.default_rng([seed, 5])
    noise = rng.standard_normal((48, 48, 48), np.float32)
    noise = gaussian_filter(noise, draw(rng, 0.9, 1.7), mode="wrap")
    clumps: FloatArray = np.exp(draw(rng, 0.8, 1.7) * noise / noise.std()).astype(np.float32)
    lush = np.float32(draw_log(rng, 0.6, 2.5))
    return DensityField(clumps / clumps.mean() * lush, draw_log(rng, 0.13, 0.32))


def add_tree(site: Site, x: float, y: float, rng: np.random.Generator, size: float = 1.0) -> None:
    """A tree of one of many builds; size 1 is a street tree of about 8 m."""
    luck = rng.random()
    if luck < 0.15:
        height = size * draw(rng, 5.5, 11)
        _add_conifer(site, x, y, rng, height, 0.014 * height * draw(rng, 0.7, 1.6))
    elif luck < 0.26:
        _add_sapling(site, x, y, rng, size * draw(rng, 2.2, 5.0))
    elif luck < 0.33:
        _add_stems(site, x, y, rng, size * draw(rng, 3.5, 7))
    else:
        _add_broad_tree(site, x, y, rng, size * draw(rng, 5.5, 11))
    if rng.random() < 0.3:  # shrubs around the foot
        add_bush(site, x + float(rng.normal(0, 0.4)), y + float(rng.normal(0, 0.4)), rng, 0.6)


def _add_broad_tree(
    site: Site, x: float, y: float, rng: np.random.Generator, height: float
) -> None:
    """A trunk that goes on into a crown of a few lobes, which begins high or near the ground."""
    bare = height * draw(rng, 0.2, 0.42) if rng.random() < 0.78 else draw(rng, 0.3, 1.5)
    radius = 0.014 * height * draw(rng, 0.6, 2.4)
    _add_stem(site, (x, y, draw(rng, 0, np.pi)), radius, bare + height * draw(rng, 0.15, 0.5))
    site.add(
        "tube", (x, y, 0), (3 * radius, 3 * radius, 0.7), "trunk", "bark",
        bottom=-0.3, parameter=0.55,
    )  # fmt: skip
    if rng.random() < 0.08:  # ivy up the trunk
        wide = 2 * radius + draw(rng, 0.15, 0.4)
        _add_leaves(site, x, y, rng, (wide, wide, bare + 1.0), 0.0, draw(rng, 4, 20), (x, y))
    spread = height * draw(rng, 0.22, 0.36)
    density = draw_log(rng, 0.6, 5.0)
    crown = height - bare
    for _ in range(int(rng.integers(2, 5))):
        dx, dy = rng.normal(0, 0.35 * spread, 2)
        tall = crown * draw(rng, 0.55, 0.95)
        wide = spread * draw(rng, 1.0, 1.7)
        low = bare + draw(rng, 0, crown - tall)
        _add_leaves(site, x + dx, y + dy, rng, (wide, wide, tall), low, density, (x, y))


def _add_sapling(site: Site, x: float, y: float, rng: np.random.Generator, height: float) -> None:
    """A thin stem, sometimes staked, under or inside a small crown that may reach far down."""
    radius = draw(rng, 0.02, 0.06)
    bare = draw(rng, 0.2, 0.5) * height
    _add_stem(site, (x, y, 0), radius, height * draw(rng, 0.6, 0.9))
    wide = height * draw(rng, 0.2, 0.6)
    density = draw_log(rng, 0.8, 6.0)
    for _ in range(int(rng.integers(1, 3))):
        dx, dy = rng.normal(0, 0.1 * wide, 2)
        size = (wide, wide, height - bare)
        _add_leaves(site, x + dx, y + dy, rng, size, bare, density, (x, y))
    if rng.random() < 0.3:
        for side in (-0.35, 0.35):
            size = (0.07, 0.07, 1.6)
            site.add("tube", (x + side, y, 0), size, "trunk", "wood", bottom=-0.2, parameter=1.0)


def _add_stems(site: Site, x: float, y: float, rng: np.random.Generator, height: float) -> None:
    """A tall shrub or a coppiced tree: several stems, half hidden in leaves."""
    for _ in range(int(rng.integers(2, 5))):
        dx, dy = rng.normal(0, 0.25, 2)
        stem = height * draw(rng, 0.4, 0.7)
        _add_stem(site, (x + dx, y + dy, 0), draw(rng, 0.04, 0.12), stem)
    density = draw_log(rng, 0.6, 4.0)
    for _ in range(int(rng.integers(2, 4))):
        dx, dy = rng.normal(0, 0.16 * height, 2)
        low = draw(rng, 0.1, 0.4) * height
        wide = height * draw(rng, 0.3, 0.6)
        _add_leaves(site, x + dx, y + dy, rng, (wide, wide, height - low), low, density, (x, y))


def _add_stem(site: Site, pose: Pose, radius: float, height: float) -> None:
    size = (2 * radius, 2 * radius, height + 0.3)
    site.add("tube", pose, size, "trunk", "bark", bottom=-0.3, parameter=0.6)


def _add_leaves(
    site: Site, x: float, y: float, rng: np.random.Generator, size: tuple[float, float, float],
    bottom: float, density: float, anchor: tuple[float, float],
) -> None:  # fmt: skip
    """A lump of leaves whose lower end is at bottom."""
    pose = (x, y, draw(rng, 0, 6))
    site.add(
        "blob", pose, size, "vegetation", "leaf", bottom=bottom, density=density, anchor=anchor
    )


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
        wide, tall = size * draw(rng, 0.7, 2.5), size * draw_log(rng, 0.35, 2.3)
        dx, dy = rng.normal(0, 0.45 * size, 2)
        site.add(
            "blob", (x + dx, y + dy, draw(rng, 0, 6)),
            (wide, wide * draw(rng, 0.6, 1.2), tall), "vegetation", "leaf",
            bottom=-0.25 * tall, density=draw_log(rng, 3.5, 40.0),
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
                bottom=-0.2, density=draw_log(rng, 9, 70),
            )  # fmt: skip
        else:
            size = (run * 1.7, wide * draw(rng, 1.2, 2.4), tall * 1.35)
            site.add(
                "blob", (px, py, frame[2]), size, "vegetation", "leaf",
                bottom=-0.35 * tall, density=draw_log(rng, 5, 40),
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


def add_plants(
    site: Site, frame: Pose, xs: tuple[float, float], ys: tuple[float, float],
    rng: np.random.Generator, mean: float, trees: float, size: float,
) -> None:  # fmt: skip
    """Trees and bushes here and there on a rectangle of a local frame.

    Args:
        site: takes the parts.
        frame: local frame.
        xs: from where to where along x, metres.
        ys: along y.
        rng: source of chance.
        mean: how many on average.
        trees: share of trees.
        size: of each, as in `add_tree` and `add_bush`.
    """
    for _ in range(int(rng.poisson(mean))):
        x, y = draw(rng, *xs), draw(rng, *ys)
        (add_tree if rng.random() < trees else add_bush)(site, *place(frame, x, y), rng, size)
