"""Construction vehicles whose boom or load is seen apart from them: one object, or several?

    .venv/bin/python benchmarks/machines.py [--first-seed 5000] [--count 200]

Machines are drawn anew (no town has them), seen from one side in rings, with a slab hidden. Whole:
all points but fewer than 15 have one number, on at least half of them. Pairs stand 1 to 3 m apart.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import grouping_peers as peers
import numpy as np

from lidarpan.classes import load_class_table
from lidarpan.grouping import group_points
from lidarpan.synthetic.actors.actors import make_actor

CLASSES = load_class_table("nuscenes")
MACHINE = CLASSES.id_of("construction_vehicle")
MIN_POINTS = CLASSES.min_points


def machine(seed, num_points=150):
    """Points of a machine as one sensor sees it, a slab of its length hidden; its width."""
    rng = np.random.default_rng(seed)
    actor = make_actor("construction_vehicle", rng)
    corner, first, second = np.moveaxis(actor.mesh.vertices[actor.mesh.triangles], 1, 0)
    first, second = first - corner, second - corner
    normal = np.cross(first, second)
    yaw = rng.uniform(0, 2 * np.pi)
    seen = np.linalg.norm(normal, axis=1) * (normal @ [np.cos(yaw), np.sin(yaw), 0.05] > 0)
    chosen = rng.choice(len(seen), 6 * num_points, p=seen / seen.sum())
    along = rng.random((len(chosen), 2))
    along = np.where(along.sum(axis=1, keepdims=True) > 1, 1 - along, along)
    points = corner[chosen] + along[:, :1] * first[chosen] + along[:, 1:] * second[chosen]
    on_ring = np.abs(points[:, 2] - np.round(points[:, 2] / 0.35) * 0.35) < 0.05
    points = points[on_ring][:num_points]
    length, width, _ = actor.size_m
    middle = rng.uniform(-0.3, 0.4) * length
    half = rng.uniform(0.4, 1.3) * min(length / 6, 1.6)
    left = points[np.abs(points[:, 0] - middle) > half]
    return np.float32(left if len(left) >= MIN_POINTS else points), width


def score(method, seeds):
    """Shares of machines that stay whole and of pairs that are kept apart."""
    whole = []
    for seed in seeds:
        points, _ = machine(seed)
        sizes = np.bincount(method(points))[1:]
        largest = sizes.max(initial=0)
        whole.append(largest > len(points) / 2 and len(points) - largest < MIN_POINTS)
    apart = []
    for seed in seeds[: len(seeds) // 2]:
        (one, width), (other, other_width) = machine(seed), machine(seed + 1_000_000)
        gap = (width + other_width) / 2 + 1 + seed % 3
        ids = method(np.concatenate([one, other + np.float32([0, gap, 0])]))
        apart.append(not set(ids[: len(one)].tolist()) & set(ids[len(one) :].tolist()))
    return float(np.mean(whole)), float(np.mean(apart))


def auto(points, classes=CLASSES):
    return group_points(points, np.full(len(points), MACHINE, np.uint8), classes)


METHODS = {
    "lidarpan auto": auto,
    "lidarpan auto, without longest_m": lambda p: auto(p, replace(CLASSES, longest_m={})),
    "ALPINE, k=32, split": lambda p: peers.alpine(p, np.full(len(p), MACHINE, np.uint8), CLASSES),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--count", type=int, default=200)
    chosen = parser.parse_args()
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.count)
    print("| method | whole | pairs apart |\n|---|---|---|")
    for name, method in METHODS.items():
        whole, apart = score(method, seeds)
        print(f"| {name} | {whole:.3f} | {apart:.3f} |", flush=True)


if __name__ == "__main__":
    main()
