"""The kinds of ground in a town."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Surface:
    """One kind of ground: what it is, its height over the slope, its roughness (metres, std)."""

    kind: str
    material: str
    height_m: float
    rough_m: float
    swell_m: float = 0.0


SURFACES: dict[str, Surface] = {
    "meadow": Surface("terrain", "grass", 0.05, 0.05, 0.06),
    "lawn": Surface("terrain", "grass", 0.10, 0.03, 0.02),
    "verge": Surface("terrain", "grass", 0.10, 0.04, 0.03),
    "ditch": Surface("terrain", "grass", -0.35, 0.05, 0.06),
    "soil": Surface("terrain", "soil", 0.08, 0.03, 0.04),
    "field": Surface("terrain", "soil", 0.02, 0.035, 0.06),
    "road": Surface("road", "asphalt", 0.0, 0.003),
    "marking": Surface("lane_marking", "marking", 0.002, 0.002),
    "bay": Surface("parking", "concrete", 0.015, 0.005),
    "bay_asphalt": Surface("parking", "asphalt", 0.01, 0.004),
    "bay_raised": Surface("parking", "concrete", 0.09, 0.005),
    "bay_line": Surface("parking", "marking", 0.012, 0.003),
    "lot": Surface("parking", "asphalt", 0.02, 0.006, 0.02),
    "driveway": Surface("parking", "concrete", 0.10, 0.007, 0.01),
    "driveway_gravel": Surface("parking", "gravel", 0.09, 0.012, 0.02),
    "sidewalk": Surface("sidewalk", "concrete", 0.12, 0.004, 0.005),
    "sidewalk_flush": Surface("sidewalk", "concrete", 0.04, 0.004, 0.005),
    "sidewalk_high": Surface("sidewalk", "concrete", 0.16, 0.005, 0.005),
    "sidewalk_asphalt": Surface("sidewalk", "asphalt", 0.11, 0.005, 0.005),
    "sidewalk_setts": Surface("sidewalk", "setts", 0.11, 0.006, 0.008),
    "path": Surface("sidewalk", "gravel", 0.10, 0.01, 0.02),
    "bikeway": Surface("sidewalk", "asphalt", 0.10, 0.004),
    "island": Surface("other_ground", "setts", 0.13, 0.01),
    "rails": Surface("other_ground", "gravel", 0.02, 0.02, 0.0),
    "yard": Surface("other_ground", "setts", 0.08, 0.012, 0.02),
}
"""Name -> surface. Heights are over the gently sloping base that carries the town."""

CODE: dict[str, int] = {name: code for code, name in enumerate(SURFACES)}
"""Name -> place in SURFACES, as painted into a ground."""
