"""`lidarpan track`: label files in, the same files with ids that last out."""

import csv
import json

import numpy as np
import pytest
from drives import at, car, look, person

from lidarpan.classes import load_class_table
from lidarpan.cli import main
from lidarpan.datasets.lasting_labels import LastingLabels
from lidarpan.datasets.times import find_times
from lidarpan.scans.fields import LoadedScan
from lidarpan.structures import InputError, PanopticLabels, Scan

STEP_S = 0.1
NUM_SCANS = 8


def scene(t):
    return [
        car(1, 9.0, 4.0),
        car(2, 12.0, -5.0),
        car(3, -20 + 12 * t, 8.0),
        person(4, 5 - 1.4 * t, -3),
    ]


def ego(t):
    return at(6 * t, 0.5, 0.1 * t)


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A KITTI sequence with true semantics, ids that start anew in each scan, and the truth."""
    root = tmp_path_factory.mktemp("drive")
    folder = root / "sequences" / "02"
    (folder / "velodyne").mkdir(parents=True)
    labels = root / "labels" / "sequences" / "02" / "predictions"
    labels.mkdir(parents=True)
    rng = np.random.default_rng(1)
    poses, times, truth = [], [], []
    for k in range(NUM_SCANS):
        t = k * STEP_S
        points, semantic, number = look(scene(t), ego(t), rng)
        columns = np.column_stack([points, np.zeros(len(points))]).astype(np.float32)
        columns.tofile(folder / "velodyne" / f"{k:06d}.bin")
        raw = load_class_table("semantickitti").to_raw(semantic).astype(np.uint32)
        ids = (rng.permutation(9).astype(np.uint32) + 1)[number]
        (raw | ids << 16).tofile(labels / f"{k:06d}.label")
        poses.append(" ".join(f"{v:.9g}" for v in ego(t)[:3].ravel()))
        times.append(f"{t:.3f}")
        truth.append(number)
    (folder / "poses.txt").write_text("\n".join(poses) + "\n")
    (folder / "times.txt").write_text("\n".join(times) + "\n")
    return root, truth


def run(*words):
    """Exit code of the command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["lidarpan", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            main()
    return int(done.value.code or 0)


def tracked(root, out, *more):
    scans = root / "sequences" / "02" / "velodyne"
    assert run("track", scans, "--labels", root / "labels", "--out", out, *more) == 0
    files = sorted((out / "sequences" / "02" / "predictions").glob("*.label"))
    assert len(files) == NUM_SCANS
    return [np.fromfile(file, np.uint32) for file in files]


@pytest.mark.parametrize("more", [(), ("--online",)])
def test_ids_last_and_moving_things_are_named_so(drive, tmp_path, more):
    root, truth = drive
    packed = tracked(root, tmp_path, *more)
    for number in (1, 2, 3, 4):
        ids = {
            int(k)
            for p, n in zip(packed, truth, strict=True)
            for k in np.unique(p[n == number] >> 16)
        }
        assert len(ids) == 1
    rest, goes = packed[-1][truth[-1] == 1] & 0xFFFF, packed[-1][truth[-1] == 3] & 0xFFFF
    assert (np.unique(rest).tolist(), np.unique(goes).tolist()) == ([10], [252])
    first = np.unique(packed[0][truth[0] == 3] & 0xFFFF).tolist()
    assert first == ([10] if more else [252])  # the first scan alone shows no motion
    plain = tracked(root, tmp_path / "plain", "--no-moving")
    assert {int(v) for p in plain for v in np.unique(p & 0xFFFF)} == {10, 30}


def test_lists_say_where_everything_is_in_the_world(drive, tmp_path):
    root, _ = drive
    tracked(root, tmp_path, "--boxes", "kitti")
    rows = list(csv.DictReader((tmp_path / "tracks.csv").open()))
    last = {r["id"]: r for r in rows if r["scan"] == f"{NUM_SCANS - 1:06d}"}
    x = -20 + 12 * STEP_S * (NUM_SCANS - 1)
    mover = min(last.values(), key=lambda r: abs(float(r["x_m"]) - x) + abs(float(r["y_m"]) - 8))
    assert abs(float(mover["x_m"]) - x) < 0.7
    assert abs(float(mover["y_m"]) - 8) < 0.5
    assert float(mover["vx_m_s"]) == pytest.approx(12, abs=1.5)
    assert (mover["moving"], mover["class"], mover["drive"]) == ("1", "car", "02")
    content = json.loads((tmp_path / "tracks.json").read_text())["tracks"]
    assert sum(len(one["views"]) for one in content) == len(rows)
    lines = (tmp_path / "boxes" / "02.txt").read_text().splitlines()
    assert len(lines) == len(rows)
    words = [line.split() for line in lines]
    assert {row[2] for row in words} == {"Car", "Pedestrian"}
    assert [int(row[0]) for row in words] == sorted(int(row[0]) for row in words)
    assert {len(row) for row in words} == {18}


def test_interrupted_work_ends_with_the_same_bytes(drive, tmp_path):
    root, _ = drive
    tracked(root, tmp_path / "whole")
    whole = {p.name: p.read_bytes() for p in (tmp_path / "whole").rglob("*") if p.is_file()}
    tracked(root, tmp_path / "cut")
    files = sorted((tmp_path / "cut").rglob("*.label"))
    for file in files[3:]:
        file.unlink()
    files[2].write_bytes(files[2].read_bytes()[:100])
    (tmp_path / "cut" / "tracks.csv").unlink()
    tracked(root, tmp_path / "cut")
    again = {p.name: p.read_bytes() for p in (tmp_path / "cut").rglob("*") if p.is_file()}
    assert again == whole


def test_semantics_alone_are_grouped_first(drive, tmp_path):
    root, truth = drive
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in sorted((root / "labels").rglob("*.label")):
        (np.fromfile(file, np.uint32) & 0xFFFF).tofile(bare / file.name)
    scans = root / "sequences" / "02" / "velodyne"
    assert run("track", scans, "--labels", bare, "--out", tmp_path / "out") == 0
    packed = np.fromfile(tmp_path / "out" / "000000.label", np.uint32)
    assert len(np.unique(packed[truth[0] == 1] >> 16)) == 1
    assert (packed >> 16).all()


def test_without_poses_it_says_what_is_lost(drive, tmp_path, capsys):
    root, _ = drive
    scans = tmp_path / "scans"
    scans.mkdir()
    for file in (root / "sequences" / "02" / "velodyne").iterdir():
        (scans / file.name).write_bytes(file.read_bytes())
    flat = root / "labels" / "sequences" / "02" / "predictions"
    assert run("track", scans, "--labels", flat, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().err
    assert "no poses: the world is taken to move with the sensor" in said
    assert "no times: taken 0.1 s apart" in said


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("poses", "1 2 3\n", "12 finite numbers a line"),
        ("times", "0.1 abc\n", "seconds, a number a line"),
        ("times", "0\n0.1\n", "a time for each of 8 scans"),
        ("times", "0\n1\n2\n3\n3\n4\n5\n6\n", "times that grow, got 3 s for 000003.bin and 3 s"),
    ],
)
def test_bad_input_is_one_line(drive, tmp_path, capsys, name, text, words):
    root, _ = drive
    file = tmp_path / f"{name}.txt"
    file.write_text(text)
    scans = root / "sequences" / "02" / "velodyne"
    code = run(
        "track", scans, "--labels", root / "labels", f"--{name}", file, "--out", tmp_path / "o"
    )
    said = capsys.readouterr().err
    assert code == 2
    assert words in said
    assert not list((tmp_path / "o").rglob("*.label"))


def test_outputs_never_replace_inputs(drive, tmp_path):
    root, _ = drive
    scans = root / "sequences" / "02" / "velodyne"
    assert run("track", scans, "--labels", root / "labels", "--out", root / "labels") == 2


def test_times_of_nuscenes_stand_in_the_names(tmp_path):
    names = [f"n1__LIDAR_TOP__153188415{k}448944.pcd.bin" for k in (6, 7)]
    assert np.diff(find_times([tmp_path / name for name in names])) == pytest.approx([1.0])
    assert find_times([tmp_path / "a.bin", tmp_path / "b.bin"]) is None
    stamps = [tmp_path / f"160000000{k}000500.bin" for k in range(3)]  # microseconds
    assert np.diff(find_times(stamps)) == pytest.approx([1.0, 1.0])


def test_ids_beyond_a_format_get_a_free_number_of_their_class(tmp_path):
    classes = load_class_table("nuscenes")
    points = np.zeros((4, 3), np.float32)
    loaded = LoadedScan(Scan(points, np.zeros(4, np.float32)), np.ones(4, np.bool_))
    before = tmp_path / "before.npz"
    np.savez(before, data=np.array([4001, 4001, 7002, 11000], np.uint16))
    writer = LastingLabels(classes)
    still = np.zeros(4, np.bool_)
    for instance in ([5, 1500, 1500, 0], [1500, 5, 1501, 0]):
        labels = PanopticLabels(np.array([4, 4, 7, 11], np.uint8), np.array(instance, np.int32))
        writer.write(tmp_path / "after.npz", before, loaded, labels, still)
        written = np.load(tmp_path / "after.npz")["data"].tolist()
        wanted = [4005, 4999, 7999, 11000] if instance[0] == 5 else [4999, 4005, 7998, 11000]
        assert written == wanted


def test_labels_of_other_lengths_are_refused(drive, tmp_path):
    from lidarpan.datasets.lasting_labels import read_for_tracking

    file = tmp_path / "a.label"
    np.zeros(3, np.uint32).tofile(file)
    loaded = LoadedScan(
        Scan(np.zeros((4, 3), np.float32), np.zeros(4, np.float32)), np.ones(4, bool)
    )
    with pytest.raises(InputError, match="wanted 4 labels"):
        read_for_tracking(file, load_class_table("semantickitti"), loaded)
