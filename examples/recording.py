"""Count the objects in every frame of a recording, while it is read.

python examples/recording.py drive.mcap [/points]
"""

import sys
from collections import Counter

from lidarpan import PanopticPipeline
from lidarpan.scans.sources import open_sources

(source,) = open_sources(sys.argv[1:2], topics=sys.argv[2:])
pipeline = PanopticPipeline.from_weights("town")
for frame in source.frames():
    scan = frame.load().scan
    found = Counter(one.class_name for one in pipeline.predict(scan).objects(scan))
    seconds = 0 if frame.stamp_ns is None else frame.stamp_ns / 1e9
    print(f"{frame.path}  {seconds:.2f} s  {scan.num_points} points  {dict(found)}")
