"""Words that several commands take."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class Device(str, Enum):
    """Where the network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(str, Enum):
    """What the network computes in."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


class BoxFormat(str, Enum):
    """Whose boxes."""

    kitti = "kitti"
    nuscenes = "nuscenes"


class Level(str, Enum):
    """Whether turned scans are turned back."""

    auto = "auto"
    off = "off"


DATASETS = (
    "semantickitti, nuscenes, kitti-360, semanticposs, pandaset, waymo, argoverse2, "
    "an installed one, FILE.yaml (a class table) or FILE.py:CLASS"
)
Classes = Annotated[str, typer.Option(help=f"Whose classes: {DATASETS}.")]
