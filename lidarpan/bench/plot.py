"""The curves of `lidarpan bench` as a picture: two log-log panels, one line per stage."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lidarpan.optional import need
from lidarpan.structures import InputError
from lidarpan.whole_file import whole_file

# Okabe and Ito, "Color Universal Design" (2008), and two greys.
COLORS = {
    "total": "#000000",
    "read": "#7890a6",
    "voxelize": "#56b4e9",
    "network": "#e69f00",
    "grouping": "#009e73",
    "fusion": "#cc79a7",
    "write": "#999999",
}


def check_png(path: Path) -> None:
    """InputError unless matplotlib is there, the path ends in .png and can be written to."""
    need("matplotlib", "curves", "a drawing of curves")
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: curves are drawn as .png: choose such a name")
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True)
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: cannot write in {path.parent}: choose another folder")


def save_curves(curves: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, title: str) -> None:
    """Draw what `measure_curves` gave as a PNG; the file is whole or absent.

    Args:
        curves: "points" and "voxel_size".
        path: where to.
        title: what was measured, one line.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(15, 6.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, key, place, what in (
        (panels[0], "points", "num_points", "points per scan"),
        (panels[1], "voxel_size", "voxel_m", "voxel edge, m"),
    ):
        curve = curves[key]
        for stage in (name for name in COLORS if name in curve[0]["stages_ms"]):
            across = [at[place] for at in curve]
            up = [max(at["stages_ms"][stage], 0.1) for at in curve]  # what 0 is on a logarithm
            width = 3 if stage == "total" else 1.8
            panel.loglog(across, up, "o-", color=COLORS[stage], linewidth=width, label=stage)
        marks = [f"{at[place]:,.0f}" if at[place] > 999 else f"{at[place]:.3g}" for at in curve]
        panel.set_xticks([at[place] for at in curve], marks)
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel(what)
        panel.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("ms, median")
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].legend()
    figure.suptitle(title)
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=100)
