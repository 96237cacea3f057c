"""The map of a drive from files, whose ids may change from scan to scan."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_draw_map import BUILDING, CAR, CLASSES, color_at, drive

from lidarpan.cli import main
from lidarpan.datasets.kitti_labels import write_predictions
from lidarpan.draw.drive import map_files
from lidarpan.draw.drive_map import MapPicture
from lidarpan.draw.linking import ids_stay
from lidarpan.structures import InputError, PanopticLabels
from lidarpan.synthetic.semantickitti_writer import camera_poses


def shuffled(frames):
    """The same labels with other ids in each scan."""
    rng = np.random.default_rng(3)
    for scan, labels in frames:
        names = np.concatenate([[0], 1 + rng.permutation(9)]).astype(np.int32)
        yield scan, PanopticLabels(labels.semantic, names[labels.instance])


def drive_at_10_hz():
    return drive(num_scans=12, step_m=1.5)


@pytest.fixture
def tree(tmp_path):
    """A drive as a SemanticKITTI sequence; its poses are in camera axes."""
    frames, poses = drive_at_10_hz()
    folder = tmp_path / "sequences" / "08"
    (folder / "velodyne").mkdir(parents=True)
    (folder / "labels").mkdir()
    for k, (scan, labels) in enumerate(frames):
        rows = np.column_stack([scan.points, scan.intensity]).astype(np.float32)
        rows.tofile(folder / "velodyne" / f"{k:06d}.bin")
        write_predictions(folder / "labels" / f"{k:06d}.label", labels, CLASSES)
    (folder / "poses.txt").write_text("\n".join(camera_poses(poses)))
    (folder / "calib.txt").write_text("Tr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n")
    return folder


def opened(made):
    """A map as it was drawn, from its files."""
    size, _, _, _, left, top = (float(line) for line in made.world.read_text().split())
    return MapPicture(Image.open(made.image).convert("RGB"), size, left, top)


def scans_of(tree):
    return sorted((tree / "velodyne").iterdir())


def test_ids_that_stay_are_told_from_those_that_change():
    frames, poses = drive_at_10_hz()
    assert ids_stay(frames.__getitem__, poses)
    assert not ids_stay(list(shuffled(frames)).__getitem__, poses)
    assert ids_stay(frames.__getitem__, poses[:1])


def test_objects_are_tracked_where_ids_change(tree, tmp_path):
    frames, _ = drive_at_10_hz()
    for k, (_, labels) in enumerate(shuffled(frames)):
        write_predictions(tree / "labels" / f"{k:06d}.label", labels, CLASSES)
    made = map_files(
        scans_of(tree), tmp_path / "map.png", labels=tree.parents[1], size_px=600, range_m=20
    )
    assert made.is_linked
    picture = opened(made)
    background = (17, 19, 24)
    assert color_at(picture, 13, 5.9) != background  # parked
    assert color_at(picture, 25.5, -0.8) != background  # the moving one where it was seen last
    assert color_at(picture, 9, -0.8) == background  # and where it was seen first


def test_the_class_of_an_object_may_change_where_its_id_stays():
    frames, poses = drive_at_10_hz()
    truck = CLASSES.id_of("truck")
    doubtful = [
        (scan, replace(labels, semantic=np.where(labels.semantic == CAR, truck, labels.semantic)))
        if k % 2
        else (scan, labels)
        for k, (scan, labels) in enumerate(frames)
    ]
    assert ids_stay(doubtful.__getitem__, poses)


def test_map_of_files_lies_where_its_world_file_says(tree, tmp_path):
    made = map_files(
        scans_of(tree), tmp_path / "out" / "map.png", labels=tree.parents[1], size_px=600,
        range_m=20,
    )  # fmt: skip
    assert made.world == tmp_path / "out" / "map.pgw"
    assert not made.is_linked
    picture = opened(made)
    # in the first sensor's axes, which look along world y, the wall at x = 10 lies to the right
    assert color_at(picture, 3, -10) == tuple(CLASSES.colors[BUILDING])


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["lidarpan", "draw", *map(str, words)])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    told = capsys.readouterr()
    return code, told.out.splitlines(), told.err.splitlines()


def test_draw_writes_all_that_is_asked_for(tree, tmp_path, monkeypatch, capsys):
    words = (tree / "velodyne", "--labels", tree.parents[1], "--size", 300)
    page, drawn = tmp_path / "view.html", tmp_path / "map.png"
    code, out, _ = run(monkeypatch, capsys, *words, "--out", page, "--map", drawn)
    assert code == 0
    assert out[0] == f"drawn: {page}"
    assert out[-1] == f"drawn: {drawn}, placed by {drawn.with_suffix('.pgw')}"
    assert "<title>08</title>" in page.read_text()
    assert drawn.is_file()


def test_bad_words_are_one_line_and_write_nothing(tree, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    scans, labels, out = tree / "velodyne", ("--labels", tree.parents[1]), tmp_path / "map.png"
    short = tmp_path / "short.txt"
    short.write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    before = sorted(tmp_path.rglob("*"))
    for words, message in (
        ((), "wanted --out FILE.png|.html|.mp4|.gif, --map FILE.png, --rerun FILE.rrd or --window"),
        (("--map", out), "needs labels"),
        (("--map", tmp_path / "map.tif", *labels), "a .png, got .tif"),
        (("--map", out, *labels, "--poses", short), "each of 12 scans up to 000011.bin, got 1"),
        (("--map", out, *labels, "--range", -3), "above 0 m"),
        (("--out", out, *labels), "--map for one map of the drive"),
        (("--rerun", tmp_path / "a.txt", *labels), "an .rrd"),
    ):
        code, _, err = run(monkeypatch, capsys, scans, *words)
        assert code == 2
        assert len(err) == 1
        assert message in err[0]
    if sys.platform == "linux":
        code, _, err = run(monkeypatch, capsys, scans, *labels, "--window")
        assert (code, len(err)) == (2, 1)
        assert "use --out view.html" in err[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_map_needs_the_scans_of_one_drive(tree, tmp_path):
    with pytest.raises(InputError, match="one drive"):
        map_files([*scans_of(tree), tmp_path / "a.bin"], tmp_path / "m.png", labels=tree.parents[1])
