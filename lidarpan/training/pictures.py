"""What the network says of the first validation scans, drawn beside their truth."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.draw import draw_panoptic
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.whole_file import whole_file

_SIZE_PX = 500


def log_picture(
    loggers: Iterable[Any],
    folder: Path,
    name: str,
    step: int,
    scan: Scan,
    predicted: PanopticLabels,
    truth: PanopticLabels,
    classes: ClassTable,
) -> Path:
    """Draw a scan's prediction and truth; write a PNG and hand it to the logs that show pictures.

    Args:
        loggers: lightning's; TensorBoard and Weights & Biases get the picture.
        folder: for the files.
        name: of the scan in the log.
        step: of the training.
        scan: N points.
        predicted: N labels.
        truth: N labels.
        classes: of the labels.

    Returns:
        The file.
    """
    title = f"{name}, step {step}"
    image = draw_panoptic(scan, predicted, classes, truth=truth, size_px=_SIZE_PX, title=title)
    path = folder / f"{name}_{step:07d}.png"
    with whole_file(path) as beside:
        image.save(beside, format="PNG")
    for logger in loggers:
        if type(logger).__name__ == "TensorBoardLogger":
            logger.experiment.add_image(name, np.asarray(image), step, dataformats="HWC")
        elif type(logger).__name__ == "WandbLogger":
            logger.log_image(name, [image], step=step)
    return path
