"""The lean reader of tables: as the devkit, whatever the JSON looks like, and no trust in it."""

import json
import shutil

import numpy as np
import pytest

from lidarpan.datasets import nuscenes_tables
from lidarpan.datasets.nuscenes_frame import NATIVE_T_SCAN, transform
from lidarpan.datasets.nuscenes_tables import (
    find_key_frames,
    find_token,
    read_key_frames,
    split_scenes,
)
from lidarpan.datasets.open import open_dataset
from lidarpan.scans.sources import open_sources
from lidarpan.structures import InputError, Scan
from lidarpan.synthetic.nuscenes_writer import write_nuscenes
from lidarpan.track_files import plan_drives

SCENES = ("scene-0103", "scene-0916", "scene-0061")


class Labelled:
    """One car's points, at a place of its own."""

    boxes = ()

    def __init__(self, k):
        pose = np.eye(4)
        pose[:3, 3] = [10 * k, k, 2]
        rows = np.random.default_rng(k).normal(0, 5, (20 + k, 3)).astype(np.float32)
        ring = np.zeros(len(rows), np.int32)
        self.scan = Scan(rows, rows[:, 0] * 0, ring=ring, world_T_sensor=pose)
        self.instance = np.ones(len(rows), np.int32)
        self.time_s = 0.5 * k

    def raw(self, dataset):
        return np.full(len(self.instance), 17, np.int32)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("nuscenes")
    scans = [(name, [Labelled(10 * i + k) for k in range(3)]) for i, name in enumerate(SCENES)]
    list(write_nuscenes(root, scans))
    return root


@pytest.fixture
def tree(written, tmp_path):
    shutil.copytree(written, tmp_path / "tree")
    return tmp_path / "tree"


def change(tree, table, function):
    """Change the rows of a table."""
    file = tree / f"v1.0-mini/{table}.json"
    rows = json.loads(file.read_text())
    file.write_text(json.dumps(function(rows) or rows))


def as_lists(frames):
    return [
        (f.token, f.scene, str(f.file), str(f.label_file), f.world_T_sensor.tolist())
        for f in frames
    ]


def frames_of(tree, split="mini_val"):
    return as_lists(read_key_frames(tree, "v1.0-mini", split))


def test_splits_are_the_devkits():
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes.utils.splits import create_splits_scenes

    theirs = create_splits_scenes()
    assert {name: list(scenes) for name, scenes in split_scenes().items()} == {
        name: theirs[name] for name in ("mini_train", "mini_val", "train", "val", "test")
    }


@pytest.mark.parametrize("split", ["mini_train", "mini_val"])
def test_records_equal_the_devkits(tree, split):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes import NuScenes
    from nuscenes.utils.splits import create_splits_scenes

    devkit = NuScenes("v1.0-mini", str(tree), verbose=False)
    there = {scene["name"]: scene for scene in devkit.scene}
    expected = []
    for name in create_splits_scenes()[split]:
        token = there[name]["first_sample_token"] if name in there else ""
        while token:
            sample = devkit.get("sample", token)
            token = sample["next"]
            data = devkit.get("sample_data", sample["data"]["LIDAR_TOP"])
            ego = devkit.get("ego_pose", data["ego_pose_token"])
            mount = devkit.get("calibrated_sensor", data["calibrated_sensor_token"])
            pose = transform(ego["translation"], ego["rotation"])
            pose = pose @ transform(mount["translation"], mount["rotation"]) @ NATIVE_T_SCAN
            label = str(tree / devkit.get("panoptic", data["token"])["filename"])
            path = devkit.get_sample_data_path(data["token"])
            expected.append((data["token"], name, path, label, pose.tolist()))
    assert frames_of(tree, split) == expected
    assert len(expected) == (3 if split == "mini_train" else 6)


def escaped(rows):
    return json.dumps(rows).replace("/", "\\/")


FORMS = {
    "one line": lambda rows: json.dumps(rows, separators=(",", ":")),
    "indented": lambda rows: json.dumps(rows, indent=4) + "\n\n",
    "escaped": escaped,
    "objects within": lambda rows: json.dumps([{**row, "z": {"y": [{}]}} for row in rows]),
    "objects before": lambda rows: json.dumps([{"z": {"y": 1}, **row} for row in rows]),
    "braces in text": lambda rows: json.dumps([{**row, "a": "}{", "z": "}"} for row in rows]),
    "sorted": lambda rows: json.dumps(rows, sort_keys=True),
    "reversed": lambda rows: json.dumps(rows[::-1]),
}


@pytest.mark.parametrize("piece_bytes", [64, 1000, 1 << 23])
@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_the_tables_reads_alike(written, tree, monkeypatch, form, piece_bytes):
    expected = [(row[0], row[4]) for row in frames_of(written)]
    for name in ("sample_data", "ego_pose", "calibrated_sensor", "sample", "scene", "panoptic"):
        file = tree / f"v1.0-mini/{name}.json"
        file.write_text(FORMS[form](json.loads(file.read_text())))
    monkeypatch.setattr(nuscenes_tables, "_PIECE_BYTES", piece_bytes)
    assert [(row[0], row[4]) for row in frames_of(tree)] == expected


def test_only_lidar_key_frames_count(written, tree):
    def with_others(rows):
        sweeps = [
            {**row, "token": f"s{i}", "is_key_frame": False,
             "filename": row["filename"].replace("samples", "sweeps")}
            for i, row in enumerate(rows)
        ]  # fmt: skip
        images = [
            {**row, "token": f"c{i}", "filename": row["filename"].replace("LIDAR_TOP", "CAM_BACK")}
            for i, row in enumerate(rows)
        ]
        return sweeps + images + rows

    change(tree, "sample_data", with_others)
    assert [row[0] for row in frames_of(tree)] == [row[0] for row in frames_of(written)]


def test_lidarseg_serves_where_there_is_no_panoptic(tree):
    (tree / "v1.0-mini/panoptic.json").unlink()
    split = open_dataset("nuscenes", tree, "mini_val")
    assert split.label_path(0).name.endswith("_lidarseg.bin")
    assert split.labels(0).semantic.tolist() == [4] * 20
    assert not split.labels(0).instance.any()
    (tree / "v1.0-mini/lidarseg.json").unlink()
    assert open_dataset("nuscenes", tree, "mini_val").labels(0) is None


def circle(rows):
    rows[2]["next"] = rows[0]["token"]


def loop(rows):
    rows[1]["next"] = rows[1]["token"]


def astray(rows):
    rows[0]["next"] = "nowhere"


def without(key):
    def function(rows):
        for row in rows:
            del row[key]

    return function


def setting(key, value):
    def function(rows):
        for row in rows:
            row[key] = value

    return function


@pytest.mark.parametrize(
    ("table", "function", "words"),
    [
        ("sample", circle, r"sample\.json: the chain of scene-0103 leads back to [0-9a-f]+"),
        ("sample", loop, "the chain of scene-0103 leads back to"),
        ("sample", astray, "the chain of scene-0103 leads to a sample that is not there, nowhere"),
        ("sample", without("next"), "a table lacks 'next'"),
        ("scene", without("first_sample_token"), "a table lacks 'first_sample_token'"),
        ("scene", without("name"), "a table lacks 'name'"),
        ("scene", setting("first_sample_token", "x"), "leads to a sample that is not there, x"),
        ("scene", setting("first_sample_token", ["x"]), "wanted whole nuScenes tables"),
        ("sample_data", without("filename"), "a table lacks 'filename'"),
        ("sample_data", without("is_key_frame"), "a table lacks 'is_key_frame'"),
        ("sample_data", setting("ego_pose_token", "x"), r"ego_pose\.json: no row x, which another"),
        ("sample_data", setting("ego_pose_token", 3), "wanted whole nuScenes tables"),
        ("sample_data", setting("calibrated_sensor_token", "x"), "a table lacks 'x'"),
        ("sample_data", setting("filename", 7), "wanted whole nuScenes tables"),
        ("ego_pose", setting("rotation", [0, 0, 0, 0]), "a pose that is no number"),
        ("ego_pose", setting("rotation", [1, 0]), "wanted whole nuScenes tables"),
        ("ego_pose", setting("translation", "here"), "wanted whole nuScenes tables"),
        ("panoptic", without("token"), "a table lacks 'token'"),
        ("panoptic", lambda rows: rows[1:], "a table lacks '[0-9a-f]+'"),
        ("sample", lambda rows: {"a": 1}, "a list of rows, got something else"),
        ("calibrated_sensor", lambda rows: [1], "a list of rows, got something else"),
    ],
)
def test_broken_tables_are_named(tree, table, function, words):
    change(tree, table, function)
    with pytest.raises(InputError, match=words) as caught:
        read_key_frames(tree, "v1.0-mini", "mini_val")
    assert str(tree) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", ["scene", "sample", "sample_data", "ego_pose"])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_cut_tables_are_named(tree, table, share):
    file = tree / f"v1.0-mini/{table}.json"
    whole = file.read_bytes().rstrip()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=rf"{table}\.json: wanted (a nuScenes table|JSON)"):
        read_key_frames(tree, "v1.0-mini", "mini_val")
    file.unlink()
    with pytest.raises(InputError, match=rf"wanted whole nuScenes tables, got no {table}\.json"):
        read_key_frames(tree, "v1.0-mini", "mini_val")


def test_tokens_are_found_by_file(tree):
    split = open_dataset("nuscenes", tree, "mini_train")
    found = find_token(split.path(1))
    assert (found.token, found.split) == (split.name(1), "mini_train")
    assert find_token(tree / "samples/LIDAR_TOP/other.pcd.bin") is None
    assert find_token(tree / "elsewhere.pcd.bin") is None


def test_scans_of_a_tree_are_found_with_scene_and_pose(tree):
    frames = [f for s in ("mini_train", "mini_val") for f in read_key_frames(tree, "v1.0-mini", s)]
    found = find_key_frames([frame.file for frame in frames])
    assert as_lists(found) == as_lists(frames)
    assert find_key_frames([frames[0].file, tree / "samples/LIDAR_TOP/other.pcd.bin"]) is None
    assert find_key_frames([tree / "scans/000000.bin"]) is None


def test_each_scene_of_a_tree_is_tracked_by_itself_with_its_poses(tree, tmp_path):
    scans = sorted((tree / "samples/LIDAR_TOP").glob("*.bin"))
    for scan in scans:
        (tmp_path / f"{scan.name.removesuffix('.pcd.bin')}.npy").touch()
    drives, notes = plan_drives(open_sources([str(s) for s in scans]), tmp_path, tmp_path / "out")
    assert sorted(drive.name for drive in drives) == sorted(SCENES)
    assert not [note for note in notes if "no poses" in note]
    for drive in drives:
        frames = find_key_frames(drive.scans)
        assert {frame.scene for frame in frames} == {drive.name}
        assert np.array_equal(drive.poses, [frame.world_T_sensor for frame in frames])
