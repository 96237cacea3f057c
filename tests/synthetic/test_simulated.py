"""Simulated datasets are read by the readers of the real ones."""

import hashlib

import numpy as np
import pytest

from lidarpan.datasets.open import open_dataset
from lidarpan.structures import InputError
from lidarpan.synthetic import simulated
from lidarpan.synthetic.sensors.sensor import make_sensor
from lidarpan.synthetic.simulated import TOWN_SPACING_M, split_scenes, write_simulated


def digest(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(f.relative_to(root)): hashlib.md5(f.read_bytes()).hexdigest() for f in files}


@pytest.fixture(scope="module")
def kitti(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitti")
    options = {"num_scans": 5, "seed": 1, "sensor": "hdl32e", "scans_per_town": 2}
    assert len(list(write_simulated("semantickitti", root, **options))) == 5
    return root, options


def test_every_split_is_there_and_reads(kitti):
    for split, count in {"train": 3, "valid": 1, "test": 1}.items():
        dataset = open_dataset("semantickitti", kitti[0], split)
        assert len(dataset) == count
        labels = dataset.labels(0)
        assert labels.num_points == dataset[0].num_points > 20_000
        assert len(np.unique(labels.semantic)) > 8
        assert labels.instance.max() > 3


def test_a_sequence_drives_through_towns_far_apart_with_ids_of_their_own(kitti):
    dataset = open_dataset("semantickitti", kitti[0], "train")
    where = np.array([dataset[i].world_T_sensor[:3, 3] for i in range(3)])
    assert np.linalg.norm(where[1] - where[0]) < 3  # a tenth of a second
    assert np.linalg.norm(where[2] - where[0]) > TOWN_SPACING_M / 2
    first, second, third = (set(np.unique(dataset.raw_labels(i) >> 16)) - {0} for i in range(3))
    assert len(first & second) > 0.5 * len(first)
    assert not third & (first | second)


def test_the_same_arguments_give_the_same_bytes(kitti, tmp_path):
    root, options = kitti
    list(write_simulated("semantickitti", tmp_path / "again", **options))
    assert digest(tmp_path / "again") == digest(root)


def test_nuscenes_layout(tmp_path):
    assert len(list(write_simulated("nuscenes", tmp_path, num_scans=2, seed=2))) == 2
    for split in ("mini_train", "mini_val"):
        dataset = open_dataset("nuscenes", tmp_path, split)
        labels = dataset.labels(0)
        assert labels.num_points == dataset[0].num_points > 20_000
        assert len(np.unique(labels.semantic)) > 8


def test_scans_are_spread_over_the_scenes():
    assert split_scenes(2) == {"scene-0061": 1, "scene-0103": 1}
    assert sum(split_scenes(47).values()) == 47
    assert set(split_scenes(47).values()) == {4, 5}


def test_unknown_names_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"no sensor 'vlp8': wanted .*hdl64e"):
        list(write_simulated("nuscenes", tmp_path, num_scans=1, seed=0, sensor="vlp8"))
    with pytest.raises(InputError, match="no dataset 'waymo'"):
        list(write_simulated("waymo", tmp_path, num_scans=1, seed=0))
    with pytest.raises(InputError, match="wanted a seed of 0 or more, got -1"):
        list(write_simulated("nuscenes", tmp_path, num_scans=1, seed=-1))
    assert not list(tmp_path.iterdir())


def test_processes_change_nothing(monkeypatch):
    sensor = make_sensor(num_beams=8, azimuth_steps=120)
    towns = [(seed, sensor, 1, 10.0, False, None) for seed in range(3)]
    alone = [simulated.make_town(*town) for town in towns]
    monkeypatch.setattr(simulated.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(simulated, "TOWNS_PER_PROCESS", 1)
    together = list(simulated._in_parallel(towns))
    assert len(together) == 3
    for (one,), (other,) in zip(alone, together, strict=True):
        assert one.scan.points.tobytes() == other.scan.points.tobytes()
        assert (one.instance == other.instance).all()


def test_what_is_finished_is_not_made_again_and_nothing_else_written_over_it(tmp_path):
    options = {"num_scans": 1, "seed": 3, "sensor": "vlp16"}
    first = list(write_simulated("semantickitti", tmp_path, **options))
    made, whole = [], digest(tmp_path)

    def towns(wanted):
        made.extend(wanted)
        return iter(())

    again = list(write_simulated("semantickitti", tmp_path, **options, make_towns=towns))
    assert again == first
    assert made == []
    assert digest(tmp_path) == whole
    with pytest.raises(InputError, match="wanted a new folder"):
        list(write_simulated("semantickitti", tmp_path, **{**options, "seed": 4}))
