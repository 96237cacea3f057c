"""One's own unlabelled scans, what weights say of them, and how far two answers agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lidarpan.inference import Handling
from lidarpan.model.copies import COPIES, Copy
from lidarpan.model.device_network import voxel_network
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.ego import hide_ego
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import load_scan
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, sensor_height
from lidarpan.structures import InputError, Scan

FEWEST_POINTS = 100
"""Points a class needs for its agreement to count."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class OwnScan:
    """An unlabelled scan as the network sees it.

    Attributes:
        path: of its file.
        scan: at the height the network was trained at, without the own vehicle.
        height_m: of the sensor above the ground.
        prepared: its voxels.
    """

    path: Path
    scan: Scan
    height_m: float
    prepared: PreparedScan


def read_own_scans(
    paths: Sequence[Path],
    pipeline: PanopticPipeline,
    sensor_height_m: float | None = None,
    load: Callable[[Path, float], LoadedScan] = load_scan,
) -> list[OwnScan]:
    """Read scans as `lidarpan predict` does, by `load`. Raises InputError for one that is none."""
    expected = pipeline.sensor_height_m or EXPECTED_HEIGHT_M
    handling = Handling(is_levelled=True)
    own = []
    for path in paths:
        loaded, _ = handling.turned(load(path, expected), expected)
        height = sensor_height_m or sensor_height(loaded.scan, expected)
        scan = hide_ego(loaded, pipeline.ego_box, height).scan.raised(height - expected)
        prepared = voxel_network(pipeline.network).prepare(scan)
        if prepared.voxels.num_voxels:
            own.append(OwnScan(path, scan, height, prepared))
    if not own:
        raise InputError(f"none of {len(paths)} scans has a point within the network's range")
    return own


def split_scans(paths: Sequence[Path], most: int) -> tuple[list[Path], list[Path]]:
    """Some of the scans, evenly spread: those to fit to, and every fourth to judge by.

    Raises:
        InputError: fewer than two scans.
    """
    if len(paths) < 2:
        raise InputError(
            f"wanted two scans or more, to fit to some and judge by others, got {len(paths)}"
        )
    count = min(most, len(paths))
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, count).round().astype(int)]
    held_out = chosen[1::4]
    return [path for path in chosen if path not in held_out], held_out


class Judge(Protocol):
    """Says how good a network is on scans held out, without labels; more is better."""

    name: str

    def __call__(self, network: PanopticNetwork) -> float:
        """A number that only numbers of the same judge compare with."""
        ...


class Steadiness:
    """Share of the points that keep their class where a scan is turned and scaled."""

    name = "steady"

    def __init__(self, old: VoxelNetwork, held_out: Sequence[OwnScan]) -> None:
        """old: how networks are run."""
        self.old, self.held_out = old, held_out

    def __call__(self, network: PanopticNetwork) -> float:
        """As `consistency` says."""
        return consistency(run_like(self.old, network), self.held_out, COPIES[0])


class Agreement:
    """How far a network agrees with what another says of turned and scaled copies on average.

    The average over copies (see `model.copies`) is right more often than the network itself, so
    that a network that comes nearer to it has gained.
    """

    name = "agreement"

    def __init__(self, copies: VoxelNetwork, held_out: Sequence[OwnScan]) -> None:
        """copies: a network that asks about copies."""
        self.copies, self.held_out = copies, held_out
        self.reference = [best_class(copies, one.prepared) for one in held_out]

    def __call__(self, network: PanopticNetwork) -> float:
        """Mean IoU of a network's classes with the reference's, over the held-out scans."""
        plain = run_like(self.copies, network)
        size = 1 + network.semantic_head.out_features
        confusion = np.zeros((size, size))
        for one, reference in zip(self.held_out, self.reference, strict=True):
            said = best_class(plain, one.prepared)
            weight = one.prepared.voxels.num_points
            cell = reference * size + said
            confusion += np.bincount(cell, weight, minlength=size * size).reshape(size, size)
        return agreement(confusion)


def run_like(
    old: VoxelNetwork, network: PanopticNetwork, copies: Sequence[Copy] = ()
) -> VoxelNetwork:
    """Another network with the same grid, engine and prior, and with copies of its own."""
    return VoxelNetwork(
        network,
        old.grid,
        old.engine,
        old.precision,
        zoom=old.zoom,
        prior=old.prior,
        copies=copies,
        ground_m=old.ground_m,
        intensity=old.intensity,
    )


def consistency(network: VoxelNetwork, scans: Sequence[OwnScan], copy: Copy) -> float:
    """Share of the points that keep their class where the scan is turned and scaled.

    Args:
        network: without copies.
        scans: to ask about.
        copy: how they are turned and scaled.
    """
    same, total = 0, 0
    for one in scans:
        points = copy.apply(one.scan.points, network.ground_m)
        turned = network.prepare(Scan(points, one.scan.intensity))
        first = np.append(best_class(network, one.prepared), 0)
        second = np.append(best_class(network, turned), 0)
        a, b = first[one.prepared.voxels.point_to_voxel], second[turned.voxels.point_to_voxel]
        seen = (a > 0) & (b > 0)
        same += int((a == b)[seen].sum())
        total += int(seen.sum())
    return same / max(total, 1)


def best_class(network: VoxelNetwork, prepared: PreparedScan) -> NDArray[np.int64]:
    """(V,) most probable train id of each voxel."""
    outputs = network.run(prepared)
    assert outputs is not None
    best: NDArray[np.int64] = outputs.probabilities.argmax(axis=1).astype(np.int64) + 1
    return best


def agreement(confusion: NDArray[np.float64]) -> float:
    """Mean IoU over the classes that the first answer gives FEWEST_POINTS points or more.

    Args:
        confusion: (C, C) points by the first and by the second answer.
    """
    both, first, second = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    counts = first >= min(FEWEST_POINTS, first.max(initial=0))
    counts &= first > 0
    return float((both[counts] / (first + second - both)[counts]).mean())


def probabilities_of(network: VoxelNetwork, one: OwnScan) -> VoxelOutputs:
    """What a network says of a scan."""
    outputs = network.run(one.prepared)
    assert outputs is not None
    return outputs
