"""Label files -> what each scan adds to the scores, in parts on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lidarpan.classes import ClassTable
from lidarpan.evaluation import Protocol, Scored, score_scan
from lidarpan.evaluation.files import LabelFiles
from lidarpan.fleet.cluster import Cluster, Part
from lidarpan.structures import InputError

MOST_SCANS = 64


class ScoreOnCluster:
    """Scores scans on a cluster: the `score` of `evaluate_folder`, with the same numbers.

    Args:
        cluster: in its block.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def __call__(
        self, files: Sequence[LabelFiles], classes: ClassTable, rules: Protocol
    ) -> Iterator[Scored]:
        """What each scan adds, in order."""
        size = max(1, min(MOST_SCANS, len(files) // (4 * self.cluster.num_workers)))
        some = (list(files[start : start + size]) for start in range(0, len(files), size))
        for scored in self.cluster.run(_part(part, classes, rules) for part in some):
            yield from scored


def _part(files: list[LabelFiles], classes: ClassTable, rules: Protocol) -> Part[list[Scored]]:
    def smaller() -> Sequence[Part[list[Scored]]]:
        return [_part([one], classes, rules) for one in files] if len(files) > 1 else ()

    def lost(why: str) -> list[Scored]:
        return [InputError(f"{one.prediction}: {why}") for one in files]

    return Part(score_part, (files, classes, rules), lost, smaller)


def score_part(files: list[LabelFiles], classes: ClassTable, rules: Protocol) -> list[Scored]:
    """Score some scans in a worker."""
    return [score_scan(one, classes, rules) for one in files]
