"""Foxglove's own messages, encoded as protobuf or JSON, without their libraries.

Schemas: foxglove.PointCloud, FrameTransform, FrameTransforms (github.com/foxglove/foxglove-sdk,
schemas/proto); wire format: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lidarpan.scans.recordings.pointcloud2 import FOXGLOVE_TYPES, PackedPoints, point_field
from lidarpan.structures import InputError

Pose = tuple[float, float, float, float, float, float, float]
IDENTITY: Pose = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


class FoxgloveCloud(NamedTuple):
    """A foxglove.PointCloud.

    Attributes:
        stamp_ns: nanoseconds.
        frame_id: of the pose.
        pose: of the points' origin in frame_id: x, y, z, qx, qy, qz, qw.
        points: the records.
    """

    stamp_ns: int
    frame_id: str
    pose: Pose
    points: PackedPoints


class FoxgloveTransform(NamedTuple):
    """A foxglove.FrameTransform: where the child frame is in the parent."""

    stamp_ns: int
    parent: str
    child: str
    pose: Pose


def read_cloud(data: bytes, encoding: str, origin: str) -> FoxgloveCloud:
    """Decode a foxglove.PointCloud; raises InputError."""
    message = _Reader.of(data, encoding, origin)
    stride = message.number("point_stride", 4)
    fields = tuple(
        point_field(
            entry.text("name", 1),
            entry.number("offset", 2),
            entry.number("type", 3),
            1,
            FOXGLOVE_TYPES,
            origin,
        )
        for entry in message.all("fields", 5)
    )
    content = np.frombuffer(message.content("data", 6), np.uint8)
    if stride <= 0 or len(content) % stride:
        raise InputError(
            f"{origin}: wanted whole points of {stride} bytes, got {len(content)} bytes: cut off?"
        )
    num_points = len(content) // stride
    points = PackedPoints(1, num_points, fields, stride, stride * num_points, content)
    pose = message.one("pose", 3)
    return FoxgloveCloud(
        _stamp(message.one("timestamp", 1)),
        message.text("frame_id", 2),
        IDENTITY if pose is None else _pose(pose.one("position", 1), pose.one("orientation", 2)),
        points,
    )


def read_transforms(
    data: bytes, encoding: str, is_list: bool, origin: str
) -> list[FoxgloveTransform]:
    """Decode a foxglove.FrameTransform, or FrameTransforms where `is_list`; raises InputError."""
    message = _Reader.of(data, encoding, origin)
    entries = list(message.all("transforms", 1)) if is_list else [message]
    return [
        FoxgloveTransform(
            _stamp(entry.one("timestamp", 1)),
            entry.text("parent_frame_id", 2),
            entry.text("child_frame_id", 3),
            _pose(entry.one("translation", 4), entry.one("rotation", 5)),
        )
        for entry in entries
    ]


def _stamp(entry: _Reader | None) -> int:
    if entry is None:
        return 0
    nanoseconds = entry.number("nanos", 2) or entry.number("nsec", 2)
    return (entry.number("seconds", 1) or entry.number("sec", 1)) * 10**9 + nanoseconds


def _pose(position: _Reader | None, rotation: _Reader | None) -> Pose:
    x, y, z = (0.0, 0.0, 0.0) if position is None else _floats(position, "xyz")
    if rotation is None:
        return (x, y, z, 0.0, 0.0, 0.0, 1.0)
    qx, qy, qz, qw = _floats(rotation, "xyzw")
    is_unset = qx == qy == qz == qw == 0
    return (x, y, z, qx, qy, qz, 1.0 if is_unset else qw)


def _floats(entry: _Reader, names: str) -> list[float]:
    return [entry.real(name, k + 1) for k, name in enumerate(names)]


@dataclass(frozen=True)
class _Reader:
    """Fields of a message by name (JSON) or by number (protobuf)."""

    values: dict[Any, list[Any]]
    is_json: bool
    origin: str

    @classmethod
    def of(cls, data: bytes, encoding: str, origin: str) -> _Reader:
        match encoding:
            case "protobuf":
                return cls(_wire_fields(data, origin), False, origin)
            case "json":
                try:
                    found = json.loads(data)
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{origin}: wanted JSON, got {error}") from None
                return cls._of_json(found, origin)
            case other:
                raise InputError(
                    f"{origin}: wanted a Foxglove message in protobuf or JSON, got {other!r}"
                )

    @classmethod
    def _of_json(cls, found: object, origin: str) -> _Reader:
        if not isinstance(found, dict):
            raise InputError(f"{origin}: wanted a JSON object, got {type(found).__name__}")
        return cls({k: v if isinstance(v, list) else [v] for k, v in found.items()}, True, origin)

    def _get(self, name: str, number: int) -> list[Any]:
        return self.values.get(name if self.is_json else number, [])

    def all(self, name: str, number: int) -> Iterator[_Reader]:
        for value in self._get(name, number):
            if self.is_json:
                yield self._of_json(value, self.origin)
            else:
                yield _Reader(
                    _wire_fields(self._bytes(value, name), self.origin), False, self.origin
                )

    def one(self, name: str, number: int) -> _Reader | None:
        found = list(self.all(name, number))
        return found[-1] if found else None

    def number(self, name: str, number: int) -> int:
        found = self._get(name, number)
        if not found:
            return 0
        value = found[-1]
        if isinstance(value, bytes) and len(value) == 4:
            return int.from_bytes(value, "little")
        if not isinstance(value, int):
            raise self._wrong(name, "a whole number")
        return value

    def real(self, name: str, number: int) -> float:
        found = self._get(name, number)
        if not found:
            return 0.0
        value = found[-1]
        if isinstance(value, bytes) and len(value) in (4, 8):
            unpacked: float = struct.unpack("<d" if len(value) == 8 else "<f", value)[0]
            return unpacked
        if not isinstance(value, (int, float)):
            raise self._wrong(name, "a number")
        return float(value)

    def text(self, name: str, number: int) -> str:
        found = self._get(name, number)
        if not found:
            return ""
        if self.is_json:
            return str(found[-1])
        return self._bytes(found[-1], name).decode("utf-8", "replace")

    def content(self, name: str, number: int) -> bytes:
        found = self._get(name, number)
        if not found:
            return b""
        if not self.is_json:
            return self._bytes(found[-1], name)
        try:
            return base64.b64decode(found[-1], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise self._wrong(name, "base64") from None

    def _bytes(self, value: object, name: str) -> bytes:
        if not isinstance(value, bytes):
            raise self._wrong(name, "bytes")
        return value

    def _wrong(self, name: str, wanted: str) -> InputError:
        return InputError(
            f"{self.origin}: wanted {wanted} in the field {name!r}: damaged, or of another schema"
        )


def _wire_fields(data: bytes, origin: str) -> dict[Any, list[Any]]:
    """Field number -> values: whole numbers of varints, bytes of everything else."""
    fields: dict[Any, list[Any]] = {}
    place = 0
    try:
        while place < len(data):
            tag, place = _varint(data, place)
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value, place = _varint(data, place)
                fields.setdefault(number, []).append(value)
                continue
            if kind == 2:
                size, place = _varint(data, place)
            else:
                size = {1: 8, 5: 4}[kind]
            if place + size > len(data):
                raise IndexError
            fields.setdefault(number, []).append(data[place : place + size])
            place += size
    except (IndexError, KeyError):
        raise InputError(
            f"{origin}: wanted a protobuf message, got other bytes: cut off?"
        ) from None
    return fields


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise IndexError
