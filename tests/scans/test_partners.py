"""Two sensors on one vehicle, in files: what belongs together, and where each point goes."""

import logging

import numpy as np
import pytest
from conftest import ring_scan
from typer.testing import CliRunner

from lidarpan.cli.app import app
from lidarpan.scans.files import load_scan
from lidarpan.scans.frame_paths import FramePaths
from lidarpan.scans.partners import pair, read_transform
from lidarpan.scans.sources import open_sources
from lidarpan.structures import InputError

REAR_T = np.array([[-1.0, 0, 0, -2.5], [0, -1, 0, 0.3], [0, 0, 1, -0.2], [0, 0, 0, 1]])
"""Of a sensor that looks back, in the first one's frame."""


def in_rear(rows):
    """Rows x y z intensity of the first sensor's frame, as the other sensor writes them."""
    moved = rows.copy()
    moved[:, :3] = (rows[:, :3] - REAR_T[:3, 3]) @ REAR_T[:3, :3]
    return moved.astype(np.float32)


def drive(folder, names, others=None):
    """Scans of two sensors of the same scene; the second's intensities are bytes."""
    rows = ring_scan().astype(np.float32)
    for which, stems in (("front", names), ("rear", names if others is None else others)):
        (folder / which).mkdir()
        for stem in stems:
            seen = rows[::2] if which == "front" else in_rear(rows[1::2]) * [1, 1, 1, 255]
            seen.astype(np.float32).tofile(folder / which / f"{stem}.bin")
    return rows


def opened(folder, transform="-2.5,0.3,-0.2,180"):
    (source,) = open_sources([folder / "front", folder / "rear"], merged=[transform])
    return source


def test_points_of_both_lie_in_the_first_frame(tmp_path):
    rows = drive(tmp_path, ["000000", "000001"])
    source = opened(tmp_path)
    frames = list(source.frames())
    assert [frame.path.name for frame in frames] == ["000000.bin", "000001.bin"]
    loaded = frames[0].load()
    wanted = np.concatenate([rows[::2], rows[1::2]])
    np.testing.assert_allclose(loaded.scan.points, wanted[:, :3], atol=1e-4)
    np.testing.assert_allclose(loaded.scan.intensity, wanted[:, 3], atol=1e-3)
    assert loaded.valid.all()
    assert loaded.num_file_points == frames[0].count() == len(rows)
    again = FramePaths([source]).load(source.files[1])
    np.testing.assert_array_equal(again.scan.points, loaded.scan.points)


def test_sensors_of_one_folder_keep_a_scale_each(tmp_path):
    rows = drive(tmp_path, ["a"])
    for which in ("front", "rear"):
        (tmp_path / which / "a.bin").rename(tmp_path / f"{which}.bin")
    (source,) = open_sources(
        [tmp_path / "front.bin", tmp_path / "rear.bin"], merged=["-2.5,0.3,-0.2,180"]
    )
    scan = next(source.frames()).load().scan
    np.testing.assert_allclose(scan.intensity[len(rows[::2]) :], rows[1::2, 3], atol=1e-3)


def test_the_others_go_along_where_the_first_is_moved(tmp_path):
    rows = drive(tmp_path, ["a"])
    for which in ("front", "rear"):  # both in the frame of a map
        seen = rows[::2] if which == "front" else rows[1::2]
        (seen + np.float32([400, -300, 0, 0])).tofile(tmp_path / which / "a.bin")
    scan = next(opened(tmp_path, "0,0,0").frames()).load().scan
    single = load_scan(tmp_path / "front/a.bin").scan
    np.testing.assert_allclose(scan.points[: single.num_points], single.points)
    shift = single.points[0] - rows[0, :3]
    np.testing.assert_allclose(scan.points[single.num_points :] - shift, rows[1::2, :3], atol=1e-3)


def test_a_sensor_far_from_the_origin_is_not_taken_for_a_map(tmp_path):
    rows = drive(tmp_path, ["a"])
    away = rows + np.float32([0, 60, 0, 0])
    away.tofile(tmp_path / "rear/a.bin")
    alone = load_scan(tmp_path / "rear/a.bin")
    assert alone.sensor_T_file is not None  # by itself it is moved to its sensor
    scan = next(opened(tmp_path, "0,0,0").frames()).load().scan
    np.testing.assert_allclose(scan.points[len(rows[::2]) :], away[:, :3])


def test_transforms(tmp_path):
    words = ["1,2,3,90", "1,2,3,0,0,0.70710678,0.70710678", "0,-1,0,1,1,0,0,2,0,0,1,3"]
    matrix = np.array([[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    np.savetxt(tmp_path / "t.txt", matrix, header="rear to front")
    (tmp_path / "calib.txt").write_text("Tr_rear: " + " ".join(map(str, matrix[:3].ravel())))
    np.save(tmp_path / "t.npy", matrix)
    files = [str(tmp_path / name) for name in ("t.txt", "calib.txt", "t.npy")]
    for given in (*words, *files):
        np.testing.assert_allclose(read_transform(given), matrix, atol=1e-7)


@pytest.mark.parametrize(
    "given",
    ["", "1,2", "1,2,3,nan", "1,2,3,0,0,0,0", "2,0,0,0,0,2,0,0,0,0,2,0", "-1,0,0,0,0,1,0,0,0,0,1,0",
     "none.txt", "front", "1,0,0,0,0,1,0,0,0,0,1,0,0,0,1,1"],
)  # fmt: skip
def test_what_is_no_transform(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="wanted"):
        read_transform(given)


def paths(folder, names):
    return [folder / name for name in names]


@pytest.mark.parametrize(
    ("first", "others", "wanted"),
    [
        (["7.bin", "8.bin", "9.bin"], ["007.pcd", "009.pcd"], {0: 0, 2: 1}),
        (["a.bin", "b.bin"], ["b.bin", "a.bin"], {0: 1, 1: 0}),
        (["1_front.bin", "3_front.bin"], ["1_rear.bin", "2_rear.bin", "3_rear.bin"], {0: 0, 1: 2}),
        (["x.bin", "y.bin"], ["p.bin", "q.bin"], {0: 0, 1: 1}),
        (  # ms since 1970 beside seconds; the second scan was lost
            ["1600000000100.bin", "1600000000200.bin", "1600000000300.bin"],
            ["1600000000.120.bin", "1600000000.290.bin"],
            {0: 0, 2: 1},
        ),
        (["s/00/velodyne/0.bin", "s/01/velodyne/0.bin"], ["r/01/velodyne/0.bin"], {}),
        (["00/0.bin", "01/0.bin"], ["01/0.bin", "00/0.bin"], {0: 1, 1: 0}),
    ],
)
def test_what_belongs_together(first, others, wanted, tmp_path):
    sensors = [paths(tmp_path / "A", first), paths(tmp_path / "B", others)]
    if not wanted:
        with pytest.raises(InputError, match="of other names"):
            pair(sensors, [REAR_T])
        return
    found, _ = pair(sensors, [REAR_T])
    pairs = {path: [one.file for one in partners] for path, partners in found.items() if partners}
    assert pairs == {sensors[0][k]: [sensors[1][m]] for k, m in wanted.items()}


def test_a_scan_without_partner_is_taken_alone_and_said(tmp_path, caplog):
    rows = drive(tmp_path, ["000000", "000001"], ["000001"])
    with caplog.at_level(logging.WARNING, "lidarpan"):
        frames = list(opened(tmp_path).frames())
    assert "none of its scans belongs to 1 of 2" in caplog.text
    assert [frame.count() for frame in frames] == [len(rows[::2]), len(rows)]


def test_an_empty_scan_of_one_sensor_is_left_out_and_said(tmp_path):
    rows = drive(tmp_path, ["000000"])
    (tmp_path / "front/000000.bin").write_bytes(b"")
    loaded = next(opened(tmp_path).frames()).load()
    np.testing.assert_allclose(loaded.scan.points, rows[1::2, :3], atol=1e-4)
    assert any("an empty file" in said for said in loaded.warnings)


def test_a_path_and_a_transform_for_each_sensor(tmp_path):
    drive(tmp_path, ["000000"])
    with pytest.raises(InputError, match="a path for each sensor"):
        open_sources([tmp_path / "front"], merged=["0,0,0"])
    with pytest.raises(InputError, match="in two of them"):
        open_sources([tmp_path / "front", tmp_path / "front"], merged=["0,0,0"])
    (tmp_path / "drive.bag").write_bytes(b"x")
    with pytest.raises(InputError, match="--topic A --topic B"):
        open_sources([tmp_path / "front", tmp_path / "drive.bag"], merged=["0,0,0"])


def test_labels_of_merged_scans_are_made_once_and_drawn(tmp_path):
    rows = drive(tmp_path, ["000000"])
    both = [str(tmp_path / "front"), str(tmp_path / "rear"), "--merge", "-2.5,0.3,-0.2,180"]
    out = tmp_path / "labels"
    predict = ["predict", *both, "--out", str(out), "--device", "cpu"]
    first = CliRunner().invoke(app, predict)
    assert first.exit_code == 0, first.output
    assert "--merge -2.5,0.3,-0.2,180" in first.output
    assert (out / "000000.label").stat().st_size == 4 * len(rows)
    assert "1 were there already" in CliRunner().invoke(app, predict).output
    picture = tmp_path / "map.png"
    drawn = CliRunner().invoke(app, ["draw", *both, "--labels", str(out), "--out", str(picture)])
    assert drawn.exit_code == 0, drawn.output
    assert picture.stat().st_size > 0
    merged = CliRunner().invoke(app, ["convert", *both, "--out", str(tmp_path), "--to", "npy"])
    assert merged.exit_code == 0, merged.output
    assert np.load(tmp_path / "000000.npy").shape == (len(rows), 4)
