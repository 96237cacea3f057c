"""The tracker on drives whose identities are known."""

import numpy as np
import pytest
from drives import Body, at, bus, car, look, person

from lidarpan.classes import load_class_table
from lidarpan.errors import InputError
from lidarpan.grouping import group_points
from lidarpan.structures import PanopticLabels
from lidarpan.tracking.evidence import CLEAR
from lidarpan.tracking.history import History
from lidarpan.tracking.tracker import Mending, Tracker

KITTI = load_class_table("semantickitti")


def follow(scene, times, *, pose=lambda t: at(0, 0), grouped=True, seed=0, tracker=None):
    """Names that the tracker gives over time: {number: [(time, name), ...]}."""
    rng = np.random.default_rng(seed)
    tracker = tracker or Tracker(KITTI)
    names = {}
    for t in times:
        points, semantic, number = look(scene(t), pose(t), rng)
        instance = group_points(points, semantic, KITTI) if grouped else shuffled(number, rng)
        tracked = tracker.update(points, PanopticLabels(semantic, instance), t, pose(t))
        for k in np.unique(number):
            mine = tracked.labels.instance[number == k]
            values, count = np.unique(mine[mine > 0], return_counts=True)
            if len(values):
                names.setdefault(int(k), []).append((t, int(values[count.argmax()])))
    return names


def shuffled(number, rng):
    """The same instances under other ids, as single scans have them."""
    ids = np.unique(number)
    return (rng.permutation(len(ids)).astype(np.int32) + 1)[np.searchsorted(ids, number)]


def kept(track):
    return len({name for _, name in track}) == 1


TENTHS = np.arange(0, 4, 0.1).round(3)


def test_parked_and_driving_cars_keep_their_ids_while_the_sensor_drives():
    def scene(t):
        row = [car(k, 6.0 * k, 5.0) for k in range(1, 8)]
        return [*row, car(20, -20 + 12 * t, -3.5), car(21, 60 - 10 * t, 1.0, np.pi)]

    names = follow(scene, TENTHS, pose=lambda t: at(8 * t, -0.5))
    assert all(kept(track) for track in names.values())
    assert len({track[0][1] for track in names.values()}) == len(names)


def test_half_a_second_between_scans_is_enough():
    def scene(t):
        row = [car(k, 6.0 * k, 5.0) for k in range(1, 8)]
        return [*row, car(20, -20 + 12 * t, -3.5), car(21, 60 - 10 * t, 1.0, np.pi)]

    names = follow(scene, np.arange(0, 6, 0.5), pose=lambda t: at(8 * t, -0.5), grouped=False)
    assert all(kept(track) for track in names.values())


def passed_by_buses(case):
    """A standing car in a row, hidden by two buses for about two seconds."""
    rng = np.random.default_rng(case)
    x, y, yaw = rng.uniform(-12, 12), rng.uniform(9, 22), rng.uniform(-0.3, 0.3)
    start = x / y * 5.0 - 18 - rng.uniform(0, 3)
    row = [car(k, x + 7 * (k - 5), y + 0.3 * (k != 5), yaw) for k in (4, 5, 6)]

    def scene(t):
        return [*row, bus(1, start + 9 * t, 5.0), bus(2, start - 11.0 + 9 * t, 5.0)]

    return scene


def people_who_pass(case):
    """Two people who go past each other half a metre apart."""
    rng = np.random.default_rng(100 + case)
    middle = np.array([rng.uniform(-8, 8), rng.uniform(5, 15)])
    pace, turn = rng.uniform(1.0, 1.7, 2), rng.uniform(0, 2 * np.pi)
    way = np.array([np.cos(turn), np.sin(turn)])
    left = np.array([-way[1], way[0]])

    def scene(t):
        a = middle + way * pace[0] * (t - 2) + 0.25 * left
        b = middle - way * pace[1] * (t - 2) - 0.25 * left
        return [person(1, *a), person(2, *b)]

    return scene


@pytest.mark.parametrize("count", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_a_standing_car_keeps_its_id_through_two_seconds_of_occlusion(count):
    for case in range(count):
        seen = follow(passed_by_buses(case), np.arange(0, 6, 0.2).round(3), seed=case)[5]
        assert np.diff([t for t, _ in seen]).max() > 1.5, case
        assert kept(seen), (case, seen)


@pytest.mark.parametrize("count", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_people_who_pass_at_half_a_metre_keep_their_ids(count):
    good = 0
    for case in range(count):
        names = follow(people_who_pass(case), TENTHS, seed=case)
        ends = [(names[k][0][1], names[k][-1][1]) for k in (1, 2)]
        good += all(first == last for first, last in ends) and ends[0] != ends[1]
    assert good >= 0.9 * count - 1e-9


def test_boxes_and_speeds_are_near_the_truth():
    tracker = Tracker(KITTI)
    rng = np.random.default_rng(3)
    for t in TENTHS:
        bodies = [car(1, -15 + 10 * t, 6.0), car(2, 8.0, -5.0, 0.2)]
        points, semantic, number = look(bodies, at(0, 0), rng)
        tracked = tracker.update(points, PanopticLabels(semantic, number), float(t), at(0, 0))
    objects = tracked.objects
    assert objects.is_moving.tolist() == [True, False]
    np.testing.assert_allclose(objects.velocity[0], (10, 0), atol=0.7)
    np.testing.assert_allclose(objects.velocity[1], (0, 0), atol=0.2)
    np.testing.assert_allclose(objects.box[0, :2], (bodies[0].x, 6.0), atol=0.4)
    np.testing.assert_allclose(objects.box[1, :2], (8.0, -5.0), atol=0.4)
    np.testing.assert_allclose(objects.box[:, 3:5], [[4.4, 1.8]] * 2, atol=0.4)
    assert abs(objects.box[0, 6]) < 0.1
    assert objects.num_points.tolist() == [int((number == k).sum()) for k in (1, 2)]


def test_a_thing_moves_once_a_second_move_says_so():
    tracker, rng, moves = Tracker(KITTI), np.random.default_rng(3), []
    history = History(tracker.facts)
    for t in TENTHS[:5]:
        points, semantic, number = look([car(1, -15 + 10 * t, 6.0)], at(0, 0), rng)
        tracked = tracker.update(points, PanopticLabels(semantic, number), float(t), at(0, 0))
        history.add(tracked)
        moves += tracked.objects.is_moving.tolist()
    assert moves == [False, False, True, True, True]
    assert set(TENTHS[:5].tolist()) == history.conclude().moves[1]  # looking back from the first on


@pytest.mark.parametrize(("later_s", "way_m", "same"), [(0.5, 6, 1), (2.0, 0, 1), (2.0, 15, 0)])
def test_what_was_seen_once_long_ago_is_looked_for_only_where_it_was(later_s, way_m, same):
    def scene(t):
        return [] if 0 < t < later_s else [car(1, -10 + way_m * (t > 0), 6.0), person(2, 5.0, 5.0)]

    names = follow(scene, [0.0, later_s])
    assert kept(names[1]) == same
    assert kept(names[2])


def test_an_object_cut_in_two_is_joined_and_two_in_one_are_cut():
    tracker = Tracker(KITTI)
    rng = np.random.default_rng(4)
    bodies = [car(1, 10.0, 4.0), car(2, 10.0, 6.4), car(3, -9.0, 5.0)]
    for k in range(12):
        points, semantic, number = look(bodies, at(0, 0), rng)
        instance = number.copy()
        if k == 8:
            instance[instance == 2] = 1
        if k == 9:
            instance[(number == 3) & (points[:, 0] > -9.0)] = 7
        tracked = tracker.update(points, PanopticLabels(semantic, instance), k / 10, at(0, 0))
        names = [np.unique(tracked.labels.instance[number == n]).tolist() for n in (1, 2, 3)]
        assert names == [[1], [2], [3]], k


def test_a_car_that_is_longer_than_cars_are_is_whole_again_after_it_was_cut():
    tracker, rng, names = Tracker(KITTI), np.random.default_rng(4), []
    for k in range(20):
        body = Body(1, 1, -10.0 + k, 4.0, 6.4, 2.0, 1.7)
        points, semantic, number = look([body], at(0, 0), rng)
        instance = np.where((k in range(8, 13)) & (points[:, 0] > body.x), 7, number)
        labels = PanopticLabels(semantic, instance.astype(np.int32))
        tracked = tracker.update(points, labels, k / 10, at(0, 0))
        names.append(np.unique(tracked.labels.instance).tolist())
    assert all(one == [1] for one in names[:8] + names[13:]), names


def without_id(number, *buried):
    return np.where(np.isin(number, buried), 0, number).astype(np.int32)


def test_what_is_known_keeps_its_id_where_grouping_leaves_it_without_one():
    tracker, rng = Tracker(KITTI), np.random.default_rng(5)
    bodies = [car(1, 10.0, 4.0), person(2, 8.0, -3.0), person(3, 12.0, -6.0)]
    for k in range(8):
        points, semantic, number = look(bodies, at(0, 0), rng)
        instance = without_id(number, 2, 3) if k >= 5 else without_id(number, 3)
        tracked = tracker.update(points, PanopticLabels(semantic, instance), k / 10, at(0, 0))
        names = [np.unique(tracked.labels.instance[number == n]).tolist() for n in (1, 2, 3)]
        assert names == [[1], [2], [0]], k
        assert tracked.objects.id.tolist() == [1, 2]


def test_what_is_seen_free_in_the_end_is_named_from_the_first_scan_on():
    tracker, rng = Tracker(KITTI), np.random.default_rng(5)
    history, seen = History(tracker.facts), []
    for k in range(4):
        bodies = [car(1, 10.0, 4.0), person(2, 8.0 + 0.12 * k, -3.0), person(3, 12.0, -6.0)]
        points, semantic, number = look(bodies, at(0, 0), rng)
        instance = without_id(number, 3) if k == 3 else without_id(number, 2, 3)
        tracked = tracker.update(points, PanopticLabels(semantic, instance), k / 10, at(0, 0))
        assert np.unique(tracked.labels.instance[number == 2]).all() == (k == 3)
        history.add(tracked)
        ids = np.maximum(tracked.labels.instance, tracked.buried_ids)
        seen.append((ids, semantic, points, number))
    whole, names = history.conclude(), set()
    for k, (ids, semantic, points, number) in enumerate(seen):
        name = whole.name_points(ids, k, semantic, points, at(0, 0))
        assert not name[number == 3].any()
        names |= set(name[number == 2].tolist())
        assert len(whole.objects_of(k, k / 10, name).id) == 2
    assert len(names) == 1
    assert 0 not in names


def test_looking_back_two_at_rest_are_cut_apart_by_their_places():
    tracker, rng = Tracker(KITTI, mending=Mending(cut=False, join=False)), np.random.default_rng(4)
    history, seen = History(tracker.facts), []
    bodies = [car(1, 10.0, 4.0), car(2, 10.0, 6.4)]
    for k in range(8):
        points, semantic, number = look(bodies, at(0, 0), rng)
        instance = np.ones_like(number) if k == 5 else number
        labels = PanopticLabels(semantic, instance.astype(np.int32))
        tracked = tracker.update(points, labels, k / 10, at(0, 0))
        history.add(tracked)
        seen.append((tracked.labels.instance, semantic, points, number))
    whole, ways = history.conclude(), set()
    for k, (ids, semantic, points, number) in enumerate(seen):
        name = whole.name_points(ids, k, semantic, points, at(0, 0))
        ways.add(tuple(tuple(np.unique(name[number == n]).tolist()) for n in (1, 2)))
        objects = whole.objects_of(k, k / 10, name)
        assert objects.num_points.sum() == len(points)
        if k <= 5:
            np.testing.assert_allclose(np.sort(objects.box[:, 1]), [4.0, 6.4], atol=0.5)
    ((one,), (other,)) = ways.pop()
    assert not ways
    assert len({0, one, other}) == 3


def test_looking_back_no_point_takes_the_name_of_a_thing_of_another_class():
    tracker, rng = Tracker(KITTI, mending=Mending(cut=False, join=False)), np.random.default_rng(4)
    history, seen = History(tracker.facts), []
    truck = KITTI.names.index("truck")
    for k in range(8):
        points, semantic, _ = look([car(1, 10.0, 4.0)], at(0, 0), rng)
        rear = (points[:, 0] < 9.0) & (k not in (3, 5))
        semantic = np.where(rear, truck, semantic).astype(np.uint8)
        labels = PanopticLabels(semantic, np.where(rear, 2, 1).astype(np.int32))
        tracked = tracker.update(points, labels, k / 10, at(0, 0))
        history.add(tracked)
        seen.append((tracked.labels.instance, tracked.labels.semantic, points))
    whole = history.conclude()
    assert len({whole.class_of[name] for name in whole.lives}) == 2
    for k, (ids, semantic, points) in enumerate(seen):
        name = whole.name_points(ids, k, semantic, points, at(0, 0))
        assert len(np.unique(name)) == (1 if k in (3, 5) else 2), k


def test_each_mending_can_be_switched_off():
    rng = np.random.default_rng(4)
    bodies = [car(1, 10.0, 4.0), car(2, 10.0, 6.4)]
    tracker = Tracker(KITTI, mending=Mending(classes=False, join=False, cut=False))
    for k in range(6):
        points, semantic, number = look(bodies, at(0, 0), rng)
        instance = np.ones_like(number) if k == 5 else number
        semantic = np.where(number == 1, 4, semantic).astype(np.uint8) if k == 5 else semantic
        tracked = tracker.update(points, PanopticLabels(semantic, instance), k / 10, at(0, 0))
    assert len(np.unique(tracked.labels.instance)) == 1
    assert set(np.unique(tracked.labels.semantic)) == {1, 4}


def test_the_class_is_what_the_whole_life_says():
    tracker = Tracker(KITTI)
    rng = np.random.default_rng(6)
    for k in range(6):
        points, semantic, number = look([car(1, 10.0, 4.0)], at(0, 0), rng)
        said = np.full_like(semantic, 4 if k == 4 else 1)
        tracked = tracker.update(points, PanopticLabels(said, number), k / 10, at(0, 0))
        assert np.unique(tracked.labels.semantic).tolist() == [1]


def test_what_left_its_place_moves_however_slowly_and_what_is_passed_does_not():
    tracker, rng = Tracker(KITTI), np.random.default_rng(3)
    for k in range(30):
        t = 0.2 * k
        bodies = [car(1, 10.0 + 1.2 * t, 5.0), car(2, 10.0, -4.0)]
        points, semantic, number = look(bodies, at(5 * t, 0), rng)
        tracked = tracker.update(points, PanopticLabels(semantic, number), t, at(5 * t, 0))
        moves = dict(zip(tracked.objects.id.tolist(), tracked.objects.is_moving, strict=True))
        name = {n: int(tracked.labels.instance[number == n][0]) for n in (1, 2)}
        assert not moves[name[2]]
        assert moves[name[1]] or 1.2 * t < 5.0


@pytest.mark.parametrize("trucks", range(12))
def test_a_life_overrules_a_scan_only_where_most_of_it_agrees(trucks):
    tracker, rng = Tracker(KITTI), np.random.default_rng(trucks)
    history, said = History(tracker.facts), rng.permutation([4] * trucks + [1] * (11 - trucks))
    for k, kind in enumerate(said):
        points, semantic, number = look([car(1, 10.0, 4.0)], at(0, 0), rng)
        labels = PanopticLabels(np.full_like(semantic, kind), number)
        tracked = tracker.update(points, labels, k / 10, at(0, 0))
        history.add(tracked)
    whole, (name,) = history.conclude(), np.unique(tracked.labels.instance)
    named = np.full(50, name)
    kinds = [int(whole.objects_of(k, k / 10, named).class_id[0]) for k in range(11)]
    most = max(trucks, 11 - trucks)
    if most > 11 * CLEAR:
        said[:] = 4 if trucks == most else 1
    assert kinds == said.tolist()
    assert np.unique(tracked.labels.semantic).tolist() == kinds[-1:]


@pytest.mark.parametrize(
    ("usual", "other", "stays"),
    [(0.3, 0.4, True), (0.3, 0.25, False), (0.9, 0.8, False), (0.9, 1.0, False), (0.6, 0.9, True)],
)
def test_a_scan_that_is_surer_than_the_life_keeps_its_class(usual, other, stays):
    tracker, rng = Tracker(KITTI), np.random.default_rng(7)
    history, scans = History(tracker.facts), []
    for k in range(12):
        points, semantic, number = look([car(1, 10.0, 4.0)], at(0, 0), rng)
        kind, score = (5, other) if k == 11 else (4, usual)
        labels = PanopticLabels(
            np.full_like(semantic, kind), number, score=np.array([0.0, score], np.float32)
        )
        tracked = tracker.update(points, labels, k / 10, at(0, 0))
        history.add(tracked)
        scans.append((labels, tracked.labels.instance))
    expected = 5 if stays else 4
    assert np.unique(tracked.labels.semantic).tolist() == [expected]
    assert tracked.objects.class_id.tolist() == [expected]
    whole = history.conclude()
    for k, (labels, names) in enumerate(scans):
        score = labels.score[labels.instance]
        kinds = whole.mended(labels.semantic, score, names, KITTI.is_thing)
        assert np.unique(kinds).tolist() == [expected if k == 11 else 4]


def test_two_cars_side_by_side_stay_two_when_only_their_fronts_are_seen():
    tracker, rng = Tracker(KITTI), np.random.default_rng(8)
    row = [car(1, 10.0, 8.0, np.pi / 2), car(2, 12.0, 8.0, np.pi / 2)]
    for k, x in enumerate([-2.0, 0.0, 2.0, 20.0, 22.0, 24.0, *[12.0] * 8]):
        points, semantic, number = look(row, at(x, 0), rng)
        instance = number if k < 6 or k % 3 == 0 else np.ones_like(number)
        tracked = tracker.update(points, PanopticLabels(semantic, instance), k / 10, at(x, 0))
        ids = [np.unique(tracked.labels.instance[number == n]).tolist() for n in (1, 2)]
        assert max(map(len, ids)) == 1, (k, ids)
        assert ids[0] != ids[1], (k, ids)


@pytest.mark.parametrize("apart_m", [5.0, 9.0, 12.5])
def test_two_that_one_box_may_hold_are_remembered_as_two(apart_m):
    tracker, rng = Tracker(KITTI), np.random.default_rng(9)
    trucks = [Body(k, 4, 6.0 + k * apart_m, 6.0, 4.0, 2.5, 3.0) for k in (0, 1)]
    for k in range(6):
        points, semantic, number = look(trucks, at(0, 0), rng)
        labels = PanopticLabels(semantic, number + 1)
        tracked = tracker.update(points, labels, k / 10, at(0, 0))
    one, other = tracked.objects.id.tolist()
    assert not tracker._together.may_be_one(one, other)


def test_same_input_same_answer():
    def scene(t):
        return [car(1, -15 + 10 * t, 6.0), car(2, 8.0, -5.0), person(3, 5 - t, 5.0)]

    assert follow(scene, TENTHS) == follow(scene, TENTHS)


def test_memory_is_flat():
    tracker = Tracker(KITTI)
    rng = np.random.default_rng(8)
    most = 0
    for k in range(300):
        pose = at(20.0 * k, 0.0)
        bodies = [car(1, 20.0 * k + 12, 5.0), car(2, 20.0 * k - 5, -6.0)]
        points, semantic, number = look(bodies, pose, rng)
        tracker.update(points, PanopticLabels(semantic, number), k / 2, pose)
        most = max(most, tracker.store.num_tracks)
    assert most < 60


def test_empty_scans_are_answered():
    tracker = Tracker(KITTI)
    nothing = PanopticLabels(np.zeros(0, np.uint8), np.zeros(0, np.int32))
    empty = np.zeros((0, 3), np.float32)
    assert tracker.update(empty, nothing, 0.0).labels.num_points == 0
    points, semantic, number = look([car(1, 10.0, 4.0)], at(0, 0), np.random.default_rng(1))
    tracker.update(points, PanopticLabels(semantic, number), 0.1)
    assert len(tracker.update(empty, nothing, 0.2).objects.id) == 0


def test_wrong_input_says_what_was_wanted():
    tracker = Tracker(KITTI)
    nothing = PanopticLabels(np.zeros(0, np.uint8), np.zeros(0, np.int32))
    with pytest.raises(InputError, match="a label for each of 3 points, got 0"):
        tracker.update(np.zeros((3, 3), np.float32), nothing, 0.0)
    tracker.update(np.zeros((0, 3), np.float32), nothing, 1.0)
    with pytest.raises(InputError, match="order of time"):
        tracker.update(np.zeros((0, 3), np.float32), nothing, 1.0)
