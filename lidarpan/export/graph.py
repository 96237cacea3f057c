"""The network as a function of tensors alone: features and neighbour tables in, answers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lidarpan.export.tables import CUBE, HALVING, PLANE, table_names
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Geometry, Level, Operands, Triple
from lidarpan.structures import FloatArray

OUTPUTS = ("probabilities", "offset_m", "heatmap")
_STEP = Geometry(HALVING, HALVING, (0, 0, 0))
_PIECE = 9
"""Kernel places that are gathered into one matrix: a third of the memory of all at once."""


@dataclass(eq=False)
class _StridedTables:
    coarse: Level
    down: Tensor
    up: Tensor


class TableEngine:
    """Sparse convolution by tables that lie in the levels' maps: gather, then multiply."""

    name = "tables"

    def submanifold(self, level: Level, kernel: Triple, x: Operands) -> Tensor:
        """(V, C_in), (K, C_in, C_out) -> (V, C_out)."""
        return x.finished(_gather_multiply(x.features, x.weight, level.maps[kernel]))

    def strided(self, level: Level, geometry: Geometry, x: Operands) -> tuple[Level, Tensor]:
        """(V, C_in), (K, C_in, C_out) -> the coarser level and (W, C_out)."""
        found: _StridedTables = level.maps[geometry]
        return found.coarse, x.finished(_gather_multiply(x.features, x.weight, found.down))

    def inverse(self, level: Level, geometry: Geometry, x: Operands) -> Tensor:
        """(W, C_in), (K, C_in, C_out) -> (V, C_out): every place, then the occupied ones."""
        found: _StridedTables = level.maps[geometry]
        places, cin, cout = x.weight.shape
        children = x.features @ x.weight.transpose(0, 1).reshape(cin, places * cout)
        return x.finished(children.reshape(-1, cout).index_select(0, found.up))


def _gather_multiply(x: Tensor, weight: Tensor, table: Tensor) -> Tensor:
    """out[o] = sum_k x[table[o, k]] W[k], a piece of the places at a time. -> (W, C_out)."""
    padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
    out = None
    for begin in range(0, len(weight), _PIECE):
        matrix, rows = weight[begin : begin + _PIECE], table[:, begin : begin + _PIECE]
        places, cin, cout = matrix.shape
        gathered = padded.index_select(0, rows.reshape(-1)).reshape(-1, places * cin)
        product = gathered @ matrix.reshape(places * cin, cout)
        out = product if out is None else out + product
    assert out is not None
    return out


@dataclass(frozen=True)
class _GivenColumns:
    """The columns of a scan, from tables; see `lidarpan.model.bev.Columns`."""

    indices: Tensor
    of_stride: dict[int, Tensor]
    pooled: None = None

    def of(self, _voxels: SparseTensor, stride: int) -> Tensor:
        """Column of each voxel of a level. -> (V,)."""
        return self.of_stride[stride].long()

    def level(self, voxels: SparseTensor) -> Level:
        """The columns as cells of height one."""
        return Level(self.indices, voxels.shape, 1, {PLANE: self.indices})


class GraphNetwork(nn.Module):
    """Features (V, F) and the tables that `table_names` names -> the outputs of one scan.

    Outputs are class probabilities (V, C - 1) with the prior in them, center offsets (V, 2) in
    metres, and the center probability of each column (M,).

    Args:
        network: as loaded for inference; norms by a scan's own statistics become part of the graph.
        prior: (C - 1,) float32 to add to the logits, or None.
    """

    prior: Tensor

    def __init__(self, network: PanopticNetwork, prior: FloatArray | None = None) -> None:
        super().__init__()
        self.network = network
        self.num_levels = len(network.unet.encoder)
        num_classes = network.semantic_head.out_features
        shift = torch.zeros(num_classes) if prior is None else torch.from_numpy(prior)
        self.register_buffer("prior", shift)

    def forward(self, features: Tensor, *tables: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The formula above."""
        named = dict(zip(table_names(self.num_levels), tables, strict=True))
        voxels = _on_tables(features, named, self.num_levels)
        columns = _GivenColumns(
            named["column_neighbours"],
            {1: named["coarse_to_column"], 2: named["voxel_to_column"]},
        )
        fine, coarse = self.network.unet(voxels)[:2]
        outputs = self.network.heads(fine, coarse, columns)
        probabilities = (outputs.semantic + self.prior).softmax(dim=1)
        return probabilities, outputs.offset_m, torch.sigmoid(outputs.heatmap)


def _on_tables(features: Tensor, named: dict[str, Tensor], num_levels: int) -> SparseTensor:
    """A sparse tensor whose levels hold the tables; of their cells only the number is known."""
    maps: list[dict[Any, Any]] = [
        {CUBE: named[f"neighbours_{level}"]} for level in range(num_levels)
    ]
    levels = [Level(tables[CUBE], (0, 0, 0), 1, tables) for tables in maps]
    for index in range(num_levels - 1):
        down, up = named[f"down_{index}"], named[f"up_{index}"]
        maps[index][_STEP] = _StridedTables(levels[index + 1], down, up)
    return SparseTensor.on_level(features, levels[0], TableEngine())
