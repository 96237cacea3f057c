"""Evidence that adds up, lies where it must, and is said in words."""

import numpy as np
import pytest
import torch
from PIL import Image

from lidarpan import Scan
from lidarpan.attribution import Evidence, Explainer
from lidarpan.attribution.files import brightness_of, explain_file
from lidarpan.attribution.told import check_by_occlusion, sentences, share_on
from lidarpan.config import parse_config
from lidarpan.model.checkpoint import save_weights
from lidarpan.model.configured import configured_network
from lidarpan.model.weights import build_network
from lidarpan.structures import InputError

pytest.importorskip("captum", reason="captum is not installed: pip install 'lidarpan[explain]'")

CONFIG = parse_config(
    {
        "grid": {"min_m": [-9.6, -9.6, -3.2], "max_m": [9.6, 9.6, 3.2], "voxel_m": [0.4] * 3},
        "network": {"channels": [8, 12], "encoder_blocks": [1, 1], "decoder_blocks": [1],
                    "bev_channels": 8, "bev_blocks": 1},
        "fusion": {"patches": False},
    },
    "test",
)  # fmt: skip


@pytest.fixture(scope="module")
def scan():
    rng = np.random.default_rng(0)
    ground = np.column_stack([rng.uniform(-9, 9, (1500, 2)), np.full(1500, -1.73)])
    box = rng.uniform(0, 1, (300, 3)) * (3, 1.6, 1.4) + (3, 2, -1.6)
    points = np.concatenate([ground, box]).astype(np.float32)
    return Scan(points, rng.random(1800, dtype=np.float32))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = build_network(CONFIG)
    with torch.no_grad():
        made.semantic_head.weight *= 5
    return made


@pytest.fixture(scope="module")
def explained(scan, network):
    voxel_network = configured_network(CONFIG, network)
    prepared = voxel_network.prepare(scan)
    target = np.zeros(prepared.voxels.num_voxels, np.bool_)
    target[prepared.voxels.point_to_voxel[-300:]] = True
    explainer = Explainer(voxel_network, prepared)
    return explainer, explainer.evidence(target, class_id=1, steps=32), prepared


def test_fixed_statistics_leave_the_answer_as_it_is(explained, network):
    explainer, evidence, prepared = explained
    every = np.ones(prepared.voxels.num_voxels, np.bool_)
    with torch.no_grad():
        logits = network.eval()(explainer.network.tensor_of(prepared)).semantic
        odds = logits[:, 0] - logits[:, 1:].logsumexp(1)
        got = explainer.log_odds(explainer.features, every, evidence.target, 1)
    assert float(got) == pytest.approx(float(odds[evidence.target].mean()), abs=1e-3)


def test_parts_add_up(explained):
    _, evidence, prepared = explained
    total = float(evidence.voxel.sum())
    assert evidence.completeness_error < 0.05
    assert total == pytest.approx(evidence.log_odds - evidence.base, rel=0.05)
    assert sum(evidence.of_groups().values()) == pytest.approx(1)
    points = evidence.of_points(prepared)
    assert float(points.sum()) == pytest.approx(total, rel=1e-3)


def test_a_linear_answer_is_taken_apart_exactly(explained, monkeypatch):
    explainer, evidence, _ = explained
    weight = torch.arange(13.0)

    def linear(features, kept, target, class_id):
        return (features[torch.from_numpy(target[kept])] @ weight).mean()

    monkeypatch.setattr(explainer, "log_odds", linear)
    exact = explainer.evidence(evidence.target, class_id=1, steps=4)
    x = explainer.features.numpy()
    want = (x - x.mean(axis=0)) * weight.numpy() / evidence.target.sum()
    want[~evidence.target] = 0
    np.testing.assert_allclose(exact.voxel, want, atol=1e-4)
    assert exact.completeness_error < 1e-4


def test_what_is_taken_away_is_what_is_lost(explained):
    explainer, evidence, _ = explained
    piece = np.full(len(evidence.target), -1)
    piece[np.flatnonzero(evidence.target)[:3]] = 0
    piece[np.flatnonzero(~evidence.target)[:3]] = 1
    lost = explainer.occluded(evidence.near, evidence.target, 1, piece)
    kept = evidence.near & (piece != 1)
    with torch.no_grad():
        whole, left = (
            float(explainer.log_odds(explainer.features[k], k, evidence.target, 1))
            for k in (evidence.near, kept)
        )
    assert lost[1] == pytest.approx(whole - left, abs=1e-4)
    every = np.where(evidence.target, 0, -1)
    assert np.isnan(explainer.occluded(evidence.near, evidence.target, 1, every)).all()


def test_sentences(explained):
    explainer, evidence, prepared = explained
    first, second, third = sentences(evidence, prepared, "car 12", "car")
    assert "of the evidence for car 12 lies within 0.4 m of its lower edge" in first
    assert "intensity" in second
    assert "completeness error" in third
    assert share_on(evidence, evidence.near) == pytest.approx(1)
    assert "rank correlation" in check_by_occlusion(explainer, evidence, 1, within_m=0.1)


def test_brightness_of_evidence():
    bright = brightness_of(np.array([-1.0, 0, 1, 2, 4], np.float32))
    assert bright[:2].tolist() == [0, 0]
    assert bright.max() == 1
    assert brightness_of(np.zeros(3, np.float32)).tolist() == [0, 0, 0]
    nothing = Evidence(0, 0, np.zeros((3, 13), np.float32), 0, np.ones(3, bool), np.ones(3, bool))
    assert share_on(nothing, nothing.target) == 0


@pytest.mark.slow
def test_a_file_is_explained(scan, network, tmp_path):
    path, weights = tmp_path / "scan.bin", tmp_path / "w.safetensors"
    np.column_stack([scan.points, scan.intensity]).astype(np.float32).tofile(path)
    save_weights(weights, network.state_dict(), {"config": CONFIG.model_dump(mode="json")})
    told = explain_file(path, tmp_path / "why.png", point=1700, weights=weights, device="cpu",
                        is_checked=False)  # fmt: skip
    assert "the evidence for point 1700" in told[0]
    assert Image.open(tmp_path / "why.png").width > 500
    explain_file(path, tmp_path / "why.html", point=0, weights=weights, steps=4, is_checked=False)
    assert "evidence for point 0" in (tmp_path / "why.html").read_text()
    for wrong, message in (
        ({"point": 5000}, "wanted a usable point, 0 to 1799"),
        ({"instance": 700}, "no instance 700"),
        ({}, "either an instance or a point"),
    ):
        with pytest.raises(InputError, match=message):
            explain_file(path, tmp_path / "why.png", weights=weights, **wrong)
    with pytest.raises(InputError, match=r"ends in \.png or \.html"):
        explain_file(path, tmp_path / "why.txt", point=1)
