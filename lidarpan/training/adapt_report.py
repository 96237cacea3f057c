"""What an adaptation changed: a Markdown page with pictures before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.draw import draw_panoptic
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import load_scan
from lidarpan.structures import PanopticLabels
from lidarpan.training.adapt import CLEARLY, LEAST_GAIN, STEADIER, Adapted
from lidarpan.training.own_scans import read_own_scans
from lidarpan.training.teacher import Taught
from lidarpan.whole_file import whole_file

MOST_PICTURES = 3


def write_report(
    result: Adapted,
    weights: str | Path,
    folder: Path,
    *,
    load: Callable[[Path, float], LoadedScan] = load_scan,
) -> Path:
    """Predict the scans held out with the old and the new weights; write `report.md` and pictures.

    Args:
        result: of `adapt`.
        weights: that it began with.
        folder: for the page and its pictures.
        load: reads the scans.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old, new = (PanopticPipeline.from_weights(w) for w in (weights, result.out))
    pairs, pictures = [], []
    for k, own in enumerate(read_own_scans(result.held_out[:MOST_PICTURES], old, None, load)):
        labels = tuple(p.finish(own.prepared, p.run_network(own.prepared)) for p in (old, new))
        pairs.append(labels)
        for when, one in zip(("before", "after"), labels, strict=True):
            image = draw_panoptic(own.scan, one, old.classes, title=f"{own.path.name}, {when}")
            name = f"{k}_{when}.png"
            with whole_file(folder / name) as beside:
                image.save(beside, format="PNG")
            pictures.append(f"![{own.path.name} {when}]({name})")
    page = folder / "report.md"
    with whole_file(page) as beside:
        beside.write_text("\n".join(_lines(result, pairs, pictures, old.classes)) + "\n")
    return page


def _lines(
    result: Adapted,
    pairs: list[tuple[PanopticLabels, ...]],
    pictures: list[str],
    classes: ClassTable,
) -> list[str]:
    lines = [
        f"# {result.out.name}",
        "",
        verdict(result),
        "",
        f"Fitted to {len(result.fitted)} scans, judged by {len(result.held_out)} others.",
        "",
        f"Steady: share of the points that keep their class when a scan is turned and scaled; "
        f"another share of a scan's own statistics is taken where it is {CLEARLY} ahead.",
        "",
        "| share of a scan's own statistics | steady | |",
        "|---|---|---|",
    ]
    for i, trial in enumerate(result.trials):
        mark = "taken" if i == result.chosen else ""
        lines.append(f"| {trial.share:g} | {trial.consistency:.3f} | {mark} |")
    lines += _way(result)
    lines += [
        "",
        "| class | points before | after | objects before | after |",
        "|---|---|---|---|---|",
    ]
    before, after = (_counts([pair[i] for pair in pairs], classes) for i in (0, 1))
    for c in range(classes.num_classes):
        if before[0][c] or after[0][c]:
            lines.append(
                f"| {classes.names[c]} | {before[0][c]:.2%} | {after[0][c]:.2%} | "
                f"{before[1][c]:.0f} | {after[1][c]:.0f} |"
            )
    return [*lines, "", *pictures]


def verdict(result: Adapted) -> str:
    """What was written, in a sentence."""
    if not result.is_new:
        return "No gain could be shown: the old weights were written again."
    parts = []
    if result.chosen:
        old, new = result.trials[0], result.trials[result.chosen]
        parts.append(
            f"{new.share:g} of a scan's own statistics in place of {old.share:g} "
            f"(steady {new.consistency:.3f}, not {old.consistency:.3f})"
        )
    if result.practised and result.is_practised:
        parts.append(
            f"practised for {result.practised.step} steps on simulated scans of the sensor "
            f"(+{result.practised.gain:.3f} steady)"
        )
    if result.taught and result.is_taught:
        parts.append(
            f"taught for {result.taught.step} steps by copies of the scans "
            f"(+{result.taught.gain:.4f} agreement)"
        )
    return f"Written: {' and '.join(parts)}."


def _way(result: Adapted) -> list[str]:
    """The full form's course."""
    if not (result.practised and result.taught and result.sensor):
        return []
    angles = np.degrees(result.sensor.elevations_rad)
    return [
        "",
        f"The sensor as the scans tell it: {len(angles)} beams from {angles[0]:.1f} to "
        f"{angles[-1]:.1f} degrees, {result.sensor.azimuth_steps} steps a turn, "
        f"{result.sensor.height_m:.2f} m above the ground, ranges good to "
        f"{1000 * result.sensor.range_noise_m:.0f} mm.",
        "",
        f"Practice on simulated scans of it, steady by step: {_course(result.practised)}. "
        f"A gain below {STEADIER} is not taken.",
        "",
        "Taught by copies of your scans. Agreement by step, the mean IoU with "
        "what the network said at first on average of turned, mirrored and scaled copies of the "
        f"scans held out: {_course(result.taught)}. A gain below {LEAST_GAIN} is not taken.",
    ]


def _course(taught: Taught) -> str:
    return ", ".join(f"{step}: {value:.4f}" for step, value in taught.history)


def _counts(
    labels: list[PanopticLabels], classes: ClassTable
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the points, and number of objects, of each class. (C,), (C,)."""
    points, objects = np.zeros(classes.num_classes), np.zeros(classes.num_classes)
    for one in labels:
        points += np.bincount(one.semantic, minlength=classes.num_classes)
        _, first = np.unique(one.instance, return_index=True)
        of = one.semantic[first[one.instance[first] > 0]]
        objects += np.bincount(of, minlength=classes.num_classes)
    return points / max(points.sum(), 1), objects
