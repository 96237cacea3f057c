"""Small datasets in the layouts in which the real ones are distributed, written by hand.

Each writer takes a folder and returns what it put there: name of a scan -> what a reader must say.
"""

import json
from dataclasses import dataclass

import numpy as np
from pandas_pickles import write_pandas_pickle

NUM_POINTS = 120


@dataclass
class Wanted:
    points: np.ndarray  # (N, 3) around the sensor, x forward
    raw: np.ndarray | None  # (N,) raw labels, None without truth
    instance: np.ndarray | None  # (N,) 0 for none; which numbers stand for an object is free
    pose: np.ndarray | None  # (4, 4)


def pose_of(k, yaw=0.05):
    turn = np.eye(4)
    c, s = np.cos(k * yaw), np.sin(k * yaw)
    turn[:2, :2] = [[c, -s], [s, c]]
    turn[:3, 3] = [100 + 2 * k, 50 - k, 3]
    return turn


def quaternion_of(pose):
    """W x y z of a rotation about z."""
    half = np.arctan2(pose[1, 0], pose[0, 0]) / 2
    return float(np.cos(half)), 0.0, 0.0, float(np.sin(half))


def ground_and_box(rng, center=(8.0, 2.0, 0.8), size=(4.0, 2.0, 1.6), yaw=0.3):
    """Points on the ground and in a box, and which of them are in it."""
    ground = rng.uniform([-20, -20, -1.75], [5, 20, -1.65], (NUM_POINTS - 40, 3))
    local = rng.uniform(-0.45, 0.45, (40, 3)) * size
    c, s = np.cos(yaw), np.sin(yaw)
    box = local @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + np.array(center) - [0, 0, 1]
    return np.concatenate([ground, box]), np.arange(NUM_POINTS) >= NUM_POINTS - 40


def write_semantickitti_like(root, sequences, car, ground, moving=None, scans=3):
    """SemanticKITTI's and SemanticPOSS's layout; sequence name -> whether it has labels."""
    found = {}
    for place, (sequence, has_labels) in enumerate(sequences.items()):
        folder = root / "sequences" / sequence
        for kind in ("velodyne", "labels") if has_labels else ("velodyne",):
            (folder / kind).mkdir(parents=True)
        (folder / "calib.txt").write_text("P0: 1 0 0\nTr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n")
        camera = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
        first = np.linalg.inv(pose_of(0))
        lines = []
        for k in range(scans):
            points, in_box = ground_and_box(np.random.default_rng([place, k]))
            raw = np.where(in_box, moving if moving and k else car, ground)
            rows = np.column_stack([points, np.full(len(points), 0.25)]).astype("<f4")
            rows.tofile(folder / "velodyne" / f"{k:06d}.bin")
            if has_labels:
                packed = (raw + (np.where(in_box, 7, 0) << 16)).astype("<u4")
                packed.tofile(folder / "labels" / f"{k:06d}.label")
            pose = first @ pose_of(k)
            line = camera @ pose @ np.linalg.inv(camera)
            lines.append(" ".join(f"{v:.9g}" for v in line[:3].reshape(-1)))
            instance = np.where(in_box, 7, 0)
            found[f"{sequence}/{k:06d}"] = Wanted(
                rows[:, :3],
                raw if has_labels else None,
                instance if has_labels else None,
                pose,
            )
        (folder / "poses.txt").write_text("\n".join(lines) + "\n")
    return found


def write_kitti360(root, drives=("0003", "0008"), windows=((1, 2), (3, 4))):
    """KITTI-360: raw scans, poses, calibration, and windows of accumulated labels of drive 0003."""
    from lidarpan.scans.ply import write_ply

    calibration = root / "calibration"
    calibration.mkdir(parents=True)
    pose_T_camera = np.array([[0, 0, 1, 1.5], [1, 0, 0, 0.5], [0, 1, 0, 0.9]])
    sensor_T_camera = np.array([[0, 0, 1, 0.8], [-1, 0, 0, 0.3], [0, -1, 0, -0.2]])
    rows = [f"image_0{k}: " + " ".join(map(str, pose_T_camera.reshape(-1))) for k in range(4)]
    (calibration / "calib_cam_to_pose.txt").write_text("\n".join(rows) + "\n")
    text = " ".join(map(str, sensor_T_camera.reshape(-1)))
    (calibration / "calib_cam_to_velo.txt").write_text(text + "\n")
    last = [0, 0, 0, 1]
    pose_T_sensor = np.vstack([pose_T_camera, last]) @ np.linalg.inv(
        np.vstack([sensor_T_camera, last])
    )
    found = {}
    for drive in drives:
        name = f"2013_05_28_drive_{drive}_sync"
        data = root / "data_3d_raw" / name / "velodyne_points" / "data"
        data.mkdir(parents=True)
        (root / "data_poses" / name).mkdir(parents=True)
        lines, static, moving = [], [], []
        for frame in range(5):
            points, in_box = ground_and_box(np.random.default_rng([int(drive), frame]))
            rows = np.column_stack([points, np.full(len(points), 0.25)]).astype("<f4")
            rows.tofile(data / f"{frame:010d}.bin")
            world_T_sensor = None
            if frame:  # the first frame has no pose, as in the dataset
                world_T_pose = pose_of(frame)
                lines.append(
                    f"{frame} " + " ".join(repr(float(v)) for v in world_T_pose[:3].reshape(-1))
                )
                world_T_sensor = world_T_pose @ pose_T_sensor
                world = rows[:, :3] @ world_T_sensor[:3, :3].T + world_T_sensor[:3, 3]
                static.append((frame, world[~in_box][:-5]))  # five points have none near them
                moving.append((frame, world[in_box]))
            raw, instance = np.where(in_box, 26, 7), np.where(in_box, 12, 0)
            raw[np.flatnonzero(~in_box)[-5:]] = 0
            has_truth = frame > 0 and drive == "0003"
            found[f"{drive}/{frame:010d}"] = Wanted(
                rows[:, :3],
                raw if has_truth else None,
                instance if has_truth else None,
                world_T_sensor,
            )
        (root / "data_poses" / name / "poses.txt").write_text("\n".join(lines) + "\n")
        if drive == "0008":
            continue
        for first, end in windows:
            parts = {"static": static, "dynamic": moving}
            for kind, clouds in parts.items():
                inside = [(f, c) for f, c in clouds if first <= f <= end]
                cloud = np.concatenate([c for _, c in inside])
                label = 26 if kind == "dynamic" else 7
                x, y, z = cloud.astype(np.float32).T
                count = len(cloud)
                columns = {
                    "x": x, "y": y, "z": z,
                    "red": np.zeros(count, np.uint8),
                    "green": np.zeros(count, np.uint8),
                    "blue": np.zeros(count, np.uint8),
                    "semantic": np.full(count, label, np.int32),
                    "instance": np.full(count, 26012 if label == 26 else 7000, np.int32),
                    "visible": np.ones(count, np.uint8),
                }  # fmt: skip
                if kind == "dynamic":
                    frames = [np.full(len(c), f, np.int32) for f, c in inside]
                    columns["timestamp"] = np.concatenate(frames)
                columns["confidence"] = np.ones(count, np.float32)
                top = root / "data_3d_semantics" / "train" / name / kind
                top.mkdir(parents=True, exist_ok=True)
                write_ply(top / f"{first:010d}_{end:010d}.ply", columns, [])
        for split, (first, end) in zip(("train", "val"), windows, strict=True):
            line = f"data_3d_semantics/train/{name}/static/{first:010d}_{end:010d}.ply\n"
            at = root / "data_3d_semantics" / "train" / f"2013_05_28_drive_{split}.txt"
            at.write_text(line)
    return found


_NATIVE_T_SCAN = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def write_pandaset(root, sequences=("002", "005", "011"), unlabelled=("011",), scans=2):
    """PandaSet: gzip pickles of lidar, semseg and cuboids, poses and times in JSON."""
    found = {}
    for sequence in sequences:
        folder, poses = root / sequence, []
        for k in range(scans):
            rng = np.random.default_rng([int(sequence), k])
            points, in_box = ground_and_box(rng)
            native = pose_of(k)  # of the sensor's own frame: x right, y forward
            pose = native @ _NATIVE_T_SCAN
            extra = rng.uniform(20, 30, (30, 3))  # of the sensor that looks ahead
            world = np.concatenate([points, extra]) @ pose[:3, :3].T + pose[:3, 3]
            x, y, z = world.T
            columns = {
                "x": x, "y": y, "z": z,
                "i": np.full(len(world), 51.0),
                "t": 1557539956.4 + np.linspace(0, 0.1, len(world)),
                "d": np.repeat([0, 1], [len(points), len(extra)]),
            }  # fmt: skip
            write_pandas_pickle(folder / "lidar" / f"{k:02d}.pkl.gz", columns)
            w, qx, qy, qz = quaternion_of(native)
            place = dict(zip("xyz", native[:3, 3].tolist(), strict=True))
            poses.append({"position": place, "heading": {"w": w, "x": qx, "y": qy, "z": qz}})
            raw = np.concatenate([np.where(in_box, 13, 7), np.full(len(extra), 5)])
            has_labels = sequence not in unlabelled
            if has_labels:
                _write_panda_labels(folder, k, raw, pose)
            found[f"{sequence}/{k:02d}"] = Wanted(
                points.astype(np.float32),
                raw[: len(points)] if has_labels else None,
                in_box.astype(int) if has_labels else None,
                pose,
            )
        (folder / "lidar" / "poses.json").write_text(json.dumps(poses))
        (folder / "lidar" / "timestamps.json").write_text(
            json.dumps([0.1 * k for k in range(scans)])
        )
    return found


def _write_panda_labels(folder, k, raw, pose):
    write_pandas_pickle(folder / "annotations" / "semseg" / f"{k:02d}.pkl.gz", {"class": raw})
    center = pose[:3, :3] @ [8.0, 2.0, -0.2] + pose[:3, 3]
    yaw = 0.3 + np.arctan2(pose[1, 0], pose[0, 0]) - np.pi / 2  # y of a cuboid looks ahead
    far = [500.0, 500.0, 0.0]
    cuboids = {
        "uuid": np.array([f"far-{k}", "the-car"], object),
        "label": np.array(["Pedestrian", "Car"], object),
        "yaw": np.array([0.0, yaw]),
        "stationary": np.array([True, False]),
        "camera_used": np.array([0, -1]),
        "position.x": np.array([far[0], center[0]]),
        "position.y": np.array([far[1], center[1]]),
        "position.z": np.array([far[2], center[2]]),
        "dimensions.x": np.array([0.8, 2.0]),
        "dimensions.y": np.array([0.8, 4.0]),
        "dimensions.z": np.array([1.8, 1.6]),
        "attributes.object_motion": np.array([np.nan, "Moving"], object),
        "cuboids.sibling_id": np.array(["-", "-"], object),
        "cuboids.sensor_id": np.array([-1, 0]),
    }
    write_pandas_pickle(folder / "annotations" / "cuboids" / f"{k:02d}.pkl.gz", cuboids)


def write_argoverse2(root, splits=("train", "val", "test"), scans=3):
    """Argoverse 2: feather tables of sweeps, cuboids, poses and calibration; no cuboids in test."""
    import pyarrow as pa
    from pyarrow import feather

    def write(path, columns):
        path.parent.mkdir(parents=True, exist_ok=True)
        feather.write_feather(pa.table(columns), str(path))

    found = {}
    for place, split in enumerate(splits):
        log = f"{place:08d}-0000-0000-0000-000000000000"
        folder, cuboids, stamps = root / split / log, [], []
        mount = np.array([1.35, 0.0, 1.64])
        for k in range(scans):
            stamp = 315966000000000000 + 100_000_000 * k
            stamps.append(stamp)
            points, in_box = ground_and_box(np.random.default_rng([place, k]))
            vehicle = (points + mount).astype(np.float16)
            x, y, z = vehicle.T
            count = len(points)
            write(
                folder / "sensors" / "lidar" / f"{stamp}.feather",
                {
                    "x": x, "y": y, "z": z,
                    "intensity": np.full(count, 51, np.uint8),
                    "laser_number": np.arange(count).astype(np.uint8) % 64,
                    "offset_ns": np.arange(count, dtype=np.int32) * 1000,
                },
            )  # fmt: skip
            half = 0.3 / 2
            center = np.array([8.0, 2.0, -0.2]) + mount
            cuboids.append(
                (stamp, "the-car", "REGULAR_VEHICLE", 4.0, 2.0, 1.6,
                 np.cos(half), 0.0, 0.0, np.sin(half), *center, int(in_box.sum()))
            )  # fmt: skip
            cuboids.append(
                (
                    stamp,
                    f"far-{k}",
                    "BOLLARD",
                    0.3,
                    0.3,
                    1.0,
                    1.0,
                    0.0,
                    0.0,
                    0.0,
                    90.0,
                    90.0,
                    1.0,
                    0,
                )
            )
            has_labels = split != "test"
            world = pose_of(k).copy()
            world[:3, 3] += world[:3, :3] @ mount
            found[f"{log}/{stamp}"] = Wanted(
                vehicle.astype(np.float32) - mount.astype(np.float32),
                np.where(in_box, 19, 0) if has_labels else None,
                in_box.astype(int) if has_labels else None,
                world,
            )
        names = (
            "timestamp_ns", "track_uuid", "category", "length_m", "width_m", "height_m",
            "qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m", "num_interior_pts",
        )  # fmt: skip
        if split != "test":
            columns = dict(zip(names, map(list, zip(*cuboids, strict=True)), strict=True))
            write(folder / "annotations.feather", columns)
        turns = np.array([quaternion_of(pose_of(k)) for k in range(scans)])
        places = np.array([pose_of(k)[:3, 3] for k in range(scans)])
        poses = {"timestamp_ns": stamps}
        poses |= {name: turns[:, i] for i, name in enumerate(("qw", "qx", "qy", "qz"))}
        poses |= {name: places[:, i] for i, name in enumerate(("tx_m", "ty_m", "tz_m"))}
        write(folder / "city_SE3_egovehicle.feather", poses)
        sensors = ["ring_front_center", "up_lidar", "down_lidar"]
        mounts = {"sensor_name": sensors, "qw": [1.0] * 3, "qx": [0.0] * 3}
        mounts |= {"qy": [0.0] * 3, "qz": [0.0] * 3, "tx_m": [1.6, 1.35, 1.35]}
        mounts |= {"ty_m": [0.0] * 3, "tz_m": [1.4, 1.64, 1.56]}
        write(folder / "calibration" / "egovehicle_SE3_sensor.feather", mounts)
    return found


_SEGMENT = "[LiDARSegmentationLabelComponent].range_image_return1."


def write_waymo(root, splits=("training", "testing"), scans=3, shape=(4, 30)):
    """Waymo v2: range images of five sensors, calibration, poses; every second frame has labels."""
    import pyarrow as pa
    from pyarrow import parquet

    from lidarpan.scans.waymo import range_image_fields

    def write(path, rows):
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.Table.from_pylist(rows), path)

    found, height = {}, shape[0]
    inclinations = np.linspace(-0.3, 0.05, height)  # lowest first
    mount = np.eye(4)
    mount[:2, :2] = [[0, -1], [1, 0]]
    mount[:3, 3] = [1.4, 0, 2.2]
    for place, split in enumerate(splits):
        segment = f"{place}1234567890_1000_000_1020_000"
        lidar, labels, poses = [], [], []
        for k in range(scans):
            time_us = 1_550_000_000_000_000 + 100_000 * k
            rng = np.random.default_rng([place, k])
            image = np.zeros((*shape, 4), np.float32)
            image[..., 0] = rng.uniform(5, 30, shape)
            image[..., 1] = 0.5
            image[0, :5, 0] = -1  # no return
            raw = np.where(np.arange(shape[1]) < 10, 1, 18) * np.ones((height, 1), int)
            instance = np.where(raw == 1, 33, 0)
            keys = {
                "key.segment_context_name": segment,
                "key.frame_timestamp_micros": time_us,
            }
            for sensor in (2, 1, 3):
                base = "[LiDARComponent].range_image_return1."
                lidar.append(
                    {**keys, "key.laser_name": sensor, f"{base}values": image.reshape(-1).tolist(),
                     f"{base}shape": list(image.shape)}
                )  # fmt: skip
            poses.append(
                {**keys, "[VehiclePoseComponent].world_from_vehicle.transform":
                 pose_of(k).reshape(-1).tolist()}
            )  # fmt: skip
            has_labels = split != "testing" and k % 2 == 0
            if has_labels:
                both = np.stack([instance, raw], axis=-1).astype(np.int32)
                labels.append(
                    {**keys, "key.laser_name": 1, f"{_SEGMENT}values": both.reshape(-1).tolist(),
                     f"{_SEGMENT}shape": list(both.shape)}
                )  # fmt: skip
            fields = range_image_fields(image, inclinations[::-1], mount[:3, :3]).fields
            points = np.stack([fields[a] for a in "xyz"], axis=1)
            kept = np.abs(points).max(axis=1) > 0
            world = pose_of(k).copy()
            world[:3, 3] += world[:3, :3] @ mount[:3, 3]
            found[f"{segment}/{k:06d}"] = Wanted(
                points[kept],
                raw.reshape(-1)[kept] if has_labels else None,
                instance.reshape(-1)[kept] if has_labels else None,
                world,
            )
        name = f"{segment}.parquet"
        write(root / split / "lidar" / name, lidar)
        if labels:
            write(root / split / "lidar_segmentation" / name, labels)
        write(root / split / "vehicle_pose" / name, poses)
        base = "[LiDARCalibrationComponent]."
        calibration = {
            "key.segment_context_name": segment,
            "key.laser_name": 1,
            f"{base}extrinsic.transform": mount.reshape(-1).tolist(),
            f"{base}beam_inclination.min": -0.3,
            f"{base}beam_inclination.max": 0.05,
            f"{base}beam_inclination.values": inclinations.tolist(),
        }
        write(root / split / "lidar_calibration" / name, [calibration])
    return found


def write_nuscenes_mini(root, scenes=("scene-0103", "scene-0916", "scene-0061"), scans=3):
    """NuScenes: v1.0-mini with a car that stands and the road around it."""
    from lidarpan.structures import Scan
    from lidarpan.synthetic.nuscenes_writer import write_nuscenes

    class Sample:
        boxes = ()

        def __init__(self, place, k):
            points, self.in_box = ground_and_box(np.random.default_rng([place, k]))
            ring = np.zeros(len(points), np.int32)
            intensity = np.full(len(points), 51 / 255, np.float32)
            self.scan = Scan(
                points.astype(np.float32), intensity, ring=ring, world_T_sensor=pose_of(k)
            )
            self.instance = self.in_box.astype(np.int32)
            self.time_s = 0.5 * k

        def raw(self, dataset):
            return np.where(self.in_box, 17, 24).astype(np.int32)

    samples = [(name, [Sample(i, k) for k in range(scans)]) for i, name in enumerate(scenes)]
    list(write_nuscenes(root, samples))


def write_own(root, scans=3):
    """Scans and labels in two folders, with a class table."""
    table = """
min_points: 10
classes:
  - {name: pallet, kind: thing, raw: [5], box_m: [4.0, 2.0, 1.6], top_speed_m_s: 2}
  - {name: floor, kind: stuff, raw: [1], ground: true}
"""
    root.mkdir(parents=True, exist_ok=True)
    (root / "own.yaml").write_text(table)
    for k in range(scans):
        points, in_box = ground_and_box(np.random.default_rng(k))
        rows = np.column_stack([points, np.full(len(points), 0.25)]).astype("<f4")
        packed = (np.where(in_box, 5, 1) + (np.where(in_box, 3, 0) << 16)).astype("<u4")
        for folder, suffix, array in (("scans", "bin", rows), ("labels", "label", packed)):
            path = root / folder / "hall" / f"{k:06d}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            array.tofile(path)
    lines = [" ".join(f"{v:.9g}" for v in pose_of(k)[:3].reshape(-1)) for k in range(scans)]
    (root / "scans" / "hall" / "poses.txt").write_text("\n".join(lines) + "\n")
