"""How many scans the benchmarks' own splits have.

SemanticKITTI: scans per sequence of the KITTI odometry benchmark, 23,201 with labels and 20,351 in
the test split (Behley et al., ICCV 2019, section 3). Panoptic nuScenes: key frames per split
(nuscenes.org/nuscenes: 28,130 train, 6,019 val, 6,008 test; the mini splits counted).
"""

from __future__ import annotations

SEMANTICKITTI = {
    "00": 4541, "01": 1101, "02": 4661, "03": 801, "04": 271, "05": 2761, "06": 1101,
    "07": 1101, "08": 4071, "09": 1591, "10": 1201, "11": 921, "12": 1061, "13": 3281,
    "14": 631, "15": 1901, "16": 1731, "17": 491, "18": 1801, "19": 4981, "20": 831,
    "21": 2721,
}  # fmt: skip
"""Sequence -> number of scans."""

NUSCENES = {"train": 28_130, "val": 6_019, "test": 6_008, "mini_train": 323, "mini_val": 81}
"""Split -> number of LIDAR_TOP key frames."""
