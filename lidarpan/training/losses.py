"""What training minimises: semantics, center heatmap and center offsets."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lidarpan.config import Config, LossConfig
from lidarpan.model.network import BEV_STRIDE, HeadOutputs
from lidarpan.training.data import Batch
from lidarpan.training.matching import overlap_loss, query_loss, true_objects
from lidarpan.training.side_tasks import GroundHeight, HiddenRange
from lidarpan.voxels.grid import Grid


def lovasz_softmax(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Mean Lovász extension of the Jaccard loss over the classes present.

    Berman et al., "The Lovász-Softmax loss", CVPR 2018, section 3. With errors m_i, largest first,
    loss_c = sum_i m_i (J_i - J_{i-1}), J_i the Jaccard loss of the first i pixels being wrong.

    Args:
        probabilities: (V, C).
        labels: (V,) int64 in [0, C).
    """
    if not len(labels):
        return probabilities.sum() * 0.0
    present = torch.unique(labels)
    foreground = (labels == present[:, None]).to(probabilities.dtype)
    errors, order = (foreground - probabilities.T[present]).abs().sort(dim=1, descending=True)
    foreground = foreground.gather(1, order)
    total = foreground.sum(1, keepdim=True)
    intersection = total - foreground.cumsum(1)
    union = total + (1 - foreground).cumsum(1)
    jaccard = functional.pad(1 - intersection / union, (1, 0))
    loss: Tensor = (errors * jaccard.diff(dim=1)).sum(1).mean()
    return loss


def heatmap_target(columns: Tensor, centers: Tensor, columns_m: Tensor) -> Tensor:
    """exp(-d^2 / 2 sigma^2) to the nearest center of the same scan; 1 at each center's own cell.

    Args:
        columns: (M, 3) int64 [batch, x, y].
        centers: (K, 4 or more) [batch, x_m, y_m, sigma_m].
        columns_m: (M, 2) middle of each cell.

    Returns:
        (M,) in [0, 1]. The occupied cell nearest to a center counts as its own.
    """
    target = columns_m.new_zeros(len(columns))
    for batch in torch.unique(centers[:, 0]).tolist():
        rows = (columns[:, 0] == int(batch)).nonzero().squeeze(1)
        here = centers[centers[:, 0] == batch]
        if len(rows) == 0:
            continue
        distance = torch.cdist(columns_m[rows], here[:, 1:3])
        value = torch.exp(-(distance**2) / (2 * here[:, 3] ** 2)).amax(dim=1)
        value[distance.argmin(dim=0)] = 1.0
        target[rows] = value
    return target


def heatmap_focal(logits: Tensor, target: Tensor) -> Tensor:
    """Penalty-reduced focal loss (Zhou et al., "Objects as Points", 2019, eq. 1). (M,) -> ()."""
    p = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    is_center = target == 1
    hit = torch.log(p) * (1 - p) ** 2 * is_center
    miss = torch.log(1 - p) * p**2 * (1 - target) ** 4 * ~is_center
    return -(hit + miss).sum() / is_center.sum().clamp(min=1)


def bev_cross_entropy(logits: Tensor, voxel_to_column: Tensor, semantic: Tensor) -> Tensor:
    """Mean cross-entropy to the shares of the classes among each column's labelled voxels.

    Args:
        logits: (M, C - 1) of train ids 1..C-1.
        voxel_to_column: (V,) int64 in [0, M).
        semantic: (V,) int64 train ids, 0 = void.
    """
    classes = logits.shape[1]
    known = semantic > 0
    key = voxel_to_column[known] * classes + semantic[known] - 1
    count = torch.bincount(key, minlength=logits.numel()).reshape(logits.shape).to(logits.dtype)
    total = count.sum(dim=1)
    labelled = total > 0
    if not bool(labelled.any()):
        return logits.sum() * 0.0
    share = count[labelled] / total[labelled, None]
    return functional.cross_entropy(logits[labelled], share)


class PanopticLoss(nn.Module):
    """Weighted sum of cross-entropy, Lovász, heatmap and offset terms, and those of queries.

    All of them ask of what is labelled: voxels that are not void, and BEV cells that hold one.

    With `learned_uncertainty`, term i becomes exp(-s_i) L_i + s_i with learned s_i (Kendall et al.,
    "Multi-task learning using uncertainty to weigh losses", CVPR 2018, section 3), on top of the
    given weights.
    """

    def __init__(
        self,
        class_weight: Tensor,
        factors: LossConfig,
        *,
        bev_channels: int = 0,
        channels: int = 0,
        ground: Sequence[int] = (),
    ) -> None:
        """class_weight: (C - 1,) weight of train ids 1..C-1 in the cross-entropy.

        With bev_semantic, a linear head on the network's BEV features learns which classes stand
        in each column (Saltori et al., LiDOG, ICCV 2023, section 4.2); it is part of the loss, not
        of the network. So are the heads of ground_height, on the BEV features, and of depth, on the
        finest ones, of `channels`; ground has the train ids of the ground.
        """
        super().__init__()
        self.class_weight: Tensor
        self.register_buffer("class_weight", class_weight)
        always = ("cross_entropy", "lovasz", "heatmap", "offset")
        where_asked = ("queries", "overlap", "ground_height", "depth")
        given = factors.model_dump(include={*always, *where_asked})
        self.weights = {name: given[name] for name in always}
        self.weights |= {name: given[name] for name in where_asked if given[name]}
        self.ground_head = GroundHeight(bev_channels, ground) if factors.ground_height else None
        self.depth_head = HiddenRange(channels) if factors.depth else None
        self.heatmap_kind, self.bev_weight = factors.heatmap_kind, factors.bev_semantic
        self.bev_head = nn.Linear(bev_channels, len(class_weight)) if self.bev_weight else None
        count = len(self.weights)
        learned = factors.learned_uncertainty
        self.log_variance = nn.Parameter(torch.zeros(count)) if learned else None

    @classmethod
    def configured(cls, config: Config, class_weight: Tensor) -> PanopticLoss:
        """The loss of a configuration."""
        return cls(
            class_weight,
            config.loss,
            bev_channels=config.network.bev_channels,
            channels=config.network.channels[0],
            ground=config.build_classes().ground,
        )

    def forward(
        self,
        outputs: HeadOutputs,
        batch: Batch,
        grid: Grid,
        active: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """Each term by name, unweighted, and the weighted sum of the active ones as "total".

        Args:
            outputs: of the network.
            batch: what it should have said.
            grid: of the voxels.
            active: names of the terms that count; None for all.
        """
        terms = {**self._semantic(outputs, batch), **self._centers(outputs, batch, grid)}
        terms |= self._queries(outputs, batch)
        terms |= self._side_tasks(outputs, batch)
        total = outputs.semantic.new_zeros(())
        for i, (name, weight) in enumerate(self.weights.items()):
            if name not in terms or (active is not None and name not in active):
                continue
            term = weight * terms[name]
            if self.log_variance is not None:
                term = torch.exp(-self.log_variance[i]) * term + self.log_variance[i]
            total = total + term
        if self.bev_head is not None and (active is None or "bev_semantic" in active):
            terms["bev_semantic"] = bev_cross_entropy(
                self.bev_head(outputs.bev).float(), outputs.voxel_to_column, batch.semantic
            )
            total = total + self.bev_weight * terms["bev_semantic"]
        return {**terms, "total": total}

    def _semantic(self, outputs: HeadOutputs, batch: Batch) -> dict[str, Tensor]:
        known = batch.semantic > 0
        logits, labels = outputs.semantic[known].float(), batch.semantic[known] - 1
        if not len(labels):
            nothing = outputs.semantic.sum() * 0.0
            return {"cross_entropy": nothing, "lovasz": nothing}
        lovasz = logits.sum() * 0.0
        if self.weights["lovasz"]:
            lovasz = lovasz_softmax(logits.softmax(dim=1), labels)
        cross_entropy = functional.cross_entropy(logits, labels, self.class_weight)
        return {"cross_entropy": cross_entropy, "lovasz": lovasz}

    def _centers(self, outputs: HeadOutputs, batch: Batch, grid: Grid) -> dict[str, Tensor]:
        cell = batch.voxel_m.new_tensor(grid.cell_m[:2]) * BEV_STRIDE
        low = batch.voxel_m.new_tensor(grid.min_m[:2])
        columns_m = (outputs.columns[:, 1:].to(cell.dtype) + 0.5) * cell + low
        seen = torch.zeros(len(columns_m), dtype=torch.bool, device=columns_m.device)
        seen[outputs.voxel_to_column[batch.semantic > 0]] = True
        heatmap = heatmap_target(outputs.columns[seen], batch.centers, columns_m[seen])
        logits = outputs.heatmap[seen].float()
        if self.heatmap_kind == "focal":
            heatmap_loss = heatmap_focal(logits, heatmap)
        else:
            heatmap_loss = (torch.sigmoid(logits) - heatmap).square().sum() / max(len(logits), 1)
        thing = batch.instance >= 0
        if not bool(thing.any()):
            nothing = (outputs.offset_m.sum() + outputs.bev_offset_m.sum()) * 0.0
            return {"heatmap": heatmap_loss, "offset": nothing}
        center = batch.centers[batch.instance[thing], 1:3]
        fine = (outputs.offset_m[thing].float() + batch.voxel_m[thing, :2] - center).abs().mean()
        column = outputs.voxel_to_column[thing]
        coarse = (outputs.bev_offset_m[column].float() + columns_m[column] - center).abs().mean()
        return {"heatmap": heatmap_loss, "offset": fine + 0.5 * coarse}

    def _queries(self, outputs: HeadOutputs, batch: Batch) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        if not outputs.queries:
            return terms
        if "queries" in self.weights:
            t = batch
            true = [
                true_objects(scan, t.semantic, t.instance, t.voxel_m[:, :2], t.centers)
                for scan in outputs.queries
            ]
            terms["queries"] = query_loss(outputs.queries, true)
        if "overlap" in self.weights:
            terms["overlap"] = overlap_loss(outputs.queries)
        return terms

    def _side_tasks(self, outputs: HeadOutputs, batch: Batch) -> dict[str, Tensor]:
        terms = {}
        if self.ground_head is not None:
            terms["ground_height"] = self.ground_head(
                outputs.bev, outputs.voxel_to_column, batch.semantic, batch.voxel_m[:, 2]
            )
        if self.depth_head is not None and outputs.features is not None:
            terms["depth"] = self.depth_head(outputs.features, batch.rays)
        return terms
