"""How well ids last: the tracker beside no tracking, nearest centres and a tracker of boxes.

    python benchmarks/tracking.py [--real ../shared/data] [--seeds 901 902] [--scans 60]
        [--sensor hdl64e] [--scenes] [--cache DIR] [--mendings]

True semantics, grouped by `auto`, so that nothing but identities differs. Real drives: PandaSet at
10 Hz, the same at 2 Hz (every fifth scan, five times), nuScenes key frames, SemanticKITTI. Towns:
at 10 Hz and every fifth scan of them (seeds 901 to 906 are held out); with --scenes, drives
staged to be hard (`tracking_drives`). --mendings switches off each mending in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from tracking_drives import drive_scans, stage_scenes

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.kitti_labels import read_label
from lidarpan.datasets.nuscenes_frame import NATIVE_T_SCAN, transform
from lidarpan.datasets.pose_files import read_sensor_poses
from lidarpan.grouping import group_points
from lidarpan.metrics import SegmentationTrackingQuality, TrackingQuality
from lidarpan.structures import PanopticLabels
from lidarpan.tracking.history import History
from lidarpan.tracking.tracker import Mending, Tracker


@dataclass
class Frame:
    """A scan with its truth, and how `auto` grouped it."""

    points: np.ndarray
    semantic: np.ndarray
    instance: np.ndarray
    grouped: np.ndarray
    pose: np.ndarray
    time_s: float


Drive = tuple[ClassTable, list[Frame]]
Ids = list[tuple[np.ndarray, np.ndarray]]


def frame(points, semantic, instance, pose, time_s, classes) -> Frame:
    points = np.ascontiguousarray(points, np.float32)
    grouped = group_points(points, semantic, classes)
    return Frame(points, semantic, instance.astype(np.int64), grouped, pose, time_s)


def read_kitti(folder: Path) -> Drive:
    classes = load_class_table("semantickitti")
    poses, frames = read_sensor_poses(folder / "poses.txt").poses, []
    for k, file in enumerate(sorted((folder / "velodyne").glob("*.bin"))):
        points = np.fromfile(file, np.float32).reshape(-1, 4)[:, :3]
        packed = read_label(folder / "labels" / f"{file.stem}.label")
        semantic = classes.to_train((packed & 0xFFFF).astype(np.int32))
        instance = np.where(classes.is_thing[semantic], packed >> 16, 0)
        frames.append(frame(points, semantic, instance, poses[k], 0.1 * k, classes))
    return classes, frames


def read_nuscenes(folder: Path) -> Drive:
    classes, frames = load_class_table("nuscenes"), []
    meta = json.loads((folder / "meta.json").read_text())
    sensor = meta["calibrated_sensor"]
    for key, ego in sorted(meta["ego_pose"].items()):
        rows = np.fromfile(folder / "LIDAR_TOP" / f"{key}.pcd.bin", np.float32).reshape(-1, 5)
        packed = np.load(folder / "panoptic" / f"{key}_panoptic.npz")["data"].astype(np.int64)
        semantic = (packed // 1000).astype(np.uint8)
        has = classes.is_thing[semantic] & (packed % 1000 > 0)
        pose = transform(ego["translation"], ego["rotation"])
        pose = pose @ transform(sensor["translation"], sensor["rotation"]) @ NATIVE_T_SCAN
        points = rows[:, :3] @ NATIVE_T_SCAN[:3, :3]
        at = ego["timestamp"] * 1e-6
        frames.append(frame(points, semantic, np.where(has, packed, 0), pose, at, classes))
    return classes, frames


def make_town(
    seed: int,
    sensor: str,
    table: str,
    count: int,
    rate_hz: float,
    cache: Path | None,
    stage: Callable | None = None,
) -> Drive:
    classes = load_class_table(table)
    scans = drive_scans(seed, sensor, table, count, rate_hz, cache, stage)
    return classes, [
        frame(points, semantic, instance, pose, time_s, classes)
        for points, semantic, instance, pose, time_s in scans
    ]


def untracked(drive: Drive) -> Ids:
    """The ids of the single scans."""
    return [(f.semantic, f.grouped.astype(np.int64)) for f in drive[1]]


def possible(drive: Drive) -> Ids:
    """The true id of every object that the grouping found: no tracker can do better."""
    answers, fresh = [], 10**6
    for f in drive[1]:
        names = np.zeros(int(f.grouped.max(initial=0)) + 1, np.int64)
        for k in np.unique(f.grouped[f.grouped > 0]):
            mine = f.grouped == k
            values, counts = np.unique(f.instance[mine], return_counts=True)
            best, common = values[counts.argmax()], counts.max()
            either = mine.sum() + (f.instance == best).sum() - common
            fresh += 1
            names[k] = best if best > 0 and common > 0.5 * either else fresh
        answers.append((f.semantic, names[f.grouped]))
    return answers


def match_centers(drive: Drive, *, in_world: bool, moves: bool, is_kalman: bool = False) -> Ids:
    """Nearest centre of the same class, Hungarian, gate 4.5 m, memory 1.6 s.

    With `is_kalman` the middles of boxes go through Kalman filters of constant velocity, gated at
    the distance AB3DMOT uses where boxes hardly overlap (Weng et al., IROS 2020): a tracker of
    boxes without their headings.
    """
    tracks: list[dict[str, Any]] = []
    answers, used = [], 0
    for f in drive[1]:
        ids = np.unique(f.grouped[f.grouped > 0])
        found = []
        for k in ids:
            mine = f.grouped == k
            at = f.points[mine].astype(np.float64)
            if in_world:
                at = at @ f.pose[:3, :3].T + f.pose[:3, 3]
            middle = (at[:, :2].min(axis=0) + at[:, :2].max(axis=0)) / 2
            found.append(
                (int(f.semantic[mine][0]), middle if is_kalman else at[:, :2].mean(axis=0))
            )
        tracks = [t for t in tracks if f.time_s - t["time"] <= 1.6]
        cost = np.full((len(tracks), len(found)), 1e6)
        for i, t in enumerate(tracks):
            expected = t["at"] + (t["v"] * (f.time_s - t["time"]) if moves else 0)
            for j, (kind, at) in enumerate(found):
                away = float(np.hypot(*(at - expected)))
                if kind == t["kind"] and away < 4.5:
                    cost[i, j] = away
        names = np.zeros(len(found), np.int64)
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            if cost[i, j] < 1e6:
                t, at = tracks[i], found[j][1]
                since = f.time_s - t["time"]
                if is_kalman:
                    _filter(t, at, since)
                else:
                    t["v"], t["at"] = (at - t["at"]) / since, at
                t["time"], names[j] = f.time_s, t["id"]
        for j, (kind, at) in enumerate(found):
            if not names[j]:
                used += 1
                names[j] = used
                new = {"id": used, "kind": kind, "at": at, "v": np.zeros(2), "time": f.time_s}
                tracks.append({**new, "P": np.diag([0.2, 50.0])})
        table = np.zeros(int(f.grouped.max(initial=0)) + 1, np.int64)
        table[ids] = names
        answers.append((f.semantic, table[f.grouped]))
    return answers


def _filter(track: dict[str, Any], at: np.ndarray, since: float) -> None:
    step = np.array([[1, since], [0, 1]])
    noise = np.diag([0.05, 4.0 * since])
    cov = step @ track["P"] @ step.T + noise
    gain = cov[:, 0] / (cov[0, 0] + 0.2)
    off = at - (track["at"] + track["v"] * since)
    track["at"] = track["at"] + track["v"] * since + gain[0] * off
    track["v"] = track["v"] + gain[1] * off
    track["P"] = cov - np.outer(gain, cov[0])


def tracked(drive: Drive, *, looks_back: bool, mending: Mending | None = None) -> Ids:
    """Ours; with `looks_back` as `lidarpan track` does without --online."""
    classes, frames = drive
    tracker = Tracker(classes, mending=mending)
    history, answers, buried = History(tracker.facts, tracker.mending.places), [], []
    for f in frames:
        labels = PanopticLabels(f.semantic, f.grouped.astype(np.int32))
        found = tracker.update(f.points, labels, f.time_s, f.pose)
        history.add(found)
        answers.append((found.labels.semantic, found.labels.instance.astype(np.int64)))
        buried.append(found.buried_ids)
    if looks_back:
        whole = history.conclude()
        for scan, (f, (semantic, ids)) in enumerate(zip(frames, answers, strict=True)):
            ids = np.maximum(ids, buried[scan])
            names = whole.name_points(ids, scan, semantic, f.points, f.pose)
            answers[scan] = (semantic, names.astype(np.int64))
    return answers


METHODS: dict[str, Callable[[Drive], Ids]] = {
    "no tracking": untracked,
    "nearest centre, sensor": lambda d: match_centers(d, in_world=False, moves=False),
    "nearest centre, world": lambda d: match_centers(d, in_world=True, moves=False),
    "nearest centre, world, velocity": lambda d: match_centers(d, in_world=True, moves=True),
    "boxes, Kalman filter": lambda d: match_centers(d, in_world=True, moves=True, is_kalman=True),
    "lidarpan, online": lambda d: tracked(d, looks_back=False),
    "lidarpan": lambda d: tracked(d, looks_back=True),
    "lidarpan, mending off": lambda d: tracked(
        d, looks_back=True, mending=Mending(False, False, False, False, False)
    ),
    "(the true ids)": possible,
}

MENDINGS: dict[str, Callable[[Drive], Ids]] = {
    "all": lambda d: tracked(d, looks_back=True),
    "without classes": lambda d: tracked(d, looks_back=True, mending=Mending(classes=False)),
    "without join": lambda d: tracked(d, looks_back=True, mending=Mending(join=False)),
    "without cut": lambda d: tracked(d, looks_back=True, mending=Mending(cut=False)),
    "without places": lambda d: tracked(d, looks_back=True, mending=Mending(places=False)),
    "none": lambda d: tracked(
        d, looks_back=True, mending=Mending(False, False, False, False, False)
    ),
}


def score(drive: Drive, ids: Ids) -> dict[str, float]:
    classes, frames = drive
    rules = (classes.num_classes, classes.things)
    devkit = TrackingQuality(*rules, min_points=classes.min_points)
    lstq = SegmentationTrackingQuality(*rules, min_points=classes.min_points)
    for f, (semantic, instance) in zip(frames, ids, strict=True):
        devkit.update("drive", semantic, instance, f.semantic, f.instance)
        lstq.update("drive", semantic, instance, f.semantic, f.instance)
    a, b = devkit.compute(), lstq.compute()
    return {
        "idf1": a.idf1, "switches": float(a.switches.sum()), "pat": a.pat, "ptq": a.ptq,
        "tpq": a.tpq, "s_assoc": b.s_assoc,
    }  # fmt: skip


def real_drives(real: Path) -> Iterator[tuple[str, list[Drive]]]:
    classes, frames = read_kitti(real / "pandaset/sequences/02")
    yield "PandaSet, 10 Hz", [(classes, frames)]
    yield "PandaSet, 2 Hz", [(classes, frames[k::5]) for k in range(5)]
    yield "nuScenes, 2 Hz", [read_nuscenes(real / "nuscenes")]
    kitti = real / "semantickitti/sequences"
    yield "SemanticKITTI, 10 Hz", [read_kitti(kitti / "00"), read_kitti(kitti / "08")]


def town_drives(
    seeds: list[int], sensor: str, count: int, cache: Path | None, has_scenes: bool
) -> Iterator[tuple[str, list[Drive]]]:
    stage = stage_scenes if has_scenes else None
    several = [
        make_town(seed, sensor, "semantickitti", count, 10.0, cache, stage) for seed in seeds
    ]
    yield f"{'scenes' if has_scenes else 'towns'}, {sensor}, 10 Hz", several
    yield (
        f"{'scenes' if has_scenes else 'towns'}, {sensor}, 2 Hz",
        [(classes, frames[::5]) for classes, frames in several],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[901, 902])
    parser.add_argument("--scans", type=int, default=60)
    parser.add_argument("--sensor", default="hdl64e")
    parser.add_argument("--scenes", action="store_true", help="stage crossing people, buses, ...")
    parser.add_argument("--cache", type=Path, help="folder that keeps the simulated scans")
    parser.add_argument("--mendings", action="store_true", help="each mending off in turn")
    given = parser.parse_args()
    sets = [] if given.real is None else [real_drives(given.real)]
    if given.seeds:
        sets.append(town_drives(given.seeds, given.sensor, given.scans, given.cache, given.scenes))
    methods = MENDINGS if given.mendings else METHODS
    for name, several in chain(*sets):
        print(f"\n{name}: {len(several)} drives, {sum(len(f) for _, f in several)} scans")
        print("| linking | IDF1 | switches | S_assoc | PAT | PTQ | TPQ | ms a scan with scoring |")
        print("|---|---|---|---|---|---|---|---|")
        for method, run in methods.items():
            begin = time.process_time()
            scores = [score(drive, run(drive)) for drive in several]
            elapsed = 1000 * (time.process_time() - begin) / sum(len(f) for _, f in several)
            mean = {key: float(np.nanmean([s[key] for s in scores])) for key in scores[0]}
            switches = int(sum(s["switches"] for s in scores))
            print(
                f"| {method} | {mean['idf1']:.4f} | {switches} | {mean['s_assoc']:.4f} | "
                f"{mean['pat']:.4f} | {mean['ptq']:.4f} | {mean['tpq']:.4f} | {elapsed:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
