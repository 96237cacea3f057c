"""What queries say of one scan -> which voxels each object claims, on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lidarpan.model.queries import ScanQueries
from lidarpan.structures import BoolArray, FloatArray, IntArray
from lidarpan.voxels.voxelize import Voxels

LEAST_SURE = 0.5
"""Probability of its best class from which a query counts; grouping finds what others leave."""

MOST_TAKEN = 0.5
"""Share of a mask that surer ones may have claimed before."""

CLAIMS = 2
"""Most objects that claim one voxel."""


@dataclass(frozen=True)
class Claims:
    """Objects as the network sees them, each with the voxels (or points) it claims.

    Attributes:
        ids: (V, CLAIMS) int32, which of the K objects 1..K claim each voxel, 0 = none.
        softmax: (K + 1, C) float32 class probabilities of each object; row 0 is zeros.
    """

    ids: IntArray
    softmax: FloatArray

    @classmethod
    def of(cls, queries: ScanQueries, num_classes: int) -> Claims:
        """Queries whose class is sure enough and whose mask is not that of a surer one.

        Args:
            queries: of one scan.
            num_classes: C, void included.
        """
        last = queries.layers[-1]
        probability = last.classes.float().softmax(dim=1)[:, :-1]
        sure = probability.amax(dim=1) if probability.shape[1] else probability.sum(dim=1)
        kept = (sure >= LEAST_SURE).nonzero().squeeze(1)
        mask = last.masks[kept].float().sigmoid()
        inside = mask > 0.5
        score = sure[kept] * (mask * inside).sum(1) / inside.sum(1).clamp(min=1)
        order = score.argsort(descending=True, stable=True).cpu().numpy()
        chosen = torch.from_numpy(_unlike(inside.cpu().numpy(), order)).to(mask.device)
        sharp = (mask * inside)[chosen] * score[chosen, None]
        best, rank = sharp.topk(min(CLAIMS, len(chosen)), dim=0)
        ids = torch.where(best > 0, rank + 1, 0).T.int().cpu().numpy()
        by_row = np.zeros((len(queries.rows), CLAIMS), np.int32)
        by_row[:, : ids.shape[1]] = ids
        softmax = np.zeros((len(chosen) + 1, num_classes), np.float32)
        softmax[1:, list(queries.things)] = probability[kept][chosen].cpu().numpy()
        out = np.zeros_like(by_row)
        out[queries.rows.cpu().numpy()] = by_row
        return cls(out, softmax)

    def of_points(self, voxels: Voxels) -> Claims:
        """Each point is claimed as its voxel is; points outside the grid by none."""
        ids = np.pad(self.ids, ((0, 1), (0, 0)))  # row -1: outside
        return Claims(ids[voxels.point_to_voxel], self.softmax)

    def completed(self, groups: IntArray) -> Claims:
        """Points that no object claims go with their group, to the object that claims most of it.

        A group that none claims is an object of its own, of any class.

        Args:
            groups: (N,) int32 of the points of things, 0 = none; the claims are those of points.
        """
        count, size = len(self.softmax), int(groups.max(initial=0)) + 1
        first = self.ids[:, 0]
        both = (first > 0) & (groups > 0)
        pair, seen = np.unique(
            groups[both].astype(np.int64) * count + first[both], return_counts=True
        )
        owner = np.arange(count - 1, count - 1 + size)
        order = np.argsort(seen, kind="stable")  # of a group the pair of most points comes last
        owner[pair[order] // count] = pair[order] % count
        owner[0] = 0
        ids = self.ids.copy()
        ids[:, 0] = np.where(first > 0, first, owner[groups])
        softmax = np.pad(self.softmax, ((0, size - 1), (0, 0)), constant_values=1.0)
        return Claims(ids, softmax)


def _unlike(inside: BoolArray, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The masks (K, V), in the given order, of which not most was taken by one before."""
    taken, chosen = np.zeros(inside.shape[1], np.bool_), []
    for k in order:
        size = int(inside[k].sum())
        if size and int((inside[k] & taken).sum()) <= MOST_TAKEN * size:
            chosen.append(k)
            taken |= inside[k]
    return np.array(chosen, np.int64)
