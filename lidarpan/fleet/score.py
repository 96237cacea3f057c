"""Label files -> what each scan adds to the scores, in parts on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lidarpan.classes import ClassTable
from lidarpan.evaluation import Protocol, Scored, score_scan
from lidarpan.evaluation.files import LabelFiles
from lidarpan.fleet.cluster import Cluster, part_of_many
from lidarpan.structures import InputError

MOST_SCANS = 64


def score_on_cluster(
    cluster: Cluster, files: Sequence[LabelFiles], classes: ClassTable, rules: Protocol
) -> Iterator[Scored]:
    """Score scans on a cluster, in its block: the `score` of `evaluate_folder`, same numbers."""
    size = max(1, min(MOST_SCANS, len(files) // (4 * cluster.num_workers)))
    some = (files[start : start + size] for start in range(0, len(files), size))
    parts = (part_of_many(score_part, (classes, rules), part, _lost) for part in some)
    for scored in cluster.run(parts):
        yield from scored


def _lost(files: LabelFiles, why: str) -> Scored:
    return InputError(f"{files.prediction}: {why}")


def score_part(classes: ClassTable, rules: Protocol, files: list[LabelFiles]) -> list[Scored]:
    """Score some scans in a worker."""
    return [score_scan(one, classes, rules) for one in files]
