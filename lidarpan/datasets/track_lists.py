"""Tracked objects of drives -> tracks.csv, tracks.json, KITTI's and nuScenes' tracking results."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.boxes import kitti_line
from lidarpan.datasets.nuscenes_labels import INPUTS
from lidarpan.datasets.nuscenes_labels import NAME as NUSCENES
from lidarpan.whole_file import whole_text, write_json, write_text

COLUMNS = (
    "drive", "scan", "time_s", "id", "class", "score", "points", "x_m", "y_m", "z_m", "length_m",
    "width_m", "height_m", "yaw_rad", "vx_m_s", "vy_m_s", "moving",
)  # fmt: skip
"""Of tracks.csv: places, headings and velocities are those of the world frame."""

TRACKED_BY_NUSCENES = ("bicycle", "bus", "car", "motorcycle", "pedestrian", "trailer", "truck")


@dataclass(frozen=True)
class TrackRow:
    """One object in one scan.

    Attributes:
        drive: name of its drive, ids are unique within it.
        scan: name of the scan; frame: its place in the drive, from 0.
        time_s: of the scan.
        id: lasting.
        class_id: train id.
        score: in [0, 1].
        num_points: in this scan.
        box: x, y, z of the middle, length, width, height in metres, heading in radians; world.
        velocity: x, y in m/s; world.
        is_moving: whether it moves.
    """

    drive: str
    scan: str
    frame: int
    time_s: float
    id: int
    class_id: int
    score: float
    num_points: int
    box: tuple[float, ...]
    velocity: tuple[float, float]
    is_moving: bool


def write_tracks(out: Path, rows: Sequence[TrackRow], classes: ClassTable) -> None:
    """Write tracks.csv, a row per object and scan, and tracks.json, the same track by track.

    Raises:
        InputError: they cannot be written.
    """
    with whole_text(out / "tracks.csv") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_csv_row(row, classes) for row in rows)
    tracks: dict[tuple[str, int], list[TrackRow]] = defaultdict(list)
    for row in rows:
        tracks[row.drive, row.id].append(row)
    content = [_json_track(track, classes) for track in tracks.values()]
    write_json(out / "tracks.json", {"tracks": content}, indent=1)


def write_kitti_tracking(
    folder: Path,
    rows: Iterable[TrackRow],
    poses: dict[tuple[str, int], NDArray[np.float64]],
    classes: ClassTable,
) -> None:
    """Write KITTI's tracking results: a file per drive, a line per object and frame.

    Boxes are in the frame of a camera that stands where the sensor does and looks forward.

    Args:
        folder: where the files DRIVE.txt go.
        rows: of all drives.
        poses: world_T_sensor of (drive, frame).
        classes: of the rows.
    """
    lines: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        sensor_T_world = np.linalg.inv(poses[row.drive, row.frame])
        turn = np.arctan2(sensor_T_world[1, 0], sensor_T_world[0, 0])
        place = sensor_T_world[:3, :3] @ row.box[:3] + sensor_T_world[:3, 3]
        name, yaw = classes.names[row.class_id], row.box[6] + turn
        line = kitti_line(name, place, row.box[3:6], yaw, row.score)
        lines[row.drive].append(f"{row.frame} {row.id} {line}")
    for drive, text in lines.items():
        write_text(folder / f"{drive}.txt", "".join(text))


def write_nuscenes_tracking(path: Path, rows: Iterable[TrackRow], classes: ClassTable) -> None:
    """Write nuScenes' tracking results: boxes in the world by the names (tokens) of the scans.

    Only the seven classes that nuScenes tracks are written.
    """
    names = load_class_table(NUSCENES).names
    results: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        kind = names[classes.to_nuscenes[row.class_id]]
        found = results[row.scan]
        if kind in TRACKED_BY_NUSCENES:
            length, width, height = (round(v, 4) for v in row.box[3:6])
            turn = [round(float(f(row.box[6] / 2)), 6) for f in (np.cos, np.sin)]
            found.append(
                {
                    "sample_token": row.scan,
                    "translation": [round(v, 4) for v in row.box[:3]],
                    "size": [width, length, height],
                    "rotation": [turn[0], 0, 0, turn[1]],
                    "velocity": [round(v, 4) for v in row.velocity],
                    "tracking_id": f"{row.drive}-{row.id}",
                    "tracking_name": kind,
                    "tracking_score": round(row.score, 4),
                }
            )
    write_json(path, {"meta": INPUTS, "results": results})


def _csv_row(row: TrackRow, classes: ClassTable) -> Iterator[Any]:
    yield from (row.drive, row.scan, round(row.time_s, 6), row.id, classes.names[row.class_id])
    yield from (round(row.score, 4), row.num_points)
    yield from (round(v, 4) for v in (*row.box, *row.velocity))
    yield int(row.is_moving)


def _json_track(track: list[TrackRow], classes: ClassTable) -> dict[str, Any]:
    views = [
        {
            "scan": row.scan,
            "time_s": round(row.time_s, 6),
            "score": round(row.score, 4),
            "points": row.num_points,
            "center_m": [round(v, 4) for v in row.box[:3]],
            "size_m": [round(v, 4) for v in row.box[3:6]],
            "yaw_rad": round(row.box[6], 4),
            "velocity_m_s": [round(v, 4) for v in row.velocity],
            "moving": row.is_moving,
        }
        for row in track
    ]
    kinds = [row.class_id for row in track]
    name = classes.names[max(set(kinds), key=kinds.count)]
    return {"drive": track[0].drive, "id": track[0].id, "class": name, "views": views}
