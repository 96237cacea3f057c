"""What scores of objects mean on real streets, and below which one an object is better left out.

    python benchmarks/street_scores.py --weights town --real ../shared/data
    python benchmarks/street_scores.py --weights W.safetensors --real ../shared/data --write W2...

From the real sets whose objects are labelled and that were not trained on, each with the same
weight: a rising line from the network's scores to the share of objects that are right (a match by
the rules of PQ), and the least score that gives the best mean PQ. Each set is also judged by the
line of the others alone. `--write` puts both into the header of the weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from score_maps import ScoreMap, fit_score_map
from street_sets import StreetSet, choose_sets, protocols, scored_as

from lidarpan import PanopticPipeline
from lidarpan.inference import Handling
from lidarpan.metrics import PanopticQuality
from lidarpan.model.checkpoint import load_weights, save_weights
from lidarpan.model.weights import find_weights
from lidarpan.scans.ego import hide_ego
from lidarpan.scans.files import load_scan
from lidarpan.scans.inspection import sensor_height

THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
Scored = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


class Answers:
    """What the network said of a set's scans, to be grouped and merged again and again."""

    def __init__(self, pipeline: PanopticPipeline, street: StreetSet, scans: list[Path]) -> None:
        self.pipeline, self.street = pipeline, street
        self.protocol = protocols()[street.protocols[0]]
        self.scans = [self._ask(path) for path in scans]

    def _ask(self, path: Path) -> tuple[Any, ...]:
        loaded = load_scan(path, self.pipeline.sensor_height_m)
        loaded, _ = Handling(is_levelled=True).turned(loaded, self.pipeline.sensor_height_m)
        height = sensor_height(loaded.scan, self.pipeline.sensor_height_m)
        shown = hide_ego(loaded, "auto", height)
        prepared = self.pipeline.prepare(shown.scan, sensor_height_m=height)
        semantic, instance, table = self.street.truth(path)
        truth = scored_as(semantic, table, self.protocol, self.street)
        return prepared, self.pipeline.run_network(prepared), shown.valid, truth, instance

    def quality(self, score_map: ScoreMap, min_score: float) -> tuple[PanopticQuality, Scored]:
        """PQ with a map and a least score; and every counted object's score and whether right."""
        self.pipeline.score_map, self.pipeline.min_score = score_map, min_score
        size, things = len(self.protocol.names), self.protocol.things
        total = PanopticQuality(size, things, min_points=self.street.min_points)
        found = []
        for prepared, outputs, valid, truth, instance in self.scans:
            labels = self.pipeline.finish(prepared, outputs).spread_over(valid)
            guess = scored_as(labels.semantic, self.pipeline.classes, self.protocol, self.street)
            matches = total.update(guess, labels.instance, truth, instance)
            right = np.zeros(len(matches.pred), np.bool_)
            right[matches.pair[matches.is_match, 0]] = True
            counts = (right | matches.invented(self.street.min_points)) & (matches.pred[:, 1] > 0)
            counts &= np.isin(matches.pred[:, 0], things)
            assert labels.score is not None
            score = labels.score[matches.pred[counts, 1]]
            found.append(np.column_stack([score, right[counts]]))
        both = np.concatenate(found)
        return total, (both[:, 0].astype(np.float64), both[:, 1] > 0)


def joined(scored: list[Scored]) -> Iterator[np.ndarray[Any, Any]]:
    """Scores, right and weights of several sets, each set of the same weight in all."""
    yield np.concatenate([score for score, _ in scored])
    yield np.concatenate([right for _, right in scored])
    yield np.concatenate([np.full(len(score), 1 / max(len(score), 1)) for score, _ in scored])


def pq_of(quality: PanopticQuality) -> float:
    """PQ over the classes with 100 true points or more."""
    scores = quality.compute()
    present = scores.confusion.sum(axis=0) >= 100
    present[0] = False
    return float(scores.class_pq[present].mean())


def gap(scored: Scored, score_map: ScoreMap) -> float:
    """Mean over five bins of |mean score - share right|, weighed by the objects in each."""
    score, right = scored
    mapped = np.interp(score, *zip(*score_map, strict=True)) if score_map else score
    bins = np.minimum((mapped * 5).astype(int), 4)
    parts = [(bins == b) for b in range(5) if (bins == b).any()]
    return float(sum(abs(mapped[p].sum() - right[p].sum()) for p in parts) / max(len(score), 1))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="town", help="shipped weights or a .safetensors file")
    parser.add_argument("--real", type=Path, required=True, help="folder of the real scans")
    parser.add_argument("--sets", default="semantickitti00,semantickitti08,nuscenes")
    parser.add_argument("--scans", type=int, default=6, help="most scans of a set")
    parser.add_argument(
        "--write", type=Path, help="write weights with the line and the least score"
    )
    chosen = parser.parse_args()
    pipeline = PanopticPipeline.from_weights(chosen.weights)
    answers = [
        Answers(pipeline, street, street.scans(chosen.real, chosen.scans))
        for street in choose_sets(chosen.sets)
    ]
    plain = [one.quality((), 0.0)[1] for one in answers]
    score_map = fit_score_map(*joined(plain))
    print("score -> share right: " + ", ".join(f"{x:.2f} -> {y:.2f}" for x, y in score_map))
    for i, one in enumerate(answers):
        others = fit_score_map(*joined(plain[:i] + plain[i + 1 :])) if len(plain) > 1 else ()
        score, right = plain[i]
        print(
            f"  {one.street.name:16s} {right.sum():3d} of {len(score):3d} right; gap "
            f"{gap(plain[i], ()):.3f} without, {gap(plain[i], score_map):.3f} with the line, "
            f"{gap(plain[i], others):.3f} with that of the others"
        )
    means = []
    for threshold in THRESHOLDS:
        each = [pq_of(one.quality(score_map, threshold)[0]) for one in answers]
        means.append(float(np.mean(each)))
        print(
            f"least score {threshold:.1f}: PQ {means[-1]:.4f} " + " ".join(f"{p:.3f}" for p in each)
        )
    best = THRESHOLDS[int(np.argmax(np.round(means, 3)))]
    print(f"best: {best}")
    if chosen.write:
        state, header = load_weights(find_weights(chosen.weights))
        fusion = header["config"].setdefault("fusion", {})
        fusion |= {"score_map": [list(knot) for knot in score_map], "min_score": best}
        save_weights(chosen.write, state, header, half=True)
        print(f"written: {chosen.write}")


if __name__ == "__main__":
    main()
