"""Labelled points -> what the network is asked to say of each voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, IntArray, SemanticArray


def voxel_majority(
    labels: SemanticArray, point_to_voxel: IntArray, num_voxels: int, num_classes: int
) -> NDArray[np.int64]:
    """Most frequent class among a voxel's labelled points; void (0) only if none is labelled.

    (N,) uint8, (N,) int32 with -1 = outside -> (V,) int64. Ties go to the lower id.
    """
    used = (point_to_voxel >= 0) & (labels > 0)
    key = point_to_voxel[used].astype(np.int64) * num_classes + labels[used]
    counts = np.bincount(key, minlength=num_voxels * num_classes)
    majority: NDArray[np.int64] = counts.reshape(num_voxels, num_classes).argmax(axis=1)
    return majority


def instance_centers(points: FloatArray, instance: IntArray) -> tuple[IntArray, FloatArray]:
    """Mean position of each instance's points: ids ascending (K,) int32, centers (K, 3) float32."""
    ids, inverse = np.unique(instance, return_inverse=True)
    count = np.bincount(inverse, minlength=len(ids))
    sums = [np.bincount(inverse, weights=axis, minlength=len(ids)) for axis in points.T]
    centers = (np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]).astype(np.float32)
    real = ids > 0
    return ids[real].astype(np.int32), centers[real]


def voxel_instances(instance: IntArray, point_to_voxel: IntArray, num_voxels: int) -> IntArray:
    """Instance of each voxel: the one of its points with the most points there, else 0. (V,)."""
    used = (point_to_voxel >= 0) & (instance > 0)
    voxel_instance = np.zeros(num_voxels, np.int32)
    if not used.any():
        return voxel_instance
    width = int(instance.max()) + 1
    key = point_to_voxel[used].astype(np.int64) * width + instance[used]
    pairs, counts = np.unique(key, return_counts=True)
    order = np.lexsort((-pairs, counts))  # the last write wins: most points, then the lower id
    voxel_instance[pairs[order] // width] = pairs[order] % width
    return voxel_instance
