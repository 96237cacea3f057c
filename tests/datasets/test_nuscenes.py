"""The nuScenes layout: nuscenes-devkit loads and scores what is written, and we read it back."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.classes import load_class_table
from lidarpan.datasets.nuscenes_frame import NATIVE_T_SCAN, quaternion, transform
from lidarpan.datasets.nuscenes_labels import pack_panoptic, pack_truth, write_panoptic
from lidarpan.datasets.nuscenes_tables import find_version
from lidarpan.datasets.open import open_dataset
from lidarpan.datasets.predictions import prediction_path
from lidarpan.scans.files import load_scan
from lidarpan.structures import InputError, Scan
from lidarpan.synthetic.nuscenes_writer import GENERAL_CLASSES, write_nuscenes

CLASSES = load_class_table("nuscenes")
SCENES = ("scene-0103", "scene-0916")  # all of mini_val


@dataclass
class Box:
    instance: int
    center: tuple
    size_m: tuple
    yaw_rad: float
    velocity: tuple


@dataclass
class Labelled:
    scan: Scan
    instance: np.ndarray
    time_s: float
    boxes: tuple
    raw_label: np.ndarray

    def raw(self, dataset):
        assert dataset == "nuscenes"
        return self.raw_label


def drive(seed):
    """Two samples: a driven-by car, a person that walks, ground around, an ego that drives."""
    rng = np.random.default_rng(seed)
    samples = []
    for k in range(2):
        world = np.eye(4)
        yaw = 0.3 + 0.1 * k
        world[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
        world[:3, 3] = [50 + 4 * k, 7, 1.84]
        car = Box(4000, (60.0, 12.0 + k, 0.8), (4.6, 1.9, 1.6), 0.7, (0.0, 2.0))
        person = Box(70_000, (55.0, 3.0, 0.9), (0.7, 0.6, 1.8), 0.0, (0.0, 0.0))
        unseen = Box(5, (99.0, 3.0, 0.9), (0.7, 0.6, 1.8), 0.0, (0.0, 0.0))
        inside = [points_in(box, rng, 60) for box in (car, person)]
        ground = rng.uniform([40, -5, -0.02], [70, 20, 0.02], (200, 3))
        at = np.vstack([*inside, ground, ground[:20] + np.array([0, 0, 1.0])])
        points = (at - world[:3, 3]) @ world[:3, :3]
        n = len(points)
        scan = Scan(
            points.astype(np.float32),
            np.round(rng.uniform(0, 1, n) * 255).astype(np.float32) / np.float32(255),
            ring=rng.integers(0, 32, n).astype(np.int32),
            world_T_sensor=world,
        )
        raw = np.repeat([17, 3, 24, 14], [60, 60, 200, 20]).astype(np.int32)
        instance = np.repeat([4000, 70_000, 0, 0], [60, 60, 200, 20]).astype(np.int32)
        samples.append(Labelled(scan, instance, 0.5 * k, (car, unseen, person), raw))
    return samples


def points_in(box, rng, count):
    local = rng.uniform(-0.45, 0.45, (count, 3)) * box.size_m
    c, s = np.cos(box.yaw_rad), np.sin(box.yaw_rad)
    return local @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + box.center


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("nuscenes")
    written = list(write_nuscenes(root, ((name, drive(i)) for i, name in enumerate(SCENES))))
    assert len(written) == 4
    assert all(file.is_file() for file in written)
    return root


@pytest.fixture(scope="module")
def devkit(tree):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes import NuScenes

    return NuScenes(version="v1.0-mini", dataroot=str(tree), verbose=False)


def test_devkit_finds_boxes_around_their_points(devkit):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes.utils.data_classes import LidarPointCloud
    from nuscenes.utils.geometry_utils import points_in_box

    assert len(devkit.sample) == len(devkit.panoptic) == len(devkit.lidarseg) == 4
    for sample in devkit.sample:
        path, boxes, _ = devkit.get_sample_data(sample["data"]["LIDAR_TOP"])
        points = LidarPointCloud.from_file(path).points[:3]
        named = {box.name: points_in_box(box, points).sum() for box in boxes}
        assert set(named) == {"vehicle.car", "human.pedestrian.child"}
        assert all(60 <= count <= 100 for count in named.values()), named
        for annotation in (devkit.get("sample_annotation", token) for token in sample["anns"]):
            assert annotation["num_lidar_pts"] == 60
            name = devkit.get("attribute", annotation["attribute_tokens"][0])["name"]
            assert name in ("vehicle.moving", "pedestrian.standing")
    velocity = devkit.box_velocity(devkit.scene[0] and devkit.sample[0]["anns"][0])
    np.testing.assert_allclose(velocity, [0, 2, 0], atol=1e-6)  # one metre in half a second
    assert len(devkit.instance) == 4
    assert all(row["nbr_annotations"] == 2 for row in devkit.instance)
    scene = devkit.get("scene", devkit.sample[0]["scene_token"])
    assert devkit.sample[0]["next"] == scene["last_sample_token"]
    assert devkit.get("log", scene["log_token"])["map_token"] == devkit.map[0]["token"]


def test_devkit_agrees_on_the_classes(devkit):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes.utils.color_map import get_colormap

    assert tuple(get_colormap()) == GENERAL_CLASSES
    from nuscenes.eval.panoptic.utils import PanopticClassMapper

    mapper = PanopticClassMapper(devkit)
    general = np.arange(32)
    np.testing.assert_array_equal(mapper.convert_label(general), CLASSES.to_train(general))
    assert tuple(sorted(mapper.things.values())) == CLASSES.things


def test_devkit_scores_the_truth_as_perfect(tree, devkit, tmp_path):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes.eval.panoptic.evaluate import NuScenesPanopticEval

    dataset = open_dataset("nuscenes", tree, "mini_val")
    for i in range(len(dataset)):
        path = prediction_path(tmp_path, dataset.path(i), "nuscenes")
        assert path == tmp_path / f"panoptic/mini_val/{dataset.name(i)}_panoptic.npz"
        write_panoptic(path, pack_panoptic(dataset.labels(i), CLASSES))
    evaluation = NuScenesPanopticEval(
        devkit, str(tmp_path), "mini_val", "tracking", 15, str(tmp_path / "scores")
    )
    evaluation.evaluate()
    scores = json.loads((tmp_path / "scores/tracking-result.json").read_text())
    for name in ("car", "pedestrian", "driveable_surface"):
        assert scores["segmentation"][name] == {"PQ": 1, "SQ": 1, "RQ": 1, "IoU": 1}
        assert scores["tracking"][name]["PTQ"] == pytest.approx(1)


def test_we_read_what_was_written(tree):
    dataset = open_dataset("nuscenes", tree, "mini_val")
    assert (len(dataset), dataset.sequences) == (4, SCENES)
    for i in range(4):
        truth, scan, labels = drive(i // 2)[i % 2], dataset[i], dataset.labels(i)
        np.testing.assert_array_equal(scan.points, truth.scan.points)
        np.testing.assert_allclose(scan.intensity, truth.scan.intensity, atol=1e-6)
        np.testing.assert_array_equal(scan.ring, truth.scan.ring)
        np.testing.assert_allclose(scan.world_T_sensor, truth.scan.world_T_sensor, atol=1e-9)
        names = [CLASSES.names[c] for c in labels.semantic[[0, 60, 120, 320]]]
        assert names == ["car", "pedestrian", "driveable_surface", "void"]
        assert labels.instance[[0, 60, 120, 320]].tolist() == [1, 2, 0, 0]
        assert dataset.raw_labels(i)[[0, 60, 120, 320]].tolist() == [17_001, 3_002, 24_000, 0]
        np.testing.assert_array_equal(load_scan(dataset.path(i)).scan.points, scan.points)


def test_damaged_trees_are_named(tree, tmp_path):
    with pytest.raises(
        InputError, match=r"wanted scenes of the test split, v1.0-mini has scene-0103"
    ):
        open_dataset("nuscenes", tree, "test")
    with pytest.raises(
        InputError, match=r"wanted scenes of the mini_train split, v1.0-mini has scene"
    ):
        open_dataset("nuscenes", tree, "mini_train")
    with pytest.raises(
        InputError, match="no split 'valid' of nuScenes: wanted mini_train, mini_val"
    ):
        open_dataset("nuscenes", tree, "valid")
    with pytest.raises(InputError, match="found no such folder"):
        find_version(tmp_path / "absent", "val")
    with pytest.raises(InputError, match=r"got no v1.0-\* folder"):
        find_version(tmp_path, "val")
    (tmp_path / "v1.0-mini").mkdir()
    (tmp_path / "v1.0-mini/scene.json").write_text("[]")
    with pytest.raises(InputError, match="wanted whole nuScenes tables, got"):
        open_dataset("nuscenes", tmp_path, "mini_val")
    with pytest.raises(InputError, match="wanted a new folder, found a nuScenes tree"):
        list(write_nuscenes(tree, []))
    dataset = open_dataset("nuscenes", tree, "mini_val")
    file = dataset.path(0)
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"wanted 339 labels as .* has points, got 340"):
        dataset.labels(0)
    file.write_bytes(whole[:-3])
    with pytest.raises(InputError, match="wanted 20 bytes per point, got 6797 bytes"):
        dataset[0]
    file.unlink()
    with pytest.raises(InputError, match="no such file: the tables name it"):
        dataset[0]
    file.write_bytes(whole)


def test_truth_is_packed_as_in_the_real_labels():
    raw = np.array([24, 17, 17, 2, 17, 28, 0], np.int32)
    instance = np.array([9, 80, 0, 7, 80, 0, 0], np.int32)
    ids = {}
    packed = pack_truth(raw, instance, ids)
    assert packed.tolist() == [24_000, 17_001, 0, 2_002, 17_001, 28_000, 0]
    assert ids == {80: 1, 7: 2}
    many = np.arange(1, 1200, dtype=np.int32)
    packed = pack_truth(np.full(len(many), 17, np.int32), many, ids)
    assert packed.max() == 17_999
    assert (packed == 0).sum() == len(many) - 999


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_quaternions_round_trip(parts):
    norm = np.linalg.norm(parts)
    if norm < 1e-3:
        parts, norm = [1, 0, 0, 0], 1
    wanted = np.array(parts) / norm
    got = np.array(quaternion(transform((0, 0, 0), wanted)[:3, :3]))
    assert min(np.abs(got - wanted).max(), np.abs(got + wanted).max()) < 1e-6
    assert got[0] >= 0


def test_quaternions_as_pyquaternion():
    from pyquaternion import Quaternion

    rotation = [0.7077955, -0.0064922, 0.0106462, -0.7063073]
    ours = transform((1, 2, 3), rotation)
    np.testing.assert_allclose(ours[:3, :3], Quaternion(rotation).rotation_matrix, atol=1e-12)
    assert ours[:3, 3].tolist() == [1, 2, 3]
    np.testing.assert_allclose(NATIVE_T_SCAN @ [1, 0, 0, 1], [0, 1, 0, 1])  # forward is y


def test_real_poses_drive_forward(real_data):
    meta = json.loads((real_data / "nuscenes/meta.json").read_text())
    mount = meta["calibrated_sensor"]
    ego_T_scan = transform(mount["translation"], mount["rotation"]) @ NATIVE_T_SCAN
    np.testing.assert_allclose(ego_T_scan[:3, :3], np.eye(3), atol=0.03)  # x forward, y left
    poses = [transform(p["translation"], p["rotation"]) @ ego_T_scan
             for p in meta["ego_pose"].values()]  # fmt: skip
    step = np.linalg.inv(poses[0]) @ poses[1]
    assert 4 < step[0, 3] < 6  # metres ahead in half a second
    assert abs(step[1, 3]) < 0.3
