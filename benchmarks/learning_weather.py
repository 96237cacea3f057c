"""Rows of `learning.py` under weather and faults: mean IoU on the towns held out.

    python benchmarks/learning.py --quick --table weather
    python benchmarks/learning_weather.py out/learning --rows "baseline;weather" --seeds 3

Each kind in three strengths. Only points count that the clean scan has too; the seed of each scan
is its place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from learning import QUICK_SIZES, VALID_FIRST
from learning_run import Run
from learning_towns import town_files

from lidarpan import PanopticPipeline
from lidarpan.metrics import PanopticQuality
from lidarpan.synthetic.sensors.corruptions import CORRUPTIONS, STRENGTHS, corrupt

CLEAN = ("clean", 0)
CASES = [CLEAN, *((kind, strength) for kind in CORRUPTIONS for strength in STRENGTHS)]


def main() -> None:
    """Score every row and seed; print mean and half the range, a line for each kind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", help="of the weights")
    parser.add_argument("--rows", default="baseline;weather", help="separated by ;")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scans", type=int, default=QUICK_SIZES[1], help="towns held out")
    parser.add_argument("--data", default="data/learning", help="folder of the towns")
    o = parser.parse_args()
    paths = tuple(map(str, town_files(Path(o.data), VALID_FIRST, o.scans)))
    rows = o.rows.split(";")
    found = {
        row: [
            scores(Run(row, seed, paths, paths, o.folder, is_quick=True)) for seed in range(o.seeds)
        ]
        for row in rows
    }
    print(f"| mIoU | {' | '.join(rows)} |\n|---{'|---' * len(rows)}|")
    for kind in dict.fromkeys(kind for kind, _ in CASES):
        strengths = (0,) if kind == "clean" else STRENGTHS
        cells = [" / ".join(spread(found[row], kind, s) for s in strengths) for row in rows]
        print(f"| {kind} | {' | '.join(cells)} |")


def scores(run: Run) -> dict[tuple[str, int], float]:
    """Mean IoU over the classes that occur, by kind and strength."""
    pipeline = PanopticPipeline.from_weights(run.result.with_suffix(".safetensors"), "cpu")
    pipeline.grouping = "grid"  # the cheapest: objects are not asked for
    towns, classes = run.towns(run.valid), pipeline.classes
    tallies = {
        case: PanopticQuality(classes.num_classes, classes.things, min_points=1) for case in CASES
    }
    for i in range(len(towns)):
        for kind, strength in CASES:
            scan, source = towns[i], np.arange(towns[i].num_points)
            if strength:
                scan, source = corrupt(scan, kind, strength, np.random.default_rng(i))
            said = pipeline.predict(scan)
            truth = towns.labels(i).semantic[np.maximum(source, 0)]
            known = np.where(source >= 0, truth, 0)
            none = np.zeros(len(known), np.int32)
            tallies[kind, strength].update(said.semantic, none, known.astype(np.uint8), none)
    out = {}
    for case, tally in tallies.items():
        result = tally.compute()
        present = np.flatnonzero(result.confusion.sum(axis=0) > 0)
        out[case] = float(result.class_iou[present[present > 0]].mean())
    return out


def spread(found: list[dict[tuple[str, int], float]], kind: str, strength: int) -> str:
    """Mean over the seeds and half their range."""
    values = [row[kind, strength] for row in found]
    return f"{np.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}"


if __name__ == "__main__":
    main()
