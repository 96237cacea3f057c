"""Stuff is what the scans around say of its place."""

import numpy as np
import pytest

from lidarpan.tracking.voting import CELL_M, MOST, WINDOW, StuffVotes

IS_STUFF = np.array([False, False, True, True, True])  # void, a thing, three kinds of stuff


def drive(rng, count=6, points=400, wrong=0.1):
    """Scans along x over ground whose class changes at x = 5, some points of each mistaken."""
    for k in range(count):
        pose = np.eye(4)
        pose[:3, 3] = 1.3 * k, 0.2, 1.7
        world = np.column_stack([rng.uniform(0.1, 9.9, (points, 2)), np.full(points, 0.1)])
        true = np.where(world[:, 0] < 5.0, 2, 3).astype(np.uint8)
        said = np.where(rng.random(points) < wrong, 4, true).astype(np.uint8)
        yield (world - pose[:3, 3]).astype(np.float32), said, true, pose


def twin(scans, k, semantic):
    """Votes of each cell counted one by one."""
    first, table = scans[0][3][:3, 3], {}

    def cell(point, pose):
        return tuple(np.floor((point + (pose[:3, 3] - first)) / CELL_M).astype(int))

    for points, said, _, pose in scans[max(k - WINDOW, 0) : k + WINDOW + 1]:
        for point, kind in zip(points, said, strict=True):
            if IS_STUFF[kind]:
                counts = table.setdefault(cell(point, pose), np.zeros(5))
                counts[kind] += 1
    result = semantic.copy()
    for i, point in enumerate(scans[k][0]):
        counts = table.get(cell(point, scans[k][3]))
        if IS_STUFF[semantic[i]] and counts.max() >= MOST * counts.sum():
            result[i] = counts.argmax()
    return result


def voted(scans):
    votes = StuffVotes(IS_STUFF)
    for points, said, _, pose in scans:
        votes.add(points, said, pose)
    return votes


def test_votes_are_those_of_a_loop_over_points():
    scans = list(drive(np.random.default_rng(3), points=150))
    votes = voted(scans)
    for k, (points, said, _, pose) in enumerate(scans):
        assert np.array_equal(votes.settle(k, points, said, pose), twin(scans, k, said))


def test_mistakes_of_single_scans_are_outvoted():
    scans = list(drive(np.random.default_rng(5), count=12, points=3000))
    votes = voted(scans)
    before = np.mean([np.mean(said == true) for _, said, true, _ in scans])
    after = np.mean(
        [np.mean(votes.settle(k, p, said, T) == true) for k, (p, said, true, T) in enumerate(scans)]
    )
    assert before < 0.92
    assert after > 0.97


@pytest.mark.parametrize("kind", [0, 1])
def test_things_and_void_neither_vote_nor_change(kind):
    scans = list(drive(np.random.default_rng(7), count=3))
    said = scans[1][1].copy()
    said[::3] = kind
    scans[1] = (scans[1][0], said, *scans[1][2:])
    settled = voted(scans).settle(1, scans[1][0], said, scans[1][3])
    assert np.array_equal(settled == kind, said == kind)


def test_an_empty_scan_votes_for_nothing():
    votes = StuffVotes(IS_STUFF)
    none, kinds = np.zeros((0, 3), np.float32), np.zeros(0, np.uint8)
    votes.add(none, kinds, np.eye(4))
    assert not len(votes.settle(0, none, kinds, np.eye(4)))
