"""ROS bags: rosbag1 `.bag`, rosbag2 folders and lone `.db3` files, damaged ones too."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.numpy_files import one_line, wanted
from lidarpan.scans.recordings.messages import Definition, Message, Topic, ending
from lidarpan.scans.recordings.rosbag1_linear import read_rosbag1
from lidarpan.structures import InputError

METADATA = "metadata.yaml"


class RosBag:
    """A rosbag1 file, a rosbag2 folder in sqlite3 storage, or one `.db3` file of such a folder.

    Args:
        path: the file or folder.

    Raises:
        InputError: it is no bag, is damaged from the start, or rosbags is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_ros1 = path.suffix.lower() == ".bag"
        with self._open() as reader:
            topics = sorted(reader.topics.items())
            self.topics = {name: self._topic(name, info) for name, info in topics}

    def messages(self, topics: Collection[str]) -> Iterator[Message]:
        """Messages of some topics by the time at which they were recorded; raises InputError."""
        seen = 0
        with self._open() as reader:
            connections = [c for c in reader.connections if c.topic in topics]
            if not connections:
                return
            stream = reader.messages(connections=connections)
            while True:
                try:
                    connection, log_ns, data = next(stream)
                except StopIteration:
                    return
                except Exception as error:  # the library and the database raise all kinds
                    raise ending(self.path, seen, error) from None
                seen += 1
                yield Message(self.topics[connection.topic], log_ns, data)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """The reader within a `with` block; what it says about a bad bag is one line."""
        library = need("rosbags.rosbag1" if self._is_ros1 else "rosbags.rosbag2", RECORDINGS)
        with wanted(f"{self.path}: wanted a ROS bag"):
            reader = library.Reader(self.path)
            reader.open()
        try:
            yield reader
        finally:
            with suppress(Exception):  # a database that broke does not close either
                reader.close()

    def _topic(self, name: str, info: Any) -> Topic:
        connection = info.connections[0]
        encoding = "ros1" if self._is_ros1 else "cdr"
        kind = connection.msgdef.format.name.lower()
        schema_encoding = {"none": "", "msg": "ros2msg", "idl": "ros2idl"}[kind]
        schema = connection.msgdef.data if schema_encoding else ""
        definition = Definition(connection.msgtype, encoding, schema, schema_encoding)
        return Topic(name, definition, info.msgcount)


class LinearRosBag:
    """A rosbag1 file without an index, as a recorder leaves it that was killed: read in file order.

    Args:
        path: the file.

    Raises:
        InputError: it does not begin as a bag.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[str, Topic] = {}
        with suppress(InputError):  # what the recording breaks off with is said when it is read
            for message in read_rosbag1(path):
                self.topics[message.topic.name] = message.topic

    def messages(self, topics: Collection[str]) -> Iterator[Message]:
        """Messages of some topics in file order; raises InputError where the file breaks off."""
        yield from (m for m in read_rosbag1(self.path) if m.topic.name in topics)


def open_rosbag1(path: Path) -> RosBag | LinearRosBag:
    """A rosbag1 file, by its index where it has one; raises InputError."""
    need("rosbags.rosbag1", RECORDINGS)
    with path.open("rb") as file:
        if not file.read(12).startswith(b"#ROSBAG V2.0"):
            raise InputError(f"{path}: wanted a ROS bag of version 2.0, got another file")
    try:
        return RosBag(path)
    except InputError:
        bag = LinearRosBag(path)
        if bag.topics:
            return bag
        raise


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """What `metadata.yaml` says of a rosbag2 folder, or None where the folder is none.

    Raises:
        InputError: the file is damaged.
    """
    file = folder / METADATA
    if not file.is_file():
        return None
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: wanted the metadata of a rosbag2, {one_line(error)}") from None
    inside = found.get("rosbag2_bagfile_information") if isinstance(found, dict) else None
    return inside if isinstance(inside, dict) else None
