"""Queries that claim objects: decoder features of several levels -> a set of classes and masks.

Set prediction as in Mask2Former (Cheng et al., CVPR 2022), on sparse voxels as in MaskPLS (Marcuzzi
et al., RA-L 2023): a query has a class, "no object" among them, and a mask over the voxels. A
query also has a center, for the features know no place and two cars look alike: its mask falls off
with the distance between the center and where a voxel's own offset says that its object's lies.

So that little is left to learn, a query begins as what the center heads and the semantic head say:
the voxels of things that point to its center, and the class of those. It learns what is to change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lidarpan.model.bev import FoundColumns
from lidarpan.model.sparse.modules import SparseTensor

_HEADS = 4  # of attention
_WAVES = 8  # of a coordinate's encoding
_SHORTEST_M, _LONGEST_M = 1.0, 200.0
_FARTHEST_M2 = 100.0  # a mask does not fall off any further
_SPREAD_M = 25.0  # learned queries begin within
_REACH_M, _SHARPNESS = 2.0, 0.5  # of a mask at first
_RAREST = 1e-2  # share of a class, at least
_SMALL = 0.1  # factor of the weights that are added to what other heads say, at first


@dataclass(frozen=True)
class Answer:
    """What the Q queries of a scan say after one layer.

    Attributes:
        classes: (Q, T + 1) logits of the T thing classes, and of "no object".
        masks: (Q, V) logits that a voxel belongs to the query's object.
        center_m: (Q, 2) x, y of the object's center, metres from the grid's middle.
    """

    classes: Tensor
    masks: Tensor
    center_m: Tensor


@dataclass(frozen=True)
class ScanQueries:
    """What the queries say of one scan of a batch.

    Attributes:
        rows: (V,) int64, the scan's voxels among those of the batch.
        position_m: (V, 2) their middles, metres from the grid's middle.
        layers: the answer at first and after each layer, in training; the last one alone in use.
        things: train ids of the T thing classes.
    """

    rows: Tensor
    position_m: Tensor
    layers: tuple[Answer, ...]
    things: tuple[int, ...]


@dataclass(frozen=True)
class Beginnings:
    """Where queries may begin: the BEV cells.

    Attributes:
        columns: the occupied cells.
        features: (M, C_bev).
        heatmap: (M,) logit that an object's center lies in the cell.
        offset_m: (M, 2) from each cell's middle to its object's center, metres.
        cell_m: width of a cell.
    """

    columns: FoundColumns
    features: Tensor
    heatmap: Tensor
    offset_m: Tensor
    cell_m: float

    def peaks(self, scan: int, count: int) -> Tensor:
        """Up to `count` cells of a scan that no neighbour exceeds, the likeliest first. (S,)."""
        lookup = self.columns.lookup[scan]
        heat = self.heatmap.detach().new_full(lookup.shape, -math.inf)
        occupied = lookup >= 0
        rows = lookup[occupied]
        heat[occupied] = self.heatmap.detach()[rows]
        highest = functional.max_pool2d(heat[None], 3, stride=1, padding=1)[0]
        is_peak = (heat >= highest)[occupied]
        value = self.heatmap.detach()[rows].masked_fill(~is_peak, -math.inf)
        order = value.argsort(descending=True, stable=True)[:count]
        return rows[order[is_peak[order]]]

    def middle_m(self, rows: Tensor) -> Tensor:
        """(S,) cells -> (S, 2) metres from the grid's middle."""
        half = self.features.new_tensor(self.columns.lookup.shape[1:]) / 2
        return (self.columns.indices[rows, 1:] + 0.5 - half) * self.cell_m


class QueryLayer(nn.Module):
    """Masked cross-attention to the voxels, self-attention, two linear layers; each added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ask, self.key, self.value, self.answer = (
            nn.Linear(channels, channels) for _ in range(4)
        )
        self.among = nn.MultiheadAttention(channels, _HEADS, batch_first=True)
        self.think = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))

    def forward(
        self, queries: Tensor, place: Tensor, keys: Tensor, values: Tensor, hidden: Tensor
    ) -> Tensor:
        """(Q, D), (Q, D) encoded places, (V, D), (V, D), (Q, V) bool not to look at -> (Q, D)."""
        hidden = hidden & ~hidden.all(dim=1, keepdim=True)
        q, k, v = (
            _split(x)
            for x in (self.ask(queries + place), self.key(keys), self.value(values))
        )  # fmt: skip
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=~hidden)
        queries = self.norms[0](queries + self.answer(seen.transpose(0, 1).flatten(1)))
        at = (queries + place)[None]
        told = self.among(at, at, queries[None], need_weights=False)[0][0]
        queries = self.norms[1](queries + told)
        answer: Tensor = self.norms[2](queries + self.think(queries))
        return answer


class QueryHead(nn.Module):
    """Learned queries, and queries begun at the heatmap's peaks -> classes, centers and masks.

    A mask is m(q, v) = e_q f_v + b_q + g_q t_v - s_q |p_v + o_v - c_q|^2 with the query's embedding
    e, bias b, gain g, sharpness s and center c, and the voxel's features f, log-odds t of being a
    thing, place p and center offset o. To the logits of its class are added the logarithms of the
    classes' mean probabilities over the mask; what is left there of 1 goes to "no object".
    """

    def __init__(
        self,
        things: Sequence[int],
        level_channels: Sequence[int],
        bev_channels: int,
        voxel_m: float,
        *,
        channels: int = 64,
        layers: int = 3,
        learned: int = 16,
        sampled: int = 96,
    ) -> None:
        """Fresh weights.

        Args:
            things: train ids of the thing classes.
            level_channels: of the decoder's levels, finest first.
            bev_channels: of the BEV cells.
            voxel_m: width of the finest voxels.
            channels: D, of a query.
            layers: of queries; each looks at one level, coarse to fine, then again.
            learned: number of queries that begin the same in every scan.
            sampled: most queries that begin at peaks of the heatmap.
        """
        super().__init__()
        self.things, self.voxel_m, self.sampled = tuple(things), voxel_m, sampled
        count = len(level_channels)
        finest_first = list(range(1, min(count, 4))) or [0]
        self.sees = tuple(finest_first[::-1][i % len(finest_first)] for i in range(layers))
        self.learned = nn.Parameter(torch.randn(learned, channels) * 0.1)
        self.learned_m = nn.Parameter((torch.rand(learned, 2) * 2 - 1) * _SPREAD_M)
        self.begin = nn.Linear(bev_channels, channels)
        self.encode = nn.Linear(6 * _WAVES, channels)
        self.levels = nn.ModuleDict(
            {str(level): nn.Linear(level_channels[level], channels) for level in set(self.sees)}
        )
        self.mask_features = nn.Linear(level_channels[0] + bev_channels, channels)
        self.layers = nn.ModuleList(QueryLayer(channels) for _ in range(layers))
        self.classes = _faint(channels, [0.0] * (len(self.things) + 1))
        self.embed = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), _faint(channels, [0.0] * channels)
        )
        sharpness = math.log(math.expm1(_SHARPNESS))  # of softplus
        self.shape = _faint(channels, [_SHARPNESS * _REACH_M**2, sharpness, 1.0])  # with the gain
        self.move = nn.Linear(channels, 2)
        nn.init.zeros_(self.move.weight)
        nn.init.zeros_(self.move.bias)

    def forward(
        self,
        levels: Sequence[SparseTensor],
        fine: Tensor,
        semantic: Tensor,
        offset_m: Tensor,
        at: Beginnings,
    ) -> tuple[ScanQueries, ...]:
        """One answer per scan.

        Args:
            levels: of the decoder.
            fine: (V, C) finest features, with those of the BEV cells.
            semantic: (V, C - 1) logits of train ids 1..C-1.
            offset_m: (V, 2) from each voxel's middle to its object's center.
            at: where queries begin.
        """
        finest = levels[0]
        middle_m = self._middles_m(finest, 0)
        features = self.mask_features(fine)
        centers_m = middle_m[:, :2] + offset_m
        things = semantic.detach().softmax(dim=1)[:, [c - 1 for c in self.things]]
        scan_of = {level: levels[level].indices[:, 0] for level in {0, *self.sees}}
        parents = {level: _parents(finest, levels[level], level) for level in set(self.sees)}
        keys = {level: self._keys(levels[level], level) for level in set(self.sees)}
        out = []
        for scan in range(finest.batch_size):
            rows = (scan_of[0] == scan).nonzero().squeeze(1)
            voxels = _Voxels(features[rows], centers_m[rows], things[rows])
            seen = {}
            for level in set(self.sees):
                own = (scan_of[level] == scan).nonzero().squeeze(1)
                parent = torch.searchsorted(own, parents[level][rows])
                key, value = keys[level]
                seen[level] = key[own], value[own], voxels.pooled(parent, len(own))
            layers = self._layers(*self._begin(scan, at), voxels, seen)
            out.append(ScanQueries(rows, middle_m[rows, :2], layers, self.things))
        return tuple(out)

    def _begin(self, scan: int, at: Beginnings) -> tuple[Tensor, Tensor]:
        """Queries (Q, D) and their centers (Q, 2)."""
        rows = at.peaks(scan, self.sampled)
        queries = torch.cat([self.learned, self.begin(at.features[rows])])
        peaks_m = at.middle_m(rows) + at.offset_m[rows].detach()
        return queries, torch.cat([self.learned_m, peaks_m.to(self.learned_m.dtype)])

    def _layers(
        self,
        queries: Tensor,
        center_m: Tensor,
        voxels: _Voxels,
        seen: dict[int, tuple[Tensor, Tensor, _Voxels]],
    ) -> tuple[Answer, ...]:
        answers = [self._answer(queries, center_m, voxels)] if self.training else []
        for layer, level in zip(self.layers, self.sees, strict=True):
            keys, values, pooled = seen[level]
            with torch.no_grad():
                hidden = self._masks(queries, center_m, pooled) < 0
            place = self.encode(_waves(functional.pad(center_m, (0, 1))))
            queries = layer(queries, place, keys, values, hidden)
            center_m = center_m.detach() + self.move(queries)
            if self.training:
                answers.append(self._answer(queries, center_m, voxels))
        return tuple(answers) or (self._answer(queries, center_m, voxels),)

    def _answer(self, queries: Tensor, center_m: Tensor, voxels: _Voxels) -> Answer:
        masks = self._masks(queries, center_m, voxels)
        with torch.no_grad():
            inside = masks.sigmoid()
            share = inside @ voxels.things / inside.sum(dim=1, keepdim=True).clamp(min=_RAREST)
            share = torch.cat([share, 1 - share.sum(dim=1, keepdim=True)], dim=1)
        return Answer(self.classes(queries) + share.clamp(min=_RAREST).log(), masks, center_m)

    def _masks(self, queries: Tensor, center_m: Tensor, voxels: _Voxels) -> Tensor:
        """The formula of the class. (Q, D), (Q, 2) -> (Q, V)."""
        bias, sharpness, gain = self.shape(queries)[:, :, None].unbind(1)
        alike = self.embed(queries) @ voxels.features.T / math.sqrt(queries.shape[1])
        own, other = (at.square().sum(1) for at in (center_m, voxels.center_m))
        away = own[:, None] + other - 2 * center_m @ voxels.center_m.T
        away = away.clamp(0, _FARTHEST_M2)
        masks: Tensor = alike + bias + gain * voxels.thing - functional.softplus(sharpness) * away
        return masks

    def _middles_m(self, voxels: SparseTensor, level: int) -> Tensor:
        """(V, 3) metres from the grid's middle."""
        cell_m = self.voxel_m * 2**level
        half = voxels.features.new_tensor(voxels.shape) / 2
        middles: Tensor = (voxels.indices[:, 1:] + 0.5 - half) * cell_m
        return middles

    def _keys(self, voxels: SparseTensor, level: int) -> tuple[Tensor, Tensor]:
        """Features with and without the encoded place of a level's voxels. (V, D) each."""
        values = self.levels[str(level)](voxels.features)
        return values + self.encode(_waves(self._middles_m(voxels, level))), values


@dataclass(frozen=True)
class _Voxels:
    """What masks are made of.

    Attributes:
        features: (V, D).
        center_m: (V, 2) where their objects' centers lie.
        things: (V, T) probabilities of the thing classes.
    """

    features: Tensor
    center_m: Tensor
    things: Tensor

    @property
    def thing(self) -> Tensor:
        """(V,) log-odds that a voxel belongs to a thing."""
        return self.things.sum(dim=1).logit(_RAREST)

    def pooled(self, parent: Tensor, count: int) -> _Voxels:
        """Means over the voxels of each of `count` parents."""
        parts = (self.features, self.center_m, self.things)
        joined = torch.cat([part.to(self.features.dtype) for part in parts], dim=1).detach()
        total = joined.new_zeros((count, joined.shape[1])).index_add(0, parent, joined)
        mean = total / torch.bincount(parent, minlength=count).clamp(min=1)[:, None]
        return _Voxels(*torch.split(mean, [part.shape[1] for part in parts], dim=1))


def _faint(channels: int, bias: Sequence[float]) -> nn.Linear:
    """A layer that says little but its bias at first: what it adds to has been said by others."""
    layer = nn.Linear(channels, len(bias))
    with torch.no_grad():
        layer.weight.mul_(_SMALL)
        layer.bias.copy_(torch.tensor(bias))
    return layer


def _parents(fine: SparseTensor, coarse: SparseTensor, level: int) -> Tensor:
    """Row of the coarser voxel that holds each of the finest. -> (V,) int64."""
    steps = torch.tensor([0, level, level, level], device=fine.indices.device)
    size = torch.tensor([0, *coarse.shape], device=fine.indices.device)

    def number(indices: Tensor) -> Tensor:
        b, x, y, z = indices.long().unbind(1)
        return ((b * size[1] + x) * size[2] + y) * size[3] + z

    order = number(coarse.indices).argsort()
    wanted = number(fine.indices.long() >> steps)
    return order[torch.searchsorted(number(coarse.indices)[order], wanted)]


def _waves(position_m: Tensor) -> Tensor:
    """Sines and cosines of each coordinate. (..., 3) metres -> (..., 6 * _WAVES)."""
    exponent = torch.linspace(0, 1, _WAVES, device=position_m.device, dtype=position_m.dtype)
    length_m = _SHORTEST_M * (_LONGEST_M / _SHORTEST_M) ** exponent
    phase = (2 * math.pi * position_m[..., None] / length_m).flatten(-2)
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


def _split(x: Tensor) -> Tensor:
    """(N, D) -> (heads, N, D / heads)."""
    return x.reshape(len(x), _HEADS, -1).transpose(0, 1)
