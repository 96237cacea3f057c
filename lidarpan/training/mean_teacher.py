"""A network's own average tells it what unlabelled points may be, where the average is sure."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from lidarpan.model.inference import scan_norms
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.sparse.tensor import Engine
from lidarpan.training.data import Pair
from lidarpan.voxels.grid import Grid

LOWEST, HIGHEST = 0.5, 0.95
"""A class's threshold lies between."""

DECAY = 0.99
"""Of the teacher's weights at each step, once it is under way."""

_MEMORY = 0.9  # of a class's mean certainty from batch to batch
_BEGIN, _FULL = 0.1, 0.3  # shares of the training at which pseudo-labels begin and count in full


class MeanTeacher(nn.Module):
    """The moving average of a student, which sees each scan whole, upright and unmixed.

    Mean teacher: Tarvainen and Valpola, NeurIPS 2017. A voxel is taught where the teacher is surer
    than it is of its class on average, so that hard classes are taught too. What the student sees
    is turned, mirrored, mixed and thinned: it learns to say the same of it, in all classes and not
    the likeliest alone. Else it would learn that what is rare and never likeliest is nowhere.
    """

    sure: Tensor
    steps: Tensor

    def __init__(self, student: PanopticNetwork, num_classes: int) -> None:
        super().__init__()
        self.network = copy.deepcopy(student).eval().requires_grad_(False)
        for norm in scan_norms(self.network).values():
            norm.momentum = 0.0
        self.register_buffer("sure", torch.full((num_classes - 1,), LOWEST))
        self.register_buffer("steps", torch.tensor(0))

    def train(self, mode: bool = True) -> MeanTeacher:
        """It is never trained itself."""
        return super().train(False)

    def follow(self, student: PanopticNetwork) -> None:
        """Move towards the student, further in the first steps."""
        self.steps += 1
        decay = min(DECAY, float(self.steps) / (float(self.steps) + 10))
        with torch.no_grad():
            slow: list[Tensor] = list(self.network.parameters())
            fast: list[Tensor] = list(student.parameters())
            torch._foreach_lerp_(slow, fast, 1 - decay)
            for old, new in zip(self.network.buffers(), student.buffers(), strict=True):
                old.copy_(new)

    def labels(self, pair: Pair, grid: Grid, engine: Engine) -> Tensor:
        """Class probabilities of the student's voxels. (V, C - 1); 0 = unseen or not sure."""
        with torch.no_grad():
            logits = self.network(pair.teacher.voxels(grid, engine)).semantic.float()
            probability = logits.softmax(dim=1)
            certainty, best = probability.max(dim=1)
            count = torch.bincount(best, minlength=len(self.sure))
            mean = self.sure.new_zeros(len(self.sure)).index_add(0, best, certainty)
            mean = mean / count.clamp(min=1)
            self.sure = torch.where(count > 0, torch.lerp(mean, self.sure, _MEMORY), self.sure)
            threshold = self.sure.clamp(LOWEST, HIGHEST)
            told = probability * (certainty >= threshold[best])[:, None]
            seen: Tensor = told[pair.seen_at.clamp(min=0)] * (pair.seen_at >= 0)[:, None]
            return seen


def pseudo_loss(logits: Tensor, truth: Tensor, pseudo: Tensor) -> Tensor:
    """Cross-entropy to what the teacher says of voxels that nobody labelled. -> ().

    Rare classes weigh no more than others here: the truth has already made the teacher say them
    more often than they are, and a second weight would add to that.

    Args:
        logits: (V, C - 1) of the student.
        truth: (V,) int64 train ids, 0 = not labelled.
        pseudo: (V, C - 1) probabilities, 0 = the teacher is not sure.
    """
    taught = (truth == 0) & pseudo.any(dim=1)
    if not bool(taught.any()):
        return logits.sum() * 0.0
    loss = functional.cross_entropy(logits[taught].float(), pseudo[taught])
    return loss * (taught.sum() / ((truth > 0) | taught).sum())


def ramp(progress: float) -> float:
    """Factor of pseudo-labels at a share of the training: they must not come before the truth."""
    return min(max((progress - _BEGIN) / (_FULL - _BEGIN), 0.0), 1.0)
