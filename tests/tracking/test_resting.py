"""Things at rest have one name for the place they fill."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.tracking.association import spread_cost, unknown_motion_cost
from lidarpan.tracking.resting import name_by_place


def views(table):
    """(scan, name, middle x) rows to the arguments of name_by_place: a car's side each."""
    table = sorted(table)
    side = np.column_stack([np.linspace(-0.9, 0.9, 7), np.zeros(7)])
    places = np.concatenate([side + np.array([x, 0.0]) for _, _, x in table])
    start = 7 * np.arange(len(table) + 1)
    scan, name, _ = (np.array(column) for column in zip(*table, strict=True))
    kind = np.ones(len(table), np.int64)
    return places, start, name.astype(np.int64), kind, scan.astype(np.int64)


def test_a_neighbour_s_name_is_outvoted():
    truth = [(k, name, 3.0 * name) for k in range(8) for name in (1, 2)]
    wrong = [(k, 3 - name if k == 5 else name, x) for k, name, x in truth]
    assert sorted(name_by_place(*views(wrong))[0].tolist()) == sorted(n for _, n, _ in truth)
    arguments = views(wrong)
    x = arguments[0].reshape(-1, 7, 2).mean(axis=1)[:, 0]
    assert np.array_equal(name_by_place(*arguments)[0], np.round(x / 3.0))


def test_two_names_of_one_place_become_the_more_frequent_one():
    rows = [(k, 4 if k < 5 else 9, 0.0) for k in range(8)]
    assert set(name_by_place(*views(rows))[0].tolist()) == {4}


def test_a_piece_shares_the_name_of_the_thing_it_lies_in():
    rows = [(k, 1, 0.0) for k in range(6)]
    places, start, name, kind, scan = views(rows)
    piece = np.array([[0.1, 0.0], [0.4, 0.0]])
    places = np.concatenate([places, piece])
    start = np.append(start, start[-1] + 2)
    arguments = np.append(name, 1), np.append(kind, 1), np.append(scan, 5)
    named, _ = name_by_place(places, start, *arguments)
    assert named.tolist() == [1] * 7


def test_a_thing_never_takes_the_name_of_one_of_another_class():
    rows = [(k, 4 if k < 5 else 9, 0.0) for k in range(8)]
    places, start, name, _, scan = views(rows)
    kind = np.where(name == 9, 2, 1)
    named, filled = name_by_place(places, start, name, kind, scan)
    assert np.array_equal(named, name)
    for k in (1, 2):
        there, share = filled.at(places[:7], np.full(7, k))
        assert set(there.tolist()) == {4 if k == 1 else 9}
        assert share == pytest.approx(1.0)
    assert not filled.at(places[:7], np.full(7, 3))[0].any()


def test_nothing_at_rest_has_no_names():
    none = np.zeros(0, np.int64)
    assert not len(name_by_place(np.zeros((0, 2)), np.zeros(1, np.int64), none, none, none)[0])


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.integers(2, 5))
def test_things_apart_keep_the_names_they_always_had(names, count):
    rows = [(k, name, 3.0 * spot) for k in range(count) for spot, name in enumerate(names)]
    _, _, name, _, _ = arguments = views(rows)
    assert np.array_equal(name_by_place(*arguments)[0], name)


def test_a_single_place_far_away_is_no_proof_of_a_move():
    few, many = 1.0, 0.1
    near = unknown_motion_cost(1.0, 0.0, 0.1, 0.0, 30.0, 0.0, 0.0, few)
    far = unknown_motion_cost(10.0, 0.0, 1.0, 0.0, 30.0, 0.0, 0.0, few)
    assert far > near + 3  # the same speed, in a place a hundred times as large
    assert far > unknown_motion_cost(10.0, 0.0, 1.0, 0.0, 30.0, 0.0, 0.0, many) + 3
    assert spread_cost(0.0, few) == pytest.approx(0.0)
    assert spread_cost(1.0, few) == pytest.approx(np.log(1 + 1 / 0.25**2))
