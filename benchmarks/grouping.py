"""Time and score lidarpan's grouping beside what others use, in one run.

    .venv/bin/python benchmarks/grouping.py speed
    .venv/bin/python benchmarks/grouping.py quality [--towns 10] [--real ../shared/data]

Speed: 30,000 thing points in 40 objects on one thread, warm; the curve to a million points; a
whole scan from labels to the panoptic answer. Quality: things-PQ over the classes present with the
benchmark's min_points (50, nuScenes 15), of simulated towns and of the real scans below the folder,
all through the same fusion: with true semantics, and with those of a network, our own on towns that
it has not seen and on the real scans, SqueezeSegV3 on SemanticKITTI. Every method gets classes
alone, not our network's offsets and probabilities.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import grouping_peers as peers
import numpy as np

from lidarpan import PanopticPipeline
from lidarpan.classes import load_class_table
from lidarpan.grouping import group_points
from lidarpan.grouping.fusion import merge_semantic_and_instance
from lidarpan.metrics import PanopticQuality
from lidarpan.scans.inspection import sensor_height
from lidarpan.structures import PanopticLabels, Scan

OURS = ("auto", "graph-split", "graph", "grid", "dbscan", "mean-shift")


def our_method(name):
    def run(points, semantic, classes):
        return group_points(points, semantic, classes, name)

    return run


def shipped_k(classes):
    return 8 if classes.name == "semantickitti" else 10


METHODS = {f"lidarpan {name}": our_method(name) for name in OURS} | {
    "ALPINE, k as shipped": lambda p, s, c: peers.alpine(p, s, c, shipped_k(c), split=False),
    "ALPINE, k as shipped, split": lambda p, s, c: peers.alpine(p, s, c, shipped_k(c)),
    "ALPINE, k=32": lambda p, s, c: peers.alpine(p, s, c, 32, split=False),
    "ALPINE, k=32, split": lambda p, s, c: peers.alpine(p, s, c, 32),
    "scikit-learn DBSCAN 0.5 m": peers.dbscan,
    "scikit-learn HDBSCAN": peers.hdbscan,
}


# ---- speed


def parked_cars(num_objects, points_each, seed=0):
    """Two visible sides of cars on a square lattice 12 m apart, points in any order: (N, 3)."""
    rng = np.random.default_rng(seed)
    n, per_row = num_objects * points_each, int(np.ceil(np.sqrt(num_objects)))
    car = np.repeat(np.arange(num_objects), points_each)
    along, on_side = rng.random(n) - 0.5, rng.random(n) < 0.7
    x = np.where(on_side, 4.2 * along, -2.1) + rng.normal(0, 0.02, n)
    y = np.where(on_side, -0.85, 1.7 * along) + rng.normal(0, 0.02, n)
    yaw = rng.uniform(0, np.pi, num_objects)[car]
    points = np.column_stack(
        [
            np.cos(yaw) * x - np.sin(yaw) * y + 12 * (car % per_row - per_row / 2),
            np.sin(yaw) * x + np.cos(yaw) * y + 12 * (car // per_row - per_row / 2),
            rng.uniform(-1.6, -0.2, n),
        ]
    ).astype(np.float32)
    return points[rng.permutation(n)]


def milliseconds(run, repeats):
    """Least and median processor time of a call after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(1e3 * (time.process_time() - began))
    return min(times), float(np.median(times))


def speed():
    classes = load_class_table("semantickitti")
    car = classes.id_of("car")
    points = parked_cars(40, 750)
    semantic = np.full(len(points), car, np.uint8)
    print("30,000 points in 40 objects, processor ms (least, median)\n")
    for name, method in METHODS.items():
        repeats = 30 if name.startswith("lidarpan") else 3
        least, middle = milliseconds(lambda m=method: m(points, semantic, classes), repeats)
        print(f"| {name:28s} | {least:8.2f} | {middle:8.2f} |", flush=True)
    print("\nauto, graph and grid by number of points, least processor ms\n")
    for num_objects in (40, 133, 400, 1333):
        points = parked_cars(num_objects, 750)
        semantic = np.full(len(points), car, np.uint8)
        row = [
            milliseconds(lambda m=m: group_points(points, semantic, classes, m), 5)[0]  # noqa: B023
            for m in ("auto", "graph", "grid")
        ]
        print(f"| {len(points):9,d} | " + " | ".join(f"{ms:7.1f}" for ms in row) + " |", flush=True)
    heap = np.full((100_000, 3), 3.0, np.float32)
    heaps = np.where(np.arange(100_000)[:, None] < 50_000, 0, [1.8001, 0, 0]).astype(np.float32)
    car_points = np.full(100_000, car, np.uint8)
    print("\n100,000 equal points, and two heaps of 50,000 out of reach, least processor ms\n")
    for what, points in (("equal", heap), ("two heaps", heaps)):
        row = [
            milliseconds(lambda m=m, p=points: group_points(p, car_points, classes, m), 5)[0]
            for m in ("auto", "graph", "grid")
        ]
        print(f"| {what} | " + " | ".join(f"{ms:7.1f}" for ms in row) + " |", flush=True)
    whole_scan(classes)


def whole_scan(classes):
    """From the labels of a simulated HDL-64E scan to panoptic labels."""
    name, _, scans = next(iter(towns(1)))
    points, semantic, _ = scans[0]
    rng = np.random.default_rng(0)
    softmax = rng.random((len(points), classes.num_classes)).astype(np.float32)
    softmax += 9 * np.eye(classes.num_classes, dtype=np.float32)[semantic]
    softmax /= softmax.sum(axis=1, keepdims=True)
    for what, known in (("labels", None), ("softmax", softmax)):
        ids = group_points(points, semantic, classes, softmax=known)
        both = milliseconds(
            lambda known=known: merge_semantic_and_instance(
                semantic, group_points(points, semantic, classes, softmax=known), known, classes
            ),
            10,
        )
        fusion = milliseconds(
            lambda known=known, ids=ids: merge_semantic_and_instance(semantic, ids, known, classes),
            10,
        )
        print(
            f"\n{name}, {len(points):,} points, {what} to panoptic: {both[0]:.1f} ms "
            f"(median {both[1]:.1f}), of it fusion {fusion[0]:.1f} ms (median {fusion[1]:.1f})"
        )


# ---- quality


def towns(count, read=None, first_seed=900_000):
    """Columns of simulated scans: name, classes, [(points, semantic, truth)].

    `read` is a network's answer to a scan; without it semantics are true.
    """
    from lidarpan.synthetic.sensors.presets import SENSORS
    from lidarpan.synthetic.simulate import simulate_scan

    for sensor, dataset in (("hdl64e", "semantickitti"), ("hdl32e", "nuscenes")):
        classes = load_class_table("semantickitti" if read else dataset)
        scans = []
        for seed in range(first_seed, first_seed + count):
            simulated = simulate_scan(seed, SENSORS[sensor])
            truth = simulated.labels(classes)
            semantic = read(simulated.scan) if read else truth.semantic
            scans.append((simulated.scan.points, semantic, truth))
        yield f"{sensor} {'network' if read else 'true'}", classes, scans


def own_network(weights):
    """What a network says of a scan's points before objects are found: Scan -> (N,) train ids."""
    pipeline = PanopticPipeline.from_weights(weights, "cpu")

    def read(scan):
        height = sensor_height(scan, pipeline.sensor_height_m)
        prepared = pipeline.prepare(scan, sensor_height_m=height)
        return pipeline.network.per_point(prepared, pipeline.run_network(prepared)).classes

    return read


def kitti_scans(root, predictions=None, limit=None, read=None):
    classes = load_class_table("semantickitti")
    scans = []
    for file in sorted(root.glob("sequences/*/velodyne/*.bin"))[:limit]:
        rows = np.fromfile(file, np.float32).reshape(-1, 4)
        points = rows[:, :3].copy()
        packed = np.fromfile(file.parents[1] / "labels" / f"{file.stem}.label", np.uint32)
        truth = classes.to_train((packed & 0xFFFF).astype(np.int64))
        semantic = truth
        if predictions:
            said = predictions / "sequences" / file.parents[1].name / "predictions"
            if not (said / f"{file.stem}.label").is_file():
                continue
            raw = np.fromfile(said / f"{file.stem}.label", np.uint32) & 0xFFFF
            semantic = classes.to_train(raw.astype(np.int64))
        elif read:
            semantic = read(Scan(points, rows[:, 3].copy()))
        instance = (packed >> 16).astype(np.int32)
        scans.append((points, semantic, PanopticLabels(truth, instance)))
    return classes, scans


def nuscenes_scans(root):
    classes = load_class_table("nuscenes")
    scans = []
    for file in sorted(root.glob("LIDAR_TOP/*.pcd.bin")):
        points = np.fromfile(file, np.float32).reshape(-1, 5)[:, :3].copy()
        labels = root / "panoptic" / f"{file.name.split('.')[0]}_panoptic.npz"
        packed = np.load(labels)["data"].astype(np.int32)
        truth = (packed // 1000).astype(np.uint8)
        scans.append((points, truth, PanopticLabels(truth, packed % 1000)))
    return classes, scans


def columns(num_towns, real, weights):
    read = own_network(weights)
    yield from towns(num_towns)
    yield from towns(num_towns, read)
    if real and real.is_dir():
        yield "semantickitti", *kitti_scans(real / "semantickitti")
        network = real / "semantickitti_network_semantics"
        yield "semantickitti network", *kitti_scans(real / "semantickitti", network)
        yield "semantickitti own network", *kitti_scans(real / "semantickitti", read=read)
        yield "pandaset", *kitti_scans(real / "pandaset", limit=10)
        yield "nuscenes", *nuscenes_scans(real / "nuscenes")


def things_pq(method, classes, scans):
    """Things-PQ over the thing classes with true points, and median seconds of grouping."""
    quality = PanopticQuality(classes.num_classes, classes.things, min_points=classes.min_points)
    times = []
    for points, semantic, truth in scans:
        began = time.process_time()
        ids = method(points, semantic, classes)
        times.append(time.process_time() - began)
        labels = merge_semantic_and_instance(semantic, ids, None, classes)
        quality.update(labels.semantic, labels.instance, truth.semantic, truth.instance)
    return quality.compute(mean="present").pq_things, 1e3 * float(np.median(times))


def quality(num_towns, real, weights, without):
    for name, classes, scans in columns(num_towns, real, weights):
        print(
            f"\n{name}: {len(scans)} scans\n\n| method | things-PQ | ms per scan |\n|---|---|---|"
        )
        for method_name, method in METHODS.items():
            if any(word in method_name for word in without):
                continue
            method(*scans[0][:2], classes)  # warm
            score, ms = things_pq(method, classes, scans)
            print(f"| {method_name} | {score:.4f} | {ms:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "quality"])
    parser.add_argument("--towns", type=int, default=10, help="scans of each sensor")
    parser.add_argument("--real", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", default="town", help="of the network whose errors are real")
    parser.add_argument("--without", nargs="*", default=[], help="leave out methods by a word")
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed()
    else:
        quality(arguments.towns, arguments.real, arguments.weights, arguments.without)
    return 0


if __name__ == "__main__":
    sys.exit(main())
