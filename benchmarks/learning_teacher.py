"""What a mean teacher teaches, and whether it is news: weights of `learning.py` on towns held out.

    python benchmarks/learning_teacher.py out/learning "points 1 %, teacher" "points 1 %"

The first row's weights are the teacher, the second's a student that had none.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from learning import QUICK_SIZES, VALID_FIRST
from learning_run import Run, labelled_source
from learning_towns import town_files

from lidarpan.model.checkpoint import load_weights
from lidarpan.model.sparse import choose_engine
from lidarpan.model.weights import build_network
from lidarpan.training.data import make_batch
from lidarpan.training.mean_teacher import HIGHEST, LOWEST


def main() -> None:
    """Shares of the voxels with a true class: taught, rightly, and as the student says anyway."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", help="of the weights")
    parser.add_argument("teacher", help="row of the table")
    parser.add_argument("student", help="row of the table")
    parser.add_argument("--data", default="data/learning", help="folder of the towns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lowest", type=float, default=LOWEST, help="least certainty taught")
    o = parser.parse_args()
    paths = tuple(map(str, town_files(Path(o.data), VALID_FIRST, QUICK_SIZES[1])))
    runs = [
        Run(row, o.seed, paths, paths, o.folder, is_quick=True) for row in (o.teacher, o.student)
    ]
    truth, teacher, student = probabilities(runs)
    certainty, best = teacher.max(dim=1)
    mean = torch.stack([certainty[best == c].mean() for c in range(teacher.shape[1])])
    taught = certainty >= mean.nan_to_num(o.lowest).clamp(o.lowest, HIGHEST)[best]
    right, same = best == truth, best == student.argmax(dim=1)
    print(f"taught: {_share(taught)} of {len(truth):,} voxels")
    print(f"right: {_share(right[taught])} of these, {_share(right[~taught])} of the others")
    print(f"said by the student anyway: {_share(same[taught])} of these")


def probabilities(runs: list[Run]) -> list[torch.Tensor]:
    """True class (V,), and (V, C) of each run's network, of the voxels with a true class."""
    config, towns = runs[0].config(), runs[0].towns(runs[0].valid)
    grid, engine = config.grid.build(), choose_engine(torch.device("cpu"))
    source, networks = labelled_source(towns, runs[0], config), []
    for run in runs:
        network = build_network(config).eval()
        network.load_state_dict(load_weights(run.result.with_suffix(".safetensors"))[0])
        networks.append(network)
    parts: list[list[torch.Tensor]] = [[] for _ in range(len(runs) + 1)]
    for i in range(len(towns)):
        batch = make_batch(source.sample(i), grid, towns.classes)
        known = batch.semantic > 0
        parts[0].append(batch.semantic[known] - 1)
        for part, network in zip(parts[1:], networks, strict=True):
            with torch.no_grad():
                logits = network(batch.voxels(grid, engine)).semantic
            part.append(logits[known].softmax(dim=1))
    return [torch.cat(part) for part in parts]


def _share(which: torch.Tensor) -> str:
    return f"{which.float().mean():.1%}"


if __name__ == "__main__":
    main()
