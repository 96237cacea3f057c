"""What `lidarpan adapt` gains on every labelled real set, whose labels it does not see.

    python benchmarks/adapting.py --weights town --real ../shared/data
    python benchmarks/adapting.py --weights town --real ../shared/data --sets vlp32 --seeds 3

Each set's scans are given to `adapt --full` without labels; then up to --scans of them are scored
with the weights before and after, as `streets.py` scores them. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from street_sets import StreetSet, choose_sets
from street_variants import choose_variants
from streets import Bench, numbers

from lidarpan import PanopticPipeline
from lidarpan.training.adapt import Adapted, adapt

HEAD = ("set", "scans", "mIoU 19", "PQ", "mIoU 10", "gain", "what was taken", "minutes")


def scores(weights: Path | str, street: StreetSet, scans: list[Path]) -> dict[str, Any]:
    """Scores of weights on scans of a set, by set of classes."""
    bench = Bench(PanopticPipeline.from_weights(weights))
    tallies = bench.run(street, scans, choose_variants("as-is"), Console(stderr=True))
    by_variant: dict[str, Any] = numbers(tallies, has_instances=street.has_instances)["as-is"]
    return by_variant


def taken(result: Adapted) -> str:
    """What was written, in a few words."""
    parts = []
    if result.chosen:
        parts.append(f"share {result.trials[result.chosen].share:g}")
    if result.practised and result.is_practised:
        parts.append(f"practice ({result.practised.step}, {result.practised.gain:+.3f} steady)")
    if result.taught and result.is_taught:
        parts.append(f"teacher ({result.taught.step}, {result.taught.gain:+.3f} agreement)")
    return ", ".join(parts) or "nothing"


def row(street: StreetSet, arguments: argparse.Namespace, seed: int) -> tuple[list[str], float]:
    """One line of the table, and the gain in mIoU of ten classes."""
    every = street.scans(arguments.real, None)
    scored = street.scans(arguments.real, arguments.scans)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "adapted.safetensors"
        begin = time.perf_counter()
        result = adapt(
            arguments.weights, every, out, full=True, steps=arguments.steps, seed=seed,
            say=lambda text: print(f"  {text}", flush=True) if arguments.verbose else None,
        )  # fmt: skip
        minutes = (time.perf_counter() - begin) / 60
        before, after = (scores(weights, street, scored) for weights in (arguments.weights, out))

    def both(protocol: str, key: str) -> str:
        if key not in before.get(protocol, {}):
            return "-"
        return f"{before[protocol][key]:.3f} → {after[protocol][key]:.3f}"

    own = "nineteen" if "nineteen" in before else "ten"
    gain = float(after["ten"]["miou"] - before["ten"]["miou"])
    cells = [both("nineteen", "miou"), both(own, "pq"), both("ten", "miou"), f"{gain:+.3f}"]
    return [street.name, str(len(every)), *cells, taken(result), f"{minutes:.1f}"], gain


def main() -> None:
    """Adapt, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="town", help="shipped weights or a .safetensors file")
    parser.add_argument("--real", type=Path, required=True, help="folder of the real scans")
    parser.add_argument("--sets", default="all", help="all, or names with commas")
    parser.add_argument("--scans", type=int, default=8, help="most scans of a set to score")
    parser.add_argument("--steps", type=int, default=120, help="of each part of --full")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each set")
    parser.add_argument("--verbose", action="store_true", help="say what adapt says")
    arguments = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    gains = []
    for street in choose_sets(arguments.sets):
        if not street.scans(arguments.real, 1):
            continue
        for seed in range(arguments.seeds):
            cells, gain = row(street, arguments, seed)
            gains.append(gain)
            print(f"| {' | '.join(cells)} |", flush=True)
    if gains:
        print(f"\nmean gain in mIoU of ten classes {sum(gains) / len(gains):+.3f}")


if __name__ == "__main__":
    main()
