"""A small network with odd statistics, and scans of two sizes."""

import numpy as np
import pytest
import torch

from lidarpan.config import Config
from lidarpan.model.checkpoint import save_weights
from lidarpan.model.norm import ScanNorm
from lidarpan.model.weights import build_network
from lidarpan.structures import Scan

SMALL = Config.model_validate(
    {
        "grid": {"min_m": [-9.6, -7.2, -3.2], "max_m": [9.6, 9.6, 3.2], "voxel_m": [0.3, 0.3, 0.4]},
        "network": {
            "channels": [8, 12],
            "encoder_blocks": [1, 1],
            "decoder_blocks": [1],
            "bev_channels": 8,
            "bev_blocks": 1,
        },
        "prior": {"power": 0.5, "trained": {"car": 0.2, "road": 0.1}},
    }
)


def write(path, norm_share=1.0):
    torch.manual_seed(3)
    tree = SMALL.model_dump(mode="json")
    tree["network"]["norm_share"] = norm_share
    network = build_network(Config.model_validate(tree))
    for norm in network.modules():
        if isinstance(norm, ScanNorm):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.normal_(norm.bias)
    save_weights(path, network.state_dict(), {"config": tree})
    return path


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory):
    return write(tmp_path_factory.mktemp("weights") / "small.safetensors")


@pytest.fixture(scope="session")
def write_weights():
    """Write the small network's weights with another share of a scan's own statistics."""
    return write


def make_scan(num_ground, seed=0):
    """A ground with boxes on it; some points lie outside the grid."""
    rng = np.random.default_rng(seed)
    ground = np.column_stack(
        [rng.uniform(-11, 11, (num_ground, 2)), rng.normal(-1.73, 0.03, num_ground)]
    )
    corner = rng.uniform(-7, 6, (6, 1, 3)) * [1, 1, 0] + [0, 0, -1.7]
    boxes = rng.uniform(0, 1.5, (6, num_ground // 12, 3)) + corner
    points = np.concatenate([ground, boxes.reshape(-1, 3)]).astype(np.float32)
    return Scan(points, rng.random(len(points)).round(2).astype(np.float32))


@pytest.fixture(scope="session")
def scan():
    return make_scan(3000)


@pytest.fixture(scope="session")
def sparse_scan():
    """Few voxels: norms borrow from the stored statistics."""
    return make_scan(60, seed=4)
