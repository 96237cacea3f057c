"""Scans alone -> where the sensor was, by KISS-ICP (Vizzo et al., RA-L 2023), an extra."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lidarpan.optional import need
from lidarpan.structures import Scan

MAX_RANGE_M = 100.0


def estimate_poses(scans: Iterable[Scan]) -> NDArray[np.float64]:
    """Estimate world_T_sensor of each scan, in the sensor frame of the first. -> (T, 4, 4).

    Scans whose points have times are deskewed: the sensor moves while it turns. Scans without
    points stay where the scan before was.

    Raises:
        InputError: kiss-icp is not installed.
    """
    what = "--odometry"
    method = need("kiss_icp.kiss_icp", "odometry", what)
    settings = need("kiss_icp.config", "odometry", what)
    engine, poses = None, []
    for scan in scans:
        if engine is None:
            config = settings.load_config(None)
            config.data.max_range = MAX_RANGE_M
            config.data.deskew = scan.time is not None
            config.mapping.voxel_size = MAX_RANGE_M / 100
            engine = method.KissICP(config)
        if scan.num_points:
            engine.register_frame(scan.points.astype(np.float64), _shares_of_turn(scan))
        poses.append(engine.last_pose.copy())
    return np.array(poses, np.float64).reshape(-1, 4, 4)


def _shares_of_turn(scan: Scan) -> NDArray[np.float64]:
    """Times of the points within their scan, from 0 to 1; none without times."""
    if scan.time is None:
        return np.zeros(0)
    time = scan.time.astype(np.float64)
    span = float(np.ptp(time))
    shares: NDArray[np.float64] = (time - time.min()) / span if span > 0 else np.zeros(len(time))
    return shares
