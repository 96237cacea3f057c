"""Panoptic segmentation of LiDAR scans: files in, scored panoptic maps out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lidarpan.errors import InputError

if TYPE_CHECKING:
    from lidarpan.pipeline import PanopticPipeline
    from lidarpan.scans.files import read_scan
    from lidarpan.structures import PanopticLabels, Scan

# torch and numba each keep a pool of OpenMP threads: one that waits must leave its core to the
# other, or the two slow each other down threefold. Read when the pools are loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
__all__ = ["InputError", "PanopticLabels", "PanopticPipeline", "Scan", "read_scan"]


def __getattr__(name: str) -> Any:
    """Load the heavy parts on first use."""
    match name:
        case "PanopticPipeline":
            from lidarpan.pipeline import PanopticPipeline

            return PanopticPipeline
        case "Scan" | "PanopticLabels":
            from lidarpan import structures

            return getattr(structures, name)
        case "read_scan":
            from lidarpan.scans.files import read_scan

            return read_scan
        case _:
            raise AttributeError(f"module 'lidarpan' has no attribute {name!r}")
