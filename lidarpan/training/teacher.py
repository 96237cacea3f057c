"""A network that practises on simulated scans, and learns from copies of unlabelled ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lidarpan.classes import ClassTable
from lidarpan.config import AugmentConfig, LossConfig
from lidarpan.model.copies import Copy
from lidarpan.model.inference import scan_norms
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.outputs import VoxelOutputs
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.structures import FloatArray
from lidarpan.training import augment
from lidarpan.training.augment import Sample
from lidarpan.training.data import Batch, collate, make_batch
from lidarpan.training.losses import PanopticLoss
from lidarpan.training.own_scans import Judge, OwnScan, Say
from lidarpan.voxels.intensity import brightness
from lidarpan.voxels.moments import sum_over_points
from lidarpan.voxels.voxelize import voxelize

_DECAY = 0.98  # of the average of the weights, at each step
_RATE = 2e-4
_BESIDE = 0.2  # weight of the simulated scan beside an own one: they are not quite of its sensor
_PATIENCE = 3  # judgements in a row that do not gain
_CHANGES = AugmentConfig(intensity_gain=0.0)  # brightness by rank knows no gain


@dataclass(frozen=True)
class Lesson:
    """An own scan and what the network says of it on the average of its copies.

    Attributes:
        own: the scan.
        probabilities: (V, C - 1) float32 of its voxels, without the prior.
    """

    own: OwnScan
    probabilities: FloatArray


def without_prior(said: VoxelOutputs, network: VoxelNetwork) -> FloatArray:
    """(V, C - 1) probabilities of the logits alone: a network must not learn its prior."""
    if network.prior is None:
        return said.probabilities
    plain: FloatArray = said.probabilities * np.exp(-network.prior)
    plain /= plain.sum(axis=1, keepdims=True)
    return plain


def copied_lesson(
    lesson: Lesson, like: VoxelNetwork, classes: ClassTable, rng: np.random.Generator
) -> tuple[Batch, FloatArray]:
    """An own scan turned, mirrored and scaled at random, and what its voxels should be.

    Args:
        lesson: the scan, and what is said of its voxels.
        like: whose grid and brightness the batch is of.
        classes: the class table.
        rng: draws the copy.

    Returns:
        A batch without labels, and (V, C - 1) float32 mean probabilities of each voxel's points, 0
        where nothing was said of them.
    """
    scan, known = lesson.own.scan, lesson.own.prepared.voxels.point_to_voxel
    copy = Copy(rng.uniform(-np.pi, np.pi), rng.random() < 0.5, rng.uniform(0.95, 1.05))
    points = copy.apply(scan.points, like.ground_m)
    bright = brightness(points, scan.intensity, like.intensity)
    none = np.zeros(len(points), np.int32)
    batch = make_batch(Sample(points, bright, none.astype(np.uint8), none), like.grid, classes)
    seen = voxelize(points, like.grid).point_to_voxel
    sums, count = sum_over_points(lesson.probabilities, known, seen, len(batch.semantic))
    return batch, sums / np.maximum(count, 1)[:, None]


@dataclass(frozen=True)
class Taught:
    """The best network that was met, and the way there.

    Attributes:
        network: the average of the weights where it was best.
        step: when that was; 0 = before the first.
        history: (step, what the judge said) of each judgement.
    """

    network: PanopticNetwork
    step: int
    history: tuple[tuple[int, float], ...]

    @property
    def gain(self) -> float:
        """What the judge said of the best network, less what it said of the first."""
        return max(value for _, value in self.history) - self.history[0][1]


@dataclass(frozen=True)
class Course:
    """What practising and learning from copies have in common.

    Attributes:
        old: how networks are run.
        classes: the class table.
        class_weight: (C - 1,) of the cross-entropy.
        steps: most steps, of two scans each.
        seed: of everything random.
        say: takes what is going on, in words.
    """

    old: VoxelNetwork
    classes: ClassTable
    class_weight: Tensor
    steps: int = 120
    seed: int = 0
    say: Say = lambda text: None

    def changed(self, town: Sample, rng: np.random.Generator) -> Batch:
        """A simulated scan as the network sees it, changed at random."""
        return make_batch(augment.perturb(town, rng, _CHANGES), self.old.grid, self.classes)


def practise(
    network: PanopticNetwork,
    towns: Sequence[Sample],
    judge: Judge,
    course: Course,
    judge_every: int = 40,
) -> Taught:
    """Train on simulated scans of the own sensor alone.

    A network that was trained on sensors of many kinds reads one of them better for it.

    Args:
        network: to begin with; it is copied.
        towns: labelled simulated scans of the sensor, one or more.
        judge: of networks.
        course: how.
        judge_every: steps between judgements.
    """

    def batches() -> Iterator[tuple[Batch, FloatArray]]:
        rng = np.random.default_rng([course.seed, 78])
        nothing = np.zeros((0, course.classes.num_classes - 1), np.float32)
        while True:
            pair = [course.changed(towns[k], rng) for k in rng.integers(len(towns), size=2)]
            yield collate(pair), nothing

    return _learn(network, batches(), judge, course, judge_every, "practice")


def teach(
    network: PanopticNetwork,
    lessons: Sequence[Lesson],
    towns: Sequence[Sample],
    judge: Judge,
    course: Course,
    judge_every: int = 20,
) -> Taught:
    """Train on own scans, beside simulated ones, to say what copies of them say on average.

    The network learns whole probabilities (Hinton et al., 2015), not the classes that it is sure
    of: those it would exaggerate. Stops at the peak of the judge's agreement: when three
    judgements in a row do not reach it.

    Args:
        network: to begin with; it is copied.
        lessons: the own scans.
        towns: labelled simulated scans of the same sensor.
        judge: of networks.
        course: how.
        judge_every: steps between judgements.
    """

    def batches() -> Iterator[tuple[Batch, FloatArray]]:
        rng = np.random.default_rng([course.seed, 77])
        while True:
            for k in rng.permutation(len(lessons)):
                own, target = copied_lesson(lessons[k], course.old, course.classes, rng)
                town = towns[int(rng.integers(len(towns)))]
                yield collate([own, course.changed(town, rng)]), target

    return _learn(network, batches(), judge, course, judge_every, "own scans")


def _learn(
    network: PanopticNetwork,
    batches: Iterator[tuple[Batch, FloatArray]],
    judge: Judge,
    course: Course,
    judge_every: int,
    part: str,
) -> Taught:
    """Train on batches, whose first voxels may have probabilities; judge and keep the average."""
    steps, old = course.steps, course.old
    student, mean = _copied(network), _copied(network)
    student.train()
    device = next(student.parameters()).device
    loss = PanopticLoss(course.class_weight, LossConfig()).to(device)
    optimizer = torch.optim.AdamW(student.parameters(), lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _RATE, total_steps=steps + 1, pct_start=0.1, cycle_momentum=False
    )
    best, history = _copied(mean), [(0, judge(mean))]
    for step in range(1, steps + 1):
        batch, target = next(batches)
        batch = batch.moved_to(device)
        outputs = student(batch.voxels(old.grid, old.engine))
        total = loss(outputs, batch, old.grid)["total"]
        if len(target):
            own = cross_entropy_of(outputs.semantic[: len(target)], target)
            total = _BESIDE * total + own
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        _follow(mean, student)
        if step % judge_every and step != steps:
            continue
        agreed = judge(mean)
        if agreed > max(value for _, value in history):
            best = _copied(mean)
        history.append((step, agreed))
        course.say(f"{part}, step {step} of {steps}: {judge.name} {agreed:.4f}")
        peak = max(range(len(history)), key=lambda i: history[i][1])
        if len(history) - 1 - peak >= _PATIENCE:
            break
    at = max(history, key=lambda entry: entry[1])[0]
    return Taught(best, at, tuple(history))


def cross_entropy_of(logits: Tensor, probabilities: FloatArray) -> Tensor:
    """Mean cross-entropy of logits with probabilities, over rows that have any. (V, C - 1) each."""
    target = torch.from_numpy(probabilities).to(logits.device)
    count = (target.sum(dim=1) > 0).sum().clamp(min=1)
    return -(target * logits.float().log_softmax(dim=1)).sum() / count


def _copied(network: PanopticNetwork) -> PanopticNetwork:
    """A copy in evaluation mode whose stored statistics training leaves alone."""
    copied = copy.deepcopy(network).eval()
    for norm in scan_norms(copied).values():
        norm.momentum = 0.0
    return copied


def _follow(mean: PanopticNetwork, student: PanopticNetwork) -> None:
    with torch.no_grad():
        for slow, fast in zip(mean.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast, 1 - _DECAY)


def shares_of(towns: Sequence[Sample], num_classes: int) -> NDArray[np.float64]:
    """(C - 1,) share of train ids 1..C-1 of the labelled points."""
    counts = sum(np.bincount(town.semantic, minlength=num_classes)[1:] for town in towns)
    return np.asarray(counts, np.float64) / max(float(np.sum(counts)), 1.0)
