"""Sensors known by name: beam tables, steps and ranges, from presets.yaml, which says whence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.synthetic.sensors.sensor import Sensor
from lidarpan.synthetic.tables import read_table


def _angles(beams_deg: tuple[Any, ...]) -> NDArray[np.float64]:
    """Ascending angles of single beams and of evenly spaced ones. -> (B,) degrees."""
    parts = [
        np.linspace(beam["from"], beam["to"], beam["count"]) if isinstance(beam, dict) else [beam]
        for beam in beams_deg
    ]
    return np.sort(np.concatenate(parts))


def _sensor(name: str, beams_deg: tuple[Any, ...], **measures: Any) -> Sensor:
    return Sensor(name, np.radians(_angles(beams_deg)), **measures)


SENSORS = {name: _sensor(name, **row) for name, row in read_table("sensors/presets").items()}
"""The sensors known by name; hdl64e is KITTI's as mounted there, hdl32e nuScenes'."""
