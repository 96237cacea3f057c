"""Label i belongs to file point i in every format, and a cut file is not taken for a whole one."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.classes import load_class_table
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.label_ids import read_named
from lidarpan.datasets.nuscenes_labels import pack_panoptic, unpack_panoptic, write_panoptic
from lidarpan.datasets.predictions import (
    FORMATS,
    find_prediction,
    is_complete,
    prediction_path,
    prediction_paths,
    write_prediction,
)
from lidarpan.scans.files import LoadedScan, load_scan
from lidarpan.scans.source import FileSource
from lidarpan.structures import InputError, PanopticLabels, Scan

KITTI, NUSCENES = load_class_table("semantickitti"), load_class_table("nuscenes")


def frame_of(scan):
    return next(FileSource(scan.parent, [scan]).frames())


def classes_of(file_format):
    return KITTI if file_format in ("npz", "ply") else load_class_table(file_format)


@pytest.fixture
def scan_path(tmp_path):
    rows = np.random.default_rng(0).normal(0, 10, (40, 4)).astype(np.float32)
    rows[:, 3] = 0.5
    rows[[3, 17], 1] = np.nan
    path = tmp_path / "data" / "s.bin"
    path.parent.mkdir()
    rows.tofile(path)
    return path


def predicted(num_points=38, classes=KITTI):
    rng = np.random.default_rng(1)
    semantic = rng.integers(0, classes.num_classes, num_points).astype(np.uint8)
    instance = np.where(classes.is_thing[semantic], 100 + semantic, 0).astype(np.int32)
    score = rng.uniform(0, 1, 201).astype(np.float32)
    return PanopticLabels(semantic, instance, score)


def same_segments(a, b):
    """Whether two id arrays cut the points alike."""
    pairs = {(int(x), int(y)) for x, y in zip(a, b, strict=True)}
    return len(pairs) == len({p[0] for p in pairs}) == len({p[1] for p in pairs})


@pytest.mark.parametrize("file_format", FORMATS)
def test_labels_belong_to_the_points_of_the_file(scan_path, tmp_path, file_format):
    classes = classes_of(file_format)
    loaded, labels = load_scan(scan_path), predicted(classes=classes)
    path = prediction_path(tmp_path / "out", scan_path, file_format)
    assert not is_complete(path, frame_of(scan_path), file_format)
    assert write_prediction(path, labels, loaded, classes, file_format) == path
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert is_complete(path, frame_of(scan_path), file_format)
    back = read_prediction(path, classes)
    assert back.num_points == 40
    assert np.flatnonzero(~loaded.valid).tolist() == [3, 17]
    np.testing.assert_array_equal(back.semantic[loaded.valid], labels.semantic)
    assert not back.semantic[[3, 17]].any()
    assert not back.instance[[3, 17]].any()
    assert same_segments(back.instance[loaded.valid], labels.instance)
    if file_format == "npz":
        np.testing.assert_array_equal(back.score, labels.score)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert not is_complete(path, frame_of(scan_path), file_format)
    write_prediction(path, labels, loaded, classes, file_format)
    assert path.read_bytes() == whole  # the same bytes each time, over what was there


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_prediction_of_another_scan_is_not_complete(scan_path, tmp_path, file_format):
    scan = Scan(np.ones((39, 3), np.float32), np.zeros(39, np.float32))
    other = LoadedScan(scan, np.ones(39, np.bool_))
    path = prediction_path(tmp_path, scan_path, file_format)
    classes = classes_of(file_format)
    write_prediction(path, predicted(39, classes), other, classes, file_format)
    assert not is_complete(path, frame_of(scan_path), file_format)


def test_the_sequence_folder_is_kept():
    assert str(prediction_path("out", "d/sequences/08/velodyne/000123.bin", "semantickitti")) == (
        "out/sequences/08/predictions/000123.label"
    )
    assert str(prediction_path("out", "d/08/velodyne/000123.bin", "npz")) == (
        "out/sequences/08/predictions/000123.npz"
    )
    assert str(prediction_path("out", "drive/7.pcd", "semantickitti")) == "out/7.label"
    assert (
        str(prediction_path("out", "drive/7.pcd.bin", "nuscenes")) == "out/panoptic/7_panoptic.npz"
    )
    with pytest.raises(InputError, match="no format 'csv': wanted semantickitti, nuscenes, npz"):
        prediction_path("out", "7.bin", "csv")


def test_nuscenes_predictions_are_filed_under_token_and_split(tmp_path):
    tables = tmp_path / "v1.0-mini"
    tables.mkdir()
    for name, rows in {
        "scene": [{"token": "sc", "name": "scene-0103"}],
        "sample": [{"token": "sa", "scene_token": "sc"}],
        "sample_data": [
            {"token": "abc", "sample_token": "sa", "is_key_frame": True,
             "filename": "samples/LIDAR_TOP/x__1.pcd.bin"},
        ],
    }.items():  # fmt: skip
        (tables / f"{name}.json").write_text(json.dumps(rows))
    path = prediction_path("out", tmp_path / "samples/LIDAR_TOP/x__1.pcd.bin", "nuscenes")
    assert str(path) == "out/panoptic/mini_val/abc_panoptic.npz"
    path = prediction_path("out", tmp_path / "samples/LIDAR_TOP/other.pcd.bin", "nuscenes")
    assert str(path) == "out/panoptic/other_panoptic.npz"


def test_scans_of_one_name_do_not_share_a_file():
    scans = ["d/a/0.bin", "d/b/0.bin", "d/b/0.pcd", "d/b/1.bin"]
    paths = prediction_paths("out", scans, "semantickitti")
    assert [str(path) for path in paths] == [
        "out/a/0.bin.label",
        "out/b/0.bin.label",
        "out/b/0.pcd.label",
        "out/1.label",
    ]


def test_kitti_labels_are_mapped_to_the_challenge_classes():
    names = ["car", "person", "bicyclist", "road", "building", "void"]
    semantic = np.array([KITTI.id_of(name) for name in names], np.uint8)
    labels = PanopticLabels(semantic, np.array([5, 6, 7, 8, 9, 10], np.int32))
    assert pack_panoptic(labels, KITTI).tolist() == [4005, 7006, 2007, 11000, 15000, 0]


def test_no_class_has_more_than_999_instances():
    car, person = NUSCENES.id_of("car"), NUSCENES.id_of("pedestrian")
    semantic = np.repeat(np.array([car, person], np.uint8), [3000, 4])
    instance = np.concatenate([np.arange(1500).repeat(2) + 1, [2000, 2000, 2001, 2000]])
    instance[:3] = 7
    packed = pack_panoptic(PanopticLabels(semantic, instance.astype(np.int32)), NUSCENES)
    assert packed[:3000].max() == 4999
    assert len(np.unique(packed[:3000])) == 1000  # 999 instances, and cars without
    assert (packed[:3] == packed[12]).all()
    assert packed[0] == 4001  # the largest comes first
    assert packed[3000:].tolist() == [7001, 7001, 7002, 7001]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 16), st.integers(0, 999)), max_size=30))
def test_challenge_labels_round_trip(rows):
    packed = np.array([1000 * c + i * (0 < c < 11) for c, i in rows], np.uint16)
    labels = unpack_panoptic(packed, NUSCENES)
    again = pack_panoptic(labels, NUSCENES)
    np.testing.assert_array_equal(again // 1000, packed // 1000)
    assert same_segments(again, packed)


def test_general_classes_are_recognised_by_their_surfaces(tmp_path):
    packed = np.array([17_003, 24_000, 2_001, 31_000], np.uint16)
    write_panoptic(tmp_path / "a.npz", packed)
    labels = read_prediction(tmp_path / "a.npz", NUSCENES)
    assert [NUSCENES.names[i] for i in labels.semantic] == [
        "car", "driveable_surface", "pedestrian", "void",
    ]  # fmt: skip
    assert labels.instance.tolist() == [1, 0, 2, 0]


def test_labels_are_found_by_the_name_of_the_scan(tmp_path):
    scan = tmp_path / "sequences/08/velodyne/000001.bin"
    for name in ("p/000001.label", "q/sequences/08/labels/000001.label", "r/000001.npy"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
        assert find_prediction(tmp_path / name.split("/")[0], scan) == tmp_path / name
    with pytest.raises(InputError, match=r"no labels for 000001.bin: looked for .*000001.label"):
        find_prediction(tmp_path / "s", scan)


def test_label_files_that_cannot_be_read_are_named(tmp_path, scan_path):
    np.save(tmp_path / "high.npy", np.array([3, 44]))
    np.savez(tmp_path / "other.npz", labels=np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    (tmp_path / "a.txt").touch()
    (tmp_path / "cut.label").write_bytes(b"123")
    for name, message in {
        "high.npy": "train ids: wanted whole numbers 0..19, got 44 at point 1",
        "other.npz": "wanted an array 'data', got labels",
        "broken.npz": "wanted .npz without pickles, got",
        "a.txt": "wanted .label, .npz, .ply, .npy or _lidarseg.bin, got .txt",
        "cut.label": "wanted 4 bytes per label",
        "absent.label": "no such label file",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            read_prediction(tmp_path / name, KITTI)
        assert str(caught.value).count(name) == 1
    loaded = load_scan(scan_path)
    with pytest.raises(InputError, match="wanted 38 labels as the scan has points, got 5"):
        write_prediction(tmp_path / "x.label", predicted(5), loaded, KITTI, "semantickitti")
    with pytest.raises(InputError, match="wanted SemanticKITTI classes, got nuscenes"):
        write_prediction(
            tmp_path / "x.label", predicted(classes=NUSCENES), loaded, NUSCENES, "semantickitti"
        )
    assert not (tmp_path / "x.label").exists()


def test_real_labels_read(real_data):
    kitti = real_data / "semantickitti/sequences/00"
    network = real_data / "semantickitti_network_semantics"
    found = find_prediction(network, kitti / "velodyne/000001.bin")
    truth = read_prediction(kitti / "labels/000001.label", KITTI)
    said = read_prediction(found, KITTI)
    known = truth.semantic > 0
    assert np.mean(truth.semantic[known] == said.semantic[known]) > 0.95
    panoptic = read_prediction(real_data / "nuscenes/panoptic/00_panoptic.npz", NUSCENES)
    bare = read_prediction(real_data / "nuscenes/lidarseg/00_challenge_lidarseg.bin", NUSCENES)
    assert panoptic.num_points == bare.num_points == 34_720
    assert np.mean(panoptic.semantic == bare.semantic) > 0.97
    assert panoptic.instance.max() > 5


def test_ids_of_the_file_can_be_kept(tmp_path):
    car, moving_car, person = 10, 252, 30
    raw = np.array([car, person, person, moving_car, car, 40, car])
    ids = np.array([9, 9, 4, 9, 500, 7, 0])
    (raw | ids << 16).astype(np.uint32).tofile(tmp_path / "a.label")
    labels = read_named(tmp_path / "a.label", KITTI)
    again = [9, 9 + 65536, 4, 9 + 2 * 65536, 500, 0, 0]  # each instance has a name of its own
    assert labels.instance.tolist() == again
    write_panoptic(tmp_path / "b.npz", np.array([4001, 4002, 7001, 0, 11000], np.uint16))
    labels = read_named(tmp_path / "b.npz", NUSCENES)
    assert labels.instance.tolist() == [4001, 4002, 7001, 0, 0]
    (np.array([car | 3 << 16])).astype(np.uint32).tofile(tmp_path / "c.label")
    assert read_named(tmp_path / "c.label", KITTI).instance.tolist() == [3]
    np.zeros(0, np.uint32).tofile(tmp_path / "d.label")
    assert read_named(tmp_path / "d.label", KITTI).num_points == 0
