"""What recordings have in common: topics, messages in time order, and how they are decoded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.numpy_files import one_line, wanted
from lidarpan.structures import InputError


class Definition(NamedTuple):
    """How the messages of a topic are laid out.

    Attributes:
        type: name, such as "sensor_msgs/msg/PointCloud2" or "foxglove.PointCloud".
        encoding: of the messages: cdr, ros1, protobuf or json.
        schema: text of the type's definition, "" where the recording has none.
        schema_encoding: ros1msg, ros2msg, ros2idl, protobuf, jsonschema or "".
    """

    type: str
    encoding: str
    schema: str = ""
    schema_encoding: str = ""


@dataclass(frozen=True)
class Topic:
    """A named stream of messages of one type.

    Attributes:
        name: such as "/points".
        definition: of its messages.
        num_messages: how many, or None where only reading to the end tells.
    """

    name: str
    definition: Definition
    num_messages: int | None = None

    @property
    def type(self) -> str:
        """Name of the messages' type."""
        return self.definition.type


class Message(NamedTuple):
    """One message as recorded.

    Attributes:
        topic: it belongs to.
        log_ns: when it was recorded, nanoseconds.
        data: its bytes.
    """

    topic: Topic
    log_ns: int
    data: bytes


class Recording(Protocol):
    """A file or folder of messages.

    Attributes:
        path: where it lies.
        topics: by name.
    """

    path: Path
    topics: dict[str, Topic]

    def messages(self, topics: Collection[str]) -> Iterator[Message]:
        """Messages of some topics in the order in which they were recorded.

        Raises:
            InputError: the recording is damaged or cut off from here on.
        """
        ...


def normal_type(name: str) -> str:
    """ROS 2's name of a type: sensor_msgs/PointCloud2 is sensor_msgs/msg/PointCloud2."""
    package, _, rest = name.partition("/")
    return f"{package}/msg/{rest}" if rest and "/" not in rest else name


class RosDecoder:
    """Decodes ROS 1 and ROS 2 messages by the definitions that a recording carries.

    Where it carries none those of ROS 2's and ROS 1's own packages are taken, and those of
    velodyne_msgs and ouster_sensor_msgs. Needs the library rosbags.
    """

    def __init__(self) -> None:
        self._stores: dict[tuple[str, str, str], Any] = {}

    def decode(self, definition: Definition, data: bytes, origin: str) -> Any:
        """The message as an object with the definition's fields.

        Raises:
            InputError: the bytes or the definition do not fit the type.
        """
        with wanted(f"{origin}: wanted a message {definition.type}"):
            store, name = self._store(definition)
            if definition.encoding == "ros1":
                return store.deserialize_ros1(data, name)
            return store.deserialize_cdr(data, name)

    def _store(self, definition: Definition) -> tuple[Any, str]:
        name = normal_type(definition.type)
        key = (definition.encoding, name, definition.schema)
        if key not in self._stores:
            self._stores[key] = _typestore(definition, name)
        return self._stores[key], name


def _typestore(definition: Definition, name: str) -> Any:
    rosbags = need("rosbags.typesys", RECORDINGS)
    if definition.schema:
        store = rosbags.get_typestore(rosbags.Stores.EMPTY)
        if definition.schema_encoding in ("ros2idl", "omgidl"):
            types: dict[str, Any] = {}
            for part in _idl_parts(definition.schema):
                types |= rosbags.get_types_from_idl(part)
        else:
            types = rosbags.get_types_from_msg(definition.schema, name)
        store.register(types)
        return store
    is_ros1 = definition.encoding == "ros1"
    stores = rosbags.Stores
    store = rosbags.get_typestore(stores.ROS1_NOETIC if is_ros1 else stores.ROS2_HUMBLE)
    for extra, text in _EXTRA_TYPES.items():
        store.register(rosbags.get_types_from_msg(text, extra))
    if name not in store.types:
        raise InputError(
            f"no definition of the type {definition.type} in the recording: record it anew, or "
            "convert it with a tool that adds the definitions (ros2 bag convert)"
        )
    return store


def _idl_parts(text: str) -> list[str]:
    """The files of a concatenated interface definition."""
    rule = "=" * 80 + "\n"
    if rule not in text:
        return [text]
    return [part.split("\n", 1)[1] for part in text.split(rule) if part.startswith("IDL: ")]


_EXTRA_TYPES = {
    "velodyne_msgs/msg/VelodynePacket": "builtin_interfaces/Time stamp\nuint8[1206] data\n",
    "velodyne_msgs/msg/VelodyneScan": (
        "std_msgs/Header header\nvelodyne_msgs/VelodynePacket[] packets\n"
    ),
    "ouster_sensor_msgs/msg/PacketMsg": "uint8[] buf\n",
    "ouster_msgs/msg/PacketMsg": "uint8[] buf\n",
    "ouster_ros/msg/PacketMsg": "uint8[] buf\n",
}


def ending(path: Path, seen: int, error: Exception | str) -> InputError:
    """The error of a recording that breaks off behind `seen` whole messages."""
    said = error if isinstance(error, str) else one_line(error)
    return InputError(
        f"{path}: cut off or damaged behind {seen} whole messages ({said}): those before are good"
    )
