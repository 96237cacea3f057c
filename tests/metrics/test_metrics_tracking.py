"""Tracking scores against nuscenes-devkit's evaluator, and each score on a case by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.metrics import TrackingQuality
from lidarpan.structures import InputError

NUM_CLASSES, THINGS = 6, (1, 2, 3)


def drive(rng, num_scans, num_points=250, num_objects=5, kept=0.85):
    """Scans with objects that come and go; predictions with switches, splits and noise.

    Instance ids are packed, 1000 * class + id, as in nuScenes' files; things have an id.
    """
    classes = rng.integers(1, 4, num_objects)
    names = rng.integers(1, 4, num_objects)
    scans = []
    for _ in range(num_scans):
        position = np.sort(rng.integers(-3, num_objects, num_points))
        stuff = np.array([4, 5, 0])[position % 3]
        true = np.where(position < 0, stuff, classes[position])
        pred = np.where(
            rng.random(num_points) < kept, true, rng.integers(0, NUM_CLASSES, num_points)
        )
        names = np.where(rng.random(num_objects) < 0.2, rng.integers(1, 5, num_objects), names)
        named = np.where(pred < 4, names[position], 0)
        true_id = 1000 * true + np.where(position < 0, 0, position + 1)
        pred_id = np.where(pred > 0, 1000 * pred + named, 0)
        scans.append((pred, pred_id, true, true_id))
    return scans


def score(drives, min_points):
    tracking = TrackingQuality(NUM_CLASSES, THINGS, min_points=min_points)
    for name, scans in drives.items():
        for scan in scans:
            tracking.update(name, *scan)
    return tracking.compute()


def devkit(drives, min_points):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes.eval.panoptic.panoptic_track_evaluator import PanopticTrackingEval

    official = PanopticTrackingEval(
        NUM_CLASSES, min_stuff_cls_id=4, ignore=[0], min_points=min_points
    )
    for name, scans in drives.items():
        before = [None] * 4
        for scan in scans:
            pairs = [[old, new] for old, new in zip(before, scan, strict=True)]
            official.add_batch(name, *pairs)
            before = [new for _, new in pairs]  # it has filtered these in place
    return official


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_scans=st.lists(st.integers(1, 5), min_size=1, max_size=2),
    min_points=st.integers(1, 15),
    kept=st.sampled_from([0.6, 0.8, 0.95]),
)
def test_equals_the_devkit(seed, num_scans, min_points, kept):
    rng = np.random.default_rng(seed)
    drives = {f"scene-{i}": drive(rng, n, kept=kept) for i, n in enumerate(num_scans)}
    ours = score(drives, min_points)
    official = devkit(drives, min_points)
    pat, pq, tq = official.get_pat()
    pat = pat if pq + tq else 0.0  # there it divides 0 by 0
    ptq, class_ptq, sptq, class_sptq = official.get_ptq()
    lstq, s_assoc = official.get_lstq()
    motsa, smotsa, motsp = official.get_motsa()
    theirs = [pat, pq, tq, ptq, sptq, lstq, s_assoc, motsa, smotsa, motsp, official.getSemIoU()[0]]
    mine = [ours.pat, ours.pq, ours.tq, ours.ptq, ours.sptq, ours.lstq, ours.s_assoc]
    mine += [ours.motsa, ours.smotsa, ours.motsp, ours.s_cls]
    assert mine == pytest.approx([float(value) for value in theirs], abs=1e-6)  # it sums float32
    np.testing.assert_allclose(ours.class_ptq, class_ptq, atol=1e-6)
    np.testing.assert_allclose(ours.class_sptq, class_sptq, atol=1e-6)
    np.testing.assert_array_equal(ours.switches, official.pan_ids)


# --- by hand: one car of 20 points beside a road, 100 points ---------------------------------


def frame(pred_ids, true_ids=(1,)):
    """True cars of 20 points each, predicted with these ids (0: seen as road), and the road."""
    car, road = np.repeat(1, 20), np.repeat(4, 100)
    pred = [car if i else np.repeat(4, 20) for i in pred_ids]
    return (
        np.concatenate([*pred, road]),
        np.concatenate([*(np.repeat(1000 + i if i else 0, 20) for i in pred_ids), road * 0]),
        np.concatenate([*(car for _ in true_ids), road]),
        np.concatenate([*(np.repeat(1000 + i, 20) for i in true_ids), road * 0]),
    )


def follow(*ids):
    """The scores of one car over scans, by the id that it is predicted with."""
    return score({"a": [frame((i,)) for i in ids]}, 5)


def test_a_kept_identity_is_perfect():
    result = follow(7, 7, 7)
    assert (result.tq, result.s_assoc, result.idf1, result.motsa) == (1.0, 1.0, 1.0, 1.0)
    assert result.ptq == result.sptq == result.tpq == 1.0
    assert result.switches.sum() == 0


def test_a_switch():
    result = follow(7, 7, 8, 8)
    assert result.switches[1] == 1
    assert result.class_ptq[1] == result.class_sptq[1] == result.class_tpq[1] == 3 / 4
    association = 2 * 2**2 / 4 / 4  # two ids, each 2 of 4 scans
    assert result.tq == pytest.approx(math.sqrt(association * (1 - 1 / 3)))
    assert result.s_assoc == pytest.approx(2 * 40 * (40 / 80) / 80)
    assert result.idf1 == 0.5
    assert result.motsa == 3 / 4


def test_tpq_remembers_an_identity_through_a_gap():
    result = follow(7, 0, 8)
    assert result.switches[1] == 0  # the scan before has no match
    assert result.class_ptq[1] == pytest.approx(2 / 2.5)
    assert result.class_tpq[1] == pytest.approx(1 / 2.5)
    assert follow(7, 0, 7).class_tpq[1] == pytest.approx(2 / 2.5)


def test_idf1_takes_the_best_assignment_of_tracks():
    scans = [frame((7, 8), (1, 2)), frame((8, 7), (1, 2)), frame((8, 7), (1, 2))]
    assert score({"a": scans}, 5).idf1 == pytest.approx(4 / 6)
    assert score({"a": scans[:1], "b": scans[1:]}, 5).idf1 == 1.0  # ids are those of a sequence


def test_identities_do_not_pass_between_sequences():
    assert score({"a": [frame((7,))], "b": [frame((8,))]}, 5).switches.sum() == 0


def test_tracks_count_above_min_points_and_pq_from_min_points_on():
    scans = {"a": [frame((7,))]}
    assert score(scans, 19).tq == 1.0
    assert math.isnan(score(scans, 20).tq)  # where the devkit divides by zero
    missed = {"a": [frame((0,))]}
    assert score(missed, 20).ptq < 1.0
    assert score(missed, 21).ptq > score(missed, 20).ptq


def test_compute_twice_gives_the_same():
    rng = np.random.default_rng(1)
    tracking = TrackingQuality(NUM_CLASSES, THINGS, min_points=5)
    for scan in drive(rng, 4):
        tracking.update("a", *scan)
    assert tracking.compute().lstq == tracking.compute().lstq


def test_merge_equals_one_accumulator():
    rng = np.random.default_rng(2)
    drives = {"a": drive(rng, 3), "b": drive(rng, 4)}
    parts = [TrackingQuality(NUM_CLASSES, THINGS, min_points=5) for _ in drives]
    for part, (name, scans) in zip(parts, drives.items(), strict=True):
        for scan in scans:
            part.update(name, *scan)
    parts[0].merge(parts[1])
    whole, merged = score(drives, 5), parts[0].compute()
    for name in ("pat", "ptq", "sptq", "tpq", "lstq", "idf1", "motsa"):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), abs=1e-12)
    with pytest.raises(InputError, match="sequences \\['b'\\] are in both"):
        parts[0].merge(parts[1])
