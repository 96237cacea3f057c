"""Captured network traffic (`.pcap`, `.pcapng`) -> the UDP payloads in it, whole.

Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng; fragments of IPv4 (RFC 791) are joined,
since sensors send packets larger than an Ethernet frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lidarpan.structures import InputError

MAGICS = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
PCAPNG = b"\x0a\x0d\x0d\x0a"
_MAX_PACKET = 1 << 20
_MAX_WAITING = 64
_LINK_BYTES = {0: 4, 1: 14, 12: 0, 14: 0, 101: 0, 108: 4, 113: 16, 228: 0, 229: 0, 276: 20}
_UDP = 17


class Datagram(NamedTuple):
    """One UDP payload.

    Attributes:
        stamp_ns: when it was captured, nanoseconds since 1970.
        source: address and port that sent it.
        port: it was sent to.
        payload: its bytes.
    """

    stamp_ns: int
    source: str
    port: int
    payload: bytes


def read_datagrams(path: Path) -> Iterator[Datagram]:
    """The UDP payloads of a capture in order; other traffic is passed over.

    Raises:
        InputError: no capture, or it breaks off within a packet.
    """
    waiting: dict[bytes, _Fragments] = {}
    with path.open("rb") as file:
        magic = file.read(4)
        if magic in MAGICS:
            packets = _pcap(file, magic, path)
        elif magic == PCAPNG:
            packets = _pcapng(file, path)
        else:
            raise InputError(f"{path}: wanted a capture (.pcap or .pcapng), got another file")
        for stamp_ns, link, frame in packets:
            found = _datagram(frame, link, waiting)
            if found is not None:
                source, port, payload = found
                yield Datagram(stamp_ns, source, port, payload)


def _cut(path: Path, file: BinaryIO) -> InputError:
    return InputError(
        f"{path}: cut off within a packet at byte {file.tell()}: what came before is good"
    )


def _pcap(file: BinaryIO, magic: bytes, path: Path) -> Iterator[tuple[int, int, bytes]]:
    """(stamp_ns, link type, bytes) of each packet of a classic capture."""
    order = "<" if magic in (MAGICS[0], MAGICS[2]) else ">"
    unit_ns = 1 if magic in MAGICS[2:] else 1000
    header = file.read(20)
    if len(header) < 20:
        raise _cut(path, file)
    link = struct.unpack(order + "I", header[16:])[0] & 0xFFFF
    record = struct.Struct(order + "4I")
    while head := file.read(16):
        if len(head) < 16:
            raise _cut(path, file)
        seconds, part, size, _ = record.unpack(head)
        data = file.read(size) if size <= _MAX_PACKET else b""
        if len(data) < size:
            raise _cut(path, file)
        yield seconds * 10**9 + part * unit_ns, link, data


def _pcapng(file: BinaryIO, path: Path) -> Iterator[tuple[int, int, bytes]]:
    """(stamp_ns, link type, bytes) of each packet of a next-generation capture."""
    file.seek(0)
    order = "<"
    interfaces: list[tuple[int, int]] = []  # link type, ticks per second
    while head := file.read(8):
        if head[:4] == PCAPNG:
            order = "<" if file.read(4) == b"\x4d\x3c\x2b\x1a" else ">"
            file.seek(-4, 1)
            interfaces = []
        if len(head) < 8:
            raise _cut(path, file)
        kind, size = struct.unpack(order + "2I", head)
        body = file.read(size - 8) if 12 <= size <= _MAX_PACKET else b""
        if len(body) < size - 8 or len(body) < 4:
            raise _cut(path, file)
        body = body[:-4]
        if kind == 1 and len(body) >= 8:
            link = struct.unpack(order + "H", body[:2])[0]
            interfaces.append((link, _ticks(body[8:], order)))
        elif kind == 6 and len(body) >= 20:
            number, high, low, length = struct.unpack(order + "4I", body[:16])
            if number >= len(interfaces):
                raise InputError(f"{path}: wanted an interface {number} in the capture, got none")
            link, ticks = interfaces[number]
            stamp = (high << 32 | low) * 10**9 // ticks
            yield stamp, link, body[20 : 20 + length]


def _ticks(options: bytes, order: str) -> int:
    """Ticks per second of an interface: option if_tsresol, a million without it."""
    place = 0
    while place + 4 <= len(options):
        code, size = struct.unpack(order + "2H", options[place : place + 4])
        if code == 9 and size == 1 and place + 4 < len(options):
            resolution = options[place + 4]
            return 1 << (resolution & 127) if resolution & 128 else int(10 ** min(resolution, 18))
        if code == 0:
            break
        place += 4 + (size + 3) // 4 * 4
    return 10**6


class _Fragments:
    """The parts of an IP packet that have come so far."""

    def __init__(self) -> None:
        self.parts: dict[int, bytes] = {}
        self.length: int | None = None

    def whole(self) -> bytes | None:
        """All bytes in order, or None while some are missing."""
        if self.length is None:
            return None
        joined = bytearray()
        for start in sorted(self.parts):
            if start != len(joined):
                return None
            joined += self.parts[start]
        return bytes(joined) if len(joined) == self.length else None


def _datagram(
    frame: bytes, link: int, waiting: dict[bytes, _Fragments]
) -> tuple[str, int, bytes] | None:
    """Sender, port and payload where the frame holds or completes a UDP packet."""
    packet = _network_layer(frame, link)
    if packet is None:
        return None
    if packet[0] >> 4 == 6:
        if len(packet) < 48 or packet[6] != _UDP:
            return None
        return _udp(_address6(packet[8:24]), packet[40:])
    if packet[0] >> 4 != 4 or len(packet) < 20 or packet[9] != _UDP:
        return None
    header = (packet[0] & 15) * 4
    size = struct.unpack(">H", packet[2:4])[0] or len(packet)  # 0: filled in by the network card
    content = packet[header:size]
    sender = ".".join(str(byte) for byte in packet[12:16])
    flags = struct.unpack(">H", packet[6:8])[0]
    start, more = (flags & 0x1FFF) * 8, bool(flags & 0x2000)
    if not start and not more:
        return _udp(sender, content)
    key = packet[4:6] + packet[12:20]
    if len(waiting) >= _MAX_WAITING and key not in waiting:
        waiting.pop(next(iter(waiting)))  # the oldest: its rest was lost
    parts = waiting.setdefault(key, _Fragments())
    parts.parts[start] = content
    if not more:
        parts.length = start + len(content)
    whole = parts.whole()
    if whole is None:
        return None
    del waiting[key]
    return _udp(sender, whole)


def _network_layer(frame: bytes, link: int) -> bytes | None:
    """The IP packet of a link-layer frame; None of other frames."""
    skip = _LINK_BYTES.get(link)
    if skip is None or len(frame) < skip + 20:
        return None
    if link == 1:
        kind = frame[12:14]
        while kind in (b"\x81\x00", b"\x88\xa8"):  # VLAN tags
            kind, skip = frame[skip + 2 : skip + 4], skip + 4
        if kind not in (b"\x08\x00", b"\x86\xdd"):
            return None
    packet = frame[skip:]
    return packet if len(packet) >= 20 else None


def _address6(address: bytes) -> str:
    return ":".join(address[i : i + 2].hex() for i in range(0, 16, 2))


def _udp(sender: str, segment: bytes) -> tuple[str, int, bytes] | None:
    if len(segment) < 8:
        return None
    source_port, port, size = struct.unpack(">3H", segment[:6])
    end = size if size >= 8 else len(segment)
    if end > len(segment):
        return None  # captured with a limit on the length
    return f"{sender}:{source_port}", port, segment[8:end]
