"""The pipeline around any network, and what it takes for a scan."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from lidarpan import PanopticPipeline, Scan
from lidarpan.bench.scans import street_scan
from lidarpan.classes import load_class_table
from lidarpan.inference import Handling, predict_files
from lidarpan.model.contract import PointOutputs
from lidarpan.structures import InputError

CLASSES = load_class_table("semantickitti")
CAR, ROAD, VEGETATION = (CLASSES.id_of(name) for name in ("car", "road", "vegetation"))


def street():
    """A road and two cars of 300 points; points of the second lie higher."""
    rng = np.random.default_rng(1)
    road = np.c_[rng.uniform(-20, 20, (1000, 2)), np.full(1000, -1.7)]
    cars = [rng.uniform(0, 1, (300, 3)) * [4, 1.7, 1.0] + low for low in ([6, 2, -1.5], [6, 7, 0])]
    return Scan(np.concatenate([road, *cars]))


def by_height(scan, sure=0.9):
    """Everything above the road is a car, 0.6 sure where it is high up."""
    softmax = np.zeros((scan.num_points, CLASSES.num_classes), np.float32)
    z = scan.points[:, 2]
    softmax[:, ROAD] = z < -1.6
    p = np.where(z > -0.2, 0.6, sure)
    softmax[z >= -1.6, CAR] = p[z >= -1.6]
    softmax[z >= -1.6, VEGETATION] = 1 - p[z >= -1.6]
    return softmax


def test_a_function_is_a_network():
    labels = PanopticPipeline(by_height).predict(street())
    assert np.unique(labels.instance).tolist() == [0, 1, 2]
    assert (labels.semantic[1000:] == CAR).all()
    assert labels.classes.name == "semantickitti"
    assert labels.score[1:] == pytest.approx([0.9, 0.6], abs=0.01)


def test_unsure_objects_return_to_stuff():
    labels = PanopticPipeline(by_height, min_score=0.7).predict(street())
    assert (labels.semantic[1000:1300] == CAR).all()
    assert (labels.semantic[1300:] == VEGETATION).all()
    assert not labels.instance[1300:].any()


def test_a_torch_module_is_a_network():
    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, CLASSES.num_classes - 1)
            self.drop = nn.Dropout(0.9)

        def forward(self, scan):
            rows = torch.from_numpy(np.c_[scan.points, scan.intensity])
            return self.drop(self.layer(rows)).softmax(dim=1)

    torch.manual_seed(0)
    pipeline = PanopticPipeline(Module())
    one, two = pipeline.predict(street()), pipeline.predict(street())
    assert (one.semantic == two.semantic).all()  # in evaluation mode, so without dropout
    assert (one.semantic > 0).all()  # the column of void was left out


def test_offsets_are_heeded():
    calls = []

    def network(scan):
        calls.append(scan)
        offsets = np.zeros((scan.num_points, 2))
        return PointOutputs(by_height(scan), offsets=torch.from_numpy(offsets))

    assert PanopticPipeline(network, grouping="pseudo-heatmap").predict(street()).instance.max() > 0
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda s: np.zeros((3, 20)), r"wanted \(1600, 20\).*got \(3, 20\)"),
        (lambda s: 8 * by_height(s) - 2, "take the softmax of the logits"),
        (lambda s: np.full((s.num_points, 20), 0.5), "a row with 10"),
        (lambda s: np.full((s.num_points, 20), np.nan), "wanted probabilities"),
        (lambda s: PointOutputs(by_height(s), offsets=np.zeros((2, 2))), "offsets: wanted"),
        (lambda s: PointOutputs(by_height(s), heatmap=np.zeros((2, 2))), "wanted both or none"),
    ],
)
def test_wrong_answers_are_told(answer, said):
    with pytest.raises(InputError, match=said):
        PanopticPipeline(answer).predict(street())


def test_what_a_scan_may_be(tmp_path, caplog):
    scan = street()
    pipeline = PanopticPipeline(by_height)
    wanted = pipeline.predict(scan)
    rows = scan.points.astype(np.float64)
    np.save(tmp_path / "scan.npy", scan.points)
    many = list(pipeline.predict_many([rows, tmp_path / "scan.npy", str(tmp_path / "scan.npy")]))
    for labels in (*many, pipeline.predict(np.c_[rows, np.zeros(len(rows))])):
        assert (labels.semantic == wanted.semantic).all()
        assert (labels.instance == wanted.instance).all()
    rows[5] = np.nan
    with caplog.at_level(logging.WARNING, "lidarpan"):
        labels = pipeline.predict(rows)
    assert labels.num_points == len(rows)
    assert labels.semantic[5] == 0
    assert (np.delete(labels.semantic, 5) == np.delete(wanted.semantic, 5)).all()
    assert "the array: dropped 1 of 1600 points" in caplog.text
    with pytest.raises(InputError, match=r"wanted a Scan, an \(N, 3 or more\) array or a path"):
        pipeline.predict([1, 2, 3])
    with pytest.raises(InputError, match="got \\(1600, 2\\)"):
        pipeline.predict(rows[:, :2])


def test_a_kind_of_note_is_said_once_per_folder(tmp_path, caplog):
    points = street().points.copy()
    files = [tmp_path / f"{drive}/{k}.npy" for drive in "ab" for k in range(3)]
    for k, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        points[: k + 1] = np.nan
        np.save(file, points)
    pipeline = PanopticPipeline(by_height)
    with caplog.at_level(logging.WARNING, "lidarpan"):
        for _ in pipeline.predict_many(files):
            pass
    dropped = [text for text in caplog.messages if "NaN or infinite" in text]
    assert dropped == [
        f"{files[0]}: dropped 1 of 1600 points: NaN or infinite",
        f"{files[3]}: dropped 4 of 1600 points: NaN or infinite",
    ]


def test_the_network_knows_the_file(tmp_path):
    scan = street()
    np.save(tmp_path / "scan.npy", scan.points)
    np.save(tmp_path / "softmax.npy", by_height(scan))

    def from_file(given):
        return np.load(given.path.with_name("softmax.npy"))

    labels = PanopticPipeline(from_file).predict(tmp_path / "scan.npy")
    assert labels.instance.max() == 2


def test_points_on_the_own_vehicle_are_void():
    scan = street()
    roof = np.random.default_rng(2).uniform((-1, -0.7, -0.5), (1.2, 0.7, -0.1), (50, 3))
    both = Scan(np.concatenate([scan.points, roof]))
    seen = []

    def network(scan):
        seen.append(scan.num_points)
        return by_height(scan)

    labels = PanopticPipeline(network).predict(both)
    hidden = both.num_points - seen[0]
    assert hidden >= 50
    assert (labels.semantic[-50:] == 0).all()
    assert labels.num_points == both.num_points
    labels = PanopticPipeline(network, ego_box=None).predict(both)
    assert seen[1] == both.num_points
    assert (labels.semantic[-50:] == CAR).all()


def test_a_file_gets_the_labels_of_the_command_line(tmp_path):
    scan = street_scan(8000, seed=3)
    rows = np.column_stack([scan.points * [1, -1, -1] - [0, 0, 0.8], scan.intensity])
    path = tmp_path / "hanging.bin"
    rows.astype(np.float32).tofile(path)
    pipeline = PanopticPipeline.from_weights("town", "cpu")
    handling = Handling(is_levelled=True)
    (result,) = predict_files(pipeline, [path], tmp_path / "o", "npz", handling=handling)
    for labels in (pipeline.predict(path), pipeline.predict(rows)):
        assert (labels.semantic == result.labels.semantic).mean() > 0.999
    assert (pipeline.predict(scan).semantic == result.labels.semantic).mean() > 0.9
