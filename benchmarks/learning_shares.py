"""Some ways to label make rare classes frequent: what moving the logits back gives.

    python benchmarks/learning_shares.py out/learning "scribbles 1 %" "clicks 100 %"

The loss weighs a class by its share of the labels to the power of -b, so the network expects shares
to the power of 1 - b. Its logits are moved by 1 - b times the log of the true over the labelled
shares, and the towns held out are scored with and without.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from learning import BASE, QUICK_SIZES, VALID_FIRST, variants_of
from learning_run import Run, evaluate, labelled_source
from learning_towns import town_files
from numpy.typing import NDArray

from lidarpan.model.checkpoint import load_weights
from lidarpan.model.weights import build_network
from lidarpan.training.shares import class_shares

COLUMNS = ("pq", "pq_things", "miou", "boundary_f")
LEAST = 1e-4


def main() -> None:
    """Print both rows of each kind of labels, as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", help="of the weights")
    parser.add_argument("rows", nargs="+", help="of the table of labels")
    parser.add_argument("--data", default="data/learning", help="folder of the towns")
    parser.add_argument("--seed", type=int, default=0)
    o = parser.parse_args()
    files = [
        tuple(map(str, town_files(Path(o.data), first, count)))
        for first, count in ((0, QUICK_SIZES[0]), (VALID_FIRST, QUICK_SIZES[1]))
    ]
    whole = Run(BASE, o.seed, *files, o.folder, is_quick=True)
    true = shares(whole)
    print(f"| | logits | {' | '.join(COLUMNS)} |\n|---|---|{'---|' * len(COLUMNS)}")
    for row in o.rows:
        run = replace(whole, variant=row, labelled=variants_of("labels")[row]["labelled"])
        power = 1 - run.config().loss.class_balance
        moved = power * (np.log(np.maximum(true, LEAST)) - np.log(np.maximum(shares(run), LEAST)))
        for name, by in (("as they are", 0 * moved), ("moved", moved)):
            found = scores(run, by)
            print(f"| {row} | {name} | {' | '.join(f'{found[c]:.3f}' for c in COLUMNS)} |")


def shares(run: Run) -> NDArray[np.float64]:
    """(C - 1,) share of each class in the labels that a run trains with."""
    config = run.config()
    towns = run.towns(run.train)
    return class_shares([labelled_source(towns, run, config)], towns.classes)


def scores(run: Run, by: NDArray[np.float64]) -> dict[str, float]:
    """Of a run's weights with its logits moved. by: (C - 1,)."""
    network = build_network(run.config())
    network.load_state_dict(load_weights(run.result.with_suffix(".safetensors"))[0])
    with torch.no_grad():
        network.semantic_head.bias += torch.from_numpy(by.astype(np.float32))
    return evaluate(run, run.config(), network, torch.device("cpu"))["auto"]


if __name__ == "__main__":
    main()
