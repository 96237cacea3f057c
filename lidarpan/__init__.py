"""Panoptic segmentation of LiDAR scans: files in, scored panoptic maps out."""

from __future__ import annotations

TYPE_CHECKING = False  # without typing, whose import takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

    from lidarpan.classes import ClassTable
    from lidarpan.draw import draw_panoptic
    from lidarpan.errors import InputError
    from lidarpan.grouping import group_points
    from lidarpan.grouping.fusion import merge_semantic_and_instance
    from lidarpan.metrics import PanopticQuality
    from lidarpan.pipeline import PanopticPipeline
    from lidarpan.scans.files import read_scan
    from lidarpan.structures import PanopticLabels, Scan
    from lidarpan.tracking.tracker import Tracker

__version__ = "0.1.0"
__all__ = [
    "ClassTable",
    "InputError",
    "PanopticLabels",
    "PanopticPipeline",
    "PanopticQuality",
    "Scan",
    "Tracker",
    "draw_panoptic",
    "group_points",
    "merge_semantic_and_instance",
    "read_scan",
]
_HOMES = {
    "ClassTable": "classes",
    "InputError": "errors",
    "PanopticLabels": "structures",
    "PanopticPipeline": "pipeline",
    "PanopticQuality": "metrics",
    "Scan": "structures",
    "Tracker": "tracking.tracker",
    "draw_panoptic": "draw",
    "group_points": "grouping",
    "merge_semantic_and_instance": "grouping.fusion",
    "read_scan": "scans.files",
}


def __getattr__(name: str) -> Any:
    """Load a name's module on first use: importing the package alone stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lidarpan' has no attribute {name!r}")
    from importlib import import_module  # here: an interrupt while it loads is answered

    return getattr(import_module(f"lidarpan.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
