"""Where the outputs of sources go, and what is written beside the frames of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from lidarpan.scans.source import Pose, ScanSource
from lidarpan.whole_file import write_text


def output_folders(out: Path, sources: Sequence[ScanSource]) -> list[Path]:
    """Where the outputs of each source go: `out`, or a folder of its own for each recording.

    Recordings of one name get their suffix, or a number.
    """
    if len(sources) == 1:
        return [out]
    taken: set[str] = set()
    folders = []
    for source in sources:
        if not source.is_recording:
            folders.append(out)
            continue
        stem = source.path.stem
        names = chain((stem, source.path.name), (f"{stem}-{k}" for k in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        folders.append(out / name)
    return folders


def write_times_and_poses(
    out: Path, stamps_ns: Sequence[int | None], poses: Sequence[Pose | None]
) -> None:
    """Write `times.txt` where every frame has a stamp, `poses.txt` where every one has a pose.

    Line k belongs to frame k: seconds with nanoseconds, and the first three rows of world_T_sensor.

    Raises:
        InputError: they cannot be written.
    """
    known = [stamp for stamp in stamps_ns if stamp is not None]
    if known and len(known) == len(stamps_ns):
        lines = [f"{stamp // 10**9}.{stamp % 10**9:09d}\n" for stamp in known]
        write_text(out / "times.txt", "".join(lines))
    placed = [pose for pose in poses if pose is not None]
    if placed and len(placed) == len(poses):
        rows = [" ".join(f"{value:.12g}" for value in pose[:3].reshape(-1)) for pose in placed]
        write_text(out / "poses.txt", "\n".join(rows) + "\n")
