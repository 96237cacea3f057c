"""Towns that are made while training goes on: some processes make them, others read them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from lidarpan.classes import ClassTable
from lidarpan.config import AugmentConfig
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.synthetic.sensors.choose import sensor_of_town
from lidarpan.synthetic.simulate import simulate_sequence
from lidarpan.synthetic.simulated import end_with
from lidarpan.training.augment import Sample
from lidarpan.training.data import Batch, TrainingScans, collate
from lidarpan.training.sources import Source
from lidarpan.training.thinning import thin
from lidarpan.voxels.grid import Grid
from lidarpan.whole_file import whole_file

SCANS_PER_TOWN = 2
RATE_HZ = 0.5


class MadeTowns:
    """The labelled scans in a folder that grows, as a dataset.

    Args:
        folder: of the `.npz` files that `make_towns` writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[str] = []

    def look(self) -> int:
        """Look what is there by now; returns the number of scans."""
        names = (entry.name for entry in os.scandir(self.folder))
        self._files = sorted(name for name in names if name.endswith(".npz") and name[0] != ".")
        return len(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: int) -> Scan:
        with np.load(self.folder / self._files[i]) as file:
            return Scan(file["points"], file["intensity"])

    def labels(self, i: int) -> PanopticLabels:
        """The truth of scan i."""
        with np.load(self.folder / self._files[i]) as file:
            return PanopticLabels(file["semantic"], file["instance"])

    def name(self, i: int) -> str:
        """Its file."""
        return self._files[i]


def make_towns(folder: Path, sensor: str, seeds: range, classes: ClassTable) -> None:
    """Write the scans of one town after another, each file whole or absent."""
    choose = sensor_of_town(sensor)
    for seed in seeds:
        scans = simulate_sequence(seed, choose(seed), SCANS_PER_TOWN, RATE_HZ)
        for number, simulated in enumerate(scans):
            labels = simulated.labels(classes)
            with whole_file(folder / f"{seed:09d}-{number}.npz") as beside, beside.open("wb") as to:
                np.savez(
                    to,
                    points=simulated.scan.points,
                    intensity=simulated.scan.intensity,
                    semantic=labels.semantic,
                    instance=labels.instance,
                )


def start_makers(
    count: int, folder: Path, sensor: str, seed: int, classes: ClassTable
) -> list[Any]:
    """Processes that make towns until they are ended; they give way to all others.

    Town k of the run has the seed `100003 * seed + k`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first, context = 100_003 * seed, get_context("spawn")
    makers = []
    for k in range(count):
        seeds = range(first + k, first + 100_003, count)
        arguments = (os.getpid(), folder, sensor, seeds, classes)
        makers.append(context.Process(target=_make, args=arguments, daemon=True))
        makers[-1].start()
    return makers


def _make(parent: int, *arguments: Any) -> None:
    end_with(parent)
    os.nice(10)
    make_towns(*arguments)


@dataclass
class Mixture:
    """Where training scans come from.

    Attributes:
        towns: made while training goes on.
        real: labelled real scans, None for none.
        real_share: of the scans drawn.
    """

    towns: Source
    real: Source | None
    real_share: float


class EndlessScans(TrainingScans):
    """Item k is a scan drawn at random from what is there by then, freshly augmented."""

    def __init__(
        self, mixture: Mixture, grid: Grid, classes: ClassTable, augment: AugmentConfig, seed: int
    ) -> None:
        super().__init__([mixture.towns], grid, classes, augment, seed, 1 << 62)
        self.mixture = mixture

    def _sample(self, i: int, rng: np.random.Generator) -> Sample:
        change = partial(thin, rng=rng) if rng.random() < self.augmentation.thin else None
        real, towns = self.mixture.real, self.mixture.towns
        if real is not None and rng.random() < self.mixture.real_share:
            return real.sample(int(rng.choice(real.scans)), change)
        return towns.sample(int(rng.integers(len(towns.dataset))), change)


class EndlessBatches(IterableDataset[Batch]):
    """Batches without end, from every loader process its own.

    Args:
        scans: what batches are made of.
        made: the folder that grows.
        batch_size: scans of a batch.
    """

    def __init__(self, scans: EndlessScans, made: MadeTowns, batch_size: int) -> None:
        self.scans, self.made, self.batch_size = scans, made, batch_size

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        k = (info.id if info else 0) * 10**9
        while True:
            self.made.look()
            yield collate([self.scans.batch(k + i) for i in range(self.batch_size)])
            k += self.batch_size
