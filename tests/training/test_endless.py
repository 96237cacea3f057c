import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from endless import (
    SCANS_PER_TOWN,
    EndlessBatches,
    EndlessScans,
    MadeTowns,
    Mixture,
    make_towns,
)

from lidarpan.classes import load_class_table
from lidarpan.config import AugmentConfig
from lidarpan.model.checkpoint import load_weights
from lidarpan.training.sources import Source
from lidarpan.voxels.grid import Grid

CLASSES = load_class_table("semantickitti")
GRID = Grid((-40.0, -40.0, -4.0), (40.0, 40.0, 5.6), (0.4, 0.4, 0.4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("towns")
    sensor = root / "few.yaml"
    sensor.write_text("elevations_deg: [-20, -12, -8, -5, -3, -1, 1]\nazimuth_step_deg: 1.5\n")
    make_towns(root, str(sensor), range(5, 7), CLASSES)
    return root


def scans(folder, **changes):
    towns = MadeTowns(folder)
    towns.look()
    source = Source(towns, (0,), None, 1.73, "rank")
    mixture = Mixture(source, changes.pop("real", None), changes.pop("share", 0.0))
    return EndlessScans(mixture, GRID, CLASSES, AugmentConfig(), seed=3), towns


def test_towns_are_whole_and_labelled(folder):
    towns = MadeTowns(folder)
    assert towns.look() == len(towns) == 2 * SCANS_PER_TOWN
    assert not list(folder.glob("*.part*"))
    for i in range(len(towns)):
        scan, labels = towns[i], towns.labels(i)
        assert scan.num_points == len(labels.semantic) == len(labels.instance) > 200
        assert len(np.unique(labels.semantic)) > 5
        assert (CLASSES.is_thing[labels.semantic[labels.instance > 0]]).all()


def test_an_item_is_the_same_as_long_as_no_scan_is_added(folder):
    ours, again = (scans(folder)[0][17] for _ in range(2))
    assert torch.equal(ours.features, again.features)
    assert not torch.equal(ours.features, scans(folder)[0][18].features)


def test_batches_are_endless_and_hold_what_was_asked(folder):
    data, towns = scans(folder)
    batches = iter(EndlessBatches(data, towns, 3))
    for _ in range(4):
        batch = next(batches)
        assert batch.batch_size == 3
        assert batch.indices[:, 0].unique().tolist() == [0, 1, 2]


def test_a_new_town_is_seen_by_the_next_batch(folder, tmp_path):
    few = tmp_path / "pool"
    few.mkdir()
    files = sorted(folder.glob("*.npz"))
    (few / files[0].name).write_bytes(files[0].read_bytes())
    data, towns = scans(few)
    batches = iter(EndlessBatches(data, towns, 1))
    next(batches)
    assert len(towns) == 1
    (few / files[1].name).write_bytes(files[1].read_bytes())
    next(batches)
    assert len(towns) == 2


def test_real_scans_come_at_their_share(folder):
    real = MadeTowns(folder)
    real.look()
    asked = []

    class Counted(MadeTowns):
        def __getitem__(self, i):
            asked.append(i)
            return super().__getitem__(i)

    counted = Counted(folder)
    counted.look()
    data, _ = scans(folder, real=Source(counted, (1, 2), None, 1.73, "rank"), share=0.5)
    rng = np.random.default_rng(0)
    for _ in range(60):
        data._sample(0, rng)
    assert 15 <= len(asked) <= 45
    assert set(asked) == {1, 2}


def test_the_tool_trains(folder, tmp_path):
    """A whole run of two steps on a tiny network, from towns that are there."""
    tool = Path(__file__).parents[2] / "tools/train_towns.py"
    small = [
        "network={channels: [8, 16], encoder_blocks: [1, 1], decoder_blocks: [1], bev_channels: 8, "
        "bev_blocks: 1}",
        "grid={min_m: [-40, -40, -4], max_m: [40, 40, 5.6], voxel_m: [0.4, 0.4, 0.4]}",
    ]
    words = [
        sys.executable,
        str(tool),
        "--minutes",
        "3",
        "--steps",
        "2",
        "--out",
        str(tmp_path / "run"),
    ]
    words += ["--pool", str(folder), "--makers", "0", "--loaders", "0", "--begin-with", "4"]
    words += ["--batch-size", "2", *[w for s in small for w in ("--set", s)]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    state, header = load_weights(tmp_path / "run/weights.safetensors")
    assert header["training"]["step"] == 2
    assert header["config"]["prior"]["trained"]["road"] > 0.1
    assert all(torch.isfinite(value).all() for value in state.values())
