"""Fusion: one test per rule, then an obvious twin and what always holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.classes import load_class_table
from lidarpan.grouping.fusion import merge_semantic_and_instance, protect
from lidarpan.structures import InputError

KITTI = load_class_table("semantickitti")
NUM = KITTI.num_classes
CAR, PERSON, TRUCK, ROAD, FENCE, PLANT = (
    KITTI.id_of(name) for name in ("car", "person", "truck", "road", "fence", "vegetation")
)


def merge(semantic, instance, softmax=None, **kwargs):
    return merge_semantic_and_instance(
        np.array(semantic, np.uint8), np.array(instance, np.int32), softmax, KITTI, **kwargs
    )


def probabilities(*rows):
    """Rows of {class: probability} -> (N, C) float32."""
    out = np.zeros((len(rows), NUM), np.float32)
    for i, row in enumerate(rows):
        for c, value in row.items():
            out[i, c] = value
    return out


def test_majority_without_probabilities_counts_points():
    labels = merge([CAR, CAR, TRUCK, ROAD], [7, 7, 7, 0])
    assert labels.semantic.tolist() == [CAR, CAR, CAR, ROAD]
    assert labels.instance.tolist() == [1, 1, 1, 0]
    assert labels.score == pytest.approx([0, 2 / 3])


def test_majority_is_weighted_by_probabilities():
    softmax = probabilities({CAR: 0.5, TRUCK: 0.4}, {CAR: 0.5, TRUCK: 0.4}, {TRUCK: 0.9})
    labels = merge([CAR, CAR, TRUCK], [1, 1, 1], softmax)
    assert labels.semantic.tolist() == [TRUCK] * 3
    assert labels.score == pytest.approx([0, 1.7 / 3])


def test_an_instance_takes_stuff_and_void_unless_protected():
    semantic, instance = [CAR, CAR, FENCE, 0, ROAD], [1, 1, 1, 1, 1]
    labels = merge(semantic, instance)
    assert labels.semantic.tolist() == [CAR, CAR, CAR, CAR, ROAD]
    assert labels.instance.tolist() == [1, 1, 1, 1, 0]
    labels = merge(semantic, instance, protected=[("car", "fence")])
    assert labels.semantic.tolist() == [CAR, CAR, FENCE, CAR, CAR]


def test_overlapping_claims_go_to_the_higher_score():
    softmax = probabilities({CAR: 0.9}, {CAR: 0.9, PERSON: 0.6}, {PERSON: 0.6})
    claims = [[4, 0], [9, 4], [9, 0]]
    labels = merge([CAR, CAR, PERSON], claims, softmax)
    assert labels.instance.tolist() == [1, 1, 2]
    assert labels.semantic.tolist() == [CAR, CAR, PERSON]
    center_score = np.ones(10, np.float32)
    center_score[4] = 0.1
    labels = merge([CAR, CAR, PERSON], claims, softmax, center_score=center_score)
    assert labels.instance.tolist() == [1, 2, 2]
    assert labels.semantic.tolist() == [CAR, PERSON, PERSON]
    assert labels.score == pytest.approx([0, 0.09, 0.6])


def test_equal_claims_go_to_the_lower_id():
    labels = merge([CAR, CAR, CAR], [[2, 0], [2, 1], [1, 0]])
    assert labels.instance.tolist() == [1, 2, 2]


def test_tiny_segments_go_back_to_the_best_stuff_or_void():
    softmax = probabilities({CAR: 0.8, PLANT: 0.1, FENCE: 0.05}, {CAR: 1.0}, {CAR: 1.0})
    labels = merge([CAR] * 3, [1, 2, 2], softmax, min_segment_points=2)
    assert labels.semantic.tolist() == [PLANT, CAR, CAR]
    assert labels.instance.tolist() == [0, 1, 1]
    assert len(labels.score) == 2
    assert merge([CAR] * 3, [1, 2, 2], min_segment_points=2).semantic.tolist() == [0, CAR, CAR]


def test_a_thing_without_an_instance_becomes_the_best_stuff_or_void():
    softmax = probabilities({CAR: 0.6, FENCE: 0.4}, {CAR: 1.0})
    assert merge([CAR, CAR], [0, 0], softmax).semantic.tolist() == [FENCE, 0]
    assert merge([CAR, CAR], [0, 0]).semantic.tolist() == [0, 0]


def test_an_instance_without_any_thing_dissolves():
    labels = merge([FENCE, ROAD, 0], [1, 1, 1])
    assert labels.semantic.tolist() == [FENCE, ROAD, 0]
    assert labels.instance.tolist() == [0, 0, 0]


def test_ids_may_be_large_and_far_apart():
    far = 2_000_000_000
    labels = merge([CAR, PERSON, CAR], [far, 5, far])
    assert labels.instance.tolist() == [1, 2, 1]


def test_empty_scan():
    labels = merge([], np.zeros(0))
    assert labels.num_points == 0
    assert labels.score.tolist() == [0]


def test_ground_is_protected_by_default_and_tables_are_named():
    table = protect(KITTI)
    assert table[CAR, ROAD]
    assert not table[CAR, FENCE]
    assert table.sum() == len(KITTI.things) * len(KITTI.ground)
    assert protect(KITTI, []).sum() == 0
    with pytest.raises(InputError, match=r"\(thing, stuff\), got \('road', 'car'\)"):
        protect(KITTI, [("road", "car")])
    with pytest.raises(InputError, match="no class 'boat'"):
        protect(KITTI, [("boat", "road")])


def twin(semantic, instance, softmax, least):
    """The rules in plain Python for one claim per point: class and object of every point."""
    things, stuff = set(KITTI.things), list(KITTI.stuff)
    table = protect(KITTI)
    label, taken = {}, {}
    for k in set(instance.tolist()) - {0}:
        of = np.flatnonzero(instance == k)
        sums = [float(softmax[of, c].astype(float).sum()) if c in things else 0 for c in range(NUM)]
        label[k] = int(np.argmax(sums))
        taken[k] = [i for i in of if not table[label[k], semantic[i]]]
    out = []
    for i, k in enumerate(instance.tolist()):
        if k and i in taken[k] and len(taken[k]) >= least:
            out.append((label[k], k))
        elif semantic[i] in things:
            out.append((max(stuff, key=lambda c: (softmax[i, c], -c)), 0))
        else:
            out.append((int(semantic[i]), 0))
    return out


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 60), st.integers(1, 4))
def test_equals_the_obvious_twin(seed, n, least):
    rng = np.random.default_rng(seed)
    softmax = rng.random((n, NUM)).astype(np.float32)
    semantic = rng.integers(0, NUM, n).astype(np.uint8)
    instance = rng.integers(0, 6, n).astype(np.int32)
    labels = merge(semantic, instance, softmax, min_segment_points=least)
    expected = twin(semantic, instance, softmax, least)
    assert labels.semantic.tolist() == [c for c, _ in expected]
    number = {0: 0}
    assert labels.instance.tolist() == [number.setdefault(k, len(number)) for _, k in expected]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 80), st.integers(1, 3), st.booleans())
def test_every_point_ends_with_one_class_and_things_with_one_instance(seed, n, claims, weighted):
    rng = np.random.default_rng(seed)
    softmax = rng.random((n, NUM)).astype(np.float32) if weighted else None
    semantic = rng.integers(0, NUM, n).astype(np.uint8)
    instance = rng.integers(0, 9, (n, claims)).astype(np.int32)
    before = semantic.copy(), instance.copy()
    labels = merge(semantic, instance, softmax, min_segment_points=2)
    assert ((labels.instance > 0) == KITTI.is_thing[labels.semantic]).all()
    for k in range(1, labels.instance.max() + 1):
        assert len(set(labels.semantic[labels.instance == k].tolist())) == 1
        assert (labels.instance == k).sum() >= 2
    assert len(labels.score) == labels.instance.max() + 1
    assert ((labels.score >= 0) & (labels.score <= 1)).all()
    assert (semantic == before[0]).all()
    assert (instance == before[1]).all()
    again = merge(labels.semantic, labels.instance)
    assert (again.semantic == labels.semantic).all()
    assert (again.instance == labels.instance).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"semantic": np.zeros(4, np.int64)}, "semantic must be"),
        ({"semantic": np.full(4, 99, np.uint8)}, "train id 99"),
        ({"instance": np.zeros(3, np.int32)}, r"instance must be \(4,\) or \(4, M\) int32, got"),
        ({"instance": np.zeros(4, np.float32)}, "instance must be"),
        ({"instance": np.full(4, -1, np.int32)}, "0 \\(none\\) or positive, got -1"),
        ({"softmax": np.zeros((4, 3), np.float32)}, r"softmax must be \(4, 20\) float32"),
        ({"center_score": np.ones(1, np.float32)}, r"each id 0\.\.1, got 1"),
    ],
)
def test_bad_input_is_refused(change, message):
    inputs = {
        "semantic": np.full(4, CAR, np.uint8),
        "instance": np.ones(4, np.int32),
        "softmax": None,
        "classes": KITTI,
    }
    with pytest.raises(InputError, match=message):
        merge_semantic_and_instance(**{**inputs, **change})


def test_uncertain_instances_go_back_to_stuff():
    softmax = probabilities(*[{CAR: 0.4, FENCE: 0.3, ROAD: 0.1}] * 3, *[{PERSON: 0.9}] * 2)
    semantic, instance = [CAR] * 3 + [PERSON] * 2, [1] * 3 + [2] * 2
    labels = merge(semantic, instance, softmax, min_score=0.5)
    assert labels.semantic.tolist() == [FENCE] * 3 + [PERSON] * 2
    assert labels.instance.tolist() == [0, 0, 0, 1, 1]
    assert labels.score == pytest.approx([0, 0.9])
    assert merge(semantic, instance, softmax, min_score=0.4).instance.max() == 2


def test_a_dissolved_instance_frees_the_points_it_claimed():
    softmax = probabilities({CAR: 0.3, PERSON: 0.2}, {CAR: 0.3}, {PERSON: 0.9})
    claims = [[1, 2], [1, 0], [2, 0]]
    labels = merge([CAR, CAR, PERSON], claims, softmax, min_score=0.4)
    assert labels.semantic.tolist() == [PERSON, 0, PERSON]


def test_scores_are_mapped_before_they_are_judged():
    softmax = probabilities({CAR: 0.8}, {PERSON: 0.4})
    rising = [(0.0, 0.0), (0.4, 0.1), (0.8, 0.5), (1.0, 1.0)]
    labels = merge([CAR, PERSON], [1, 2], softmax, score_map=rising)
    assert labels.score == pytest.approx([0, 0.5, 0.1])
    labels = merge([CAR, PERSON], [1, 2], softmax, score_map=rising, min_score=0.3)
    assert labels.score == pytest.approx([0, 0.5])


@pytest.mark.parametrize("bad", [[(0.5, 0.1), (0.4, 0.2)], [(0, 0.5), (1, 0.4)], [(0, 0), (1, 2)]])
def test_a_score_map_ascends_within_zero_and_one(bad):
    with pytest.raises(InputError, match="ascend"):
        merge([CAR], [1], score_map=bad)
