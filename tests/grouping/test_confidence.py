"""Confidence of points: by temperature, into files, and what is doubtful."""

import numpy as np
import pytest

from lidarpan import PanopticPipeline, Scan
from lidarpan.classes import load_class_table
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.predictions import write_prediction
from lidarpan.grouping.fusion import with_confidence
from lidarpan.grouping.unknown import find_unknown
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.ply import read_ply
from lidarpan.structures import InputError, PanopticLabels

CLASSES = load_class_table("semantickitti")
CAR, ROAD = CLASSES.id_of("car"), CLASSES.id_of("road")


def labels_of(semantic):
    semantic = np.array(semantic, np.uint8)
    return PanopticLabels(semantic, np.where(semantic == CAR, 1, 0).astype(np.int32))


def test_confidence_by_its_formula():
    rng = np.random.default_rng(0)
    softmax = rng.dirichlet(np.ones(20), 50).astype(np.float32)
    semantic = softmax.argmax(1).astype(np.uint8)
    semantic[0] = 0
    for temperature in (0.5, 1.0, 2.0):
        got = with_confidence(labels_of(semantic), softmax, temperature=temperature).confidence
        power = softmax.astype(np.float64) ** (1 / temperature)
        want = power[np.arange(50), semantic] / power.sum(1)
        want[semantic == 0] = 0
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5)


def test_doubt_becomes_void():
    softmax = np.zeros((4, 20), np.float32)
    softmax[[0, 1], CAR], softmax[[2, 3], ROAD] = (0.9, 0.4), (0.8, 0.3)
    labels = with_confidence(labels_of([CAR, CAR, ROAD, ROAD]), softmax, min_confidence=0.5)
    assert labels.semantic.tolist() == [CAR, 0, ROAD, 0]
    assert labels.instance.tolist() == [1, 0, 0, 0]
    assert labels.confidence == pytest.approx([0.9, 0, 0.8, 0])
    for wrong in ({"temperature": 0.0}, {"min_confidence": 1.5}):
        with pytest.raises(InputError, match="wanted a temperature above 0"):
            with_confidence(labels, softmax, **wrong)


def test_the_pipeline_says_how_sure_it_is():
    def network(scan):
        softmax = np.zeros((scan.num_points, CLASSES.num_classes), np.float32)
        softmax[:, ROAD] = np.where(scan.points[:, 0] > 0, 0.9, 0.4)
        return softmax

    points = np.random.default_rng(0).uniform(-9, 9, (300, 3)).astype(np.float32)
    sure = PanopticPipeline(network, ego_box=None).predict(Scan(points))
    assert sure.confidence == pytest.approx(np.where(points[:, 0] > 0, 0.9, 0.4))
    doubting = PanopticPipeline(network, ego_box=None, min_confidence=0.5).predict(Scan(points))
    assert ((doubting.semantic > 0) == (points[:, 0] > 0)).all()


@pytest.mark.parametrize("end", ["npz", "ply"])
def test_files_keep_the_confidence(end, tmp_path):
    scan = Scan(np.random.default_rng(0).uniform(-9, 9, (5, 3)).astype(np.float32))
    valid = np.array([True, True, False, True, True, True])
    softmax = np.zeros((5, 20), np.float32)
    softmax[:, ROAD] = (0.2, 0.4, 0.6, 0.8, 1.0)
    labels = with_confidence(labels_of([ROAD] * 5), softmax)
    path = tmp_path / f"a.{end}"
    write_prediction(path, labels, LoadedScan(scan, valid), CLASSES, end)
    if end == "npz":
        read = read_prediction(path, CLASSES).confidence
    else:
        read = read_ply(path)["confidence"]
    np.testing.assert_allclose(read, [0.2, 0.4, 0, 0.6, 0.8, 1.0], atol=0.002)


def test_an_object_that_nobody_knows():
    rng = np.random.default_rng(0)
    ground = np.column_stack([rng.uniform(-20, 20, (3000, 2)), np.full(3000, -1.7)])
    strange, car = rng.normal((5, 5, 0), 0.3, (60, 3)), rng.normal((9, 0, 0), 0.3, (60, 3))
    crumb = rng.normal((-8, 0, 0), 0.1, (8, 3))
    points = np.concatenate([ground, strange, car, crumb]).astype(np.float32)
    semantic = np.repeat([ROAD, CAR, CAR, CAR], [3000, 60, 60, 8]).astype(np.uint8)
    confidence = np.repeat([0.3, 0.4, 0.9, 0.2], [3000, 60, 60, 8]).astype(np.float32)
    labels = PanopticLabels(semantic, (semantic == CAR).astype(np.int32), confidence=confidence)
    ids, doubt = find_unknown(points, labels, CLASSES)
    assert (ids[3000:3060] == 1).mean() > 0.95
    assert not ids[:3000].any()
    assert not ids[3060:].any()
    assert doubt.tolist() == pytest.approx([0, 0.6])
    with pytest.raises(InputError, match="confidence of each point"):
        find_unknown(points, labels_of(semantic), CLASSES)
