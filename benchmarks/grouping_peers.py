"""What others use to group thing points: ALPINE's published rule, DBSCAN, HDBSCAN.

ALPINE is written from its paper (Sautier et al., "Is clustering enough for LiDAR instance
segmentation?", 3DV 2026) with scipy, as its authors' program is: per class a graph of each point
and its k nearest neighbours in bird's eye view, edges shorter than the box's short side, connected
components; with the split, a component larger than 1.3 times its box is cut by bisection of the
edge length. Documented with k = 32; the released program runs with k = 8 on SemanticKITTI and 10
on nuScenes.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError, cKDTree
from sklearn.cluster import DBSCAN, HDBSCAN


def by_class(points, semantic, classes, group):
    """Apply group(xy, box) -> labels (n,), -1 = noise, to every thing class; ids over all."""
    ids = np.zeros(len(points), np.int32)
    for c in classes.things:
        chosen = np.flatnonzero(semantic == c)
        if len(chosen):
            labels = group(points[chosen, :2].astype(np.float64), classes.box_m[c])
            ids[chosen] = np.where(labels >= 0, labels + 1 + ids.max(), 0)
    return ids


def dbscan(points, semantic, classes, eps_m=0.5):
    def group(xy, box):
        return DBSCAN(eps=eps_m, min_samples=1).fit_predict(xy)

    return by_class(points, semantic, classes, group)


def hdbscan(points, semantic, classes):
    def group(xy, box):
        if len(xy) < 6:
            return np.zeros(len(xy), int)
        labels = HDBSCAN(min_cluster_size=5, copy=True).fit_predict(xy)
        return labels

    return by_class(points, semantic, classes, group)


def alpine(points, semantic, classes, k=32, split=True):
    def group(xy, box):
        length, width = box[:2]
        graph = neighbour_graph(xy, k)
        return cut(xy, graph, width, (length, width), np.arange(len(xy)), split)

    return by_class(points, semantic, classes, group)


def neighbour_graph(xy, k):
    distance, index = cKDTree(xy).query(xy, k=min(k, len(xy) - 1) + 1)
    distance, index = distance.reshape(len(xy), -1), index.reshape(len(xy), -1)
    rows = np.repeat(np.arange(len(xy)), index.shape[1])
    return rows, index.ravel(), distance.ravel()


def components(graph, radius_m, num_points):
    rows, columns, distance = graph
    near = distance < radius_m
    shape = (num_points, num_points)
    edges = coo_matrix((np.ones(near.sum()), (rows[near], columns[near])), shape)
    return connected_components(edges, directed=False)


def cut(xy, graph, radius_m, box, chosen, split):
    """Labels of the points; parts larger than 1.3 boxes are cut again when split."""
    count, labels = components(graph, radius_m, len(xy))
    if not split:
        return labels
    for c in range(count):
        count = halve(xy, graph, radius_m, box, np.flatnonzero(labels == c), labels, count)
    return labels


def halve(xy, graph, radius_m, box, chosen, labels, count):
    """Give the second half of a too large part a label of its own; how many labels there are."""
    if not is_too_large(xy[chosen], box):
        return count
    inside = np.full(len(xy), -1)
    inside[chosen] = np.arange(len(chosen))
    rows, columns, distance = graph
    both = (inside[rows] >= 0) & (inside[columns] >= 0)
    part = inside[rows[both]], inside[columns[both]], distance[both]
    middle, step = radius_m / 2, radius_m / 4
    while step > 1e-3:
        pieces, piece = components(part, middle, len(chosen))
        if pieces == 2:
            labels[chosen[piece == 1]] = count
            first, second, count = chosen[piece == 0], chosen[piece == 1], count + 1
            count = halve(xy, graph, middle, box, first, labels, count)
            return halve(xy, graph, middle, box, second, labels, count)
        middle += -step if pieces == 1 else step
        step /= 2
    return count


def is_too_large(xy, box, slack=1.3):
    if len(xy) < 3:
        return False
    try:
        hull = xy[ConvexHull(xy).vertices]
    except QhullError:
        return False
    edge = np.roll(hull, -1, axis=0) - hull
    edge /= np.linalg.norm(edge, axis=1, keepdims=True)
    along, across = hull @ edge.T, hull @ np.stack([-edge[:, 1], edge[:, 0]])
    sides = np.sort(np.stack([np.ptp(along, axis=0), np.ptp(across, axis=0)]), axis=0)
    short, long = sides[:, sides.prod(axis=0).argmin()]
    return long > slack * box[0] or short > slack * box[1]
