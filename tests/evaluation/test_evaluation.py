"""Folders of predictions scored as the official scripts do, per scan, and every fault named."""

import contextlib
import csv
import io
import json
import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from rich.console import Console

from lidarpan.classes import load_class_table
from lidarpan.datasets.kitti_labels import read_label, write_label
from lidarpan.datasets.nuscenes_labels import write_panoptic
from lidarpan.evaluation import evaluate_folder, format_table, write_csv, write_json
from lidarpan.evaluation.tracking import (
    evaluate_lstq,
    evaluate_tracking,
    format_lstq,
    lstq_json,
    tracking_json,
)
from lidarpan.structures import InputError, Scan
from lidarpan.synthetic.nuscenes_writer import write_nuscenes

KITTI = load_class_table("semantickitti")
NUSCENES = load_class_table("nuscenes")


# --- SemanticKITTI ---------------------------------------------------------------------------


def kitti_pair(rng, num_points=1500):
    """Packed truth with moving cars and lane marking, and a prediction with every kind of error."""
    raw = np.array([0, 10, 252, 30, 40, 60, 48, 50, 70, 81, 1])
    position = np.sort(rng.integers(0, 40, num_points))
    truth = raw[rng.integers(0, len(raw), 40)][position]
    is_thing = np.isin(truth, (10, 252, 30))
    instance = np.where(is_thing, position % 9 * 700 + 1, 0)
    guess = KITTI.to_raw(KITTI.to_train(truth))
    own = np.where(is_thing, position % 9 + 1, 0)
    wrong = rng.random(num_points) < 0.25
    guess[wrong] = rng.choice([10, 40, 50, 30, 0], wrong.sum())
    own[rng.random(num_points) < 0.05] = 3
    pack = [(s | (i << 16)).astype(np.uint32) for s, i in ((truth, instance), (guess, own))]
    return pack[0], pack[1]


@pytest.fixture
def kitti(tmp_path):
    """A tree with sequences 00, 01 and 08 of two scans, and predictions."""
    rng = np.random.default_rng(0)
    for sequence in ("00", "01", "08"):
        for name in ("000000.label", "000010.label"):
            truth, guess = kitti_pair(rng)
            write_label(tmp_path / "data/sequences" / sequence / "labels" / name, truth)
            write_label(tmp_path / "pred/sequences" / sequence / "predictions" / name, guess)
    return tmp_path


def evaluate(tmp_path, split="train", **options):
    return evaluate_folder("semantickitti", tmp_path / "data", tmp_path / "pred", split, **options)


def official_kitti(tmp_path, sequences, min_points=50):
    """What evaluate_panoptic.py does, around the official evaluator class."""
    module = pytest.importorskip(
        "auxiliary.eval_np",
        reason="the official evaluator is not installed: pip install --no-deps semantic-kitti-api",
    )
    with contextlib.redirect_stdout(io.StringIO()):
        official = module.PanopticEval(20, None, [0], min_points=min_points)
    for sequence in sequences:
        for truth in sorted((tmp_path / "data/sequences" / sequence / "labels").iterdir()):
            packed = np.fromfile(truth, np.uint32)
            file = tmp_path / "pred/sequences" / sequence / "predictions" / truth.name
            guess = np.fromfile(file, np.uint32)
            official.addBatch(
                KITTI.raw_to_train[guess & 0xFFFF].astype(np.int32),
                guess,
                KITTI.raw_to_train[packed & 0xFFFF].astype(np.int32),
                packed,
            )
    return official


@pytest.mark.parametrize(("split", "sequences"), [("train", ("00", "01")), ("valid", ("08",))])
@pytest.mark.parametrize("min_points", [50, 20])
def test_semantickitti_equals_the_official_script(kitti, split, sequences, min_points):
    official = official_kitti(kitti, sequences, min_points)
    pq, sq, rq, class_pq, class_sq, class_rq = official.getPQ()
    miou, class_iou = official.getSemIoU()
    asked = None if min_points == 50 else min_points
    evaluation = evaluate(kitti, split, min_points=asked)
    ours = evaluation.scores
    theirs = pytest.approx((pq, sq, rq, miou), abs=1e-9)
    assert (ours.pq, ours.sq, ours.rq, ours.miou) == theirs
    np.testing.assert_allclose(ours.class_pq, class_pq, atol=1e-9)
    np.testing.assert_allclose(ours.class_sq, class_sq, atol=1e-9)
    np.testing.assert_allclose(ours.class_rq, class_rq, atol=1e-9)
    np.testing.assert_allclose(ours.class_iou, class_iou, atol=1e-9)
    things, stuff = list(KITTI.things), list(KITTI.stuff)
    dagger = np.mean([*class_pq[things], *class_iou[stuff]])
    assert ours.pq_dagger == pytest.approx(dagger, abs=1e-9)
    assert ours.pq_things == pytest.approx(class_pq[things].mean(), abs=1e-9)
    assert ours.rq_stuff == pytest.approx(class_rq[stuff].mean(), abs=1e-9)
    assert evaluation.protocol.min_points == min_points
    assert 0.1 < ours.pq < 0.9
    assert ours.fp.sum() > 0
    assert ours.fn.sum() > 0


def test_each_row_is_the_official_score_of_that_scan(kitti):
    evaluation = evaluate(kitti, "valid")
    assert [scan.files.name for scan in evaluation.scans] == ["08/000000", "08/000010"]
    for scan in evaluation.scans:
        only = kitti / "only"
        truth = only / "data/sequences/08/labels" / scan.files.truth.name
        guess = only / "pred/sequences/08/predictions" / scan.files.truth.name
        write_label(truth, read_label(scan.files.truth))
        write_label(guess, read_label(scan.files.prediction))
        official = official_kitti(only, ("08",))
        assert scan.scores.pq == pytest.approx(official.getPQ()[0], abs=1e-9)
        assert scan.scores.miou == pytest.approx(official.getSemIoU()[0], abs=1e-9)
        np.testing.assert_array_equal(scan.counts[:, 2], official.pan_fn)
        _, false_positive, missed = official.getSemIoUStats()
        inside = slice(1, None)
        guessed = (scan.counts[:, 5] - scan.counts[:, 4])[inside]
        np.testing.assert_array_equal(guessed, false_positive[inside])
        actual = (scan.counts[:, 6] - scan.counts[:, 4])[inside]
        np.testing.assert_array_equal(actual, missed[inside])
        shutil.rmtree(only)


@pytest.mark.parametrize(
    ("split", "golden"),
    [
        (
            "train",
            (
                0.6399603819747343,
                0.7120260412514128,
                0.5751886402601925,
                0.42771385026074515,
                0.5384615384615384,
                0.15269342258067464,
                0.3072692492214675,
            ),
        ),
        (
            "valid",
            (
                0.5821480946113963,
                0.60343616432453,
                0.5616110271399306,
                0.3954709554654815,
                0.6,
                0.13976625132811746,
                0.3067962005904095,
            ),
        ),
    ],
)
def test_lstq_equals_4d_pls(kitti, split, golden):
    """Golden numbers: what 4D-PLS' evaluate_4dpanoptic.py prints for this very tree."""
    evaluation = evaluate(kitti, split)
    scores = evaluate_lstq(evaluation)
    names = ("lstq", "s_assoc", "s_cls", "assoc_precision", "assoc_recall")
    names += ("iou_things", "iou_stuff")
    assert [getattr(scores, name) for name in names] == pytest.approx(golden, abs=1e-9)
    plain = lstq_json(scores, KITTI)
    assert plain["rules"] == "4D-PLS"
    assert plain["lstq"] == scores.lstq
    assert plain["classes"]["car"]["tubes"] == scores.num_tubes[1] > 0
    console = Console(file=io.StringIO(), width=80)
    console.print(format_lstq(scores))
    assert f"{golden[0]:.4f}" in console.file.getvalue()
    upper16 = evaluate(kitti, split, protocol="upper16")
    assert evaluate_lstq(upper16).lstq == scores.lstq


def test_instance_ids_from_32768_on_which_the_official_script_cannot_score(kitti):
    file = kitti / "data/sequences/08/labels/000000.label"
    packed = read_label(file)
    before = evaluate(kitti, "valid").scores
    high = np.where(packed >> 16 > 0, packed | np.uint32(0x8000_0000), packed)
    write_label(file, high)
    assert (high >> 16).max() > 32768
    after = evaluate(kitti, "valid").scores
    assert after.pq == pytest.approx(before.pq, abs=1e-12)
    np.testing.assert_array_equal(after.fn, before.fn)


def test_protocols_are_named_and_differ(kitti):
    for sequence in ("00", "01", "08"):
        for file in (kitti / "data/sequences" / sequence / "labels").iterdir():
            mapped = read_label(file)
            guess = kitti / "pred/sequences" / sequence / "predictions" / file.name
            raw = KITTI.to_raw(KITTI.to_train((mapped & 0xFFFF).astype(int))).astype(np.uint32)
            write_label(guess, raw | (mapped & np.uint32(0xFFFF0000)))
    official = evaluate(kitti).scores
    upper = evaluate(kitti, protocol="upper16").scores
    present = evaluate(kitti, protocol="present").scores
    road = KITTI.id_of("road")
    assert official.class_pq[road] < 1.0  # lane marking is a segment apart from the road
    assert upper.class_pq[road] == 1.0
    assert present.miou == 1.0 > official.miou  # absent classes count as zero
    np.testing.assert_array_equal(present.class_pq, official.class_pq)
    with pytest.raises(InputError, match="no protocol 'mine': wanted official, upper16, present"):
        evaluate(kitti, protocol="mine")


def test_number_of_threads_does_not_change_a_bit(kitti):
    one, four = evaluate(kitti, num_threads=1), evaluate(kitti, num_threads=4)
    assert one.scores.pq == four.scores.pq
    assert [s.files.name for s in one.scans] == [s.files.name for s in four.scans]


# --- nuScenes --------------------------------------------------------------------------------


@dataclass
class Labelled:
    scan: Scan
    instance: np.ndarray
    time_s: float
    boxes: tuple
    raw_label: np.ndarray

    def raw(self, dataset):
        return self.raw_label


def nuscenes_scan(rng, time_s, num_points=900):
    general = np.array([0, 17, 4, 9, 24, 26, 28, 30, 14, 31])
    position = np.sort(rng.integers(0, 30, num_points))
    raw = general[rng.integers(0, len(general), 30)][position]
    is_thing = np.isin(raw, (17, 4, 9, 14))
    points = rng.normal(size=(num_points, 3)).astype(np.float32) * 10
    scan = Scan(
        points,
        np.zeros(num_points, np.float32),
        ring=np.zeros(num_points, np.int32),
        world_T_sensor=np.eye(4),
    )
    instance = np.where(is_thing, position + 1, 0).astype(np.int32)
    return Labelled(scan, instance, time_s, (), raw.astype(np.int32))


@pytest.fixture(scope="module")
def nuscenes(tmp_path_factory):
    """All of mini_val with two scans a scene, and predictions."""
    root = tmp_path_factory.mktemp("nuscenes")
    rng = np.random.default_rng(4)
    scenes = {
        name: [nuscenes_scan(rng, 0.5 * k) for k in range(2)]
        for name in ("scene-0103", "scene-0916")
    }
    list(write_nuscenes(root / "data", scenes.items()))
    for file in sorted((root / "data/panoptic/v1.0-mini").iterdir()):
        with np.load(file) as archive:
            packed = archive["data"].astype(np.int64)
        challenge = NUSCENES.to_train(packed // 1000).astype(np.int64)
        guess = 1000 * challenge + np.where(NUSCENES.is_thing[challenge], packed % 1000, 0)
        wrong = rng.random(len(guess)) < 0.25
        guess[wrong] = rng.choice([4001, 7002, 11000, 16000, 0], wrong.sum())
        write_panoptic(root / "pred/panoptic/mini_val" / file.name, guess.astype(np.uint16))
    return root


def test_nuscenes_equals_the_devkit(nuscenes, tmp_path):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes import NuScenes
    from nuscenes.eval.panoptic.evaluate import NuScenesPanopticEval

    devkit = NuScenes("v1.0-mini", str(nuscenes / "data"), verbose=False)
    pred, out = str(nuscenes / "pred"), str(tmp_path)
    NuScenesPanopticEval(devkit, pred, "mini_val", "segmentation", 15, out_dir=out).evaluate()
    official = json.loads((tmp_path / "segmentation-result.json").read_text())["segmentation"]
    evaluation = evaluate_folder("nuscenes", nuscenes / "data", nuscenes / "pred", "mini_val")
    ours = evaluation.scores
    assert evaluation.protocol.min_points == 15
    theirs = [official["all"][key] for key in ("PQ", "SQ", "RQ", "mIoU", "PQ_dagger")]
    mine = [ours.pq, ours.sq, ours.rq, ours.miou, ours.pq_dagger]
    assert mine == pytest.approx(theirs, abs=1e-9)
    for c, name in enumerate(NUSCENES.names[1:], start=1):
        values = [ours.class_pq[c], ours.class_sq[c], ours.class_rq[c], ours.class_iou[c]]
        wanted = [official[name][key] for key in ("PQ", "SQ", "RQ", "IoU")]
        assert values == pytest.approx(wanted, abs=1e-9), name
    assert 0.05 < ours.pq < 0.9


def test_nuscenes_tracking_equals_the_devkit(nuscenes, tmp_path):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes import NuScenes
    from nuscenes.eval.panoptic.evaluate import NuScenesPanopticEval

    devkit = NuScenes("v1.0-mini", str(nuscenes / "data"), verbose=False)
    pred, out = str(nuscenes / "pred"), str(tmp_path)
    NuScenesPanopticEval(devkit, pred, "mini_val", "tracking", 15, out_dir=out).evaluate()
    official = json.loads((tmp_path / "tracking-result.json").read_text())["tracking"]
    evaluation = evaluate_folder("nuscenes", nuscenes / "data", nuscenes / "pred", "mini_val")
    ours = tracking_json(evaluate_tracking(evaluation), NUSCENES)
    keys = ("PAT", "PQ", "TQ", "PTQ", "sPTQ", "LSTQ", "mIoU", "S_assoc", "MOTSA", "sMOTSA", "MOTSP")
    names = (
        "pat",
        "pq",
        "tq",
        "ptq",
        "sptq",
        "lstq",
        "s_cls",
        "s_assoc",
        "motsa",
        "smotsa",
        "motsp",
    )
    theirs = [official["all"][key] for key in keys]
    assert [ours[name] for name in names] == pytest.approx(theirs, abs=1e-6)  # it sums float32
    for name in NUSCENES.names[1:]:
        values = [ours["classes"][name][score] for score in ("ptq", "sptq")]
        assert values == pytest.approx([official[name]["PTQ"], official[name]["sPTQ"]], abs=1e-6)
    assert 0 < ours["tq"] < 1
    assert 0 <= ours["idf1"] <= 1


def test_nuscenes_predictions_count_in_challenge_classes(nuscenes, tmp_path):
    shutil.copytree(nuscenes / "pred", tmp_path / "pred")
    file = sorted((tmp_path / "pred/panoptic/mini_val").iterdir())[0]
    write_panoptic(file, np.full(900, 24_000, np.uint16))
    with pytest.raises(InputError, match=r"wanted challenge classes 0\.\.16, got 24"):
        evaluate_folder("nuscenes", nuscenes / "data", tmp_path / "pred", "mini_val")


# --- reports ---------------------------------------------------------------------------------


def test_json_has_the_scores_and_the_counts_of_each_scan(kitti):
    evaluation = evaluate(kitti)
    write_json(evaluation, kitti / "out/scores.json")
    result = json.loads((kitti / "out/scores.json").read_text())
    assert {"dataset", "split", "num_scans", "protocol", "pq", "sq", "rq", "pq_dagger", "miou"} | {
        f"{score}_{part}" for score in ("pq", "sq", "rq") for part in ("things", "stuff")
    } | {"classes"} <= set(result)
    assert (result["dataset"], result["split"], result["num_scans"]) == (
        "semantickitti",
        "train",
        4,
    )
    assert result["protocol"]["min_points"] == 50
    assert result["pq"] == evaluation.scores.pq
    assert set(result["classes"]) == set(KITTI.names[1:])
    car = result["classes"]["car"]
    assert set(car) == {"pq", "sq", "rq", "iou", "tp", "fp", "fn"}
    assert car["iou"] == evaluation.scores.class_iou[1]
    summed = sum(scan["car"][0] for scan in result["scans"].values() if "car" in scan)
    assert summed == car["tp"]
    assert list(result["scans"]) == ["00/000000", "00/000010", "01/000000", "01/000010"]
    assert not list((kitti / "out").glob("*.part"))


def test_means_over_no_class_are_null(kitti):
    for file in (kitti / "data/sequences/08/labels").iterdir():
        write_label(file, np.full(1500, 40, np.uint32))
    write_json(evaluate(kitti, "valid", protocol="present"), kitti / "scores.json")
    assert json.loads((kitti / "scores.json").read_text())["pq_things"] is None


def worst_case(tmp_path, truth, guess, positions=None):
    write_label(tmp_path / "data/sequences/08/labels/000000.label", np.array(truth, np.uint32))
    write_label(tmp_path / "pred/sequences/08/predictions/000000.label", np.array(guess, np.uint32))
    if positions is not None:
        rows = np.zeros((len(truth), 4), np.float32)
        rows[:, :2] = positions
        file = tmp_path / "data/sequences/08/velodyne/000000.bin"
        file.parent.mkdir(parents=True)
        rows.tofile(file)
    evaluation = evaluate(tmp_path, "valid")
    write_csv(evaluation, tmp_path / "scans.csv")
    with (tmp_path / "scans.csv").open() as stream:
        return next(csv.DictReader(stream))


def test_worst_error_in_words_with_its_distance(tmp_path):
    car = 10 | (12 << 16)
    positions = np.concatenate([np.full((214, 2), (18.6, 24.8)), np.full((60, 2), (3.0, 4.0))])
    row = worst_case(tmp_path, [car] * 214 + [70] * 60, [50] * 214 + [70] * 60, positions)
    assert row["worst_error"] == "car 12 missed, 214 points, at 31 m"
    assert (row["name"], row["num_points"]) == ("08/000000", "274")
    assert (row["tp"], row["fp"], row["fn"]) == ("1", "1", "1")


def test_worst_error_without_the_scan_file_and_of_void_truth(tmp_path):
    person = 30 | (7 << 16)
    row = worst_case(tmp_path, [0] * 90 + [40] * 80, [person] * 170)
    assert row["worst_error"] == "road missed, 80 points"
    row = worst_case(
        tmp_path, [0] * 90 + [40] * 80 + [70] * 90, [40] * 90 + [person] * 80 + [40] * 90
    )
    assert row["worst_error"] == "vegetation missed, 90 points"


def test_no_error_is_said_so(tmp_path):
    assert worst_case(tmp_path, [40] * 80, [40] * 80)["worst_error"] == "none"


def test_table_shows_scores_protocol_and_worst_scans(kitti):
    stream = io.StringIO()
    evaluation = evaluate(kitti)
    Console(file=stream, width=100).print(format_table(evaluation))
    text = stream.getvalue()
    assert "protocol official, min_points 50" in text.replace("\n", " ")
    assert f"{evaluation.scores.pq:.4f}" in text
    assert "01/000010" in text
    assert "bicycle" in text
    assert f"{evaluation.scores.accuracy:.4f}" in text


# --- faults ----------------------------------------------------------------------------------


def test_missing_and_extra_predictions_are_all_named(kitti):
    folder = kitti / "pred/sequences"
    (folder / "00/predictions/000000.label").rename(folder / "00/predictions/000001.label")
    shutil.rmtree(folder / "01")
    with pytest.raises(InputError) as caught:
        evaluate(kitti)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 faults, wanted 4 predictions, one per scan:"
    assert lines[1].endswith("01/predictions: wanted predictions, found none")
    assert lines[2].endswith("00/predictions/000000.label: no such file")
    assert lines[3].endswith("00/predictions/000001.label: no scan of the split has this name")


def test_damaged_files_are_all_named(kitti):
    folder = kitti / "pred/sequences"
    short = folder / "00/predictions/000000.label"
    write_label(short, read_label(short)[:-1])
    cut = folder / "00/predictions/000010.label"
    cut.write_bytes(cut.read_bytes()[:-1])
    unknown = folder / "01/predictions/000000.label"
    write_label(unknown, np.full(1500, 77, np.uint32))
    with pytest.raises(InputError) as caught:
        evaluate(kitti)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("3 faults")
    assert "wanted 1500 labels" in lines[1]
    assert "got 1499" in lines[1]
    assert "cut off" in lines[2]
    assert "labels [77] are not semantickitti raw labels" in lines[3]


def test_folders_that_are_not_there(kitti):
    shutil.rmtree(kitti / "data/sequences/08")
    with pytest.raises(InputError, match=r"sequences 08.*got sequences 00"):
        evaluate(kitti, "valid")
    with pytest.raises(InputError, match="no split 'val' of SemanticKITTI: wanted train, valid"):
        evaluate(kitti, "val")
    with pytest.raises(InputError, match="nowhere: wanted a folder of predictions"):
        evaluate_folder("semantickitti", kitti / "data", kitti / "nowhere", "train")
    with pytest.raises(InputError, match="wanted sequences/NN/predictions"):
        evaluate_folder("semantickitti", kitti / "data", kitti / "data/sequences/00", "train")
    with pytest.raises(InputError, match="no dataset 'lyft'"):
        evaluate_folder("lyft", kitti / "data", kitti / "pred", "train")


def test_real_scans_of_a_network_without_instances(real_data):
    evaluation = evaluate_folder(
        "semantickitti",
        real_data / "semantickitti",
        real_data / "semantickitti_network_semantics",
        "train",
    )
    assert evaluation.scores.accuracy == pytest.approx(0.9638, abs=1e-3)
    assert evaluation.scores.class_pq[KITTI.id_of("car")] == 0.0  # all cars are one segment
