"""Every script in examples/ runs as its first lines say, and so does the notebook."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import lidarpan
from lidarpan.classes import load_class_table
from lidarpan.datasets.label_files import read_prediction
from lidarpan.synthetic.sensors.sensor import make_sensor
from lidarpan.synthetic.simulate import simulate_scan

EXAMPLES = Path(__file__).parents[1] / "examples"
CLASSES = load_class_table("semantickitti")
SENSOR = make_sensor("small", num_beams=32, azimuth_steps=600, lowest_deg=-24)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Two scans of towns as KITTI files, their heights as classes and as probabilities."""
    folder = tmp_path_factory.mktemp("examples")
    for kind in ("scans", "semantic", "softmax"):
        (folder / kind).mkdir()
    for k in range(2):
        scan = simulate_scan(k, SENSOR).scan
        rows = np.column_stack([scan.points, scan.intensity]).astype(np.float32)
        rows.tofile(folder / "scans" / f"{k}.bin")
        z, names = scan.points[:, 2], ("road", "car", "building")
        ids = np.array([CLASSES.id_of(name) for name in names])
        semantic = ids[np.digitize(z, [-1.5, 0.2])]
        np.save(folder / "semantic" / f"{k}.npy", semantic)
        np.save(folder / "softmax" / f"{k}.npy", np.eye(20, dtype=np.float32)[semantic])
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    def call(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return call


def test_any_semantics(run, scans):
    out = run("any_semantics.py", scans / "scans/0.bin", scans / "semantic/0.npy")
    assert len(out.splitlines()) > 3
    assert {line.split()[1] for line in out.splitlines()} == {"car"}


def test_own_network(run, scans):
    assert " points, " in run("own_network.py", scans / "scans/0.bin")


def test_softmax_files(run, scans, tmp_path):
    out = run("softmax_files.py", scans / "scans", scans / "softmax", tmp_path)
    assert out.count(" objects") == 2
    labels = read_prediction(tmp_path / "1.npz", CLASSES)
    assert labels.instance.max() > 3


def test_objects(run, scans):
    out = run("objects.py", scans / "scans/0.bin")
    away = [float(line.split(" m ")[0].split()[-1]) for line in out.splitlines()]
    assert away == sorted(away)
    assert "car" in out


def test_score_a_folder(run, scans, tmp_path):
    semantic = np.load(scans / "semantic/0.npy").astype(np.uint8)
    raw = CLASSES.to_raw(semantic).astype(np.uint32)
    (tmp_path / "own").mkdir()
    (tmp_path / "true").mkdir()
    raw.tofile(tmp_path / "true/0.label")
    np.where(np.arange(len(raw)) % 2, raw, 50).astype(np.uint32).tofile(tmp_path / "own/0.label")
    out = run("score_a_folder.py", tmp_path / "own", tmp_path / "true")
    assert "building" in out
    assert out.splitlines()[-1].startswith("all")


def test_the_notebook(scans, monkeypatch, capsys):
    monkeypatch.chdir(scans)
    notebook = json.loads((EXAMPLES / "first_look.ipynb").read_text())
    assert not any(cell.get("outputs") for cell in notebook["cells"])  # small, and nothing stale
    space = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
    assert space["labels"].num_points == space["scan"].num_points
    assert "objects" in capsys.readouterr().out


def test_the_ros_node_reads_as_python():
    """It runs where ROS 2 is, which is not here."""
    compile((EXAMPLES / "ros2_node.py").read_text(), "ros2_node.py", "exec")


def test_every_example_is_run_here():
    here = Path(__file__).parent
    known = "".join(path.read_text() for path in here.glob("test_*example*.py"))
    for path in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb")]:
        assert path.name in known, path


def test_the_top_of_the_package_is_what_it_says():
    for name in lidarpan.__all__:
        assert getattr(lidarpan, name) is not None


def test_recording(run, scans, tmp_path):
    pytest.importorskip("rosbags")
    pytest.importorskip("mcap")
    from lidarpan.scans.convert import convert_sources
    from lidarpan.scans.sources import open_sources

    results = list(convert_sources(open_sources([scans / "scans"]), tmp_path, "mcap"))
    out = run("recording.py", results[0].path, "/points")
    assert [line.split()[0].rsplit("/", 1)[1] for line in out.splitlines()] == ["000000", "000001"]
    assert "'car'" in out
