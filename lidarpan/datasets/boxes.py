"""Objects of scans -> files: one list (JSON, CSV), KITTI's box files, nuScenes' results."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.nuscenes_labels import INPUTS
from lidarpan.datasets.nuscenes_labels import NAME as NUSCENES
from lidarpan.datasets.pose_files import CAMERA_T_SENSOR
from lidarpan.errors import InputError
from lidarpan.grouping.objects import PanopticObject
from lidarpan.whole_file import whole_text, write_json, write_text

_COLUMNS = (
    "scan", "id", "class", "score", "points", "distance_m", "x_m", "y_m", "z_m", "length_m",
    "width_m", "height_m", "yaw_rad", "seen_length_m", "seen_width_m",
)  # fmt: skip
_KITTI_TYPES = {"car": "Car", "person": "Pedestrian", "bicyclist": "Cyclist", "truck": "Truck"}
"""KITTI's own words; other classes keep theirs."""


@dataclass(frozen=True)
class ScanObjects:
    """The objects of one scan.

    Attributes:
        scan: its path, as text.
        objects: in the frame x forward, y left, z up.
        token: nuScenes' token of its sample, or None.
        world_T_sensor: (4, 4) pose of the sensor, or None.
        turned: (3, 3) rotation of the file's axes into those of the objects, or None where they
            are the same.
    """

    scan: str
    objects: Sequence[PanopticObject]
    token: str | None = None
    world_T_sensor: NDArray[np.float64] | None = None
    turned: NDArray[np.float64] | None = None


def check_objects_file(path: Path) -> None:
    """Raise InputError where `write_objects` could not write to a file of this name."""
    if path.suffix.lower() not in (".json", ".csv"):
        raise InputError(f"{path}: wanted a name ending in .json or .csv for the objects")


def write_objects(path: Path, scans: Iterable[ScanObjects]) -> None:
    """Write one list of the objects of all scans: `.json`, nested by scan, or `.csv`, a row each.

    Raises:
        InputError: another suffix, or it cannot be written.
    """
    check_objects_file(path)
    if path.suffix.lower() == ".json":
        write_json(path, {"scans": [_scan_row(scan) for scan in scans]}, indent=1)
        return
    with whole_text(path) as file:
        table = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        table.writeheader()
        for scan in scans:
            table.writerows(_csv_row(scan.scan, one) for one in scan.objects)


def write_kitti(path: Path, objects: Sequence[PanopticObject]) -> None:
    """Write the objects of a scan as KITTI writes results: a line each, in the camera's axes.

    The camera is taken to stand where the sensor does and to look forward (x right, y down, z
    forward); truncation, occlusion and the box in the image are unknown (-1, -1, 0 0 0 0).

    Raises:
        InputError: it cannot be written.
    """
    lines = (
        kitti_line(one.class_name, one.center_m, one.size_m, one.yaw_rad, one.score)
        for one in objects
    )
    write_text(path, "".join(lines))


def write_nuscenes(path: Path, scans: Iterable[ScanObjects], classes: ClassTable) -> int:
    """Write nuScenes' detection results: boxes in the world's frame, by the samples' tokens.

    A scan without a token is called by its path, one without a pose stays in the sensor's frame.

    Returns:
        How many scans had no token or no pose.

    Raises:
        InputError: it cannot be written.
    """
    names = load_class_table(NUSCENES).names
    results, unplaced = {}, 0
    for scan in scans:
        pose = np.eye(4) if scan.world_T_sensor is None else scan.world_T_sensor
        unplaced += scan.token is None or scan.world_T_sensor is None
        token = scan.token or scan.scan
        results[token] = [
            nuscenes_row(token, one, pose, names[classes.to_nuscenes[one.class_id]])
            for one in scan.objects
            if classes.to_nuscenes[one.class_id]
        ]
    write_json(path, {"meta": INPUTS, "results": results})
    return unplaced


def _scan_row(scan: ScanObjects) -> dict[str, Any]:
    row: dict[str, Any] = {"scan": scan.scan}
    if scan.turned is not None:
        row["objects_R_file"] = scan.turned.round(6).tolist()
    row["objects"] = [_json_row(one) for one in scan.objects]
    return row


def _json_row(one: PanopticObject) -> dict[str, Any]:
    fields = {k: _rounded(v) for k, v in asdict(one).items() if k not in ("class_name", "class_id")}
    return {"id": fields.pop("id"), "class": one.class_name, **fields}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return [round(v, 4) for v in value] if isinstance(value, tuple) else value


def _csv_row(scan: str, one: PanopticObject) -> dict[str, Any]:
    score = "" if one.score is None else round(one.score, 4)
    numbers = (
        one.distance_m, *one.center_m, *one.size_m, one.yaw_rad, *one.seen_m[:2],
    )  # fmt: skip
    values = (scan, one.id, one.class_name, score, one.num_points, *(round(v, 4) for v in numbers))
    return dict(zip(_COLUMNS, values, strict=True))


def kitti_type(class_name: str) -> str:
    """What KITTI calls a class: its own word, or ours with a capital letter."""
    return _KITTI_TYPES.get(class_name, class_name.replace(" ", "_").capitalize())


def kitti_line(
    class_name: str,
    center_m: ArrayLike,
    size_m: Sequence[float],
    yaw_rad: float,
    score: float | None,
) -> str:
    """A line of KITTI's detections, and what follows frame and track in its tracking results.

    Args:
        class_name: as the class table has it.
        center_m: (3,) middle of the box, x forward, y left, z up.
        size_m: length, width, height.
        yaw_rad: heading in that frame.
        score: in [0, 1]; None is written as 1.
    """
    length, width, height = size_m
    x, y, z = CAMERA_T_SENSOR[:3, :3] @ (np.asarray(center_m) - [0, 0, height / 2])
    turn = wrapped(-yaw_rad - np.pi / 2)
    seen_at = wrapped(turn - np.arctan2(x, z))
    kind = kitti_type(class_name)
    numbers = (height, width, length, x, y, z, turn, 1.0 if score is None else score)
    return f"{kind} -1 -1 {seen_at:.2f} 0 0 0 0 " + " ".join(f"{v:.4f}" for v in numbers) + "\n"


class Boxed(Protocol):
    """Whatever has an upright box in the frame of its scan."""

    @property
    def center_m(self) -> tuple[float, float, float]:
        """x, y, z of the middle, metres."""

    @property
    def size_m(self) -> tuple[float, float, float]:
        """Length, width, height, metres."""

    @property
    def yaw_rad(self) -> float:
        """Of the length about z from x."""

    @property
    def score(self) -> float | None:
        """Confidence in [0, 1], None where nobody said."""


def nuscenes_row(
    token: str, one: Boxed, world_T_sensor: NDArray[np.float64], name: str
) -> dict[str, Any]:
    """A box in nuScenes' detection results.

    Args:
        token: of the sample.
        one: the box, in the sensor's frame.
        world_T_sensor: (4, 4).
        name: nuScenes' name of its class.
    """
    length, width, height = one.size_m
    center = world_T_sensor[:3, :3] @ one.center_m + world_T_sensor[:3, 3]
    heading = world_T_sensor[:3, :3] @ [np.cos(one.yaw_rad), np.sin(one.yaw_rad), 0]
    half = np.arctan2(heading[1], heading[0]) / 2
    return {
        "sample_token": token,
        "translation": center.round(4).tolist(),
        "size": [round(v, 4) for v in (width, length, height)],
        "rotation": [round(float(v), 7) for v in (np.cos(half), 0, 0, np.sin(half))],
        "velocity": [0.0, 0.0],
        "detection_name": name,
        "detection_score": 1.0 if one.score is None else round(one.score, 4),
        "attribute_name": "",
    }


def wrapped(angle: float) -> float:
    """An angle in [-pi, pi)."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
