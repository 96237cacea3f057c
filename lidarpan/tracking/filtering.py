"""Measured moves of tracks -> their velocities and places: Kalman filters of constant velocity.

The measured move is that of the surface seen now from the one seen last. `wander` is how far the
place seen last lies from where the track is likelier to have been, so that both are filtered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.tracking.association import MOVE_NOISE_M, MOVING, RESTING, UNKNOWN

Array = NDArray[Any]

STILL_M_S = 0.5


@njit(cache=True)
def filter_moves(
    motion: Array, doubt: Array, wander: Array, dims: Array, radius: Array, scans: Array,
    limits: Array, tracks: Array, moves: Array, unlike: Array, since_s: Array, seen_radius: Array,
) -> None:  # fmt: skip
    """Filter the M tracks that are seen.

    Args:
        motion: (T, 6) as `motion_cost` takes it; changed.
        doubt: (T, 2) as `TrackStore` has it; changed.
        wander: (T, 2) m, as `TrackStore` has it; changed.
        dims: (T, 3) m, seen so far.
        radius: (T,) m, half the diagonal of what was seen last.
        scans: (T,) in how many it was seen.
        limits: (T, 3) top speed m/s, acceleration m/s^2, length m of its class.
        tracks: (M,) which they are.
        moves: (M, 2) m, how they moved since they were seen last.
        unlike: (M,) what the surfaces leave unexplained.
        since_s: (M,) s since then.
        seen_radius: (M,) m, half the diagonal of what is seen now.
    """
    for m in range(len(tracks)):
        t, dt = tracks[m], since_s[m]
        top, acceleration, length = limits[t]
        slack = max(length - 2 * max(seen_radius[m], radius[t]), 0.0)
        whole = 0.5 * np.hypot(dims[t, 0], dims[t, 1])
        hidden = max(min(whole, radius[t]) - seen_radius[m], 0.0)
        noise = 0.5 * (MOVE_NOISE_M + 0.3 * unlike[m] + 0.25 * slack + 0.5 * hidden) ** 2
        if motion[t, 3] == UNKNOWN:
            motion[t, 0] = motion[t, 1] = 0.0
            place, both, variance, more = noise, 0.0, (0.4 * top) ** 2, 0.0
        else:
            place, both, variance = doubt[t, 0], doubt[t, 1], motion[t, 2]
            more = (acceleration * min(dt, 1.0)) ** 2
        place = place + 2 * dt * both + dt**2 * variance
        both = both + dt * variance
        variance = variance + more
        gain, turn = place / (place + noise), both / (place + noise)
        for a in range(2):
            off = wander[t, a] + moves[m, a] - motion[t, a] * dt
            wander[t, a] = (1 - gain) * off
            motion[t, a] += turn * off
        doubt[t, 0], doubt[t, 1] = (1 - gain) * place, (1 - gain) * both
        motion[t, 2] = variance - turn * both
        is_still = np.hypot(motion[t, 0], motion[t, 1]) < STILL_M_S and scans[t] >= 2
        motion[t, 3] = RESTING if is_still else MOVING
