"""Weights -> an ONNX file, or a package that torch's C++ library runs without Python."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from lidarpan.classes import ClassTable
from lidarpan.config import Config
from lidarpan.export.graph import OUTPUTS, GraphNetwork
from lidarpan.export.tables import build_tables, table_names
from lidarpan.model.configured import Choices, open_weights
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.optional import need
from lidarpan.structures import IntArray
from lidarpan.voxels.features import NUM_FEATURES
from lidarpan.voxels.grid import Grid
from lidarpan.whole_file import whole_file

FORMAT = "lidarpan-graph-1"
OPSET = 18
_log = logging.getLogger("lidarpan")
_NOISY = ("torch.onnx", "onnxscript", "onnx_ir", "torch._inductor")


def export_onnx(weights: str | Path, out: Path) -> None:
    """Write the network of some weights as one ONNX file, for ONNX Runtime and others.

    Inputs are `features` and the tables that `lidarpan.export.tables.table_names` names, outputs
    those of `GraphNetwork`; what else a program needs to know stands in the metadata.

    Args:
        weights: shipped weights by name, or a .safetensors file.
        out: the .onnx file; it is whole or absent.

    Raises:
        InputError: there are no such weights, or the library onnx is missing.
    """
    for library in ("onnx", "onnxscript"):
        need(library, "onnx", "the export to ONNX")
    program, metadata, inputs = _traced(weights, torch.device("cpu"))
    with _quiet():
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=list(OUTPUTS),
        )
    assert made is not None
    made.model.metadata_props.update(metadata)
    with whole_file(out) as beside:
        made.save(beside)


def export_aoti(weights: str | Path, out: Path, device: str = "auto") -> None:
    """Compile the network of some weights with AOTInductor into a package for C++.

    A C++ compiler must be there. The package runs on the kind of device and of processor that it
    was made for; inputs, outputs and metadata are as in `export_onnx`.

    Args:
        weights: shipped weights by name, or a .safetensors file.
        out: the .pt2 file; it is whole or absent.
        device: "auto", "cpu" or "cuda".

    Raises:
        InputError: there are no such weights or device.
    """
    from lidarpan.model.weights import choose_device

    program, metadata, _ = _traced(weights, choose_device(device))
    settings = {"aot_inductor.metadata": metadata}
    with whole_file(out, ".pt2") as beside, _quiet():
        torch._inductor.aoti_compile_and_package(
            program, package_path=str(beside), inductor_configs=settings
        )


def _traced(
    weights: str | Path, device: torch.device
) -> tuple[ExportedProgram, dict[str, str], list[str]]:
    """The network as a graph for any scan, what else is to be known, and the inputs' names."""
    network, config = open_weights(weights, str(device), "torch", "fp32", Choices())
    if config.network.head == "queries":
        _log.warning("%s: the query head is left out, objects are to be grouped", weights)
        network.network.queries = None
    graph = GraphNetwork(network.network, network.prior).to(device).eval()
    sample = _sample(network.grid, graph.num_levels)
    *tables, _ = build_tables(sample, network.grid.shape, graph.num_levels)
    inputs = [torch.zeros(len(sample), NUM_FEATURES), *map(torch.from_numpy, tables)]
    program = trace(graph, [tensor.to(device) for tensor in inputs])
    names = ["features", *table_names(graph.num_levels)]
    return program, describe(network, config, graph.num_levels), names


def trace(graph: GraphNetwork, inputs: list[Tensor]) -> ExportedProgram:
    """The graph for any number of voxels, from inputs of one scan."""
    first, *tables = inputs
    rows = {0: Dim.AUTO}
    with torch.no_grad():
        return torch.export.export(
            graph, (first, *tables), dynamic_shapes=(rows, tuple(rows for _ in tables))
        )


def describe(network: VoxelNetwork, config: Config, num_levels: int) -> dict[str, str]:
    """What a program must know to make the inputs and to read the outputs, as words.

    Numbers are separated by spaces. `raw_ids` are the labels to write by train id, void first;
    `ground` the train ids whose patches of a surface are told from others, empty without patches.
    """
    classes: ClassTable = config.build_classes()
    grid = network.grid

    def words(values: object) -> str:
        return " ".join(str(value) for value in np.ravel(np.asarray(values)).tolist())

    return {
        "format": FORMAT,
        "weights": config.name,
        "grid_min_m": words(grid.min_m),
        "grid_cell_m": words(grid.cell_m),
        "grid_shape": words(grid.shape),
        "num_levels": str(num_levels),
        "sensor_height_m": str(config.sensor.height_m),
        "intensity": network.intensity,
        "class_names": ",".join(classes.names),
        "raw_ids": words(classes.train_to_raw),
        "ground": words(network.ground or ()),
    }


def _sample(grid: Grid, num_levels: int) -> IntArray:
    """Voxels to trace with, of which some are left on every level. (V, 3) int32, ascending."""
    edge = 3 << (num_levels - 1)
    size = [min(edge, count) for count in grid.shape[:2]]
    cells = np.stack(np.meshgrid(*map(np.arange, size), [0], indexing="ij"), axis=-1)
    return np.ascontiguousarray(cells.reshape(-1, 3), np.int32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters tell their developers off the terminal."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
