"""Panoptic quality of label files against true ones, class by class.

    python examples/score_a_folder.py PREDICTIONS/ TRUTH/

Both hold NAME.label files of SemanticKITTI.
"""

import sys
from pathlib import Path

from lidarpan import ClassTable, PanopticQuality
from lidarpan.datasets.label_files import read_prediction

predictions, truth = Path(sys.argv[1]), Path(sys.argv[2])
classes = ClassTable.from_name("semantickitti")
quality = PanopticQuality(classes.num_classes, classes.things, min_points=classes.min_points)
for path in sorted(truth.glob("*.label")):
    own, true = (read_prediction(folder / path.name, classes) for folder in (predictions, truth))
    quality.update(own.semantic, own.instance, true.semantic, true.instance)

scores = quality.compute()
for train_id, name in enumerate(classes.names):
    if scores.class_iou[train_id] > 0:
        print(
            f"{name:14s} PQ {scores.class_pq[train_id]:.3f}  IoU {scores.class_iou[train_id]:.3f}"
        )
print(f"all            PQ {scores.pq:.3f}  IoU {scores.miou:.3f}")
