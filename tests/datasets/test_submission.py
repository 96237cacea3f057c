"""Every fault of a submission is named with its file; the zip is what the servers unpack."""

import json
import re
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from lidarpan.cli import main
from lidarpan.datasets.benchmark_counts import SEMANTICKITTI
from lidarpan.datasets.kitti_labels import write_label
from lidarpan.datasets.nuscenes_labels import write_panoptic
from lidarpan.datasets.open import find_dataset
from lidarpan.datasets.submission import (
    Submission,
    check_submission,
    open_submission,
    pack_submission,
)
from lidarpan.datasets.tracks import find_breaks
from lidarpan.structures import InputError, Scan
from lidarpan.synthetic.nuscenes_writer import write_nuscenes


@pytest.fixture
def kitti(tmp_path, monkeypatch):
    monkeypatch.setattr("lidarpan.datasets.semantickitti.SPLITS", {"test": ("11", "12")})
    for sequence in ("11", "12"):
        monkeypatch.setitem(SEMANTICKITTI, sequence, 2)
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
    return Submission(find_dataset("nuscenes"), tmp_path, "val", wanted)


def checked(file):
    return find_dataset("nuscenes").check_prediction(file, 4, is_tracking=False)


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
    assert list(check_submission(nuscenes)) == []
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
    (folder / "bb_panoptic.npz").write_bytes(checked(folder / "bb_panoptic.npz").content)
    with np.load(folder / "bb_panoptic.npz") as arrays:
        assert arrays["data"].tolist() == [4006, 4005, 11_000, 7001]
        assert arrays["data"].dtype == np.uint16


# --- tracking --------------------------------------------------------------------------------


@dataclass
class Labelled:
    """Six cars of 20 points each, 30 m apart, and the time."""

    time_s: float
    boxes: tuple = ()

    @property
    def scan(self):
        rows = np.random.default_rng(int(self.time_s * 2)).normal(size=(120, 3))
        rows[:, 0] += 30 * np.repeat(np.arange(6), 20) + self.time_s * 2
        nothing = np.zeros(120, np.float32)
        ring = np.zeros(120, np.int32)
        return Scan(rows.astype(np.float32), nothing, ring=ring, world_T_sensor=np.eye(4))

    @property
    def instance(self):
        return np.repeat(np.arange(1, 7), 20).astype(np.int32)

    def raw(self, dataset):
        return np.full(120, 17, np.int32)


@pytest.fixture
def drives(tmp_path):
    """Two scenes of four scans; predictions whose ids stay, of the same name in both scenes."""
    scenes = {n: [Labelled(0.5 * k) for k in range(4)] for n in ("scene-0103", "scene-0916")}
    list(write_nuscenes(tmp_path / "data", scenes.items()))
    submission = open_submission(
        "nuscenes", make(tmp_path / "out"), tmp_path / "data", "mini_val", "tracking"
    )
    for name in submission.wanted:
        packed = 4000 + np.repeat(np.arange(6, 12), 20)
        write_panoptic(tmp_path / "out" / name, packed.astype(np.uint16))
    return submission


def make(folder):
    folder.mkdir()
    return folder


def rename(submission, scene, names):
    """Predict other ids in the scans of a scene."""
    files = [name for name, of in submission.scene_of.items() if of == scene]
    for file, ids in zip(files, names, strict=True):
        packed = 4000 + np.repeat(ids, 20)
        write_panoptic(submission.predictions / file, packed.astype(np.uint16))


def test_tracks_that_last_pack_with_their_task(drives):
    assert list(check_submission(drives)) == []
    assert pack_submission(drives, drives.predictions / "a.zip") == []
    with zipfile.ZipFile(drives.predictions / "a.zip") as archive:
        meta = json.loads(archive.read("mini_val/submission.json"))["meta"]
        assert meta["task"] == "tracking"
        assert len([name for name in archive.namelist() if name.endswith(".npz")]) == 8


def test_ids_that_start_anew_in_each_scan_are_named_for_every_scene(drives):
    rename(drives, "scene-0103", [np.roll(np.arange(1, 7), k) for k in (0, 3, 0, 3)])
    rename(drives, "scene-0916", [np.arange(1, 7) + 10 * k for k in range(4)])
    faults = check_submission(drives)
    assert [str(fault) for fault in faults[:2]] == [
        "panoptic/mini_val, scene-0103: of 18 objects that stay where they are, 18 get another "
        "instance id in the next scan: wanted tracks",
        "panoptic/mini_val, scene-0916: none of its instance ids lasts for two of its 4 scans: "
        "wanted tracks",
    ]
    assert not any(fault.is_mended for fault in faults[:2])
    assert len(pack_submission(drives, drives.predictions / "a.zip", fix=True)) == 2
    assert not check_submission(replace(drives, task="segmentation"))  # a scan at a time


def test_objects_that_change_their_id_now_and_then_or_drive_away_are_no_fault(drives):
    ids = [np.arange(1, 7), np.arange(1, 7), [1, 2, 3, 4, 5, 9], [1, 2, 3, 4, 9, 5]]
    rename(drives, "scene-0103", ids)
    assert not check_submission(drives)
    places = [{i: np.array([30.0 * i + 10 * k, 0, 0]) for i in range(1, 7)} for k in range(4)]
    assert find_breaks(places) is None
    late = [{i + k: place for i, place in scan.items()} for k, scan in enumerate(places)]
    assert find_breaks(late) is None  # nothing stays near its place: it cannot be told


def test_a_few_objects_are_too_few_to_tell(drives):
    rename(drives, "scene-0103", [np.full(6, k + 1) for k in range(4)])
    assert not check_submission(drives)


def test_things_without_an_id_are_not_given_one_for_tracking(drives):
    name = next(iter(drives.wanted))
    packed = np.full(120, 4000, np.uint16)
    np.savez(drives.predictions / name, data=packed)
    meta = {"task": "segmentation", "use_lidar": True}
    file = drives.predictions / "mini_val/submission.json"
    make(file.parent)
    file.write_text(json.dumps({"meta": meta}))
    faults = check_submission(drives)
    assert [fault.message for fault in faults] == [
        "120 points of things have no instance id 1..999",
        "wanted task 'tracking', got 'segmentation'",
        *(
            f"wanted use_{key} true or false, got None"
            for key in ("camera", "radar", "map", "external")
        ),
    ]
    assert [fault.is_mended for fault in faults] == [False] + [True] * 5


def test_kitti_ids_are_followed_over_a_sequence(kitti):
    for sequence in ("11", "12"):
        for i in range(2):
            packed = np.repeat(np.arange(1 + 5 * i, 6 + 5 * i), 2).astype(np.uint32) << 16 | 10
            packed = np.append(packed, np.full(i, 40)).astype(np.uint32)
            write_label(label(kitti, sequence, i), packed)
    submission = open_submission("semantickitti", kitti / "out", kitti / "data", task="tracking")
    assert [str(fault) for fault in check_submission(submission)] == [
        f"sequences, sequence {s}: none of its instance ids lasts for two of its 2 scans: "
        "wanted tracks"
        for s in ("11", "12")
    ]


def test_task_on_the_command_line(drives, monkeypatch, capsys):
    rename(drives, "scene-0916", [np.arange(1, 7) + 10 * k for k in range(4)])
    root = drives.predictions
    words = ["nuscenes", "--data", root.parent / "data", "--predictions", root]
    words += ["--split", "mini_val", "--task"]
    for command, task, code, said in (
        ("check", "tracking", 1, "scene-0916: none of its instance ids lasts"),
        ("pack", "tracking", 1, "scene-0916: none of its instance ids lasts"),
        ("pack", "segmentation", 0, "submission: "),
        ("check", "panoptic", 2, "'panoptic' is not one of 'segmentation', 'tracking'"),
    ):
        out = ["--out", root / "a.zip"] if command == "pack" else []
        line = ["lidarpan", "submit", command, *words, task, *out]
        monkeypatch.setattr(sys, "argv", [str(word) for word in line])
        got = 0
        try:
            main()
        except SystemExit as stop:
            got = stop.code or 0
        printed = capsys.readouterr()
        text = " ".join((printed.out + printed.err).replace("│", " ").split())
        assert got == code, text
        assert said in text


# --- arrays ----------------------------------------------------------------------------------


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
    said, mended = checked(tmp_path / "a.npz").faults[-1]
    assert re.search(message, said)
    assert not mended


def test_a_truncated_npz_is_a_fault(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.zeros(400, np.uint16))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[:100])
    assert "wanted .npz without pickles" in checked(tmp_path / "a.npz").faults[0][0]


def test_wrong_arguments(kitti, nuscenes):
    with pytest.raises(InputError, match="found no such folder"):
        open_submission("semantickitti", Path("absent"), kitti / "data")
    with pytest.raises(InputError, match=r"no task 'pt': wanted segmentation, tracking"):
        open_submission("semantickitti", kitti / "out", kitti / "data", task="pt")
    with pytest.raises(InputError, match=r"wanted a name that ends in .zip"):
        pack_submission(nuscenes, "a.tar")
