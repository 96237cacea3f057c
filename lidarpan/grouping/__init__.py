"""Points of thing classes into objects: one face, several methods, no training needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.grouping.auto import group_by_boxes
from lidarpan.grouping.methods import (
    group_by_centers,
    group_by_dbscan,
    group_by_graph,
    group_by_grid,
    group_by_histogram,
    group_by_mean_shift,
    group_by_split_graph,
)
from lidarpan.structures import FloatArray, InputError, IntArray, SemanticArray
from lidarpan.voxels.grid import Grid

METHODS = (
    "auto",
    "center-offset",
    "pseudo-heatmap",
    "mean-shift",
    "graph",
    "graph-split",
    "grid",
    "dbscan",
)
FARTHEST_M = 1e5  # cells are numbered with 28 bits


def group_points(
    points: FloatArray,
    semantic: SemanticArray,
    classes: ClassTable,
    method: str = "auto",
    offsets: FloatArray | None = None,
    heatmap: FloatArray | None = None,
    grid: Grid | None = None,
    softmax: FloatArray | None = None,
    **parameters: Any,
) -> IntArray:
    """Give every point of a thing class the number of its object.

    Args:
        points: (N, 3) float32, metres in the sensor frame.
        semantic: (N,) uint8 train ids of `classes`, 0 = void.
        classes: the class table; its boxes set the distances.
        method: one of METHODS.
        offsets: (N, 2) float32 metres from a point to its object's center in x, y.
        heatmap: (X, Y) float32 likelihood of object centers over the cells of `grid`.
        grid: the grid of the heatmap.
        softmax: (N, C) float32 class probabilities.
        **parameters: options of the method, see the function of the method below.

    Returns:
        (N,) int32: 1, 2, ... in order of each object's first point; 0 for stuff and void, and for
        points the method leaves alone.

    Raises:
        InputError: a shape or dtype is wrong, a value is not finite, a train id is not in the
            table, the method is unknown, lacks an input, or has no such parameter.
    """
    points = check_inputs(points, semantic, classes, offsets, heatmap, grid, softmax)
    shifted = points if offsets is None else np.ascontiguousarray(points[:, :2] + offsets)
    try:
        match method:
            case "auto":
                return group_by_boxes(points, semantic, classes, offsets, softmax, **parameters)
            case "graph":
                return group_by_graph(points, semantic, classes, **parameters)
            case "graph-split":
                return group_by_split_graph(points, semantic, classes, **parameters)
            case "grid":
                return group_by_grid(points, semantic, classes, **parameters)
            case "dbscan":
                return group_by_dbscan(points, semantic, classes, **parameters)
            case "mean-shift":
                return group_by_mean_shift(shifted, semantic, classes, **parameters)
            case "pseudo-heatmap":
                need(method, offsets=offsets)
                return group_by_histogram(shifted, semantic, classes, **parameters)
            case "center-offset":
                need(method, offsets=offsets, heatmap=heatmap, grid=grid)
                assert heatmap is not None
                assert grid is not None
                return group_by_centers(shifted, semantic, classes, heatmap, grid, **parameters)
            case _:
                raise InputError(
                    f"no grouping method {method!r}: wanted one of {', '.join(METHODS)}"
                )
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        name = str(error).rsplit("argument", 1)[-1].strip()
        raise InputError(f"grouping method {method!r} has no parameter {name}") from None


def check_inputs(
    points: FloatArray,
    semantic: SemanticArray,
    classes: ClassTable,
    offsets: FloatArray | None,
    heatmap: FloatArray | None,
    grid: Grid | None,
    softmax: FloatArray | None,
) -> FloatArray:
    """The points as contiguous float32, after every input was looked at; raises InputError."""
    if not isinstance(points, np.ndarray) or points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"points must be (N, 3) float32, got {describe(points)}")
    if heatmap is not None and grid is None:
        raise InputError("a heatmap needs the grid whose cells it covers")
    n, c = len(points), classes.num_classes
    wanted: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
        ("points", points, (n, 3)),
        ("offsets", offsets, (n, 2)),
        ("softmax", softmax, (n, c)),
        ("heatmap", heatmap, (0, 0) if grid is None else grid.shape[:2]),
    )
    for name, array, shape in wanted:
        if array is None:
            continue
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype.kind != "f":
            raise InputError(f"{name} must be {shape} float32, got {describe(array)}")
        if not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).sum())
            raise InputError(f"{name} must be finite, got {bad} NaN or infinite values: drop them")
    if not isinstance(semantic, np.ndarray) or semantic.shape != (n,) or semantic.dtype != np.uint8:
        raise InputError(f"semantic must be ({n},) uint8, got {describe(semantic)}")
    if n and int(semantic.max()) >= c:
        raise InputError(
            f"semantic holds train id {semantic.max()}, {classes.name} has 0..{c - 1}: "
            "map raw labels with ClassTable.to_train"
        )
    if n and max(float(points.max()), -float(points.min())) > FARTHEST_M:
        raise InputError(f"points lie beyond {FARTHEST_M:g} m: wanted metres in the sensor frame")
    return np.ascontiguousarray(points, np.float32)


def describe(array: object) -> str:
    """Shape and dtype of an array, or the type of anything else."""
    if isinstance(array, np.ndarray):
        return f"{array.shape} {array.dtype}"
    return type(array).__name__


def need(method: str, **inputs: object) -> None:
    """Raise InputError when an input of the method is None."""
    missing = [name for name, value in inputs.items() if value is None]
    if missing:
        raise InputError(f"grouping method {method!r} needs {', '.join(missing)}")
