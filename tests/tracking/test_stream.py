"""Streams: what is late, empty or too fast has a rule."""

import io
import threading
from dataclasses import replace

import numpy as np
import pytest
from drives import at, car, look

from lidarpan.classes import load_class_table
from lidarpan.errors import InputError
from lidarpan.scans.source import FileSource
from lidarpan.stream import Answer, Arrival, LiveStream, PanopticStream, paced
from lidarpan.stream.files import HEADER, MAGIC, StreamWriter, arrivals_of, arrivals_of_pipe
from lidarpan.stream.score import Known, StreamRecord, carried
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.tracking.tracker import Tracker

KITTI = load_class_table("semantickitti")


def seen(t, rng):
    points, semantic, number = look([car(1, 9.0, 4.0), car(2, -6 + 8 * t, -5.0)], at(0, 0), rng)
    scan = Scan(points, np.zeros(len(points), np.float32))
    return scan, PanopticLabels(semantic, number)


def new_stream(predictor=None):
    return PanopticStream(predictor, Tracker(KITTI))


def nothing():
    empty = Scan(np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    return empty, PanopticLabels(np.zeros(0, np.uint8), np.zeros(0, np.int32))


def test_late_doubled_and_unordered_scans_are_refused_and_counted():
    stream, rng = new_stream(), np.random.default_rng(1)
    for t in (0.0, 0.1, 0.1, 0.05, 0.2):
        scan, labels = seen(t, rng)
        answer = stream.push(scan, t, labels=labels)
        assert (answer is None) == (t in (0.05,) or (t == 0.1 and stream.counts.late == 1))
    assert (stream.counts.answered, stream.counts.late) == (3, 2)


def test_ids_last_over_an_empty_scan_and_a_lost_sensor():
    stream, rng = new_stream(), np.random.default_rng(1)
    scan, labels = seen(0.0, rng)
    for k in range(5):
        first = stream.push(scan, 0.1 * k, labels=labels)
    empty, void = nothing()
    assert stream.push(empty, 0.5, labels=void).labels.num_points == 0
    later = stream.push(scan, 30.0, labels=labels)
    rests = labels.instance == 1
    before = np.unique(first.labels.instance[rests]).tolist()
    assert np.unique(later.labels.instance[rests]).tolist() == before
    assert stream.counts.empty == 1


def test_a_clock_set_anew_starts_anew_with_fresh_ids():
    stream, rng = new_stream(), np.random.default_rng(1)
    scan, labels = seen(0.0, rng)
    first = stream.push(scan, 1000.0, labels=labels)
    again = stream.push(scan, 1.0, labels=labels)
    assert stream.counts.restarts == 1
    assert not set(first.objects.id) & set(again.objects.id)


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_memory_is_the_same_after_many_pushes(count):
    stream = new_stream()
    points = np.float32([[5, 3, -1], [5.2, 3, -1], [5.4, 3, -1], [5.6, 3.2, -1]])
    scan = Scan(points, np.zeros(4, np.float32))
    labels = PanopticLabels(np.full(4, 1, np.uint8), np.ones(4, np.int32))
    sizes = set()
    for k in range(count):
        pose = at(3.0 * k, 0.0)  # the object drives along, all others fall behind
        stream.push(scan, 0.1 * k, pose, labels)
        if k % (count // 4) == count // 4 - 1:
            together = stream.tracker._together
            counts = sum(map(len, (together._apart, together._widest, together._as_one)))
            sizes.add((stream.tracker.store.num_tracks, counts))
    assert len(sizes) == 1


class Slow:
    """A network that answers when it is told to."""

    def __init__(self):
        self.go = threading.Semaphore(0)

    def predict(self, scan):
        self.go.acquire()
        n = scan.num_points
        return PanopticLabels(np.full(n, 1, np.uint8), np.ones(n, np.int32))


def arrivals(count):
    scan = Scan(np.float32([[5, 3, -1], [5.2, 3, -1]]), np.zeros(2, np.float32))
    return [Arrival(f"{k}", scan, 0.1 * (k + 1), 0.0) for k in range(count)]


def test_where_scans_come_faster_than_answers_the_newest_is_taken():
    slow = Slow()
    live = LiveStream(new_stream(slow))
    all_read = threading.Event()

    def source():
        yield from arrivals(10)
        all_read.set()

    answers = live.run(source())
    names = []
    worker = threading.Thread(target=lambda: names.extend(a.arrival.name for a in answers))
    worker.start()
    assert all_read.wait(10)
    for _ in range(10):
        slow.go.release()
    worker.join(10)
    assert names[-1] == "9"
    assert len(names) <= 3
    assert live.stream.counts.dropped == 10 - len(names)


def test_a_source_that_waits_loses_nothing():
    slow = Slow()
    for _ in range(10):
        slow.go.release()
    live = LiveStream(new_stream(slow), waits=True, clock=lambda: 2.0)
    assert [a.arrival.name for a in live.run(arrivals(10))] == [str(k) for k in range(10)]
    assert live.stream.counts.dropped == 0
    assert live.percentiles_s() == (2.0, 2.0, 2.0)


def test_an_exception_of_the_source_is_raised_where_answers_are_read():
    def source():
        yield from arrivals(1)
        raise InputError("the recording breaks off")

    slow = Slow()
    slow.go.release()
    with pytest.raises(InputError, match="breaks off"):
        list(LiveStream(new_stream(slow), waits=True).run(source()))


def test_scans_are_paced_by_their_times(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.sleep", lambda s: now.__setitem__(0, now[0] + s))
    came = [a.came_s for a in paced(arrivals(4), lambda: now[0], rate=2.0)]
    assert came == pytest.approx([100.0, 100.05, 100.1, 100.15])


def test_nobody_waits_for_another_recording(monkeypatch):
    """Its clock may be years ahead or behind."""
    now = [100.0]
    monkeypatch.setattr("time.sleep", lambda s: now.__setitem__(0, now[0] + s))
    first, second, third = arrivals(3)
    ahead = [replace(a, time_s=a.time_s + 1e8) for a in (first, second)]
    every = [first, second, *ahead, first, second, third]
    came = [a.came_s for a in paced(every, lambda: now[0], rate=1.0)]
    assert came == pytest.approx([100.0, 100.1, 100.1, 100.2, 100.2, 100.3, 100.4])


def test_scans_come_through_a_pipe():
    rows = np.float32([[1, 2, 3, 0.5], [4, 5, 6, 0.25]])
    content = b"".join(HEADER.pack(MAGIC, 2, 0.1 * k) + rows.tobytes() for k in (1, 2))
    found = list(arrivals_of_pipe(io.BytesIO(content)))
    assert [(a.name, a.time_s) for a in found] == [("000000.bin", 0.1), ("000001.bin", 0.2)]
    assert found[0].scan.points.tolist() == rows[:, :3].tolist()
    with pytest.raises(InputError, match="it ends after 1"):
        list(arrivals_of_pipe(io.BytesIO(content[:-16])))
    with pytest.raises(InputError, match="wanted scan 0 with the header LPS1"):
        list(arrivals_of_pipe(io.BytesIO(b"#ROSBAG V2.0\n rest of it")))


def test_a_folder_is_streamed_to_labels_of_all_points_of_its_files(tmp_path):
    for k in range(3):
        rows = np.float32([[5, 3, -1, 0], [np.nan, 3, -1, 0], [5.4, 3, -1, 0]])
        rows.tofile(tmp_path / f"{k:06d}.bin")
    (tmp_path / "times.txt").write_text("1.0\n1.1\n1.2\n")
    files = sorted(tmp_path.glob("*.bin"))
    slow = Slow()
    for _ in files:
        slow.go.release()
    live = LiveStream(new_stream(slow), waits=True)
    writer = StreamWriter(tmp_path / "out", "semantickitti", KITTI)
    found = list(live.run(arrivals_of([FileSource(tmp_path, files)])))
    assert [answer.arrival.time_s for answer in found] == [1.0, 1.1, 1.2]
    for answer in found:
        packed = np.fromfile(writer.write(answer), np.uint32)
        assert packed.tolist() == [10 | 1 << 16, 0, 10 | 1 << 16]


def late_scores(latency_s, *, dropped=()):
    """Scores of true labels that come latency_s after their scans; a third car comes at 0.6 s."""
    rng = np.random.default_rng(1)
    stream, record, arrivals, truths = new_stream(), StreamRecord(1.0), [], {}
    for k in range(12):
        bodies = [car(1, 9.0, 4.0), car(2, -6 + 0.8 * k, -5.0), car(3, 20.0, -9.0)]
        points, semantic, number = look(bodies if k >= 6 else bodies[:2], at(0, 0), rng)
        scan = Scan(points, np.zeros(len(points), np.float32))
        labels = PanopticLabels(semantic, number)
        arrivals.append(Arrival(f"{k:06d}.bin", scan, 0.1 * k, 0.0))
        truths[arrivals[-1].name] = labels
        if k not in dropped:
            tracked = stream.push(scan, 0.1 * k, labels=labels)
            record.add(Answer(arrivals[-1], tracked, latency_s))
    return record.score(arrivals, lambda arrival: truths[arrival.name], KITTI)


def test_an_answer_is_scored_against_the_world_at_the_time_it_comes():
    soon, late = late_scores(0.05), late_scores(0.55)
    assert soon.at_once.pq == late.at_once.pq > 0
    assert soon.age_s == pytest.approx(0.1)
    assert late.age_s == pytest.approx(0.6)
    assert (soon.num_scans, late.num_scans) == (11, 6)
    assert late.late.pq < soon.late.pq
    assert 0.9 * soon.at_once.miou < soon.late.miou <= soon.at_once.miou


def test_a_dropped_scan_is_answered_by_the_one_before():
    scores = late_scores(0.05, dropped=(3, 4))
    assert scores.num_scans == 11
    assert scores.age_s == pytest.approx((9 * 0.1 + 0.2 + 0.3) / 11)


def test_moving_things_of_an_answer_are_moved_on():
    still = Scan(np.float32([[0, 0, 0], [5, 0, 0]]), np.zeros(2, np.float32))
    labels = PanopticLabels(np.uint8([1, 9]), np.int32([4, 0]))
    known = Known(0.0, 0.0, still.points.astype(float), labels, np.array([[8.0, 0.0], [0.0, 0.0]]))
    later = Scan(np.float32([[4, 0, 0], [6, 0, 0]]), np.zeros(2, np.float32))
    assert carried(known, later, 0.5).instance.tolist() == [4, 0]


def test_answers_that_come_too_late_for_all_have_no_score():
    assert late_scores(5.0) is None
