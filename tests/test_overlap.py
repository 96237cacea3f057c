import threading

import pytest

from lidarpan.overlap import overlap


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_same_results_in_the_same_order(count):
    stream = overlap(range(count), lambda i: i + 1, lambda i: i * 10, lambda i: f"{i}!")
    assert list(stream) == [f"{(i + 1) * 10}!" for i in range(count)]


def test_the_last_step_of_one_item_runs_beside_the_middle_of_the_next():
    """Each waits for the other: a serial loop would never end."""
    met = threading.Barrier(2, timeout=20)

    def middle(item):
        if item:
            met.wait()
        return item

    def after(item):
        if item < 3:
            met.wait()
        return item

    assert list(overlap(range(4), lambda i: i, middle, after)) == [0, 1, 2, 3]


def test_the_first_step_of_one_item_runs_beside_the_middle_of_the_one_before():
    met = threading.Barrier(2, timeout=20)

    def before(item):
        if item:
            met.wait()
        return item

    def middle(item):
        if item < 3:
            met.wait()
        return item

    assert list(overlap(range(4), before, middle, lambda i: i)) == [0, 1, 2, 3]


def test_with_workers_several_items_are_in_a_step_at_once_and_come_in_order():
    """Three meet in each outer step: fewer threads would never end."""
    before, after = (threading.Barrier(3, timeout=20) for _ in range(2))

    def meet(barrier):
        return lambda item: (barrier.wait(), item)[1]

    stream = overlap(range(6), meet(before), lambda i: i, meet(after), workers=3)
    assert list(stream) == list(range(6))


@pytest.mark.parametrize("step", range(3))
def test_an_error_comes_in_its_turn(step):
    def make(position):
        def run(item):
            if position == step and item == 2:
                raise OSError(28, "No space left on device")
            return item

        return run

    stream = overlap(range(6), *map(make, range(3)))
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(OSError, match="No space"):
        next(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("lidarpan-")]


def test_few_items_are_begun_ahead_and_none_after_closing():
    begun, finished = [], []
    stream = overlap(range(100), lambda i: begun.append(i) or i, lambda i: i, finished.append)
    next(stream)
    stream.close()
    assert len(begun) <= 5
    assert finished == list(range(len(finished)))
    assert not [t for t in threading.enumerate() if t.name.startswith("lidarpan-")]
