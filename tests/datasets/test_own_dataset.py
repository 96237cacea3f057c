"""A dataset of one's own: a folder with a class table, or a few lines of code."""

import json
import sys
import zipfile

import numpy as np
import pytest

from lidarpan.classes import ClassTable
from lidarpan.cli import main
from lidarpan.datasets.open import SHIPPED, dataset_names, find_dataset, open_dataset
from lidarpan.datasets.predictions import find_prediction, prediction_paths, write_prediction
from lidarpan.scans.files import load_scan
from lidarpan.structures import InputError, PanopticLabels

CLASSES = """
classes:
  - {name: pallet, kind: thing, raw: [5], box_m: [1.2, 0.8, 1.0]}
  - {name: floor, kind: stuff, raw: [1, 2], ground: true}
  - {name: rack, kind: stuff, raw: [9]}
"""
RAW = np.repeat([1, 2, 5, 9, 0], 20)
IDS = np.where(RAW == 5, np.arange(100) % 2 + 7, 0)


@pytest.fixture
def tree(tmp_path):
    """Three scans in two drives; in the first, two of 102 points are no returns."""
    (tmp_path / "warehouse.yaml").write_text(CLASSES)
    rng = np.random.default_rng(0)
    for name in ("train/a/000000", "train/a/000001", "valid/b/7"):
        rows = rng.uniform(-9, 9, (102, 4)).astype(np.float32)
        rows[:, 3] = 0.5
        rows[100:, :3] = np.nan
        labels = np.append(RAW | IDS << 16, [0, 0]).astype("<u4")
        if name.endswith("7"):
            rows, labels = rows[:100], labels[:100]
        for folder, suffix, array in (("scans", "bin", rows), ("labels", "label", labels)):
            path = tmp_path / "data" / folder / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            array.tofile(path)
    return tmp_path


def run(capsys, monkeypatch, *words):
    """Exit code and all that is printed, on one line."""
    monkeypatch.setattr(sys, "argv", ["lidarpan", *map(str, words)])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    said = capsys.readouterr()
    return code, " ".join((said.out + said.err).split())


def test_a_folder_with_a_class_table_is_a_dataset(tree):
    split = open_dataset(tree / "warehouse.yaml", tree / "data", "train")
    assert (len(split), split.sequences) == (2, ("train/a",))
    assert [split.name(i) for i in range(2)] == ["train/a/000000", "train/a/000001"]
    assert split[0].num_points == 100
    labels = split.labels(0)
    assert labels.semantic.tolist() == np.repeat([2, 2, 1, 3, 0], 20).tolist()
    assert labels.instance[40:60].tolist() == [1, 2] * 10
    assert not np.delete(labels.instance, np.s_[40:60]).any()
    assert split.labels(1).num_points == 100  # also when the scan has not been read before
    assert len(open_dataset(tree / "warehouse.yaml", tree / "data", "all")) == 3
    (tree / "data/splits").mkdir()
    (tree / "data/splits/mine.txt").write_text("# a comment\nvalid/b\ntrain/a/000001.bin\n")
    names = [f.name for f in open_dataset(tree / "warehouse.yaml", tree / "data", "mine").files]
    assert names == ["valid/b/7", "train/a/000001"]


def test_scans_have_poses_where_there_is_a_file_of_them(tree):
    line = "1 0 0 {} 0 1 0 0 0 0 1 0\n"
    (tree / "data/scans/train/a/poses.txt").write_text(line.format(0) + line.format(5))
    split = open_dataset(tree / "warehouse.yaml", tree / "data", "all")
    assert split[1].world_T_sensor[0, 3] == 5
    assert split[2].world_T_sensor is None


@pytest.mark.parametrize("end", [".npy", ".npz"])
def test_truth_may_be_in_other_formats(tree, end):
    path = tree / "data/labels/valid/b/7.label"
    path.unlink()
    semantic = np.repeat([2, 2, 1, 3, 0], 20).astype(np.uint8)
    if end == ".npy":
        np.save(path.with_suffix(end), semantic)
    else:
        instance = np.where(semantic == 1, IDS, 0).astype(np.int32)
        np.savez(path.with_suffix(end), semantic=semantic, instance=instance, score=np.zeros(0))
    labels = open_dataset(tree / "warehouse.yaml", tree / "data", "valid").labels(0)
    assert labels.semantic.tolist() == semantic.tolist()
    assert labels.instance.max() == (2 if end == ".npz" else 0)


def write_truth(tree, out, file_format):
    """The truth as predictions."""
    classes = ClassTable.from_yaml(tree / "warehouse.yaml")
    split = open_dataset(tree / "warehouse.yaml", tree / "data", "all")
    for i in range(len(split)):
        (path,) = prediction_paths(out, [split.path(i)], file_format, classes)
        labels = split.labels(i)
        scored = PanopticLabels(labels.semantic, labels.instance, np.ones(3, np.float32))
        write_prediction(path, scored, load_scan(split.path(i)), classes, file_format)
        assert find_prediction(out, split.path(i)) == path
    return out


@pytest.mark.parametrize("file_format", ["warehouse", "npz"])
def test_truth_as_predictions_scores_one(tree, capsys, monkeypatch, file_format):
    out = write_truth(tree, tree / "out", file_format)
    if file_format == "warehouse":
        assert (out / "train/a/000001.label").is_file()
    words = [tree / "warehouse.yaml", "--data", tree / "data", "--predictions", out]
    more = ["--json", tree / "a.json", "--explain", "--tracking", "--html", tree / "a.html"]
    code, said = run(capsys, monkeypatch, "evaluate", *words, "--split", "valid", *more)
    assert code == 0, said
    scores = json.loads((tree / "a.json").read_text())
    assert (scores["dataset"], scores["num_scans"], scores["pq"]) == ("warehouse", 1, 1)
    assert list(scores["classes"]) == ["pallet", "floor", "rack"]
    code, said = run(capsys, monkeypatch, "evaluate", *words, "--split", "train")
    assert code == 0, said


def test_predictions_are_checked_and_packed(tree, capsys, monkeypatch):
    out = write_truth(tree, tree / "out", "warehouse")
    words = [tree / "warehouse.yaml", "--data", tree / "data", "--predictions", out]
    assert run(capsys, monkeypatch, "submit", "check", *words, "--split", "train")[0] == 0
    zip_path = tree / "a.zip"
    code, _ = run(
        capsys, monkeypatch, "submit", "pack", *words, "--split", "train", "--out", zip_path
    )
    assert code == 0
    with zipfile.ZipFile(zip_path) as archive:
        files = [name for name in archive.namelist() if name.endswith(".label")]
    assert files == ["train/a/000000.label", "train/a/000001.label"]
    np.full(102, 9 | 3 << 16, "<u4").tofile(out / "train/a/000001.label")
    (out / "train/a/000002.label").touch()
    code, said = run(capsys, monkeypatch, "submit", "check", *words, "--split", "train")
    assert code == 1
    assert "train/a/000001.label: 102 points of rack have an instance id" in said
    assert "train/a/000002.label: not a scan of the train split" in said


CODE = '''
from pathlib import Path

from lidarpan.classes import ClassTable
from lidarpan.datasets.dataset import Dataset, ScanFiles


class Warehouse(Dataset):
    """Scans and labels side by side, all in one folder."""

    name = "warehouse"
    classes = ClassTable.from_yaml(Path(__file__).with_name("warehouse.yaml"))

    def list_scans(self, root, split):
        scans = sorted(Path(root).glob(f"scans/{split}/*/*.bin"))
        labels = [Path(str(s).replace("/scans/", "/labels/")).with_suffix(".label") for s in scans]
        return [ScanFiles(s.stem, s.parent.name, s, l) for s, l in zip(scans, labels, strict=True)]
'''


def test_a_dataset_may_be_code_of_ones_own(tree, capsys, monkeypatch):
    (tree / "warehouse_code.py").write_text(CODE)
    name = f"{tree / 'warehouse_code.py'}:Warehouse"
    split = open_dataset(name, tree / "data", "train")
    assert [split.name(i) for i in range(len(split))] == ["000000", "000001"]
    assert split.labels(0).num_points == split[0].num_points == 100
    out = tree / "out"
    for i in range(2):
        path = out / f"00000{i}.label"
        write_prediction(path, split.labels(i), load_scan(split.path(i)), split.classes, name)
    words = [name, "--data", tree / "data", "--predictions", out, "--split", "train"]
    code, said = run(capsys, monkeypatch, "evaluate", *words, "--json", tree / "a.json")
    assert code == 0, said
    assert json.loads((tree / "a.json").read_text())["pq"] == 1
    assert run(capsys, monkeypatch, "submit", "check", *words)[0] == 0
    with pytest.raises(InputError, match=r"has no 'House': it has .*Warehouse"):
        find_dataset(f"{tree / 'warehouse_code.py'}:House")
    with pytest.raises(InputError, match="wanted a dataset, got a PosixPath without classes"):
        find_dataset(f"{tree / 'warehouse_code.py'}:Path")
    with pytest.raises(InputError, match="no such file"):
        find_dataset(f"{tree / 'absent.py'}:Warehouse")


def test_an_installed_package_adds_its_datasets(tree, monkeypatch):
    (tree / "warehouse_package.py").write_text(CODE)
    info = tree / "warehouse_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: warehouse_package\nVersion: 1\n")
    entry = "[lidarpan.datasets]\nwarehouse = warehouse_package:Warehouse\n"
    (info / "entry_points.txt").write_text(entry)
    with pytest.raises(InputError, match="no dataset 'warehouse'"):
        find_dataset("warehouse")
    monkeypatch.syspath_prepend(str(tree))
    assert dataset_names() == (*SHIPPED, "warehouse")
    assert len(open_dataset("warehouse", tree / "data", "train")) == 2


def test_what_is_wrong_is_said(tree, capsys, monkeypatch):
    for root, split, words in (
        (tree / "data", "test", r"no split 'test' in .*wanted all, train, valid \(a list splits"),
        (tree / "labels", "all", r"wanted a folder with scans/ and labels/, got no scans/"),
    ):
        with pytest.raises(InputError, match=words):
            open_dataset(tree / "warehouse.yaml", root, split)
    with pytest.raises(InputError, match=r"no dataset 'nuscene': .* did you mean nuscenes"):
        find_dataset("nuscene")
    (tree / "data/splits").mkdir()
    (tree / "data/splits/test.txt").write_text("train/z\n")
    with pytest.raises(InputError, match=r"test\.txt: wanted .* got train/z, which is not there"):
        open_dataset(tree / "warehouse.yaml", tree / "data", "test")
    (tree / "data/labels/valid/b/7.label").write_bytes(bytes(4 * 99))
    with pytest.raises(InputError, match=r"wanted 100 labels as .*7\.bin has points, got 99"):
        open_dataset(tree / "warehouse.yaml", tree / "data", "valid").labels(0)
    words = ["--data", tree, "--predictions", tree, "--split", "valid"]
    code, said = run(capsys, monkeypatch, "evaluate", "lyft", *words)
    assert code == 2
    assert (
        "error: no dataset 'lyft': wanted semantickitti, nuscenes, semantickitti-multiscan, "
        in said
    )
