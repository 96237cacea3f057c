"""How objects move, in pictures: trails, arrows, and one colour for one object."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.draw import draw_panoptic
from lidarpan.draw.motion import Follower, trail_lines
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.viewer import instance_rows, pack_scan

CLASSES = load_class_table("semantickitti")
CAR = CLASSES.names.index("car")
SENSOR_M_S, CAR_M_S = 5.0, 8.0


def side(x, y):
    """Points on two sides of a car whose middle is at (x, y)."""
    along, across = np.linspace(-2.1, 2.1, 40), np.linspace(-0.9, 0.9, 20)
    places = [np.column_stack([along, np.full(40, -0.9 * np.sign(y))])]
    places.append(np.column_stack([np.full(20, -2.1), across]))
    flat = np.concatenate(places) + np.array([x, y])
    return np.concatenate([np.column_stack([flat, np.full(60, z)]) for z in (-1.2, -0.6)])


def drive(renames=False, num_scans=10):
    """The last scan of a car that drives by one that is parked; ids change from scan to scan."""
    follower = Follower(CLASSES, renames)
    for k in range(num_scans):
        t, pose = 0.1 * k, np.eye(4)
        pose[0, 3] = SENSOR_M_S * t
        world = np.concatenate([side(6 + CAR_M_S * t, 3.0), side(10.0, -4.0)])
        scan = Scan((world - pose[:3, 3]).astype(np.float32), np.zeros(240, np.float32))
        ids = np.repeat([1, 2] if k % 2 == 0 else [2, 1], 120).astype(np.int32)
        labels = PanopticLabels(np.full(240, CAR, np.uint8), ids)
        yield scan, labels, *follower.follow(scan, labels, t, pose)


def test_what_moves_has_a_trail_and_an_arrow_and_what_rests_none():
    _, labels, followed, motions = list(drive())[-1]
    assert followed is labels
    ((name, motion),) = motions.items()
    assert name == labels.instance[0]
    assert motion.tip[0] - motion.trail[-1, 0] == pytest.approx(CAR_M_S, abs=0.5)
    assert len(motion.trail) == 10
    np.testing.assert_allclose(motion.trail[:, 1], 3.0, atol=0.3)
    way = motion.trail[-1, 0] - motion.trail[0, 0]
    assert way == pytest.approx(0.9 * CAR_M_S, abs=0.5)  # the world's, not the sensor's


def test_ids_that_change_become_one():
    names = {tuple(np.unique(labels.instance[:120])) for _, _, labels, _ in drive(renames=True)}
    assert len(names) == 1


def test_trails_are_drawn_in_the_picture_and_told_to_the_page():
    scan, _, labels, motions = list(drive(renames=True))[-1]
    with_them = np.asarray(draw_panoptic(scan, labels, CLASSES, size_px=400, motions=motions))
    without = np.asarray(draw_panoptic(scan, labels, CLASSES, size_px=400))
    assert (with_them != without).any()
    in_boxes = np.asarray(draw_panoptic(scan, labels, CLASSES, size_px=400, motions={}))
    assert np.array_equal(in_boxes, without)
    assert pack_scan(scan, labels, CLASSES, motions=motions) != pack_scan(scan, labels, CLASSES)
    assert all("motion" not in row for row in instance_rows(scan, labels, CLASSES))


def test_an_arrow_is_as_long_as_the_way_of_a_second():
    trail, shaft, head = trail_lines(np.float32([[0, 0], [1, 0]]), np.float32([5, 0]))
    assert trail.tolist() == [[0, 0], [1, 0]]
    assert shaft.tolist() == [[1, 0], [5, 0]]
    np.testing.assert_allclose(head[1], [5, 0])
    assert (head[[0, 2], 0] < 5).all()
