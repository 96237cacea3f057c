"""Evidence in words."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from lidarpan.attribution import Evidence, Explainer
from lidarpan.model.outputs import PreparedScan
from lidarpan.structures import BoolArray

EDGE_M = 0.4
"""Height of what counts as an object's lower edge."""


def share_on(evidence: Evidence, voxels: BoolArray) -> float:
    """Share of the evidence for the class that some voxels give. (V,) bool -> [0, 1]."""
    gain = np.maximum(evidence.voxel.sum(axis=1), 0)
    return float(gain[voxels].sum() / max(gain.sum(), 1e-12))


def lower_edge(evidence: Evidence, prepared: PreparedScan) -> BoolArray:
    """(V,) bool, the object's voxels within EDGE_M of its lowest."""
    height = prepared.voxel_height()
    low = height[evidence.target].min()
    edge: BoolArray = evidence.target & (height <= low + EDGE_M)
    return edge


def sentences(evidence: Evidence, prepared: PreparedScan, name: str, class_name: str) -> list[str]:
    """What speaks for the class, and how far to trust it.

    Args:
        evidence: of `Explainer.evidence`.
        prepared: the scan.
        name: of the object, such as "car 12".
        class_name: of its class.
    """
    edge = share_on(evidence, lower_edge(evidence, prepared))
    own = share_on(evidence, evidence.target)
    groups = sorted(evidence.of_groups().items(), key=lambda item: -item[1])
    parts = "; ".join(f"{group} {share:.0%}" for group, share in groups)
    odds = f"log-odds {evidence.log_odds:+.1f}, {evidence.base:+.1f} for a scan that looks alike"
    return [
        f"{edge:.0%} of the evidence for {name} lies within {EDGE_M} m of its lower edge, "
        f"{own:.0%} on the object itself, {1 - own:.0%} around it.",
        f"By feature: {parts}.",
        f"{class_name}: {odds} everywhere; completeness error {evidence.completeness_error:.1%}.",
    ]


def check_by_occlusion(
    explainer: Explainer, evidence: Evidence, class_id: int, within_m: float = 4.0
) -> str:
    """How far the evidence of pieces near the object goes with what the answer loses without them.

    Args:
        explainer: of the scan.
        evidence: for the class.
        class_id: train id.
        within_m: how far around the object pieces are taken away.
    """
    piece = explainer.pieces(evidence.near, evidence.target, within_m)
    lost = explainer.occluded(evidence.near, evidence.target, class_id, piece)
    given = np.bincount(
        piece[piece >= 0], evidence.voxel.sum(axis=1)[piece >= 0], minlength=len(lost)
    )
    known = np.isfinite(lost)
    if known.sum() < 5:
        return "Too few pieces to check the evidence by taking them away."
    rank = float(spearmanr(given[known], lost[known]).statistic)
    return (
        f"Taking away {int(known.sum())} pieces one by one: what the answer loses goes with their "
        f"evidence, rank correlation {rank:.2f}."
    )
