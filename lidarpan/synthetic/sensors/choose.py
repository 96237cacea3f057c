"""A sensor by name, from a file, or another one in every town."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.structures import InputError
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.sensors.random_sensor import random_sensor
from lidarpan.synthetic.sensors.sensor import Sensor, check_sensor
from lidarpan.text_trees import read_yaml_tree

_DEFAULTS: dict[str, Any] = {
    "azimuth_step_deg": 0.2,
    "min_range_m": 0.5,
    "max_range_m": 100.0,
    "range_noise_m": 0.02,
    "height_m": 1.8,
    "sector_deg": None,
    "tilt_deg": [0.0, 0.0],
}


def sensor_of_town(sensor: str) -> Callable[[int], Sensor]:
    """Which sensor drives through the town of a seed.

    Args:
        sensor: name of a sensor, a YAML file, or "random".

    Raises:
        InputError: no such name or file, or a file that describes no sensor.
    """
    if sensor == "random":
        return lambda seed: random_sensor(np.random.default_rng([seed, 11]))
    if sensor in SENSORS:
        return lambda _: SENSORS[sensor]
    if Path(sensor).suffix in (".yaml", ".yml"):
        one = read_sensor(Path(sensor))
        return lambda _: one
    names = ", ".join([*SENSORS, "random"])
    raise InputError(f"no sensor {sensor!r}: wanted a YAML file or one of {names}")


def read_sensor(path: Path) -> Sensor:
    """A sensor described by a YAML file.

    Keys: elevations_deg, a list of beam angles above the horizon; and, where the value given here
    does not do: azimuth_step_deg 0.2, min_range_m 0.5, max_range_m 100, range_noise_m 0.02,
    height_m 1.8, sector_deg [from, to] of azimuth, counter-clockwise from straight ahead (all
    round), tilt_deg [about x, about y] ([0, 0]), name.

    Raises:
        InputError: the file cannot be read, a key is unknown or a value makes no sensor.
    """
    tree = read_yaml_tree(path)
    if not isinstance(tree, dict):
        raise InputError(f"{path}: wanted a mapping with elevations_deg, got {type(tree).__name__}")
    known = ("name", "elevations_deg", *_DEFAULTS)
    if unknown := sorted(set(map(str, tree)) - set(known)):
        raise InputError(f"{path}: {unknown[0]}: unknown key, wanted {', '.join(known)}")
    value = {**_DEFAULTS, "name": path.stem, **tree}
    elevations = _numbers(path, "elevations_deg", value.get("elevations_deg"), None)
    sector = value["sector_deg"]
    if sector is not None:
        start, stop = np.radians(_numbers(path, "sector_deg", sector, 2)).tolist()
    step = _number(path, "azimuth_step_deg", value["azimuth_step_deg"])
    if not 0 < step <= 360:
        raise InputError(f"{path}: azimuth_step_deg: wanted more than 0, at most 360, got {step}")
    roll, pitch = np.radians(_numbers(path, "tilt_deg", value["tilt_deg"], 2)).tolist()
    nearest, farthest, noise, height = (
        _number(path, key, value[key])
        for key in ("min_range_m", "max_range_m", "range_noise_m", "height_m")
    )
    sensor = Sensor(
        str(value["name"]),
        np.sort(np.radians(elevations)),
        round(360 / step),
        nearest,
        farthest,
        noise,
        height,
        sector_rad=None if sector is None else (start, stop),
        tilt_rad=(roll, pitch),
    )
    return check_sensor(sensor, f"{path}: ")


def _number(path: Path, key: str, value: object) -> float:
    return float(_numbers(path, key, [value], 1)[0])


def _numbers(path: Path, key: str, value: object, count: int | None) -> np.ndarray[Any, Any]:
    """A list of finite numbers as float64; InputError where it is none, or of another length."""
    items = value if isinstance(value, list) else []
    fits = bool(items) and all(
        isinstance(item, int | float) and not isinstance(item, bool) and np.isfinite(item)
        for item in items
    )
    if not fits or (count is not None and len(items) != count):
        wanted = "a number" if count == 1 else f"{count or 'some'} numbers"
        got = value[0] if count == 1 and isinstance(value, list) else value
        raise InputError(f"{path}: {key}: wanted {wanted}, got {got!r}")
    return np.array(items, np.float64)
