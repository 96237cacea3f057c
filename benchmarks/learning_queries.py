"""What queries lack, class by class: weights of `learning.py` on towns held out.

    python benchmarks/learning_queries.py out/learning queries

For each true object of some voxels, the query that is matched to it: the intersection over union of
its mask, whether its class is right and how sure it is of that, and whether most voxels of the
object have the right class by themselves. And the voxels of things that no query claims.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from learning import QUICK_SIZES, VALID_FIRST, head
from learning_run import Run, labelled_source
from learning_towns import town_files

from lidarpan.model.checkpoint import load_weights
from lidarpan.model.network import HeadOutputs
from lidarpan.model.query_claims import Claims
from lidarpan.model.sparse import choose_engine
from lidarpan.model.weights import build_network
from lidarpan.training.data import Batch, make_batch
from lidarpan.training.matching import match, matching_cost, true_objects

LEAST_VOXELS = 4
COLUMNS = ("IoU of the mask", "above .5", "class right", "sure of it", "right by voxels")


def main() -> None:
    """Print the means over the objects of each class, as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", help="of the weights")
    parser.add_argument("row", help="of the table")
    parser.add_argument("--data", default="data/learning", help="folder of the towns")
    parser.add_argument("--seed", type=int, default=0)
    o = parser.parse_args()
    paths = tuple(map(str, town_files(Path(o.data), VALID_FIRST, QUICK_SIZES[1])))
    run = Run(o.row, o.seed, paths, paths, o.folder, is_quick=True, changes=head())
    config, towns = run.config(), run.towns(paths)
    network = build_network(config).eval()
    network.load_state_dict(load_weights(run.result.with_suffix(".safetensors"))[0])
    grid, engine = config.grid.build(), choose_engine(torch.device("cpu"))
    source, rows, things, missed = labelled_source(towns, run, config), [], 0, 0
    for i in range(len(towns)):
        batch = make_batch(source.sample(i), grid, towns.classes)
        with torch.no_grad():
            outputs = network(batch.voxels(grid, engine))
        rows += matched(outputs, batch)
        is_thing = np.isin(outputs.semantic.argmax(1).numpy() + 1, towns.classes.things)
        claims = Claims.of(outputs.queries[0], towns.classes.num_classes)
        things += is_thing.sum()
        missed += (is_thing & (claims.ids[:, 0] == 0)).sum()
    print(f"| class | objects | {' | '.join(COLUMNS)} |\n|---|---|{'---|' * len(COLUMNS)}")
    table = np.array(rows)
    for train_id in np.unique(table[:, 0]).astype(int):
        own = table[table[:, 0] == train_id, 1:]
        means = " | ".join(f"{mean:.2f}" for mean in own.mean(axis=0))
        print(f"| {towns.classes.names[train_id]} | {len(own)} | {means} |")
    print(f"no query claims {missed / max(things, 1):.1%} of {things:,} voxels said to be things")


def matched(outputs: HeadOutputs, batch: Batch) -> list[tuple[float, ...]]:
    """Train id and columns of each object of one scan."""
    (queries,) = outputs.queries
    voxel_m = batch.voxel_m[:, :2]
    true = true_objects(queries, batch.semantic, batch.instance, voxel_m, batch.centers)
    last, rows = queries.layers[-1], []
    probability = last.classes.softmax(dim=1)
    said = outputs.semantic.argmax(dim=1)[true.known] + 1
    for q, k in zip(*match(matching_cost(last, true).double().numpy()), strict=True):
        mask, own = last.masks[q, true.known] > 0, true.masks[k] > 0
        if own.sum() < LEAST_VOXELS:
            continue
        iou = float((mask & own).sum() / (mask | own).sum())
        place = int(true.classes[k])
        train_id = queries.things[place]
        is_right = int(probability[q, :-1].argmax()) == place
        by_voxels = int(said[own].mode().values) == train_id
        row = (train_id, iou, iou > 0.5, is_right, float(probability[q, place]), by_voxels)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
