r"""Scores of weights on every labelled real set: the judge of what is done for real streets.

    python benchmarks/streets.py --weights town --real ../shared/data
    python benchmarks/streets.py --weights town --real ../shared/data --all-scans --variants all \
        --json streets.json --markdown streets.md
    python benchmarks/streets.py --real ../shared/data --sets vlp32,nuscenes --scans 8

Each scan is read, its sensor's height measured and its labels predicted as `lidarpan predict`
does. Mean IoU and PQ run over the classes with 100 true points or more in the set; the spread is
the deviation over the scans and the lowest scan. Points that got no class count as missed. Without
--all-scans a few scans of each set are taken, evenly spread.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from street_sets import SETS, Protocol, StreetSet, choose_sets, protocols, scored_as
from street_tables import as_markdown, as_text
from street_variants import Variant, choose_variants

from lidarpan import PanopticPipeline
from lidarpan.inference import Handling
from lidarpan.metrics import PanopticQuality
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import load_scan
from lidarpan.scans.inspection import sensor_height
from lidarpan.structures import InputError, PanopticLabels, Scan

FEWEST_POINTS = 100
"""True points of a set from which a class counts as present: fewer say nothing about a class."""


@dataclass
class Tally:
    """Scores of one set, one variant, one set of classes."""

    protocol: Protocol
    min_points: int
    total: PanopticQuality = field(init=False)
    miou_of_scans: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.total = self._empty()

    def _empty(self) -> PanopticQuality:
        size, things = len(self.protocol.names), self.protocol.things
        return PanopticQuality(size, things, min_points=self.min_points)

    def add(self, *labels: np.ndarray[Any, Any]) -> None:
        """One scan: predicted classes and objects, true classes and objects."""
        one = self._empty()
        one.update(*labels)
        self.total.merge(one)
        self.miou_of_scans.append(one.compute(mean="present").miou)

    def merge(self, other: Tally) -> None:
        """Add the scans of another tally."""
        self.total.merge(other.total)
        self.miou_of_scans += other.miou_of_scans

    def scores(self, *, has_instances: bool) -> dict[str, Any]:
        """Plain numbers."""
        got = self.total.compute()
        spread = np.array(self.miou_of_scans)
        true = got.confusion.sum(axis=0)
        present = [c for c in range(1, len(true)) if true[c] >= FEWEST_POINTS]
        classes = {
            self.protocol.names[c]: {"iou": float(got.class_iou[c]), "points": int(true[c])}
            | ({"pq": float(got.class_pq[c])} if has_instances else {})
            for c in present
        }
        miou = float(got.class_iou[present].mean())
        out: dict[str, Any] = {"miou": miou, "accuracy": got.accuracy}
        out |= {"miou_std": float(spread.std()), "miou_lowest": float(spread.min())}
        if has_instances:
            things = list(self.protocol.things)
            there = [c for c in present if c in things]
            right, wrong = int(got.tp[things].sum()), int(got.fp[things].sum())
            of_things = float(got.class_pq[there].mean()) if there else None
            out |= {"pq": float(got.class_pq[present].mean()), "pq_things": of_things}
            out |= {"objects_right": right, "objects_written": right + wrong}
        return out | {"classes": classes}


Tallies = dict[str, list[Tally]]
"""The tallies of each variant, one for each set of classes."""


class Bench:
    """Predicts scans and their variants, and keeps the tallies."""

    def __init__(self, pipeline: PanopticPipeline) -> None:
        self.pipeline = pipeline
        self.protocols = protocols()
        self.elapsed_s: list[float] = []

    def predict(self, scan: Scan, loaded: LoadedScan) -> PanopticLabels:
        """Labels of a scan, levelled and raised as `lidarpan predict` does."""
        begin, expected = time.perf_counter(), self.pipeline.sensor_height_m
        seen = replace(loaded, scan=scan, valid=np.ones(scan.num_points, np.bool_))
        seen, _ = Handling(is_levelled=True).turned(seen, expected)
        height = sensor_height(seen.scan, expected)
        labels = self.pipeline.predict(seen.scan, sensor_height_m=height)
        self.elapsed_s.append(time.perf_counter() - begin)
        return labels

    def run(
        self, street: StreetSet, scans: Sequence[Path], variants: Sequence[Variant], say: Console
    ) -> Tallies:
        """Tallies of one set."""
        tallies: Tallies = {}
        for path in track(scans, f"{street.name:18s}", console=say, transient=True):
            loaded = load_scan(path, self.pipeline.sensor_height_m)
            semantic, instance, table = street.truth(path)
            semantic, instance = semantic[loaded.valid], instance[loaded.valid]
            for variant in variants:
                changed = variant.apply(loaded.scan, street.num_beams)
                if changed is None:
                    continue
                scan, keep = changed
                labels = self.predict(scan, loaded)
                for tally in tallies.setdefault(variant.name, self._tallies(street)):
                    guess = scored_as(
                        labels.semantic, self.pipeline.classes, tally.protocol, street
                    )
                    truth = scored_as(semantic[keep], table, tally.protocol, street)
                    tally.add(guess, labels.instance, truth, instance[keep])
        return tallies

    def _tallies(self, street: StreetSet) -> list[Tally]:
        return [Tally(self.protocols[name], street.min_points) for name in street.protocols]


def numbers(tallies: Tallies, *, has_instances: bool) -> dict[str, Any]:
    """Scores by variant and set of classes."""
    return {
        name: {tally.protocol.name: tally.scores(has_instances=has_instances) for tally in rows}
        for name, rows in tallies.items()
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The report: what was run, and scores by set, variant and set of classes."""
    say = Console(stderr=True, highlight=False)
    patches = {"on": True, "off": False, None: None}[arguments.patches]
    pipeline = PanopticPipeline.from_weights(
        arguments.weights,
        arguments.device,
        tta=arguments.tta,
        min_score=arguments.min_score,
        prior_power=arguments.prior_power,
        patches=patches,
        voxel_m=arguments.voxel,
    )
    bench = Bench(pipeline)
    variants = choose_variants(arguments.variants)
    most = None if arguments.all_scans else arguments.scans
    sets: dict[str, Any] = {}
    groups: dict[str, list[Tallies]] = {}
    for street in choose_sets(arguments.sets):
        scans = street.scans(arguments.real, most)
        if not scans:
            say.print(f"note: no scans in {arguments.real / street.folder}: {street.name} left out")
            continue
        begin = len(bench.elapsed_s)
        tallies = bench.run(street, scans, variants, say)
        sets[street.name] = {
            "title": street.title,
            "note": street.note,
            "num_scans": len(scans),
            "ms_per_scan": 1e3 * float(np.median(bench.elapsed_s[begin:])),
            "variants": numbers(tallies, has_instances=street.has_instances),
        }
        if street.group:
            groups.setdefault(street.group, []).append(tallies)
    if not sets:
        raise InputError(
            f"{arguments.real}: none of the sets is there: wanted {SETS[0].folder} ..."
        )
    for name, members in groups.items():
        if len(members) > 1:
            sets[name] = together(members)
    command = " ".join(["python", *sys.argv])
    return {"weights": str(arguments.weights), "command": command, "sets": sets}


def together(members: Sequence[Tallies]) -> dict[str, Any]:
    """The report of sets of one kind as if they were one; the members' tallies are used up."""
    first, *others = members
    for other in others:
        for variant, rows in other.items():
            for tally, more in zip(first[variant], rows, strict=True):
                tally.merge(more)
    count = len(next(iter(first.values()))[0].miou_of_scans)
    return {
        "title": "the above together",
        "note": "",
        "num_scans": count,
        "ms_per_scan": None,
        "variants": numbers(first, has_instances=True),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="town", help="shipped weights or a .safetensors file")
    parser.add_argument("--real", type=Path, required=True, help="folder of the real scans")
    parser.add_argument("--sets", default="all", help="all, or names with commas")
    parser.add_argument("--variants", default="as-is", help="all, or names with commas")
    parser.add_argument("--scans", type=int, default=4, help="most scans of a set")
    parser.add_argument("--all-scans", action="store_true", help="every scan of each set")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--tta", action="store_true", help="average turned and scaled copies")
    parser.add_argument("--voxel", type=float, help="edge of the voxels, metres [default: own]")
    parser.add_argument("--min-score", type=float, help="[default: the weights' own]")
    parser.add_argument("--patches", choices=("on", "off"), help="[default: the weights' own]")
    parser.add_argument("--prior-power", type=float, help="0 to 1 [default: the weights' own]")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    arguments = parser.parse_args()
    try:
        report = measure(arguments)
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
    print(as_text(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.markdown:
        arguments.markdown.write_text(as_markdown(report) + "\n")


if __name__ == "__main__":
    main()
