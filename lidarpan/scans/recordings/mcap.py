"""MCAP files, by their index where they have one and from front to back where they are cut off."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from lidarpan.errors import InputError, readable
from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.recordings.messages import Definition, Message, Topic, ending, normal_type

_MAGIC = b"\x89MCAP0\r\n"
_RECORD_LIMIT = 1 << 31


class McapFiles:
    """One MCAP file, or the several of a rosbag2 folder one after the other.

    Args:
        path: what to call them together.
        files: in order of time; those ending in `.zstd` are unpacked while they are read.
        is_compressed: whether each message's bytes are compressed by themselves (rosbag2's
            compression_mode "message").

    Raises:
        InputError: a file is no MCAP, or the library is not installed.
    """

    def __init__(self, path: Path, files: Sequence[Path], is_compressed: bool = False) -> None:
        self.path = path
        self._files = files
        self._is_compressed = is_compressed
        self.topics: dict[str, Topic] = {}
        self._is_indexed = {file: self._note_topics(file) for file in files}

    def messages(self, topics: Collection[str]) -> Iterator[Message]:
        """Messages of some topics: by time in an indexed file, else in file order.

        Raises:
            InputError: a file is damaged or cut off from here on.
        """
        seen = 0
        for file in self._files:
            with _open(file) as stream:
                raw = _raw(stream, topics, self._is_indexed[file])
                while True:
                    try:
                        _, channel, message = next(raw)
                        data = self._data(message.data)
                    except StopIteration:
                        break
                    except Exception as error:  # the library raises all kinds
                        raise ending(file, seen, error) from None
                    seen += 1
                    yield Message(self.topics[channel.topic], message.log_time, data)

    def _data(self, data: bytes) -> bytes:
        if not self._is_compressed:
            return data
        unpacked: bytes = (
            need("zstandard", RECORDINGS).ZstdDecompressor().decompressobj().decompress(data)
        )
        return unpacked

    def _note_topics(self, file: Path) -> bool:
        """Enter the topics of a file; whether it has an index of chunks."""
        reader = need("mcap.reader", RECORDINGS)
        begin = b""
        with _open(file) as stream:
            with suppress(EOFError):
                begin = stream.read(len(_MAGIC))
            if begin != _MAGIC:
                raise InputError(f"{file}: wanted an MCAP file, got another one")
            if stream.seekable():
                stream.seek(0)
                with suppress(Exception):  # cut off: found out below, from front to back
                    seeking = reader.SeekingReader(stream, record_size_limit=_RECORD_LIMIT)
                    summary = seeking.get_summary()
                    if summary is not None and summary.channels and summary.chunk_indexes:
                        self._note_summary(summary)
                        return True
        self._note_all(file)
        return False

    def _note_summary(self, summary: Any) -> None:
        counts = summary.statistics.channel_message_counts if summary.statistics else {}
        for channel in summary.channels.values():
            number = counts.get(channel.id, 0) if summary.statistics else None
            self._note(summary.schemas.get(channel.schema_id), channel, number)

    def _note_all(self, file: Path) -> None:
        """Topics and numbers of messages of a file without index, as far as it is whole."""
        with _open(file) as stream:
            counts: dict[str, int] = {}
            with suppress(Exception):  # said when the messages are read
                for schema, channel, _ in _raw(stream, None, is_indexed=False):
                    if channel.topic not in counts:
                        self._note(schema, channel, None)
                    counts[channel.topic] = counts.get(channel.topic, 0) + 1
        if not counts:
            raise InputError(f"{file}: wanted an MCAP file with messages, got none: cut off?")

    def _note(self, schema: Any, channel: Any, number: int | None) -> None:
        name = channel.topic
        known = self.topics.get(name)
        definition = _definition(schema, channel)
        if known is not None:
            definition = known.definition
            both = known.num_messages is not None and number is not None
            number = cast(int, known.num_messages) + cast(int, number) if both else None
        self.topics[name] = Topic(name, definition, number)


def _definition(schema: Any, channel: Any) -> Definition:
    if schema is None:
        return Definition("", channel.message_encoding)
    is_text = schema.encoding in ("ros1msg", "ros2msg", "ros2idl", "omgidl")
    text = schema.data.decode("utf-8", "replace") if is_text else ""
    name = normal_type(schema.name) if is_text else schema.name
    return Definition(name, channel.message_encoding, text, schema.encoding)


def _raw(stream: _Exact, topics: Collection[str] | None, is_indexed: bool) -> Iterator[Any]:
    reader = need("mcap.reader", RECORDINGS)
    if is_indexed:
        seeking = reader.SeekingReader(stream, True, record_size_limit=_RECORD_LIMIT)
        return iter(seeking.iter_messages(topics))
    linear = reader.NonSeekingReader(stream, record_size_limit=_RECORD_LIMIT)
    return iter(linear.iter_messages(topics, log_time_order=False))


class _Exact:
    """A stream that never gives fewer bytes than asked for: the library takes fewer for whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise EOFError(f"{len(data)} of {size} bytes")
        return data

    def __enter__(self) -> _Exact:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _open(file: Path) -> _Exact:
    with readable(file):
        stream = file.open("rb")
    if file.suffix.lower() in (".zstd", ".zst"):
        zstandard = need("zstandard", RECORDINGS)
        unpacked = zstandard.ZstdDecompressor().stream_reader(stream, closefd=True)
        return _Exact(cast(BinaryIO, unpacked))
    return _Exact(stream)
