"""Where the sensor was: /tf, odometry and Foxglove transforms of a recording -> one tree."""

from __future__ import annotations

from typing import Any

from lidarpan.scans.recordings.clouds import stamp_of
from lidarpan.scans.recordings.foxglove import read_transforms
from lidarpan.scans.recordings.messages import Message, Recording, RosDecoder, Topic
from lidarpan.scans.recordings.transforms import TransformTree
from lidarpan.structures import InputError

_TF = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
_ODOMETRY = "nav_msgs/msg/Odometry"
_FOXGLOVE = ("foxglove.FrameTransform", "foxglove.FrameTransforms")


def pose_topics(recording: Recording) -> list[Topic]:
    """The topics that tell where frames are."""
    types = (*_TF, _ODOMETRY, *_FOXGLOVE)
    return [topic for topic in recording.topics.values() if topic.type in types]


def read_tree(recording: Recording, decoder: RosDecoder) -> tuple[TransformTree, tuple[str, ...]]:
    """Read all transforms of a recording, as far as it is whole.

    A frame that odometry tells of is taken from there only where /tf does not know its parent.

    Returns:
        The tree, and what was wrong with some of the messages, a sentence each.
    """
    tree, odometry = TransformTree(), TransformTree()
    names = [topic.name for topic in pose_topics(recording)]
    broken: list[str] = []
    try:
        for message in recording.messages(names) if names else ():
            try:
                _enter(message, decoder, tree, odometry)
            except InputError as error:
                broken.append(str(error))
    except InputError as error:
        broken.append(str(error))
    tree.adopt(odometry)
    said = (f"{len(broken)} messages give no pose, the first: {broken[0]}",) if broken else ()
    return tree, said


def _enter(
    message: Message, decoder: RosDecoder, tree: TransformTree, odometry: TransformTree
) -> None:
    topic, origin = message.topic, message.topic.name
    if topic.type in _FOXGLOVE:
        is_list = topic.type == _FOXGLOVE[1]
        encoding = topic.definition.encoding
        for entry in read_transforms(message.data, encoding, is_list, origin):
            stamp_ns = entry.stamp_ns or message.log_ns
            tree.add(entry.parent, entry.child, stamp_ns, entry.pose, is_static=not entry.stamp_ns)
        return
    decoded = decoder.decode(topic.definition, message.data, origin)
    try:
        if topic.type == _ODOMETRY:
            pose = decoded.pose.pose
            parent, child = decoded.header.frame_id, decoded.child_frame_id
            stamp_ns = stamp_of(decoded.header.stamp) or message.log_ns
            odometry.add(
                plain_frame(parent) or "odom",
                plain_frame(child) or "base_link",
                stamp_ns,
                _seven(pose.position, pose.orientation),
            )
            return
        for entry in decoded.transforms:
            transform = entry.transform
            tree.add(
                plain_frame(entry.header.frame_id),
                plain_frame(entry.child_frame_id),
                stamp_of(entry.header.stamp) or message.log_ns,
                _seven(transform.translation, transform.rotation),
                is_static=topic.name.endswith("tf_static"),
            )
    except AttributeError as error:
        raise InputError(f"{origin}: wanted {topic.type}, {error}: another schema") from None


def _seven(position: Any, turn: Any) -> tuple[float, ...]:
    return (position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w)


def plain_frame(frame: str) -> str:
    """ROS 1 wrote some frames with a slash before them."""
    return frame.removeprefix("/")
