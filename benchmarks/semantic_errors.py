"""True semantics into those of an imperfect network: blurred edges, wrong fragments, wrong objects.

Four errors, each drawn per object or place:
1. blur: every point takes the class of the point nearest to itself plus Gaussian noise;
2. fragments: a share of the objects has one side, 10 to 45 % of its points, in a confused class;
3. objects: a share of the objects is another class as a whole;
4. specks: balls of stuff become things.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

ALIKE = (
    ("car", "truck", "other-vehicle", "bus", "trailer", "construction_vehicle"),
    ("bicycle", "motorcycle", "bicyclist", "motorcyclist", "person", "pedestrian"),
    ("barrier", "fence", "manmade"),
    ("traffic_cone", "barrier"),
)
UPRIGHT_STUFF = ("building", "fence", "vegetation", "trunk", "pole", "manmade")


def confused_with(classes):
    """Train id of each thing -> the train ids a network takes it for."""
    out = {}
    for c in classes.things:
        name = classes.names[c]
        names = {other for group in ALIKE if name in group for other in group} - {name}
        out[c] = [classes.names.index(n) for n in classes.names if n in names] or [c]
    return out


def corrupt(points, labels, classes, rng, blur_m=0.08, fragments=0.2, objects=0.06, num_specks=12):
    """(N, 3) points and true PanopticLabels -> (N,) uint8 semantics with errors."""
    tree = cKDTree(points)
    _, near = tree.query(points + rng.normal(0, blur_m, points.shape))
    semantic = labels.semantic[near]
    alike = confused_with(classes)
    stuff = [classes.names.index(n) for n in UPRIGHT_STUFF if n in classes.names]
    for k in np.unique(labels.instance[labels.instance > 0]):
        chosen = np.flatnonzero(labels.instance == k)
        c = int(labels.semantic[chosen[0]])
        other = int(rng.choice(alike[c]))
        draw = rng.random()
        if draw < objects:
            semantic[chosen] = other
        elif draw < objects + fragments:
            side = points[chosen] @ rng.normal(size=3)
            part = chosen[side < np.quantile(side, rng.uniform(0.1, 0.45))]
            semantic[part] = other if rng.random() < 0.6 else int(rng.choice(stuff))
    upright = np.flatnonzero(np.isin(labels.semantic, stuff))
    for i in rng.choice(upright, min(num_specks, len(upright)), replace=False):
        ball = np.array(tree.query_ball_point(points[i], rng.uniform(0.2, 0.8)))
        ball = ball[np.isin(labels.semantic[ball], stuff)]
        semantic[ball] = rng.choice(classes.things)
    return semantic
