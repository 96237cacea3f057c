"""Towns -> their scans, each town a part of the job; one process writes the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lidarpan.fleet.cluster import Cluster, Part
from lidarpan.structures import InputError
from lidarpan.synthetic.simulated import make_town

if TYPE_CHECKING:
    from lidarpan.synthetic.simulate import SimulatedScan
    from lidarpan.synthetic.simulated import Town


def towns_on_cluster(cluster: Cluster, towns: Sequence[Town]) -> Iterator[list[SimulatedScan]]:
    """Make towns on a cluster, in its block: the `make_towns` of `write_simulated`, same scans.

    Raises:
        InputError: a town's process dies every time.
    """
    yield from cluster.run(Part(make_town, town, _refuse) for town in towns)


def _refuse(why: str) -> list[SimulatedScan]:
    raise InputError(f"a town cannot be simulated: {why}: run again to go on")
