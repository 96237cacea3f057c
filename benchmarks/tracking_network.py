"""What tracking does to a network's labels of towns: PQ, mIoU and IDF1, single scans and tracked.

    python benchmarks/tracking_network.py --seeds 901 902 903 904 905 906 --cache out/drives
        [--scans 24] [--sensor hdl64e] [--weights town] [--without-scores]

PQ and mIoU are means over the classes present. Drives are simulated and predicted once and kept in
the cache. --without-scores tracks the labels as formats without scores hold them. Stuff is not
voted on. The last lines count all drives together; their IDF1 is the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.metrics import PanopticQuality, TrackingQuality
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import PanopticLabels
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.simulate import simulate_sequence
from lidarpan.tracking.history import History
from lidarpan.tracking.tracker import Tracker
from lidarpan.whole_file import whole_file

RATE_HZ = 10.0


@dataclass
class Frame:
    """A scan with what the network says of it, and its truth."""

    points: np.ndarray
    labels: PanopticLabels
    truth: PanopticLabels
    pose: np.ndarray
    time_s: float


@dataclass
class Scores:
    """Of one or several drives."""

    classes: ClassTable
    switches: int = 0
    idf1: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules = (self.classes.num_classes, self.classes.things)
        self._quality = PanopticQuality(*self._rules, min_points=self.classes.min_points)

    def add(self, drive: list[Frame], answers: list[PanopticLabels]) -> Scores:
        """Count the answers to a drive."""
        over_time = TrackingQuality(*self._rules, min_points=self.classes.min_points)
        for frame, answer in zip(drive, answers, strict=True):
            four = (
                answer.semantic, answer.instance.astype(np.int64),
                frame.truth.semantic, frame.truth.instance.astype(np.int64),
            )  # fmt: skip
            self._quality.update(*four)
            over_time.update("drive", *four)
        found = over_time.compute()
        self.idf1.append(found.idf1)
        self.switches += int(found.switches.sum())
        return self

    def __str__(self) -> str:
        q = self._quality
        present = (q.tp + q.fn > 0) & ~q.ignored
        pq = (q.iou_sum / np.maximum(q.tp + 0.5 * q.fp + 0.5 * q.fn, 0.5))[present]
        miou = q.compute().miou * (~q.ignored).sum() / present.sum()
        things = pq[q.is_thing[present]].mean()
        return (
            f"{pq.mean():.4f} | {things:.4f} | {miou:.4f} | {np.mean(self.idf1):.4f} | "
            f"{self.switches} |"
        )


def read_drive(file: Path, classes: ClassTable) -> Iterator[Frame]:
    with np.load(file) as kept:
        for k in range(int(kept["count"])):
            points, pose, time_s, score, *four = (kept[f"{k}_{i}"] for i in range(8))
            said, ids, true, true_ids = four
            labels = PanopticLabels(said, ids, score, classes)
            yield Frame(points, labels, PanopticLabels(true, true_ids), pose, float(time_s))


def make_drive(file: Path, pipeline: PanopticPipeline, seed: int, sensor: str, count: int) -> None:
    kept: dict[str, np.ndarray] = {"count": np.array(count)}
    for k, step in enumerate(simulate_sequence(seed, SENSORS[sensor], count, RATE_HZ)):
        truth, labels = step.labels(pipeline.classes), pipeline.predict(step.scan)
        parts = (
            step.scan.points, step.scan.world_T_sensor, np.array(step.time_s), labels.score,
            labels.semantic, labels.instance, truth.semantic, truth.instance,
        )  # fmt: skip
        kept |= {f"{k}_{i}": part for i, part in enumerate(parts)}
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file, suffix=".npz") as beside:
        np.savez_compressed(beside, **kept)


def tracked(drive: list[Frame], classes: ClassTable) -> list[PanopticLabels]:
    """As `lidarpan track` answers, without the vote on stuff."""
    tracker, ids, answers = Tracker(classes), [], []
    history = History(tracker.facts)
    for f in drive:
        found = tracker.update(f.points, f.labels, f.time_s, f.pose)
        history.add(found)
        ids.append(np.maximum(found.labels.instance, found.buried_ids))
    whole = history.conclude()
    for k, f in enumerate(drive):
        names = whole.name_points(ids[k], k, f.labels.semantic, f.points, f.pose)
        score = np.ones(len(names), np.float32)
        if f.labels.score is not None:
            score = f.labels.score[f.labels.instance]
        semantic = whole.mended(f.labels.semantic, score, names, classes.is_thing)
        answers.append(PanopticLabels(semantic, names))
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the drives")
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--sensor", default="hdl64e")
    parser.add_argument("--weights", default="town")
    parser.add_argument("--without-scores", action="store_true", help="as .label files have them")
    given = parser.parse_args()
    pipeline = PanopticPipeline.from_weights(given.weights, device="cpu")
    classes = pipeline.classes
    single, after = Scores(classes), Scores(classes)
    print("| drive | labels | PQ | PQ of things | mIoU | IDF1 | switches |")
    print("|---|---|---|---|---|---|---|")
    for seed in given.seeds:
        file = given.cache / f"network-{given.sensor}-{seed}-{given.scans}.npz"
        if not file.exists():
            make_drive(file, pipeline, seed, given.sensor, given.scans)
        drive = list(read_drive(file, classes))
        if given.without_scores:
            drive = [replace(f, labels=replace(f.labels, score=None)) for f in drive]
        before, now = [f.labels for f in drive], tracked(drive, classes)
        print(f"| {seed} | single | {Scores(classes).add(drive, before)}")
        print(f"| | tracked | {Scores(classes).add(drive, now)}", flush=True)
        single.add(drive, before)
        after.add(drive, now)
    print(f"| all | single | {single}\n| | tracked | {after}")


if __name__ == "__main__":
    main()
