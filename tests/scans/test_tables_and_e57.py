"""Tables of points, E57 files, Waymo's range images and COPC."""

import numpy as np
import pytest

from lidarpan.scans.files import load_scan
from lidarpan.scans.sources import is_recording, open_recording, open_sources
from lidarpan.scans.waymo import range_image_fields
from lidarpan.structures import InputError

RNG = np.random.default_rng(0)
XYZ = RNG.uniform(-30, 30, (400, 3)).astype(np.float32)


def test_argoverse_sweeps_are_scans_with_ring_and_time(tmp_path):
    pa = pytest.importorskip("pyarrow")
    feather = pytest.importorskip("pyarrow.feather")
    half = XYZ.astype(np.float16)
    columns = {
        "x": half[:, 0], "y": half[:, 1], "z": half[:, 2],
        "intensity": RNG.integers(0, 256, 400).astype(np.uint8),
        "laser_number": RNG.integers(0, 64, 400).astype(np.uint8),
        "offset_ns": np.linspace(0, 1e8, 400).astype(np.int32),
    }  # fmt: skip
    for stamp in ("315966265259836000", "315966265360032000"):
        feather.write_feather(pa.table(columns), str(tmp_path / f"{stamp}.feather"))
    (source,) = open_sources([tmp_path])
    assert not source.is_recording
    assert source.num_frames == 2
    for frame in source.frames():
        scan = frame.load().scan
        np.testing.assert_array_equal(scan.points, half.astype(np.float32))
        np.testing.assert_allclose(scan.intensity, columns["intensity"] / 255, rtol=1e-6)
        np.testing.assert_array_equal(scan.ring, columns["laser_number"])
        np.testing.assert_allclose(scan.time, columns["offset_ns"] * 1e-9, atol=1e-6)


def test_tables_that_are_none_are_one_line(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("a.feather", "a.parquet"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match=r"wanted a \.(feather|parquet) table"):
            load_scan(tmp_path / name)
    parquet.write_table(pa.table({"a": [1.0, 2.0]}), str(tmp_path / "b.parquet"))
    with pytest.raises(InputError, match="wanted fields x, y, z, got a"):
        load_scan(tmp_path / "b.parquet")


def test_the_scans_of_an_e57_have_their_poses(tmp_path):
    pye57 = pytest.importorskip("pye57")
    path = tmp_path / "a.e57"
    turn = np.array([np.cos(0.4), 0, 0, np.sin(0.4)])  # w x y z
    file = pye57.E57(str(path), mode="w")
    intensity = RNG.integers(0, 2048, 400).astype(np.float64)
    for k in range(2):
        columns = {f"cartesian{axis}": XYZ[:, i].astype(np.float64) for i, axis in enumerate("XYZ")}
        file.write_scan_raw(
            {**columns, "intensity": intensity},
            rotation=turn,
            translation=np.array([k, 2.0, 3.0]),
        )
    file.close()
    source = open_recording(path)
    assert source.num_frames == 2
    for k, frame in enumerate(source.frames()):
        scan = frame.load().scan
        np.testing.assert_allclose(scan.points, XYZ, atol=1e-5)
        pose = scan.world_T_sensor
        np.testing.assert_allclose(pose[:3, 3], [k, 2, 3])
        np.testing.assert_allclose(pose[:2, 0], [np.cos(0.8), np.sin(0.8)])
        order = np.argsort(intensity)
        assert (np.diff(scan.intensity[order]) >= 0).all()
        assert scan.intensity.max() <= 1
    assert len(list(source.frames(1))) == 1


def waymo(folder, num_frames=3, height=8, width=36):
    """A Waymo v2 tree of one segment with two sensors; returns the lidar file and the images."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    images, rows = [], []
    for k in range(num_frames):
        image = RNG.uniform(0, 50, (height, width, 4)).astype(np.float32)
        image[RNG.uniform(size=(height, width)) < 0.2] = -1
        images.append(image)
        shape = [height, width, 4]
        rows += [(laser, 1000 * k, image.reshape(-1), shape) for laser in (2, 1)]
    component = "[LiDARComponent].range_image_return1"
    table = pa.table(
        {
            "key.laser_name": [row[0] for row in rows],
            "key.frame_timestamp_micros": [row[1] for row in rows],
            f"{component}.values": [row[2] for row in rows],
            f"{component}.shape": [row[3] for row in rows],
        }
    )
    for name in ("lidar", "lidar_calibration", "vehicle_pose"):
        (folder / name).mkdir(parents=True)
    parquet.write_table(table, str(folder / "lidar" / "s.parquet"), row_group_size=2)
    yaw = 0.7
    extrinsic = np.eye(4)
    extrinsic[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    extrinsic[:3, 3] = [1.5, 0, 2]
    base = "[LiDARCalibrationComponent]"
    calibration = pa.table(
        {
            "key.laser_name": [2, 1],
            f"{base}.extrinsic.transform": [np.zeros(16), extrinsic.reshape(-1)],
            f"{base}.beam_inclination.values": [None, np.linspace(-0.3, 0.04, height)],
            f"{base}.beam_inclination.min": [0.0, -0.3],
            f"{base}.beam_inclination.max": [0.0, 0.04],
        }
    )
    parquet.write_table(calibration, str(folder / "lidar_calibration" / "s.parquet"))
    poses = [np.eye(4) for _ in range(num_frames)]
    for k, pose in enumerate(poses):
        pose[0, 3] = 10 * k
    pose_table = pa.table(
        {
            "key.frame_timestamp_micros": [1000 * k for k in range(num_frames)],
            "[VehiclePoseComponent].world_from_vehicle.transform": [p.reshape(-1) for p in poses],
        }
    )
    parquet.write_table(pose_table, str(folder / "vehicle_pose" / "s.parquet"))
    return folder / "lidar" / "s.parquet", images, extrinsic


def test_waymo_range_images_are_scans_of_the_roof_sensor(tmp_path):
    path, images, extrinsic = waymo(tmp_path)
    assert is_recording(path)
    source = open_recording(path)
    assert source.num_frames == 3
    inclination = np.linspace(-0.3, 0.04, 8)[::-1]
    for k, frame in enumerate(source.frames()):
        loaded = frame.load()
        assert frame.stamp_ns == 1_000_000 * k
        np.testing.assert_array_equal(loaded.valid, images[k][..., 0].reshape(-1) > 0)
        np.testing.assert_allclose(loaded.scan.world_T_sensor[:3, 3], [10 * k + 1.5, 0, 2])
        row, column = 3, 20
        reach = images[k][row, column, 0]
        if reach <= 0:
            continue
        # waymo-open-dataset, range_image_utils: polar in the sensor, then its extrinsic
        yaw = np.arctan2(extrinsic[1, 0], extrinsic[0, 0])
        azimuth = ((36 - column - 0.5) / 36 * 2 - 1) * np.pi - yaw
        sensor = reach * np.array(
            [
                np.cos(azimuth) * np.cos(inclination[row]),
                np.sin(azimuth) * np.cos(inclination[row]),
                np.sin(inclination[row]),
            ]
        )
        vehicle = extrinsic[:3, :3] @ sensor + extrinsic[:3, 3]
        at = np.flatnonzero(np.flatnonzero(loaded.valid) == row * 36 + column)[0]
        np.testing.assert_allclose(loaded.scan.points[at] + extrinsic[:3, 3], vehicle, atol=1e-4)
    assert [frame.path.name for frame in source.frames(2)] == ["000002"]


def test_waymo_without_its_calibration_says_so(tmp_path):
    path, _, _ = waymo(tmp_path)
    (tmp_path / "lidar_calibration" / "s.parquet").unlink()
    with pytest.raises(InputError, match=r"wanted the calibration in .*fetch it too"):
        open_recording(path)


def test_inclinations_may_be_a_span():
    image = np.full((4, 8, 4), 10, np.float32)
    fields = range_image_fields(image, np.array([0.2, -0.2]), np.eye(3)).fields
    beams = np.unique(np.round(np.arcsin(fields["z"] / 10), 4))
    np.testing.assert_allclose(beams, [-0.15, -0.05, 0.05, 0.15], atol=1e-4)


def test_a_file_named_as_copc_is_read_as_laz(tmp_path):
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales = np.full(3, 1e-3)
    las = laspy.LasData(header)
    las.x, las.y, las.z = XYZ.astype(np.float64).T
    las.write(tmp_path / "a.copc.laz")
    loaded = load_scan(tmp_path / "a.copc.laz")
    np.testing.assert_allclose(loaded.scan.points, XYZ, atol=1e-3)


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_extra_bytes_of_las_are_columns(tmp_path, suffix):
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales = np.full(3, 1e-3)
    bright = np.linspace(0.1, 0.9, len(XYZ)).astype(np.float32)
    ring = (np.arange(len(XYZ)) % 16).astype(np.uint8)
    for name, column in (("Reflectance", bright), ("ring", ring)):
        header.add_extra_dim(laspy.ExtraBytesParams(name=name, type=column.dtype))
    las = laspy.LasData(header)
    las.x, las.y, las.z = XYZ.astype(np.float64).T
    las["Reflectance"], las["ring"] = bright, ring
    las.write(tmp_path / f"a{suffix}")
    scan = load_scan(tmp_path / f"a{suffix}").scan
    np.testing.assert_allclose(scan.intensity, bright, atol=1e-6)
    np.testing.assert_array_equal(scan.ring, ring)
