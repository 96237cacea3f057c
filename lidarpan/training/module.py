"""One run as lightning sees it: network, loss, data, optimiser; best and last by validation PQ."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from lidarpan.config import Config
from lidarpan.metrics import PanopticQuality
from lidarpan.model.checkpoint import load_weights, save_weights
from lidarpan.model.fine_tune import begin_from
from lidarpan.model.sparse import choose_engine
from lidarpan.model.weights import build_network, find_weights
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.training.data import Batch, Pair, StepSampler, TrainingScans
from lidarpan.training.decay import decay_groups
from lidarpan.training.loader import make_loader
from lidarpan.training.losses import PanopticLoss
from lidarpan.training.mean_teacher import MeanTeacher, pseudo_loss, ramp
from lidarpan.training.pictures import log_picture
from lidarpan.training.resume import RESUME_NAME, check_checkpoint
from lidarpan.training.shares import class_shares, class_weights
from lidarpan.training.sources import Source, open_sources
from lidarpan.training.statistics import gather_statistics, statistics_of
from lidarpan.training.weights_header import weights_header


class PanopticTraining(pl.LightningModule):
    """Network, loss, data and optimiser of one run."""

    def __init__(self, config: Config, *, is_resumed: bool = False) -> None:
        """Open the data, and begin from weights where the run is not a resumed one."""
        super().__init__()
        self.config = config
        self.classes = config.build_classes()
        self.grid = config.grid.build()
        self.train_sources = open_sources(config.train_data, config)
        self.valid_sources = open_sources(config.valid_data, config)
        self.network = build_network(config)
        if config.training.start_from and not is_resumed:
            self._begin_from(config.training.start_from)
        self.teacher = None
        if config.loss.pseudo:
            self.teacher = MeanTeacher(self.network, self.classes.num_classes)
        self.shares = class_shares(self.train_sources, self.classes)
        weight = class_weights(self.shares, config.loss.class_balance)
        self.loss = PanopticLoss.configured(config, weight)
        self.best_pq = -1.0
        self.begin = (0, 0)  # step and scan that this part of the run begins with
        self.quality = self._new_quality()

    def _begin_from(self, weights: Path) -> None:
        """Take over weights, of other classes too, and say what became of the head."""
        path = find_weights(weights)
        state, header = load_weights(path)
        trained = [str(name) for name in header.get("classes", self.classes.names)]
        taken = begin_from(self.network, self.classes.names, state, trained, str(path))
        if taken.is_replaced:
            rank_zero_only(logging.getLogger("lidarpan").info)("%s: %s", path, taken)

    def training_step(self, batch: Batch | Pair, batch_idx: int) -> Tensor:
        """The weighted loss of one batch."""
        engine = choose_engine(self.device)
        seen = batch.student if isinstance(batch, Pair) else batch
        before = statistics_of(self.network) if self.trainer.world_size > 1 else None
        outputs = self.network(seen.voxels(self.grid, engine))
        if before is not None:
            gather_statistics(self.network, before, seen.batch_size)
        progress = self.global_step / self.config.training.max_steps
        active = self.config.training.active(progress)
        terms: dict[str, Tensor] = self.loss(outputs, seen, self.grid, active)
        if self.teacher is not None and isinstance(batch, Pair):
            self.teacher.follow(self.network)
            pseudo = self.teacher.labels(batch, self.grid, engine)
            terms["pseudo"] = pseudo_loss(outputs.semantic, seen.semantic, pseudo)
            weight = self.config.loss.pseudo * ramp(progress)
            terms["total"] = terms["total"] + weight * terms["pseudo"]
        self.log_dict(
            {f"loss/{name}": value.detach() for name, value in terms.items()},
            batch_size=seen.batch_size,
        )
        self.log("loss", terms["total"].detach(), prog_bar=True, logger=False, batch_size=1)
        return terms["total"]

    def validation_step(self, batch: tuple[Scan, PanopticLabels, float], batch_idx: int) -> None:
        """Predict one scan as the pipeline does, and count its matches."""
        scan, truth, sensor_height_m = batch
        pipeline = PanopticPipeline.from_config(self.config, self.network)
        predicted = pipeline.predict(scan, sensor_height_m=sensor_height_m)
        self.quality.update(predicted.semantic, predicted.instance, truth.semantic, truth.instance)
        if self.trainer.is_global_zero and batch_idx < self.config.training.pictures:
            folder, name = self.config.out / "logs" / "pictures", f"scan_{batch_idx}"
            step, loggers = self.global_step, self.trainer.loggers
            log_picture(loggers, folder, name, step, scan, predicted, truth, self.classes)

    def on_validation_epoch_end(self) -> None:
        """Log PQ and mIoU over all processes' scans, keep the best weights."""
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, self.quality)
            self.quality = self._new_quality()
            for quality in gathered:
                self.quality.merge(quality)
        result = self.quality.compute()
        self.quality = self._new_quality()
        self.log("valid/pq", result.pq, prog_bar=True)
        self.log("valid/miou", result.miou, prog_bar=True)
        if self.trainer.is_global_zero:
            scores = {"valid_pq": float(result.pq), "valid_miou": float(result.miou)}
            words = f"PQ {result.pq:.4f}, mIoU {result.miou:.4f} (validation)"
            logging.getLogger("lidarpan").info("step %d: %s", self.global_step, words)
            self._write_weights("last", scores)
            if result.pq > self.best_pq:
                self._write_weights("best", scores)
        self.best_pq = max(self.best_pq, float(result.pq))

    def _write_weights(self, name: str, scores: dict[str, float]) -> None:
        record = {"step": self.global_step, "seed": self.config.training.seed, **scores}
        header = weights_header(self.config, self.classes, self.shares, **record)
        path = self.config.out / f"{name}.safetensors"
        save_weights(path, self.network.state_dict(), header, half=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the seed, the place in the data and the best PQ."""
        checkpoint["seed"] = self.config.training.seed
        checkpoint["next_scan"] = self.next_scan
        checkpoint["best_pq"] = self.best_pq

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare a point to resume at with this run, and take the place and the record from it.

        The best weights' own header counts too: they may be newer than the point.
        """
        place = str(self.config.out / RESUME_NAME)
        check_checkpoint(checkpoint, self, place)
        if checkpoint["seed"] != self.config.training.seed:
            raise InputError(
                f"{place}: wanted training.seed={checkpoint['seed']} as it was, got "
                f"{self.config.training.seed}"
            )
        self.begin = (checkpoint["global_step"], checkpoint["next_scan"])
        self.best_pq = max(checkpoint["best_pq"], self._best_written())

    def _best_written(self) -> float:
        """Validation PQ of the best weights that lie in the out folder, -1 without any."""
        path = self.config.out / "best.safetensors"
        if not path.is_file():
            return -1.0
        _, header = load_weights(path)
        record = header.get("training")
        score = record.get("valid_pq") if isinstance(record, dict) else None
        return float(score) if isinstance(score, int | float) else -1.0

    def configure_optimizers(self) -> Any:
        """AdamW without decay on norms and biases, and the schedule per step."""
        t = self.config.training
        groups = decay_groups(self.parameters(), t.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=t.learning_rate)
        scheduler: torch.optim.lr_scheduler.LRScheduler
        match t.schedule:
            case "one-cycle":
                scheduler = self._one_cycle(optimizer)
            case "cosine":
                scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._cosine)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_train_start(self) -> None:
        """Stretch a resumed schedule to the steps that are wanted now."""
        for each in self.trainer.lr_scheduler_configs:
            old = each.scheduler
            if not isinstance(old, torch.optim.lr_scheduler.OneCycleLR):
                continue
            if old.total_steps != self.config.training.max_steps + 1:
                each.scheduler = self._one_cycle(old.optimizer, old.last_epoch - 1)

    def _one_cycle(
        self, optimizer: torch.optim.Optimizer, last_epoch: int = -1
    ) -> torch.optim.lr_scheduler.OneCycleLR:
        t = self.config.training
        total, rise = t.max_steps + 1, max(t.warmup, 1e-6)
        if abs(rise * total - 1) < 1e-6:  # torch divides by the steps of the rise less one
            rise += 2e-6
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            t.learning_rate,
            total_steps=total,
            pct_start=rise,
            cycle_momentum=False,
            last_epoch=last_epoch,
        )

    def _cosine(self, step: int) -> float:
        t = self.config.training
        warm = max(1, round(t.warmup * t.max_steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, t.max_steps - warm))))

    @property
    def scans_per_step(self) -> int:
        """Scans that all processes together learn from in an optimiser step."""
        t = self.config.training
        return t.batch_size * t.accumulate * int(self.trainer.world_size)

    @property
    def next_scan(self) -> int:
        """Number of the first scan of the next step: so many have been seen."""
        step, scan = self.begin
        return scan + (int(self.trainer.global_step) - step) * self.scans_per_step

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches from the step that training stands at."""
        t = self.config.training
        step, scan = self.begin
        scans = TrainingScans(
            self.train_sources,
            self.grid,
            self.classes,
            self.config.augment,
            t.seed,
            scan + (t.max_steps - step) * self.scans_per_step,
            with_teacher=self.teacher is not None,
            hides_beams=self.config.loss.depth > 0,
        )
        sampler = StepSampler(
            len(scans),
            lambda: self.next_scan,
            t.batch_size,
            self.trainer.global_rank,
            self.trainer.world_size,
        )
        return make_loader(scans, t, sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """Whole labelled scans, every world_size-th for each process."""
        scans = ValidationScans(self.valid_sources)
        mine = range(self.trainer.global_rank, len(scans), self.trainer.world_size)
        return DataLoader(scans, batch_size=None, sampler=list(mine))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, index: int) -> Any:
        """Move training batches; validation scans stay on the host."""
        if not isinstance(batch, Batch | Pair):
            return batch
        return super().transfer_batch_to_device(batch, device, index)

    def _new_quality(self) -> PanopticQuality:
        return PanopticQuality(
            self.classes.num_classes, self.classes.things, min_points=self.classes.min_points
        )


class ValidationScans(torch.utils.data.Dataset[tuple[Scan, PanopticLabels, float]]):
    """Labelled scans as the pipeline gets them, with the height of their sensor."""

    def __init__(self, sources: list[Source]) -> None:
        self.index = [(source, position) for source in sources for position in source.scans]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> tuple[Scan, PanopticLabels, float]:
        source, position = self.index[i]
        scan, labels = source.dataset[position], source.dataset.labels(position)
        if labels is None:
            raise InputError(f"{source.dataset.name(position)}: validation needs labels")
        return scan, labels, source.height_of(scan)
