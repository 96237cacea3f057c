"""A network taught on unlabelled scans by its own average, mixed with simulated scans."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lidarpan.classes import ClassTable
from lidarpan.config import AugmentConfig, LossConfig
from lidarpan.model.inference import scan_norms
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.outputs import VoxelOutputs
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.structures import FloatArray, PanopticLabels
from lidarpan.training import augment
from lidarpan.training.augment import Sample
from lidarpan.training.data import Batch, collate, make_batch
from lidarpan.training.losses import PanopticLoss
from lidarpan.training.own_scans import Judge, OwnScan, Say, probabilities_of, run_like
from lidarpan.voxels.intensity import brightness

KEEP = 0.7
"""Share of the voxels of each class, the surest ones, whose pseudo-label is believed."""

LOWEST, HIGHEST = 0.4, 0.9  # a class's threshold lies between
_DECAY = 0.98  # of the teacher's weights, at each step
_PRACTICE_RATE, _TEACHING_RATE = 2e-4, 1e-4
_PATIENCE = 3  # judgements in a row that do not gain
_PASTED = 6  # simulated objects in an own scan
_CHANGES = AugmentConfig(intensity_gain=0.0)  # brightness by rank knows no gain


@dataclass(frozen=True)
class Lesson:
    """An own scan and what the old network says of it on the average of its copies.

    Attributes:
        own: the scan.
        probabilities: (V, C - 1) float32 of its voxels, without the prior.
        labels: its points' classes and objects.
    """

    own: OwnScan
    probabilities: FloatArray
    labels: PanopticLabels


def class_thresholds(lessons: Sequence[Lesson], keep: float = KEEP) -> FloatArray:
    """(C - 1,) probability from which a voxel is believed to be of a class.

    Each class keeps the same share of its voxels, so that rare and hard classes are taught too
    (class-balanced self-training: Zou et al., ECCV 2018).
    """
    every = np.concatenate([lesson.probabilities for lesson in lessons])
    best, sure = every.argmax(axis=1), every.max(axis=1)
    out = np.full(every.shape[1], HIGHEST, np.float32)
    for c in np.unique(best):
        out[c] = np.quantile(sure[best == c], 1 - keep)
    return np.clip(out, LOWEST, HIGHEST)


def pseudo_sample(lesson: Lesson, teacher: VoxelNetwork, thresholds: FloatArray) -> Sample:
    """An own scan with the labels that the copies' average and the teacher are sure of together."""
    mean = (
        lesson.probabilities + without_prior(probabilities_of(teacher, lesson.own), teacher)
    ) / 2
    best = mean.argmax(axis=1)
    sure = mean[np.arange(len(best)), best] >= thresholds[best]
    voxel = np.append(np.where(sure, best + 1, 0), 0).astype(np.uint8)  # row -1: outside the grid
    semantic = voxel[lesson.own.prepared.voxels.point_to_voxel]
    labels = lesson.labels
    instance = np.where(semantic == labels.semantic, labels.instance, 0).astype(np.int32)
    is_object = labels.instance > 0
    semantic = np.where(is_object & (instance == 0), 0, semantic).astype(np.uint8)
    scan = lesson.own.scan
    bright = brightness(scan.points, scan.intensity, teacher.intensity)
    return Sample(scan.points, bright, semantic, instance)


def without_prior(said: VoxelOutputs, network: VoxelNetwork) -> FloatArray:
    """(V, C - 1) probabilities of the logits alone: a network must not learn its prior."""
    if network.prior is None:
        return said.probabilities
    plain: FloatArray = said.probabilities * np.exp(-network.prior)
    plain /= plain.sum(axis=1, keepdims=True)
    return plain


def mix_both_ways(
    own: Sample, town: Sample, rng: np.random.Generator, ground: tuple[int, ...]
) -> tuple[Sample, Sample]:
    """Simulated objects in the own scan, and sectors or beams of the own scan in the town.

    Mixing source into target and target into source (CoSMix, Saltori et al., ECCV 2022), with
    PolarMix and LaserMix for whole surfaces.
    """
    first = augment.paste_instances(own, town, rng, _PASTED, ground)
    mix = augment.polar_mix if rng.random() < 0.5 else augment.laser_mix
    return first, mix(town, own, rng)


@dataclass(frozen=True)
class Taught:
    """The best network that was met, and the way there.

    Attributes:
        network: the teacher where it agreed most with the copies' average.
        step: when that was; 0 = before the first.
        history: (step, agreement) of each judgement.
    """

    network: PanopticNetwork
    step: int
    history: tuple[tuple[int, float], ...]

    @property
    def gain(self) -> float:
        """Agreement gained from the first network to the best."""
        return max(value for _, value in self.history) - self.history[0][1]


def practise(
    network: PanopticNetwork,
    towns: Sequence[Sample],
    old: VoxelNetwork,
    classes: ClassTable,
    judge: Judge,
    *,
    class_weight: Tensor,
    steps: int = 120,
    judge_every: int = 40,
    seed: int = 0,
    say: Say = lambda text: None,
) -> Taught:
    """Train on simulated scans of the own sensor alone.

    A network that was trained on sensors of many kinds reads one of them better for it. Arguments
    as of `teach`.
    """

    def batches(teacher: VoxelNetwork) -> Iterator[Batch]:
        rng = np.random.default_rng([seed, 78])
        while True:
            order = rng.permutation(len(towns))
            for first, second in zip(order[::2], order[1::2], strict=False):
                yield _batch((towns[first], towns[second]), rng, teacher, classes)

    return _learn(
        network, batches, old, judge, class_weight, _PRACTICE_RATE, steps, judge_every, say
    )


def teach(
    network: PanopticNetwork,
    lessons: Sequence[Lesson],
    towns: Sequence[Sample],
    old: VoxelNetwork,
    classes: ClassTable,
    judge: Judge,
    *,
    class_weight: Tensor,
    steps: int = 120,
    judge_every: int = 20,
    seed: int = 0,
    say: Say = lambda text: None,
) -> Taught:
    """Train on mixed scans; the teacher is the moving average of the student.

    Mean teacher: Tarvainen and Valpola, NeurIPS 2017. Stops at the peak of the judge's agreement:
    when three judgements in a row do not reach it.

    Args:
        network: to begin with; it is copied.
        lessons: the own scans.
        towns: labelled simulated scans of the same sensor.
        old: how networks are run.
        classes: the class table.
        judge: of networks.
        class_weight: (C - 1,) of the cross-entropy.
        steps: most steps, of two scans each.
        judge_every: steps between judgements.
        seed: of everything random.
        say: takes what is going on, in words.
    """
    thresholds = class_thresholds(lessons)

    def batches(teacher: VoxelNetwork) -> Iterator[Batch]:
        rng = np.random.default_rng([seed, 77])
        while True:
            for k in rng.permutation(len(lessons)):
                own = pseudo_sample(lessons[k], teacher, thresholds)
                town = towns[int(rng.integers(len(towns)))]
                pair = mix_both_ways(own, town, rng, classes.ground)
                yield _batch(pair, rng, teacher, classes)

    return _learn(
        network, batches, old, judge, class_weight, _TEACHING_RATE, steps, judge_every, say
    )


def _learn(
    network: PanopticNetwork,
    batches_of: Callable[[VoxelNetwork], Iterator[Batch]],
    old: VoxelNetwork,
    judge: Judge,
    class_weight: Tensor,
    rate: float,
    steps: int,
    judge_every: int,
    say: Say,
) -> Taught:
    """Train a student on batches that may ask its moving average, which is judged and kept."""
    student, teacher = _copied(network), _copied(network)
    batches = batches_of(run_like(old, teacher))
    student.train()
    loss = PanopticLoss(class_weight, LossConfig())
    optimizer = torch.optim.AdamW(student.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps + 1, pct_start=0.1, cycle_momentum=False
    )
    best, history = _copied(teacher), [(0, judge(teacher))]
    for step in range(1, steps + 1):
        batch = next(batches)
        terms = loss(student(batch.voxels(old.grid, old.engine)), batch, old.grid)
        optimizer.zero_grad()
        terms["total"].backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        _follow(teacher, student)
        if step % judge_every and step != steps:
            continue
        agreed = judge(teacher)
        if agreed > max(value for _, value in history):
            best = _copied(teacher)
        history.append((step, agreed))
        say(f"step {step} of {steps}: {judge.name} {agreed:.4f}")
        peak = max(range(len(history)), key=lambda i: history[i][1])
        if len(history) - 1 - peak >= _PATIENCE:
            break
    at = max(history, key=lambda entry: entry[1])[0]
    return Taught(best, at, tuple(history))


def _batch(
    samples: Sequence[Sample], rng: np.random.Generator, like: VoxelNetwork, classes: ClassTable
) -> Batch:
    """Scans as a network sees them, changed at random."""
    changed = (augment.perturb(one, rng, _CHANGES) for one in samples)
    return collate([make_batch(one, like.grid, classes) for one in changed])


def _copied(network: PanopticNetwork) -> PanopticNetwork:
    """A copy in evaluation mode whose stored statistics training leaves alone."""
    copied = copy.deepcopy(network).eval()
    for norm in scan_norms(copied).values():
        norm.momentum = 0.0
    return copied


def _follow(teacher: PanopticNetwork, student: PanopticNetwork) -> None:
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast, 1 - _DECAY)


def shares_of(towns: Sequence[Sample], num_classes: int) -> NDArray[np.float64]:
    """(C - 1,) share of train ids 1..C-1 of the labelled points."""
    counts = sum(np.bincount(town.semantic, minlength=num_classes)[1:] for town in towns)
    return np.asarray(counts, np.float64) / max(float(np.sum(counts)), 1.0)
