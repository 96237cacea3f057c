"""The scorer against the official evaluators, an obvious twin, and each rule alone."""

import contextlib
import copy
import doctest
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lidarpan.classes import load_class_table
from lidarpan.metrics import PanopticQuality, match_segments, score_labels
from lidarpan.metrics.contingency import CHUNK, _slot, count_overlaps
from lidarpan.structures import InputError, PanopticLabels


def random_case(rng, num_classes, num_points=200, num_ids=4, kept=0.8):
    """Prediction and truth that agree on a share of the points; segments come in runs."""
    position = np.sort(rng.integers(0, max(num_points // 8, 1), num_points))
    position = rng.permutation(position) if rng.random() < 0.3 else position
    true = rng.integers(0, num_classes, num_points)[position], position % num_ids
    pred = tuple(part.copy() for part in true)
    wrong = rng.random(num_points) > kept
    pred[0][wrong] = rng.integers(0, num_classes, wrong.sum())
    pred[1][wrong] = rng.integers(0, num_ids, wrong.sum())
    return pred[0], pred[1], true[0], true[1]


def score(case, num_classes, min_points=1, things=(1,), ignore=(0,), mean="all"):
    quality = PanopticQuality(num_classes, things, ignore, min_points=min_points)
    quality.update(*case)
    return quality.compute(mean)


def labels(*runs):
    """Four label arrays from (pred class, pred id, true class, true id, number of points)."""
    rows = np.array([run[:4] for run in runs for _ in range(run[4])]).reshape(-1, 4)
    return tuple(np.ascontiguousarray(column) for column in rows.T)


# --- against the official code ---------------------------------------------------------------


def semantickitti_evaluator(num_classes, min_points, ignore):
    module = pytest.importorskip(
        "auxiliary.eval_np",
        reason="the official evaluator is not installed: pip install --no-deps semantic-kitti-api",
    )
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it ignores
        return module.PanopticEval(num_classes, ignore=ignore, min_points=min_points)


def nuscenes_evaluator(num_classes, min_points, ignore):
    pytest.importorskip("nuscenes", reason="no devkit: pip install 'lidarpan[nuscenes]'")
    from nuscenes.eval.panoptic.panoptic_seg_evaluator import PanopticEval

    return PanopticEval(num_classes, ignore=ignore, min_points=min_points)


def assert_equal_to_official(ours, official):
    pq, sq, rq, class_pq, class_sq, class_rq = official.getPQ()
    miou, class_iou = official.getSemIoU()
    theirs = (pq, sq, rq, miou, official.getSemAcc())
    assert (ours.pq, ours.sq, ours.rq, ours.miou, ours.accuracy) == pytest.approx(theirs, abs=1e-9)
    for mine, other in (
        (ours.class_pq, class_pq),
        (ours.class_sq, class_sq),
        (ours.class_rq, class_rq),
        (ours.class_iou, class_iou),
        (ours.iou_sum, official.pan_iou),
    ):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-9)
    for mine, other in (
        (ours.tp, official.pan_tp),
        (ours.fp, official.pan_fp),
        (ours.fn, official.pan_fn),
        (ours.confusion, official.px_iou_conf_matrix),
    ):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("evaluator", [semantickitti_evaluator, nuscenes_evaluator])
@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.integers(2, 8),
    num_points=st.integers(1, 400),
    num_ids=st.integers(1, 12),
    kept=st.sampled_from([0.0, 0.5, 0.6, 0.9, 1.0]),
    min_points=st.integers(1, 30),
    ignore=st.sampled_from([[0], [1], [0, 1]]),
    num_scans=st.integers(1, 3),
)
def test_equals_official_evaluator(
    evaluator, seed, num_classes, num_points, num_ids, kept, min_points, ignore, num_scans
):
    ignore = [c for c in ignore if c < num_classes - 1] or [0]
    rng = np.random.default_rng(seed)
    official = evaluator(num_classes, min_points, ignore)
    ours = PanopticQuality(num_classes, (), ignore, min_points=min_points)
    for _ in range(num_scans):
        case = random_case(rng, num_classes, num_points, num_ids, kept)
        official.addBatch(*case)
        ours.update(*case)
    assert_equal_to_official(ours.compute(), official)


@pytest.mark.slow
@pytest.mark.parametrize("evaluator", [semantickitti_evaluator, nuscenes_evaluator])
def test_equals_official_evaluator_on_5000_cases(evaluator):
    rng = np.random.default_rng(1)
    for _ in range(5000):
        num_classes, min_points = int(rng.integers(2, 8)), int(rng.integers(1, 30))
        size, num_ids = int(rng.integers(1, 400)), int(rng.integers(1, 12))
        case = random_case(rng, num_classes, size, num_ids, rng.random())
        official = evaluator(num_classes, min_points, [0])
        official.addBatch(*case)
        assert_equal_to_official(score(case, num_classes, min_points), official)


@pytest.mark.parametrize("evaluator", [semantickitti_evaluator, nuscenes_evaluator])
def test_equals_official_evaluator_on_a_full_scan_of_packed_labels(evaluator):
    rng = np.random.default_rng(2)
    classes = load_class_table("semantickitti")
    case = random_case(rng, classes.num_classes, 30_000, 40, 0.9)
    packed = [s.astype(np.int64) | (i.astype(np.int64) << 16) for s, i in (case[:2], case[2:])]
    official = evaluator(classes.num_classes, classes.min_points, [0])
    official.addBatch(case[0], packed[0], case[2], packed[1])
    ours = score((case[0], packed[0], case[2], packed[1]), classes.num_classes, classes.min_points)
    assert_equal_to_official(ours, official)


# --- golden numbers --------------------------------------------------------------------------

# The example of the official script: classes ignore, grass, sky, person, dog.
GOLDEN = labels(
    (0, 0, 0, 0, 50),
    (1, 0, 1, 0, 40),
    (2, 0, 1, 0, 10),
    (2, 0, 2, 0, 40),
    (1, 0, 2, 0, 10),
    (3, 35, 4, 22, 50),
    (3, 8, 3, 33, 150),
    (3, 8, 3, 42, 50),
    (3, 95, 3, 11, 100),
)


def test_golden_example():
    result = score(GOLDEN, 5, things=(3, 4))
    assert result.pq == 0.47916666666666663
    assert result.sq == 0.5520833333333333
    assert result.rq == 0.6666666666666666
    assert result.miou == 0.5476190476190476
    assert result.class_pq.tolist() == [0, 2 / 3, 2 / 3, 0.5833333333333333, 0]
    assert result.class_iou.tolist() == [0, 2 / 3, 2 / 3, 0.8571428571428571, 0]
    assert result.accuracy == pytest.approx(380 / 450)
    assert result.pq_things == pytest.approx((0.5833333333333333 + 0) / 2)
    assert result.sq_things == pytest.approx(0.875 / 2)
    assert result.rq_things == pytest.approx(1 / 3)
    assert (result.pq_stuff, result.sq_stuff, result.rq_stuff) == (2 / 3, 2 / 3, 1.0)
    assert result.pq_dagger == pytest.approx((2 / 3 + 2 / 3 + 0.5833333333333333 + 0) / 4)
    assert result.tp.tolist() == [0, 1, 1, 2, 0]
    assert result.fp.tolist() == [0, 0, 0, 1, 0]
    assert result.fn.tolist() == [0, 0, 0, 1, 1]


# --- each rule alone: changing it fails exactly here -----------------------------------------


def counts(case, num_classes=3, min_points=1, **rest):
    result = score(case, num_classes, min_points, **rest)
    return tuple(int(part.sum()) for part in (result.tp, result.fp, result.fn))


def test_iou_of_exactly_one_half_is_no_match():
    assert counts(labels((1, 1, 1, 1, 2), (2, 1, 1, 1, 2))) == (0, 2, 1)
    assert counts(labels((1, 1, 1, 1, 3), (2, 1, 1, 1, 2))) == (1, 1, 0)


def test_a_match_counts_at_any_size():
    assert counts(labels((1, 1, 1, 1, 3)), min_points=50) == (1, 0, 0)


def test_unmatched_segments_count_from_min_points_on():
    below = labels((1, 1, 2, 1, 9))
    assert counts(below, min_points=9) == (0, 1, 1)
    assert counts(below, min_points=10) == (0, 0, 0)


def test_predictions_on_void_truth_are_taken_out_before_sizes_and_ious():
    inside = labels((1, 1, 1, 1, 6), (1, 1, 0, 0, 100))
    assert counts(inside) == (1, 0, 0)
    assert score(inside, 3).iou_sum[1] == 1.0
    assert counts(labels((1, 1, 2, 1, 9), (1, 1, 0, 0, 100)), min_points=10) == (0, 0, 0)
    assert counts(labels((1, 1, 0, 0, 100)), min_points=0) == (0, 0, 0)


def test_a_prediction_of_void_is_no_false_positive_but_misses_the_truth():
    result = score(labels((0, 0, 1, 1, 60)), 3)
    assert (result.tp.sum(), result.fp.sum(), result.fn.sum()) == (0, 0, 1)
    assert result.class_iou[1] == 0.0


def test_predicted_void_counts_against_iou_but_not_against_accuracy():
    result = score(labels((0, 0, 1, 1, 30), (1, 1, 1, 1, 10)), 3)
    assert result.class_iou[1] == pytest.approx(0.25)
    assert result.accuracy == 1.0


def test_true_void_does_not_count_against_iou():
    assert score(labels((1, 1, 1, 1, 10), (1, 1, 0, 0, 90)), 3).class_iou[1] == 1.0


def test_segments_of_different_classes_do_not_match():
    assert counts(labels((1, 7, 2, 7, 50))) == (0, 1, 1)


def test_equal_ids_of_different_classes_are_different_segments():
    assert counts(labels((1, 7, 1, 7, 50), (2, 7, 2, 7, 50))) == (2, 0, 0)


def test_stuff_with_two_ids_is_two_segments_and_id_zero_is_a_segment():
    split = labels((2, 0, 2, 0, 40), (2, 1, 2, 0, 60))
    assert counts(split, things=(1,)) == (1, 1, 0)


def test_moving_part_with_its_own_id_is_a_segment_of_its_own():
    case = labels((1, 10, 1, 10, 60), (1, 10, 1, 252, 40))
    assert counts(case) == (1, 0, 1)


def test_absent_classes_count_as_zero_unless_means_run_over_those_present():
    perfect = labels((1, 1, 1, 1, 80))
    assert score(perfect, 20).pq == pytest.approx(1 / 19)
    present = score(perfect, 20, mean="present")
    assert (present.pq, present.miou, present.pq_things) == (1.0, 1.0, 1.0)
    assert np.isnan(present.pq_stuff)
    wrong_class_too = labels((1, 1, 1, 1, 80), (2, 0, 1, 2, 80))
    assert score(wrong_class_too, 20, mean="present").pq == pytest.approx(1 / 1.5)


def test_pq_dagger_takes_iou_for_stuff_alone():
    case = labels((1, 1, 1, 1, 6), (2, 0, 1, 1, 4), (2, 0, 2, 0, 4))
    result = score(case, 3, things=(1,))
    assert result.pq_dagger == pytest.approx((0.6 + 0.5) / 2)


# --- against an obvious twin, where the official code fails ----------------------------------


def twin(case, num_classes, min_points, ignore=(0,)):
    """Segments as sets of points; every rule as its sentence says."""
    pred, true = {}, {}
    for i, (p, x, t, y) in enumerate(zip(*(part.tolist() for part in case), strict=True)):
        if t not in ignore:
            pred.setdefault((p, x), set()).add(i)
            true.setdefault((t, y), set()).add(i)
    tp, fp, fn = (np.zeros(num_classes, int) for _ in range(3))
    iou_sum = np.zeros(num_classes)
    matched = set()
    for (c, _), points in pred.items():
        ious = {
            key: len(points & other) / len(points | other)
            for key, other in true.items()
            if key[0] == c
        }
        best = max(ious, key=ious.get, default=None)
        if best is not None and ious[best] > 0.5:
            tp[c] += 1
            iou_sum[c] += ious[best]
            matched.add(best)
        elif len(points) >= min_points and c not in ignore:
            fp[c] += 1
    for key, points in true.items():
        fn[key[0]] += key not in matched and len(points) >= min_points
    return tp, fp, fn, iou_sum


def assert_equal_to_twin(case, num_classes, min_points, ignore=(0,)):
    result = score(case, num_classes, min_points, things=(), ignore=ignore)
    tp, fp, fn, iou_sum = twin(case, num_classes, min_points, ignore)
    np.testing.assert_array_equal(result.tp, tp)
    np.testing.assert_array_equal(result.fp, fp)
    np.testing.assert_array_equal(result.fn, fn)
    np.testing.assert_allclose(result.iou_sum, iou_sum, atol=1e-12)
    confusion = np.zeros((num_classes, num_classes), int)
    np.add.at(confusion, (case[0].astype(int), case[2].astype(int)), 1)
    np.testing.assert_array_equal(result.confusion, confusion)


INT64 = np.iinfo(np.int64)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([0, 1, -1, 2**31, 2**32, 2**48 + 1, INT64.max, INT64.min]),
            st.integers(0, 3),
            st.sampled_from([0, 7, -7, 2**31, 65536, INT64.max, INT64.min]),
            st.integers(1, 5),
        ),
        min_size=1,
        max_size=30,
    ),
    min_points=st.integers(0, 6),
    ignore=st.sampled_from([(0,), (), (1,), (0, 3)]),
)
def test_any_int64_is_an_id(rows, min_points, ignore):
    assert_equal_to_twin(labels(*rows), 4, min_points, ignore)


@pytest.mark.parametrize("num_points", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_chunks_leave_no_seam(num_points, is_shuffled):
    rng = np.random.default_rng(num_points)
    case = random_case(rng, 4, num_points, 5, 0.8)
    if is_shuffled:
        order = rng.permutation(num_points)
        case = tuple(part[order] for part in case)
    assert_equal_to_twin(case, 4, 3)


def test_more_segments_than_the_tables_start_with():
    rng = np.random.default_rng(5)
    size = 12 * CHUNK
    true_ids = rng.permutation(size)
    pred_ids = np.where(rng.random(size) < 0.5, true_ids, true_ids + size) * 2**40
    ones = np.ones(size, int)
    result = score((ones, pred_ids, ones, true_ids), 3)
    assert result.tp[1] == result.iou_sum[1] == size
    case = (ones, rng.integers(0, 3000, size), ones, rng.integers(0, 3000, size))
    matches = match_segments(*case, num_classes=3)
    pairs = np.unique(case[1] * 3000 + case[3], return_counts=True)
    assert len(matches.pair) == len(pairs[0])
    found = matches.pred[matches.pair[:, 0], 1] * 3000 + matches.true[matches.pair[:, 1], 1]
    order = np.argsort(found)
    np.testing.assert_array_equal(found[order], pairs[0])
    np.testing.assert_array_equal(matches.pair[order, 2], pairs[1])


def test_segments_that_share_a_slot_of_the_table_stay_apart():
    index, rows = np.full(8, -1, np.int32), np.zeros((1, 3), np.int64)
    rows[0] = 3, 77, 0
    taken = _slot(index, rows, 3, 77)
    same_id = next(c for c in range(4, 99) if _slot(index, rows, c, 77) == taken)
    same_class = next(i for i in range(99) if _slot(index, rows, 3, i) == taken)
    index[taken] = 0
    assert _slot(index, rows, 3, 77) == taken
    assert _slot(index, rows, same_id, 77) == _slot(index, rows, 3, same_class) == (taken + 1) % 8


def test_segments_are_listed_by_first_point_with_sizes():
    matches = match_segments(
        *labels((1, 9, 1, 5, 3), (2, 4, 0, 0, 2), (1, 9, 1, 6, 2)), num_classes=3
    )
    assert matches.pred.tolist() == [[1, 9, 5], [2, 4, 0]]
    assert matches.true.tolist() == [[1, 5, 3], [0, 0, 0], [1, 6, 2]]
    assert matches.pair.tolist() == [[0, 0, 3], [0, 2, 2]]
    assert matches.iou.tolist() == [0.6, 0.4]
    assert matches.missed(1).tolist() == [False, False, True]
    assert matches.invented(1).tolist() == [False, False]


def test_kernel_runs_without_compilation():
    code = (
        "import warnings; warnings.simplefilter('ignore', RuntimeWarning)\n"  # uint64 wraps
        "import numpy as np\n"
        "from lidarpan.metrics.contingency import count_overlaps\n"
        "rng = np.random.default_rng(0)\n"
        "case = [rng.integers(0, 3, 1500) for _ in range(4)]\n"
        "out = count_overlaps(*case, np.array([True, False, False]))\n"
        "print([part.tolist() for part in out])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"NUMBA_DISABLE_JIT": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    rng = np.random.default_rng(0)
    case = [rng.integers(0, 3, 1500) for _ in range(4)]
    compiled = count_overlaps(*case, np.array([True, False, False]))
    assert done.stdout.strip() == str([part.tolist() for part in compiled])


# --- accumulating ----------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), split=st.integers(0, 5))
def test_merge_equals_one_accumulator(seed, split):
    rng = np.random.default_rng(seed)
    cases = [random_case(rng, 5, 100) for _ in range(5)]
    whole, left, right = (PanopticQuality(5, (1, 2), min_points=5) for _ in range(3))
    for i, case in enumerate(cases):
        whole.update(*case)
        (left if i < split else right).update(*case)
    left.merge(copy.deepcopy(right))
    assert left.num_scans == whole.num_scans == 5
    np.testing.assert_array_equal(left.confusion, whole.confusion)
    np.testing.assert_array_equal(left.tp, whole.tp)
    assert left.compute().pq == pytest.approx(whole.compute().pq, abs=1e-12)


def test_scans_do_not_share_ids():
    quality = PanopticQuality(2, (1,), min_points=1)
    quality.update(*labels((1, 1, 1, 1, 10)))
    quality.update(*labels((1, 1, 1, 2, 10)))
    assert quality.compute().tp.tolist() == [0, 2]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_and_names_of_points_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    case = random_case(rng, 4)
    order = rng.permutation(len(case[0]))
    names = rng.permutation(100)
    shuffled = (case[0][order], names[case[1][order]], case[2][order], case[3][order] - 50)
    first, second = score(case, 4, 5), score(shuffled, 4, 5)
    assert first.pq == pytest.approx(second.pq, abs=1e-12)
    np.testing.assert_array_equal(first.fp, second.fp)


def test_truth_scored_against_itself_is_perfect():
    rng = np.random.default_rng(3)
    _, _, semantic, instance = random_case(rng, 6)
    result = score((semantic, instance, semantic, instance), 6, mean="present")
    assert result.pq == result.sq == result.rq == result.miou == result.accuracy == 1.0


def test_empty_scan_adds_nothing():
    nothing = np.zeros(0, np.int64)
    result = score((nothing,) * 4, 3)
    assert (result.pq, result.miou, result.accuracy) == (0.0, 0.0, 0.0)
    assert np.isnan(score((nothing,) * 4, 3, mean="present").pq)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int32, np.int64, np.uint64])
def test_any_integer_dtype_and_inputs_are_left_alone(dtype):
    case = tuple(part.astype(dtype) for part in GOLDEN)
    for part in case:
        part.setflags(write=False)
    assert score(case, 5).pq == 0.47916666666666663


def test_label_images_are_scored_flattened():
    truth = np.zeros((6, 8), np.int64)
    truth[1:5, 1:4] = 1  # a dog, 12 pixels
    guess = np.zeros_like(truth)
    guess[1:5, 2:5] = 1  # one pixel to the right: 8 in common
    quality = PanopticQuality(2, things=(1,), ignore=(), min_points=1)
    quality.update(guess.ravel(), guess.ravel(), truth.ravel(), truth.ravel())
    result = quality.compute()
    assert result.class_iou.tolist() == [32 / 40, 8 / 16]
    assert result.class_pq.tolist() == [32 / 40, 0.0]


def test_label_images_of_files_are_scored(tmp_path):
    truth = np.zeros((6, 8), np.uint16)
    truth[1:5, 1:4] = 300  # an id above 8 bits
    for name, image in (("semantic", truth > 0), ("instance", truth)):
        Image.fromarray(image.astype(np.uint16)).save(tmp_path / f"{name}.png")
    semantic, instance = (
        np.asarray(Image.open(tmp_path / f"{name}.png")).ravel()
        for name in ("semantic", "instance")
    )
    quality = PanopticQuality(2, things=(1,), ignore=(), min_points=1)
    matches = quality.update(semantic, instance, semantic, instance)
    assert matches.true[:, 1].tolist() == [0, 300]
    assert quality.compute().pq == 1.0


def test_examples_of_the_documentation():
    page = Path(__file__).parents[2] / "docs/metrics.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert not failed
    assert tried > 10


def test_score_labels_takes_the_benchmarks_rules():
    classes = load_class_table("nuscenes")
    car, road = classes.id_of("car"), classes.id_of("driveable_surface")
    semantic = np.array([car] * 14 + [road] * 30, np.uint8)
    instance = np.array([1] * 14 + [0] * 30, np.int32)
    truth = PanopticLabels(semantic, instance)
    blind = PanopticLabels(np.full(44, road, np.uint8), np.zeros(44, np.int32))
    result = score_labels(blind, truth, classes)
    assert result.fn.sum() == 0  # the car is below nuScenes' 15 points
    assert result.class_pq[road] == pytest.approx(30 / 44)


# --- input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ((np.zeros(3), np.zeros(3, int), np.zeros(3, int), np.zeros(3, int)), "float64"),
        ((np.zeros((2, 3), int),) * 4, "flatten"),
        ((np.zeros(3, int), np.zeros(3, int), np.zeros(4, int), np.zeros(4, int)), "one length"),
        ((np.array([3]), np.array([0]), np.array([1]), np.array([0])), "pred_semantic.*0..2"),
        ((np.array([1]), np.array([0]), np.array([-1]), np.array([0])), "true_semantic.*-1"),
    ],
)
def test_bad_labels_are_refused_and_add_nothing(case, message):
    quality = PanopticQuality(3, (1,), min_points=1)
    with pytest.raises(InputError, match=message):
        quality.update(*case)
    assert quality.num_scans == 0
    assert not quality.confusion.any()


@pytest.mark.parametrize(("ignore", "as_list"), [(0, [0]), (2, [2]), (None, [])])
def test_ignored_classes_may_be_one_number_or_none(ignore, as_list):
    """On which the official scripts stop."""
    case = random_case(np.random.default_rng(5), 5)
    first = score(case, 5, ignore=ignore)
    second = score(case, 5, ignore=as_list)
    assert first.pq == second.pq
    assert first.fn.tolist() == second.fn.tolist()


def test_bad_classes_are_refused():
    with pytest.raises(InputError, match=r"things: wanted class ids 0\.\.2"):
        PanopticQuality(3, (3,), min_points=1)
    with pytest.raises(InputError, match="things and ignored"):
        PanopticQuality(3, (0,), min_points=1)
    with pytest.raises(InputError, match="min_points"):
        PanopticQuality(3, (1,), min_points=-1)
    with pytest.raises(TypeError, match="min_points"):
        PanopticQuality(3, (1,))
    with pytest.raises(InputError, match="cannot merge"):
        PanopticQuality(3, (1,), min_points=1).merge(PanopticQuality(3, (1,), min_points=2))
