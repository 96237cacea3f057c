"""Stuff is what the scans around say of its place."""

import numpy as np
import pytest

from lidarpan.tracking.voting import CELL_M, STEPS, WINDOW, StuffVotes

IS_STUFF = np.array([False, False, True, True, True])  # void, a thing, three kinds of stuff


def drive(rng, count=6, points=400, wrong=0.1):
    """Scans along x over ground whose class changes at x = 5; mistakes are made in doubt."""
    for k in range(count):
        pose = np.eye(4)
        pose[:3, 3] = 1.3 * k, 0.2, 1.7
        world = np.column_stack([rng.uniform(0.1, 9.9, (points, 2)), np.full(points, 0.1)])
        true = np.where(world[:, 0] < 5.0, 2, 3).astype(np.uint8)
        said = np.where(rng.random(points) < wrong, 4, true).astype(np.uint8)
        steps = np.where(
            said == true, rng.integers(180, 255, points), rng.integers(90, 200, points)
        )
        sure = (steps / STEPS).astype(np.float32)
        yield (world - pose[:3, 3]).astype(np.float32), said, true, sure, pose


def twin(scans, k, semantic):
    """Votes of each cell counted one by one."""
    first, table, seen = scans[0][4][:3, 3], {}, {}

    def cell(point, pose):
        return tuple(np.floor((point + (pose[:3, 3] - first)) / CELL_M).astype(int))

    around = scans[max(k - WINDOW, 0) : k + WINDOW + 1]
    for n, (points, said, _, sure, pose) in enumerate(around):
        for point, kind, each in zip(points, said, sure, strict=True):
            if IS_STUFF[kind]:
                at = cell(point, pose)
                table.setdefault(at, np.zeros(5))[kind] += round(STEPS * float(each))
                seen.setdefault(at, set()).add(n)
    result = semantic.copy()
    points, _, _, sure, pose = scans[k]
    for i, point in enumerate(points):
        if IS_STUFF[semantic[i]]:
            votes, count = table[cell(point, pose)], len(seen[cell(point, pose)])
            known = votes.max() / votes.sum() * count / (count + 1)
            if np.float32(known) >= sure[i]:
                result[i] = votes.argmax()
    return result


def voted(scans):
    votes = StuffVotes(IS_STUFF)
    for points, said, _, sure, pose in scans:
        votes.add(points, said, sure, pose)
    return votes


def test_votes_are_those_of_a_loop_over_points():
    scans = list(drive(np.random.default_rng(3), points=150))
    votes = voted(scans)
    for k, (points, said, _, sure, pose) in enumerate(scans):
        assert np.array_equal(votes.settle(k, points, said, sure, pose), twin(scans, k, said))


def test_mistakes_of_single_scans_are_outvoted():
    scans = list(drive(np.random.default_rng(5), count=12, points=9000))
    votes = voted(scans)
    before = np.mean([np.mean(said == true) for _, said, true, _, _ in scans])
    settled = [votes.settle(k, points, said, *of) for k, (points, said, _, *of) in enumerate(scans)]
    after = np.mean([now == true for now, (_, _, true, *_) in zip(settled, scans, strict=True)])
    assert before < 0.92
    assert after > 0.97


@pytest.mark.parametrize("kind", [0, 1])
def test_things_and_void_neither_vote_nor_change(kind):
    scans = list(drive(np.random.default_rng(7), count=3))
    said = scans[1][1].copy()
    said[::3] = kind
    scans[1] = (scans[1][0], said, *scans[1][2:])
    settled = voted(scans).settle(1, scans[1][0], said, *scans[1][3:])
    assert np.array_equal(settled == kind, said == kind)


def test_an_empty_scan_votes_for_nothing():
    votes = StuffVotes(IS_STUFF)
    none, kinds = np.zeros((0, 3), np.float32), np.zeros(0, np.uint8)
    sure = np.zeros(0, np.float32)
    votes.add(none, kinds, sure, np.eye(4))
    assert not len(votes.settle(0, none, kinds, sure, np.eye(4)))


@pytest.mark.parametrize(("sure", "stays"), [(0.9, True), (0.5, False)])
def test_what_a_scan_is_sure_of_stays_among_others(sure, stays):
    """A trunk among leaves, seen once in three scans, each time with as many leaves in its cell."""
    votes = StuffVotes(IS_STUFF)
    points = np.full((4, 3), 0.1, np.float32)
    leaves, trunk = np.full(4, 2, np.uint8), np.array([2, 2, 3, 3], np.uint8)
    doubt = np.full(4, 0.7, np.float32)
    seen = np.array([0.7, 0.7, sure, sure], np.float32)
    for kinds, each in ((leaves, doubt), (trunk, seen), (leaves, doubt)):
        votes.add(points, kinds, each, np.eye(4))
    settled = votes.settle(1, points, trunk, seen, np.eye(4))
    assert settled.tolist() == ([2, 2, 3, 3] if stays else [2, 2, 2, 2])
