"""Recordings on the command line: the same labels as of files, and what comes out beside them."""

import json

import numpy as np
import pytest
from recordings import PERIOD_NS, START_NS, Ros, write_mcap, write_rosbag2

from lidarpan.datasets.label_files import read_prediction
from lidarpan.scans.sources import open_recording
from lidarpan.synthetic.sensors.sensor import make_sensor
from lidarpan.synthetic.simulate import simulate_scan

pytest.importorskip("rosbags")
pytest.importorskip("mcap")

NUM_FRAMES = 3


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A folder of three small scans in `velodyne`, x y z intensity float32."""
    folder = tmp_path_factory.mktemp("data")
    sensor = make_sensor(num_beams=24, lowest_deg=-20, highest_deg=2, azimuth_steps=360)
    (folder / "velodyne").mkdir()
    for k in range(NUM_FRAMES):
        scan = simulate_scan(k, sensor).scan
        rows = np.column_stack([scan.points, scan.intensity]).astype(np.float32)
        rows.tofile(folder / "velodyne" / f"{k:06d}.bin")
    return folder


@pytest.fixture(scope="module")
def drive(scans, tmp_path_factory):
    """The scans as an MCAP file with poses."""
    ros, messages = Ros(2), []
    for k, file in enumerate(sorted((scans / "velodyne").iterdir())):
        stamp = START_NS + k * PERIOD_NS
        rows = np.fromfile(file, np.float32).reshape(-1, 4)
        messages += [
            ("/tf", stamp, ros.transform("map", "lidar", stamp, (k, 0, 0))),
            ("/points", stamp, ros.points(rows, stamp)),
        ]
    return write_mcap(tmp_path_factory.mktemp("drive") / "drive.mcap", messages, "none")


def test_a_recording_has_the_labels_of_its_scans(run, scans, drive, tmp_path):
    labels, of_files = tmp_path / "labels", tmp_path / "files"
    words = ("--device", "cpu", "--overwrite")
    code, out, _ = run("predict", drive, "--topic", "/points", "--out", labels, *words)
    assert code == 0
    assert f"{NUM_FRAMES} scans predicted" in out
    assert run("predict", scans / "velodyne", "--out", of_files, *words)[0] == 0
    files = sorted(of_files.rglob("*.label"))
    assert len(files) == NUM_FRAMES
    for k, file in enumerate(files):
        assert (labels / f"{k:06d}.label").read_bytes() == file.read_bytes()
    times = [float(line) for line in (labels / "times.txt").read_text().split()]
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-6)
    poses = np.loadtxt(labels / "poses.txt")
    np.testing.assert_array_equal(poses[:, 3], np.arange(NUM_FRAMES))

    code, out, _ = run("predict", drive, "--out", labels, "--device", "cpu")
    assert code == 0
    assert f"0 scans predicted, {NUM_FRAMES} were there already" in out
    film = tmp_path / "film.gif"
    assert run("draw", drive, "--labels", labels, "--size", "200", "--out", film)[0] == 0
    assert film.stat().st_size > 1000
    code, _, err = run("draw", drive, "--labels", labels, "--map", tmp_path / "map.png")
    assert (code, (tmp_path / "map.png").is_file()) == (0, True), err


def test_a_cut_off_recording_ends_with_one_line(run, drive, tmp_path):
    from recordings import Ros

    cut = tmp_path / "cut.mcap"
    messages = [
        ("/points", START_NS + k, Ros(2).points(points_of(frame), START_NS + k))
        for k, frame in enumerate(open_recording(drive).frames())
    ]
    write_mcap(cut, messages, "none", use_chunking=False)
    content = cut.read_bytes()
    cut.write_bytes(content[: int(len(content) * 0.6)])
    code, out, err = run("predict", cut, "--out", tmp_path / "labels", "--device", "cpu")
    assert code == 2
    assert "cut off or damaged behind 1 whole messages" in " ".join((out + err).split())
    assert "Traceback" not in err
    assert [p.name for p in (tmp_path / "labels").glob("*.label")] == ["000000.label"]


def points_of(frame):
    scan = frame.load().scan
    return np.column_stack([scan.points, scan.intensity])


def test_an_annotated_recording_opens_in_the_official_tools(run, drive, tmp_path):
    reader = pytest.importorskip("mcap.reader")
    decoder = pytest.importorskip("mcap_ros2.decoder")
    assert run("predict", drive, "--out", tmp_path / "a", "--device", "cpu")[0] == 0
    words = ("--format", "mcap", "--device", "cpu", "--ego-box", "off")
    assert run("predict", drive, "--out", tmp_path / "b", *words)[0] == 0
    file = tmp_path / "b" / "drive.mcap"
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["drive.mcap"]
    with file.open("rb") as stream:
        opened = reader.make_reader(stream, decoder_factories=[decoder.DecoderFactory()])
        schemas = {schema.name: schema.encoding for schema in opened.get_summary().schemas.values()}
        assert schemas == dict.fromkeys(
            [
                "tf2_msgs/msg/TFMessage",
                "sensor_msgs/msg/PointCloud2",
                "visualization_msgs/msg/MarkerArray",
            ],
            "ros2msg",
        )
        (metadata,) = [record.metadata for record in opened.iter_metadata()]
        names = json.loads(metadata["class_names"])
        decoded = [(c.topic, m) for _, c, _, m in opened.iter_decoded_messages()]
    clouds = [message for topic, message in decoded if topic == "/lidarpan/points"]
    boxes = [message for topic, message in decoded if topic == "/lidarpan/boxes"]
    assert len(clouds) == len(boxes) == NUM_FRAMES
    for k, (cloud, markers) in enumerate(zip(clouds, boxes, strict=True)):
        record = np.dtype(
            {
                "names": [field.name for field in cloud.fields],
                "formats": ["<f4"] * 4 + ["<u4", "u1", "<u4"],
                "offsets": [field.offset for field in cloud.fields],
                "itemsize": cloud.point_step,
            }
        )
        points = np.frombuffer(bytes(cloud.data), record)
        labels = read_prediction(tmp_path / "a" / f"{k:06d}.label", table())
        scan = list(open_recording(drive).frames())[k].load().scan
        np.testing.assert_array_equal(points["x"], scan.points[:, 0])
        assert (points["class"] == labels.semantic).mean() > 0.95  # all but the own vehicle
        assert markers.markers[0].action == 3  # what was there before goes
        cubes = markers.markers[1:]
        assert {marker.ns for marker in cubes} <= set(names)
        assert {marker.id for marker in cubes} <= set(points["instance"].tolist())
        for marker in cubes:
            own = points[points["instance"] == marker.id]
            assert abs(marker.pose.position.z - (own["z"].max() + own["z"].min()) / 2) < 1e-3
    (source,) = [open_recording(file)]
    assert list(source.frames())[2].world_T_sensor[0, 3] == 2  # and we read it back


def table():
    from lidarpan.classes import ClassTable

    return ClassTable.from_name("semantickitti")


def test_scans_and_convert(run, drive, tmp_path):
    code, out, _ = run("scans", drive)
    assert code == 0
    for words in ("/points", "3 x sensor_msgs/msg/PointCloud2", "poses in /tf", "pose    known"):
        assert words in out
    code, out, _ = run("convert", drive, "--out", tmp_path / "out", "--to", "bin")
    assert (code, "3 scans written" in out) == (0, True)
    again = np.fromfile(tmp_path / "out" / "000001.bin", np.float32).reshape(-1, 4)
    (_, frame, _) = open_recording(drive).frames()
    np.testing.assert_array_equal(again, points_of(frame))


def test_bad_options_are_one_line(run, scans, drive, tmp_path):
    for words, wanted in (
        ((drive, "--topic", "/nothing"), "no topic /nothing"),
        ((drive, "--topic", "/tf"), "wanted points in the topic /tf"),
        ((scans / "velodyne", "--topic", "/points"), "for bags and MCAP files"),
        ((tmp_path / "no.mcap",), "no such file"),
    ):
        code, out, err = run("predict", *words, "--out", tmp_path / "out")
        assert code == 2
        assert wanted in " ".join((out + err).split())
        assert "Traceback" not in err


def test_two_recordings_have_folders_of_their_own(run, drive, tmp_path):
    messages = [
        ("/points", START_NS, Ros(2).points(points_of(next(open_recording(drive).frames())), 1))
    ]
    bag = write_rosbag2(tmp_path / "bag", messages)
    code, _, _ = run("convert", drive, bag, "--out", tmp_path / "out", "--to", "npz")
    assert code == 0
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("*.npz"))
    assert written == ["bag/000000.npz", *(f"drive/{k:06d}.npz" for k in range(3))]
