"""Scores of weights on real streets under weather and faults, in three strengths.

    python benchmarks/street_weather.py --weights town --real ../shared/data --scans 1
    python benchmarks/street_weather.py --weights town --real ../shared/data --kinds rain,fog

Mean IoU of ten classes over the points that the clean scan has too. The models are those of
`lidarpan.synthetic.sensors.corruptions`; the seed of each scan is its place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from street_sets import StreetSet, choose_sets, protocols, scored_as
from streets import Bench, Tally

from lidarpan import PanopticPipeline
from lidarpan.scans.files import load_scan
from lidarpan.structures import InputError
from lidarpan.synthetic.sensors.corruptions import CORRUPTIONS, STRENGTHS, corrupt

CLEAN = ("clean", 0)


def scores(
    bench: Bench, street: StreetSet, scans: list[Path], kinds: list[str], say: Console
) -> dict[tuple[str, int], float]:
    """Mean IoU of ten classes of one set, by kind and strength."""
    ten = protocols()["ten"]
    cases = [CLEAN, *((kind, strength) for kind in kinds for strength in STRENGTHS)]
    tallies = {case: Tally(ten, street.min_points) for case in cases}
    for number, path in enumerate(track(scans, street.name, console=say, transient=True)):
        loaded = load_scan(path, bench.pipeline.sensor_height_m)
        semantic, _, table = street.truth(path)
        truth = scored_as(semantic[loaded.valid], table, ten, street)
        for kind, strength in cases:
            scan, source = loaded.scan, np.arange(loaded.scan.num_points)
            if strength:
                scan, source = corrupt(scan, kind, strength, np.random.default_rng(number))
            labels = bench.predict(scan, loaded)
            guess = scored_as(labels.semantic, bench.pipeline.classes, ten, street)
            known = np.where(source >= 0, truth[source], 0)
            none = np.zeros(len(source), np.int64)
            tallies[kind, strength].add(guess, none, known, none)
    return {case: tally.scores(has_instances=False)["miou"] for case, tally in tallies.items()}


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="town", help="shipped weights or a .safetensors file")
    parser.add_argument("--real", type=Path, required=True, help="folder of the real scans")
    parser.add_argument("--sets", default="semantickitti00,semantickitti08,nuscenes")
    parser.add_argument("--scans", type=int, default=1, help="most scans of a set")
    parser.add_argument("--kinds", default=",".join(CORRUPTIONS), help="names with commas")
    chosen = parser.parse_args()
    say = Console(stderr=True, highlight=False)
    try:
        bench = Bench(PanopticPipeline.from_weights(chosen.weights))
        kinds, streets = chosen.kinds.split(","), choose_sets(chosen.sets)
        results = {
            street.name: scores(bench, street, street.scans(chosen.real, chosen.scans), kinds, say)
            for street in streets
        }
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
    print("| mIoU of 10 classes | " + " | ".join(results) + " |")
    print("|---" * (len(results) + 1) + "|")
    for kind in ("clean", *kinds):
        cells = [
            " / ".join(f"{got[kind, s]:.3f}" for s in ((0,) if kind == "clean" else STRENGTHS))
            for got in results.values()
        ]
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
