"""What predict offers beside labels: objects, boxes, scores, classes, axes; what it tells."""

import csv
import json
import re
import threading
import urllib.request

import numpy as np
import pytest

from lidarpan.bench.scans import street_scan
from lidarpan.classes import load_class_table
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.score_files import SUFFIX, with_scores
from lidarpan.synthetic.sensors.sensor import make_sensor
from lidarpan.synthetic.simulate import simulate_scan

CLASSES = load_class_table("semantickitti")
SENSOR = make_sensor("small", num_beams=40, azimuth_steps=700, lowest_deg=-24)


def write(path, points, intensity):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.column_stack([points, intensity]).astype(np.float32).tofile(path)
    return path


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """Three streets whose sensor stands at another height than the weights expect."""
    folder = tmp_path_factory.mktemp("drive")
    for k in range(3):
        scan = street_scan(20_000, seed=k)
        write(folder / f"{k}.bin", scan.points + np.float32([0, 0, 0.9]), scan.intensity)
    return folder


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A scan of a town, whose surfaces the weights know."""
    scan = simulate_scan(2, SENSOR).scan
    return write(tmp_path_factory.mktemp("town") / "town.bin", scan.points, scan.intensity)


def predict(run, *words):
    code, out, err = run("predict", *words, "--device", "cpu", "--ego-box", "off")
    assert code == 0, err
    return out, err


def test_objects_boxes_and_what_is_told(run, drive, tmp_path):
    words = [drive, "--out", tmp_path / "o", "--format", "npz", "--min-score", "0"]
    listed = ["--objects", tmp_path / "list.json", "--boxes", "kitti"]
    out, err = predict(run, *words, *listed)
    assert err.count("warning:") == 1  # once per folder, not once per scan
    assert "the ground lies 0.83 m below the sensor: predicted as if it were 1.73 m" in err
    assert re.search(r"note: .*drive\d*: 2 more scans", err)
    assert f"next, to look at them: lidarpan serve {drive} --labels {tmp_path / 'o'}" in out

    scans = json.loads((tmp_path / "list.json").read_text())["scans"]
    assert [scan["scan"] for scan in scans] == [str(drive / f"{k}.bin") for k in range(3)]
    told = dict(re.findall(r"([a-z-]+) (\d+)", re.search(r"objects: (.*)", out)[1]))
    counted = {}
    for k, scan in enumerate(scans):
        labels = read_prediction(tmp_path / "o" / f"{k}.npz", CLASSES)
        assert [one["id"] for one in scan["objects"]] == list(range(1, labels.instance.max() + 1))
        for one in scan["objects"]:
            own = labels.instance == one["id"]
            assert one["num_points"] == own.sum()
            assert one["class"] == CLASSES.names[np.bincount(labels.semantic[own]).argmax()]
            assert one["score"] == pytest.approx(labels.score[one["id"]], abs=1e-4)
            counted[one["class"]] = counted.get(one["class"], 0) + 1
        lines = (tmp_path / "o/boxes" / f"{k}.txt").read_text().splitlines()
        assert len(lines) == len(scan["objects"])
    assert {name: int(n) for name, n in told.items()} == counted
    assert counted.get("car", 0) > 2

    out, _ = predict(run, *words, "--objects", tmp_path / "list.csv")
    assert "3 were there already" in out
    with (tmp_path / "list.csv").open(newline="") as file:  # of what was there already too
        rows = list(csv.DictReader(file))
    assert [(r["scan"], int(r["id"]), r["class"], int(r["points"])) for r in rows] == [
        (s["scan"], one["id"], one["class"], one["num_points"])
        for s in scans
        for one in s["objects"]
    ]


def test_tracking_knows_the_scores_of_labels_that_cannot_hold_them(run, drive, tmp_path):
    words = ["predict", drive, "--device", "cpu", "--ego-box", "off"]
    code, _, err = run(*words, "--out", tmp_path / "a", "--track", "--format", "semantickitti")
    assert code == 0, err
    code, _, err = run(*words, "--out", tmp_path / "b", "--format", "npz")
    assert code == 0, err
    for k in range(3):
        scored = read_prediction(tmp_path / "b" / f"{k}.npz", CLASSES)
        (file,) = (tmp_path / "a/untracked").rglob(f"{k}.label")
        known = with_scores(read_prediction(file, CLASSES), file)
        has = scored.instance > 0
        assert has.any()
        assert np.array_equal(known.score[known.instance[has]], scored.score[scored.instance[has]])
    assert not list((tmp_path / "b").rglob(f"*{SUFFIX}"))
    assert {path.name for path in (tmp_path / "a").glob(f"*{SUFFIX}")} == set()


def test_min_score_and_only(run, drive, tmp_path):
    scan = drive / "0.bin"
    predict(run, scan, "--out", tmp_path / "all", "--format", "npz", "--min-score", "0")
    everything = read_prediction(tmp_path / "all/0.npz", CLASSES)
    least = float(np.median(everything.score[1:]))
    predict(run, scan, "--out", tmp_path / "sure", "--format", "npz", "--min-score", f"{least:.6f}")
    sure = read_prediction(tmp_path / "sure/0.npz", CLASSES)
    assert sure.score[1:].min() >= least - 1e-6
    assert sure.instance.max() == (everything.score[1:] >= round(least, 6)).sum()
    gone = CLASSES.is_thing[everything.semantic] & ~CLASSES.is_thing[sure.semantic]
    assert gone.any()
    assert (sure.semantic[gone] > 0).mean() > 0.9  # back to stuff

    predict(run, scan, "--out", tmp_path / "only", "--only", "car, pole", "--min-score", "0")
    only = read_prediction(tmp_path / "only/0.label", CLASSES)
    names = {CLASSES.names[k] for k in np.unique(only.semantic)}
    assert names <= {"void", "car", "pole"}
    kept = np.isin(everything.semantic, [CLASSES.id_of("car"), CLASSES.id_of("pole")])
    assert (only.semantic[kept] == everything.semantic[kept]).all()
    code, _, err = run("predict", scan, "--out", tmp_path, "--only", "cart")
    assert code == 2
    assert "no class 'cart' in semantickitti: void, car," in err


@pytest.mark.parametrize(
    ("turn", "words", "said"),
    [
        (np.diag([1, -1, -1]), [], "hangs upside down: levelled by its own ground"),
        (np.diag([1, -1, -1]), ["--up", "-z"], ""),
        ([[0, -1, 0], [0, 0, -1], [1, 0, 0]], ["--up", "-y", "--forward", "z"], ""),
        ([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]], [], "turned by 37 degrees: levelled"),
    ],
)
def test_turned_sensors(run, town, tmp_path, turn, words, said):
    rows = np.fromfile(town, np.float32).reshape(-1, 4)
    predict(run, town, "--out", tmp_path, "--format", "ply", "--min-score", "0")
    turned = write(tmp_path / "turned.bin", rows[:, :3] @ np.transpose(turn), rows[:, 3])
    listed = ["--objects", tmp_path / "o.json"]
    _, err = predict(run, turned, "--out", tmp_path, "--format", "ply", *words, *listed)
    assert said in err
    straight, back = (read_prediction(tmp_path / f"{n}.ply", CLASSES) for n in ("town", "turned"))
    along_axes = np.isin(turn, (-1, 0, 1)).all()
    assert (straight.semantic == back.semantic).mean() > (0.97 if along_axes else 0.9)
    from lidarpan.scans.ply import read_ply

    columns = read_ply(tmp_path / "turned.ply")
    there = np.stack([columns[axis] for axis in "xyz"], axis=1)
    assert np.array_equal(there, (rows[:, :3] @ np.transpose(turn)).astype(np.float32))
    (scan,) = json.loads((tmp_path / "o.json").read_text())["scans"]
    assert np.allclose(np.array(scan["objects_R_file"]) @ turn, np.eye(3), atol=0.05)


def test_a_turn_left_as_it_is(run, drive, tmp_path):
    rows = np.fromfile(drive / "1.bin", np.float32).reshape(-1, 4)
    turned = write(tmp_path / "t.bin", rows[:, :3] * [1, -1, -1], rows[:, 3])
    _, err = predict(run, turned, "--out", tmp_path, "--level", "off")
    assert "the ground lies across -z, not z" in err
    assert "turn it with --up and --forward, or by its own ground with --level auto" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--up", "up"], "up: wanted one of x, -x, y, -y, z, -z, got 'up'"),
        (["--up", "x"], "up and forward lie on one line"),
        (["--voxel", "9"], "voxels: wanted 0.075 to 0.45 m (the weights' own are 0.15 m), got 9"),
        (["--objects", "list.txt"], "wanted a name ending in .json or .csv"),
    ],
)
def test_wrong_words(run, drive, tmp_path, words, said):
    code, _, err = run("predict", drive / "0.bin", "--out", tmp_path / "o", *words)
    assert code == 2
    assert said in err
    assert not (tmp_path / "o").exists()


def test_show_opens_the_page(run, drive, tmp_path, monkeypatch):
    seen = {}

    def look(address):
        def visit():
            seen["page"] = urllib.request.urlopen(address).read()
            seen["scan"] = urllib.request.urlopen(f"{address}scan/0").read()
            seen["server"].shutdown()

        threading.Thread(target=visit).start()

    import lidarpan.viewer.server as server

    make = server.make_viewer_server

    def made(*args, **kwargs):
        seen["server"] = make(*args, **kwargs)
        return seen["server"]

    monkeypatch.setattr("webbrowser.open", look)
    monkeypatch.setattr(server, "make_viewer_server", made)
    out, _ = predict(run, drive / "0.bin", "--out", tmp_path, "--format", "npz", "--show")
    assert "1 scans: http://127.0.0.1:" in out
    assert b'"hasScores": true' in seen["page"]
    assert len(seen["scan"]) > 1000
