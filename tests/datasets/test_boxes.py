"""Lists of objects and box files, read back by other means."""

import csv
import json

import numpy as np
import pytest
from pyquaternion import Quaternion

from lidarpan.classes import load_class_table
from lidarpan.datasets.boxes import ScanObjects, write_kitti, write_nuscenes, write_objects
from lidarpan.errors import InputError
from lidarpan.grouping.objects import PanopticObject

CLASSES = load_class_table("semantickitti")


def thing(name="car", number=3, score=0.75, yaw=0.5):
    return PanopticObject(
        number, name, CLASSES.id_of(name), score, 120, 9.25,
        (10.0, 4.0, -0.9), (4.4, 1.8, 1.5), yaw, (4.1, 1.2, 1.5),
    )  # fmt: skip


SCANS = [
    ScanObjects("a/000000.bin", [thing(), thing("person", 9, None)]),
    ScanObjects("a/000001.bin", []),
    ScanObjects("a/2.bin", [thing("truck")], turned=np.diag([1.0, -1, -1])),
]


def test_json(tmp_path):
    write_objects(tmp_path / "objects.json", SCANS)
    one, none, turned = json.loads((tmp_path / "objects.json").read_text())["scans"]
    assert one["scan"] == "a/000000.bin"
    assert one["objects"][0] == {
        "id": 3, "class": "car", "score": 0.75, "num_points": 120, "distance_m": 9.25,
        "center_m": [10.0, 4.0, -0.9], "size_m": [4.4, 1.8, 1.5], "yaw_rad": 0.5,
        "seen_m": [4.1, 1.2, 1.5],
    }  # fmt: skip
    assert one["objects"][1]["score"] is None
    assert none["objects"] == []
    assert turned["objects_R_file"] == [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
    assert "objects_R_file" not in one


def test_csv(tmp_path):
    write_objects(tmp_path / "objects.csv", SCANS)
    with (tmp_path / "objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["scan"], r["id"], r["class"], r["score"]) for r in rows] == [
        ("a/000000.bin", "3", "car", "0.75"),
        ("a/000000.bin", "9", "person", ""),
        ("a/2.bin", "3", "truck", "0.75"),
    ]
    assert float(rows[0]["yaw_rad"]) == 0.5
    assert [float(rows[0][k]) for k in ("x_m", "y_m", "z_m", "length_m", "seen_width_m")] == [
        10.0, 4.0, -0.9, 4.4, 1.2,
    ]  # fmt: skip


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"wanted a name ending in .json or .csv"):
        write_objects(tmp_path / "objects.txt", SCANS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("yaw", [0.0, 0.5, -2.0, 3.1])
def test_kitti_corners_are_the_box(tmp_path, yaw):
    """Corners as the KITTI development kit computes them, turned back to the sensor."""
    write_kitti(tmp_path / "0.txt", [thing(yaw=yaw)])
    words = (tmp_path / "0.txt").read_text().split()
    assert words[0] == "Car"
    assert len(words) == 16
    h, w, length, x, y, z, turn, score = map(float, words[8:])
    cx = np.array([1, 1, -1, -1, 1, 1, -1, -1]) * length / 2
    cy = np.array([0, 0, 0, 0, -1, -1, -1, -1]) * h
    cz = np.array([1, -1, -1, 1, 1, -1, -1, 1]) * w / 2
    c, s = np.cos(turn), np.sin(turn)
    camera = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ [cx, cy, cz] + [[x], [y], [z]]
    found = np.stack([camera[2], -camera[0], -camera[1]])
    c, s = np.cos(yaw), np.sin(yaw)
    corners = np.array([[a, b, d] for a in (-1, 1) for b in (-1, 1) for d in (-1, 1)]) / 2
    wanted = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ (corners * [4.4, 1.8, 1.5]).T
    wanted += np.array([[10.0], [4.0], [-0.9]])
    assert np.allclose(
        sorted(found.T.round(3).tolist()), sorted(wanted.T.round(3).tolist()), atol=2e-3
    )
    assert score == 0.75


def test_nuscenes_boxes_lie_in_the_world(tmp_path):
    turn = Quaternion(axis=[0, 0, 1], angle=1.0)
    pose = turn.transformation_matrix
    pose[:3, 3] = [100, 200, 3]
    scans = [ScanObjects("0.bin", [thing(), thing("person")], token="abc", world_T_sensor=pose)]
    assert write_nuscenes(tmp_path / "r.json", scans, CLASSES) == 0
    content = json.loads((tmp_path / "r.json").read_text())
    car, person = content["results"]["abc"]
    where = np.add(turn.rotate([10, 4, -0.9]), [100, 200, 3])
    assert car["translation"] == pytest.approx(where, abs=1e-3)
    assert car["size"] == [1.8, 4.4, 1.5]
    assert Quaternion(car["rotation"]).yaw_pitch_roll[0] == pytest.approx(1.5, abs=1e-4)
    assert (car["detection_name"], person["detection_name"]) == ("car", "pedestrian")
    assert car["sample_token"] == "abc"
    assert write_nuscenes(tmp_path / "s.json", SCANS, CLASSES) == 3
    assert set(json.loads((tmp_path / "s.json").read_text())["results"]) == {s.scan for s in SCANS}
