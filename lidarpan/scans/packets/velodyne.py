"""Velodyne packets -> points, by the library velodyne-decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.fields import Fields, FileFields
from lidarpan.scans.intensity import BYTES
from lidarpan.scans.numpy_files import one_line
from lidarpan.structures import InputError

PACKET_BYTES = 1206
Packet = tuple[int, bytes]
"""(stamp_ns, payload)."""


def decode_scan(packets: Sequence[Packet], stamp_ns: int, origin: str) -> FileFields:
    """Points of the packets of one turn, as a VelodyneScan message holds them.

    Args:
        packets: of one turn.
        stamp_ns: of the scan, nanoseconds; the points' times count from it.
        origin: what to call it in errors.

    Raises:
        InputError: packets that are not Velodyne's, or no point in them.
    """
    decoder = need("velodyne_decoder", RECORDINGS)
    if not packets:
        raise InputError(f"{origin}: wanted packets, got an empty message")
    try:
        listed = [decoder.VelodynePacket(stamp * 1e-9, data) for stamp, data in packets]
        scanner = decoder.ScanDecoder(decoder.Config())
        when, points = scanner.decode(decoder.PacketVector(listed), True)
    except (ValueError, RuntimeError, TypeError) as error:
        raise InputError(f"{origin}: wanted Velodyne packets, {one_line(error)}") from None
    return _fields(points, when.host - stamp_ns * 1e-9)


def decode_stream(packets: Iterable[Packet], origin: str) -> Iterator[tuple[int, FileFields]]:
    """Cut a stream of packets into turns: (stamp_ns, points) of each.

    Raises:
        InputError: packets that are not Velodyne's.
    """
    decoder = need("velodyne_decoder", RECORDINGS)
    stream = decoder.StreamDecoder(decoder.Config())
    try:
        for stamp_ns, data in packets:
            result = stream.decode(stamp_ns * 1e-9, data, True)
            if result is not None:
                yield _stamped(*result)
        result = stream.finish(True)
    except (ValueError, RuntimeError, TypeError) as error:
        raise InputError(f"{origin}: wanted Velodyne packets, {one_line(error)}") from None
    if result is not None:
        yield _stamped(*result)


def _stamped(when: Any, points: NDArray[np.void]) -> tuple[int, FileFields]:
    return round(when.host * 1e9), _fields(points, 0.0)


def _fields(points: NDArray[np.void], later_s: float) -> FileFields:
    """The decoder's columns; times count from a stamp `later_s` before the decoder's own."""
    fields: Fields = {axis: points[axis] for axis in ("x", "y", "z", "intensity", "ring")}
    fields["time"] = points["time"] + np.float32(later_s)
    return FileFields(fields, scale=BYTES)
