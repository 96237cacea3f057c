"""Predictions that carry scores: scored as the benchmark's files are, and calibrated."""

import json
import sys

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.cli import main
from lidarpan.datasets.kitti_labels import write_label
from lidarpan.datasets.label_files import read_scored
from lidarpan.datasets.predictions import prediction_path, write_prediction
from lidarpan.evaluation import evaluate_folder
from lidarpan.evaluation.calibration import calibration_json, evaluate_calibration
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.synthetic.nuscenes_writer import write_nuscenes

KITTI = load_class_table("semantickitti")
NUSCENES = load_class_table("nuscenes")
CAR, ROAD = KITTI.id_of("car"), KITTI.id_of("road")


class Loaded:
    """A scan file of N usable points."""

    def __init__(self, num_points):
        self.scan = Scan(np.zeros((num_points, 3), np.float32), np.zeros(num_points, np.float32))
        self.num_file_points = num_points
        self.valid = np.ones(num_points, np.bool_)


def labels(runs, score):
    """Labels of runs (class, instance, points)."""
    sizes = [size for _, _, size in runs]
    semantic = np.repeat([c for c, _, _ in runs], sizes).astype(np.uint8)
    instance = np.repeat([i for _, i, _ in runs], sizes).astype(np.int32)
    return PanopticLabels(semantic, instance, np.array(score, np.float32))


TRUTH = [(CAR, 1, 60), (CAR, 2, 60), (ROAD, 0, 300)]
GUESS = [(CAR, 2, 60), (ROAD, 0, 60), (CAR, 1, 60), (ROAD, 0, 240)]  # one right, one invented
SCORE = [0.0, 0.3, 0.85]


@pytest.fixture
def kitti(tmp_path):
    """Two scans, and predictions in both formats."""
    folder = tmp_path / "data/sequences/08"
    for name in ("000000", "000001"):
        scan = folder / f"velodyne/{name}.bin"
        scan.parent.mkdir(parents=True, exist_ok=True)
        np.zeros((420, 4), np.float32).tofile(scan)
        truth = labels(TRUTH, [])
        raw = KITTI.to_raw(truth.semantic).astype(np.uint32)
        write_label(folder / f"labels/{name}.label", raw | truth.instance.astype(np.uint32) << 16)
        for kind in ("npz", "semantickitti"):
            path = prediction_path(tmp_path / kind, scan, kind)
            write_prediction(path, labels(GUESS, SCORE), Loaded(420), KITTI, kind)
    return tmp_path


def evaluate(root, kind, **options):
    return evaluate_folder("semantickitti", root / "data", root / kind, "valid", **options)


@pytest.mark.parametrize("protocol", ["official", "upper16", "present"])
def test_predictions_with_scores_count_as_the_benchmarks_files(kitti, protocol):
    scored = evaluate(kitti, "npz", protocol=protocol)
    plain = evaluate(kitti, "semantickitti", protocol=protocol)
    assert scored.scores.pq == plain.scores.pq > 0
    assert [scan.worst for scan in scored.scans] == [scan.worst for scan in plain.scans]


def test_calibration_of_a_folder(kitti):
    result = evaluate_calibration(evaluate(kitti, "npz"))
    assert result.class_count[CAR] == result.class_count.sum() == 4
    assert result.ece == pytest.approx((0.15 + 0.3) / 2)
    assert result.ece_iou == pytest.approx(0.15)
    assert result.bin_count.tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 2, 0]
    plain = calibration_json(result, KITTI)
    assert plain["classes"]["car"] == {
        "ece": pytest.approx(0.225),
        "ece_iou": pytest.approx(0.15),
        "instances": 4,
    }
    assert plain["classes"]["bicycle"] == {"ece": None, "ece_iou": None, "instances": 0}
    assert plain["bins"][8]["precision"] == 1.0
    small = evaluate_calibration(evaluate(kitti, "npz", min_points=61))
    assert small.class_count[CAR] == 2  # what is invented is too small to count


def test_on_the_command_line(kitti, monkeypatch, capsys):
    words = ("evaluate", "semantickitti", "--data", kitti / "data", "--split", "valid")
    words += ("--calibration", "--tracking", "--json", kitti / "scores.json", "--predictions")
    monkeypatch.setattr(sys, "argv", ["lidarpan", *map(str, words), str(kitti / "npz")])
    main_code(0)
    printed = capsys.readouterr().out
    assert "Calibration of instances" in printed
    assert "0.2250" in printed
    assert "rules of 4D-PLS" in printed
    result = json.loads((kitti / "scores.json").read_text())
    assert result["calibration"]["ece"] == pytest.approx(0.225)
    assert result["tracking"]["rules"] == "nuscenes-devkit"
    assert result["tracking_4d"]["rules"] == "4D-PLS"
    monkeypatch.setattr(sys, "argv", ["lidarpan", *map(str, words), str(kitti / "semantickitti")])
    main_code(2)
    error = capsys.readouterr().err
    assert error.count("000000.label: it carries no scores") == 1
    assert error.count("000001.label: it carries no scores") == 1
    assert "lidarpan predict --format npz" in error


def main_code(wanted):
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    assert code == wanted


def change(root, **arrays):
    """Write other arrays into the first prediction."""
    file = root / "npz/sequences/08/predictions/000000.npz"
    with np.load(file) as archive:
        content = dict(archive) | arrays
    np.savez(file, **{name: array for name, array in content.items() if array is not None})
    return file


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"score": np.array([0, 0.5])}, r"a score in \[0, 1\] for each instance id 0\.\.2, got 2"),
        ({"score": np.array([0, 0.5, 1.5])}, r"score in \[0, 1\].* got 3 from 0.0 to 1.5"),
        ({"score": np.array([0, 0.5, np.nan])}, "from nan to nan"),
        ({"score": None}, "wanted arrays semantic, instance, score"),
        ({"dataset": np.array("nuscenes")}, "wanted semantickitti classes, got nuscenes"),
        ({"dataset": np.array("town")}, "town"),
        ({"semantic": np.full(420, 99)}, r"wanted whole numbers 0\.\.19, got 99"),
        ({"semantic": np.zeros(3, int), "instance": np.zeros(3, int)}, "wanted 420 labels"),
        ({"instance": np.full(420, -1)}, r"instance ids: wanted whole numbers 0\.\.\d+, got -1"),
        ({"instance": np.zeros(420)}, r"instance: wanted a whole number each, got \(420,\) float"),
        ({"score": np.zeros((3, 1))}, r"score: wanted a number each, got \(3, 1\)"),
    ],
)
def test_files_that_are_not_so_are_named(kitti, arrays, message):
    file = change(kitti, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        evaluate(kitti, "npz")
    assert str(file) in str(caught.value)


def test_without_scores_there_is_no_calibration(kitti):
    change(kitti, score=np.zeros(0, np.float32))
    evaluation = evaluate(kitti, "npz")
    with pytest.raises(InputError, match=r"000000.npz: it carries no scores"):
        evaluate_calibration(evaluation)


def test_missing_and_left_over_files_are_named(kitti):
    folder = kitti / "npz/sequences/08/predictions"
    (folder / "000000.npz").rename(folder / "000007.npz")
    with pytest.raises(InputError) as caught:
        evaluate(kitti, "npz")
    assert "000000.npz: no such file" in str(caught.value)
    assert "000007.npz: no scan of the split has this name" in str(caught.value)


def test_a_file_that_is_not_there():
    with pytest.raises(InputError, match="no such label file"):
        read_scored("absent.npz")


# --- nuScenes --------------------------------------------------------------------------------


class Labelled:
    """A simulated scan: a car of 40 points, and a road."""

    boxes = ()

    def __init__(self, time_s):
        points = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
        nothing = np.zeros(200, np.float32)
        ring = np.zeros(200, np.int32)
        self.scan = Scan(points, nothing, ring=ring, world_T_sensor=np.eye(4))
        self.instance = np.repeat([1, 0], [40, 160]).astype(np.int32)
        self.time_s = time_s

    def raw(self, dataset):
        return np.repeat([17, 24], [40, 160]).astype(np.int32)


@pytest.fixture
def nuscenes(tmp_path):
    names = ("scene-0103", "scene-0916", "scene-0061")  # the last is of another split
    list(write_nuscenes(tmp_path / "data", {n: [Labelled(0.0)] for n in names}.items()))
    return tmp_path


@pytest.mark.parametrize("classes", [NUSCENES, KITTI])
def test_nuscenes_predictions_are_found_by_the_scans_name(nuscenes, classes):
    car, road = classes.id_of("car"), 11 if classes is NUSCENES else ROAD
    for scan in sorted((nuscenes / "data/samples/LIDAR_TOP").iterdir()):
        guess = labels([(car, 2, 30), (road, 0, 170)], [0.0, 0.0, 0.75])
        path = prediction_path(nuscenes / "npz", scan, "npz")
        write_prediction(path, guess, Loaded(200), classes, "npz")
    found = ("nuscenes", nuscenes / "data", nuscenes / "npz", "mini_val")
    evaluation = evaluate_folder(*found)
    assert len(evaluation.scans) == 2
    assert evaluation.scores.class_pq[4] == pytest.approx(0.75)
    result = evaluate_calibration(evaluation)
    assert result.class_ece[4] == pytest.approx(0.25)
    assert result.class_ece_iou[4] == pytest.approx(0.0)
    (nuscenes / "npz/stray.npz").touch()
    with pytest.raises(InputError, match=r"stray.npz: no scan of the split has this name"):
        evaluate_folder(*found)
