"""Batches for training from several processes, and whether they come as fast as they are wanted."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from lidarpan.config import Config, TrainingConfig
from lidarpan.model.sparse import choose_engine
from lidarpan.model.weights import build_network, choose_device
from lidarpan.training.data import Batch, TrainingScans, collate, collate_pairs
from lidarpan.training.losses import PanopticLoss
from lidarpan.training.sources import open_sources


def make_loader(
    scans: TrainingScans, training: TrainingConfig, sampler: Sampler[int] | Iterable[int]
) -> DataLoader[Any]:
    """Batches of training scans in the sampler's order."""
    return DataLoader(
        scans,
        training.batch_size,
        sampler=sampler,
        num_workers=training.num_workers,
        collate_fn=collate_pairs if scans.with_teacher else collate,
        worker_init_fn=one_thread,
        persistent_workers=training.num_workers > 0,
        prefetch_factor=4 if training.num_workers else None,
    )


def one_thread(worker: int) -> None:
    """A loader process must not compete with the training threads."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@dataclass(frozen=True)
class LoaderRate:
    """How fast batches come and how fast they are learnt from.

    Attributes:
        loaded: scans a second that the loader's processes give together.
        learnt: scans a second of the training steps on the device.
        num_workers: loader processes; 0 loads between the steps.
        batch_size: scans of a step.
        device: where the steps ran.
        voxels: of a scan, on average.
        memory_gb: most of a CUDA device's memory that the steps took, or None.
    """

    loaded: float
    learnt: float
    num_workers: int
    batch_size: int
    device: str
    voxels: float
    memory_gb: float | None

    @property
    def is_enough(self) -> bool:
        """Whether the device never waits."""
        return self.num_workers > 0 and self.loaded >= self.learnt

    @property
    def wanted_workers(self) -> int:
        """Processes that give a quarter more than the steps take."""
        return -int(-1.25 * self.learnt * max(self.num_workers, 1) // self.loaded)

    def __str__(self) -> str:
        """In words."""
        memory = f", {self.memory_gb:.1f} GB" if self.memory_gb else ""
        end = (
            "the device never waits"
            if self.is_enough
            else f"the device waits: wanted training.num_workers={self.wanted_workers}, or keep "
            "decoded scans with training.cache=FOLDER"
        )
        return (
            f"loader: {self.loaded:.2f} scans per second from {self.num_workers} processes; "
            f"steps: {self.learnt:.2f} scans per second of {self.voxels:.0f} voxels on "
            f"{self.device}, {self.batch_size} a step{memory}; ratio "
            f"{self.loaded / self.learnt:.2f}: {end}"
        )


def measure_loader(
    config: Config,
    *,
    seconds: float = 20.0,
    steps: int = 5,
    say: Callable[[str], None] = lambda text: None,
) -> LoaderRate:
    """Take batches for some seconds, and then learn from some.

    Args:
        config: of a training run.
        seconds: to take batches for, after the first ones of each process.
        steps: training steps to time, after a warm-up of two; the median counts.
        say: takes what is going on.

    Raises:
        InputError: no training scans.
    """
    t = config.training
    scans = TrainingScans(
        open_sources(config.train_data, config),
        config.grid.build(),
        config.build_classes(),
        config.augment,
        t.seed,
        1 << 40,
    )
    say("loading")
    batches = iter(make_loader(scans, t, itertools.count()))
    kept = [next(batches) for _ in range(max(2, 2 * t.num_workers))]
    begin, count = time.perf_counter(), 0
    while count < 2 or time.perf_counter() - begin < seconds:
        kept[count % len(kept)] = next(batches)
        count += 1
    loaded = count * t.batch_size / (time.perf_counter() - begin)
    del batches
    say("learning")
    learnt, memory = _steps_per_s(config, kept, steps)
    voxels = sum(len(batch.features) for batch in kept) / (len(kept) * t.batch_size)
    device = _device_of(config)
    return LoaderRate(
        loaded, learnt * t.batch_size, t.num_workers, t.batch_size, str(device), voxels, memory
    )


def _device_of(config: Config) -> torch.device:
    wanted = {"auto": "auto", "gpu": "cuda", "cpu": "cpu"}[config.training.accelerator]
    return choose_device(wanted)


def _steps_per_s(config: Config, batches: list[Batch], steps: int) -> tuple[float, float | None]:
    """Steps a second of network, loss and AdamW, and GB of the device they took."""
    device, grid = _device_of(config), config.grid.build()
    network = build_network(config).to(device).train()
    weight = torch.ones(config.build_classes().num_classes - 1)
    loss = PanopticLoss.configured(config, weight).to(device)
    optimizer = torch.optim.AdamW([*network.parameters(), *loss.parameters()], lr=1e-4)
    kind = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}.get(config.training.precision)
    engine, taken = choose_engine(device), []
    for k in range(steps + 2):
        parts: list[Any] = list(batches[k % len(batches)])
        batch = Batch._make(parts).moved_to(device)
        _finish(device)
        begin = time.perf_counter()
        with torch.autocast(device.type, kind, enabled=kind is not None):
            total = loss(network(batch.voxels(grid, engine)), batch, grid)["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        _finish(device)
        taken.append(time.perf_counter() - begin)
    on_cuda = device.type == "cuda"
    memory = torch.cuda.max_memory_allocated(device) / 1e9 if on_cuda else None
    return 1 / sorted(taken[2:])[steps // 2], memory


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
