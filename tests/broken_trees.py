"""Datasets that are broken in one place each: which file, how, and what must be said of it."""

import json
import shutil

import numpy as np
import pytest
from dataset_trees import (
    write_argoverse2,
    write_kitti360,
    write_nuscenes_mini,
    write_own,
    write_pandaset,
    write_semantickitti_like,
    write_waymo,
)
from pandas_pickles import write_pandas_pickle

from lidarpan.datasets.nuscenes_labels import read_panoptic, write_panoptic
from lidarpan.scans.frame_pickle import read_frame_pickle


def write_kitti(root):
    write_semantickitti_like(root, {"08": True, "11": False}, car=10, ground=40)


def write_poss(root):
    write_semantickitti_like(root, {"02": True}, car=7, ground=22)


WRITERS = {
    "semantickitti": (write_kitti, "valid"),
    "semanticposs": (write_poss, "valid"),
    "kitti-360": (write_kitti360, "train"),
    "pandaset": (write_pandaset, "002"),
    "waymo": (write_waymo, "training"),
    "argoverse2": (write_argoverse2, "train"),
    "nuscenes": (write_nuscenes_mini, "mini_val"),
    "own": (write_own, "all"),
}
KITTI = ("semantickitti", "semanticposs")


# --- ways to break a file: functions of the path ---


def gone(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def empty(path):
    path.write_bytes(b"")


def nonsense(path):
    path.write_bytes(b"<html>not found</html>")


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def points(change):
    def broken(path):
        rows = np.fromfile(path, "<f4").reshape(-1, 4)
        change(rows).astype("<f4").tofile(path)

    return broken


def packed(change):
    def broken(path):
        labels = np.fromfile(path, "<u4")
        change(labels).astype("<u4").tofile(path)

    return broken


def lines(change):
    def broken(path):
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    return broken


def columns(change):
    """Of a pickled table."""

    def broken(path):
        write_pandas_pickle(path, change(read_frame_pickle(path)))

    return broken


def table(change):
    """Of a feather or parquet table: a dict of lists."""

    def broken(path):
        import pyarrow as pa
        from pyarrow import feather, parquet

        if path.suffix == ".feather":
            feather.write_feather(pa.table(change(feather.read_table(path).to_pydict())), str(path))
        else:
            parquet.write_table(pa.table(change(parquet.read_table(path).to_pydict())), path)

    return broken


def rows_of(change):
    """Of a JSON file."""

    def broken(path):
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return broken


def panoptic(change):
    def broken(path):
        write_panoptic(path, change(read_panoptic(path)))

    return broken


def put(key, value):
    def change(found):
        return {**found, key: value(found[key]) if callable(value) else value}

    return change


def without(key):
    return lambda found: {k: v for k, v in found.items() if k != key}


def at(place, value):
    def change(array):
        array = np.array(array)
        array[place] = value
        return array

    return change


def on_line(k, change):
    def changed(found):
        return [change(line) if i == k else line for i, line in enumerate(found)]

    return changed


def moved(line, by):
    numbers = [float(word) for word in line.split()]
    numbers[3] += by
    return " ".join(f"{n:.9g}" for n in numbers)


def other_id(labels):
    """The object gets another id, as objects do where ids start anew."""
    return np.where(labels >> 16 > 0, (labels & 0xFFFF) | 9 << 16, labels)


def swapped(rows):
    """The object is 80 m from where it was."""
    rows = rows.copy()
    rows[80:, 0] += 80
    return rows


V, L = "sequences/*/velodyne/000001.bin", "sequences/*/labels/000001.label"
P, C = "sequences/*/poses.txt", "sequences/*/calib.txt"
RAW = "data_3d_raw/*3_sync/*/data/0000000001.bin"
STATIC = "data_3d_semantics/train/*/static/0000000001_0000000002.ply"
MOVING = "data_3d_semantics/train/*/dynamic/0000000001_0000000002.ply"
SWEEP, SEMSEG = "002/lidar/01.pkl.gz", "002/annotations/semseg/01.pkl.gz"
CUBOIDS, PANDA_POSES = "002/annotations/cuboids/01.pkl.gz", "002/lidar/poses.json"
LIDAR, SEG = "training/lidar/*.parquet", "training/lidar_segmentation/*.parquet"
AV2_SWEEP, AV2_TRUTH = "train/*/sensors/lidar/*100000000.feather", "train/*/annotations.feather"
AV2_POSES = "train/*/city_SE3_egovehicle.feather"
AV2_MOUNT = "train/*/calibration/egovehicle_SE3_sensor.feather"
NU_SCAN, NU_LABELS = "samples/LIDAR_TOP/*", "panoptic/v1.0-mini/*"
SEG_VALUES = "[LiDARSegmentationLabelComponent].range_image_return1.values"
OWN_V, OWN_L = "scans/hall/000001.bin", "labels/hall/000001.label"

# dataset, file, how it is broken, kind of the fault, file and message, how many faults in all
CASES = []


def case(names, file, broken, kind, said, count=1):
    for name in (names,) if isinstance(names, str) else names:
        CASES.append(pytest.param(name, file, broken, kind, said, count, id=f"{len(CASES)}-{name}"))


case(KITTI, V, gone, "missing", "000002.bin: 1 scans before it are not there, from 1 on", 2)
case(KITTI, V, cut, "scan", "000001.bin: wanted 16 bytes per point, got 1917 bytes")
case(KITTI, V, empty, "scan", "000001.bin: wanted 16 bytes per point, got 0 bytes")
case(KITTI, V, points(at((5, 1), np.nan)), "scan", "000001.bin: wanted finite points")
case(KITTI, V, points(at((5, 0), np.inf)), "scan", "000001.bin: wanted finite points")
case(KITTI, V, points(lambda r: r[:-1]), "length", "000001.label: wanted 119 labels as")
case(KITTI, V, points(lambda r: np.vstack([r, r])), "length", "000001.label: wanted 240 labels")
case(KITTI, V, points(swapped), "ids", "000001.label: car 7 is .* m from where it was", 2)
case(KITTI, L, gone, "missing", "000001.bin: no labels, 2 of 3 scans beside it have some")
case(KITTI, L, cut, "labels", "000001.label: wanted 4 bytes per label, got 477 bytes: cut off")
case(KITTI, L, empty, "length", "000001.label: wanted 120 labels as .*, got 0")
case(KITTI, L, packed(lambda p: p[:-1]), "length", "000001.label: wanted 120 .*, got 119")
case(KITTI, L, packed(lambda p: np.append(p, 0)), "length", "000001.label: wanted 120 .* got 121")
case(KITTI, L, packed(at(3, 77)), "labels", r"000001.label: labels \[77\] are not semantic")
case(KITTI, L, packed(at(3, 60000)), "labels", r"000001.label: labels \[60000\] are not semantic")
case(KITTI, L, packed(at(3, 5 << 16)), "instances", "000001.label: 1 points of void have an inst")
case("semantickitti", L, packed(at(3, 40 | 5 << 16)), "instances", "1 points of road have an inst")
case(
    "semantickitti",
    L,
    packed(at([3, 4], [70 | 5 << 16, 50 | 5 << 16])),
    "instances",
    "building, veg",
)
case("semanticposs", L, packed(at(3, 22 | 5 << 16)), "instances", "1 points of ground have an inst")
case(
    KITTI,
    "sequences/*/labels/000002.label",
    lambda p: shutil.copy(p, p.with_name("000009.label")),
    "missing",
    "000009.label: labels of a scan",
)
case(KITTI, P, lines(lambda t: t[:-1]), "poses", "000002.bin: no pose, 2 of 3 scans beside it")
case(
    KITTI,
    P,
    lines(lambda t: [*t, t[-1]]),
    "missing",
    "poses.txt: 4 poses, but the last scan is 000002",
)
case(
    KITTI,
    P,
    lines(on_line(1, lambda t: t.replace(t.split()[3], "nan", 1))),
    "poses",
    "poses.txt: line 2: wanted 12 finite",
)
case(
    KITTI, P, lines(on_line(1, lambda t: t + " 1")), "poses", "poses.txt: line 2: wanted 12 finite"
)
case(
    KITTI, P, lines(on_line(0, lambda t: "x " + t)), "poses", "poses.txt: line 1: wanted 12 finite"
)
case(KITTI, P, empty, "poses", "poses.txt: wanted a pose a line, got an empty file")
case(
    KITTI,
    P,
    lines(on_line(1, lambda t: moved(t, 500))),
    "poses",
    "000001.bin: its pose is .* m from",
    2,
)
case(
    KITTI,
    P,
    lines(on_line(1, lambda t: t.replace(t.split()[0], "9", 1))),
    "poses",
    "poses.txt: line 2: wanted the rows of a rotation and a place",
)
case(
    KITTI,
    P,
    lines(on_line(1, lambda t: t.replace(t.split()[0], "0.94", 1))),
    "poses",
    "000001.bin: its pose is no rotation: off by",
)
case(
    KITTI,
    P,
    lambda p: p.write_bytes(b"\xff\xfe\x00"),
    "poses",
    "poses.txt: wanted text in UTF-8",
)
case(
    KITTI,
    C,
    lines(lambda t: [t[0], "Tr: 1 2 3"]),
    "poses",
    "calib.txt: Tr: wanted 12 numbers",
)
case(
    KITTI,
    C,
    lines(lambda t: [t[0], "Tr:" + 12 * " 0"]),
    "poses",
    "calib.txt: Tr: wanted a rotation",
)

case("kitti-360", RAW, cut, "scan", "0000000001.bin: wanted 16 bytes per point")
case("kitti-360", RAW, empty, "scan", "0000000001.bin: wanted 16 bytes per point")
case(
    "kitti-360", RAW, points(lambda r: r * np.nan), "scan", "0000000001.bin: all 120 points are NaN"
)
case("kitti-360", STATIC, nonsense, "labels", "0000000002.ply: wanted a .ply header", 2)
case("kitti-360", STATIC, half, "labels", "static/0000000001_0000000002.ply: wanted .* cut off", 2)
case("kitti-360", MOVING, half, "labels", "dynamic/0000000001_0000000002.ply: wanted .* cut off", 2)
case(
    "kitti-360",
    STATIC,
    lambda p: p.write_bytes(p.read_bytes().replace(b"int semantic", b"int semblance", 1)),
    "labels",
    "static/.*: wanted the properties .* got no semantic",
    2,
)
case(
    "kitti-360",
    MOVING,
    lambda p: p.write_bytes(p.read_bytes().replace(b"\x1a\x00\x00\x00", b"\x5a\x00\x00\x00")),
    "labels",
    r"static/.*: labels \[90\] are not kitti-360",
    2,
)
case(
    "kitti-360",
    "data_poses/*3_sync/poses.txt",
    lines(on_line(1, lambda t: t + " 7")),
    "poses",
    "poses.txt: line 2: wanted 12 finite",
)
case(
    "kitti-360",
    "calibration/calib_cam_to_velo.txt",
    gone,
    "poses",
    "calib_cam_to_velo.txt: no such file",
)
case(
    "kitti-360",
    "calibration/calib_cam_to_velo.txt",
    nonsense,
    "poses",
    "calib_cam_to_velo.txt: wanted 12 numb",
)
case(
    "kitti-360",
    "calibration/calib_cam_to_pose.txt",
    lines(lambda t: ["image_00:" + 12 * " 1"]),
    "poses",
    "calib_cam_to_pose.txt: image_00: wanted a rotation",
)

case("pandaset", SWEEP, cut, "scan", "lidar/01.pkl.gz: wanted a table that pandas pickled")
case("pandaset", SWEEP, nonsense, "scan", "lidar/01.pkl.gz: wanted a table that pandas pickled")
case(
    "pandaset",
    SWEEP,
    columns(without("d")),
    "scan",
    "lidar/01.pkl.gz: wanted the columns .* got no d",
)
case(
    "pandaset",
    SWEEP,
    columns(put("x", np.array(["a"] * 150, object))),
    "scan",
    "lidar/01.pkl.gz: wanted numbers in the columns",
)
case(
    "pandaset",
    SWEEP,
    columns(lambda t: {k: v[:-1] for k, v in t.items()}),
    "length",
    "semseg/01.pkl.gz: wanted 149 labels",
)
case("pandaset", SEMSEG, gone, "missing", "lidar/01.pkl.gz: no labels, 1 of 2 scans beside it")
case("pandaset", SEMSEG, half, "labels", "semseg/01.pkl.gz: wanted a table that pandas pickled")
case(
    "pandaset",
    SEMSEG,
    columns(lambda t: {"klass": t["class"]}),
    "labels",
    "semseg/01.pkl.gz: wanted a column 'class'",
)
case(
    "pandaset",
    SEMSEG,
    columns(put("class", at(3, 77))),
    "labels",
    r"semseg/01.pkl.gz: labels \[77\] are not pandaset",
)
case(
    "pandaset",
    SEMSEG,
    columns(put("class", at(3, -1))),
    "labels",
    r"semseg/01.pkl.gz: labels \[-1\] are not pandaset",
)
case(
    "pandaset",
    SEMSEG,
    columns(put("class", lambda c: c[:-2])),
    "length",
    "semseg/01.pkl.gz: wanted 150 labels",
)
case(
    "pandaset",
    CUBOIDS,
    nonsense,
    "labels",
    "cuboids/01.pkl.gz: wanted a table that pandas pickled",
    2,
)
case(
    "pandaset",
    CUBOIDS,
    columns(without("yaw")),
    "labels",
    "cuboids/01.pkl.gz: wanted a column 'yaw'",
)
case(
    "pandaset",
    CUBOIDS,
    columns(put("label", at(1, "Spaceship"))),
    "labels",
    "cuboids/01.pkl.gz: wanted the labels of PandaSet, got 'Spaceship'",
)
case(
    "pandaset",
    PANDA_POSES,
    rows_of(lambda r: r[:1]),
    "poses",
    "poses.json: wanted a pose for 01.pkl.gz, got 1 poses",
    2,
)
case("pandaset", PANDA_POSES, nonsense, "poses", "poses.json: wanted JSON")
case("pandaset", PANDA_POSES, gone, "poses", "poses.json: cannot be read")
case(
    "pandaset",
    PANDA_POSES,
    rows_of(lambda r: [{"position": p["position"]} for p in r]),
    "poses",
    "poses.json: wanted a list of position and heading",
    1,
)

case("waymo", SEG, nonsense, "labels", "lidar_segmentation/.*: wanted a .parquet table", None)
case(
    "waymo",
    SEG,
    table(put(SEG_VALUES, lambda v: [v[0][:-2], v[1]])),
    "labels",
    "lidar_segmentation/.*: row 0: wanted an image",
)
case(
    "waymo",
    SEG,
    table(put(SEG_VALUES, lambda v: [[99] * len(v[0]), v[1]])),
    "labels",
    r"lidar_segmentation/.*: frame 000000: labels \[99\] are not waymo",
)
case(
    "waymo",
    SEG,
    table(put(SEG_VALUES, lambda v: [v[0], at(0, 70000)(v[1]).tolist()])),
    "labels",
    "lidar_segmentation/.*: wanted instance ids 0..65535",
)
case(
    "waymo",
    SEG,
    table(put(SEG_VALUES, lambda v: [v[0], at(-2, 9)(v[1]).tolist()])),
    "instances",
    "lidar_segmentation/.*: 1 points of road have an instance id",
)
case(
    "waymo",
    SEG,
    table(
        put("[LiDARSegmentationLabelComponent].range_image_return1.shape", [[4, 20, 2], [4, 30, 2]])
    ),
    "labels",
    "lidar_segmentation/.*: row 0: wanted an image",
)
case(
    "waymo",
    "training/lidar_calibration/*",
    gone,
    "poses",
    "wanted the calibration in .*/lidar_calibration/",
    None,
)
case("waymo", "training/vehicle_pose/*", gone, None, None, 0)
case(
    "waymo",
    "training/vehicle_pose/*",
    table(lambda t: {k: v[:2] for k, v in t.items()}),
    "poses",
    "000002: no pose, 1 of 2 scans",
)

case("argoverse2", AV2_SWEEP, nonsense, "scan", "100000000.feather: wanted a .feather table")
case("argoverse2", AV2_SWEEP, empty, "scan", "100000000.feather: wanted a .feather table")
case(
    "argoverse2",
    AV2_SWEEP,
    table(without("z")),
    "scan",
    "100000000.feather: wanted the columns x y z",
)
case("argoverse2", AV2_TRUTH, nonsense, "labels", "annotations.feather: wanted a .feather table", 3)
case(
    "argoverse2",
    AV2_TRUTH,
    table(without("track_uuid")),
    "labels",
    "annotations.feather: wanted a column 'track_uuid'",
    3,
)
case(
    "argoverse2",
    AV2_TRUTH,
    table(put("category", lambda c: ["UFO", *c[1:]])),
    "labels",
    "annotations.feather: wanted categories of Argoverse 2, got 'UFO'",
)
case(
    "argoverse2",
    AV2_TRUTH,
    table(put("qw", lambda q: [9.0 for _ in q])),
    "labels",
    "annotations.feather: wanted unit quaternions",
    3,
)
case("argoverse2", AV2_POSES, gone, "poses", "city_SE3_egovehicle.feather: no such file")
case(
    "argoverse2",
    AV2_POSES,
    table(lambda t: {k: v[:2] for k, v in t.items()}),
    "poses",
    "200000000.feather: no pose, 2 of 3 scans",
)
case(
    "argoverse2",
    AV2_POSES,
    table(put("tx_m", lambda t: [t[0], float("nan"), t[2]])),
    "poses",
    "city_SE3_egovehicle.feather: wanted unit quaternions and places",
)
case(
    "argoverse2",
    AV2_POSES,
    table(put("tx_m", lambda t: [t[0], t[1], t[2] + 300])),
    "poses",
    "200000000.feather: its pose is 30. m from",
)
case(
    "argoverse2",
    AV2_MOUNT,
    table(put("sensor_name", ["a", "b", "c"])),
    "poses",
    "SE3_sensor.feather: wanted a row of up_lidar",
    None,
)

case("nuscenes", NU_SCAN, gone, "scan", "pcd.bin: no such file: the tables name it")
case("nuscenes", NU_SCAN, cut, "scan", "pcd.bin: wanted 20 bytes per point")
case("nuscenes", NU_SCAN, empty, "scan", "pcd.bin: wanted 20 bytes per point, got 0 bytes")
case("nuscenes", NU_LABELS, gone, "labels", "panoptic.npz: no such file: the tables name it")
case("nuscenes", NU_LABELS, nonsense, "labels", "panoptic.npz: ")
case("nuscenes", NU_LABELS, half, "labels", "panoptic.npz: ")
case("nuscenes", NU_LABELS, panoptic(lambda p: p[:-1]), "length", "panoptic.npz: wanted 120 labels")
case(
    "nuscenes",
    NU_LABELS,
    panoptic(at(0, 24005)),
    "instances",
    "panoptic.npz: 1 points of driveable_surface have",
)
case(
    "nuscenes",
    NU_LABELS,
    lambda p: np.savez(p, data=np.full(120, 60000, np.uint16)),
    "labels",
    "panoptic.npz: data: wanted",
)
case(
    "nuscenes",
    NU_LABELS,
    lambda p: np.savez(p, daten=np.zeros(120, np.uint16)),
    "labels",
    "panoptic.npz: wanted an array 'data'",
)
case(
    "nuscenes",
    NU_LABELS,
    lambda p: np.savez(p, data=np.zeros(120)),
    "labels",
    "panoptic.npz: wanted .* uint16, got .*float64",
)

case("own", OWN_V, cut, "scan", "000001.bin: wanted")
case("own", OWN_V, nonsense, "scan", "000001.bin: ")
case("own", OWN_L, gone, "missing", "000001.bin: no labels, 2 of 3 scans beside it")
case("own", OWN_L, cut, "labels", "000001.label: wanted 4 bytes per label")
case("own", OWN_L, packed(at(3, 8)), "labels", r"000001.label: labels \[8\] are not own raw labels")
case("own", OWN_L, packed(at(3, 1 | 1 << 16)), "instances", "000001.label: 1 points of floor have")
case("own", OWN_L, packed(lambda p: p[:50]), "length", "000001.label: wanted 120 labels")
