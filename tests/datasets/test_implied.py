"""Whose classes a label file holds: what it says wins, what contradicts it is an error."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.datasets.implied import implied_classes
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.predictions import write_prediction
from lidarpan.draw.files import Frames
from lidarpan.draw_files import draw_files
from lidarpan.scans.fields import LoadedScan
from lidarpan.structures import InputError, PanopticLabels, Scan

KITTI, NUSCENES = load_class_table("semantickitti"), load_class_table("nuscenes")


@pytest.fixture
def files(tmp_path):
    """A scan of 60 points and its labels, a bus, in every format; the label files' paths."""
    rng = np.random.default_rng(0)
    scan = Scan(rng.uniform(-5, 5, (60, 3)))
    np.save(tmp_path / "s.npy", scan.points)
    loaded = LoadedScan(scan, np.ones(60, bool))
    ones = np.ones(60, np.int32)
    found = {}
    for name, classes, thing in (("semantickitti", KITTI, "truck"), ("nuscenes", NUSCENES, "bus")):
        labels = PanopticLabels(ones * classes.id_of(thing), ones, np.array([0, 0.5]))
        for kind in ("npz", "ply", name):
            end = {"semantickitti": "s.label", "nuscenes": "s_panoptic.npz"}.get(kind, f"s.{kind}")
            path = tmp_path / name / kind / end
            write_prediction(path, labels, loaded, classes, kind)
            found[name, kind] = path
    found["nuscenes", "lidarseg"] = tmp_path / "nuscenes" / "s_lidarseg.bin"
    np.full(60, 16, np.uint8).tofile(found["nuscenes", "lidarseg"])
    return tmp_path / "s.npy", found


def test_what_files_say(files):
    for (name, _), path in files[1].items():
        assert implied_classes(path) == name


def test_contradictions_are_errors(files):
    for (name, _), path in files[1].items():
        right, wrong = (KITTI, NUSCENES) if name == "semantickitti" else (NUSCENES, KITTI)
        read_prediction(path, right)
        with pytest.raises(InputError, match=f"got those of {name}: use --classes {name}"):
            read_prediction(path, wrong)


def test_drawing_takes_what_the_files_say(files, tmp_path):
    scan, found = files
    for (name, kind), path in found.items():
        if kind == "lidarseg":
            continue
        frames = Frames.of([scan], None, path)
        assert frames.classes.name == name
        thing = "truck" if name == "semantickitti" else "bus"
        assert (frames.read(0)[1].semantic == frames.classes.id_of(thing)).all()
    with pytest.raises(InputError, match="classes of semantickitti, got those of nuscenes"):
        draw_files(
            [scan], tmp_path / "o.png", labels=found["semantickitti", "semantickitti"],
            truth=found["nuscenes", "nuscenes"], mode="error",
        )  # fmt: skip
    assert not (tmp_path / "o.png").exists()
