"""Two runs compared on the same scans: intervals, verdict, scans, and what is refused."""

import io
import json
import sys

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.cli import main
from lidarpan.datasets.kitti_labels import write_label
from lidarpan.evaluation import evaluate_folder, write_json
from lidarpan.evaluation.compare import compare_files, format_comparison
from lidarpan.structures import InputError

KITTI = load_class_table("semantickitti")
NUM_SCANS = 12


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Scores of three runs of rising error over the same scans: good, fair and poor."""
    root = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    for i in range(NUM_SCANS):
        position = np.sort(rng.integers(0, 30, 2000))
        raw = np.array([10, 40, 50, 70, 30])[rng.integers(0, 5, 30)][position]
        instance = np.where(np.isin(raw, (10, 30)), position + 1, 0)
        write_label(root / f"data/sequences/08/labels/{i:06d}.label", pack(raw, instance))
        for run, share in (("good", 0.05), ("fair", 0.15), ("poor", 0.4)):
            guess = raw.copy()
            wrong = rng.random(2000) < share * rng.uniform(0.5, 1.5)
            guess[wrong] = rng.choice([10, 40, 50, 70], wrong.sum())
            file = root / f"{run}/sequences/08/predictions/{i:06d}.label"
            write_label(file, pack(guess, np.where(np.isin(guess, (10, 30)), instance, 0)))
    for run in ("good", "fair", "poor"):
        evaluation = evaluate_folder("semantickitti", root / "data", root / run, "valid")
        write_json(evaluation, root / f"{run}.json")
    return root


def pack(raw, instance):
    return (raw | (instance << 16)).astype(np.uint32)


def changed(runs, tmp_path, change):
    result = json.loads((runs / "fair.json").read_text())
    change(result)
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(result))
    return file


def test_scores_are_those_of_the_files(runs):
    comparison = compare_files(runs / "fair.json", runs / "good.json")
    written = [json.loads((runs / f"{run}.json").read_text()) for run in ("fair", "good")]
    by_name = {score.name: score for score in comparison.differences}
    for name, key in (("PQ", "pq"), ("mIoU", "miou")):
        assert (by_name[name].a, by_name[name].b) == pytest.approx(
            [run[key] for run in written], abs=1e-12
        )
    for name, key in (("PQ of car", "pq"), ("IoU of road", "iou")):
        wanted = [run["classes"][name.split(" of ")[1]][key] for run in written]
        assert (by_name[name].a, by_name[name].b) == pytest.approx(wanted, abs=1e-12)
    assert "PQ of bicycle" not in by_name  # in neither run
    assert comparison.num_scans == NUM_SCANS


def test_a_clear_change_is_sure_and_has_a_direction(runs):
    better = compare_files(runs / "poor.json", runs / "good.json")
    worse = compare_files(runs / "good.json", runs / "poor.json")
    assert not better.is_worse
    assert worse.is_worse
    for score in better.differences[:2]:
        assert 0 < score.low <= score.change <= score.high
        assert score.is_sure
    assert worse.differences[0].high < 0
    assert all(change > 0 for _, change in better.scans)


def test_a_run_is_not_worse_than_itself(runs):
    same = compare_files(runs / "fair.json", runs / "fair.json")
    assert not same.is_worse
    assert {(s.change, s.low, s.high, s.is_sure) for s in same.differences} == {(0, 0, 0, False)}


def test_tolerance_is_the_drop_that_is_accepted(runs):
    drop = -compare_files(runs / "good.json", runs / "fair.json").differences[0].change
    drop_miou = -compare_files(runs / "good.json", runs / "fair.json").differences[1].change
    largest = max(drop, drop_miou)
    assert largest > 0
    good, fair = runs / "good.json", runs / "fair.json"
    assert compare_files(good, fair, tolerance=largest * 0.99).is_worse
    assert not compare_files(good, fair, tolerance=largest * 1.01).is_worse


def test_intervals_are_those_of_an_obvious_bootstrap(runs):
    comparison = compare_files(runs / "fair.json", runs / "good.json", num_samples=4000)
    files = [json.loads((runs / f"{run}.json").read_text()) for run in ("fair", "good")]
    tables = [
        np.array([[scan.get(name, [0] * 7)[:4] for name in KITTI.names[1:]] for scan in scans])
        for scans in (list(run["scans"].values()) for run in files)
    ]
    rng = np.random.default_rng(9)
    changes = []
    for _ in range(800):
        drawn = rng.integers(0, NUM_SCANS, NUM_SCANS)
        pq = []
        for table in tables:
            tp, fp, fn, iou_sum = table[drawn].sum(axis=0).T
            errors = tp + 0.5 * fp + 0.5 * fn
            pq.append(np.mean([q / n if n else 0.0 for q, n in zip(iou_sum, errors, strict=True)]))
        changes.append(pq[1] - pq[0])
    low, high = np.percentile(changes, [2.5, 97.5])
    width = high - low
    assert comparison.differences[0].low == pytest.approx(low, abs=0.15 * width)
    assert comparison.differences[0].high == pytest.approx(high, abs=0.15 * width)


def test_same_seed_same_interval(runs):
    first = compare_files(runs / "fair.json", runs / "good.json", seed=3)
    assert first == compare_files(runs / "fair.json", runs / "good.json", seed=3)
    assert first != compare_files(runs / "fair.json", runs / "good.json", seed=4)


def test_scans_are_listed_from_worse_to_better(runs, tmp_path):
    def spoil(result):
        result["scans"]["08/000004"]["road"] = [0, 9, 9, 0.0, 0, 500, 500]

    comparison = compare_files(runs / "fair.json", changed(runs, tmp_path, spoil))
    assert comparison.scans[0][0] == "08/000004"
    assert comparison.scans[0][1] < 0
    assert {change for _, change in comparison.scans[1:]} == {0.0}


def test_table_says_what_changed_and_the_verdict(runs):
    from rich.console import Console

    stream = io.StringIO()
    comparison = compare_files(runs / "good.json", runs / "poor.json", tolerance=0.01)
    Console(file=stream, width=120).print(format_comparison(comparison))
    assert "B is worse than A (tolerance 0.01)" in stream.getvalue()
    assert comparison.scans[0][0] in stream.getvalue()


def test_runs_that_cannot_be_compared(runs, tmp_path):
    fair = runs / "fair.json"
    with pytest.raises(InputError, match="no such file"):
        compare_files(fair, tmp_path / "none.json")
    (tmp_path / "text.json").write_text("PQ 0.5")
    with pytest.raises(InputError, match="wanted JSON"):
        compare_files(fair, tmp_path / "text.json")
    with pytest.raises(InputError, match="got none of scans"):
        compare_files(fair, changed(runs, tmp_path, lambda result: result.pop("scans")))
    with pytest.raises(InputError, match="1 scans are in one alone: 08/000003"):
        compare_files(
            fair, changed(runs, tmp_path, lambda result: result["scans"].pop("08/000003"))
        )
    with pytest.raises(InputError, match=r"one protocol, got min_points \d+ and min_points 15: "):
        compare_files(fair, changed(runs, tmp_path, lambda r: r["protocol"].update(min_points=15)))
    with pytest.raises(InputError, match="tolerance"):
        compare_files(fair, fair, tolerance=-0.1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("good.json", "fair.json"), 1, "B is worse than A"),
        (("fair.json", "good.json"), 0, "B is not worse than A"),
        (("good.json", "fair.json", "--tolerance", "1"), 0, "B is not worse than A"),
        (("good.json", "absent.json"), 2, "absent.json: no such file"),
        (("good.json", "fair.json", "--tolerance", "-1"), 2, "--tolerance"),
    ],
)
def test_the_exit_code_is_the_verdict(runs, monkeypatch, capsys, words, code, said):
    files = [str(runs / word) if word.endswith(".json") else word for word in words]
    monkeypatch.setattr(sys, "argv", ["lidarpan", "compare", *files])
    got = 0
    try:
        main()
    except SystemExit as stop:
        got = stop.code or 0
    printed = capsys.readouterr()
    assert got == code
    assert said in printed.out + printed.err
