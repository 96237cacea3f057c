"""A rosbag1 file from its first byte to its last whole record, without its index.

Format: http://wiki.ros.org/Bags/Format/2.0. Records are a header of named fields and data, both
with their length before them; messages lie in chunks, or bare.
"""

from __future__ import annotations

import bz2
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.recordings.messages import Definition, Message, Topic, ending, normal_type
from lidarpan.structures import InputError

_CHUNK = 5
_MAGIC = b"#ROSBAG V2.0\n"
_MAX_HEADER = 1 << 20
_MAX_DATA = 1 << 31
Header = dict[str, bytes]


def read_rosbag1(path: Path) -> Iterator[Message]:
    """Messages in file order.

    Raises:
        InputError: the file breaks off within a record, or a chunk does not decompress.
    """
    topics: dict[int, Topic] = {}
    seen = 0
    with path.open("rb") as file:
        file.seek(len(_MAGIC))
        try:
            for header, data in _records(file):
                is_chunk = header["op"] == bytes([_CHUNK])
                inner = (
                    _records(io.BytesIO(_unpack(header, data))) if is_chunk else [(header, data)]
                )
                for inside, content in inner:
                    message = _message(inside, content, topics)
                    if message is not None:
                        seen += 1
                        yield message
        except InputError:
            raise
        except Exception as error:  # damaged bytes raise all kinds
            raise ending(path, seen, error) from None


class _DamagedError(Exception):
    """Bytes that are no record."""


def _records(stream: BinaryIO) -> Iterator[tuple[Header, bytes]]:
    while size := stream.read(4):
        header = _header(_exactly(stream, _length(size, _MAX_HEADER)))
        if header["op"][0] == _CHUNK and header["compression"] == b"none":
            _length(stream.read(4), _MAX_DATA)
            continue  # its records follow, and those of a chunk that is cut off are good
        data = _exactly(stream, _length(stream.read(4), _MAX_DATA))
        yield header, data


def _length(size: bytes, limit: int) -> int:
    length = int.from_bytes(size, "little")
    if len(size) < 4 or length > limit:
        raise _DamagedError(f"a record's length of {length} bytes")
    return length


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise _DamagedError(f"{len(data)} of {length} bytes")
    return data


def _header(data: bytes) -> Header:
    header: Header = {}
    start = 0
    while start + 4 <= len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "little")
        name, _, value = data[start + 4 : end].partition(b"=")
        header[name.decode("latin-1")] = value
        start = end
    if len(header.get("op", b"")) != 1:
        raise _DamagedError("a record without op")
    return header


def _unpack(header: Header, data: bytes) -> bytes:
    match header["compression"]:
        case b"bz2":
            return bz2.decompress(data)
        case b"lz4":
            unpacked: bytes = need("lz4.frame", RECORDINGS).decompress(data)
            return unpacked
        case other:
            raise _DamagedError(f"compression {other.decode('latin-1')}")


def _message(header: Header, data: bytes, topics: dict[int, Topic]) -> Message | None:
    """The message of a record, or None of a record that holds none; notes new topics."""
    match header["op"][0]:
        case 7:
            (number,) = struct.unpack("<I", header["conn"])
            inside = _header(data + b"\x04\x00\x00\x00op=\x00")
            definition = Definition(
                normal_type(inside["type"].decode()),
                "ros1",
                inside["message_definition"].decode(),
                "ros1msg",
            )
            topics.setdefault(number, Topic(header["topic"].decode(), definition))
            return None
        case 2:
            (number,) = struct.unpack("<I", header["conn"])
            seconds, nanoseconds = struct.unpack("<II", header["time"])
            if number not in topics:
                raise _DamagedError(f"a message of the unknown connection {number}")
            return Message(topics[number], seconds * 10**9 + nanoseconds, data)
        case _:
            return None
