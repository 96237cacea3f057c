"""Which topics of a recording hold the scans that are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from lidarpan.scans.recordings.clouds import CLOUD_TYPES, PACKET_TYPES, holds_points
from lidarpan.scans.recordings.messages import Recording, Topic
from lidarpan.structures import InputError


def choose_topics(
    recording: Recording, wanted: Sequence[str], frame_id: str | None = None
) -> list[Topic]:
    """The topics to read: those wanted, or the only one that holds points.

    Raises:
        InputError: a topic that is not there or holds no points, or several to choose from.
    """
    topics = recording.topics
    points = [t for t in topics.values() if holds_points(t) and t.num_messages != 0]
    for name in wanted:
        if name not in topics:
            raise InputError(
                f"{recording.path}: no topic {name}: {_listed(points) or 'none holds points'}"
            )
        if not holds_points(topics[name]):
            raise InputError(
                f"{recording.path}: wanted points in the topic {name} (one of "
                f"{', '.join((*CLOUD_TYPES, *PACKET_TYPES[:1]))}), got {topics[name].type}"
            )
        if topics[name].num_messages == 0:
            raise InputError(f"{recording.path}: no points: the topic {name} holds no messages")
    if wanted:
        return [topics[name] for name in dict.fromkeys(wanted)]
    if not points:
        there = ", ".join(f"{t.name} ({t.type})" for t in topics.values())
        raise InputError(
            f"{recording.path}: no points: wanted a topic of one of {', '.join(CLOUD_TYPES)}, "
            f"got {there or 'no topics'}"
        )
    if len(points) > 1:
        raise InputError(
            f"{recording.path}: several topics hold points: choose with --topic, or merge them by "
            f"giving --topic more than once: {_listed(points)}"
        )
    return points


def _listed(topics: Sequence[Topic]) -> str:
    return ", ".join(
        f"{t.name} ({t.num_messages} messages)" if t.num_messages is not None else t.name
        for t in topics
    )
