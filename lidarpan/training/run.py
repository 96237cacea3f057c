"""A configuration -> a run in its out folder: weights, logs, and where to resume it."""

from __future__ import annotations

import hashlib
import logging
import warnings
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, RichProgressBar
from lightning.pytorch.callbacks.callback import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from lidarpan.config import Config
from lidarpan.optional import need
from lidarpan.structures import InputError
from lidarpan.training.metrics_log import MetricsLog
from lidarpan.training.module import PanopticTraining
from lidarpan.training.resume import (
    RESUME_NAME,
    KeepLastPoint,
    KeepResumePoint,
    ResumeIO,
    read_state,
)
from lidarpan.training.run_folder import keep_beginning, write_record


def train(config: Config, *, resume: bool = False) -> Path:
    """Train as configured; returns the path of the best weights.

    Writes to config.out: config.yaml and run.json (to repeat it), resume.safetensors (to resume),
    best.safetensors and last.safetensors (to predict with), and the logs.

    Raises:
        InputError: missing data, the folder holds another run, or nothing to resume.
    """
    out = config.out
    point = out / RESUME_NAME
    if resume and not point.is_file():
        old = " (last.ckpt of an older version cannot be)" if (out / "last.ckpt").is_file() else ""
        raise InputError(f"{point}: nothing to resume{old}, leave out --resume to start")
    if not resume and any(path.is_file() for path in (point, out / "best.safetensors")):
        raise InputError(f"{out}: holds a run already, give --resume or another out=")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    pl.seed_everything(config.training.seed, verbose=False)
    torch.set_float32_matmul_precision("high")
    step = _step_of(point) if resume else 0
    module = PanopticTraining(config, is_resumed=resume)
    if is_first_process():
        keep_beginning(config)
        write_record(config, module.train_sources, step)
    trainer = make_trainer(config, resume_step=step)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")  # advice on worker counts
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        trainer.fit(module, ckpt_path=str(point) if resume else None, weights_only=False)
    best = out / "best.safetensors"
    return best if best.is_file() else out / "last.safetensors"


def is_first_process() -> bool:
    """Whether this is the one of several training processes that speaks for all."""
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


def _step_of(point: Path) -> int:
    step = read_state(point).get("global_step")
    return step if isinstance(step, int) else 0


def make_trainer(config: Config, resume_step: int = 0) -> pl.Trainer:
    """The lightning trainer of a configuration, for a run that stands at a step."""
    t = config.training
    averaging: list[Callback] = (
        [EMAWeightAveraging(decay=t.average_decay)] if t.average_decay else []
    )
    points = KeepResumePoint(config.out / RESUME_NAME, t.checkpoint_every)
    return pl.Trainer(
        default_root_dir=config.out,
        max_steps=t.max_steps,
        accumulate_grad_batches=t.accumulate,
        gradient_clip_val=t.clip_norm,
        precision=t.precision,
        accelerator=t.accelerator,
        devices=t.devices,
        num_nodes=t.num_nodes,
        strategy=t.strategy,
        val_check_interval=min(t.validate_every, t.max_steps) * t.accumulate,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        use_distributed_sampler=False,
        logger=make_logger(config, resume_step),
        plugins=[ResumeIO()],
        callbacks=[KeepLastPoint(points), *averaging, points, Progress()],
        enable_checkpointing=False,
        enable_model_summary=False,
    )


def make_logger(config: Config, resume_step: int = 0) -> list[Logger]:
    """The CSV log, and what else is configured."""
    logs: list[Logger] = [MetricsLog(config.out / "logs" / "metrics.csv", resume_step)]
    match config.training.logger:
        case "csv":
            pass
        case "tensorboard":
            need("tensorboard", "tensorboard", "training.logger: tensorboard")
            logs.append(TensorBoardLogger(config.out, name="", version="logs"))
        case "wandb":
            need("wandb", "wandb", "training.logger: wandb")
            own = hashlib.sha256(str(config.out.absolute()).encode()).hexdigest()[:16]
            logs.append(
                WandbLogger(config.name, config.out, id=own, project="lidarpan", resume="allow")
            )
    return logs


class Progress(RichProgressBar):
    """The progress of a run that is counted in steps, not in epochs."""

    @property
    def total_train_batches(self) -> int:
        """Of the whole run."""
        return int(self.trainer.max_steps * self.trainer.accumulate_grad_batches)

    def _get_train_description(self, current_epoch: int) -> str:
        return "Training"
