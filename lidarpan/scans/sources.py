"""Paths as the caller names them -> sources of scans: files, folders, bags, captures."""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from dataclasses import replace
from os.path import commonpath
from pathlib import Path

from lidarpan.scans.e57 import E57Source
from lidarpan.scans.find import find_scans
from lidarpan.scans.packets.source import open_capture, open_ouster_topic
from lidarpan.scans.partners import pair, read_transform
from lidarpan.scans.recordings.clouds import PACKET_TYPES
from lidarpan.scans.recordings.cut_database import CutDatabase, is_cut_off
from lidarpan.scans.recordings.mcap import McapFiles
from lidarpan.scans.recordings.messages import Recording
from lidarpan.scans.recordings.rosbag import RosBag, open_rosbag1, read_metadata
from lidarpan.scans.recordings.topic_source import TopicSource
from lidarpan.scans.recordings.topics import choose_topics
from lidarpan.scans.source import FileSource, ScanSource
from lidarpan.scans.waymo import WaymoSource, is_waymo
from lidarpan.structures import InputError

_log = logging.getLogger("lidarpan")

MESSAGES = (".bag", ".mcap", ".db3")
CAPTURES = (".pcap", ".pcapng")
RECORDINGS = (*MESSAGES, *CAPTURES, ".osf", ".e57")
"""Suffixes of files that hold several scans."""


def is_recording(path: str | Path) -> bool:
    """Whether a path names a recording: a file that holds several scans, or a rosbag2 folder."""
    path = Path(path)
    if path.is_dir():
        return read_metadata(path) is not None
    return path.suffix.lower() in RECORDINGS or is_waymo(path)


def is_messages(path: Path) -> bool:
    """Whether a recording is one of messages: a bag or an MCAP file."""
    return path.is_dir() or path.suffix.lower() in MESSAGES


def split_paths(paths: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """The scan files and the recordings that files, folders and glob patterns name, each once.

    A folder stands for the scan files below it and the recordings in it.

    Raises:
        InputError: a path names neither.
    """
    recordings = list(dict.fromkeys(found for path in paths for found in _recordings_of(path)))
    files = [path for path in paths if not _is_all_recordings(path)]
    scans = find_scans(files) if files or not recordings else []
    return [scan for scan in scans if not is_waymo(scan)], recordings


def open_sources(
    paths: Sequence[str | Path],
    topics: Sequence[str] = (),
    frame_id: str | None = None,
    columns: str | None = None,
    merged: Sequence[str] = (),
) -> list[ScanSource]:
    """Open what the caller names: all scan files as one source, and each recording.

    Args:
        paths: files, folders and glob patterns, as `split_paths` takes them.
        topics: of recordings of messages; none takes the only one with points, several are merged.
        frame_id: take only the messages of this frame.
        columns: of headerless files, as in `check_letters`; None finds them out.
        merged: transforms as `read_transform` takes them, one for each path but the first: then
            each path is a sensor, whose scans are merged with those of the first.

    Raises:
        InputError: a path names nothing, or a recording cannot be opened.
    """
    scans, recordings = split_paths(paths)
    if merged and recordings:
        raise InputError(
            f"{recordings[0]}: --merge is for scan files; sensors in a recording are merged by "
            "--topic A --topic B"
        )
    if merged:
        return [_merged_source(paths, columns, merged)]
    if (topics or frame_id) and not any(is_messages(path) for path in recordings):
        raise InputError(
            f"{paths[0]}: --topic and --frame are for bags and MCAP files: leave them out"
        )
    files = [file_source(scans, columns)] if scans else []
    return [*files, *(open_recording(path, topics, frame_id) for path in recordings)]


def file_source(scans: Sequence[Path], columns: str | None = None) -> FileSource:
    """Scan files as a source, called by the folder that they have in common."""
    common = commonpath([scan.absolute().parent for scan in scans])
    return FileSource(Path(common), scans, columns)


def _merged_source(
    paths: Sequence[str | Path], columns: str | None, merged: Sequence[str]
) -> FileSource:
    """The scans of the first path, each with those of the other paths that belong to it."""
    if len(paths) != len(merged) + 1:
        raise InputError(
            f"wanted a path for each sensor and --merge for each but the first, got {len(paths)} "
            f"paths and {len(merged)} times --merge"
        )
    sensors = [find_scans([path]) for path in paths]
    partners, said = pair(sensors, [read_transform(given) for given in merged])
    for line in said:
        _log.warning("%s", line)
    return replace(file_source(sensors[0], columns), partners=partners)


def count_frames(sources: Sequence[ScanSource]) -> int | None:
    """Frames of all sources together, or None where one does not know."""
    counts = [source.num_frames for source in sources]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _recordings_of(path: str | Path) -> list[Path]:
    """The recordings that an argument names, or that lie in the folder it names."""
    if not str(path):
        return []
    named = Path(path)
    if named.is_dir() and not is_recording(named):
        return sorted(entry for entry in named.iterdir() if is_recording(entry))
    if named.exists():
        return [named] if is_recording(named) and _has_content(named) else []
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    return [match for match in matches if is_recording(match)]


def _is_all_recordings(path: str | Path) -> bool:
    """Whether an argument names recordings and no scan file."""
    found = _recordings_of(path)
    if not found or found == [Path(path)]:
        return bool(found)
    try:
        find_scans([path])
    except InputError:
        return True
    return False


def _has_content(path: Path) -> bool:
    if path.is_file() and not path.stat().st_size:
        raise InputError(f"{path}: wanted a recording, got an empty file: fetch it again")
    return True


def open_recording(
    path: Path, topics: Sequence[str] = (), frame_id: str | None = None
) -> ScanSource:
    """Open one recording; arguments and errors as `open_sources`."""
    suffix = path.suffix.lower()
    if not path.is_dir():
        if suffix in CAPTURES:
            return open_capture(path)
        if suffix == ".osf":
            from lidarpan.scans.packets.osf import OsfSource

            return OsfSource(path)
        if suffix == ".e57":
            return E57Source(path)
        if is_waymo(path):
            return WaymoSource(path)
    recording = open_messages(path)
    chosen = choose_topics(recording, topics)
    if chosen[0].type in PACKET_TYPES:
        if len(chosen) > 1:
            raise InputError(f"{path}: topics of packets cannot be merged: give one --topic")
        return open_ouster_topic(recording, chosen[0])
    return TopicSource(recording, [topic.name for topic in chosen], frame_id)


def open_messages(path: Path) -> Recording:
    """Open a bag or an MCAP file as topics of messages; raises InputError."""
    if not path.is_dir():
        match path.suffix.lower():
            case ".mcap":
                return McapFiles(path, [path])
            case ".bag":
                return open_rosbag1(path)
            case _:
                return CutDatabase(path, path) if is_cut_off(path) else RosBag(path)
    metadata = read_metadata(path) or {}
    if metadata.get("storage_identifier") != "mcap":
        databases = sorted(path.glob("*.db3"))
        if len(databases) == 1 and is_cut_off(databases[0]):
            return CutDatabase(path, databases[0])
        return RosBag(path)
    names = metadata.get("relative_file_paths")
    files = [path / Path(str(name)).name for name in names] if isinstance(names, list) else []
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None or not files:
        raise InputError(
            f"{path}: wanted the files that metadata.yaml lists, got none at {missing}"
        )
    mode = str(metadata.get("compression_mode") or "").lower()
    return McapFiles(path, files, is_compressed=mode == "message")
