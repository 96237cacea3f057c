"""What tracking does to a network's labels: PQ, mIoU and IDF1, single scans and tracked.

    python benchmarks/tracking_network.py --cache out/drives [--seeds 961 962 963 964 965 966]
        [--real ../shared/data] [--scans 24] [--sensor hdl64e] [--weights town] [--without-scores]
        [--mendings]

PQ and mIoU are means over the classes present. Scans are predicted, and towns simulated, once and
kept in the cache. Real drives: PandaSet, SemanticKITTI and, in the classes that all datasets have
in common, nuScenes. --without-scores tracks the labels as formats without scores and confidence
hold them, --mendings switches off each mending in turn. The last lines count all towns together;
their IDF1 is the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tracking import read_kitti, read_nuscenes

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.metrics import PanopticQuality, TrackingQuality
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import PanopticLabels
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.simulate import simulate_sequence
from lidarpan.tracking.evidence import confidence_of
from lidarpan.tracking.history import History
from lidarpan.tracking.tracker import Mending, Tracker
from lidarpan.tracking.voting import StuffVotes
from lidarpan.whole_file import whole_file

RATE_HZ = 10.0
REAL = (
    "pandaset/sequences/02", "semantickitti/sequences/00", "semantickitti/sequences/08", "nuscenes",
)  # fmt: skip


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
    """Of one or several drives; in `classes`, which are the network's or the common ones."""

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
            said = answer.semantic
            if frame.labels.classes.names != self.classes.names:
                said = frame.labels.classes.to_coarse[said]
            four = (
                said, answer.instance.astype(np.int64),
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
            points, pose, time_s, score, sure, *four = (kept[f"{k}_{i}"] for i in range(9))
            said, ids, true, true_ids = four
            labels = PanopticLabels(said, ids, score, classes, sure.astype(np.float32) / 255)
            yield Frame(points, labels, PanopticLabels(true, true_ids), pose, float(time_s))


def town_frames(pipeline: PanopticPipeline, seed: int, sensor: str, count: int) -> Iterator[Frame]:
    for step in simulate_sequence(seed, SENSORS[sensor], count, RATE_HZ):
        truth, labels = step.labels(pipeline.classes), pipeline.predict(step.scan)
        yield Frame(step.scan.points, labels, truth, step.scan.world_T_sensor, step.time_s)


def real_frames(pipeline: PanopticPipeline, folder: Path) -> Iterator[Frame]:
    if (folder / "velodyne").is_dir():
        (classes, frames), scans = read_kitti(folder), (folder / "velodyne").glob("*.bin")
    else:
        (classes, frames), scans = read_nuscenes(folder), (folder / "LIDAR_TOP").glob("*.bin")
    for f, scan in zip(frames, sorted(scans), strict=True):
        semantic, instance = f.semantic, f.instance
        if classes.names != pipeline.classes.names:
            semantic = classes.to_coarse[semantic]
        truth = PanopticLabels(semantic, instance)
        yield Frame(f.points, pipeline.predict(scan), truth, f.pose, f.time_s)


def keep_drive(file: Path, frames: Iterable[Frame]) -> None:
    kept: dict[str, np.ndarray] = {}
    count = 0
    for f in frames:
        parts = (
            f.points, f.pose, np.array(f.time_s), f.labels.score,
            np.round(f.labels.confidence * 255).astype(np.uint8),
            f.labels.semantic, f.labels.instance, f.truth.semantic, f.truth.instance,
        )  # fmt: skip
        kept |= {f"{count}_{i}": part for i, part in enumerate(parts)}
        count += 1
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file, suffix=".npz") as beside:
        np.savez_compressed(beside, count=np.array(count), **kept)


def tracked(drive: list[Frame], classes: ClassTable, mending: Mending) -> list[PanopticLabels]:
    """As `lidarpan track` answers."""
    tracker, ids, answers = Tracker(classes, mending=mending), [], []
    history = History(tracker.facts, mending.places)
    votes = StuffVotes(~classes.is_thing & (np.arange(classes.num_classes) > 0))
    for f in drive:
        found = tracker.update(f.points, f.labels, f.time_s, f.pose)
        history.add(found)
        ids.append(np.maximum(found.labels.instance, found.buried_ids))
        if mending.stuff:
            votes.add(f.points, found.labels.semantic, confidence_of(f.labels), f.pose)
    whole = history.conclude()
    for k, f in enumerate(drive):
        semantic, sure = f.labels.semantic, confidence_of(f.labels)
        names = whole.name_points(ids[k], k, semantic, f.points, f.pose)
        score = np.ones(len(names), np.float32)
        if f.labels.score is not None:
            score = f.labels.score[f.labels.instance]
        if mending.classes:
            semantic = whole.mended(semantic, score, names, classes.is_thing)
        if mending.stuff:
            semantic = votes.settle(k, f.points, semantic, sure, f.pose)
        answers.append(PanopticLabels(semantic, names))
    return answers


ROWS = {"tracked, stuff as it was": Mending(stuff=False), "tracked": Mending()}
MENDINGS = {
    "all": Mending(),
    "without classes": Mending(classes=False),
    "without join": Mending(join=False),
    "without cut": Mending(cut=False),
    "without places": Mending(places=False),
    "without stuff": Mending(stuff=False),
    "none": Mending(False, False, False, False, False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--real", type=Path, help="folder of real drives")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the drives")
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--sensor", default="hdl64e")
    parser.add_argument("--weights", default="town")
    parser.add_argument("--without-scores", action="store_true", help="as .label files have them")
    parser.add_argument("--mendings", action="store_true", help="each mending off in turn")
    given = parser.parse_args()
    rows = MENDINGS if given.mendings else ROWS
    pipeline = PanopticPipeline.from_weights(given.weights, device="cpu")
    classes = pipeline.classes
    drives = {
        str(seed): (
            f"network-{given.sensor}-{seed}-{given.scans}",
            town_frames(pipeline, seed, given.sensor, given.scans),
        )
        for seed in given.seeds
    }
    for name in REAL if given.real else ():
        frames = real_frames(pipeline, given.real / name)
        drives[name] = (f"network-{name.replace('/', '-')}", frames)
    towns = {row: Scores(classes) for row in ("single", *rows)}
    print("| drive | labels | PQ | PQ of things | mIoU | IDF1 | switches |")
    print("|---|---|---|---|---|---|---|")
    for name, (stem, frames) in drives.items():
        file = given.cache / f"{stem}.npz"
        if not file.exists():
            keep_drive(file, frames)
        drive = list(read_drive(file, classes))
        if given.without_scores:
            bare = [replace(f.labels, score=None, confidence=None) for f in drive]
            drive = [replace(f, labels=one) for f, one in zip(drive, bare, strict=True)]
        table = load_class_table("coarse") if name == "nuscenes" else classes
        answers = {"single": [f.labels for f in drive]}
        answers |= {row: tracked(drive, classes, mending) for row, mending in rows.items()}
        for row, answer in answers.items():
            print(f"| {name} | {row} | {Scores(table).add(drive, answer)}", flush=True)
            if name not in REAL:
                towns[row].add(drive, answer)
    if given.seeds:
        for row, scores in towns.items():
            print(f"| all towns | {row} | {scores}")


if __name__ == "__main__":
    main()
