"""What tracking costs: processor time of a scan of 60 objects of 30,000 points, and its memory.

    NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/tracking_time.py [--scans 200]

Forty parked cars, ten that drive and ten people, 500 points each, at 10 Hz, the sensor drives.
Least and median of the scans after the tenth; processor time, so that other work counts little.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time

import numpy as np

from lidarpan.classes import load_class_table
from lidarpan.structures import PanopticLabels
from lidarpan.tracking.tracker import Tracker

POINTS_EACH = 500
SPEED_M_S = 8.0
AROUND_M = 80.0
Scan = tuple[np.ndarray, PanopticLabels, np.ndarray]


def make_scan(k: int, rng: np.random.Generator) -> Scan:
    """Points in the sensor frame, labels and pose of scan k."""
    classes = load_class_table("semantickitti")
    car, person = classes.names.index("car"), classes.names.index("person")
    time_s, pose = 0.1 * k, np.eye(4)
    pose[0, 3] = SPEED_M_S * time_s
    first = int(pose[0, 3] // 7.0)
    parked = [(car, 7.0 * (first + i % 20 - 9), 6.0 if i < 20 else -6.0) for i in range(40)]
    driving = [(car, pose[0, 3] + 13.0 * (i - 5) + time_s % 10, 2.5) for i in range(10)]
    walking = [(person, 9.0 * (first + i - 4) + time_s % 9, 9.0) for i in range(10)]
    points, semantic, instance = [], [], []
    for number, (kind, x, y) in enumerate(parked + driving + walking):
        length, width, height = classes.box_m[kind]
        along, up = rng.uniform(-0.5, 0.5, POINTS_EACH), rng.uniform(0.2, 1, POINTS_EACH)
        side = rng.random(POINTS_EACH) < length / (length + width)
        near = -0.5 if y > 0 else 0.5
        offset = np.where(side, along * length, -0.5 * length), np.where(side, near, along) * width
        points.append(np.column_stack([x + offset[0], y + offset[1], up * height - 1.7]))
        semantic.append(np.full(POINTS_EACH, kind, np.uint8))
        instance.append(np.full(POINTS_EACH, number + 1, np.int32))
    world = np.concatenate(points) + rng.normal(0, 0.02, (POINTS_EACH * 60, 3))
    local = (world - pose[:3, 3]).astype(np.float32)
    return local, PanopticLabels(np.concatenate(semantic), np.concatenate(instance)), pose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    scans = [make_scan(k, rng) for k in range(given.scans)]
    tracker, spent, tracks = Tracker(load_class_table("semantickitti")), [], []
    profile = cProfile.Profile(time.process_time)
    for k, (points, labels, pose) in enumerate(scans):
        if given.profile and k == 10:
            profile.enable()
        begin = time.process_time()
        tracker.update(points, labels, 0.1 * k, pose)
        spent.append(1000 * (time.process_time() - begin))
        tracks.append(tracker.store.num_tracks)
    profile.disable()
    print(
        f"least {min(spent[10:]):.2f} ms, median {np.median(spent[10:]):.2f} ms of processor time"
    )
    print(f"tracks known: {max(tracks)} at most, {tracks[-1]} at the end")
    if given.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
