"""The bench of real streets: its classes, and the thinner and fainter sensors it makes of one."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.structures import InputError, Scan

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import ablation
from street_sets import SETS, choose_sets, protocols, scored_as
from street_tables import as_markdown, as_text
from street_variants import VARIANTS, Variant, beams, choose_variants
from streets import FEWEST_POINTS, Tally, together


def sweep(num_beams=24, steps=90, *, by_beam=True, seed=0):
    """A round room seen by a spinning sensor; returns in the order of storage, and their beams."""
    rng = np.random.default_rng(seed)
    elevation = np.radians(np.linspace(-20, 8, num_beams))
    azimuth = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    beam, step = np.meshgrid(np.arange(num_beams), np.arange(steps), indexing="ij")
    beam, step = (beam.ravel(), step.ravel()) if by_beam else (beam.T.ravel(), step.T.ravel())
    reach = rng.uniform(5, 30, len(beam))
    points = np.stack(
        [
            reach * np.cos(azimuth[step]),
            reach * np.sin(azimuth[step]),
            reach * np.tan(elevation[beam]),
        ],
        axis=1,
    )
    return Scan(points.astype(np.float32), rng.uniform(0.1, 1, len(beam)).astype(np.float32)), beam


@pytest.mark.parametrize("by_beam", [True, False])
def test_beams_are_found_from_the_order_or_the_elevation(by_beam):
    scan, truth = sweep(by_beam=by_beam)
    found = beams(scan, 24)
    assert (found == truth).all()


def test_rings_of_the_file_come_first():
    scan, truth = sweep()
    ring = (40 - truth).astype(np.int32)
    found = beams(Scan(scan.points, scan.intensity, ring=ring), 24)
    assert (np.argsort(np.unique(ring)) == np.arange(24)).all()
    assert (found == ring - ring.min()).all()


@pytest.mark.parametrize(("kept", "want"), [(16, 16), (8, 8), (12, 12)])
def test_thinning_keeps_whole_beams(kept, want):
    scan, truth = sweep()
    thin, keep = Variant("thin", num_beams=kept).apply(scan, 24)
    assert thin.num_points == keep.sum() == want * 90
    assert len(np.unique(truth[keep])) == want
    assert np.diff(np.unique(truth[keep])).max() <= -(-24 // kept)
    assert (thin.points == scan.points[keep]).all()


def test_no_sensor_gets_more_beams_than_it_has():
    scan, _ = sweep(num_beams=12)
    assert Variant("thin", num_beams=16).apply(scan, 12) is None


def test_half_the_azimuths_is_every_second_return_of_each_beam():
    scan, truth = sweep()
    _, keep = Variant("half", azimuth_stride=2).apply(scan, 24)
    for b in range(24):
        azimuth = np.arctan2(*scan.points[truth == b][:, 1::-1].T)
        assert keep[truth == b][np.argsort(azimuth)].tolist() == [True, False] * 45


@pytest.mark.parametrize("gain", [0.0, 0.5, 1.5])
def test_a_gain_changes_the_intensity_alone(gain):
    scan, _ = sweep()
    changed, keep = Variant("gain", gain=gain).apply(scan, 24)
    assert keep.all()
    assert (changed.points == scan.points).all()
    assert np.allclose(changed.intensity, np.minimum(scan.intensity * gain, 1))


def test_every_class_of_both_tables_is_scored_or_left_out_by_intent():
    kitti, nuscenes = load_class_table("semantickitti"), load_class_table("nuscenes")
    left_out = {"barrier", "traffic_cone"}
    for name, protocol in protocols().items():
        assert set(kitti.names[1:]) <= set(protocol.of)
        assert set(protocol.of.values()) == set(protocol.names[1:])
        if name != "nineteen":
            assert set(nuscenes.names[1:]) - set(protocol.of) == left_out


def test_classes_that_a_set_does_not_tell_apart_are_one():
    kitti, ten = load_class_table("semantickitti"), protocols()["ten"]
    pole = np.array([kitti.id_of("pole")], np.uint8)
    by_set = {street.name: street for street in SETS}
    assert ten.names[scored_as(pole, kitti, ten, by_set["nuscenes"])[0]] == "building"
    assert ten.names[scored_as(pole, kitti, ten, by_set["vlp32"])[0]] == "pole"


def test_unknown_names_are_refused_with_the_known_ones():
    assert choose_sets("all") == SETS
    assert choose_variants("all") == VARIANTS
    with pytest.raises(InputError, match="vlp32"):
        choose_sets("mars")
    with pytest.raises(InputError, match="half-azimuths"):
        choose_variants("mars")


def tally(seed):
    rng = np.random.default_rng(seed)
    ten = protocols()["ten"]
    one = Tally(ten, 5)
    for _ in range(2):
        truth = rng.integers(0, 5, 900)
        guess = np.where(rng.random(900) < 0.3, rng.integers(1, 11, 900), truth)
        one.add(guess, np.zeros(900, int), truth, np.zeros(900, int))
    return one


def test_sets_of_one_group_score_as_if_they_were_one():
    both = together([{"as-is": [tally(0)]}, {"as-is": [tally(1)]}])
    whole = tally(0)
    whole.merge(tally(1))
    assert both["num_scans"] == 4
    assert both["variants"]["as-is"]["ten"] == whole.scores(has_instances=True)
    hit, true, guess = (
        np.diag(whole.total.confusion)[1:5],
        whole.total.confusion.sum(0)[1:5],
        whole.total.confusion[:, 1:].sum(1)[1:5],
    )
    assert both["variants"]["as-is"]["ten"]["miou"] == pytest.approx(
        (hit / (true + guess - hit)).mean()
    )


def test_a_class_of_a_few_points_is_not_present():
    ten = protocols()["ten"]
    one, none = Tally(ten, 5), np.zeros(1000, int)
    truth = np.repeat([1, 2, 3], [850, FEWEST_POINTS, 50])
    one.add(np.ones(1000, int), none, truth, none)
    scores = one.scores(has_instances=True)
    assert set(scores["classes"]) == {"road", "sidewalk"}
    assert scores["miou"] == pytest.approx(0.85 / 2)


def test_the_tables_show_every_set_and_present_class():
    numbers = {"as-is": {"ten": tally(0).scores(has_instances=True)}}
    result = {"title": "T", "note": "seen", "num_scans": 2, "ms_per_scan": 1.0, "variants": numbers}
    report = {"weights": "w", "command": "python streets.py", "sets": {"here": result}}
    for text in (as_text(report), as_markdown(report)):
        assert all(word in text for word in ("here", "seen", "road", "pole", "0."))
        assert "truck" not in text  # absent from the truth


def test_every_real_set_has_a_label_for_each_point(real_data):
    for street in SETS:
        scans = street.scans(real_data, 2)
        assert len(scans) == 2, street.name
        for path in scans:
            semantic, instance, table = street.truth(path)
            width = 20 if path.name.endswith(".pcd.bin") else 16
            assert len(semantic) == len(instance) == path.stat().st_size // width
            assert len(np.unique(semantic)) > 4
            assert table.num_classes > semantic.max()


@pytest.mark.parametrize("name", ablation.ROWS)
def test_rows_of_the_ablation_are_configurations_and_differ_from_the_first(name):
    row, whole = ablation.ROWS[name], ablation.ROWS["all"]
    config = ablation.config_of(row)
    assert config.build_classes().name == "semantickitti"
    assert name == "all" or (config, row) != (ablation.config_of(whole), whole)
    assert row.trained is None or ablation.ROWS[row.trained].trained is None


def test_the_table_of_the_ablation_has_means_and_half_the_spread():
    found = {"all": [{"a": 0.4, "b": 0.6}, {"a": 0.6, "b": 0.6}]}
    assert ablation.markdown(found).splitlines()[-1] == (
        "| all | 0.500 ± 0.100 | 0.600 ± 0.000 | 0.550 ± 0.050 |"
    )
