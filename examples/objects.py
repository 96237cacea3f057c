"""The objects of a scan: class, score, place, size and heading, nearest first.

python examples/objects.py SCAN
"""

import sys

import numpy as np

from lidarpan import PanopticPipeline, read_scan

scan = read_scan(sys.argv[1])
labels = PanopticPipeline.from_weights("town").predict(scan)
for one in sorted(labels.objects(scan), key=lambda one: one.distance_m):
    length, width, height = one.size_m
    print(
        f"{one.class_name:14s} score {one.score:.2f}  {one.distance_m:5.1f} m  "
        f"{length:.1f} x {width:.1f} x {height:.1f} m  {np.degrees(one.yaw_rad):4.0f} degrees"
    )
