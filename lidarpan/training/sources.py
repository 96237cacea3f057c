"""Labelled datasets as training reads them: which scans, which labels, at which height."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lidarpan.config import Config, DataSource
from lidarpan.datasets.open import open_dataset
from lidarpan.scans.inspection import sensor_height
from lidarpan.structures import InputError, PanopticLabels, Scan, SemanticArray
from lidarpan.training.augment import Sample
from lidarpan.training.cache import CachedScans
from lidarpan.training.few_labels import Kind, keep_labels
from lidarpan.voxels.intensity import brightness

_LABELLING = 19
"""Seeds which labels are kept."""


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
    labelled: Kind | None = None  # what keeps its labels; None keeps all
    labelled_fraction: float = 1.0  # of them
    unlabelled: tuple[int, ...] = ()  # positions of scans without labels, with repetition

    def height_of(self, scan: Scan) -> float:
        """Height of a scan's sensor above the ground, metres."""
        return self.height_m or sensor_height(scan, self.trained_height_m)

    def labels_of(self, position: int) -> SemanticArray | None:
        """Train ids of a scan's points as training sees them, (N,); None without labels."""
        if self.labelled:
            return self.sample(position).semantic
        labels = self.dataset.labels(position)
        return None if labels is None else labels.semantic

    def sample(self, position: int, change: Callable[[Sample], Sample] | None = None) -> Sample:
        """A labelled scan as the network sees it: at the trained height, brightness by rank.

        `change` is made of it before, where the sensor still is at (0, 0, 0).
        """
        scan = self.dataset[position]
        labels = self.dataset.labels(position)
        if labels is None and position in self.unlabelled:
            labels = PanopticLabels.all_void(scan.num_points)
        if labels is None:
            raise InputError(
                f"{self.dataset.name(position)}: training needs labels, found none; with "
                "loss.pseudo above 0 scans without labels are taught by the network's own average"
            )
        height = self.height_of(scan)
        sample = Sample(scan.points, scan.intensity, labels.semantic, labels.instance)
        if self.labelled:
            rng = np.random.default_rng([_LABELLING, position])
            sample = keep_labels(sample, self.labelled, self.labelled_fraction, rng)
        if change:
            sample = change(sample)
        shift = np.array([0, 0, height - self.trained_height_m], np.float32)
        bright = brightness(sample.points, sample.intensity, self.intensity)
        return replace(sample, points=sample.points + shift, intensity=bright)


def _has_labels(labels: PanopticLabels | None) -> bool:
    return labels is not None and bool(labels.semantic.any())


def open_sources(entries: Sequence[DataSource], config: Config) -> list[Source]:
    """Open the configured datasets; InputError if one has another class table than the config.

    With pseudo-labels, scans without a label file and those of which every point is void are
    unlabelled ones.
    """
    sources, wanted, cache = [], config.build_classes(), config.training.cache
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
        labelled, rest = chosen, []
        if config.loss.pseudo:
            has_some = [_has_labels(dataset.labels(i)) for i in chosen]
            labelled = [i for i, has in zip(chosen, has_some, strict=True) if has]
            rest = [i for i, has in zip(chosen, has_some, strict=True) if not has]
        if entry.labelled == "scans" and entry.labelled_fraction < 1:
            order = np.random.default_rng(_LABELLING).permutation(labelled).tolist()
            number = max(1, round(entry.labelled_fraction * len(labelled)))
            labelled, rest = order[:number], order[number:] + rest
        sources.append(
            Source(
                CachedScans(dataset, cache) if cache else dataset,
                tuple(labelled) * entry.repeat,
                known,
                config.sensor.height_m,
                config.sensor.intensity,
                None if entry.labelled == "scans" else entry.labelled,
                entry.labelled_fraction,
                tuple(rest) * entry.repeat,
            )
        )
    return sources
