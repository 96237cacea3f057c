"""Datasets in the classes that all have in common: scored and trained on across class tables."""

import json

import numpy as np
import pytest
from dataset_trees import write_pandaset, write_semantickitti_like

from lidarpan.classes import load_class_table
from lidarpan.cli import main
from lidarpan.datasets.open import find_dataset, open_dataset
from lidarpan.structures import InputError

KITTI = load_class_table("semantickitti")
COARSE = load_class_table("coarse")


def run(*words):
    import sys

    before, sys.argv = sys.argv, ["lidarpan", *map(str, words)]
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.argv = before
    return 0


def test_a_network_of_other_classes_is_scored(tmp_path):
    write_pandaset(tmp_path / "data", sequences=("005",))
    fine = open_dataset("pandaset", tmp_path / "data", "005")
    names = {"car": "car", "road": "parking", "void": "void"}  # of the same common classes
    for k, files in enumerate(fine.files):
        truth = fine.dataset.truth_of(files)
        kinds = [fine.classes.names[c] for c in truth.semantic]
        semantic = np.array([KITTI.id_of(names[kind]) for kind in kinds], np.uint8)
        place = tmp_path / f"out/005/{k:02d}.npz"
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            place,
            semantic=semantic,
            instance=np.where(semantic == KITTI.id_of("car"), 3, 0).astype(np.int32),
            score=np.full(4, 0.5, np.float32),
            class_names=np.array(KITTI.names),
            dataset=np.array("semantickitti"),
        )
    words = ["evaluate", "pandaset@coarse", "--data", tmp_path / "data", "--split", "005"]
    words += ["--predictions", tmp_path / "out", "--json", tmp_path / "scores.json"]
    assert run(*words, "--min-points", 10) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())["classes"]
    assert [scores[name]["pq"] for name in ("car", "road")] == [1, 1]
    assert run("evaluate", "pandaset", *words[2:]) == 2  # without it they are other classes


def test_truth_is_mapped_and_objects_stay(tmp_path):
    write_semantickitti_like(tmp_path, {"08": True}, car=10, ground=48, moving=252)
    fine, coarse = (
        open_dataset(name, tmp_path, "valid") for name in ("semantickitti", "semantickitti@coarse")
    )
    ids = set()
    for i in range(3):
        labels, mapped = fine.labels(i), coarse.labels(i)
        np.testing.assert_array_equal(mapped.semantic, KITTI.to_coarse[labels.semantic])
        np.testing.assert_array_equal(mapped.instance, labels.instance)
        packed = find_dataset("semantickitti@coarse").truth_of(coarse.files[i])
        ids |= set(np.unique(packed.instance[packed.instance > 0]).tolist())
    assert len(ids) == 1
    assert {COARSE.names[c] for c in np.unique(mapped.semantic)} == {"car", "sidewalk"}
    assert coarse.classes.min_points == KITTI.min_points


def test_equal_ids_of_two_classes_are_two_objects(tmp_path):
    write_semantickitti_like(tmp_path, {"08": True}, car=11, ground=40, scans=1)
    file = tmp_path / "sequences/08/labels/000000.label"
    packed = np.fromfile(file, "<u4")
    packed[-10:] = 31 | 7 << 16  # a bicyclist with the id of the bicycle
    packed.tofile(file)
    labels = open_dataset("semantickitti@coarse", tmp_path, "08").labels(0)
    assert len(np.unique(labels.instance[labels.instance > 0])) == 2


def test_tables_without_a_map_are_refused(tmp_path):
    table = tmp_path / "own.yaml"
    table.write_text("classes:\n  - {name: crate, kind: thing, raw: [3]}\n")
    with pytest.raises(InputError, match="no class of own has a place among the common ones"):
        find_dataset(f"{table}@coarse")
    with pytest.raises(InputError, match="no dataset 'lyft'"):
        find_dataset("lyft@coarse")
