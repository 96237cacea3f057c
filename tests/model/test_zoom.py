"""Voxels larger or smaller than those that the network counts lengths in."""

import numpy as np
import pytest

from lidarpan.config import parse_config
from lidarpan.model.configured import configured_network
from lidarpan.model.weights import build_network
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import InputError, Scan
from lidarpan.training.augment import Sample
from lidarpan.training.data import make_batch
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.voxelize import voxelize

GRID = Grid((-12.0, -12.0, -3.0), (12.0, 12.0, 3.0), (0.3, 0.3, 0.3))
CONFIG = parse_config(
    {
        "classes": "semantickitti",
        "grid": {"min_m": GRID.min_m, "max_m": GRID.max_m, "voxel_m": GRID.cell_m},
        "network": {"channels": [8, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1]},
    },
    "a test",
)
CLASSES = CONFIG.build_classes()


def scan(seed=0, count=500):
    rng = np.random.default_rng(seed)
    points = rng.uniform((-8, -8, -2), (8, 8, 2), (count, 3)).astype(np.float32)
    return Scan(points, rng.random(count, np.float32))


def network(zoom=1.0):
    return configured_network(CONFIG, build_network(CONFIG), voxel_m=0.3 * zoom)


@pytest.mark.parametrize("zoom", [0.5, 1.25, 2.0])
def test_a_larger_world_in_larger_voxels_has_the_same_cells(zoom):
    points = scan().points
    larger = voxelize(points * np.float32(zoom), GRID.zoomed(zoom))
    same = voxelize(points, GRID)
    assert GRID.zoomed(zoom).shape == GRID.shape
    near = np.mean(larger.point_to_voxel == same.point_to_voxel)
    assert near == pytest.approx(1, abs=0.02)  # but for points on the edge of a cell


@pytest.mark.parametrize("zoom", [0.5, 2.0])
def test_targets_are_told_in_the_same_number_of_voxels(zoom):
    given = scan(1)
    semantic = np.full(500, CLASSES.names.index("car"), np.uint8)
    instance = 1 + (given.points[:, 0] > 0).astype(np.int32)
    small = Sample(given.points, given.intensity, semantic, instance)
    large = Sample(given.points * np.float32(zoom), given.intensity, semantic, instance)
    wanted = make_batch(small, GRID, CLASSES)
    got = make_batch(large, GRID, CLASSES, zoom=zoom)
    assert np.array_equal(got.indices, wanted.indices)
    assert np.allclose(got.voxel_m, wanted.voxel_m)
    assert np.allclose(got.centers, wanted.centers, atol=1e-4)


def test_offsets_are_metres_in_voxels_of_any_size():
    given = scan(2)
    own, larger = network(), network(2.0)
    larger.network.load_state_dict(own.network.state_dict())
    prepared = larger.prepare(given)
    said = larger.run(prepared)
    raw = own.forward(larger.tensor_of(prepared))
    assert np.allclose(said.offset_m, 2 * raw.offset_m.detach().numpy(), atol=1e-5)


def test_a_pipeline_takes_the_size_and_refuses_what_no_network_knows():
    labels = PanopticPipeline(network(1.5), CLASSES).predict(scan())
    assert len(labels.semantic) == 500
    with pytest.raises(InputError, match=r"wanted 0.15 to 0.9 m .* got 3"):
        network(10.0)
    tree = CONFIG.model_dump()
    tree["network"]["head"] = "queries"
    config = parse_config(tree, "a test")
    with pytest.raises(InputError, match="own size alone"):
        configured_network(config, build_network(config), voxel_m=0.6)
