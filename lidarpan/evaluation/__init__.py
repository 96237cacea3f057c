"""A folder of predictions -> the scores of its benchmark, in all and per scan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.dataset import Dataset
from lidarpan.datasets.open import find_dataset
from lidarpan.evaluation.files import LabelFiles, find_label_files, raise_faults, read_pair
from lidarpan.evaluation.report import format_table, write_csv, write_json
from lidarpan.metrics import PanopticQuality, PanopticScores, SegmentMatches
from lidarpan.structures import InputError

__all__ = [
    "PROTOCOLS",
    "Evaluation",
    "Protocol",
    "ScanScore",
    "Score",
    "Scored",
    "SegmentError",
    "evaluate_folder",
    "format_table",
    "write_csv",
    "write_json",
]

PROTOCOLS = {
    "official": "as the benchmark's script: the whole label tells segments apart, all classes",
    "upper16": "the instance part of a label alone tells the segments of a class apart",
    "present": "as official, but means run over the classes that have true points",
}
"""Named variants of the rules; see docs/metrics.md."""


@dataclass(frozen=True)
class Protocol:
    """By which rules a score was made.

    Attributes:
        name: one of PROTOCOLS.
        min_points: smallest segment that counts as an error, in points.
    """

    name: str
    min_points: int

    def __post_init__(self) -> None:
        if self.name not in PROTOCOLS:
            raise InputError(f"no protocol {self.name!r}: wanted {', '.join(PROTOCOLS)}")

    @property
    def mean(self) -> Literal["all", "present"]:
        """Over which classes the means run."""
        return "present" if self.name == "present" else "all"


@dataclass(frozen=True)
class SegmentError:
    """The largest segment of a scan without a match.

    Attributes:
        kind: "missed" where it is true, "invented" where it is predicted.
        class_id: its train id.
        segment: the id that told it apart.
        instance: the instance part of that id, 0 for none.
        num_points: its size, without points of void truth.
    """

    kind: Literal["missed", "invented"]
    class_id: int
    segment: int
    instance: int
    num_points: int


@dataclass(frozen=True)
class ScanScore:
    """What one scan adds, and how it does alone.

    Attributes:
        files: the scan's files.
        scores: of this scan alone, means over the protocol's classes.
        present: of this scan alone, means over the classes with true points.
        num_points: N.
        counts: (C, 7) float64 by class: tp, fp, fn, iou_sum, and points that are right, predicted
            and true; void is left out of the last three.
        worst: the largest error, None where every segment matches.
    """

    files: LabelFiles
    scores: PanopticScores
    present: PanopticScores
    num_points: int
    counts: NDArray[np.float64]
    worst: SegmentError | None


@dataclass(frozen=True)
class Evaluation:
    """The scores of a folder of predictions.

    Attributes:
        dataset: its name.
        split: of the dataset.
        protocol: the rules.
        classes: the dataset's.
        scores: over all scans.
        scans: each scan, in the order of the dataset.
    """

    dataset: str
    split: str
    protocol: Protocol
    classes: ClassTable
    scores: PanopticScores
    scans: tuple[ScanScore, ...]


Scored = tuple[ScanScore, PanopticQuality] | InputError
"""What a scan adds to the scores, or why it cannot."""

Progress = Callable[[Iterable[Scored], int], Iterable[Scored]]
Score = Callable[[Sequence[LabelFiles], ClassTable, Protocol], Iterator[Scored]]


def evaluate_folder(
    dataset: str | Dataset,
    root: str | Path,
    predictions: str | Path,
    split: str,
    *,
    min_points: int | None = None,
    protocol: str = "official",
    num_threads: int | None = None,
    score: Score | None = None,
    progress: Progress = lambda results, total: results,
) -> Evaluation:
    """Score a folder of predictions by the rules of its benchmark; reads label files only.

    Args:
        dataset: as `find_dataset` takes it.
        root: of the dataset, with the true labels.
        predictions: the folder above `sequences` or `panoptic`, as the benchmark wants it.
        split: a split of the dataset; those of its sequences or scenes that exist are used.
        min_points: smallest segment that counts as an error; None takes the benchmark's.
        protocol: one of PROTOCOLS.
        num_threads: None takes all cores.
        score: of scans, in order, elsewhere; None scores them in threads of this process.
        progress: handed the results as they come, and their number: passes them on, showing a bar.

    Raises:
        InputError: files are missing, left over or damaged: every fault is listed.
    """
    whose = find_dataset(dataset)
    classes = whose.classes
    rules = Protocol(protocol, classes.min_points if min_points is None else min_points)
    files = find_label_files(whose, root, predictions, split)
    total = new_quality(classes, rules)
    scans, faults = [], []
    results = (score or _in_threads(num_threads))(files, classes, rules)
    for result in progress(results, len(files)):
        if isinstance(result, InputError):
            faults.append(str(result))
        else:
            scan, quality = result
            scans.append(scan)
            total.merge(quality)
    raise_faults(faults, f"{len(files)} whole pairs of label files")
    return Evaluation(whose.name, split, rules, classes, total.compute(rules.mean), tuple(scans))


def _in_threads(num_threads: int | None) -> Score:
    def score(
        files: Sequence[LabelFiles], classes: ClassTable, rules: Protocol
    ) -> Iterator[Scored]:
        with ThreadPoolExecutor(num_threads or os.cpu_count()) as threads:
            yield from threads.map(lambda pair: score_scan(pair, classes, rules), files)

    return score


def new_quality(classes: ClassTable, rules: Protocol) -> PanopticQuality:
    """An accumulator of scores by the rules."""
    return PanopticQuality(classes.num_classes, classes.things, min_points=rules.min_points)


def score_scan(files: LabelFiles, classes: ClassTable, rules: Protocol) -> Scored:
    """What one scan adds to the scores, or the fault of its files."""
    try:
        predicted, true = read_pair(files)
    except InputError as error:
        return error
    quality = new_quality(classes, rules)
    matches = quality.update(
        predicted.semantic, predicted.ids(rules.name), true.semantic, true.ids(rules.name)
    )
    points = quality.confusion[:, ~quality.ignored]
    right, guessed = quality.confusion.diagonal() * ~quality.ignored, points.sum(axis=1)
    actual = quality.confusion.sum(axis=0) * ~quality.ignored
    parts = (quality.tp, quality.fp, quality.fn, quality.iou_sum, right, guessed, actual)
    scan = ScanScore(
        files,
        quality.compute(rules.mean),
        quality.compute("present"),
        len(true.semantic),
        np.stack(parts, axis=1),
        _worst_error(matches, files.dataset, rules),
    )
    return scan, quality


def _worst_error(matches: SegmentMatches, dataset: Dataset, rules: Protocol) -> SegmentError | None:
    missed = matches.true[matches.missed(rules.min_points)]
    invented = matches.pred[matches.invented(rules.min_points)]
    segments = np.concatenate([missed, invented])
    if not len(segments):
        return None
    worst = int(segments[:, 2].argmax())
    class_id, segment, num_points = (int(value) for value in segments[worst])
    instance = segment if rules.name == "upper16" else dataset.instance_of(segment)
    kind: Literal["missed", "invented"] = "missed" if worst < len(missed) else "invented"
    return SegmentError(kind, class_id, segment, instance, num_points)
