"""Street furniture: lamps, signs, traffic lights, bins, shelters."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.towns.site import Pose, Site, draw, pick, place


def add_lamp(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """A lamp post, or a mast of wood; the arm reaches to the left of the pose."""
    height = draw(rng, 3.5, 9)
    wide = draw(rng, 0.08, 0.22)
    if rng.random() < 0.12:
        size = (1.6 * wide, 1.6 * wide, height + 0.3)
        site.add("tube", pose, size, "pole", "wood", bottom=-0.3, parameter=0.75)
        return
    site.add("tube", pose, (wide, wide, height + 0.3), "pole", "metal", bottom=-0.3, parameter=0.6)
    site.add("tube", pose, (wide * 1.45, wide * 1.45, 0.9), "pole", "metal", parameter=0.9)
    reach = draw(rng, 0.2, 1.8)
    arm = (0.15, reach, 0.12)
    at = (0, reach / 2)
    site.add("box", pose, arm, "pole", "metal", at=at, bottom=height, anchor=pose[:2])


def add_sign(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """A traffic sign: one or two plates on a post, facing against the pose's x axis."""
    x, y, yaw = pose
    height = draw(rng, 2.2, 3.5)
    wide = draw(rng, 0.06, 0.1)
    site.add("tube", pose, (wide, wide, height + 0.3), "pole", "metal", bottom=-0.3, parameter=1.0)
    top = height
    for _ in range(1 + int(rng.random() < 0.3)):
        plate = draw(rng, 0.3, 1.0)
        tall = plate * pick(rng, (1.0, 1.0, 0.5, 1.4))
        px, py = place(pose, -0.06, 0)
        site.add(
            "box", (px, py, yaw + float(rng.normal(0, 0.3))), (0.03, plate, tall),
            "sign", pick(rng, ("retroreflector", "retroreflector", "metal")), bottom=top - tall,
            anchor=(x, y),
        )  # fmt: skip
        top -= tall + 0.05


def add_direction_board(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """A wide board on two posts."""
    wide, tall = draw(rng, 1.5, 3.5), draw(rng, 0.8, 2.0)
    low = draw(rng, 1.2, 2.5)
    for side in (-0.4, 0.4):
        px, py = place(pose, 0.1, side * wide)
        site.add("tube", (px, py, 0), (0.1, 0.1, low + tall), "pole", "metal", parameter=1.0)
    size = (0.05, wide, tall)
    site.add("box", pose, size, "sign", "retroreflector", bottom=low)


def add_traffic_light(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """A signal head on a post."""
    site.add("tube", pose, (0.14, 0.14, 3.4), "pole", "metal", bottom=-0.2, parameter=1.0)
    size = (0.25, 0.3, 0.9)
    at = (-0.15, 0)
    site.add("box", pose, size, "clutter", "plastic", at=at, bottom=2.2, anchor=pose[:2])


def add_bollards(
    site: Site, frame: Pose, x0: float, x1: float, y: float, rng: np.random.Generator
) -> None:
    """A row of short posts."""
    for x in np.arange(x0, x1, draw(rng, 1.3, 2.2)):
        px, py = place(frame, float(x), y)
        size = (0.12, 0.12, draw(rng, 0.6, 1.05))
        site.add("tube", (px, py, 0), size, "pole", "metal", parameter=0.9)


def add_clutter(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """A bin, cabinet, bench, flower tub, heap of boxes or column."""
    match int(rng.integers(7)):
        case 0:
            for k in range(int(rng.integers(1, 4))):
                size = (0.6, 0.7, draw(rng, 0.95, 1.15))
                site.add("box", pose, size, "clutter", "plastic", at=(0.7 * k, 0))
        case 1:
            size = (draw(rng, 0.6, 1.4), 0.35, draw(rng, 0.9, 1.5))
            site.add("box", pose, size, "clutter", "metal")
        case 2:
            add_bench(site, pose, rng)
        case 3:
            site.add("tube", pose, (0.9, 0.9, 0.6), "clutter", "concrete", parameter=1.15)
            size = (0.9, 0.9, 0.8)
            site.add("blob", pose, size, "vegetation", "leaf", bottom=0.5, density=5.0)
        case 4:
            for _ in range(int(rng.integers(2, 6))):
                px, py = place(pose, float(rng.normal(0, 0.6)), float(rng.normal(0, 0.25)))
                size = (draw(rng, 0.3, 0.9), draw(rng, 0.3, 0.7), draw(rng, 0.25, 0.9))
                made = pick(rng, ("cloth", "wood", "plastic"))
                site.add("box", (px, py, draw(rng, 0, 6)), size, "clutter", made)
        case 5 if rng.random() < 0.3:
            wide = draw(rng, 0.9, 1.4)
            size = (wide, wide, draw(rng, 2.4, 3.6))
            site.add("tube", pose, size, "clutter", "concrete", parameter=1.0)
        case _:
            wide = draw(rng, 0.35, 0.6)
            size = (wide, wide, draw(rng, 0.8, 1.2))
            site.add("tube", pose, size, "clutter", "metal", parameter=1.0)


def add_bench(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """A bench along the pose's x axis, with or without a back; who sits on it looks against y."""
    site.add("box", pose, (1.7, 0.45, 0.08), "clutter", "wood", bottom=0.4)
    if rng.random() < 0.75:
        back, at = (1.7, 0.06, 0.45), (0, 0.25)
        site.add("box", pose, back, "clutter", "wood", at=at, bottom=0.45, anchor=pose[:2])
    for side in (-0.7, 0.7):
        site.add("box", pose, (0.08, 0.4, 0.4), "clutter", "metal", at=(side, 0))


def add_table(site: Site, pose: Pose, wide: float, tall: float, made: str) -> None:
    """A round table on one leg, metres across and high."""
    site.add("tube", pose, (0.07, 0.07, tall), "clutter", "metal", parameter=1.0)
    size = (wide, wide, 0.04)
    site.add("tube", pose, size, "clutter", made, bottom=tall - 0.04, parameter=1.0)


def add_chair(site: Site, pose: Pose, made: str) -> None:
    """A chair that looks along the pose's x axis."""
    site.add("box", pose, (0.42, 0.42, 0.05), "clutter", made, bottom=0.4)
    back, at = (0.04, 0.42, 0.4), (-0.2, 0)
    site.add("box", pose, back, "clutter", made, at=at, bottom=0.45, anchor=pose[:2])
    for x, y in ((0.18, 0.18), (0.18, -0.18), (-0.18, 0.18), (-0.18, -0.18)):
        leg = (0.03, 0.03, 0.4)
        site.add("box", pose, leg, "clutter", "metal", at=(x, y), anchor=pose[:2])


def add_parasol(site: Site, pose: Pose, wide: float) -> None:
    """An open parasol."""
    site.add("tube", pose, (0.06, 0.06, 2.5), "clutter", "metal", parameter=1.0)
    size = (wide, wide, 0.4)
    site.add("tube", pose, size, "clutter", "cloth", bottom=2.1, parameter=0.1)


def add_shelter(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """A bus shelter whose open side looks along the pose's y axis."""
    wide = draw(rng, 3, 5)

    def add(
        at: tuple[float, float], size: tuple[float, float, float], made: str, low: float
    ) -> None:
        site.add("box", pose, size, "other_structure", made, at=at, bottom=low, anchor=pose[:2])

    for x in (-wide / 2, wide / 2):
        add((x, 0), (0.06, 1.3, 2.3), "glass", 0.0)
    add((0, -0.65), (wide, 0.06, 2.3), "glass", 0.0)
    add((0, 0), (wide + 0.3, 1.7, 0.12), "metal", 2.35)
    add((0, -0.3), (wide * 0.6, 0.4, 0.06), "metal", 0.5)
