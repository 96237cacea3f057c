"""Scans of a dataset -> what is wrong with each by itself, in parts on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from lidarpan.datasets.dataset import Dataset, ScanFiles
from lidarpan.datasets.faults import CheckedScan, Fault, check_scan
from lidarpan.fleet.cluster import Cluster, part_of_many

MOST_SCANS = 16
"""Of a part, whose points come back: what follows from scan to scan is looked at by the caller."""


def check_on_cluster(
    cluster: Cluster, dataset: Dataset, files: Iterable[ScanFiles]
) -> Iterator[CheckedScan]:
    """Look at scans on a cluster, in its block: the `look` of `DatasetCheck.run`, same faults."""
    left = iter(files)
    some = iter(lambda: list(islice(left, MOST_SCANS)), [])
    parts = (part_of_many(check_part, (dataset,), part, _lost) for part in some)
    for checked in cluster.run(parts):
        yield from checked


def _lost(files: ScanFiles, why: str) -> CheckedScan:
    return CheckedScan(files, (Fault("scan", str(files.scan), why),))


def check_part(dataset: Dataset, files: list[ScanFiles]) -> list[CheckedScan]:
    """Look at some scans in a worker."""
    return [check_scan(dataset, one) for one in files]
