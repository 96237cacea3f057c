"""Any network's classes per point become panoptic: objects with ids, in six lines.

    python examples/any_semantics.py SCAN SEMANTIC.npy

SEMANTIC.npy holds a train id per point (see `lidarpan config`, or ClassTable.names).
"""

import sys

import numpy as np

from lidarpan import ClassTable, group_points, merge_semantic_and_instance, read_scan

scan = read_scan(sys.argv[1])
semantic = np.load(sys.argv[2]).astype(np.uint8)
classes = ClassTable.from_name("semantickitti")
instance = group_points(scan.points, semantic, classes)
labels = merge_semantic_and_instance(semantic, instance, None, classes)

for one in labels.objects(scan):
    print(
        f"{one.id:4d} {one.class_name:12s} {one.num_points:6d} points, {one.distance_m:5.1f} m away"
    )
