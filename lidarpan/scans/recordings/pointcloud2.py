"""Packed point records, as ROS and Foxglove messages carry them -> named columns, and back.

The layout is that of sensor_msgs/PointCloud2 (ROS common_interfaces): `height` rows of `width`
records, `point_step` bytes from record to record and `row_step` from row to row; every field names
its offset in the record, its type and how many values it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import Fields
from lidarpan.structures import InputError

ROS_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""sensor_msgs/PointField datatypes as NumPy names."""

FOXGLOVE_TYPES = {1: "u1", 2: "i1", 3: "u2", 4: "i2", 5: "u4", 6: "i4", 7: "f4", 8: "f8"}
"""foxglove.PackedElementField types as NumPy names."""

_MAX_POINTS = 1 << 28
_MAX_COUNT = 1 << 12


@dataclass(frozen=True)
class PointField:
    """One field of the record.

    Attributes:
        name: as the sender calls it.
        offset: bytes from the start of the record.
        kind: NumPy name of its type without byte order, such as "f4".
        count: values of the field, one after the other.
    """

    name: str
    offset: int
    kind: str
    count: int = 1

    @property
    def end(self) -> int:
        """The first byte behind the field."""
        return self.offset + int(self.kind[1:]) * self.count


@dataclass(frozen=True)
class PackedPoints:
    """Points as records of bytes.

    Attributes:
        height: rows; 1 where the cloud is not organised.
        width: records of a row.
        fields: of the record.
        point_step: bytes from a record to the next.
        row_step: bytes from a row to the next.
        data: (B,) uint8.
        is_bigendian: byte order of the values.
    """

    height: int
    width: int
    fields: tuple[PointField, ...]
    point_step: int
    row_step: int
    data: NDArray[np.uint8]
    is_bigendian: bool = False


def point_field(
    name: str, offset: int, datatype: int, count: int, types: dict[int, str], origin: str
) -> PointField:
    """A field by the number of its type.

    Raises:
        InputError: no such type, or a count beyond reason.
    """
    if datatype not in types:
        raise InputError(
            f"{origin}: wanted a type from 1 to {max(types)} for the field {name!r}, got {datatype}"
        )
    if not 0 <= count <= _MAX_COUNT:
        raise InputError(f"{origin}: wanted some values in the field {name!r}, got {count}")
    return PointField(name, offset, types[datatype], max(count, 1))  # some drivers write 0 for 1


def unpack_points(packed: PackedPoints, origin: str) -> Fields:
    """Take the columns out of the records, row after row; every layout, no loop over points.

    A field of several values becomes the columns name_0, name_1 and so on; fields without a name
    or of a name that was there already are left out.

    Args:
        packed: the message's records.
        origin: what to call the message in errors.

    Returns:
        Columns of height * width values, in their own types and the machine's byte order.

    Raises:
        InputError: a field lies outside its record, or there are fewer bytes than it takes.
    """
    _check(packed, origin)
    order = ">" if packed.is_bigendian else "<"
    named: dict[str, PointField] = {}
    for field in packed.fields:
        if field.name:
            named.setdefault(field.name, field)
    record = np.dtype(
        {
            "names": list(named),
            "formats": [_format(order, field) for field in named.values()],
            "offsets": [field.offset for field in named.values()],
            "itemsize": packed.point_step,
        }
    )
    shape = (packed.height, packed.width)
    buffer = np.ascontiguousarray(packed.data)
    strides = (packed.row_step, packed.point_step)
    rows: NDArray[np.void] = np.ndarray(shape, record, buffer.data, 0, strides)
    columns: Fields = {}
    for name, field in named.items():
        values = rows[name].reshape(packed.height * packed.width, -1)
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        if field.count == 1:
            columns.setdefault(name, native[:, 0])
        else:
            columns |= {f"{name}_{k}": native[:, k] for k in range(field.count)}
    return columns


def _format(order: str, field: PointField) -> tuple[str, tuple[int, ...]] | str:
    kind = order + field.kind
    return kind if field.count == 1 else (kind, (field.count,))


def _check(packed: PackedPoints, origin: str) -> None:
    """Refuse what does not fit together before an array is laid over the bytes."""
    height, width, step = packed.height, packed.width, packed.point_step
    if not (height >= 0 and width >= 0 and height * width <= _MAX_POINTS):
        raise InputError(f"{origin}: wanted points, got height {height} and width {width}")
    if step <= 0:
        raise InputError(f"{origin}: wanted records of some bytes, got point_step {step}")
    if not height * width:
        raise InputError(f"{origin}: wanted points, got an empty message (width {width})")
    for field in packed.fields:
        if field.offset < 0 or field.end > step:
            raise InputError(
                f"{origin}: wanted the field {field.name!r} inside a record of {step} bytes, got "
                f"bytes {field.offset} to {field.end}: damaged, or of another schema"
            )
    if packed.row_step < width * step and height > 1:
        raise InputError(
            f"{origin}: wanted at least {width * step} bytes per row ({width} points of {step}), "
            f"got row_step {packed.row_step}"
        )
    needed = (height - 1) * packed.row_step + width * step
    if len(packed.data) < needed:
        raise InputError(
            f"{origin}: wanted {needed} bytes for {height} x {width} points, "
            f"got {len(packed.data)}: cut off"
        )


def pack_points(columns: Fields, names: Sequence[str] | None = None) -> PackedPoints:
    """Lay columns side by side into records without padding, little-endian, one row.

    Args:
        columns: name -> (N,) values of a type that a PointField knows.
        names: which and in which order; None takes all.
    """
    chosen = {name: columns[name] for name in (columns if names is None else names)}
    record = np.dtype([(name, c.dtype.newbyteorder("<")) for name, c in chosen.items()])
    num_points = len(next(iter(chosen.values())))
    records = np.empty(num_points, record)
    for name, column in chosen.items():
        records[name] = column
    fields = tuple(
        PointField(name, offset, dtype.str[1:])
        for name, (dtype, offset) in ((name, record.fields[name][:2]) for name in chosen)  # type: ignore[index]
    )
    step = record.itemsize
    data = np.frombuffer(records.tobytes(), np.uint8)
    return PackedPoints(1, num_points, fields, step, step * num_points, data)
