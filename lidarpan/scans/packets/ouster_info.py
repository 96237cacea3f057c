"""What an Ouster sensor's metadata say: its packets' layout, and where each pixel looks.

Packet layouts and the projection are those of Ouster's sensor documentation ("Lidar Data Packet
Format" and "Coordinate Frames and XYZ Calculation"); ranges and points equal ouster-sdk's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.numpy_files import one_line
from lidarpan.structures import InputError

RANGE_UNIT_M = 1e-3


class _Profile(NamedTuple):
    """Where range and reflectivity are in the bytes of a pixel."""

    pixel_bytes: int
    range_mask: int
    range_unit_mm: int
    reflectivity_at: int


_LONG, _SHORT = 0x7FFFF, 0x7FFF
PROFILES = {
    "LEGACY": _Profile(12, 0xFFFFF, 1, 4),
    "RNG19_RFL8_SIG16_NIR16": _Profile(12, _LONG, 1, 4),
    "RNG19_RFL8_SIG16_NIR16_DUAL": _Profile(16, _LONG, 1, 3),
    "RNG19_RFL8_SIG16_NIR16_ZONE16": _Profile(12, _LONG, 1, 4),
    "RNG19_RFL8_SIG16_ZONE16_DUAL": _Profile(16, _LONG, 1, 3),
    "RNG19_RFL8_SIG16_NIR16_RGB16": _Profile(16, _LONG, 1, 3),
    "RNG19_RFL8_SIG16_NIR16_RGB16_DUAL": _Profile(20, _LONG, 1, 3),
    "RNG15_RFL8_NIR8": _Profile(4, _SHORT, 8, 2),
    "RNG15_RFL8_WIN8": _Profile(4, _SHORT, 8, 2),
    "RNG15_RFL8_NIR8_DUAL": _Profile(8, _SHORT, 8, 2),
    "RNG15_RFL8_NIR8_ZONE16": _Profile(8, _SHORT, 8, 2),
    "FUSA_RNG15_RFL8_NIR8_DUAL": _Profile(8, _SHORT, 8, 2),
    "FIVE_WORD_PIXEL": _Profile(20, _LONG, 1, 3),
}
"""By the metadata's `udp_profile_lidar`; of two returns the first is read."""


@dataclass(frozen=True)
class OusterInfo:
    """What the sensor's metadata say.

    Attributes:
        product: such as "OS-1-128".
        profile: name of the packets' layout.
        height: H beams.
        width: W columns of a frame.
        columns_per_packet: columns of a packet.
        is_fusa: whether the packets have the header of the safety profiles.
        direction: (H, W, 3) float64, unit vectors of the beams in the sensor frame.
        offset: (H, W, 3) float64, metres, added to range times direction.
    """

    product: str
    profile: str
    height: int
    width: int
    columns_per_packet: int
    is_fusa: bool
    direction: NDArray[np.float64]
    offset: NDArray[np.float64]

    @property
    def packet_bytes(self) -> int:
        """Size of a packet of points."""
        return self.record.itemsize

    @property
    def record(self) -> np.dtype[np.void]:
        """The bytes of a packet."""
        return _packet_record(self)


def read_info(text: str, origin: str) -> OusterInfo:
    """Read a sensor's metadata, of any firmware since 1.12.

    Raises:
        InputError: no such metadata, or a packet layout that is not known.
    """
    try:
        data = json.loads(text)
        flat = _flattened(data)
        layout = flat.get("data_format") or {}
        profile = str(layout.get("udp_profile_lidar") or "LEGACY")
        altitude = np.array(flat["beam_altitude_angles"], np.float64)
        azimuth = np.array(flat["beam_azimuth_angles"], np.float64)
        width = int(layout.get("columns_per_frame") or str(flat["lidar_mode"]).split("x")[0])
        to_sensor = np.array(flat.get("lidar_to_sensor_transform", _TO_SENSOR), np.float64)
        to_lidar = flat.get("beam_to_lidar_transform")
        arm_mm = float(flat.get("lidar_origin_to_beam_origin_mm", 0.0))
        beam = np.eye(4) if to_lidar is None else np.array(to_lidar, np.float64).reshape(4, 4)
        if to_lidar is None:
            beam[0, 3] = arm_mm
        height = int(layout.get("pixels_per_column") or altitude.shape[0])
        columns = int(layout.get("columns_per_packet") or 16)
        fits = altitude.shape == azimuth.shape == (height,) and 0 < width <= 1 << 14
        is_finite = all(np.isfinite(part).all() for part in (altitude, azimuth, beam, to_sensor))
        if not (fits and is_finite and columns > 0):
            raise ValueError(f"{altitude.shape} and {azimuth.shape} angles, {height} beams")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{origin}: wanted an Ouster sensor's metadata, {one_line(error)}"
        ) from None
    if profile not in PROFILES:
        raise InputError(
            f"{origin}: the packet layout {profile} is not known: wanted {', '.join(PROFILES)}"
        )
    is_fusa = profile.startswith("FUSA") or str(layout.get("header_type", "")).upper() == "FUSA"
    direction, offset = _rays(altitude, azimuth, width, beam, to_sensor.reshape(4, 4))
    product = str(flat.get("prod_line", ""))
    return OusterInfo(product, profile, height, width, columns, is_fusa, direction, offset)


_TO_SENSOR = [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 36.18, 0, 0, 0, 1]


def _flattened(data: Any) -> dict[str, Any]:
    """Newer firmware nests what older had side by side."""
    if not isinstance(data, dict):
        raise ValueError("no JSON object")
    flat: dict[str, Any] = {}
    for key, value in data.items():
        nested = isinstance(value, dict) and key not in ("data_format", "lidar_data_format")
        flat |= value if nested else {key: value}
    if "lidar_data_format" in flat:
        flat["data_format"] = flat.pop("lidar_data_format")
    return flat


def _rays(
    altitude_deg: NDArray[np.float64],
    azimuth_deg: NDArray[np.float64],
    width: int,
    beam_T: NDArray[np.float64],
    sensor_T: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Direction and offset of every pixel in the sensor frame; millimetres in, metres out."""
    encoder = 2 * np.pi * (1 - np.arange(width) / width)[None, :]
    turned = encoder - np.radians(azimuth_deg)[:, None]
    phi = np.radians(altitude_deg)[:, None]
    arm = float(np.hypot(beam_T[0, 3], beam_T[2, 3]))
    direction = np.stack(
        [np.cos(turned) * np.cos(phi), np.sin(turned) * np.cos(phi), np.sin(phi) + 0 * turned], -1
    )
    lever = np.stack(
        [
            np.cos(encoder) * beam_T[0, 3] + 0 * phi,
            np.sin(encoder) * beam_T[0, 3] + 0 * phi,
            np.full((len(altitude_deg), width), beam_T[2, 3]),
        ],
        -1,
    )
    offset = lever - arm * direction
    rotation, translation = sensor_T[:3, :3], sensor_T[:3, 3]
    return direction @ rotation.T, (offset @ rotation.T + translation) * RANGE_UNIT_M


def _packet_record(info: OusterInfo) -> np.dtype[np.void]:
    """The bytes of a packet as a record."""
    profile, height = PROFILES[info.profile], info.height
    is_legacy = info.profile == "LEGACY"
    is_short = profile.range_mask == _SHORT
    pixel = np.dtype(
        {
            "names": ["range", "reflectivity"],
            "formats": ["<u2" if is_short else "<u4", "u1"],
            "offsets": [0, profile.reflectivity_at],
            "itemsize": profile.pixel_bytes,
        }
    )
    head = 16 if is_legacy else 12
    pixels = profile.pixel_bytes * height
    column = np.dtype(
        {
            "names": ["timestamp", "id", "frame", "status", "pixels"],
            "formats": ["<u8", "<u2", "<u2", "<u4" if is_legacy else "<u2", (pixel, (height,))],
            "offsets": [0, 8, 10, head + pixels if is_legacy else 10, head],
            "itemsize": head + pixels + (4 if is_legacy else 0),
        }
    )
    around = 0 if is_legacy else 32
    return np.dtype(
        {
            "names": ["frame", "columns"],
            "formats": ["<u4" if info.is_fusa else "<u2", (column, (info.columns_per_packet,))],
            "offsets": [10 if is_legacy else (4 if info.is_fusa else 2), around],
            "itemsize": 2 * around + column.itemsize * info.columns_per_packet,
        }
    )


def _shared(one: str, other: str) -> int:
    """How many letters two names share from the start."""
    pairs = zip(one, other, strict=False)
    return next((k for k, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def find_info(capture: Path) -> OusterInfo:
    """The metadata that lie beside a capture: `.json`, of the most similar name.

    Raises:
        InputError: there are none.
    """
    stem = capture.stem.lower()
    found: list[tuple[int, Path, OusterInfo]] = []
    for file in sorted(capture.parent.glob("*.json")):
        if file.stat().st_size > 1 << 22:
            continue
        try:
            info = read_info(file.read_text(encoding="utf-8"), str(file))
        except (InputError, UnicodeDecodeError):
            continue
        alike = _shared(stem, file.stem.lower())
        found.append((alike, file, info))
    if not found:
        raise InputError(
            f"{capture}: holds Ouster packets, wanted the sensor's metadata (.json) beside it: "
            "fetch them with `ouster-cli source HOST metadata` or http://HOST/api/v1/sensor/metadata"
        )
    return max(found, key=lambda entry: entry[0])[2]
