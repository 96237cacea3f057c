import numpy as np
import pytest
import torch
from small_run import config_file
from typer.testing import CliRunner

from lidarpan.config import load_config
from lidarpan.training.data import TrainingScans, donors_of
from lidarpan.training.loader import LoaderRate
from lidarpan.training.sources import open_sources


def scans_of(tree, tmp_path, cache=None, **augment):
    settings = [f"augment.{name}={value}" for name, value in augment.items()]
    settings += [f"training.cache={cache}"] if cache else []
    config = load_config(config_file(tree, tmp_path / "run"), settings)
    sources = open_sources(config.train_data, config)
    return TrainingScans(
        sources, config.grid.build(), config.build_classes(), config.augment, 0, 100
    )


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one[:-1], other[:-1], strict=True))


def test_a_cache_changes_nothing_but_the_time(tree, tmp_path):
    plain = scans_of(tree, tmp_path)
    for _ in range(2):  # the first time it is filled
        cached = scans_of(tree, tmp_path, tmp_path / "cache")
        assert all(same(plain[k], cached[k]) for k in range(6))
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 4


def test_a_cache_is_of_the_files_as_they_are(tree, tmp_path):
    """A scan that has changed and a damaged file of the cache are decoded again."""
    import shutil

    shutil.copytree(tree, tmp_path / "tree")
    source = scans_of(tmp_path / "tree", tmp_path, tmp_path / "cache").sources[0]
    before = source.dataset[1].points.copy()
    path = tmp_path / "tree/sequences/00/velodyne/000001.bin"
    rows = np.fromfile(path, np.float32).reshape(-1, 4)
    rows[:, 0] += 1
    rows.tofile(path)
    again = scans_of(tmp_path / "tree", tmp_path, tmp_path / "cache").sources[0]
    np.testing.assert_allclose(again.dataset[1].points[:, 0], before[:, 0] + 1)
    (kept,) = (tmp_path / "cache").rglob("00000001.safetensors")
    kept.write_bytes(kept.read_bytes()[:1000])
    again = scans_of(tmp_path / "tree", tmp_path, tmp_path / "cache").sources[0]
    assert again.dataset.labels(1).num_points == len(rows)


def test_objects_come_from_scans_with_a_class_drawn_evenly(tree, tmp_path):
    scans = scans_of(tree, tmp_path, paste=1.0, paste_balanced="true")
    assert scans.donors == donors_of(scans.sources, scans.classes) == [[0, 1, 2, 3]]  # cars alone
    source = scans.sources[0]
    labels = source.dataset.labels(2)
    truck = scans.classes.id_of("truck")

    class Odd:
        """The same scans, but that scan 2 has a truck."""

        def __getattr__(self, name):
            return getattr(source.dataset, name)

        def __getitem__(self, i):
            return source.dataset[i]

        def __len__(self):
            return len(source.dataset)

        def labels(self, i):
            if i != 2:
                return source.dataset.labels(i)
            semantic = np.where(labels.instance == 1, truck, labels.semantic).astype(np.uint8)
            return type(labels)(semantic, labels.instance)

    from dataclasses import replace

    odd = replace(source, dataset=Odd())
    car = scans.classes.id_of("car")
    by_class = dict(zip(sorted([car, truck]), donors_of([odd], scans.classes), strict=True))
    assert by_class == {car: [0, 1, 2, 3], truck: [2]}
    assert same(scans[3], scans_of(tree, tmp_path, paste=1.0, paste_balanced="true")[3])


@pytest.mark.parametrize(
    ("loaded", "workers", "enough", "wanted"),
    [(10, 2, True, 1), (2, 1, False, 3), (9, 0, False, 1)],
)
def test_what_a_rate_says(loaded, workers, enough, wanted):
    rate = LoaderRate(loaded, 4.0, workers, 2, "cpu", 1000, None)
    assert rate.is_enough is enough
    assert rate.wanted_workers == wanted
    assert ("never waits" in str(rate)) is enough
    assert (f"num_workers={wanted}" in str(rate)) is not enough


def test_the_command_measures_a_run(tree, tmp_path, monkeypatch):
    from lidarpan.cli.app import app
    from lidarpan.training import loader

    monkeypatch.setattr(
        loader.measure_loader,
        "__kwdefaults__",
        {**loader.measure_loader.__kwdefaults__, "seconds": 0.2},
    )
    path = config_file(tree, tmp_path / "run")
    done = CliRunner().invoke(app, ["bench", "--loader", str(path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "scans per second from 0 processes" in done.output
    assert "2 a step; ratio" in done.output
