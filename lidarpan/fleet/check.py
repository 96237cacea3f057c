"""Scans of a dataset -> what is wrong with each by itself, in parts on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from lidarpan.datasets.dataset import Dataset, ScanFiles
from lidarpan.datasets.faults import CheckedScan, Fault, check_scan
from lidarpan.fleet.cluster import Cluster, Part

MOST_SCANS = 16
"""Of a part, whose points come back: what follows from scan to scan is looked at by the caller."""


class CheckOnCluster:
    """Looks at scans on a cluster: the `look` of `DatasetCheck.run`, with the same faults.

    Args:
        cluster: in its block.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def __call__(self, dataset: Dataset, files: Iterable[ScanFiles]) -> Iterator[CheckedScan]:
        """What is wrong with each scan, in order."""
        left = iter(files)
        some = iter(lambda: list(islice(left, MOST_SCANS)), [])
        for checked in self.cluster.run(_part(dataset, part) for part in some):
            yield from checked


def _part(dataset: Dataset, files: Sequence[ScanFiles]) -> Part[list[CheckedScan]]:
    def smaller() -> Sequence[Part[list[CheckedScan]]]:
        return [_part(dataset, [one]) for one in files] if len(files) > 1 else ()

    return Part(check_part, (dataset, files), partial(_lost, files), smaller)


def _lost(files: Sequence[ScanFiles], why: str) -> list[CheckedScan]:
    return [CheckedScan(one, (Fault("scan", str(one.scan), why),)) for one in files]


def check_part(dataset: Dataset, files: Sequence[ScanFiles]) -> list[CheckedScan]:
    """Look at some scans in a worker."""
    return [check_scan(dataset, one) for one in files]
