"""What the pipeline wants of a network, whoever made it: points in, probabilities per point out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lidarpan.model.query_claims import Claims
from lidarpan.structures import FloatArray, InputError, Scan, SemanticArray
from lidarpan.voxels.grid import Grid

_ROUNDING = 1e-3


@dataclass(frozen=True)
class PointOutputs:
    """What a network says of each of N points.

    Attributes:
        softmax: (N, C) float32 probability of each train id; a row of zeros is void.
        offsets: (N, 2) float32 metres from each point to its object's center, x and y, or None.
        heatmap: (X, Y) float32 probability that an object's center lies in a cell, or None.
        grid: of the heatmap, or None.
        semantic: (N,) uint8 train ids; None takes the most probable class.
        claims: objects with the points that they claim, or None: then the points are grouped.
    """

    softmax: FloatArray
    offsets: FloatArray | None = None
    heatmap: FloatArray | None = None
    grid: Grid | None = None
    semantic: SemanticArray | None = None
    claims: Claims | None = None

    @property
    def classes(self) -> SemanticArray:
        """(N,) uint8 train id of each point; ties go to the lower id."""
        if self.semantic is not None:
            return self.semantic
        best: SemanticArray = self.softmax.argmax(axis=1).astype(np.uint8)
        return best


OwnNetwork: TypeAlias = Callable[[Scan], "PointOutputs | NDArray[Any] | torch.Tensor"]
"""A network of the user's: a scan of N points to (N, C) or (N, C - 1) probabilities (C - 1 leaves
void out), or to PointOutputs; a tensor will do, on any device. A torch module qualifies when its
`forward` takes a Scan."""


class Network(Protocol):
    """A network in three steps, so that the steps of several scans can overlap."""

    device: torch.device

    def prepare(self, scan: Scan) -> Any:
        """What the network needs of a scan; it has the attribute `points`, (N, 3) float32."""

    def run(self, prepared: Any) -> Any:
        """The network's own answer; None where it has nothing to say of any point."""

    def per_point(self, prepared: Any, outputs: Any) -> PointOutputs:
        """The answer for each of the N points."""

    def remark(self, prepared: Any) -> str | None:
        """What the network finds unusual about a scan, a sentence, or None."""


class WrappedNetwork:
    """A network of the user's, checked: the errors name what came and what to do."""

    def __init__(self, network: OwnNetwork, num_classes: int) -> None:
        self.network = network.eval() if isinstance(network, nn.Module) else network
        self.num_classes = num_classes
        first = next(network.parameters(), None) if isinstance(network, nn.Module) else None
        self.device = torch.device("cpu") if first is None else first.device

    def prepare(self, scan: Scan) -> Scan:
        """The scan itself."""
        return scan

    def run(self, prepared: Scan) -> PointOutputs:
        """Call the network.

        Raises:
            InputError: the answer has another shape, or is not made of probabilities.
        """
        with torch.inference_mode():
            answer = self.network(prepared)
        outputs = answer if isinstance(answer, PointOutputs) else PointOutputs(_array(answer))
        num_points = prepared.num_points
        softmax = checked_softmax(_array(outputs.softmax), num_points, self.num_classes)
        offsets = outputs.offsets
        if offsets is not None:
            offsets = _array(offsets)
            if offsets.shape != (num_points, 2):
                raise InputError(
                    f"the network's offsets: wanted ({num_points}, 2) metres, got {offsets.shape}"
                )
        if (outputs.heatmap is None) != (outputs.grid is None):
            raise InputError("the network's heatmap and its grid: wanted both or none")
        heatmap = None if outputs.heatmap is None else _array(outputs.heatmap)
        return PointOutputs(softmax, offsets, heatmap, outputs.grid)

    def per_point(self, prepared: Scan, outputs: PointOutputs) -> PointOutputs:
        """The answer itself."""
        return outputs

    def remark(self, prepared: Scan) -> None:
        """Nothing: it is not known what the network has seen."""


def as_network(network: Network | OwnNetwork, num_classes: int) -> Network:
    """The network itself where it has these methods, else a WrappedNetwork around it."""
    if all(hasattr(network, step) for step in ("prepare", "run", "per_point", "remark")):
        return cast("Network", network)
    return WrappedNetwork(cast("OwnNetwork", network), num_classes)


def checked_softmax(softmax: FloatArray, num_points: int, num_classes: int) -> FloatArray:
    """(N, C) float32 probabilities, with a column for void where it was left out.

    Raises:
        InputError: another shape, values outside [0, 1], or rows that sum to more than 1.
    """
    if softmax.shape not in ((num_points, num_classes), (num_points, num_classes - 1)):
        raise InputError(
            f"the network's softmax: wanted ({num_points}, {num_classes}), a row per point and a "
            f"column per class, or one column less without void, got {softmax.shape}"
        )
    if softmax.size:
        low, high, total = softmax.min(), softmax.max(), softmax.sum(axis=1).max()
        if not (low >= 0 and high <= 1 + _ROUNDING and total <= 1 + 10 * _ROUNDING):
            raise InputError(
                f"the network's softmax: wanted probabilities that sum to 1, got {low:.3g} to "
                f"{high:.3g}, a row with {total:.3g}: take the softmax of the logits"
            )
    if softmax.shape[1] == num_classes:
        return softmax
    return np.ascontiguousarray(np.pad(softmax, ((0, 0), (1, 0))))


def _array(values: Any) -> FloatArray:
    if isinstance(values, torch.Tensor):
        values = values.detach().float().cpu().numpy()
    return np.ascontiguousarray(values, np.float32)
