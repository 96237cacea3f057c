"""What the query head should have said: queries matched to objects, one each, and the loss of that.

Bipartite matching as in DETR (Carion et al., ECCV 2020), on masks as in Mask2Former (Cheng et al.,
CVPR 2022, section 3.2), after every layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from lidarpan.model.queries import Answer, ScanQueries

CLASS, MASK, DICE, CENTER = 2.0, 5.0, 5.0, 0.5
"""Factors of the terms, in the matching and in the loss: Mask2Former's; a center's is per metre."""

NO_OBJECT = 0.1
"""Weight of "no object" in the classes' cross-entropy: most queries have none."""

_FARTHEST_M = 5.0  # a center's cost in the matching rises no further


@dataclass(frozen=True)
class Objects:
    """The K true objects of a scan.

    Attributes:
        classes: (K,) int64 places among the thing classes.
        masks: (K, V) 0 or 1, over the voxels whose truth is known.
        center_m: (K, 2) metres from the grid's middle.
        known: (V_scan,) bool, whether a voxel's truth is known.
    """

    classes: Tensor
    masks: Tensor
    center_m: Tensor
    known: Tensor


def true_objects(
    queries: ScanQueries, semantic: Tensor, instance: Tensor, voxel_m: Tensor, centers: Tensor
) -> Objects:
    """The labelled objects of a scan that have a voxel.

    Args:
        queries: of the scan.
        semantic: (V,) int64 train ids of the batch's voxels, 0 = unknown.
        instance: (V,) int64 row of `centers`, -1 = none.
        voxel_m: (V, 2) middles in the sensor's frame.
        centers: (K, 5) [batch, x_m, y_m, sigma_m, train id] in the sensor's frame.
    """
    own, known = instance[queries.rows], semantic[queries.rows] > 0
    ids = torch.unique(own[known & (own >= 0)])
    place = torch.full((256,), -1, dtype=torch.int64, device=own.device)
    place[list(queries.things)] = torch.arange(len(queries.things), device=own.device)
    classes = place[centers[ids, 4].long()]
    ids, classes = ids[classes >= 0], classes[classes >= 0]
    masks = (own[known][None] == ids[:, None]).float()
    shift = (queries.position_m - voxel_m[queries.rows])[:1]
    return Objects(classes, masks, centers[ids, 1:3] + shift, known)


def match(cost: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cheapest assignment of queries to objects: (Q, K) -> rows and columns, min(Q, K) each."""
    rows, columns = linear_sum_assignment(np.nan_to_num(cost, nan=1e6, posinf=1e6, neginf=-1e6))
    return rows, columns


def matching_cost(answer: Answer, objects: Objects) -> Tensor:
    """(Q, K) what it costs that a query stands for an object; without gradients."""
    with torch.no_grad():
        probability = answer.classes.float().softmax(dim=1)[:, objects.classes]
        logits, true = answer.masks[:, objects.known].float(), objects.masks
        inside, size = logits.sigmoid(), true.sum(1)
        away = torch.cdist(answer.center_m.float(), objects.center_m).clamp(max=_FARTHEST_M)
        dice = 1 - (2 * inside @ true.T + 1) / (inside.sum(1, keepdim=True) + size + 1)
        right, wrong = _focal(logits, 1.0), _focal(logits, 0.0)
        mask = (right @ true.T + wrong @ (1 - true).T) / size.clamp(min=1)
        return CENTER * away + DICE * dice + MASK * mask - CLASS * probability


def query_loss(
    queries: Sequence[ScanQueries], objects: Sequence[Objects]
) -> Tensor:  # fmt: skip
    """Mean over the scans and layers of the matched classes', masks' and centers' losses. -> ()."""
    total = [
        _layer_loss(answer, true)
        for scan, true in zip(queries, objects, strict=True)
        for answer in scan.layers
    ]
    return torch.stack(total).mean()


def overlap_loss(queries: Sequence[ScanQueries]) -> Tensor:
    """Mean over the voxels of how far the masks of all queries' objects sum to more than 1. -> ().

    It wants no labels: no point belongs to two objects.
    """
    over = []
    for scan in queries:
        last = scan.layers[-1]
        sure = 1 - last.classes.float().softmax(dim=1)[:, -1]
        over.append(functional.relu(sure @ last.masks.float().sigmoid() - 1).mean())
    return torch.stack(over).mean()


def _layer_loss(answer: Answer, objects: Objects) -> Tensor:
    queries, found = match(matching_cost(answer, objects).double().cpu().numpy())
    device = answer.classes.device
    q, k = torch.from_numpy(queries).to(device), torch.from_numpy(found).to(device)
    nothing = answer.classes.shape[1] - 1
    wanted = torch.full((len(answer.classes),), nothing, device=device)
    wanted[q] = objects.classes[k]
    weight = torch.ones(nothing + 1, device=device)
    weight[nothing] = NO_OBJECT
    loss = CLASS * functional.cross_entropy(answer.classes.float(), wanted, weight)
    if not len(q):
        return loss + 0.0 * (answer.masks.sum() + answer.center_m.sum())
    logits, true = answer.masks[q][:, objects.known].float(), objects.masks[k]
    inside, size = logits.sigmoid(), true.sum(1)
    dice = 1 - (2 * (inside * true).sum(1) + 1) / (inside.sum(1) + size + 1)
    mask = torch.where(true > 0, _focal(logits, 1.0), _focal(logits, 0.0)).sum(1) / size
    away = (answer.center_m[q].float() - objects.center_m[k]).abs().sum(1)
    return loss + (MASK * mask + DICE * dice + CENTER * away).mean()


def _focal(logits: Tensor, label: float) -> Tensor:
    """Focal loss with the square of Lin et al., ICCV 2017, of logits whose label is 1 or 0."""
    signed = logits if label else -logits
    return (-signed).sigmoid().square() * functional.softplus(-signed)
