"""Makes a small dataset of one's own: scans of a yard with containers, forklifts and people.

    python make_scans.py [--out data] [--scans 12] [--seed 0]

It stands for the reader's own recordings: all that the commands need is `data/scans/*/*.bin` (any
format that lidarpan reads), `data/labels/*/*.label` (uint32: raw class + 65536 * object number) and
classes.yaml. The scans are cast from boxes with the sensor of sensor.yaml.
"""

import argparse
from pathlib import Path

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.kitti_labels import write_label
from lidarpan.synthetic.actors.mesh import join, make_mesh
from lidarpan.synthetic.raycast import Caster
from lidarpan.synthetic.sensors.choose import read_sensor

HERE = Path(__file__).parent
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (0, 2)]) / 2
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)  # fmt: skip


def box(x, y, yaw, size):
    """A box that stands on the ground."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned = (CORNERS * size) @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return make_mesh(turned + np.array([x, y, 0]), FACES, 0, 0)


def make_yard(rng, classes):
    """Triangles, and the class and the number of the object that each belongs to."""
    floor = make_mesh([[-30, -30, 0], [30, -30, 0], [30, 30, 0], [-30, 30, 0]],
                      [[0, 1, 2], [0, 2, 3]], 0, 0)  # fmt: skip
    parts = [(floor, "tarmac", 0)]
    for x, y, yaw in ((17, 0, np.pi / 2), (-17, 0, np.pi / 2), (0, 17, 0), (0, -17, 0)):
        parts.append((box(x, y, yaw, (34, 0.3, 3.5)), "wall", 0))
    places = [(x, y) for x in range(-14, 15, 4) for y in range(-14, 15, 4) if abs(x) + abs(y) > 4]
    rng.shuffle(places)
    kinds = ["container"] * 4 + ["forklift"] * 4 + ["person"] * 6 + ["post"] * 5
    for number, (kind, (x, y)) in enumerate(zip(kinds, places, strict=False), start=1):
        is_thing = classes.id_of(kind) in classes.things
        size = classes.box_m[classes.id_of(kind)] if is_thing else (0.25, 0.25, 3.0)
        size = np.array(size) * rng.uniform(0.9, 1.1, 3)
        parts.append((box(x, y, rng.uniform(0, np.pi), size), kind, number * is_thing))
    counts = [len(mesh.triangles) for mesh, _, _ in parts]
    raw = np.repeat([classes.train_to_raw[classes.id_of(kind)] for _, kind, _ in parts], counts)
    return join([mesh for mesh, _, _ in parts]), raw, np.repeat([n for _, _, n in parts], counts)


def make_scan(rng, sensor, classes):
    """x y z intensity of each point, and its packed label."""
    mesh, raw, number = make_yard(rng, classes)
    directions, _, _ = sensor.rays(rng)
    hits = Caster(mesh).cast(np.array([0, 0, sensor.height_m], np.float32), directions)
    seen = (hits.range_m > sensor.min_range_m) & (hits.range_m < sensor.max_range_m)
    ranges = hits.range_m[seen] + rng.normal(0, sensor.range_noise_m, seen.sum())
    points = directions[seen] * ranges[:, None]
    triangle = hits.triangle[seen]
    bright = 0.2 + 0.1 * (raw[triangle] % 5) + rng.normal(0, 0.02, len(points))
    packed = raw[triangle].astype(np.uint32) | number[triangle].astype(np.uint32) << 16
    return np.column_stack([points, bright]).astype(np.float32), packed


def main():
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data"))
    parser.add_argument("--scans", type=int, default=12, help="of each split: train, valid, test")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    classes = ClassTable.from_yaml(HERE / "classes.yaml")
    sensor = read_sensor(HERE / "sensor.yaml")
    for k, split in enumerate(("train", "valid", "test")):
        for i in range(options.scans if split == "train" else max(1, options.scans // 4)):
            rng = np.random.default_rng([options.seed, k, i])
            rows, packed = make_scan(rng, sensor, classes)
            path = options.out / "scans" / split / f"{i:06d}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows.tofile(path)
            if split != "test":
                write_label(options.out / "labels" / split / f"{i:06d}.label", packed)
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
