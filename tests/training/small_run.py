"""A run of some seconds on a tree of small scans."""

import numpy as np
import yaml

from lidarpan.config import load_config

SEQUENCES = {"00": 4, "08": 2}


def write_tree(root):
    """A SemanticKITTI tree of small scans: ground, a wall, and some boxes that are cars."""
    rng = np.random.default_rng(0)
    for sequence, count in SEQUENCES.items():
        folder = root / "sequences" / sequence
        for name in ("velodyne", "labels"):
            (folder / name).mkdir(parents=True)
        for i in range(count):
            ground = np.column_stack([rng.uniform(-9, 9, (1500, 2)), np.full(1500, -1.73)])
            wall = np.column_stack(
                [rng.uniform(-9, 9, 500), np.full(500, 8), rng.uniform(-2, 1, 500)]
            )
            corner = rng.uniform(-7, 5, (3, 1, 2))
            cars = rng.uniform(0, 1, (3, 200, 3)) * (3, 1.6, 1.4) + (0, 0, -1.6)
            cars[..., :2] += corner
            points = np.concatenate([ground, wall, cars.reshape(-1, 3)])
            labels = np.repeat(
                [40, 50, 10 + (1 << 16), 10 + (2 << 16), 10 + (3 << 16)], [1500, 500, 200, 200, 200]
            )
            rows = np.column_stack([points, rng.random(len(points))]).astype(np.float32)
            rows.tofile(folder / "velodyne" / f"{i:06d}.bin")
            labels.astype(np.uint32).tofile(folder / "labels" / f"{i:06d}.label")
    return root


def config_file(tree, out, **training):
    settings = {
        "out": str(out),
        "grid": {"min_m": [-9.6, -9.6, -3.2], "max_m": [9.6, 9.6, 3.2], "voxel_m": [0.4, 0.4, 0.4]},
        "network": {
            "channels": [8, 12],
            "encoder_blocks": [1, 1],
            "decoder_blocks": [1],
            "bev_channels": 8,
            "bev_blocks": 1,
        },
        "grouping": {"method": "grid"},
        "train_data": [{"dataset": "semantickitti", "root": str(tree), "split": "train"}],
        "valid_data": [{"dataset": "semantickitti", "root": str(tree), "split": "valid"}],
        "training": {
            "max_steps": 6,
            "batch_size": 2,
            "num_workers": 0,
            "validate_every": 3,
            "checkpoint_every": 3,
            "accelerator": "cpu",
            "devices": 1,
            **training,
        },
    }
    path = out.parent / f"{out.name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def run(tree, out, *, resume=False, **training):
    from lidarpan.training.run import train

    return train(load_config(config_file(tree, out, **training)), resume=resume)
