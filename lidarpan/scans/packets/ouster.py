"""Ouster packets -> frames of points, in NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import Fields, FileFields
from lidarpan.scans.intensity import BYTES
from lidarpan.scans.packets.ouster_info import PROFILES, RANGE_UNIT_M, OusterInfo


class OusterFrame(NamedTuple):
    """One turn of the sensor.

    Attributes:
        frame_number: as the sensor counts.
        stamp_ns: when its first packet came, nanoseconds.
        range_mm: (H, W) uint32, 0 where nothing came back; column i is azimuth i of W.
        reflectivity: (H, W) uint8.
        column_ns: (W,) uint64 stamps of the sensor's clock, 0 where the column is missing.
    """

    frame_number: int
    stamp_ns: int
    range_mm: NDArray[np.uint32]
    reflectivity: NDArray[np.uint8]
    column_ns: NDArray[np.uint64]


def assemble_frames(
    packets: Iterable[tuple[int, bytes]], info: OusterInfo
) -> Iterator[OusterFrame]:
    """Put packets together into frames; packets of another size are passed over.

    A frame ends where a packet of a later one comes; a packet of an earlier one is too late and
    left out. The last frame is given as far as it came.

    Args:
        packets: (stamp_ns, payload) in order.
        info: of the sensor.
    """
    record = info.record
    modulus = 1 << (32 if info.is_fusa else 16)
    current: OusterFrame | None = None
    for stamp_ns, payload in packets:
        if len(payload) != record.itemsize:
            continue
        packet = np.frombuffer(payload, record)[0]
        number = int(packet["frame"])
        if current is not None and number != current.frame_number:
            if (current.frame_number - number) % modulus < 8:
                continue
            yield current
            current = None
        if current is None:
            current = _empty_frame(number, stamp_ns, info)
        _enter(packet["columns"], current, info)
    if current is not None:
        yield current


def _empty_frame(number: int, stamp_ns: int, info: OusterInfo) -> OusterFrame:
    shape = (info.height, info.width)
    return OusterFrame(
        number,
        stamp_ns,
        np.zeros(shape, np.uint32),
        np.zeros(shape, np.uint8),
        np.zeros(info.width, np.uint64),
    )


def _enter(columns: NDArray[np.void], frame: OusterFrame, info: OusterInfo) -> None:
    """Write the good columns of a packet into the frame's arrays."""
    profile = PROFILES[info.profile]
    good = (columns["status"] & 1).astype(bool) & (columns["id"] < info.width)
    place = columns["id"][good]
    pixels = columns["pixels"][good]
    values = (pixels["range"] & profile.range_mask).astype(np.uint32) * profile.range_unit_mm
    frame.range_mm[:, place] = values.T
    frame.reflectivity[:, place] = pixels["reflectivity"].T
    frame.column_ns[place] = columns["timestamp"][good]


def frame_fields(frame: OusterFrame, info: OusterInfo) -> FileFields:
    """Columns of H * W points, beam after beam; those without a return are (0, 0, 0).

    Returns:
        x, y, z (float32, metres), reflectivity (bytes), ring (lowest beam 0) and time
        (seconds since the frame's first column).
    """
    hit = frame.range_mm > 0
    xyz = frame.range_mm[..., None] * RANGE_UNIT_M * info.direction + info.offset
    xyz[~hit] = 0.0
    x, y, z = xyz.astype(np.float32).reshape(-1, 3).T
    ring = np.repeat(np.arange(info.height)[::-1], info.width)
    came = frame.column_ns > 0
    begin = frame.column_ns[came].min() if came.any() else np.uint64(0)
    passed = np.where(came, frame.column_ns - begin, 0).astype(np.float64) * 1e-9
    fields: Fields = {
        "x": x,
        "y": y,
        "z": z,
        "reflectivity": frame.reflectivity.reshape(-1),
        "ring": ring.astype(np.int32),
        "time": np.tile(passed.astype(np.float32), info.height),
    }
    return FileFields(fields, scale=BYTES)
