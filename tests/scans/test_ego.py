"""The sensor's own vehicle: where it is found, and that nothing else is taken for it."""

import numpy as np
import pytest

from lidarpan.scans.ego import EgoBox, find_ego_box, hide_ego, parse_ego_box
from lidarpan.scans.fields import LoadedScan
from lidarpan.structures import InputError, Scan

HEIGHT_M = 1.8
ROOF = (-1.4, -0.8, -0.5), (1.9, 0.75, -0.05)


def scene(shift_m=0.0, roof=True, beside=(), seed=0):
    """A street that moves past by shift_m, with or without a roof below the sensor."""
    rng = np.random.default_rng(seed)
    ground = np.c_[rng.uniform(-25, 25, (4000, 2)), np.full(4000, -HEIGHT_M)]
    ground = ground[np.hypot(ground[:, 0], ground[:, 1]) > 3.2]
    posts = np.random.default_rng(5).uniform(-60, 60, 40)
    wall = np.c_[
        rng.choice(posts, 3000) - shift_m, rng.choice([-7, 8], 3000), rng.uniform(-1.5, 1, 3000)
    ]
    wall[:, :2] += rng.normal(0, 0.02, (3000, 2))
    parts = [ground, wall, *beside]
    if roof:
        parts.append(rng.uniform(*ROOF, (400, 3)))
    return np.concatenate(parts).astype(np.float32)


def test_the_roof_is_found_in_one_scan():
    points = scene()
    box = find_ego_box([points], HEIGHT_M)
    assert box.contains(points)[-400:].all()
    assert not box.contains(points)[:-400].any()
    assert np.allclose(box.max_m, ROOF[1], atol=0.25)


@pytest.mark.parametrize("num_scans", [1, 6])
def test_without_a_vehicle_there_is_no_box(num_scans):
    scans = [scene(2.0 * k, roof=False, seed=k) for k in range(num_scans)]
    assert find_ego_box(scans, HEIGHT_M) is None


def test_what_passes_by_is_no_part_of_the_vehicle():
    """Somebody walks past close by in one scan of six."""
    person = np.random.default_rng(1).uniform((0.5, 1.0, -1.4), (0.9, 1.25, 0.05), (60, 3))
    scans = [scene(2.0 * k, beside=[person] if k == 2 else [], seed=k) for k in range(6)]
    box = find_ego_box(scans, HEIGHT_M)
    assert box.max_m[1] < 1.0
    assert not box.contains(person.astype(np.float32)).any()


def test_a_standing_vehicle_is_judged_as_one_scan():
    box = find_ego_box([scene(0.0, seed=k) for k in range(6)], HEIGHT_M)
    assert np.allclose(box.min_m[:2], np.array(ROOF[0][:2]), atol=0.25)


@pytest.mark.parametrize("offset", [(4.2, 0, 0), (0, 2.4, 0), (0, 0, 1.2)])
def test_neighbours_further_away_or_above_are_left_alone(offset):
    rng = np.random.default_rng(2)
    car = rng.uniform((-0.5, -0.5, -1.3), (0.5, 0.5, 0.0), (300, 3)) + offset
    box = find_ego_box([scene(beside=[car])], HEIGHT_M)
    assert not box.contains((car.astype(np.float32))[car[:, 2] > 0.2]).any()
    assert box.max_m[0] < 2.6
    assert box.max_m[1] < 1.5


def test_hidden_points_count_as_not_usable():
    points = scene()
    valid = np.ones(len(points) + 3, np.bool_)
    valid[[0, 7, 9]] = False
    loaded = LoadedScan(Scan(points), valid, ("said",))
    shown = hide_ego(loaded, "auto", HEIGHT_M)
    assert shown.scan.num_points == len(points) - 400 == shown.valid.sum()
    assert (shown.scan.points == points[:-400]).all()
    assert (shown.valid == np.r_[valid[:-400], np.zeros(400, bool)]).all()
    assert shown.warnings == ("said",)
    assert hide_ego(loaded, None, HEIGHT_M) is loaded
    fixed = hide_ego(loaded, EgoBox((-99, -99, -99), (0, 99, 99)), HEIGHT_M)
    assert (fixed.scan.points[:, 0] > 0).all()


def test_a_box_that_holds_everything_hides_nothing():
    loaded = LoadedScan(Scan(scene()), np.ones(len(scene()), bool))
    assert hide_ego(loaded, EgoBox((-99, -99, -99), (99, 99, 99)), HEIGHT_M) is loaded


def test_a_choice_is_read():
    assert parse_ego_box("auto") == "auto"
    assert parse_ego_box("off") is None
    assert parse_ego_box("-1,-2,-3,1,2,3") == EgoBox((-1, -2, -3), (1, 2, 3))
    assert parse_ego_box(str(EgoBox((-1, -2, -3), (1, 2, 3)))) == EgoBox((-1, -2, -3), (1, 2, 3))
    for bad in ("on", "1,2,3", "1,0,0,0,0,0", "a,b,c,d,e,f"):
        with pytest.raises(InputError, match="ego box"):
            parse_ego_box(bad)


def test_on_real_scans_only_what_is_no_street_is_hidden(real_data):
    sets = {
        "nuscenes": ("nuscenes/LIDAR_TOP", "*.pcd.bin", 1.84),
        "kitti": ("semantickitti/sequences/08/velodyne", "*.bin", 1.73),
    }
    from lidarpan.datasets.kitti_labels import read_label
    from lidarpan.datasets.nuscenes_labels import read_panoptic
    from lidarpan.scans.files import load_scan

    for name, (folder, pattern, height_m) in sets.items():
        paths = sorted((real_data / folder).glob(pattern))
        scans = [load_scan(path).scan.points for path in paths]
        box = find_ego_box(scans, height_m)
        for points, path in zip(scans, paths, strict=True):
            if name == "nuscenes":
                file = path.parents[1] / "panoptic" / f"{path.name[:2]}_panoptic.npz"
                void = read_panoptic(file) < 1000
            else:
                raw = read_label(path.parents[1] / "labels" / f"{path.stem}.label") & 0xFFFF
                void = raw <= 1
            hidden = box.contains(points)
            assert hidden.any()
            assert void[hidden].all()
            if name == "nuscenes":  # whose roof is labelled
                reach = np.hypot(points[:, 0], points[:, 1])
                assert hidden[void & (reach < 1.4)].mean() > 0.99
