"""Labelled scans -> augmented, voxelized batches with targets, reproducible by step and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from lidarpan.classes import ClassTable
from lidarpan.config import AugmentConfig
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Engine
from lidarpan.structures import FloatArray, InputError, IntArray
from lidarpan.training import augment
from lidarpan.training.augment import Sample
from lidarpan.training.side_tasks import hide_beams
from lidarpan.training.sources import Source
from lidarpan.training.targets import instance_centers, voxel_instances, voxel_majority
from lidarpan.training.thinning import thin
from lidarpan.training.weather import weather
from lidarpan.voxels.features import voxel_features
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.voxelize import voxelize

MOST_DONORS = 1024
"""Scans that are looked at for objects to paste, when a run begins."""


class Batch(NamedTuple):
    """Voxels of some scans, and what the network should say of them; lightning moves the tensors.

    Attributes:
        features: (V, F).
        indices: (V, 4) int32 [batch, x, y, z].
        semantic: (V,) int64 train ids, 0 = void (not learned from).
        instance: (V,) int64 row of `centers` that the voxel belongs to, -1 = none.
        voxel_m: (V, 3) x, y and z of the voxel's middle.
        centers: (K, 5) [batch, x_m, y_m, sigma_m, train id] of every instance.
        rays: (R, 5) what hidden beams would have measured, see `side_tasks.hide_beams`.
        batch_size: number of scans.
    """

    features: Tensor
    indices: Tensor
    semantic: Tensor
    instance: Tensor
    voxel_m: Tensor
    centers: Tensor
    rays: Tensor
    batch_size: int

    def voxels(self, grid: Grid, engine: Engine) -> SparseTensor:
        """The network's input."""
        return SparseTensor(
            self.features, self.indices, grid.shape, batch_size=self.batch_size, engine=engine
        )

    def moved_to(self, device: torch.device) -> Batch:
        """The same on another device; a copy from pinned memory is not waited for."""
        tensors = [part.to(device, non_blocking=True) for part in self[:-1]]
        return Batch._make([*tensors, self.batch_size])


class Pair(NamedTuple):
    """What the student learns from, and the same scans whole and unchanged, for its teacher.

    Attributes:
        student: augmented scans.
        teacher: the scans as they were read.
        seen_at: (V,) int64, the teacher's voxel with a point of each of the student's, -1 = none.
    """

    student: Batch
    teacher: Batch
    seen_at: Tensor


class TrainingScans(TorchDataset[Batch | Pair]):
    """Item k is the k-th scan training sees: a shuffled pass after another, freshly augmented.

    Everything random in item k depends on (seed, k) alone, so that a resumed run sees exactly
    what an uninterrupted one would have seen. With a teacher, an item is a Pair, and scans without
    labels are seen too, but no oftener than those with: a teacher of few labels would teach
    what it does not know. Where beams are hidden, what they would have measured is told.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        grid: Grid,
        classes: ClassTable,
        augmentation: AugmentConfig,
        seed: int,
        length: int,
        *,
        with_teacher: bool = False,
        hides_beams: bool = False,
    ) -> None:
        self.sources = sources
        self.grid = grid
        self.classes = classes
        self.augmentation = augmentation
        self.seed = seed
        self.length = length
        self.with_teacher = with_teacher
        self.hides_beams = hides_beams
        self.index = [(s, p, True) for s, source in enumerate(sources) for p in source.scans]
        if not self.index:
            raise InputError("no training scans with labels: fill train_data in the configuration")
        if with_teacher:
            more = [(s, p, False) for s, one in enumerate(sources) for p in one.unlabelled]
            self.index = self.index * max(1, round(len(more) / len(self.index))) + more
        self.ground = classes.ground
        self.donors = donors_of(sources, classes) if augmentation.paste_balanced else []

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> Batch | Pair:
        return self.pair(k) if self.with_teacher else self.batch(k)

    def batch(self, k: int) -> Batch:
        """Item k for a student alone."""
        sample, _, rays, zoom = self._seen(k)
        return make_batch(sample, self.grid, self.classes, rays, zoom)

    def pair(self, k: int) -> Pair:
        """Item k with what the teacher sees of it."""
        sample, i, rays, zoom = self._seen(k)
        source, at, _ = self.index[i]
        whole = self.sources[source].sample(at)
        return make_pair(sample, whole, self.grid, self.classes, rays, zoom)

    def _seen(self, k: int) -> tuple[Sample, int, FloatArray | None, float]:
        """Item k before it is voxelized, its place in the index, rays hidden of it, its zoom."""
        passes, position = divmod(k, len(self.index))
        order = np.random.default_rng([self.seed, passes]).permutation(len(self.index))
        rng = np.random.default_rng([self.seed, 1, k])
        i = int(order[position])
        sample = self._augment(self._sample(i, rng), rng)
        rays = None
        if self.hides_beams:
            sample, rays = hide_beams(sample, rng)
        zoom = float(np.exp(rng.uniform(*np.log(self.augmentation.voxel_scale))))
        return sample, i, rays, zoom

    def _sample(self, i: int, rng: np.random.Generator) -> Sample:
        source, position, is_labelled = self.index[i]
        thinned = rng.random() < self.augmentation.thin
        share = self.augmentation.weather
        harmed = share > 0 and rng.random() < share

        def change(sample: Sample) -> Sample:
            if self.with_teacher:
                sample = sample.numbered()
            if harmed:
                sample = weather(sample, rng)
            return thin(sample, rng) if thinned else sample

        changes = self.with_teacher or harmed or thinned
        sample = self.sources[source].sample(position, change if changes else None)
        return sample if is_labelled else sample.without_labels()

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
            if paste and self.donors:
                of_class = self.donors[int(rng.integers(len(self.donors)))]
                other = self._sample(of_class[int(rng.integers(len(of_class)))], rng)
            if paste:
                sample = augment.paste_instances(sample, other, rng, a.paste_count, self.ground)
        return augment.perturb(sample, rng, a)


def donors_of(
    sources: Sequence[Source], classes: ClassTable, most: int = MOST_DONORS
) -> list[list[int]]:
    """For each class of things that occurs, the scans it occurs in, as places in the index.

    Looks at the labels of up to `most` scans, evenly spread.
    """
    index = [(source, position) for source in sources for position in source.scans]
    found: dict[int, list[int]] = {}
    for i in np.unique(np.linspace(0, len(index) - 1, min(most, len(index))).astype(int)).tolist():
        source, position = index[i]
        labels = source.dataset.labels(position)
        if labels is not None:
            for class_id in np.unique(labels.semantic[labels.instance > 0]).tolist():
                found.setdefault(class_id, []).append(i)
    return [found[class_id] for class_id in sorted(found) if classes.is_thing[class_id]]


def make_batch(
    sample: Sample,
    grid: Grid,
    classes: ClassTable,
    rays: FloatArray | None = None,
    zoom: float = 1.0,
) -> Batch:
    """Voxelize one labelled scan and make its targets.

    Args:
        sample: the scan.
        grid: that the network counts in.
        classes: of the labels.
        rays: as `hide_beams` gives them.
        zoom: voxels are this many times as large, and so is the metre that offsets, voxels' middles
            and centers are told in: a network sees voxels, not how large they are.
    """
    seen = grid.zoomed(zoom)
    voxels = voxelize(sample.points, seen)
    num_voxels = len(voxels.indices)
    semantic = voxel_majority(
        sample.semantic, voxels.point_to_voxel, num_voxels, classes.num_classes
    )
    voxel_instance = voxel_instances(sample.instance, voxels.point_to_voxel, num_voxels)
    ids, centers = instance_centers(sample.points, sample.instance)
    row = np.where(voxel_instance > 0, np.searchsorted(ids, voxel_instance), -1)
    present, first = np.unique(sample.instance, return_index=True)
    class_of = sample.semantic[first[present > 0]]
    sigma = [_sigma_m(classes, int(c)) for c in class_of]
    indices = np.zeros((num_voxels, 4), np.int32)
    indices[:, 1:] = voxels.indices
    features = voxel_features(sample.points, sample.intensity, voxels, seen)
    rows = np.column_stack([np.zeros(len(ids)), centers[:, :2] / zoom, sigma, class_of])
    return Batch(
        torch.from_numpy(features),
        torch.from_numpy(indices),
        torch.from_numpy(semantic),
        torch.from_numpy(row.astype(np.int64)),
        torch.from_numpy(np.ascontiguousarray(grid.center_of(voxels.indices), np.float32)),
        torch.from_numpy(rows.astype(np.float32)),
        torch.from_numpy(_rays_at(rays, voxels.point_to_voxel)),
        batch_size=1,
    )


def _rays_at(rays: FloatArray | None, point_to_voxel: IntArray) -> FloatArray:
    """Rays whose seen point lies in the grid, its voxel in its place. (R, 5)."""
    if rays is None:
        return np.zeros((0, 5), np.float32)
    voxel = point_to_voxel[rays[:, 0].astype(np.int64)]
    inside: FloatArray = rays[voxel >= 0]
    return np.column_stack([voxel[voxel >= 0], inside[:, 1:]]).astype(np.float32)


def make_pair(
    student: Sample,
    teacher: Sample,
    grid: Grid,
    classes: ClassTable,
    rays: FloatArray | None = None,
    zoom: float = 1.0,
) -> Pair:
    """An augmented scan whose points know their origin, and the scan that they came from."""
    assert student.origin is not None
    seen_by = voxelize(teacher.points, grid.zoomed(zoom)).point_to_voxel
    voxels = voxelize(student.points, grid.zoomed(zoom))
    known = (voxels.point_to_voxel >= 0) & (student.origin >= 0)
    seen_at = np.full(len(voxels.indices), -1, np.int64)
    seen_at[voxels.point_to_voxel[known]] = seen_by[student.origin[known]]
    seen = make_batch(student, grid, classes, rays, zoom)
    whole = make_batch(teacher, grid, classes, zoom=zoom)
    return Pair(seen, whole, torch.from_numpy(seen_at))


def collate_pairs(items: Sequence[Pair]) -> Pair:
    """Some pairs as one, voxels of the teacher's scans following one another."""
    before = 0
    for item in items:
        item.seen_at[item.seen_at >= 0] += before
        before += len(item.teacher.features)
    return Pair(
        collate([item.student for item in items]),
        collate([item.teacher for item in items]),
        torch.cat([item.seen_at for item in items]),
    )


def collate(items: Sequence[Batch]) -> Batch:
    """Some scans as one batch: rows of scan b get batch index b, instances follow one another."""
    centers, voxels = 0, 0
    for b, item in enumerate(items):
        item.indices[:, 0] = b
        item.centers[:, 0] = b
        item.instance[item.instance >= 0] += centers
        item.rays[:, 0] += voxels
        centers += len(item.centers)
        voxels += len(item.features)
    features, indices, semantic, instance, voxel, center, rays = (
        torch.cat(field) for field in zip(*(item[:7] for item in items), strict=True)
    )
    return Batch(features, indices, semantic, instance, voxel, center, rays, len(items))


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
