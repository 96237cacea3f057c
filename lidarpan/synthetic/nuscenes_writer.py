"""Labelled scans with boxes -> a nuScenes tree that nuscenes-devkit loads and scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lidarpan.datasets.nuscenes_frame import NATIVE_T_SCAN, quaternion, transform
from lidarpan.datasets.nuscenes_labels import NAME, pack_truth, write_panoptic
from lidarpan.structures import InputError, Scan
from lidarpan.synthetic.render import SimulatedScan
from lidarpan.synthetic.tables import read_table
from lidarpan.whole_file import whole_file

Row = dict[str, Any]

MINI_SCENES = (
    "scene-0061", "scene-0103", "scene-0916", "scene-0553", "scene-0655",
    "scene-0757", "scene-0796", "scene-1077", "scene-1094", "scene-1100",
)  # fmt: skip
"""The scenes of v1.0-mini: 0103 and 0916 are in the mini_val split, the others in mini_train."""

_MOUNT_M = (0.943713, 0.0, 1.84023)
_TURN = (0.5**0.5, 0.0, 0.0, -(0.5**0.5))
_EPOCH_US = 1_500_000_000_000_000

_TABLE = read_table("nuscenes")

GENERAL_CLASSES: tuple[str, ...] = _TABLE["general_classes"]
"""The general classes by their index in label files (nuScenes-lidarseg's category table)."""

ATTRIBUTES: tuple[str, ...] = _TABLE["attributes"]

_VISIBILITY = (("1", "v0-40"), ("2", "v40-60"), ("3", "v60-80"), ("4", "v80-100"))


def write_nuscenes(
    root: str | Path,
    scenes: Iterable[tuple[str, Iterable[SimulatedScan]]],
    version: str = "v1.0-mini",
    *,
    goes_on: bool = False,
) -> Iterator[Path]:
    """Write scenes of labelled scans as key frames of LIDAR_TOP; the tables come last.

    Args:
        root: folder to hold `samples`, `panoptic`, `lidarseg`, `maps` and the tables.
        scenes: scene names, best those of the devkit's splits, and their scans in order.
        version: folder of the tables.
        goes_on: whether what is there is of an earlier run, and may be written again.

    Yields:
        The `.pcd.bin` file of each scan, once it and its labels are written.

    Raises:
        InputError: there is a version of that name already, or the folder cannot be written to.
    """
    root = Path(root)
    if not goes_on and ((root / version).exists() or (root / "samples").exists()):
        raise InputError(
            f"{root}: wanted a new folder, found a nuScenes tree: remove it or choose another"
        )
    tree = _Tree(root, version)
    for name, scans in scenes:
        yield from tree.write_scene(name, scans)
    tree.write_tables()


class _Tree:
    """The rows of all tables while the files are written."""

    def __init__(self, root: Path, version: str) -> None:
        self.root, self.version = root, version
        self.tables: dict[str, list[Row]] = unchanging_tables()
        names = (
            "scene log map sample sample_data ego_pose calibrated_sensor instance "
            "sample_annotation lidarseg panoptic"
        )
        self.tables |= {name: [] for name in names.split()}
        self._add(
            "calibrated_sensor",
            token=token("mount"),
            sensor_token=token("sensor"),
            translation=list(_MOUNT_M),
            rotation=list(_TURN),
            camera_intrinsic=[],
        )

    def _add(self, table: str, **row: Any) -> None:
        self.tables[table].append(row)

    def write_scene(self, name: str, scans: Iterable[SimulatedScan]) -> Iterator[Path]:
        ids: dict[int, int] = {}
        first = len(self.tables["sample"])
        start_us = _EPOCH_US + 100_000_000 * len(self.tables["scene"])
        for labelled in scans:
            yield self._write_sample(name, start_us, labelled, ids)
        samples = self.tables["sample"][first:]
        if not samples:
            return
        _link(samples)
        _link(self.tables["sample_data"][first:])
        self._link_annotations(name)
        self._add(
            "scene",
            token=token("scene", name),
            log_token=token("log", name),
            nbr_samples=len(samples),
            first_sample_token=samples[0]["token"],
            last_sample_token=samples[-1]["token"],
            name=name,
            description="simulated town",
        )
        log = {"logfile": f"simulated-{name}", "vehicle": "simulated", "location": "boston-seaport"}
        self._add("log", **log, token=token("log", name), date_captured="2017-07-14")

    def _write_sample(
        self, scene: str, start_us: int, labelled: SimulatedScan, ids: dict[int, int]
    ) -> Path:
        stamp_us = start_us + round(labelled.time_s * 1e6)
        sample, data = token("sample", scene, stamp_us), token("data", scene, stamp_us)
        file = f"samples/LIDAR_TOP/simulated-{scene}__LIDAR_TOP__{stamp_us}.pcd.bin"
        self._add("sample", token=sample, timestamp=stamp_us, scene_token=token("scene", scene))
        pose = token("pose", scene, stamp_us)
        self._add_pose(pose, stamp_us, labelled.scan)
        self._add(
            "sample_data",
            token=data,
            sample_token=sample,
            ego_pose_token=pose,
            calibrated_sensor_token=token("mount"),
            timestamp=stamp_us,
            fileformat="pcd",
            is_key_frame=True,
            height=0,
            width=0,
            filename=file,
        )
        packed = pack_truth(labelled.raw(NAME), labelled.instance, ids)
        self._write_labels(data, packed)
        self._annotate(scene, sample, labelled, ids, packed)
        _write_points(self.root / file, labelled.scan)
        return self.root / file

    def _add_pose(self, pose_token: str, stamp_us: int, scan: Scan) -> None:
        world_T_sensor = np.eye(4) if scan.world_T_sensor is None else scan.world_T_sensor
        ego_T_scan = transform(_MOUNT_M, _TURN) @ NATIVE_T_SCAN
        world_T_ego = world_T_sensor @ np.linalg.inv(ego_T_scan)
        self._add(
            "ego_pose",
            token=pose_token,
            timestamp=stamp_us,
            rotation=quaternion(world_T_ego[:3, :3]),
            translation=world_T_ego[:3, 3].tolist(),
        )

    def _write_labels(self, data: str, packed: NDArray[np.uint16]) -> None:
        panoptic = f"panoptic/{self.version}/{data}_panoptic.npz"
        lidarseg = f"lidarseg/{self.version}/{data}_lidarseg.bin"
        write_panoptic(self.root / panoptic, packed)
        with whole_file(self.root / lidarseg) as beside:
            (packed // 1000).astype(np.uint8).tofile(beside)
        for table, file in (("panoptic", panoptic), ("lidarseg", lidarseg)):
            self._add(table, token=data, sample_data_token=data, filename=file)

    def _annotate(
        self,
        scene: str,
        sample: str,
        labelled: SimulatedScan,
        ids: dict[int, int],
        packed: NDArray[np.uint16],
    ) -> None:
        """Boxes of the objects that this scan hits."""
        count = np.bincount(packed % 1000, minlength=1000)
        general = np.zeros(1000, np.int64)
        general[packed % 1000] = packed // 1000
        for box in labelled.boxes:
            number = ids.get(box.instance, 0)
            if not number or not count[number]:
                continue
            category = GENERAL_CLASSES[general[number]]
            length, width, height = box.size_m
            yaw = box.yaw_rad / 2
            self._add(
                "sample_annotation",
                token=token("annotation", sample, number),
                sample_token=sample,
                instance_token=token("instance", scene, number),
                category=category,
                visibility_token="4",
                attribute_tokens=attribute_of(category, float(np.hypot(*box.velocity))),
                translation=[float(value) for value in box.center],
                size=[float(width), float(length), float(height)],
                rotation=[float(np.cos(yaw)), 0.0, 0.0, float(np.sin(yaw))],
                num_lidar_pts=int(count[number]),
                num_radar_pts=0,
            )

    def _link_annotations(self, scene: str) -> None:
        """Chain the scene's annotations of each object and add its instance row."""
        known = {row["token"] for row in self.tables["instance"]}
        rows: dict[str, list[Row]] = {}
        for row in self.tables["sample_annotation"]:
            if row["instance_token"] not in known:
                rows.setdefault(row["instance_token"], []).append(row)
        for instance, chain in rows.items():
            _link(chain)
            category = chain[0]["category"]
            for row in chain:
                del row["category"]
            self._add(
                "instance",
                token=instance,
                category_token=token("category", category),
                nbr_annotations=len(chain),
                first_annotation_token=chain[0]["token"],
                last_annotation_token=chain[-1]["token"],
            )

    def write_tables(self) -> None:
        mask = f"maps/{token('map')}.png"
        with whole_file(self.root / mask) as beside:
            Image.new("L", (8, 8), 255).save(beside, format="PNG")
        self._add(
            "map",
            token=token("map"),
            category="semantic_prior",
            filename=mask,
            log_tokens=[row["token"] for row in self.tables["log"]],
        )
        for name, rows in self.tables.items():
            with whole_file(self.root / self.version / f"{name}.json") as beside:
                beside.write_text(json.dumps(rows, indent=0))


def _link(rows: list[Row]) -> None:
    """Set prev and next of rows in order."""
    tokens = ["", *(row["token"] for row in rows), ""]
    for i, row in enumerate(rows):
        row["prev"], row["next"] = tokens[i], tokens[i + 2]


def _write_points(file: Path, scan: Scan) -> None:
    x, y, z = scan.points.T
    ring = np.zeros(scan.num_points, np.int32) if scan.ring is None else scan.ring
    rows = np.column_stack([-y, x, z, np.round(scan.intensity * 255), ring])
    with whole_file(file) as beside:
        rows.astype("<f4").tofile(beside)


def token(*parts: object) -> str:
    """A token of 32 hexadecimal digits, the same for the same parts."""
    text = "/".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def unchanging_tables() -> dict[str, list[Row]]:
    """The tables category, attribute, visibility and sensor."""
    return {
        "category": [
            {"token": token("category", name), "name": name, "description": "", "index": index}
            for index, name in enumerate(GENERAL_CLASSES)
        ],
        "attribute": [
            {"token": token("attribute", name), "name": name, "description": ""}
            for name in ATTRIBUTES
        ],
        "visibility": [
            {"token": number, "level": level, "description": ""} for number, level in _VISIBILITY
        ],
        "sensor": [
            {"token": token("sensor"), "channel": "LIDAR_TOP", "modality": "lidar"},
        ],
    }


def attribute_of(category: str, speed_m_s: float) -> list[str]:
    """Attribute tokens of an object by its class and speed; none for classes without."""
    moving = speed_m_s > 0.2
    match category.split("."):
        case ["human", "pedestrian", *_]:
            name = "pedestrian.moving" if moving else "pedestrian.standing"
        case ["vehicle", "bicycle" | "motorcycle"]:
            name = "cycle.with_rider" if moving else "cycle.without_rider"
        case ["vehicle", *_]:
            name = "vehicle.moving" if moving else "vehicle.parked"
        case _:
            return []
    return [token("attribute", name)]
