"""The rerun recording: whole, readable, with classes, ids and colours."""

import sys

import numpy as np
import pytest
from test_viewer import CLASSES, street

from lidarpan.structures import InputError
from lidarpan.viewer.rerun import write_rerun


def test_missing_rerun_is_one_line_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(InputError, match=r"not installed: pip install 'lidarpan\[rerun\]'"):
        write_rerun(tmp_path / "a.rrd", [street()], CLASSES)
    with pytest.raises(InputError, match=r"an \.rrd, got \.html"):
        write_rerun(tmp_path / "a.html", [street()], CLASSES)
    assert not list(tmp_path.iterdir())


def test_recording_holds_points_ids_and_meanings(tmp_path):
    rerun = pytest.importorskip("rerun", reason="no rerun: pip install 'rerun-sdk>=0.23'")
    path = tmp_path / "drive.rrd"
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, 0, 3] = 5.0
    assert write_rerun(path, (street(float(i)) for i in range(2)), CLASSES, poses=poses) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["drive.rrd"]
    view = rerun.dataframe.load_recording(path).view(index="scan", contents="/**")
    rows, fixed = view.select().read_all(), view.select_static().read_all()

    def cell(name, row=0):
        return np.array(rows.column(f"/world/sensor/{name}").to_pylist()[row])

    scan, own, _ = street()
    assert np.allclose(cell("prediction:Position3D"), scan.points)
    assert (cell("prediction:ClassId") == own.semantic).all()
    assert (cell("prediction:instance_id") == own.instance).all()
    assert cell("truth/objects:Text").tolist() == ["car 12", "car 70001"]
    assert cell("prediction/objects:Text").tolist() == ["car 7 (0.83)"]
    road = CLASSES.colors[CLASSES.id_of("road")]
    assert cell("prediction:Color")[0] == int.from_bytes([*road.tolist(), 255], "big")
    assert set(cell("errors:ClassId").tolist()) == {1, 2}
    moved = np.array(rows.column("/world/sensor:Translation3D").to_pylist()[1]).ravel()
    assert moved.tolist() == [5, 0, 0]
    (meanings,) = fixed.column("/world:AnnotationContext").to_pylist()[0]
    assert [m["class_description"]["info"]["label"] for m in meanings][:2] == ["void", "car"]


def test_a_recording_needs_a_scan(tmp_path):
    pytest.importorskip("rerun", reason="no rerun: pip install 'rerun-sdk>=0.23'")
    with pytest.raises(InputError, match="at least one scan"):
        write_rerun(tmp_path / "a.rrd", [], CLASSES)
    assert not list(tmp_path.iterdir())
