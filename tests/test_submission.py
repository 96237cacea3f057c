"""Every fault of a submission is named with its file; the zip is what the servers unpack."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lidarpan.datasets.nuscenes_labels import write_panoptic
from lidarpan.datasets.semantickitti import write_label
from lidarpan.datasets.submission import (
    Submission,
    check_submission,
    open_submission,
    pack_submission,
)
from lidarpan.datasets.submission_files import check_panoptic
from lidarpan.structures import InputError


@pytest.fixture
def kitti(tmp_path):
    for sequence in ("11", "12"):
        for i in range(2):
            scan = tmp_path / f"data/sequences/{sequence}/velodyne/{i:06d}.bin"
            scan.parent.mkdir(parents=True, exist_ok=True)
            np.zeros((10 + i, 4), np.float32).tofile(scan)
            packed = np.full(10 + i, 10 | 3 << 16, np.uint32)
            packed[:4] = 40
            write_label(label(tmp_path, sequence, i), packed)
    return tmp_path


def label(root, sequence, i):
    return root / f"out/sequences/{sequence}/predictions/{i:06d}.label"


def opened(root):
    return open_submission("semantickitti", root / "out", root / "data")


def test_a_right_kitti_submission_packs_as_the_server_wants_it(kitti):
    submission = opened(kitti)
    assert check_submission(submission) == []
    assert pack_submission(submission, kitti / "a.zip", description="method: x\n") == []
    with zipfile.ZipFile(kitti / "a.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "sequences/",
            "sequences/11/",
            "sequences/11/predictions/",
            "sequences/12/",
            "sequences/12/predictions/",
            *(f"sequences/{s}/predictions/00000{i}.label" for s in (11, 12) for i in (0, 1)),
            "description.txt",
        ]
        for s in ("11", "12"):
            content = archive.read(f"sequences/{s}/predictions/000001.label")
            assert content == label(kitti, s, 1).read_bytes()
    first = (kitti / "a.zip").read_bytes()
    pack_submission(submission, kitti / "a.zip", description="method: x\n")
    assert (kitti / "a.zip").read_bytes() == first


def test_all_kitti_faults_are_named_at_once(kitti):
    label(kitti, "11", 0).unlink()
    np.zeros(3, np.uint32).tofile(label(kitti, "11", 1))
    np.full(10, 17, np.uint32).tofile(label(kitti, "12", 0))
    np.full(11, 40 | 7 << 16, np.uint32).tofile(label(kitti, "12", 1))
    label(kitti, "12", 2).touch()
    submission = opened(kitti)
    assert [str(fault) for fault in check_submission(submission)] == [
        "sequences/11/predictions/000000.label: missing",
        "sequences/11/predictions/000001.label: wanted 11 labels, got 3",
        "sequences/12/predictions/000000.label: labels [17] are not semantickitti raw labels",
        "sequences/12/predictions/000001.label: 11 points of road have an instance id",
        "sequences/12/predictions/000002.label: not a scan of the test split",
    ]
    kept = pack_submission(submission, kitti / "a.zip", fix=True)
    assert [fault.is_mended for fault in kept] == [False] * 3
    assert not (kitti / "a.zip").exists()


def test_fix_mends_in_the_zip_and_leaves_the_files(kitti):
    wrong = np.full(11, 40 | 7 << 16, np.uint32)
    wrong.tofile(label(kitti, "12", 1))
    label(kitti, "12", 2).touch()
    submission = opened(kitti)
    assert len(pack_submission(submission, kitti / "a.zip")) == 2
    assert pack_submission(submission, kitti / "a.zip", fix=True) == []
    with zipfile.ZipFile(kitti / "a.zip") as archive:
        content = archive.read("sequences/12/predictions/000001.label")
        assert np.frombuffer(content, np.uint32).tolist() == [40] * 11
        assert "sequences/12/predictions/000002.label" not in archive.namelist()
    assert label(kitti, "12", 1).read_bytes() == wrong.tobytes()


@pytest.fixture
def nuscenes(tmp_path):
    good = np.array([4001, 4002, 11_000, 0], np.uint16)
    for token in ("aa", "bb"):
        write_panoptic(tmp_path / f"panoptic/val/{token}_panoptic.npz", good)
    wanted = {f"panoptic/val/{token}_panoptic.npz": 4 for token in ("aa", "bb")}
    (tmp_path / "val").mkdir()
    meta = {"task": "segmentation", "use_lidar": True, "use_camera": False, "use_radar": False,
            "use_map": False, "use_external": False}  # fmt: skip
    (tmp_path / "val/submission.json").write_text(json.dumps({"meta": meta}))
    return Submission("nuscenes", tmp_path, "val", wanted)


def test_a_right_nuscenes_submission_packs(nuscenes):
    assert check_submission(nuscenes) == []
    path = nuscenes.predictions / "a.zip"
    assert pack_submission(nuscenes, path) == []
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("val/submission.json"))["meta"]["task"] == "segmentation"
        with archive.open("panoptic/val/aa_panoptic.npz") as stream, np.load(stream) as arrays:
            assert arrays["data"].tolist() == [4001, 4002, 11_000, 0]


def test_a_missing_submission_json_is_written(nuscenes):
    (nuscenes.predictions / "val/submission.json").unlink()
    (fault,) = check_submission(nuscenes)
    assert str(fault).startswith("val/submission.json: missing")
    assert pack_submission(nuscenes, nuscenes.predictions / "a.zip") == []
    with zipfile.ZipFile(nuscenes.predictions / "a.zip") as archive:
        meta = json.loads(archive.read("val/submission.json"))["meta"]
    assert meta == {"task": "segmentation", "use_camera": False, "use_lidar": True,
                    "use_radar": False, "use_map": False, "use_external": False}  # fmt: skip


def test_all_nuscenes_faults_are_named_at_once(nuscenes):
    folder = nuscenes.predictions / "panoptic/val"
    np.savez(folder / "aa_panoptic.npz", labels=np.zeros(4, np.uint16))
    np.savez(folder / "bb_panoptic.npz", data=np.array([4000, 4005, 11_002, 7001], np.int64))
    np.savez(folder / "cc_panoptic.npz", data=np.zeros(4, np.uint16))
    meta = '{"meta": {"task": "tracking", "use_lidar": 1, "use_camera": false, "use_map": false}}'
    (nuscenes.predictions / "val/submission.json").write_text(meta)
    assert [str(fault) for fault in check_submission(nuscenes)] == [
        "panoptic/val/aa_panoptic.npz: wanted an array 'data', got labels",
        "panoptic/val/bb_panoptic.npz: wanted uint16, got int64",
        "panoptic/val/bb_panoptic.npz: 1 points of stuff or void have an instance id",
        "panoptic/val/bb_panoptic.npz: 1 points of things have no instance id 1..999",
        "panoptic/val/cc_panoptic.npz: not a scan of the val split",
        "val/submission.json: wanted task 'segmentation', got 'tracking'",
        "val/submission.json: wanted use_lidar true or false, got 1",
        "val/submission.json: wanted use_radar true or false, got None",
        "val/submission.json: wanted use_external true or false, got None",
    ]
    content, _ = check_panoptic(folder / "bb_panoptic.npz", 4)
    (folder / "bb_panoptic.npz").write_bytes(content)
    with np.load(folder / "bb_panoptic.npz") as arrays:
        assert arrays["data"].tolist() == [4006, 4005, 11_000, 7001]
        assert arrays["data"].dtype == np.uint16


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros(3, np.uint16), r"wanted 4 labels, got \(3,\)"),
        (np.zeros((4, 1), np.uint16), r"wanted 4 labels, got \(4, 1\)"),
        (np.full(4, 17_001, np.uint16), "challenge classes, not general.*up to 17001"),
        (np.full(4, 0.5), "wanted whole numbers"),
        (np.array([4000, 4999, 0, 0], np.uint16), "no instance id is free"),
    ],
)
def test_nuscenes_arrays_that_cannot_be_mended(tmp_path, data, message):
    np.savez(tmp_path / "a.npz", data=data)
    _, faults = check_panoptic(tmp_path / "a.npz", 4)
    said, mended = faults[-1]
    assert re.search(message, said)
    assert not mended


def test_a_truncated_npz_is_a_fault(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.zeros(400, np.uint16))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[:100])
    assert "wanted .npz without pickles" in check_panoptic(tmp_path / "a.npz", 4)[1][0][0]


def test_wrong_arguments(kitti, nuscenes):
    with pytest.raises(InputError, match="found no such folder"):
        open_submission("semantickitti", Path("absent"), kitti / "data")
    with pytest.raises(InputError, match=r"no task 'pt': wanted segmentation, tracking"):
        open_submission("semantickitti", kitti / "out", kitti / "data", task="pt")
    with pytest.raises(InputError, match=r"wanted a name that ends in .zip"):
        pack_submission(nuscenes, "a.tar")
