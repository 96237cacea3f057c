"""Objects of a scan: what, where and how large, against boxes that were put there."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.grouping.fusion import keep_confident
from lidarpan.structures import InputError, PanopticLabels, Scan

CLASSES = load_class_table("semantickitti")
CAR, PERSON, ROAD = (CLASSES.id_of(name) for name in ("car", "person", "road"))


def car_sides(center, yaw, size=(4.4, 1.8, 1.5), step=0.08):
    """Points on those two sides of an upright box that the sensor at the origin sees."""
    length, width, height = size
    along, across = np.arange(-length / 2, length / 2, step), np.arange(-width / 2, width / 2, step)
    up = np.arange(-height / 2, height / 2, 0.2)
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    eye = turn.T @ -np.asarray(center[:2])
    side = np.c_[along, np.full(len(along), np.sign(eye[1]) * width / 2)]
    end = np.c_[np.full(len(across), np.sign(eye[0]) * length / 2), across]
    flat = np.concatenate([side, end]) @ turn.T + center[:2]
    rows = np.repeat(flat, len(up), axis=0)
    return np.c_[rows, np.tile(up, len(flat)) + center[2]]


def scene(*parts):
    """A scan and labels of (points, class, instance id) parts."""
    points = np.concatenate([part for part, _, _ in parts]).astype(np.float32)
    counts = [len(part) for part, _, _ in parts]
    semantic = np.repeat([c for _, c, _ in parts], counts)
    instance = np.repeat([i for _, _, i in parts], counts)
    score = np.zeros(max(i for _, _, i in parts) + 1, np.float32)
    score[1:] = 0.25 + 0.5 * (np.arange(1, len(score)) % 2)
    return Scan(points), PanopticLabels(semantic, instance, score, CLASSES)


@pytest.mark.parametrize("yaw", [0.0, 0.4, 1.2, 2.3, -0.7])
def test_a_car_seen_from_a_corner(yaw):
    center = np.array([9.0, 6.0, -0.9])
    scan, labels = scene((car_sides(center, yaw), CAR, 7))
    (car,) = labels.objects(scan)
    assert (car.id, car.class_name, car.num_points) == (7, "car", scan.num_points)
    assert car.score == pytest.approx(0.75)
    assert np.abs(np.array(car.center_m) - center).max() < 0.15
    assert car.size_m == pytest.approx((4.4, 1.8, 1.5), abs=0.2)
    off = (car.yaw_rad - yaw + np.pi / 2) % np.pi - np.pi / 2
    assert abs(off) < np.radians(3.5)  # half a step of the search, and up to half a turn
    assert car.distance_m == pytest.approx(np.linalg.norm(scan.points, axis=1).min())


def test_only_the_rear_is_seen_and_the_car_reaches_away():
    rear = car_sides(np.array([12.2, 0.0, -0.9]), 0.0)
    rear = rear[rear[:, 0] < 10.05]
    scan, labels = scene((rear, CAR, 1))
    (car,) = labels.objects(scan)
    assert car.seen_m[0] < 0.2
    assert car.size_m[0] == pytest.approx(4.4)
    assert car.center_m[0] == pytest.approx(10.0 + 2.2, abs=0.15)
    assert abs(np.sin(car.yaw_rad)) < 0.05


def test_stuff_is_no_object_and_ids_may_be_apart():
    ground = np.random.default_rng(0).uniform(-20, 20, (500, 3)) * [1, 1, 0.01]
    one, two = car_sides(np.array([8, 5, -1.0]), 0.2), car_sides(np.array([-9, 4, -1.0]), 1.0)
    scan, labels = scene((ground, ROAD, 0), (one, CAR, 3), (two, PERSON, 90000))
    assert [(o.id, o.class_name) for o in labels.objects(scan)] == [(3, "car"), (90000, "person")]


def test_no_objects():
    scan = Scan(np.ones((4, 3)))
    assert PanopticLabels.all_void(4, CLASSES).objects(scan) == []


def test_whose_classes_is_asked():
    scan, labels = scene((car_sides(np.array([8, 5, -1.0]), 0.2), CAR, 1))
    bare = PanopticLabels(labels.semantic, labels.instance)
    with pytest.raises(InputError, match="nobody says what the labels' classes are"):
        bare.objects(scan)
    assert bare.objects(scan, CLASSES)[0].class_name == "car"
    with pytest.raises(InputError, match="in the classes of semantickitti, got those of nuscenes"):
        labels.objects(scan, load_class_table("nuscenes"))
    with pytest.raises(InputError, match="wanted labels of the scan's 3 points"):
        labels.objects(Scan(np.ones((3, 3))))


def test_keep_confident():
    one, two = car_sides(np.array([8, 5, -1.0]), 0.2), car_sides(np.array([-9, 4, -1.0]), 1.0)
    _, labels = scene((one, CAR, 1), (two, CAR, 2))
    kept = keep_confident(labels, 0.5)
    assert np.unique(kept.instance).tolist() == [0, 1]
    assert (kept.semantic[labels.instance == 2] == 0).all()
    assert (kept.semantic[labels.instance == 1] == CAR).all()
    assert keep_confident(labels, 0.75).instance.any()  # as good as asked for is good enough
    assert keep_confident(labels, 0) is labels
    with pytest.raises(InputError, match="labels with scores"):
        keep_confident(PanopticLabels(labels.semantic, labels.instance), 0.5)
