"""Labelled scans -> augmented, voxelized batches with targets, reproducible by step and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from lidarpan.classes import ClassTable
from lidarpan.config import AugmentConfig, Config, DataSource
from lidarpan.datasets.open import open_dataset
from lidarpan.inference import sensor_height
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Engine
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.training import augment
from lidarpan.training.augment import Sample
from lidarpan.training.losses import Targets
from lidarpan.training.targets import instance_centers, voxel_instances, voxel_majority
from lidarpan.training.thinning import thin
from lidarpan.voxels.features import voxel_features
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.intensity import brightness
from lidarpan.voxels.voxelize import voxelize


class Batch(NamedTuple):
    """Voxels of some scans with their targets; tensors only, so that lightning can move it.

    Shapes: features (V, F), indices (V, 4) int32, semantic (V,), is_thing (V,), center_m (V, 2),
    voxel_m (V, 2), centers (K, 4): see losses.Targets.
    """

    features: Tensor
    indices: Tensor
    semantic: Tensor
    is_thing: Tensor
    center_m: Tensor
    voxel_m: Tensor
    centers: Tensor
    batch_size: int

    def voxels(self, grid: Grid, engine: Engine) -> SparseTensor:
        """The network's input."""
        return SparseTensor(
            self.features, self.indices, grid.shape, batch_size=self.batch_size, engine=engine
        )

    def targets(self, grid: Grid) -> Targets:
        """The loss's targets."""
        return Targets(
            self.semantic,
            self.is_thing,
            self.center_m,
            self.voxel_m,
            self.centers,
            bev_min_m=grid.min_m[:2],
            bev_cell_m=grid.cell_m[:2],
        )


class LabelledScans(Protocol):
    """Scans by number with their truth: an open dataset, or towns as they are made."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> Scan: ...
    def labels(self, i: int) -> PanopticLabels | None:
        """Truth of scan i."""

    def name(self, i: int) -> str:
        """Its name."""


@dataclass(frozen=True)
class Source:
    """Labelled scans and how they are used."""

    dataset: LabelledScans
    scans: tuple[int, ...]  # positions in the dataset, with repetition
    height_m: float | None  # of the sensor; None measures it in each scan
    trained_height_m: float
    intensity: str

    def height_of(self, scan: Scan) -> float:
        """Height of a scan's sensor above the ground, metres."""
        return self.height_m or sensor_height(scan, self.trained_height_m)

    def sample(self, position: int, change: Callable[[Sample], Sample] | None = None) -> Sample:
        """A labelled scan as the network sees it: at the trained height, brightness by rank.

        `change` is made of it before, where the sensor still is at (0, 0, 0).
        """
        scan = self.dataset[position]
        labels = self.dataset.labels(position)
        if labels is None:
            raise InputError(f"{self.dataset.name(position)}: training needs labels, found none")
        height = self.height_of(scan)
        sample = Sample(scan.points, scan.intensity, labels.semantic, labels.instance)
        if change:
            sample = change(sample)
        shift = np.array([0, 0, height - self.trained_height_m], np.float32)
        bright = brightness(sample.points, sample.intensity, self.intensity)
        return replace(sample, points=sample.points + shift, intensity=bright)


def open_sources(entries: Sequence[DataSource], config: Config) -> list[Source]:
    """Open the configured datasets; InputError if one has another class table than the config."""
    sources, wanted = [], config.build_classes()
    for entry in entries:
        dataset = open_dataset(entry.dataset, entry.root, entry.split)
        if dataset.classes.names != wanted.names:
            raise InputError(
                f"{entry.root}: has {dataset.classes.name} classes, the configuration wants "
                f"{wanted.name}"
            )
        count = min(entry.limit or len(dataset), len(dataset))
        chosen = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
        height = entry.sensor_height_m or config.sensor.height_m
        known = None if height == "measured" else float(height)
        scans = tuple(chosen) * entry.repeat
        sensor = config.sensor
        sources.append(Source(dataset, scans, known, sensor.height_m, sensor.intensity))
    return sources


class TrainingScans(TorchDataset[Batch]):
    """Item k is the k-th scan training sees: a shuffled pass after another, freshly augmented.

    Everything random in item k depends on (seed, k) alone, so that a resumed run sees exactly
    what an uninterrupted one would have seen.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        grid: Grid,
        classes: ClassTable,
        augmentation: AugmentConfig,
        seed: int,
        length: int,
    ) -> None:
        self.sources = sources
        self.grid = grid
        self.classes = classes
        self.augmentation = augmentation
        self.seed = seed
        self.length = length
        self.index = [(s, p) for s, source in enumerate(sources) for p in source.scans]
        if not self.index:
            raise InputError("no training scans: fill train_data in the configuration")
        self.ground = classes.ground

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> Batch:
        passes, position = divmod(k, len(self.index))
        order = np.random.default_rng([self.seed, passes]).permutation(len(self.index))
        rng = np.random.default_rng([self.seed, 1, k])
        sample = self._sample(int(order[position]), rng)
        return make_batch(self._augment(sample, rng), self.grid, self.classes)

    def _sample(self, i: int, rng: np.random.Generator) -> Sample:
        source, position = self.index[i]
        thinned = rng.random() < self.augmentation.thin
        change = partial(thin, rng=rng) if thinned else None
        return self.sources[source].sample(position, change)

    def _augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        a = self.augmentation
        mix, paste = rng.random(), rng.random() < a.paste
        if mix < a.lasermix + a.polarmix + a.mix3d or paste:
            other = self._sample(int(rng.integers(len(self.index))), rng)
            if mix < a.lasermix:
                sample = augment.laser_mix(sample, other, rng)
            elif mix < a.lasermix + a.polarmix:
                sample = augment.polar_mix(sample, other, rng)
            elif mix < a.lasermix + a.polarmix + a.mix3d:
                sample = augment.mix3d(sample, other, rng)
            if paste:
                sample = augment.paste_instances(sample, other, rng, a.paste_count, self.ground)
        sample = augment.drop(sample, rng, a.drop)
        if a.flip:
            sample = augment.flip(sample, rng)
        sample = augment.rotate(sample, rng, a.rotate_rad, a.tilt_rad)
        sample = augment.scale(sample, rng, a.scale, a.shift_z_m)
        sample = augment.jitter(sample, rng, a.jitter_m)
        return augment.change_intensity(sample, rng, a.intensity_gain, a.intensity_drop)


def make_batch(sample: Sample, grid: Grid, classes: ClassTable) -> Batch:
    """Voxelize one labelled scan and make its targets."""
    voxels = voxelize(sample.points, grid)
    num_voxels = len(voxels.indices)
    semantic = voxel_majority(
        sample.semantic, voxels.point_to_voxel, num_voxels, classes.num_classes
    )
    voxel_instance = voxel_instances(sample.instance, voxels.point_to_voxel, num_voxels)
    ids, centers = instance_centers(sample.points, sample.instance)
    row = np.searchsorted(ids, voxel_instance).clip(0, max(len(ids) - 1, 0))
    center_m = np.zeros((num_voxels, 2), np.float32)
    if len(ids):
        center_m = centers[row, :2]
    present, first = np.unique(sample.instance, return_index=True)
    sigma = [_sigma_m(classes, int(sample.semantic[i])) for i in first[present > 0]]
    indices = np.zeros((num_voxels, 4), np.int32)
    indices[:, 1:] = voxels.indices
    features = voxel_features(sample.points, sample.intensity, voxels, grid)
    rows = np.column_stack([np.zeros(len(ids)), centers[:, :2], sigma]).astype(np.float32)
    return Batch(
        torch.from_numpy(features),
        torch.from_numpy(indices),
        torch.from_numpy(semantic),
        torch.from_numpy(voxel_instance > 0),
        torch.from_numpy(center_m),
        torch.from_numpy(np.ascontiguousarray(grid.center_of(voxels.indices)[:, :2])),
        torch.from_numpy(rows),
        batch_size=1,
    )


def collate(items: Sequence[Batch]) -> Batch:
    """Some scans as one batch: rows of scan b get batch index b."""
    for b, item in enumerate(items):
        item.indices[:, 0] = b
        item.centers[:, 0] = b
    fields = zip(*(item[:7] for item in items), strict=True)
    features, indices, semantic, thing, center, voxel, centers = (torch.cat(f) for f in fields)
    return Batch(features, indices, semantic, thing, center, voxel, centers, len(items))


class StepSampler(Sampler[int]):
    """0, 1, 2, ... from where training stands, a batch for each process in turn.

    So the processes of a step see together what one process sees in as many batches.
    """

    def __init__(
        self, length: int, start: Callable[[], int], batch_size: int, rank: int, world_size: int
    ) -> None:
        self.length, self.start, self.batch_size = length, start, batch_size
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return self.length // self.world_size

    def __iter__(self) -> Iterator[int]:
        first = self.start() + self.rank * self.batch_size
        for begin in range(first, self.length, self.world_size * self.batch_size):
            yield from range(begin, begin + self.batch_size)


def _sigma_m(classes: ClassTable, semantic: int) -> float:
    """Spread of a center's heat: a quarter of the object's typical length, 0.3 to 1 m."""
    length = classes.box_m.get(semantic, (1.2, 0, 0))[0]
    return float(np.clip(length / 4, 0.3, 1.0))
