"""Are objects of no known class found as such? Towns with things that no town has.

    python benchmarks/unknown.py --towns 8 --device cpu

Cows, containers, tables with chairs, barrels and boulders stand beside the street, a few in each
town, with no label. Says how well doubt tells their points, and whole objects, from those of known
classes (AUROC), how many `find_unknown` finds, and what else it takes for unknown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from explaining import auroc
from learning_towns import CLASSES
from numpy.typing import NDArray

from lidarpan import PanopticPipeline
from lidarpan.classes import load_class_table
from lidarpan.grouping.unknown import find_unknown
from lidarpan.scans.inspection import sensor_height
from lidarpan.structures import PanopticLabels
from lidarpan.synthetic.kinds import KIND
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.simulate import SimulatedScan, simulate_sequence
from lidarpan.synthetic.towns.site import Pose, Site
from lidarpan.synthetic.towns.town import Town

PER_TOWN = 6
LEAST_POINTS = 20
EGO_M = 3.5
"""Nearer points without a kind are the car's own roof."""


def cow(site: Site, pose: Pose) -> float:
    """A body on four legs with neck and head."""
    site.add("blob", pose, (1.8, 0.65, 0.8), "void", "cloth", bottom=0.65)
    site.add("blob", pose, (0.6, 0.3, 0.35), "void", "cloth", at=(1.1, 0.0), bottom=1.2)
    for x in (-0.6, 0.6):
        for y in (-0.2, 0.2):
            leg = (0.14, 0.14, 0.8)
            site.add("tube", pose, leg, "void", "cloth", at=(x, y), parameter=1.0)
    return 1.6


def container(site: Site, pose: Pose) -> float:
    """A freight container of twenty feet."""
    site.add("box", pose, (6.06, 2.44, 2.59), "void", "metal")
    return 3.5


def table(site: Site, pose: Pose) -> float:
    """A table for four, with chairs."""
    site.add("box", pose, (1.6, 0.8, 0.05), "void", "wood", bottom=0.72)
    for x in (-0.7, 0.7):
        for y in (-0.35, 0.35):
            site.add("box", pose, (0.06, 0.06, 0.72), "void", "wood", at=(x, y))
    for x in (-0.45, 0.45):
        for side in (-1, 1):
            site.add("box", pose, (0.42, 0.42, 0.45), "void", "wood", at=(x, 0.65 * side))
            back = (0.42, 0.05, 0.5)
            site.add("box", pose, back, "void", "wood", at=(x, 0.85 * side), bottom=0.45)
    return 1.4


def barrels(site: Site, pose: Pose) -> float:
    """Four barrels, close together."""
    for x in (-0.32, 0.32):
        for y in (-0.32, 0.32):
            site.add("tube", pose, (0.6, 0.6, 0.9), "void", "metal", at=(x, y), parameter=1.0)
    return 1.0


def boulder(site: Site, pose: Pose) -> float:
    """A rock, sunk a little into the ground."""
    site.add("blob", pose, (2.2, 1.7, 1.5), "void", "concrete", bottom=-0.25)
    return 1.5


SHAPES: dict[str, Callable[[Site, Pose], float]] = {
    shape.__name__: shape for shape in (cow, container, table, barrels, boulder)
}
"""Name -> what adds the parts and returns how far from its middle an object reaches, metres."""


def main() -> None:
    """Predict towns with unknown objects and print what doubt tells."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--weights", default="town")
    parser.add_argument("--towns", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=940_000)
    parser.add_argument("--sensor", default="hdl64e", choices=sorted(SENSORS))
    parser.add_argument("--below", type=float, default=0.5, help="doubtful points, find_unknown")
    parser.add_argument("--device", default="auto")
    o = parser.parse_args()
    pipeline = PanopticPipeline.from_weights(o.weights, o.device)
    rows, points, false = [], [], 0
    for seed in range(o.first_seed, o.first_seed + o.towns):
        simulated, names, placed = staged(seed, o.sensor)
        scan = simulated.scan
        truth = simulated.labels(load_class_table(CLASSES))
        height = sensor_height(scan, pipeline.sensor_height_m or 0.0)
        prepared = pipeline.prepare(scan, sensor_height_m=height)
        labels = pipeline.finish(prepared, pipeline.run_network(prepared))
        found, _ = find_unknown(scan.points, labels, pipeline.classes, below=o.below)
        rows += objects(names, placed, truth, labels, found)
        points.append(doubts(pipeline, placed, truth, labels))
        false += num_false(found, placed, truth)
    report(rows, np.concatenate(points), false / o.towns)


def staged(seed: int, sensor: str) -> tuple[SimulatedScan, list[str], NDArray[np.int64]]:
    """A scan, the kinds of its unknown objects, and (N,) which of them a point lies on, from 1."""
    rng, names, spots = np.random.default_rng([seed, 99]), [], []

    def stage(town: Town) -> None:
        street = town.layout.streets[0]
        for _ in range(PER_TOWN):
            side = int(rng.choice((-1, 1)))
            s = town.ego_start_m + rng.uniform(-25, 25)
            beyond = street.profile.half_width + rng.uniform(1.0, 6.0)
            x, y, yaw = street.frame(s, side * beyond)
            name = str(rng.choice(list(SHAPES)))
            turned = yaw + (0.0 if name == "container" else rng.uniform(-np.pi, np.pi))
            reach = SHAPES[name](town.streets, (x, y, turned))
            names.append(name)
            spots.append((x, y, reach))

    simulated = next(simulate_sequence(seed, SENSORS[sensor], 1, stage=stage))
    scan, spot = simulated.scan, np.array(spots)
    world = scan.points @ scan.world_T_sensor[:2, :3].T + scan.world_T_sensor[:2, 3]
    away = np.linalg.norm(world[:, None] - spot[:, :2], axis=2) - spot[:, 2]
    is_theirs = (simulated.kind == KIND["void"]) & (away.min(axis=1) < 0.2)
    is_theirs &= np.linalg.norm(scan.points[:, :2], axis=1) > EGO_M
    return simulated, names, np.where(is_theirs, away.argmin(axis=1) + 1, 0)


def objects(
    names: list[str],
    placed: NDArray[np.int64],
    truth: PanopticLabels,
    labels: PanopticLabels,
    found: NDArray[np.int32],
) -> list[tuple[str, float, float, int]]:
    """Kind ("" if known), mean doubt, IoU with the best cluster and commonest class of objects."""
    assert labels.confidence is not None
    rows = []
    for ids, kinds in ((placed, names), (truth.instance, None)):
        for k in np.unique(ids[ids > 0]):
            own = ids == k
            if own.sum() < LEAST_POINTS:
                continue
            share = np.bincount(found[own])
            best = int(share[1:].argmax()) + 1 if len(share) > 1 else 0
            iou = (own & (found == best)).sum() / (own | (found == best)).sum() if best else 0.0
            commonest = int(np.bincount(labels.semantic[own]).argmax())
            doubt = 1 - float(labels.confidence[own].mean())
            rows.append((kinds[k - 1] if kinds else "", doubt, float(iou), commonest))
    return rows


def doubts(
    pipeline: PanopticPipeline,
    placed: NDArray[np.int64],
    truth: PanopticLabels,
    labels: PanopticLabels,
) -> NDArray[np.float64]:
    """Doubt, and whether it is one of the unknown objects, of points said to be off the ground.

    Points of no class that lie on no unknown object are left out. (P, 2).
    """
    assert labels.confidence is not None
    asked = (placed > 0) | (truth.semantic > 0)
    asked &= ~np.isin(labels.semantic, pipeline.classes.ground)
    return np.stack([1 - labels.confidence[asked], placed[asked] > 0], axis=1)


def num_false(found: NDArray[np.int32], placed: NDArray[np.int64], truth: PanopticLabels) -> int:
    """Clusters most of whose points have a known class."""
    is_known = (truth.semantic > 0) & (placed == 0)
    count, known = np.bincount(found), np.bincount(found, is_known)
    return int((known[1:] > count[1:] / 2).sum())


def report(
    rows: list[tuple[str, float, float, int]], points: NDArray[np.float64], false: float
) -> None:
    """A row for each kind of unknown objects, and the AUROCs."""
    names = load_class_table(CLASSES).names
    print("| kind | objects | mean doubt | found | most often taken for |\n|---|---|---|---|---|")
    for kind in [*SHAPES, ""]:
        own = [row for row in rows if row[0] == kind]
        if not own:
            continue
        doubt, hit = np.mean([row[1] for row in own]), np.mean([row[2] >= 0.5 for row in own])
        classes, count = np.unique([row[3] for row in own], return_counts=True)
        most = f"{names[classes[count.argmax()]]} ({count.max()})" if kind else ""
        print(f"| {kind or 'known things'} | {len(own)} | {doubt:.2f} | {hit:.2f} | {most} |")
    unknown = np.array([row[0] != "" for row in rows])
    doubt = np.array([row[1] for row in rows])
    print(
        f"doubt tells points of unknown objects: AUROC {auroc(points[:, 0], points[:, 1] > 0):.3f}"
    )
    print(f"mean doubt tells them from known things: AUROC {auroc(doubt, unknown):.3f}")
    print(f"clusters of known points taken for unknown: {false:.1f} a scan")


if __name__ == "__main__":
    main()
