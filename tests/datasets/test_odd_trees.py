"""Trees that are not as the benchmark's: what is missing, named otherwise or on another scale."""

import logging

import numpy as np
import pytest

from lidarpan.cli import main
from lidarpan.datasets.benchmark_counts import NUSCENES, SEMANTICKITTI
from lidarpan.datasets.nuscenes import NuScenes
from lidarpan.datasets.nuscenes_labels import read_panoptic
from lidarpan.datasets.open import open_dataset
from lidarpan.datasets.predictions import find_prediction
from lidarpan.datasets.semantickitti import SPLITS
from lidarpan.datasets.submission import check_submission, open_submission
from lidarpan.evaluation.files import find_label_files
from lidarpan.structures import InputError

RNG = np.random.default_rng(6)


def make_tree(root, sequence, names, points=400, gain=1.0, labels=True):
    for kind in ("velodyne", "labels", "predictions"):
        (root / "sequences" / sequence / kind).mkdir(parents=True, exist_ok=True)
    for name in names:
        rows = RNG.normal(0, 9, (points, 4)).astype(np.float32)
        rows[:, 3] = np.round(np.clip(RNG.gamma(2, 0.15, points), 0, 0.99) * gain, 3)
        rows.tofile(root / "sequences" / sequence / "velodyne" / f"{name}.bin")
        packed = np.where(np.arange(points) < 100, 10 | 7 << 16, 40).astype("<u4")
        if labels:
            packed.tofile(root / "sequences" / sequence / "labels" / f"{name}.label")
        packed.tofile(root / "sequences" / sequence / "predictions" / f"{name}.label")
    return root


def test_the_benchmarks_own_counts():
    """As the papers give them: 23,201 scans with labels and 20,351 to be predicted."""
    assert sum(SEMANTICKITTI[s] for split in ("train", "valid") for s in SPLITS[split]) == 23_201
    assert sum(SEMANTICKITTI[s] for s in SPLITS["test"]) == 20_351
    assert NUSCENES["train"] + NUSCENES["val"] == 34_149


def test_half_a_test_split_is_no_submission(tmp_path):
    make_tree(tmp_path, "13", ["000000", "000001"])
    faults = check_submission(open_submission("semantickitti", tmp_path, tmp_path))
    said = [str(fault) for fault in faults]
    assert "sequences/13: wanted its 3281 scans, the data has 2: " in " ".join(said)
    assert "sequences/21: wanted its 2721 scans, the data has 0: " in " ".join(said)
    assert sum("wanted its" in text for text in said) == 11
    assert NuScenes().missing_scans([], "test")[0][1].startswith("scene-")
    assert NuScenes().missing_scans([], "mini_val") == []


def test_training_reads_bytes_as_fractions(tmp_path):
    make_tree(tmp_path, "00", ["000000", "000001"], gain=255)
    make_tree(tmp_path, "01", ["000000"])
    dataset = open_dataset("semantickitti", tmp_path, "train")
    for i in range(3):
        raw = np.fromfile(dataset.path(i), np.float32)[3::4]
        expected = raw / (255 if i < 2 else 1)
        np.testing.assert_allclose(dataset[i].intensity, expected, atol=1e-6)


def test_sequences_of_ones_own_are_named(tmp_path, capsys, monkeypatch):
    make_tree(tmp_path, "0006", ["000000"])
    make_tree(tmp_path, "drive", ["000000"])
    assert len(open_dataset("semantickitti", tmp_path, "0006,drive")) == 2
    with pytest.raises(InputError, match=r"got sequences 0006, drive: name others with --seq"):
        open_dataset("semantickitti", tmp_path, "valid")
    with pytest.raises(InputError, match=r"no split '0007'.* has 0006, drive"):
        open_dataset("semantickitti", tmp_path, "0007")
    words = ["lidarpan", "evaluate", "semantickitti", "--data", str(tmp_path)]
    words += ["--predictions", str(tmp_path), "--sequences", "0006"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0
    assert "1.0000" in capsys.readouterr().out


def test_scans_without_truth_are_said_and_left_out(tmp_path, caplog):
    make_tree(tmp_path, "08", ["000000", "000002"])
    make_tree(tmp_path, "08", ["000001"], labels=False)
    caplog.set_level(logging.WARNING, "lidarpan")
    pairs = find_label_files("semantickitti", tmp_path, tmp_path, "valid")
    assert [pair.name for pair in pairs] == ["08/000000", "08/000002"]
    assert "1 of 3 scans of the valid split have no true labels" in caplog.text
    (tmp_path / "sequences/08/predictions/000009.label").touch()
    with pytest.raises(InputError, match=r"000009.label: no scan of the split"):
        find_label_files("semantickitti", tmp_path, tmp_path, "valid")


def test_scans_are_in_the_order_of_their_numbers(tmp_path):
    make_tree(tmp_path, "08", ["9", "10", "1.25", "1.3", "100"])
    wanted = ["08/1.25", "08/1.3", "08/9", "08/10", "08/100"]
    pairs = find_label_files("semantickitti", tmp_path, tmp_path, "valid")
    assert [pair.name for pair in pairs] == wanted
    dataset = open_dataset("semantickitti", tmp_path, "valid")
    assert [dataset.name(i) for i in range(5)] == wanted


@pytest.mark.parametrize(
    ("wrong", "value", "index"),
    [(70_000, 70_000, 3), (-1, -1, 3), (4 + (5 << 16), 4 + (5 << 16), 3), (32_000, 32_000, 3)],
)
def test_panoptic_labels_that_would_wrap_are_refused(tmp_path, wrong, value, index):
    data = np.full(9, 4001, np.int64)
    data[3] = wrong
    np.savez(tmp_path / "t_panoptic.npz", data=data)
    with pytest.raises(InputError, match=rf"t_panoptic.npz: data: wanted .*got {value} at point 3"):
        read_panoptic(tmp_path / "t_panoptic.npz")


def test_lidarseg_results_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "lidarpan.datasets.predictions.prediction_path",
        lambda folder, scan, file_format: folder / "panoptic/mini_val/abc_panoptic.npz",
    )
    file = tmp_path / "lidarseg/mini_val/abc_lidarseg.bin"
    file.parent.mkdir(parents=True)
    file.touch()
    assert find_prediction(tmp_path, tmp_path / "samples/LIDAR_TOP/x.pcd.bin") == file
