"""What has been seen of one sequence: its true and predicted tracks and where they meet."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, TypeVar

from lidarpan.metrics.matching import LabelArray
from lidarpan.metrics.panoptic import PanopticQuality
from lidarpan.structures import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

NO_INSTANCE = 0
"""A predicted id that says: no object."""

Track = tuple[int, int]
"""Class and instance id of an object, which stay over a sequence."""


def track_of(segment: LabelArray) -> Track:
    """The track of a row (class, id, size)."""
    return int(segment[0]), int(segment[1])


Seen = TypeVar("Seen")


class SequenceQuality(Generic[Seen]):
    """What measures of tracks have in common: scans of sequences, added one after the other."""

    _seen: type[Seen]
    """What has been seen of a sequence, made empty."""

    def __init__(
        self,
        num_classes: int,
        things: Collection[int],
        ignore: Collection[int] | int | None = (0,),
        *,
        min_points: int,
    ) -> None:
        self.quality = PanopticQuality(num_classes, things, ignore, min_points=min_points)
        self._sequences: dict[str, Seen] = defaultdict(self._seen)

    def merge(self, other: Self) -> None:
        """Add the sequences of another accumulator, none of which this one has.

        Raises:
            InputError: a sequence is in both, or the rules differ.
        """
        both = sorted(set(self._sequences) & set(other._sequences))
        if both:
            raise InputError(
                f"sequences {both} are in both: scans of one belong to one accumulator"
            )
        self.quality.merge(other.quality)
        self._sequences.update(other._sequences)


@dataclass
class Tubes:
    """Sums over the scans of a sequence.

    Attributes:
        last: true track -> predicted id that it matched in the scan before.
        known: true track -> predicted id that it matched last, ever.
        partners: true track -> the predicted id that it matched, of any class, in each scan that
            has it; NO_INSTANCE for none.
        num_scans_of: predicted id -> scans that have it.
        pred_points: predicted id -> points over all scans.
        true_points: true track -> points over all scans.
        common_points: (true track, predicted id) -> points in both over all scans.
        met: (true track, predicted track) -> scans in which they match.
    """

    last: dict[Track, int] = field(default_factory=dict)
    known: dict[Track, int] = field(default_factory=dict)
    partners: dict[Track, list[int]] = field(default_factory=dict)
    num_scans_of: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    pred_points: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    true_points: dict[Track, int] = field(default_factory=lambda: defaultdict(int))
    common_points: dict[tuple[Track, int], int] = field(default_factory=lambda: defaultdict(int))
    met: dict[tuple[Track, Track], int] = field(default_factory=lambda: defaultdict(int))

    def associations(self) -> list[float]:
        """LSTQ's association of each true tube: sum over predictions of TPA * IoU / size."""
        sums = dict.fromkeys(self.true_points, 0.0)
        for (track, pred_id), common in self.common_points.items():
            if pred_id in self.pred_points:
                union = self.true_points[track] + self.pred_points[pred_id] - common
                sums[track] += common * (common / union)
        return [value / self.true_points[track] for track, value in sums.items()]

    def track_scores(self) -> list[float]:
        """TQ of each true track: sqrt(association quality * share of scans without a switch)."""
        return [self._track_score(partners) for partners in self.partners.values()]

    def _track_score(self, partners: list[int]) -> float:
        length = len(partners)
        association = 0.0
        for pred_id in dict.fromkeys(partners):
            if pred_id != NO_INSTANCE:
                together = partners.count(pred_id)
                scans = self.num_scans_of.get(pred_id, together)  # too small: no scan elsewhere
                association += together**2 / (length + scans - together)
        switches = sum(now != before or before == NO_INSTANCE for before, now in pairwise(partners))
        kept = 1 - switches / (length - 1) if length > 1 else 1.0
        return math.sqrt(association / length * kept)
