#!/usr/bin/env python3
"""Train on towns that are made meanwhile, and end inside the time that is given.

Some processes simulate towns, some read and augment them, one trains; the learning rate follows
the clock. For a machine that is there for minutes: one GPU and many cores. Examples:

    python tools/train_towns.py --minutes 8 --out runs/mine --start-from town
    python tools/train_towns.py --minutes 2 --out runs/try --batch-size 1 --makers 1 --loaders 1

lidarpan need not be installed. Writes OUT/weights.safetensors (averaged) every minute and at the
end, and OUT/log.csv.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):  # before numba is imported
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from endless import (
    EndlessBatches,
    EndlessScans,
    MadeTowns,
    Mixture,
    start_makers,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lidarpan.config import Config, DataSource, load_config
from lidarpan.model.checkpoint import fit_weights, load_weights, save_weights
from lidarpan.model.sparse import choose_engine
from lidarpan.model.weights import build_network, find_weights
from lidarpan.training.data import Batch
from lidarpan.training.decay import decay_groups
from lidarpan.training.losses import PanopticLoss
from lidarpan.training.shares import class_shares, class_weights
from lidarpan.training.sources import Source, open_sources
from lidarpan.training.weights_header import weights_header

RISE = 0.04  # share of the time in which the learning rate rises
LAST_SECONDS = 4.0  # to write the weights


@dataclass
class Run:
    """Everything that changes while training goes on."""

    network: nn.Module
    loss: PanopticLoss
    optimizer: torch.optim.Optimizer
    mean: dict[str, Tensor]
    step: int = 0
    skipped: int = 0

    def learn(self, batch: Batch, config: Config, share: float, engine: Any) -> dict[str, Tensor]:
        """One step at a share of the time, 0 to 1."""
        device = next(self.network.parameters()).device.type
        rate = config.training.learning_rate * _rate(share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        grid = config.grid.build()
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            outputs = self.network(batch.voxels(grid, engine))
            terms: dict[str, Tensor] = self.loss(outputs, batch, grid)
        self.optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.training.clip_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
            self._average(config.training.average_decay)
        else:
            self.skipped += 1
        self.step += 1
        return terms

    def _average(self, decay: float) -> None:
        decay = min(decay, (1 + self.step) / (10 + self.step))
        state = self.network.state_dict()
        floats = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.mean[n] for n in floats], [state[n] for n in floats], 1 - decay)


def _rate(share: float) -> float:
    """Up in a straight line, down along a cosine, to nothing at 1."""
    if share < RISE:
        return share / RISE
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (share - RISE) / (1 - RISE)))


def _begin(config: Config, start: dict[str, Tensor] | None, shares: Any, device: Any) -> Run:
    network = build_network(config)
    if start:
        fit_weights(network, start, "--start-from")
    weight = class_weights(shares, config.loss.class_balance)
    loss = PanopticLoss.configured(config, weight)
    network, loss = network.to(device).train(), loss.to(device)
    every = chain(network.parameters(), loss.parameters())
    groups = decay_groups(every, config.training.weight_decay)
    optimizer = torch.optim.AdamW(
        groups, lr=config.training.learning_rate, fused=device.type == "cuda"
    )
    return Run(network, loss, optimizer, {k: v.clone() for k, v in network.state_dict().items()})


def _write(path: Path, run: Run, config: Config, shares: Any) -> None:
    record = {"step": run.step, "seed": config.training.seed}
    header = weights_header(config, config.build_classes(), shares, **record)
    state = run.network.state_dict()
    save_weights(path, {k: run.mean[k].to(state[k].dtype) for k in state}, header, half=True)


def _wait_for(towns: MadeTowns, wanted: int, makers: list[Any]) -> None:
    while towns.look() < wanted:
        if makers and not any(maker.is_alive() for maker in makers):
            raise SystemExit("error: no process makes towns any more; their errors are above")
        time.sleep(0.2)


def main() -> None:
    """Parse, start the processes, train until the time is over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, required=True, help="all in all")
    parser.add_argument("--steps", type=int, help="stop after so many, should there be time")
    parser.add_argument("--engine", help="of the sparse convolutions; the best one without")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("town"))
    parser.add_argument("--set", action="append", default=[], help="key.path=value, as in train")
    parser.add_argument("--start-from", help="shipped weights or a file; fresh ones without")
    parser.add_argument("--sensor", default="random", help="of the towns: as in simulate")
    parser.add_argument("--pool", type=Path, help="folder of the towns made (OUT/towns)")
    parser.add_argument("--seed", type=int, default=0, help="of the towns and of chance")
    parser.add_argument("--makers", type=int, default=9, help="processes that make towns")
    parser.add_argument("--loaders", type=int, default=6, help="processes that read them")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--begin-with", type=int, default=48, help="scans to wait for at first")
    parser.add_argument("--real", type=Path, help="labelled real scans in SemanticKITTI's layout")
    parser.add_argument("--real-split", default="train")
    parser.add_argument("--real-limit", type=int, help="use so many of them, evenly spread")
    parser.add_argument("--real-share", type=float, default=0.08, help="of the scans")
    train(parser.parse_args(), time.monotonic())


def train(arguments: argparse.Namespace, began: float) -> None:
    """The whole run, from `began` on the monotonic clock."""
    seconds = arguments.minutes * 60 - LAST_SECONDS
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = load_config(arguments.config, [*arguments.set, f"training.seed={arguments.seed}"])
    classes, out = config.build_classes(), arguments.out
    out.mkdir(parents=True, exist_ok=True)
    pool = arguments.pool or out / "towns"
    makers = start_makers(arguments.makers, pool, arguments.sensor, arguments.seed, classes)
    towns = MadeTowns(pool)
    real = _open_real(arguments, config)
    source = Source(towns, (0,), None, config.sensor.height_m, config.sensor.intensity)
    mixture = Mixture(source, real, arguments.real_share)
    scans = EndlessScans(mixture, config.grid.build(), classes, config.augment, arguments.seed)
    _wait_for(towns, arguments.begin_with, makers)
    print(f"{time.monotonic() - began:.0f} s: {len(towns)} scans are there", flush=True)
    shares = class_shares([Source(towns, tuple(range(len(towns))), None, 0, "rank")], classes)
    start = load_weights(find_weights(arguments.start_from))[0] if arguments.start_from else None
    batches = iter(
        DataLoader(
            EndlessBatches(scans, towns, arguments.batch_size), batch_size=None,
            num_workers=arguments.loaders, prefetch_factor=3 if arguments.loaders else None,
            pin_memory=device.type == "cuda", in_order=False,
            multiprocessing_context="spawn" if arguments.loaders else None,
        )
    )  # fmt: skip
    run, engine = _begin(config, start, shares, device), choose_engine(device, arguments.engine)
    begin, written, waited = time.monotonic(), time.monotonic(), 0.0
    recent: deque[Tensor] = deque(maxlen=50)
    with (out / "log.csv").open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(("seconds", "step", "scans", "towns", "loss", "waited_s"))
        while (now := time.monotonic()) - began < seconds:
            if run.step == arguments.steps:
                break
            batch = next(batches).moved_to(device)
            waited += time.monotonic() - now
            share = (now - begin) / (seconds - (begin - began))
            terms = run.learn(batch, config, share, engine)
            recent.append(terms["total"].detach())
            if run.step % 50 == 0 or run.step == 5:
                seen, made = run.step * arguments.batch_size, towns.look()
                loss = float(torch.stack(list(recent)).mean())
                row = (round(now - began), run.step, seen, made, round(loss, 4), round(waited, 1))
                log.writerow(row)
                print(*row, f"skipped {run.skipped}", flush=True)
            if now - written > 60:
                _write(out / "weights.safetensors", run, config, shares)
                written = now
    last = [Source(towns, tuple(range(towns.look())), None, 0, "rank")]
    _write(out / "weights.safetensors", run, config, class_shares(last, classes))
    for maker in makers:
        maker.kill()
    print(f"{run.step} steps, {run.step * arguments.batch_size} scans seen, {len(towns)} made")
    sys.stdout.flush()
    os._exit(0)  # loaders in the middle of a batch need not be waited for


def _open_real(arguments: argparse.Namespace, config: Config) -> Source | None:
    if arguments.real is None:
        return None
    entry = DataSource(
        dataset=config.classes, root=arguments.real, split=arguments.real_split,
        sensor_height_m="measured", limit=arguments.real_limit,
    )  # fmt: skip
    return open_sources([entry], config)[0]


if __name__ == "__main__":
    main()
