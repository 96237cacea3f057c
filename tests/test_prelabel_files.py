"""Out to labelling tools and back: what nobody touched stays, what was corrected counts."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.cli import main
from lidarpan.datasets.open import find_dataset, open_dataset
from lidarpan.datasets.prelabels import FILE, read_prelabels
from lidarpan.datasets.tools.choose import BOX_TOOLS, TOOLS, find_tool
from lidarpan.datasets.tools.frames import ToolBox, ToolFrame
from lidarpan.prelabel_files import QUEUE, doubt_of
from lidarpan.structures import InputError

CLASSES = load_class_table("semantickitti")
CAR, TRUCK, PERSON, ROAD, BUILDING = (
    CLASSES.id_of(name) for name in ("car", "truck", "person", "road", "building")
)
OBJECTS = {  # id: class, middle, size, heading, score in the first scan
    5: (CAR, (8.0, 3.0, -0.9), (4.2, 1.8, 1.5), 0.3, 0.95),
    6: (CAR, (-6.0, -4.0, -0.9), (4.0, 1.7, 1.4), -0.8, 0.30),
    9: (PERSON, (4.0, -5.0, -0.8), (0.6, 0.6, 1.7), 0.0, 0.70),
}
LOOSE = 20  # points of a car that are in no object


def inside(rng, center, size, yaw, count=60):
    """Points on the sides of a box."""
    local = rng.uniform(-0.5, 0.5, (count, 3))
    side = rng.integers(0, 2, count)
    local[np.arange(count), side] = np.sign(local[np.arange(count), side]) / 2
    local *= size
    c, s = np.cos(yaw), np.sin(yaw)
    return local @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + center


@pytest.fixture
def drive(tmp_path):
    """Three scans of a drive, with predictions that have ids and scores."""
    velodyne = tmp_path / "data/sequences/08/velodyne"
    out = tmp_path / "predicted/sequences/08/predictions"
    velodyne.mkdir(parents=True)
    out.mkdir(parents=True)
    lines = []
    for k in range(3):
        rng = np.random.default_rng(k)
        far, turn = rng.uniform(3, 25, 900), rng.uniform(0, 2 * np.pi, 900)
        parts = [np.column_stack([far * np.cos(turn), far * np.sin(turn), np.full(900, -1.7)])]
        semantic, instance = [np.full(900, ROAD)], [np.zeros(900, int)]
        wall = rng.uniform([-20, 12, -1], [20, 12.2, 2], (50, 3))
        loose = rng.uniform([14, -8, -1], [15, -7, 0], (LOOSE, 3))
        for points, kind in ((wall, BUILDING), (loose, CAR)):
            parts.append(points)
            semantic.append(np.full(len(points), kind))
            instance.append(np.zeros(len(points), int))
        score = np.zeros(10, np.float32)
        for number, (kind, center, size, yaw, sure) in OBJECTS.items():
            middle = np.add(center, [0.3 * k, 0, 0])
            points = inside(rng, middle, np.array(size), yaw)
            parts.append(points)
            semantic.append(np.full(len(points), kind))
            instance.append(np.full(len(points), number))
            score[number] = min(sure + 0.1 * k, 1) if k < 2 else 0.1
        points = np.concatenate(parts).astype("<f4")
        rows = np.column_stack([points, np.full(len(points), 0.5)]).astype("<f4")
        rows.tofile(velodyne / f"{k:06d}.bin")
        np.savez(
            out / f"{k:06d}.npz",
            semantic=np.concatenate(semantic).astype(np.uint8),
            instance=np.concatenate(instance).astype(np.int32),
            score=score,
            class_names=np.array(CLASSES.names),
            dataset=np.array(CLASSES.name),
        )
        lines.append(f"1 0 0 {2 * k} 0 1 0 0 0 0 1 0")
    (velodyne.parent / "poses.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(*words):
    """Exit code."""
    import sys

    before, sys.argv = sys.argv, ["lidarpan", *map(str, words)]
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.argv = before
    return 0


def prelabel(drive, tool, *more):
    words = ["prelabel", drive / "data/sequences/08/velodyne", "--labels", drive / "predicted"]
    assert run(*words, "--to", tool, "--out", drive / "job", *more) == 0
    return drive / "job"


def predicted(drive, k):
    with np.load(drive / f"predicted/sequences/08/predictions/{k:06d}.npz") as file:
        return file["semantic"], file["instance"]


def edited(job, tool, change):
    """Change the boxes of the scans as somebody would in the tool: name -> boxes or None."""
    _, classes, scans = read_prelabels(job / FILE)
    scans = sorted(scans, key=lambda scan: scan.frame.number)
    frames = [scan.frame for scan in scans]
    boxes = find_tool(tool).read(job, "08", frames, classes)
    changed = [
        replace(frame, boxes=tuple(change(frame.name, boxes[frame.name]))) for frame in frames
    ]
    find_tool(tool).write(job, "08", changed, classes)


@pytest.mark.parametrize("tool", TOOLS)
def test_what_nobody_touched_comes_back_as_it_was(drive, tool, capsys):
    job = prelabel(drive, tool)
    assert "3 of 3 scans written" in capsys.readouterr().out
    dataset = open_dataset(job / FILE, job, "all")
    assert [dataset.name(k) for k in range(3)] == [f"08/{k:06d}" for k in range(3)]
    for k in range(3):
        semantic, instance = predicted(drive, k)
        labels = dataset.labels(k)
        loose = (semantic == CAR) & (instance == 0)
        assert loose.sum() == LOOSE
        wanted = semantic if tool == "point-labeler" else np.where(loose, 0, semantic)
        np.testing.assert_array_equal(labels.semantic, wanted)
        packed = dataset.raw_labels(k)
        np.testing.assert_array_equal(packed >> 16, instance)
        np.testing.assert_allclose(dataset[k].world_T_sensor[0, 3], 2 * k)


@pytest.mark.parametrize("tool", BOX_TOOLS)
def test_what_was_corrected_counts(drive, tool):
    job = prelabel(drive, tool)

    def correct(name, boxes):
        by_id = {box.id: box for box in boxes}
        if name != "000001":  # in OpenLABEL an object has one class in all frames
            own = [replace(by_id[5], class_id=TRUCK), by_id[6], by_id[9]]
            return own if tool == "openlabel" else boxes
        wider = replace(by_id[5], size_m=(5.2, 2.4, 2.0), class_id=TRUCK)
        new = ToolBox(12, CAR, (14.5, -7.5, -0.5), (1.2, 1.2, 1.2), 0.0)
        return [wider, by_id[9], new]  # 6 is deleted

    edited(job, tool, correct)
    dataset = open_dataset(job / FILE, job, "08")
    semantic, instance = predicted(drive, 1)
    labels, ids = dataset.labels(1), dataset.raw_labels(1) >> 16
    for number, kind in ((5, TRUCK), (9, PERSON)):
        own = instance == number
        assert (labels.semantic[own] == kind).all()
        assert (ids[own] == number).all()
    assert not labels.semantic[instance == 6].any()  # void: nobody says what it is
    assert not ids[instance == 6].any()
    loose = (semantic == CAR) & (instance == 0)
    assert (labels.semantic[loose] == CAR).all()
    assert (ids[loose] == 12).all()
    road = semantic == ROAD
    assert (labels.semantic[road] == ROAD).all()  # also where a box reaches into it
    np.testing.assert_array_equal(dataset.raw_labels(0) >> 16, predicted(drive, 0)[1])


def test_boxes_that_share_an_id_or_have_none_stay_apart(drive):
    job = prelabel(drive, "sustech")
    file = job / "08/label/000000.json"
    rows = json.loads(file.read_text())
    for row in rows:
        row["obj_id"] = "" if row["obj_type"] == "person" else "4"
    file.write_text(json.dumps(rows))
    ids = open_dataset(job / FILE, job, "all").raw_labels(0) >> 16
    _, instance = predicted(drive, 0)
    found = [set(ids[instance == number].tolist()) for number in (5, 6, 9)]
    assert all(len(each) == 1 for each in found)
    assert len(set.union(*found)) == 3
    assert 0 not in set.union(*found)


def test_the_most_doubtful_scans_come_first(drive, capsys):
    job = prelabel(drive, "openlabel", "--most", "2")
    assert "2 of 3 scans written" in capsys.readouterr().out
    rows = list(csv.DictReader((job / QUEUE).open()))
    assert [row["scan"] for row in rows] == ["000002", "000000"]
    assert [float(row["doubt"]) for row in rows] == pytest.approx([2.7, 1.05], abs=1e-3)
    assert rows[1]["why"].startswith("1 of 3 objects are unsure, the most car 6 (0.30) at ")
    assert list(json.loads((job / "08.json").read_text())["openlabel"]["frames"]) == ["0", "2"]
    dataset = open_dataset(job / FILE, job, "all")
    assert [dataset.name(k) for k in range(len(dataset))] == ["08/000000", "08/000002"]
    assert doubt_of([]) == (0.0, "no objects")


def test_openlabel_passes_the_standards_checker(drive):
    core = pytest.importorskip("openlabel_checker.core")
    job = prelabel(drive, "openlabel")
    report = core.check_file(str(job / "08.json"))
    assert [issue.message for outcome in report.outcomes for issue in outcome.issues] == []
    tree = json.loads((job / "08.json").read_text())["openlabel"]
    cuboid = tree["frames"]["0"]["objects"]["6"]["object_data"]["cuboid"][0]
    assert cuboid["attributes"]["num"] == [{"name": "confidence", "val": 0.3}]
    assert tree["objects"]["6"]["type"] == "car"
    assert tree["objects"]["6"]["frame_intervals"] == [{"frame_start": 0, "frame_end": 2}]


def test_the_devkit_reads_nuscenes_boxes(drive):
    common = pytest.importorskip("nuscenes.eval.common.data_classes")
    from nuscenes.eval.detection.data_classes import DetectionBox

    job = prelabel(drive, "nuscenes-boxes")
    content = json.loads((job / "results_nusc.json").read_text())
    boxes = common.EvalBoxes.deserialize(content["results"], DetectionBox)
    assert sorted(box.detection_name for box in boxes["08/000000"]) == ["car", "car", "pedestrian"]
    person = next(b for b in boxes["08/000002"] if b.detection_name == "pedestrian")
    np.testing.assert_allclose(person.translation[:2], [4 + 0.6 + 4, -5], atol=0.25)  # in the world


def test_kitti_boxes_are_in_the_cameras_axes(drive):
    job = prelabel(drive, "kitti-boxes")
    lines = (job / "label_02/08.txt").read_text().splitlines()
    words = next(line.split() for line in lines if line.startswith("0 5 Car"))
    assert len(words) == 18
    height, width, length, x, y, z = map(float, words[10:16])
    np.testing.assert_allclose([x, y, z], [-3, 0.9 + height / 2, 8], atol=0.3)
    assert length > width
    assert float(words[17]) == pytest.approx(0.95)
    without = [line.rsplit(" ", 1)[0] for line in lines]  # as tools write it: no score
    (job / "label_02/08.txt").write_text("\n".join([*without, "1 -1 DontCare" + 14 * " 0"]) + "\n")
    ids = open_dataset(job / FILE, job, "all").raw_labels(0) >> 16
    np.testing.assert_array_equal(ids, predicted(drive, 0)[1])


def test_segments_and_cvat_have_what_their_schemas_want(drive):
    job = prelabel(drive, "segments")
    (row,) = [
        row
        for row in json.loads((job / "08.json").read_text())["frames"][0]["annotations"]
        if row["track_id"] == 9
    ]
    assert set(row) == {
        "id", "category_id", "type", "position", "dimensions", "yaw", "rotation", "track_id",
        "is_keyframe", "attributes",
    }  # fmt: skip
    names = {
        c["id"]: c["name"] for c in json.loads((job / "categories.json").read_text())["categories"]
    }
    assert names[row["category_id"]] == "person"
    job.rename(drive / "segments")
    job = prelabel(drive, "cvat")
    keys = json.loads((job / "08/key_id_map.json").read_text())
    assert sorted(keys["videos"].values()) == [0, 1, 2]
    assert set(keys["objects"].values()) == {5, 6, 9}
    content = json.loads((job / "08/ds0/ann/000000.pcd.json").read_text())
    objects = {one["key"]: one for one in content["objects"]}
    for figure in content["figures"]:
        assert figure["key"] in keys["figures"]
        assert figure["geometryType"] == "cuboid_3d"
        size = figure["geometry"]["dimensions"]
        if objects[figure["objectKey"]]["classTitle"] == "car":
            assert size["x"] > size["y"] > size["z"] - 0.6  # x is the length


def test_corrected_labels_go_into_training(drive):
    from lidarpan.config import Config
    from lidarpan.training.sources import open_sources

    job = prelabel(drive, "cvat")
    config = Config.model_validate(
        {"train_data": [{"dataset": str(job / FILE), "root": str(job), "split": "all"}]}
    )
    (source,) = open_sources(config.train_data, config)
    sample = source.sample(1)
    assert set(np.unique(sample.semantic).tolist()) == {0, CAR, PERSON, ROAD, BUILDING}
    assert len(np.unique(sample.instance[sample.instance > 0])) == 3


DAMAGE = {
    "kitti-boxes": (
        "label_02/08.txt",
        [b"0 1 Car 1 2", b"0 1 Ufo" + 15 * b" 0", b"77 1 Car" + 15 * b" 1", b"\xff"],
    ),
    "nuscenes-boxes": (
        "results_nusc.json",
        [b"[]", b"{", b'{"results": {"08/000000": [{}]}}', b'{"results": {"08/000000": 3}}'],
    ),
    "openlabel": (
        "08.json",
        [
            b"[]",
            b'{"openlabel": {}}',
            b'{"openlabel": {"frames": {"0": []}}}',
            b'{"openlabel": {"frames": {"0": {"objects": {"1": {"object_data": {"cuboid": '
            b'[{"val": [1]}]}}}}}}}',
        ],
    ),
    "cvat": (
        "08/ds0/ann/000000.pcd.json",
        [b"[]", b"{}", b'{"objects": [], "figures": [{"objectKey": 1}]}'],
    ),
    "segments": (
        "08.json",
        [
            b"{}",
            b'{"frames": []}',
            b'{"frames": [1, 2, 3]}',
            b'{"frames": [{"annotations": [{"type": "cuboid"}]}, {"annotations": []}, '
            b'{"annotations": []}]}',
        ],
    ),
    "sustech": (
        "08/label/000001.json",
        [
            b"{",
            b"3",
            b'[{"obj_id": "1"}]',
            b'[{"psr": {"position": {}, "scale": {}, "rotation": {}}}]',
        ],
    ),
    "point-labeler": ("sequences/08/labels/000001.label", [b"abc", b"\xff\xff\x00\x00"]),
}


def read_all(job):
    dataset = open_dataset(job / FILE, job, "all")
    return [dataset.labels(k) for k in range(len(dataset))]


@pytest.mark.parametrize("tool", TOOLS)
def test_damaged_files_are_named(drive, tool):
    job = prelabel(drive, tool)
    file, contents = DAMAGE[tool]
    for content in contents:
        (job / file).write_bytes(content)
        with pytest.raises(InputError, match=re.escape(str(job / file))):
            read_all(job)


@pytest.mark.parametrize("tool", BOX_TOOLS)
def test_boxes_keep_their_numbers(tool, tmp_path):
    rng = np.random.default_rng(4)
    pose = np.eye(4)
    c, s = np.cos(0.7), np.sin(0.7)
    pose[:2, :2], pose[:3, 3] = [[c, -s], [s, c]], [100, -40, 2]
    frames = []
    for k in (3, 4, 9):
        boxes = tuple(
            ToolBox(
                number,
                (CAR, TRUCK, PERSON)[number % 3],
                tuple(rng.uniform(-50, 50, 3).tolist()),
                tuple(rng.uniform(0.3, 12, 3).tolist()),
                float(rng.uniform(-np.pi, np.pi)),
                round(float(rng.uniform()), 4),
            )
            for number in range(1, 9)
        )
        frames.append(ToolFrame(f"{k:06d}", k, boxes, 0.1 * k, pose))
    find_tool(tool).write(tmp_path, "a", frames, CLASSES)
    read = find_tool(tool).read(tmp_path, "a", frames, CLASSES)
    assert list(read) == [frame.name for frame in frames]
    for frame in frames:
        for box, again in zip(frame.boxes, read[frame.name], strict=True):
            assert (again.id, again.class_id) == (box.id, box.class_id)
            np.testing.assert_allclose(again.center_m, box.center_m, atol=2e-4)
            np.testing.assert_allclose(again.size_m, box.size_m, atol=2e-4)
            assert np.cos(again.yaw_rad - box.yaw_rad) == pytest.approx(1, abs=1e-6)
            assert again.score == pytest.approx(box.score, abs=1e-4)
            assert box.is_like(again)


def test_what_cannot_be_is_said(drive, capsys):
    job = prelabel(drive, "cvat")
    words = ["prelabel", drive / "data/sequences/08/velodyne", "--to", "cvat", "--out", job]
    assert run(*words, "--labels", drive / "predicted") == 2
    assert (
        "labels of an earlier run are there, and may have been corrected" in capsys.readouterr().err
    )
    words[-1] = drive / "other"
    assert run(*words, "--labels", drive / "nowhere") == 2
    assert "nowhere: no labels for 000000.bin" in capsys.readouterr().err
    with pytest.raises(InputError, match="no split '99': wanted all or 08"):
        open_dataset(job / FILE, job, "99")
    with pytest.raises(InputError, match="wanted labels that cvat gave back, found none"):
        open_dataset(job / FILE, drive / "data", "all")
    (job / FILE).write_text('{"version": 1, "tool": "cvat"}')
    with pytest.raises(InputError, match=r"prelabels\.json: wanted what lidarpan prelabel writes"):
        find_dataset(job / FILE)
