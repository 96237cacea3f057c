"""Scans unlike those that weights were trained on are told from their like."""

import json

import numpy as np
import pytest

from lidarpan import PanopticPipeline, Scan
from lidarpan.bench.scans import street_scan
from lidarpan.inference import predict_files
from lidarpan.model.checkpoint import load_weights, save_weights
from lidarpan.model.likeness import Likeness, summary_of
from lidarpan.model.weights import find_weights
from lidarpan.structures import InputError


@pytest.fixture(scope="module")
def pipeline():
    return PanopticPipeline.from_weights("town", "cpu")


def features(pipeline, scan):
    return pipeline.prepare(scan).features


@pytest.fixture(scope="module")
def likeness(pipeline):
    scans = (street_scan(8000, seed=k) for k in range(12))
    return Likeness.of(summary_of(features(pipeline, scan)) for scan in scans)


def hall(seed=0):
    """A room of 12 by 9 m, 2.6 m high, with a sensor in its middle."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (8000, 3)) * [6, 4.5, 1.3] + [0, 0, -0.4]
    face = rng.integers(0, 3, 8000)
    side = rng.choice([-1, 1], 8000)
    for axis, half in enumerate((6, 4.5, 1.3)):
        points[face == axis, axis] = side[face == axis] * half - 0.4 * (axis == 2)
    return Scan(points, np.full(8000, 0.5))


def test_the_like_passes_and_a_hall_does_not(pipeline, likeness):
    for k in range(100, 104):
        assert likeness.remark(features(pipeline, street_scan(8000, seed=k))) is None
    said = likeness.remark(features(pipeline, hall()))
    assert said.startswith("unlike anything that the weights were trained on, most of all in ")


def test_a_header_keeps_it(pipeline, likeness):
    header = json.loads(json.dumps({"statistics": likeness.to_header()}))
    kept = Likeness.from_header(header)
    assert np.abs(kept.mean - likeness.mean).max() < 1e-4
    assert kept.limit == pytest.approx(likeness.limit, abs=1e-3)


@pytest.mark.parametrize(
    "entry",
    [None, 3, {}, {"mean": [0], "deviation": [1], "limit": 2}, {"mean": "x", "deviation": 1}],
)
def test_what_does_not_fit_is_passed_over(entry):
    assert Likeness.from_header({} if entry is None else {"statistics": entry}) is None


def test_few_scans_say_nothing(pipeline, likeness):
    with pytest.raises(InputError, match="wanted ten scans or more to know their like, got 2"):
        Likeness.of([likeness.mean, likeness.mean])
    assert likeness.remark(np.zeros((50, 13), np.float32)) is None


def test_predict_warns(tmp_path, likeness):
    state, header = load_weights(find_weights("town"))
    path = tmp_path / "w.safetensors"
    save_weights(path, state, {**header, "statistics": likeness.to_header()}, half=True)
    for name, scan in (("street", street_scan(8000, seed=50)), ("hall", hall())):
        rows = np.column_stack([scan.points, scan.intensity]).astype(np.float32)
        rows.tofile(tmp_path / f"{name}.bin")
    pipeline = PanopticPipeline.from_weights(path, "cpu")
    scans = [tmp_path / "street.bin", tmp_path / "hall.bin"]
    street, room = predict_files(pipeline, scans, tmp_path / "out", "npz")
    assert not [w for w in street.warnings if "unlike" in w]
    assert [w for w in room.warnings if "unlike anything" in w]
