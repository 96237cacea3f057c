"""The SemanticKITTI layout: what is written reads back, what does not fit is named."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.classes import load_class_table
from lidarpan.datasets.kitti_labels import pack_labels, read_label, unpack_labels, write_label
from lidarpan.datasets.open import open_dataset
from lidarpan.datasets.packed_labels import number_by_first_point
from lidarpan.datasets.semantickitti import SPLITS, read_poses
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.synthetic.semantickitti_writer import split_scans, write_semantickitti

CLASSES = load_class_table("semantickitti")


@dataclass
class Labelled:
    scan: Scan
    instance: np.ndarray
    time_s: float
    raw_label: np.ndarray

    def raw(self, dataset):
        assert dataset == "semantickitti"
        return self.raw_label


def labelled(seed, time_s=0.0, num_points=50):
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    yaw = 0.1 * seed
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = [100 + 5 * seed, 20 - seed, 0.1 * seed]
    scan = Scan(
        rng.normal(0, 10, (num_points, 3)).astype(np.float32),
        rng.uniform(0, 1, num_points).astype(np.float32),
        world_T_sensor=pose,
    )
    raw = rng.choice(np.array([0, 10, 252, 30, 40, 60, 70, 99], np.int32), num_points)
    return Labelled(scan, rng.integers(0, 40, num_points).astype(np.int32), time_s, raw)


@pytest.fixture
def tree(tmp_path):
    scans = {name: [labelled(i, 0.1 * i) for i in range(3)] for name in ("00", "08")}
    written = list(write_semantickitti(tmp_path, scans.items()))
    assert [file.stem for file in written] == ["000000", "000001", "000002"] * 2
    return tmp_path


def test_written_sequences_read_back(tree):
    dataset = open_dataset("semantickitti", tree, "valid")
    assert (len(dataset), dataset.sequences, dataset.name(2)) == (3, ("08",), "08/000002")
    for i in range(3):
        truth = labelled(i)
        scan, labels = dataset[i], dataset.labels(i)
        np.testing.assert_array_equal(scan.points, truth.scan.points)
        np.testing.assert_array_equal(scan.intensity, truth.scan.intensity)
        np.testing.assert_array_equal(labels.semantic, CLASSES.to_train(truth.raw_label))
        packed = dataset.raw_labels(i)
        np.testing.assert_array_equal(packed & 0xFFFF, truth.raw_label)
        things = CLASSES.is_thing[labels.semantic]
        np.testing.assert_array_equal(packed >> 16, np.where(things, truth.instance, 0))
        assert not labels.instance[~things].any()
        relative = np.linalg.inv(labelled(0).scan.world_T_sensor) @ truth.scan.world_T_sensor
        np.testing.assert_allclose(scan.world_T_sensor, relative, atol=1e-6)
    lines = (tree / "sequences/08/times.txt").read_text().split()
    assert [float(line) for line in lines] == [0, 0.1, 0.2]
    assert {path.name for path in (tree / "sequences/08").iterdir()} == {
        "velodyne", "labels", "poses.txt", "times.txt", "calib.txt",
    }  # fmt: skip


def test_poses_turn_from_camera_to_sensor_axes(tmp_path):
    # The camera's z is the sensor's x: one metre along camera z is one metre forward.
    (tmp_path / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 2 0 1 0 3 0 0 1 1\n")
    (tmp_path / "calib.txt").write_text("P0: 1\nTr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n")
    poses = read_poses(tmp_path)
    np.testing.assert_allclose(poses[1][:3, 3], [1, -2, -3])
    (tmp_path / "calib.txt").unlink()
    np.testing.assert_allclose(read_poses(tmp_path)[1][:3, 3], [2, 3, 1])
    (tmp_path / "poses.txt").write_text("1 2 3\n")
    with pytest.raises(InputError, match=r"line 1: wanted 12 finite numbers a line.*got 1 2 3"):
        read_poses(tmp_path)


def test_unpack_keeps_classes_apart_and_numbers_by_first_point():
    packed = np.array(
        [
            40,
            30 | 7 << 16,
            10 | 7 << 16,
            252 | 7 << 16,
            10,
            10 | 7 << 16,
            60 | 3 << 16,
            99 | 5 << 16,
        ],
        np.uint32,
    )
    labels = unpack_labels(packed, CLASSES)
    names = [CLASSES.names[i] for i in labels.semantic]
    assert names == ["road", "person", "car", "car", "car", "car", "road", "void"]
    assert labels.instance.tolist() == [0, 1, 2, 3, 0, 2, 0, 0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=40))
def test_number_by_first_point_as_its_slow_twin(keys):
    numbers = {0: 0}
    slow = [numbers.setdefault(key, len(numbers)) for key in keys]
    assert number_by_first_point(np.array(keys, np.int64)).tolist() == slow


def test_pack_writes_raw_ids_and_no_stuff_instances():
    semantic = np.array([0, CLASSES.id_of("car"), CLASSES.id_of("road")], np.uint8)
    labels = PanopticLabels(semantic, np.array([4, 5, 6], np.int32))
    assert pack_labels(labels, CLASSES).tolist() == [0, 10 | 5 << 16, 40]
    too_many = PanopticLabels(semantic, np.array([0, 1 << 16, 0], np.int32))
    with pytest.raises(InputError, match=r"wanted instance ids 0..65535, got 0..65536"):
        pack_labels(too_many, CLASSES)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 65535)), max_size=30))
def test_pack_then_unpack_keeps_segments(rows):
    semantic = np.array([row[0] for row in rows], np.uint8)
    wanted = number_by_first_point(
        np.where(CLASSES.is_thing[semantic], [row[1] * 20 + row[0] for row in rows], 0)
        * np.array([row[1] > 0 for row in rows], np.int64)
        if rows
        else np.zeros(0, np.int64)
    )
    instance = np.array([row[1] for row in rows], np.int32)
    packed = pack_labels(PanopticLabels(semantic, instance), CLASSES)
    labels = unpack_labels(packed, CLASSES)
    np.testing.assert_array_equal(labels.semantic, semantic)
    np.testing.assert_array_equal(labels.instance, wanted)


def test_label_files_are_whole_or_refused(tmp_path):
    packed = np.array([1, 0xFFFF0001], np.uint32)
    write_label(tmp_path / "new" / "a.label", packed)
    np.testing.assert_array_equal(read_label(tmp_path / "new" / "a.label"), packed)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.label"]
    (tmp_path / "cut.label").write_bytes(b"12345")
    with pytest.raises(InputError, match="wanted 4 bytes per label, got 5 bytes"):
        read_label(tmp_path / "cut.label")
    with pytest.raises(InputError, match="no such label file"):
        read_label(tmp_path / "absent.label")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_label(tmp_path / "file" / "a.label", packed)


def test_damaged_trees_are_named(tree, tmp_path):
    dataset = open_dataset("semantickitti", tree, "train")
    folder = tree / "sequences/00"
    (folder / "labels/000001.label").write_bytes(bytes(4 * 49))
    with pytest.raises(InputError, match=r"000001.label: wanted 50 labels .*000001.bin.* got 49"):
        dataset.labels(1)
    np.full(50, 17, np.uint32).tofile(folder / "labels/000001.label")
    with pytest.raises(InputError, match=r"000001.label: labels \[17\] are not semantickitti"):
        dataset.labels(1)
    (folder / "labels/000001.label").unlink()
    assert open_dataset("semantickitti", tree, "train").labels(1) is None
    (folder / "velodyne/000001.bin").write_bytes(bytes(18))
    with pytest.raises(InputError, match="wanted 16 bytes per point, got 18"):
        dataset[1]
    with pytest.raises(InputError, match=r"test split .*11, 12.* got sequences 00, 08"):
        open_dataset("semantickitti", tree, "test")
    with pytest.raises(InputError, match=r"no split 'val'.*wanted train, valid, test"):
        open_dataset("semantickitti", tree, "val")
    with pytest.raises(InputError, match="found no such folder"):
        open_dataset("semantickitti", tmp_path / "absent", "train")
    with pytest.raises(InputError, match=r"wanted a SemanticKITTI tree .*got calib.txt"):
        open_dataset("semantickitti", folder, "train")
    with pytest.raises(InputError, match="found scans there"):
        list(write_semantickitti(tree, []))
    with pytest.raises(InputError, match="no dataset 'kitti'"):
        open_dataset("kitti", tree, "train")


def test_splits_cover_every_scan():
    assert split_scans(1) == {"00": 1}
    assert split_scans(2) == {"00": 1, "08": 1}
    assert split_scans(3) == {"00": 1, "08": 1, "11": 1}
    assert split_scans(40) == {"00": 11, "01": 11, "02": 10, "08": 4, "11": 4}
    for num_scans in (5, 99, 1000, 1001):
        plan = split_scans(num_scans)
        assert sum(plan.values()) == num_scans
        in_valid = sum(plan[name] for name in SPLITS["valid"])
        assert abs(in_valid - num_scans / 10) <= 0.5


def test_real_sequences(real_data):
    dataset = open_dataset("semantickitti", real_data / "semantickitti", "train")
    assert [dataset.name(i) for i in range(3)] == ["00/000000", "00/000001", "00/000002"]
    step = dataset[1].world_T_sensor
    np.testing.assert_allclose(step[:3, 3], [0.673, 0.001, 0.020], atol=2e-3)  # drives forward
    for i in range(3):
        labels, packed = dataset.labels(i), dataset.raw_labels(i)
        assert labels.num_points == dataset[i].num_points
        again = pack_labels(labels, CLASSES)
        np.testing.assert_array_equal(
            CLASSES.to_train((again & 0xFFFF).astype(int)), labels.semantic
        )
        pairs = np.unique(np.column_stack([packed, labels.instance])[labels.instance > 0], axis=0)
        assert len(pairs) == labels.instance.max()
    panda = open_dataset("semantickitti", real_data / "pandaset", "train")
    assert len(panda) == 30
    pose = [float(v) for v in (real_data / "pandaset/sequences/02/poses.txt").read_text().split()]
    np.testing.assert_allclose(panda[0].world_T_sensor[:3].ravel(), pose[:12])
