"""One training run of a table of learning: towns and settings -> weights and scores."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from learning_towns import Towns
from torch.utils.data import DataLoader

from lidarpan.config import Config, load_config, parse_config
from lidarpan.metrics import PanopticQuality
from lidarpan.metrics.boundary import BoundaryCounts, count_boundaries
from lidarpan.model.checkpoint import save_weights
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.sparse import choose_engine
from lidarpan.model.weights import build_network
from lidarpan.pipeline import PanopticPipeline
from lidarpan.training.augment import Sample
from lidarpan.training.data import Batch, Pair, TrainingScans, collate, collate_pairs
from lidarpan.training.losses import PanopticLoss
from lidarpan.training.mean_teacher import MeanTeacher, pseudo_loss, ramp
from lidarpan.training.shares import class_shares, class_weights
from lidarpan.training.sources import Source

SMALL = Path("configs/small.yaml")
QUICK: dict[str, Any] = {
    "classes": "semantickitti@coarse",
    "grid": {"min_m": [-16.8, -16.8, -4.8], "max_m": [16.8, 16.8, 4.8], "voxel_m": [0.6] * 3},
    "network": {
        "channels": [16, 32, 48],
        "encoder_blocks": [0, 1, 1],
        "decoder_blocks": [1, 1],
        "bev_channels": 16,
        "bev_blocks": 1,
        "queries": {"channels": 48, "layers": 2, "learned": 4, "sampled": 48},
    },
    "training": {"batch_size": 1, "learning_rate": 1e-2},
}
"""Ten classes, voxels of 0.6 m up to 16.8 m, a small network, a scan a step: half a minute of one
core a run."""


@dataclass(frozen=True)
class Run:
    """What is trained, and for how long.

    Attributes:
        variant: name of the row.
        seed: of weights and data.
        changes: of configs/small.yaml, section by section.
        labelled: what keeps its labels, and what share of it.
        groupings: how objects are found in evaluation, each a column.
        minutes: of training; None counts steps.
        steps: of training.
        device: "cpu" or "cuda".
        engine: of the sparse convolutions; None is the device's best.
        workers: loader processes.
        looks: times that the scores are taken along the way, on few scans; the last is at the end.
        is_quick: QUICK in the place of the whole small set-up.
        train, valid: scans.
        out: folder.
    """

    variant: str
    seed: int
    train: tuple[str, ...]
    valid: tuple[str, ...]
    out: str
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    labelled: tuple[str, float] = ("scans", 1.0)
    groupings: tuple[str, ...] = ("auto",)
    minutes: float | None = None
    steps: int = 1000
    device: str = "cpu"
    engine: str | None = None
    workers: int = 1
    looks: int = 0
    is_quick: bool = False

    def towns(self, paths: tuple[str, ...]) -> Towns:
        """Scans of these files, as far as the grid reaches."""
        reach_m = -QUICK["grid"]["min_m"][0] if self.is_quick else np.inf
        return Towns([Path(path) for path in paths], self.config().build_classes(), reach_m)

    @property
    def name(self) -> str:
        """Of its files."""
        words = f"{self.variant}_{self.seed}".replace("%", "pc").replace("+", "and")
        return "-".join("".join(c if c.isalnum() or c in "._" else " " for c in words).split())

    @property
    def result(self) -> Path:
        """Where its row is written."""
        return Path(self.out) / f"{self.name}.json"

    def config(self) -> Config:
        """The configuration of the run."""
        tree = load_config(SMALL).model_dump()
        for changes in (QUICK if self.is_quick else {}, self.changes):
            tree = changed(tree, changes)
        return parse_config(tree, self.variant)


def changed(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A tree with other values at the leaves that the changes name."""
    return tree | {
        key: changed(tree[key], value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }


class Clock:
    """How far a run is, from 0 to 1, by steps or by minutes since its third step."""

    def __init__(self, run: Run) -> None:
        self.run, self.step, self.begin = run, 0, 0.0
        self._paused = 0.0

    def pause(self) -> None:
        """Stop the time."""
        self._paused = time.perf_counter()

    def go_on(self) -> None:
        """Let it run again."""
        self.begin += time.perf_counter() - self._paused

    def tick(self) -> float:
        """Count a step; the share of the training that is done."""
        self.step += 1
        if self.run.minutes is None:
            return self.step / self.run.steps
        if self.step <= 3:
            self.begin = time.perf_counter()
        return max((time.perf_counter() - self.begin) / (60 * self.run.minutes), 1e-4)


def execute(run: Run) -> dict[str, Any]:
    """Train, evaluate, write weights; the row of the table, also written as JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    torch.set_float32_matmul_precision("high")
    config = run.config()
    towns = run.towns(run.train)
    sources = [labelled_source(towns, run, config)]
    shares = class_shares(sources, towns.classes)
    batches = _batches(run, config, sources, towns)
    first = next(batches)  # the loader forks before CUDA begins
    device = torch.device(run.device)
    trainer = Trainer(run, config, device, shares)
    begin = time.perf_counter()
    looks: list[tuple[float, float, float]] = []
    while trainer.progress < 1:
        trainer.learn(first)
        first = next(batches)
        if len(looks) < run.looks - 1 and trainer.progress >= (len(looks) + 1) / run.looks:
            trainer.clock.pause()
            looks.append(look(run, config, trainer, device))
            trainer.clock.go_on()
    took = time.perf_counter() - begin
    header = {"config": _header(config), "classes": list(towns.classes.names)}
    network = trainer.averaged
    save_weights(run.result.with_suffix(".safetensors"), network.state_dict(), header, half=True)
    row = {
        **{k: v for k, v in asdict(run).items() if k not in ("train", "valid", "changes")},
        "step": trainer.clock.step,
        "labelled_points": sum(count_labels(source) for source in sources),
        "train_s": took,
        "loss": trainer.means(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "scores": evaluate(run, config, network, device),
    }
    if run.looks:
        row["looks"] = [*looks, look(run, config, trainer, device)]
    if device.type == "cuda":
        row["memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
    run.result.write_text(json.dumps(row, indent=1))
    return row


def look(
    run: Run, config: Config, trainer: Trainer, device: torch.device
) -> tuple[float, float, float]:
    """Share of the training done, PQ and PQ of things then, on the first dozen scans held out."""
    few = replace(run, valid=run.valid[:12], groupings=run.groupings[:1])
    scores = evaluate(few, config, trainer.averaged, device)[few.groupings[0]]
    return min(trainer.progress, 1.0), scores["pq"], scores["pq_things"]


class KeptSource(Source):
    """A source that remembers its scans as the network sees them, where nothing changes them."""

    def sample(self, position: int, change: Callable[[Sample], Sample] | None = None) -> Sample:
        """As of any source."""
        if change:
            return super().sample(position, change)
        kept = self.__dict__.setdefault("kept", {})
        if position not in kept:
            kept[position] = super().sample(position)
        return kept[position]


class Trainer:
    """Network, its average, loss and optimiser, and a step."""

    def __init__(self, run: Run, config: Config, device: torch.device, shares: Any) -> None:
        t = config.training
        self.config, self.clock, self.progress = config, Clock(run), 0.0
        self.grid, self.device = config.grid.build(), device
        self.engine = choose_engine(device, run.engine)
        self.network = build_network(config).to(device).train()
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        weight = class_weights(shares, config.loss.class_balance)
        self.loss = PanopticLoss.configured(config, weight).to(device)
        self.teacher: MeanTeacher | None = None
        if config.loss.pseudo:
            self.teacher = MeanTeacher(self.network, len(weight) + 1).to(device)
        self.parameters = list(self.network.parameters())
        self.averages = list(self.average.parameters())
        learned = [*self.parameters, *self.loss.parameters()]
        self.optimizer = torch.optim.AdamW(learned, weight_decay=t.weight_decay, fused=True)
        self.history: list[dict[str, float]] = []

    @property
    def averaged(self) -> PanopticNetwork:
        """The moving average, with the statistics of the last step."""
        for slow, fast in zip(self.average.buffers(), self.network.buffers(), strict=True):
            slow.copy_(fast)
        return self.average

    def learn(self, item: Batch | Pair) -> None:
        """One step."""
        moved = _move(item, self.device)
        batch = moved.student if isinstance(moved, Pair) else moved
        outputs = self.network(batch.voxels(self.grid, self.engine))
        active = self.config.training.active(self.progress)
        terms = self.loss(outputs, batch, self.grid, active)
        if self.teacher is not None and isinstance(moved, Pair):
            self.teacher.follow(self.network)
            pseudo = self.teacher.labels(moved, self.grid, self.engine)
            terms["pseudo"] = pseudo_loss(outputs.semantic, batch.semantic, pseudo)
            weight = self.config.loss.pseudo * ramp(self.progress)
            terms["total"] = terms["total"] + weight * terms["pseudo"]
        self.optimizer.zero_grad()
        terms["total"].backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.training.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.step()
        self._follow()
        self.progress = self.clock.tick()
        if self.clock.step % 20 == 1:
            self.history.append({k: float(v.detach()) for k, v in terms.items()})

    def _follow(self) -> None:
        """Move the average; in the first steps it is the network."""
        decay = min(self.config.training.average_decay, self.clock.step / (self.clock.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 1 - decay)

    def _rate(self) -> float:
        """One cycle: up to the peak, then down along a cosine."""
        t = self.config.training
        if self.progress < t.warmup:
            return t.learning_rate * max(self.progress / t.warmup, 0.04)
        done = (self.progress - t.warmup) / (1 - t.warmup)
        return t.learning_rate * max(0.5 * (1 + float(np.cos(np.pi * min(done, 1.0)))), 1e-4)

    def means(self) -> dict[str, float]:
        """Each term, mean of the last tenth of the steps."""
        last = self.history[-max(1, len(self.history) // 10) :]
        return {name: float(np.mean([row[name] for row in last])) for name in last[-1]}


def labelled_source(towns: Towns, run: Run, config: Config) -> Source:
    """The towns with some of their labels, the same ones for every seed."""
    kind, share = run.labelled
    scans, rest = tuple(range(len(towns))), ()
    if kind == "scans" and share < 1:
        order = np.random.default_rng(19).permutation(len(towns)).tolist()
        number = max(1, round(share * len(towns)))
        scans, rest = tuple(order[:number]), tuple(order[number:])
    sensor = config.sensor
    kept = None if kind == "scans" else kind
    return KeptSource(
        towns,
        scans,
        sensor.height_m,
        sensor.height_m,
        sensor.intensity,
        kept,  # type: ignore[arg-type]
        share,
        rest,
    )


def count_labels(source: Source) -> int:
    """Points of its scans that have a label."""
    labels = (source.labels_of(position) for position in source.scans)
    return sum(int((semantic > 0).sum()) for semantic in labels if semantic is not None)


def evaluate(
    run: Run, config: Config, network: PanopticNetwork, device: torch.device
) -> dict[str, dict[str, float]]:
    """Scores on the towns held out, by way of grouping."""
    towns, engine = run.towns(run.valid), choose_engine(device, run.engine)
    classes, out = towns.classes, {}
    pipeline = PanopticPipeline.from_config(config, network.eval(), engine)
    quality = {
        name: PanopticQuality(classes.num_classes, classes.things, min_points=15)
        for name in run.groupings
    }
    borders = dict.fromkeys(run.groupings, BoundaryCounts(0, 0, 0, 0))
    for i in range(len(towns)):
        scan, truth = towns[i], towns.labels(i)
        prepared = pipeline.prepare(scan)
        outputs = pipeline.run_network(prepared)
        for name in run.groupings:
            pipeline.grouping = name
            said = pipeline.finish(prepared, outputs)
            quality[name].update(said.semantic, said.instance, truth.semantic, truth.instance)
            borders[name] += count_boundaries(
                scan.points, _segments(said), _segments(truth), truth.semantic > 0
            )
    for name in run.groupings:
        s = quality[name].compute()
        present = [c for c in range(classes.num_classes) if s.tp[c] + s.fn[c] > 0]
        things = [c for c in present if c in classes.things]
        out[name] = {
            "pq": float(s.class_pq[present].mean()),
            "pq_things": float(s.class_pq[things].mean()),
            "rq_things": float(s.class_rq[things].mean()),
            "sq_things": float(s.class_sq[things].mean()),
            "miou": float(s.class_iou[present].mean()),
            "boundary_f": borders[name].f_score,
            **{f"pq {classes.names[c]}": float(s.class_pq[c]) for c in things},
        }
    return out


def _segments(labels: Any) -> Any:
    return labels.semantic.astype(np.int64) * 100_000 + labels.instance


def _batches(
    run: Run, config: Config, sources: list[Source], towns: Towns
) -> Iterator[Batch | Pair]:
    t, taught = config.training, bool(config.loss.pseudo)
    scans = TrainingScans(
        sources,
        config.grid.build(),
        towns.classes,
        config.augment,
        run.seed,
        10**7,
        with_teacher=taught,
        hides_beams=config.loss.depth > 0,
    )
    loader: DataLoader[Any] = DataLoader(
        scans,
        t.batch_size,
        num_workers=run.workers,
        collate_fn=collate_pairs if taught else collate,
        prefetch_factor=4 if run.workers else None,
    )
    return iter(loader)


def _move(item: Any, device: torch.device) -> Any:
    if isinstance(item, torch.Tensor):
        return item.to(device)
    if isinstance(item, Batch | Pair):
        return type(item)(*(_move(part, device) for part in item))
    return item


def _header(config: Config) -> dict[str, Any]:
    sections = ("name", "classes", "sensor", "grid", "network", "grouping", "fusion", "prior")
    return config.model_dump(mode="json", include=set(sections))
