"""Livox's own point messages, taken out of their bytes at once instead of point after point.

Definition: livox_ros_driver2, msg/CustomMsg.msg and CustomPoint.msg. A point is 19 bytes: uint32
offset_time (ns), float32 x, y, z (m), uint8 reflectivity, tag, line; in ROS 2's encoding (CDR) the
next one begins at a multiple of four.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lidarpan.scans.fields import Fields, FileFields
from lidarpan.scans.intensity import BYTES
from lidarpan.structures import InputError

TYPES = ("livox_ros_driver/msg/CustomMsg", "livox_ros_driver2/msg/CustomMsg")
_BYTES = 19
_NAMES = ["time", "x", "y", "z", "reflectivity", "tag", "ring"]
_FORMATS = ["<u4", "<f4", "<f4", "<f4", "u1", "u1", "u1"]
_OFFSETS = [0, 4, 8, 12, 16, 17, 18]


class LivoxCloud(NamedTuple):
    """The points of a CustomMsg.

    Attributes:
        stamp_ns: of its header, nanoseconds.
        frame_id: of its header.
        fields: x, y, z, reflectivity, tag, ring (the line) and time (ns since the first point).
    """

    stamp_ns: int
    frame_id: str
    fields: FileFields


def read_livox(data: bytes, is_ros1: bool, origin: str) -> LivoxCloud:
    """Decode a CustomMsg; raises InputError where it is cut off or of another layout."""
    begin = 4  # behind ROS 1's number of the message, or behind what says how CDR is encoded
    if not is_ros1 and data[:2] not in (b"\x00\x01", b"\x00\x00"):
        raise InputError(f"{origin}: wanted a message in little-endian CDR, got another encoding")
    try:
        seconds, nanoseconds, size = np.frombuffer(data, "<u4", 3, begin).tolist()
        name = data[begin + 12 : begin + 12 + size].split(b"\x00")[0].decode()
        place = begin + 12 + size
        if not is_ros1:
            place = 4 + -(-(place - 4) // 8) * 8  # uint64 timebase
        place += 8  # timebase
        (count,) = np.frombuffer(data, "<u4", 1, place).tolist()
        (length,) = np.frombuffer(data, "<u4", 1, place + 8).tolist()
        start, step = place + 12, _BYTES if is_ros1 else _BYTES + 1
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{origin}: wanted a livox CustomMsg, got {error}: cut off?") from None
    needed = start + max(length * step - (step - _BYTES), 0)
    if count != length or needed > len(data):
        raise InputError(
            f"{origin}: wanted {count} points in {needed} bytes, got {length} in {len(data)}: cut?"
        )
    record = np.dtype({"names": _NAMES, "formats": _FORMATS, "offsets": _OFFSETS, "itemsize": step})
    padded = data if needed + step <= len(data) else data + bytes(step)
    points = np.frombuffer(padded, record, length, start)
    fields: Fields = {column: points[column] for column in _NAMES}
    return LivoxCloud(seconds * 10**9 + nanoseconds, name, FileFields(fields, scale=BYTES))
