"""LSTQ against numbers of 4D-PLS' evaluator, against an obvious twin, and on cases by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.metrics import SegmentationTrackingQuality
from lidarpan.structures import InputError

NUM_CLASSES, THINGS = 20, range(1, 9)


def drive(rng, num_scans, num_points=400, num_objects=6, kept=0.8, any_ids=False):
    """Scans with objects that come and go; predictions with switches, splits and noise.

    With any_ids stuff and void have instance ids too, in the truth and in the prediction.
    """
    classes = rng.integers(1, NUM_CLASSES, num_objects)
    ids = rng.integers(0, num_objects + 1, num_objects)
    names = rng.integers(0, num_objects + 2, num_objects)
    scans = []
    for _ in range(num_scans):
        position = np.sort(rng.integers(-3, num_objects, num_points))
        of = np.maximum(position, 0)
        true = np.where(position < 0, np.array([19, 0, 9])[position % 3], classes[of])
        pred = np.where(
            rng.random(num_points) < kept, true, rng.integers(0, NUM_CLASSES, num_points)
        )
        renamed = rng.random(num_objects) < 0.2
        names = np.where(renamed, rng.integers(0, num_objects + 2, num_objects), names)
        noise = rng.random(num_points) < 0.05
        true_id = np.where(position < 0, 0, ids[of])
        pred_id = np.where(noise, rng.integers(0, 5, num_points), names[of])
        if not any_ids:
            true_id, pred_id = (
                i * ((c > 0) & (c < 9)) for i, c in ((true_id, true), (pred_id, pred))
            )
        scans.append((pred, pred_id, true, true_id))
    return scans


def score(drives, min_points, num_classes=NUM_CLASSES, things=THINGS):
    quality = SegmentationTrackingQuality(num_classes, things, min_points=min_points)
    for name, scans in drives.items():
        for scan in scans:
            quality.update(name, *scan)
    return quality.compute()


def drives_of(seed, any_ids=False):
    rng = np.random.default_rng(seed)
    return {f"{i:02d}": drive(rng, 4, any_ids=any_ids) for i in range(2)}


def numbers(result):
    return [
        result.lstq,
        result.s_assoc,
        result.s_cls,
        result.assoc_precision,
        result.assoc_recall,
        result.cls_precision,
        result.cls_recall,
        result.iou_things,
        result.iou_stuff,
    ]


GOLDEN = {
    (0, False, 30): (
        0.4006370693729372,
        0.4886262035290857,
        0.32849253723287325,
        0.3403711080155573,
        0.1836547830855231,
        0.39810421848394983,
        0.36332232951911514,
        0.27844330475607265,
        0.394754936964444,
    ),
    (1, False, 50): (
        0.20589196282512956,
        0.10926806432590672,
        0.3879587381501165,
        0.1197110872062964,
        0.19369313482216707,
        0.4680002522598616,
        0.4430854737606239,
        0.3417279531597516,
        0.4568501034294835,
    ),
    (2, False, 10): (
        0.36537071092989376,
        0.3698959368260239,
        0.3609008456565018,
        0.2641343443720109,
        0.15536868986962307,
        0.44355955479497194,
        0.397431274672292,
        0.44899558182051,
        0.3296411144150869,
    ),
    (3, True, 30): (
        0.5849466623302618,
        0.9363699283127955,
        0.36541391113215405,
        0.2353408009129225,
        0.2649394976601268,
        0.443613417439732,
        0.40237581274425577,
        0.45707485958418814,
        0.3319708496335978,
    ),
    (4, True, 50): (
        0.32987070198691704,
        0.2736897113313456,
        0.3975841090263115,
        0.07356732421365537,
        0.10825880059626192,
        0.4778869030477481,
        0.4467249689421694,
        0.26305477236721675,
        0.5315676365080451,
    ),
    (5, True, 0): (
        0.722198642175673,
        1.518845390089801,
        0.3433995863986842,
        0.17379993945955977,
        0.15576229392796995,
        0.4073132813636538,
        0.37324679474329087,
        0.1836903239556692,
        0.4907699214843935,
    ),
}
"""By seed, any_ids and min_points: what 4D-PLS' Panoptic4DEval gives, in the order of numbers."""


@pytest.mark.parametrize(("seed", "any_ids", "min_points"), list(GOLDEN))
def test_equals_4d_pls(seed, any_ids, min_points):
    result = score(drives_of(seed, any_ids), min_points)
    assert numbers(result) == pytest.approx(GOLDEN[seed, any_ids, min_points], abs=1e-9)


def test_the_evaluators_own_example():
    pred = (np.repeat([0, 1, 2, 1], 5), np.repeat([0, 1, 2, 2], 5))
    true = (np.repeat([0, 1, 2, 2], 5), np.repeat([0, 1, 1, 2], 5))
    result = score({"1": [(*pred, *true)]}, 1, num_classes=3, things=(1, 2))
    assert result.lstq == pytest.approx(math.sqrt(1 / 3), abs=1e-12)
    assert result.s_assoc == pytest.approx(2 / 3, abs=1e-12)
    assert result.class_assoc.tolist() == [0.0, 1.0, 0.5]
    assert result.class_iou.tolist() == [0.0, 0.5, 0.5]
    assert (result.assoc_precision, result.assoc_recall) == (pytest.approx(2 / 3), 1.0)
    assert result.s_cls == 0.5


# --- the definition, point by point ----------------------------------------------------------


def twin(drives, min_points):
    """S_assoc from sets of points (sequence, scan, point)."""
    true, pred = {}, {}
    for name, scans in drives.items():
        for k, (p_class, p_id, t_class, t_id) in enumerate(scans):
            tube_size = {}
            for c, i in zip(t_class.tolist(), t_id.tolist(), strict=True):
                tube_size[c, i] = tube_size.get((c, i), 0) + 1
            for n in np.flatnonzero(t_class > 0):
                key = (int(t_class[n]), int(t_id[n]))
                if key[1] and tube_size[key] > min_points:
                    true.setdefault((name, *key), set()).add((k, int(n)))
                if p_id[n]:
                    # all its points meet; those predicted as void do not add to its size
                    tube = pred.setdefault((name, int(p_id[n])), (set(), set()))
                    tube[0].add((k, int(n)))
                    if p_class[n]:
                        tube[1].add((k, int(n)))
    total = 0.0
    for (name, _, _), points in true.items():
        for (other, _), (met, sized) in pred.items():
            if name == other and sized:
                common = len(points & met)
                total += common * common / (len(points) + len(sized) - common) / len(points)
    num_things = sum(key[1] in THINGS for key in true)
    return total / num_things if num_things else math.nan


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_scans=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    num_points=st.integers(0, 150),
    min_points=st.integers(0, 30),
    any_ids=st.booleans(),
)
def test_equals_the_twin(seed, num_scans, num_points, min_points, any_ids):
    rng = np.random.default_rng(seed)
    drives = {str(i): drive(rng, n, num_points, any_ids=any_ids) for i, n in enumerate(num_scans)}
    ours, wanted = score(drives, min_points).s_assoc, twin(drives, min_points)
    assert ours == pytest.approx(wanted, abs=1e-12, nan_ok=True)


# --- by hand: one car of 20 points beside a road, 100 points ---------------------------------


def frame(pred_id, size=20, pred_class=1):
    car, road = np.repeat(1, size), np.repeat(9, 100)
    pred = np.concatenate([car * pred_class, road])
    true = np.concatenate([car, road])
    return pred, np.concatenate([car * pred_id, 0 * road]), true, np.concatenate([car, 0 * road])


def test_a_kept_identity_is_perfect():
    result = score({"a": [frame(7)] * 3}, 5)
    assert (result.lstq, result.s_assoc, result.s_cls) == (1.0, 1.0, 1.0)
    assert result.num_tubes[1] == 1


def test_a_switch_halves_the_association():
    result = score({"a": [frame(7), frame(7), frame(8), frame(8)]}, 5)
    assert result.s_assoc == pytest.approx(2 * 40 * (40 / 80) / 80)


def test_an_id_of_another_sequence_is_another_tube():
    result = score({"a": [frame(7)], "b": [frame(7)]}, 5)
    assert (result.s_assoc, result.num_tubes[1]) == (1.0, 2)


def test_scans_with_no_more_than_min_points_are_left_out_of_true_tubes_alone():
    result = score({"a": [frame(7), frame(7, size=10)]}, 10)
    assert result.s_assoc == pytest.approx(20 / 30)


def test_id_zero_is_no_object():
    result = score({"a": [frame(0)]}, 5)
    assert (result.s_assoc, result.s_cls) == (0.0, 1.0)


def test_the_class_of_a_prediction_does_not_matter_for_its_tube():
    result = score({"a": [frame(7, pred_class=2)]}, 5)
    assert (result.s_assoc, result.class_iou[1]) == (1.0, 0.0)


def test_predicted_void_counts_as_a_class_of_its_own():
    half = frame(7)
    half[0][:10] = 0
    result = score({"a": [half]}, 5)
    assert result.s_cls == pytest.approx((10 / 20 + 1 + 0) / 3)
    assert result.s_assoc == pytest.approx(20 * (20 / (20 + 10 - 20)) / 20)  # 2: its rule


def test_a_tube_predicted_as_void_everywhere_is_none():
    assert score({"a": [frame(7, pred_class=0)]}, 5).s_assoc == 0.0


def test_without_tubes_of_things_the_association_is_not_a_number():
    pred, pred_id, true, _ = frame(7)
    result = score({"a": [(pred, pred_id, true, np.where(true == 9, 3, 0))]}, 5)
    assert math.isnan(result.s_assoc)  # where the official script gives infinity
    assert math.isnan(result.lstq)
    assert math.isnan(score({}, 5).lstq)


def test_any_int64_is_an_id():
    scans = [frame(7), frame(8), frame(7)]
    far = [(p, np.where(i > 0, i - 2**62, 0), t, -(2**40) * j) for p, i, t, j in scans]
    assert numbers(score({"a": far}, 5)) == numbers(score({"a": scans}, 5))


def test_merge_equals_one_accumulator_and_compute_twice_is_the_same():
    drives = drives_of(3)
    parts = [SegmentationTrackingQuality(NUM_CLASSES, THINGS, min_points=10) for _ in drives]
    for part, (name, scans) in zip(parts, drives.items(), strict=True):
        for scan in scans:
            part.update(name, *scan)
    parts[0].merge(parts[1])
    assert numbers(parts[0].compute()) == numbers(score(drives, 10))
    assert numbers(parts[0].compute()) == numbers(parts[0].compute())
    with pytest.raises(InputError, match="sequences \\['01'\\] are in both"):
        parts[0].merge(parts[1])
