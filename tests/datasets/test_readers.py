"""The datasets in the layouts in which they are distributed: scans, poses, classes, objects."""

import shutil

import numpy as np
import pytest
from dataset_trees import (
    pose_of,
    write_argoverse2,
    write_kitti360,
    write_nuscenes_mini,
    write_pandaset,
    write_semantickitti_like,
    write_waymo,
)

from lidarpan.class_rows import COARSE
from lidarpan.classes import load_class_table, table_names
from lidarpan.datasets.open import SHIPPED, find_dataset, open_dataset
from lidarpan.structures import InputError


def write_poss(root):
    return write_semantickitti_like(root, {"00": True, "02": True}, car=7, ground=22)


def write_multiscan(root):
    sequences = {"00": True, "08": True, "11": False}
    return write_semantickitti_like(root, sequences, car=10, ground=40, moving=252)


TREES = {
    "semantickitti": (write_multiscan, {"train": 3, "valid": 3, "test": 3, "11": 3}),
    "semantickitti-multiscan": (write_multiscan, {"train": 3, "valid": 3, "test": 3}),
    "semanticposs": (write_poss, {"train": 3, "valid": 3, "00,02": 6}),
    "kitti-360": (write_kitti360, {"train": 2, "val": 2, "test": 5, "0003": 5, "0003,0008": 10}),
    "pandaset": (write_pandaset, {"all": 4, "train": 2, "valid": 2, "011": 2, "002,011": 4}),
    "waymo": (write_waymo, {"training": 2, "testing": 3, "01234567890_1000_000_1020_000": 3}),
    "argoverse2": (write_argoverse2, {"train": 3, "val": 3, "test": 3}),
}


@pytest.mark.parametrize("name", TREES)
def test_scans_labels_and_poses_of_every_split(name, tmp_path):
    write, splits = TREES[name]
    wanted = write(tmp_path)
    table = load_class_table(name)
    for split, count in splits.items():
        dataset = open_dataset(name, tmp_path, split)
        assert len(dataset) == count, split
        objects = {}
        for i in range(count):
            expected = wanted[dataset.name(i)]
            scan, labels = dataset[i], dataset.labels(i)
            np.testing.assert_allclose(scan.points, expected.points, atol=2e-4)
            assert scan.intensity.max() <= 1
            if expected.pose is None:
                assert scan.world_T_sensor is None
            else:
                np.testing.assert_allclose(scan.world_T_sensor, expected.pose, atol=1e-5)
            if expected.raw is None:
                assert labels is None
                continue
            np.testing.assert_array_equal(labels.semantic, table.to_train(expected.raw))
            thing = table.is_thing[labels.semantic]
            np.testing.assert_array_equal(labels.instance > 0, thing & (expected.instance > 0))
            files = dataset.files[i]
            lasting = find_dataset(name).lasting_ids(find_dataset(name).truth_of(files))
            objects.setdefault(dataset.scene(i), set()).update(np.unique(lasting[lasting > 0]))
        assert all(len(ids) <= 1 for ids in objects.values()), "ids stay over a sequence"


def test_moving_classes_are_their_own_only_in_the_multiscan_table(tmp_path):
    write_multiscan(tmp_path)
    plain = open_dataset("semantickitti", tmp_path, "valid")
    multi = open_dataset("semantickitti-multiscan", tmp_path, "valid")
    names = [{d.classes.names[c] for c in np.unique(d.labels(1).semantic)} for d in (plain, multi)]
    assert names == [{"car", "road"}, {"moving-car", "road"}]
    assert {multi.classes.names[c] for c in np.unique(multi.labels(0).semantic)} == {"car", "road"}
    assert len(multi.classes.names) == 26


@pytest.mark.parametrize("name", TREES)
def test_predictions_are_found_where_they_are_written(name, tmp_path):
    from lidarpan.datasets.predictions import find_prediction, prediction_path

    TREES[name][0](tmp_path / "data")
    split = next(iter(TREES[name][1]))
    dataset, rules = open_dataset(name, tmp_path / "data", split), find_dataset(name)
    paths = [prediction_path(tmp_path / "out", files.scan, name) for files in dataset.files]
    assert len(set(paths)) == len(paths)
    for i, (files, path) in enumerate(zip(dataset.files, paths, strict=True)):
        truth = rules.truth_of(files).unpack(rules.classes)
        rules.write_prediction(path, truth, rules.classes)
        assert path == tmp_path / "out" / rules.prediction_of(files, split)
        again = rules.read_prediction(path)
        np.testing.assert_array_equal(again.semantic, truth.semantic)
        assert again.num_points == rules.count_points(files)
        assert find_prediction(tmp_path / "out", dataset.path(i)) == path


def test_perfect_predictions_score_one(tmp_path, monkeypatch, capsys):
    from lidarpan.cli import main

    for name, split in (("pandaset", "valid"), ("waymo", "training"), ("argoverse2", "val")):
        TREES[name][0](tmp_path / name)
        rules = find_dataset(name)
        for files in rules.list_truth(tmp_path / name, split):
            truth = rules.truth_of(files).unpack(rules.classes)
            place = tmp_path / "out" / name / rules.prediction_of(files, split)
            rules.write_prediction(place, truth, rules.classes)
        words = ["lidarpan", "evaluate", name, "--data", str(tmp_path / name), "--split", split]
        monkeypatch.setattr("sys.argv", [*words, "--predictions", str(tmp_path / "out" / name)])
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        assert done.value.code == 0, said.err
        assert "1.0000" in said.out


def faults_of(name, root, split):
    dataset = open_dataset(name, root, split)
    for i in range(len(dataset)):
        dataset[i]
        dataset.labels(i)


SPOILED = [
    ("kitti-360", "calibration/calib_cam_to_velo.txt", None, "calib_cam_to_velo.txt: no such file"),
    ("kitti-360", "calibration/calib_cam_to_pose.txt", b"image_00: 1 2\n", "wanted 12 numbers"),
    ("kitti-360", "data_3d_raw/*3_sync/*/data/*1.bin", b"abc", "1.bin: wanted 16 bytes per point"),
    ("kitti-360", "data_3d_semantics/train/*/static/*2.ply", b"ply\n", "2.ply: wanted a .ply head"),
    ("pandaset", "002/lidar/poses.json", b"[]", "poses.json: wanted a pose for 00.pkl.gz, got 0"),
    ("pandaset", "002/lidar/poses.json", b'[{"position": 1}]', "wanted a list of position and"),
    ("pandaset", "002/lidar/01.pkl.gz", b"", "01.pkl.gz: wanted a table that pandas pickled"),
    ("pandaset", "002/annotations/semseg/00.pkl.gz", b"\x80\x02.", "semseg/00.pkl.gz: wanted a"),
    ("pandaset", "002/annotations/cuboids/01.pkl.gz", b"x", "cuboids/01.pkl.gz: wanted a table"),
    ("waymo", "training/lidar_calibration/*.parquet", None, "wanted the calibration in"),
    ("waymo", "training/lidar_segmentation/*.parquet", b"PAR1", "wanted a .parquet table"),
    ("argoverse2", "train/*/city_SE3_egovehicle.feather", None, "egovehicle.feather: no such file"),
    ("argoverse2", "train/*/calibration/*.feather", b"ARROW1", "wanted a .feather table"),
    ("argoverse2", "train/*/annotations.feather", b"", "annotations.feather: wanted a .feather"),
]


@pytest.mark.parametrize(("name", "file", "content", "said"), SPOILED)
def test_a_spoiled_file_is_named(name, file, content, said, tmp_path):
    write, splits = TREES[name]
    write(tmp_path)
    (path,) = tmp_path.glob(file)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    split = "002" if name == "pandaset" else next(iter(splits))
    with pytest.raises(InputError, match="(?s).*" + said.replace(".", r"\.")):
        faults_of(name, tmp_path, split)


@pytest.mark.parametrize("name", TREES)
def test_what_is_not_there_is_said(name, tmp_path):
    with pytest.raises(InputError):
        open_dataset(name, tmp_path / "absent", "train")
    TREES[name][0](tmp_path)
    with pytest.raises(InputError, match=r"no split '99'.*wanted"):
        open_dataset(name, tmp_path, "99")


def test_scans_that_only_name_a_folder_are_read_without_a_dataset(tmp_path):
    from lidarpan.scans.files import find_scans, read_scan

    wanted = write_pandaset(tmp_path / "panda", scans=1)
    files = find_scans([tmp_path / "panda"])
    assert [file.parents[1].name for file in files] == ["002", "005", "011"]
    np.testing.assert_allclose(read_scan(files[0]).points, wanted["002/00"].points, atol=1e-5)
    write_argoverse2(tmp_path / "av2", splits=("train",))
    (log,) = (tmp_path / "av2" / "train").iterdir()
    assert len(find_scans([log])) == 3


def test_pandaset_leaves_the_other_sensors_points_void(tmp_path):
    write_pandaset(tmp_path, sequences=("002",), scans=1)
    rules = find_dataset("pandaset")
    (files,) = rules.list_scans(tmp_path, "all")
    truth = rules.truth_of(files)
    assert truth.num_points == rules.count_points(files) == 150
    assert not truth.semantic[120:].any()  # labelled vegetation in the file
    assert truth.semantic[:120].all()


def test_pandaset_leaves_other_sensors_cuboids_out(tmp_path):
    from pandas_pickles import write_pandas_pickle

    from lidarpan.scans.frame_pickle import read_frame_pickle

    write_pandaset(tmp_path, sequences=("002",), scans=1)
    file = tmp_path / "002/annotations/cuboids/00.pkl.gz"
    columns = read_frame_pickle(file)
    columns["cuboids.sensor_id"] = np.array([-1, 1])
    write_pandas_pickle(file, columns)
    dataset = open_dataset("pandaset", tmp_path, "all")
    assert not dataset.labels(0).instance.any()


def test_a_test_split_of_kitti360_needs_no_labels(tmp_path):
    write_kitti360(tmp_path)
    shutil.rmtree(tmp_path / "data_3d_semantics")
    assert len(open_dataset("kitti-360", tmp_path, "test")) == 5
    with pytest.raises(InputError, match="wanted true labels of the test split"):
        find_dataset("kitti-360").list_truth(tmp_path, "test")


@pytest.mark.parametrize("name", table_names())
def test_each_table_has_a_map_to_the_common_classes(name):
    table = load_class_table(name)
    used = {COARSE[k - 1] for k in table.to_coarse.tolist() if k}
    assert {"car", "person", "two-wheeler"} <= used
    assert table.to_coarse[0] == 0
    coarse = load_class_table("coarse")
    assert coarse.names[1:] == COARSE
    for train, place in enumerate(table.to_coarse.tolist()):
        if place:  # a thing may stand for stuff (a sign), but what is common keeps its kind
            assert (train in table.things) == (place in coarse.things), table.names[train]


def test_every_dataset_has_a_table_of_its_name():
    assert set(SHIPPED) <= set(table_names())
    assert all(find_dataset(name).classes.name == name for name in SHIPPED)


@pytest.mark.parametrize(
    ("version", "split", "scene", "has_labels"),
    [
        ("v1.0-mini", "mini_train", "scene-0061", True),
        ("v1.0-mini", "mini_val", "scene-0103", True),
        ("v1.0-mini", "val", "scene-0103", True),  # mini holds scenes of val
        ("v1.0-trainval", "train", "scene-0001", True),
        ("v1.0-trainval", "val", "scene-0003", True),
        ("v1.0-test", "test", "scene-0077", False),
    ],
)
def test_nuscenes_versions_and_splits(version, split, scene, has_labels, tmp_path):
    write_nuscenes_mini(tmp_path, scenes=(scene,))
    (tmp_path / "v1.0-mini").rename(tmp_path / version)
    if has_labels:
        for file in (tmp_path / version).glob("*.json"):
            file.write_text(file.read_text().replace("v1.0-mini", version))
        (tmp_path / "panoptic/v1.0-mini").rename(tmp_path / "panoptic" / version)
    else:
        for name in ("panoptic", "lidarseg"):
            (tmp_path / version / f"{name}.json").unlink()
            shutil.rmtree(tmp_path / name)
    dataset = open_dataset("nuscenes", tmp_path, split)
    assert (len(dataset), dataset.sequences) == (3, (scene,))
    for k in range(3):
        np.testing.assert_allclose(dataset[k].world_T_sensor, pose_of(k), atol=1e-6)
        labels = dataset.labels(k)
        assert (labels is not None) == has_labels
        if has_labels:
            assert len(np.unique(labels.instance)) == 2
    expected = [split] if version != "v1.0-mini" else ["mini_train", "mini_val"]
    assert set(expected) <= set(find_dataset("nuscenes").usual_splits(tmp_path))
