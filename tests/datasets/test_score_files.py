"""Scores beside label files."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.datasets.kitti_labels import write_predictions
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.nuscenes import NuScenes
from lidarpan.datasets.score_files import SUFFIX, with_scores, write_scores
from lidarpan.errors import InputError
from lidarpan.structures import PanopticLabels

SEMANTIC = np.array([0, 1, 1, 6, 9, 1, 6], np.uint8)
INSTANCE = np.array([0, 7, 7, 2, 0, 3, 2], np.int32)
SCORE = np.array([0, 0, 0.5, 0.25, 0, 0, 0, 0.75], np.float32)


@pytest.mark.parametrize("name", ["semantickitti", "nuscenes"])
def test_objects_keep_their_scores_however_a_format_numbers_them(tmp_path, name):
    classes = load_class_table(name)
    sure = np.arange(7, dtype=np.float32) / 7
    labels = PanopticLabels(SEMANTIC, INSTANCE, SCORE, confidence=sure)
    file = tmp_path / "0_panoptic.npz"
    if name == "semantickitti":
        file = tmp_path / "0.label"
        write_predictions(file, labels, classes)
    else:
        NuScenes().write_prediction(file, labels, classes)
    write_scores(file, labels)
    read = with_scores(read_prediction(file, classes), file)
    has = read.instance > 0
    assert has.any()
    assert np.array_equal(read.score[read.instance[has]], SCORE[INSTANCE[has]])
    np.testing.assert_allclose(read.confidence, sure, atol=0.5 / 255)


def test_without_a_file_nothing_is_known(tmp_path):
    labels = PanopticLabels(SEMANTIC, INSTANCE)
    assert with_scores(labels, tmp_path / "0.label") is labels


@pytest.mark.parametrize("point", [[1, 2], [1, 70, 3], [1.0, 2.0, 3.0], [-1, 2, 3]])
def test_scores_of_other_labels_are_refused(tmp_path, point):
    labels, file = PanopticLabels(SEMANTIC, INSTANCE), tmp_path / "0.label"
    np.savez(tmp_path / f"0.label{SUFFIX}", point=np.array(point), score=np.ones(3, np.float32))
    with pytest.raises(InputError, match="remove it"):
        with_scores(labels, file)


def test_a_confidence_of_other_points_is_refused(tmp_path):
    none, sure = np.zeros(0, np.int64), np.ones(len(SEMANTIC) - 1, np.uint8)
    np.savez(tmp_path / f"0.label{SUFFIX}", point=none, score=none * 1.0, confidence=sure)
    with pytest.raises(InputError, match="remove it"):
        with_scores(PanopticLabels(SEMANTIC, INSTANCE), tmp_path / "0.label")
