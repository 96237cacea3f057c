"""What each part of the recipe gives on every real set: small networks, each trained anew.

    python benchmarks/ablation.py --real ../shared/data --steps 400 --seeds 3
    python benchmarks/ablation.py --real ../shared/data --only "all;no BEV head" --out out/ablation

Each row leaves one part of configs/town.yaml out, on the network of configs/small.yaml (voxels of
0.3 m) and the same towns and steps. The last rows change what is done in use alone, with the
weights of the first. Mean and half the spread over the seeds of the mean IoU of ten classes; the
order of the rows is no finding where their spreads overlap.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from learning_run import Run, Trainer, changed
from rich.console import Console
from rich.progress import track
from street_sets import choose_sets
from street_variants import choose_variants
from streets import Bench, together
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from endless import MadeTowns, make_towns

from lidarpan import PanopticPipeline
from lidarpan.config import Config, load_config, parse_config
from lidarpan.model import norm
from lidarpan.model.checkpoint import save_weights
from lidarpan.training.data import TrainingScans, collate
from lidarpan.training.shares import class_shares
from lidarpan.training.sources import Source
from lidarpan.training.weights_header import weights_header

FIRST_TOWN, NUM_TOWNS = 9_700_291, 40
HELD_OUT_TOWN, NUM_HELD_OUT = 9_800_294, 6
SCANS_OF_A_SET = 5


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        changes: of the configuration, section by section.
        sensor: that the towns are seen by.
        trained: name of the row whose weights are used; None trains its own.
        least_voxels: of norms in use, see `lidarpan.model.norm`.
    """

    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    sensor: str = "random"
    trained: str | None = None
    least_voxels: int = norm.MIN_ROWS_IN_USE


NO_MIX = {"mix3d": 0.0, "lasermix": 0.0, "polarmix": 0.0, "paste": 0.0}
ROWS = {
    "all": Row(),
    "HDL-64E alone": Row(sensor="hdl64e"),
    "nothing thinned": Row({"augment": {"thin": 0.0}}),
    "nothing mixed or pasted": Row({"augment": NO_MIX}),
    "no BEV head": Row({"loss": {"bev_semantic": 0.0}}),
    "intensity always there": Row({"augment": {"intensity_drop": 0.0}}),
    "raw intensity": Row({"sensor": {"intensity": "raw"}}),
    "in use: no prior": Row({"prior": {"power": 0.0}}, trained="all"),
    "in use: no patches": Row({"fusion": {"patches": False}}, trained="all"),
    "in use: stored statistics": Row({"network": {"norm_share": 0.0}}, trained="all"),
    "in use: own statistics alone": Row(trained="all", least_voxels=1),
}


def config_of(row: Row) -> Config:
    """The recipe of configs/town.yaml on the small network, with the row's changes."""
    town, small = (load_config(Path(name)).model_dump() for name in ("town", "small"))
    tree = town | {name: small[name] for name in ("grid", "network")}
    rate = {"learning_rate": 3e-3, "average_decay": 0.99, "batch_size": 1}
    tree["training"] = town["training"] | rate
    return parse_config(changed(tree, row.changes), "ablation")


def pool(folder: Path, sensor: str, first: int, count: int, config: Config) -> Source:
    """Scans of `count` towns, two of each; those that are not there are made."""
    folder = folder / sensor
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        if not (folder / f"{seed:09d}-1.npz").is_file():
            make_towns(folder, sensor, range(seed, seed + 1), config.build_classes())
    towns = MadeTowns(folder)
    there = [i for i in range(towns.look()) if first <= int(towns.name(i)[:9]) < first + count]
    return Source(towns, tuple(there), None, config.sensor.height_m, config.sensor.intensity)


def train(row: Row, seed: int, source: Source, steps: int, path: Path) -> None:
    """Train a row and write its weights."""
    torch.manual_seed(seed)
    config = config_of(row)
    shares = class_shares([source], config.build_classes())
    run = Run("ablation", seed, (), (), str(path.parent), steps=steps)
    trainer = Trainer(run, config, torch.device("cpu"), shares)
    grid, classes = config.grid.build(), config.build_classes()
    scans = TrainingScans([source], grid, classes, config.augment, seed, 10**7)
    batches = iter(DataLoader(scans, config.training.batch_size, collate_fn=collate))
    while trainer.progress < 1:
        trainer.learn(next(batches))
    header = weights_header(config, classes, shares, seed=seed, step=steps)
    save_weights(path, trainer.averaged.state_dict(), header, half=True)


def in_use(path: Path, row: Row) -> PanopticPipeline:
    """The pipeline of weights, with what a row changes in use."""
    prior, fusion = row.changes.get("prior", {}), row.changes.get("fusion", {})
    pipeline = PanopticPipeline.from_weights(
        path, "cpu", prior_power=prior.get("power"), patches=fusion.get("patches")
    )
    share = row.changes.get("network", {}).get("norm_share")
    for module in pipeline.network.network.modules():
        if isinstance(module, norm.ScanNorm) and share is not None:
            module.share = share
    return pipeline


def scores(pipeline: PanopticPipeline, real: Path) -> dict[str, float]:
    """Mean IoU of ten classes on every real set."""
    bench, found, say = Bench(pipeline), {}, Console(quiet=True)
    groups: dict[str, list[Any]] = {}
    for street in choose_sets("all"):
        scans = street.scans(real, SCANS_OF_A_SET)
        if scans:
            tallies = bench.run(street, scans, choose_variants("as-is"), say)
            groups.setdefault(street.group or street.name, []).append((street, tallies))
    for name, members in groups.items():
        if len(members) > 1:
            variants = together([tallies for _, tallies in members])["variants"]
            found[name] = variants["as-is"]["ten"]["miou"]
        else:
            [(_, tallies)] = members
            ten = next(t for t in tallies["as-is"] if t.protocol.name == "ten")
            found[name] = ten.scores(has_instances=False)["miou"]
    return found


def main() -> None:
    """Train what is not there, score every row, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, required=True, help="folder of the real scans")
    parser.add_argument("--steps", type=int, default=400, help="of one scan")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="rows, separated by ;")
    parser.add_argument("--data", type=Path, default=Path("data/ablation"), help="towns")
    parser.add_argument("--out", type=Path, default=Path("out/ablation"), help="weights, scores")
    o = parser.parse_args()
    torch.set_num_threads(1)
    o.out.mkdir(parents=True, exist_ok=True)
    chosen = {n: row for n, row in ROWS.items() if o.only is None or n in o.only.split(";")}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    for seed in range(o.seeds):
        for name, row in track(chosen.items(), f"seed {seed}"):
            result = o.out / f"{name.replace(' ', '-').replace(':', '')}_{seed}.json"
            if not result.is_file():
                weights = o.out / f"{(row.trained or name).replace(' ', '-')}_{seed}.safetensors"
                if not weights.is_file():
                    source = pool(o.data, row.sensor, FIRST_TOWN, NUM_TOWNS, config_of(row))
                    train(row, seed, source, o.steps, weights)
                norm.MIN_ROWS_IN_USE = row.least_voxels
                result.write_text(json.dumps(scores(in_use(weights, row), o.real)))
                norm.MIN_ROWS_IN_USE = Row.least_voxels
            found[name].append(json.loads(result.read_text()))
    print(markdown(found))


def markdown(found: dict[str, list[dict[str, float]]]) -> str:
    """The table, with the mean over the sets last."""
    columns = list(next(iter(found.values()))[0])
    lines = [f"| mIoU of ten classes | {' | '.join(columns)} | mean |"]
    lines.append("|---|" + "---|" * (len(columns) + 1))
    for name, runs in found.items():
        values = np.array([[run[column] for column in columns] for run in runs])
        values = np.column_stack([values, values.mean(axis=1)])
        spread = np.ptp(values, axis=0) / 2
        cells = (f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(axis=0), spread, strict=True))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
