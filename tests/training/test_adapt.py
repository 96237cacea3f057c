"""Weights fitted to unlabelled scans: what is believed, what is taken, and what is left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lidarpan.classes import load_class_table
from lidarpan.config import Config
from lidarpan.model.checkpoint import load_weights, save_weights
from lidarpan.model.copies import COPIES, Copy
from lidarpan.model.device_network import voxel_network
from lidarpan.model.weights import build_network
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import InputError, Scan
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.simulate import simulate_scan
from lidarpan.training import adapt as adapt_module
from lidarpan.training import teacher as teacher_module
from lidarpan.training.adapt import adapt, sensor_of, simulate_like
from lidarpan.training.adapt_report import write_report
from lidarpan.training.augment import Sample
from lidarpan.training.own_scans import (
    Agreement,
    OwnScan,
    Steadiness,
    agreement,
    consistency,
    probabilities_of,
    read_own_scans,
    run_like,
    split_scans,
)
from lidarpan.training.teacher import (
    Course,
    Lesson,
    Taught,
    copied_lesson,
    cross_entropy_of,
    practise,
    teach,
    without_prior,
)

KITTI = load_class_table("semantickitti")
SMALL = Config.model_validate(
    {
        "grid": {"min_m": [-9.6, -9.6, -3.2], "max_m": [9.6, 9.6, 3.2], "voxel_m": [0.4, 0.4, 0.4]},
        "network": {
            "channels": [8, 12],
            "encoder_blocks": [1, 1],
            "decoder_blocks": [1],
            "bev_channels": 8,
            "bev_blocks": 1,
        },
        "prior": {"power": 0.5, "trained": {"person": 0.05, "car": 0.02}},
    }
)
SECTIONS = {"name", "classes", "sensor", "grid", "network", "grouping", "fusion", "prior"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(5)
    header = {"config": SMALL.model_dump(mode="json", include=SECTIONS)}
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, build_network(SMALL).state_dict(), header)
    return path


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drive")
    rng = np.random.default_rng(0)
    for k in range(6):
        ground = np.c_[rng.uniform(-9, 9, (1500, 2)), np.full(1500, -1.73)]
        boxes = (
            rng.uniform(0, 1.5, (4, 150, 3))
            + [0, 0, -1.7]
            + rng.uniform(3, 7, (4, 1, 3)) * [1, 1, 0]
        )
        points = np.concatenate([ground, boxes.reshape(-1, 3)])
        rows = np.c_[points, rng.random(len(points))].astype(np.float32)
        rows.tofile(folder / f"{k:06d}.bin")
    return sorted(folder.glob("*.bin"))


@pytest.fixture(scope="module")
def own(weights, scans):
    return read_own_scans(scans[:2], PanopticPipeline.from_weights(weights, "cpu"))


@pytest.fixture(scope="module")
def network(weights):
    network = build_network(SMALL)
    network.load_state_dict(load_weights(weights)[0])
    return network.eval()


def lessons_of(pipeline, own):
    old = voxel_network(pipeline.network)
    return [Lesson(one, without_prior(probabilities_of(old, one), old)) for one in own]


def test_scans_are_split_evenly_and_wholly():
    paths = list(range(40))
    fitted, held = split_scans(paths, 16)
    assert len(fitted) + len(held) == 16
    assert len(held) == 4
    assert not set(fitted) & set(held)
    assert [len(part) for part in split_scans(paths[:2], 24)] == [1, 1]
    with pytest.raises(InputError, match="two scans"):
        split_scans(paths[:1], 24)


def test_agreement_is_the_mean_iou_over_the_classes_of_the_first():
    confusion = np.array([[0, 0, 0], [0, 300, 100], [0, 50, 150.0]])
    assert agreement(confusion) == pytest.approx((300 / 450 + 150 / 300) / 2)
    confusion[2] = [0, 3, 5]
    assert agreement(confusion) == pytest.approx(300 / 403)  # 8 points say nothing


def test_a_scan_agrees_with_itself(weights, own):
    plain = voxel_network(PanopticPipeline.from_weights(weights, "cpu").network)
    assert consistency(plain, own, Copy(0.0)) == 1.0
    assert consistency(plain, own, COPIES[0]) < 1.0


def test_the_prior_is_taken_out_of_what_is_learnt(weights, own):
    pipeline = PanopticPipeline.from_weights(weights, "cpu")
    bare = PanopticPipeline.from_weights(weights, "cpu", prior_power=0.0)
    one, other = voxel_network(pipeline.network), voxel_network(bare.network)
    said, plain = probabilities_of(one, own[0]), probabilities_of(other, own[0])
    assert not np.allclose(said.probabilities, plain.probabilities, atol=1e-3)
    assert np.allclose(without_prior(said, one), plain.probabilities, atol=1e-5)
    assert without_prior(plain, other) is plain.probabilities


def test_a_copied_lesson_has_the_brightness_in_use_and_the_answers_of_its_points(weights, own):
    pipeline = PanopticPipeline.from_weights(weights, "cpu")
    like = voxel_network(pipeline.network)
    (lesson,) = lessons_of(pipeline, own[:1])
    batch, target = copied_lesson(lesson, like, KITTI, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    copy = Copy(rng.uniform(-np.pi, np.pi), rng.random() < 0.5, rng.uniform(0.95, 1.05))
    scan = lesson.own.scan
    points = copy.apply(scan.points, like.ground_m)
    in_use = like.prepare(Scan(points, scan.intensity))
    assert like.intensity == "rank"
    assert np.array_equal(batch.features.numpy(), in_use.features)
    assert not batch.semantic.any()
    was, now = lesson.own.prepared.voxels.point_to_voxel, in_use.voxels.point_to_voxel
    for voxel in (0, 7, len(target) - 1):
        here = lesson.probabilities[was[(now == voxel) & (was >= 0)]]
        assert np.allclose(target[voxel], here.mean(0) if len(here) else 0, atol=1e-6)
    dimmer = replace(own[0], scan=replace(scan, intensity=scan.intensity**2 / 255))
    other, _ = copied_lesson(replace(lesson, own=dimmer), like, KITTI, np.random.default_rng(3))
    assert torch.equal(other.features, batch.features)


def test_a_batch_moves_as_a_whole(weights, own):
    like = voxel_network(PanopticPipeline.from_weights(weights, "cpu").network)
    (lesson,) = lessons_of(PanopticPipeline.from_weights(weights, "cpu"), own[:1])
    batch, _ = copied_lesson(lesson, like, KITTI, np.random.default_rng(0))
    moved = batch.moved_to(torch.device("meta"))
    assert moved.batch_size == batch.batch_size
    assert {part.device.type for part in moved[:-1]} == {"meta"}
    assert [part.shape for part in moved[:-1]] == [part.shape for part in batch[:-1]]


def test_cross_entropy_of_probabilities():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [5.0, -5.0]])
    target = np.array([[0.25, 0.75], [0.0, 1.0], [0.0, 0.0]], np.float32)
    log = logits.log_softmax(1)
    want = -(0.25 * log[0, 0] + 0.75 * log[0, 1] + log[1, 1]) / 2  # the last says nothing
    assert torch.allclose(cross_entropy_of(logits, target), want)
    assert cross_entropy_of(logits[:0], target[:0]) == 0.0


def test_practice_scans_are_of_the_sensor_in_other_towns(weights):
    pipeline = PanopticPipeline.from_weights(weights, "cpu")
    sensor = replace(SENSORS["vlp16"], azimuth_steps=400, height_m=0.9)
    first, second = simulate_like(sensor, pipeline, seed=1, count=2)
    for sample in (first, second):
        assert np.median(sample.points[sample.semantic == KITTI.id_of("road"), 2]) == pytest.approx(
            -1.73, abs=0.2
        )
        assert 0 < sample.intensity.max() <= 0.926  # the brightest that a rank becomes
        assert sample.semantic.any()
    assert len(first.points) != len(second.points)
    (again,) = simulate_like(sensor, pipeline, seed=1, count=1)
    assert np.array_equal(again.points, first.points)


@pytest.mark.parametrize("height_m", [1.1, 2.6])
def test_beams_are_told_where_the_sensor_was(height_m):
    sensor = replace(SENSORS["hdl32e"], azimuth_steps=300, height_m=height_m)
    scan = simulate_scan(3, sensor).scan
    raised = OwnScan(Path("x"), scan.raised(height_m - 1.73), height_m, None)
    told = sensor_of([raised], 1.73)
    assert told.height_m == height_m
    assert len(told.elevations_rad) == 32
    assert np.abs(told.elevations_rad - sensor.elevations_rad).max() < np.radians(0.2)


def test_scans_in_the_frame_of_a_vehicle_are_seen_from_the_trained_height():
    sensor = replace(SENSORS["hdl32e"], azimuth_steps=300, height_m=1.73)
    scan = simulate_scan(3, sensor).scan  # from its own origin, which the file puts on the road
    told = sensor_of([OwnScan(Path("x"), scan, 0.3, None)], 1.73)
    assert told.height_m == 1.73
    assert np.abs(told.elevations_rad - sensor.elevations_rad).max() < np.radians(0.2)
    low = replace(sensor, height_m=0.5)
    scan = simulate_scan(3, low).scan.raised(0.5 - 1.73)
    assert sensor_of([OwnScan(Path("x"), scan, 0.5, None)], 1.73).height_m == 0.5


def towns(rng):
    points = rng.uniform((-8, -8, -1.8), (8, 8, 1), (2000, 3)).astype(np.float32)
    semantic = np.where(points[:, 2] < -1, KITTI.id_of("road"), KITTI.id_of("building"))
    none = np.zeros(2000, np.int32)
    return [Sample(points, np.zeros(2000, np.float32), semantic.astype(np.uint8), none)]


@pytest.mark.parametrize(
    ("verdicts", "best", "asked"), [((5, 4, 3, 2, 1, 0), 0, 4), ((1, 2, 9, 3, 4, 5), 2, 6)]
)
def test_teaching_stops_at_the_peak(weights, own, network, verdicts, best, asked):
    pipeline = PanopticPipeline.from_weights(weights, "cpu")
    answers = iter(verdicts)
    seen = []

    def judge(candidate):
        seen.append({k: v.clone() for k, v in candidate.state_dict().items()})
        return float(next(answers))

    judge.name = "made up"
    before = {k: v.clone() for k, v in network.state_dict().items()}
    taught = teach(
        network,
        lessons_of(pipeline, own),
        towns(np.random.default_rng(0)),
        judge,
        Course(voxel_network(pipeline.network), KITTI, torch.ones(19), steps=5),
        judge_every=1,
    )
    assert len(seen) == asked
    assert taught.step == best
    assert taught.gain == max(verdicts) - verdicts[0]
    for name, tensor in taught.network.state_dict().items():
        assert torch.equal(tensor, seen[best][name])
        assert torch.equal(before[name], network.state_dict()[name])  # the given one is left alone
    assert not torch.equal(seen[0]["semantic_head.weight"], seen[1]["semantic_head.weight"])
    for name in before:
        if "running" in name:
            assert torch.equal(seen[-1][name], before[name])


def test_practice_learns_the_simulated_scans(weights, network, monkeypatch):
    monkeypatch.setattr(teacher_module, "_RATE", 0.01)  # from nothing, in few steps
    pipeline = PanopticPipeline.from_weights(weights, "cpu")
    old = voxel_network(pipeline.network)
    rng = np.random.default_rng(0)
    made = [*towns(rng), *towns(rng)]

    def judge(candidate):
        told = run_like(old, candidate)
        prepared = told.prepare(Scan(made[0].points, made[0].intensity))
        inside = prepared.voxels.point_to_voxel >= 0
        voxel = prepared.voxels.point_to_voxel[inside]
        said = probabilities_of(told, OwnScan(Path("x"), None, 1.73, prepared)).probabilities
        return float(said[voxel, made[0].semantic[inside].astype(int) - 1].mean())

    judge.name = "sure of the truth"
    lines = []
    course = Course(old, KITTI, torch.ones(19), steps=60, say=lines.append)
    practised = practise(network, made, judge, course, judge_every=30)
    assert practised.gain > 0.2
    assert practised.step == 60
    assert lines[0].startswith("practice, step 30 of 60: sure of the truth ")


def test_judges_know_the_network_they_began_with(weights, own, network):
    plain = voxel_network(PanopticPipeline.from_weights(weights, "cpu").network)
    assert Steadiness(plain, own)(network) == consistency(plain, own, COPIES[0])
    assert Agreement(plain, own)(network) == 1.0  # without copies it agrees with itself


def test_the_full_form_practises_teaches_and_reports(weights, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt_module, "NUM_TOWNS", 2)
    monkeypatch.setattr(adapt_module, "STEADIER", -1.0)
    monkeypatch.setattr(adapt_module, "LEAST_GAIN", 2.0)
    lines = []
    result = adapt(
        weights, scans, tmp_path / "my.safetensors", full=True, steps=2, device="cpu",
        say=lines.append,
    )  # fmt: skip
    assert result.is_practised
    assert not result.is_taught
    assert result.network is result.practised.network
    state, header = load_weights(result.out)
    assert header["adapted"]["practised"] == result.practised.step
    assert header["adapted"]["steps"] == 0
    fitted = result.network.state_dict()["semantic_head.weight"]
    assert torch.equal(state["semantic_head.weight"], fitted.half().float())
    assert any(line.startswith("practice, step 2 of 2: steady") for line in lines)
    assert any(line.startswith("own scans, step 2 of 2: agreement") for line in lines)
    text = write_report(result, weights, tmp_path / "report").read_text()
    assert "Practice on simulated scans" in text
    assert f"{len(result.sensor.elevations_rad)} beams" in text


@pytest.mark.parametrize("has_intensity", [True, False])
def test_practice_has_intensity_where_the_own_scans_have(
    weights, scans, tmp_path, monkeypatch, has_intensity
):
    drive = []
    for k, path in enumerate(scans[:2]):
        rows = np.fromfile(path, np.float32).reshape(-1, 4)
        drive.append(tmp_path / f"{k}.bin")
        (rows * np.float32([1, 1, 1, has_intensity])).tofile(drive[-1])
    seen = []

    def practise(network, towns, *rest, **others):
        seen.extend(towns)
        return Taught(network, 0, ((0, 0.0),))

    monkeypatch.setattr(adapt_module, "NUM_TOWNS", 2)
    monkeypatch.setattr(adapt_module, "practise", practise)
    adapt(weights, drive, tmp_path / "my.safetensors", full=True, steps=1, device="cpu")
    assert [bool(town.intensity.any()) for town in seen] == [has_intensity] * 2


def test_without_a_gain_the_old_weights_come_back(weights, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt_module, "CLEARLY", 1.0)
    lines = []
    result = adapt(weights, scans, tmp_path / "my.safetensors", device="cpu", say=lines.append)
    assert not result.is_new
    assert result.out.read_bytes() == weights.read_bytes()
    assert any("steady" in line for line in lines)
    assert set(result.fitted) | set(result.held_out) == set(scans)


def test_a_steadier_share_is_taken_and_reported(weights, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt_module, "CLEARLY", 1e-9)
    monkeypatch.setattr(
        adapt_module, "consistency", lambda network, scans, copy: 1 - norm_share(network.network)
    )
    result = adapt(weights, scans, tmp_path / "my.safetensors", device="cpu")
    assert result.is_new
    assert result.trials[result.chosen].share == min(adapt_module.SHARES)
    _, header = load_weights(result.out)
    assert header["config"]["network"]["norm_share"] == min(adapt_module.SHARES)
    assert header["adapted"]["steps"] == 0
    page = write_report(result, weights, tmp_path / "report")
    text = page.read_text()
    assert "in place of 1" in text
    for when in ("before", "after"):
        assert f"0_{when}.png" in text
        assert (tmp_path / "report" / f"0_{when}.png").read_bytes()[:4] == b"\x89PNG"


def norm_share(network):
    from lidarpan.model.inference import scan_norms

    (share,) = {norm.share for norm in scan_norms(network).values()}
    return share


def test_names_and_files_are_checked_first(weights, scans, tmp_path):
    with pytest.raises(InputError, match="safetensors"):
        adapt(weights, scans, tmp_path / "my.pt")
    with pytest.raises(InputError, match="two scans"):
        adapt(weights, scans[:1], tmp_path / "my.safetensors")
