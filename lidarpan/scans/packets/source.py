"""The scans in network packets: captures of Velodyne and Ouster sensors, Ouster packets in bags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from lidarpan.scans.fields import FileFields
from lidarpan.scans.packets.ouster import assemble_frames, frame_fields
from lidarpan.scans.packets.ouster_info import OusterInfo, find_info, read_info
from lidarpan.scans.packets.pcap import Datagram, read_datagrams
from lidarpan.scans.packets.velodyne import PACKET_BYTES, decode_stream
from lidarpan.scans.recordings.messages import Recording, RosDecoder, Topic
from lidarpan.scans.source import Frame, column_frame, frame_path
from lidarpan.structures import InputError

Turns = Callable[[], Iterator[tuple[int, Callable[[], FileFields]]]]
"""Reads from the beginning: (stamp_ns, decoder of the points) of each turn of the sensor."""

_LOOKED_AT = 4000
_HESAI = b"\xee\xff"


@dataclass(frozen=True)
class PacketSource:
    """Scans put together from packets; how many there are is known only at the end.

    Attributes:
        path: the capture or recording.
        sensor: what it was, in words.
        turns: reads the scans.
        frame_id: of the points.
        num_frames: None.
        is_recording: always.
    """

    path: Path
    sensor: str
    turns: Turns
    frame_id: str = ""
    num_frames: int | None = None
    is_recording: bool = True

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames from number `start` on; raises InputError where the capture is cut off."""
        for number, (stamp_ns, decode) in enumerate(self.turns()):
            if number < start:
                continue
            path = frame_path(self.path, number)
            yield column_frame(path, decode, stamp_ns, self.frame_id)


def open_capture(path: Path) -> PacketSource:
    """Find out whose packets a capture holds.

    Raises:
        InputError: no capture, no packets of a known sensor, several sensors, or an Ouster sensor
            without its metadata.
    """
    looked_at = list(_as_far_as_whole(path))
    sizes = Counter((datagram.source, len(datagram.payload)) for datagram in looked_at)
    senders = {source for source, size in sizes if size == PACKET_BYTES}
    if senders:
        _refuse_several(path, senders)
        return PacketSource(path, "Velodyne", lambda: _velodyne(path))
    if not looked_at:
        raise InputError(f"{path}: no points: wanted UDP packets of a sensor, got none")
    hesai = sum(d.payload[:2] == _HESAI for d in looked_at)
    if hesai > len(looked_at) // 2:
        raise InputError(
            f"{path}: holds Hesai packets, which are not read: record PointCloud2 with its driver"
        )
    info = find_info(path)
    senders = {source for source, size in sizes if size == info.packet_bytes}
    if not senders:
        there = ", ".join(f"{size} bytes" for _, size in sorted(sizes, key=lambda key: -sizes[key]))
        raise InputError(
            f"{path}: wanted packets of {PACKET_BYTES} bytes (Velodyne) or {info.packet_bytes} "
            f"(as the Ouster metadata beside it say), got {there[:60]}"
        )
    _refuse_several(path, senders)
    return PacketSource(path, f"Ouster {info.product}", lambda: _ouster_capture(path, info))


def _refuse_several(path: Path, senders: set[str]) -> None:
    addresses = sorted({sender.rsplit(":", 1)[0] for sender in senders})
    if len(addresses) > 1:
        raise InputError(
            f"{path}: two sensors in one capture ({', '.join(addresses)}): split it with a filter, "
            "such as `tcpdump -r IN -w OUT src host ADDRESS`"
        )


def _as_far_as_whole(path: Path) -> Iterator[Datagram]:
    """The first datagrams; a capture that breaks off among them says so when it is read."""
    stream = islice(read_datagrams(path), _LOOKED_AT)
    yield from islice(stream, 1)
    with suppress(InputError):
        yield from stream


def _packets(path: Path, cut: list[InputError]) -> Iterator[tuple[int, bytes]]:
    """Stamps and payloads; an error goes to `cut`: the packets before it make a last scan."""
    try:
        for datagram in read_datagrams(path):
            yield datagram.stamp_ns, datagram.payload
    except InputError as error:
        cut.append(error)


def _velodyne(path: Path) -> Iterator[tuple[int, Callable[[], FileFields]]]:
    cut: list[InputError] = []
    own = (packet for packet in _packets(path, cut) if len(packet[1]) == PACKET_BYTES)
    for stamp_ns, fields in decode_stream(own, str(path)):
        yield stamp_ns, lambda fields=fields: fields  # type: ignore[misc]
    if cut:
        raise cut[0]


def _ouster_capture(path: Path, info: OusterInfo) -> Iterator[tuple[int, Callable[[], FileFields]]]:
    cut: list[InputError] = []
    for frame in assemble_frames(_packets(path, cut), info):
        yield frame.stamp_ns, partial(frame_fields, frame, info)
    if cut:
        raise cut[0]


def open_ouster_topic(recording: Recording, topic: Topic) -> PacketSource:
    """Ouster packets in a bag, with the metadata that the driver writes beside them.

    Raises:
        InputError: there are no metadata.
    """
    decoder = RosDecoder()
    info = _recorded_info(recording, topic, decoder)

    def turns() -> Iterator[tuple[int, Callable[[], FileFields]]]:
        def packets() -> Iterator[tuple[int, bytes]]:
            for message in recording.messages([topic.name]):
                decoded = decoder.decode(topic.definition, message.data, topic.name)
                yield message.log_ns, np.asarray(decoded.buf, np.uint8).tobytes()

        for frame in assemble_frames(packets(), info):
            yield frame.stamp_ns, partial(frame_fields, frame, info)

    return PacketSource(recording.path, f"Ouster {info.product}", turns)


def _recorded_info(recording: Recording, topic: Topic, decoder: RosDecoder) -> OusterInfo:
    wanted = re.sub(r"[^/]+$", "metadata", topic.name)
    metadata = recording.topics.get(wanted)
    if metadata is None or metadata.type != "std_msgs/msg/String":
        raise InputError(
            f"{recording.path}: {topic.name} holds Ouster packets, wanted the sensor's metadata in "
            f"{wanted} (std_msgs/String): record that topic too"
        )
    for message in recording.messages([wanted]):
        text = decoder.decode(metadata.definition, message.data, wanted).data
        return read_info(text, f"{recording.path} {wanted}")
    raise InputError(f"{recording.path}: no metadata of the sensor: {wanted} holds no messages")
