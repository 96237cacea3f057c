"""The nuScenes tables, as far as LiDAR key frames need them: few rows of large files, streamed.

Of trainval's 2.6 million rows of sample_data and ego_pose one in eighty is of a LIDAR_TOP key
frame. Rows are found by a search for what they must hold in pieces of the file, and only those are
parsed. It relies on rows without objects in them, as the devkit's are; where it does not find what
it must, the table is parsed as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.nuscenes_frame import NATIVE_T_SCAN, transform
from lidarpan.structures import InputError
from lidarpan.text_trees import read_json_tree

VERSIONS = {
    "mini_train": ("v1.0-mini",),
    "mini_val": ("v1.0-mini",),
    "train": ("v1.0-trainval", "v1.0-mini"),
    "val": ("v1.0-trainval", "v1.0-mini"),
    "test": ("v1.0-test", "v1.0-mini"),
}
"""Split -> the versions that may hold its scenes."""

EVALUATED = {
    "v1.0-mini": ("mini_train", "mini_val"),
    "v1.0-trainval": ("train", "val"),
    "v1.0-test": ("test",),
}
"""Version -> the splits that it has as a whole."""
_NEEDED = ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor")
_PIECE_BYTES = 1 << 23
_KEY_FRAME = b"samples/LIDAR_TOP/"
_TOKEN = re.compile(rb'"token"\s*:\s*"([^"]*)"')

Row = dict[str, Any]


@dataclass(frozen=True)
class KeyFrame:
    """One LIDAR_TOP key frame.

    Attributes:
        token: of its sample_data record.
        scene: name of its scene.
        file: its `.pcd.bin` file.
        label_file: its panoptic `.npz` or else lidarseg `.bin` file, None without.
        world_T_sensor: (4, 4) pose, x forward.
    """

    token: str
    scene: str
    file: Path
    label_file: Path | None
    world_T_sensor: NDArray[np.float64]


@dataclass(frozen=True)
class ScanToken:
    """What the devkit calls a LIDAR_TOP key frame.

    Attributes:
        token: of its sample_data record, which names its label files.
        split: the devkit's split that its scene is in.
    """

    token: str
    split: str


@lru_cache(maxsize=1)
def split_scenes() -> dict[str, tuple[str, ...]]:
    """The scenes of each split of the devkit, in its order."""
    file = resources.files("lidarpan").joinpath("datasets/nuscenes_splits.txt")
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    scenes: dict[str, tuple[str, ...]] = {}
    for line in lines:
        if line.endswith(":"):
            split = line[:-1]
            scenes[split] = ()
        else:
            scenes[split] += tuple(f"scene-{number}" for number in line.split())
    return scenes


def find_version(root: Path, split: str) -> str:
    """The version folder of a tree that holds a split; raises InputError where there is none."""
    if split not in VERSIONS:
        raise InputError(f"no split {split!r} of nuScenes: wanted {', '.join(VERSIONS)}")
    if not root.is_dir():
        raise InputError(f"{root}: wanted the folder of a nuScenes tree, found no such folder")
    there = sorted(path.parent.name for path in root.glob("v1.0-*/scene.json"))
    version = next((name for name in VERSIONS[split] if name in there), None)
    if version is None:
        raise InputError(
            f"{root}: wanted {' or '.join(VERSIONS[split])} for the {split} split, "
            f"got {', '.join(there) or 'no v1.0-* folder with scene.json'}"
        )
    return version


def read_key_frames(root: Path, version: str, split: str) -> list[KeyFrame]:
    """The LIDAR_TOP key frames of a split, scene by scene, as the devkit has them.

    Raises:
        InputError: a table is missing or damaged, a link leads nowhere or in a circle, or no scene
            of the split is in the tree.
    """
    folder = root / version
    absent = [name for name in _NEEDED if not (folder / f"{name}.json").is_file()]
    if absent:
        raise InputError(f"{folder}: wanted whole nuScenes tables, got no {absent[0]}.json")
    try:
        return list(_key_frames(root, folder, split))
    except KeyError as error:
        raise InputError(f"{folder}: a table lacks {error}: unpack it again") from None
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder}: wanted whole nuScenes tables, got {error}: unpack them again"
        ) from None


def find_key_frames(scan_paths: Sequence[Path]) -> list[KeyFrame] | None:
    """Look scan files of one folder up in their nuScenes tree, with scenes and poses.

    Returns:
        None where one of them lies in no such tree, or is no key frame of it.

    Raises:
        InputError: a table of the tree is damaged.
    """
    files = [path.absolute() for path in scan_paths]
    if not files or any(path.parts[-3:-1] != ("samples", "LIDAR_TOP") for path in files):
        return None
    found = _frames_of(files[0].parents[2])
    return [found[path] for path in files] if found.keys() >= set(files) else None


@lru_cache(maxsize=2)
def _frames_of(root: Path) -> dict[Path, KeyFrame]:
    """File -> key frame, of every scene of the devkit's splits that a tree has."""
    frames: dict[Path, KeyFrame] = {}
    for version, splits in EVALUATED.items():
        if (root / version / "ego_pose.json").is_file():
            names = {row["name"] for row in read_table(root / version / "scene.json")}
            for split in splits:
                if names.intersection(split_scenes()[split]):
                    found = read_key_frames(root, version, split)
                    frames |= {frame.file: frame for frame in found}
    return frames


def find_token(scan_path: Path) -> ScanToken | None:
    """Look a scan file up in its nuScenes tree (`ROOT/samples/LIDAR_TOP/*.pcd.bin`).

    Returns:
        None where the file does not lie in such a tree, or is no key frame of it.

    Raises:
        InputError: a table of the tree is damaged.
    """
    scan_path = scan_path.absolute()
    if len(scan_path.parents) < 3 or scan_path.parts[-3:-1] != ("samples", "LIDAR_TOP"):
        return None
    root = scan_path.parents[2]
    filename = scan_path.relative_to(root).as_posix()
    for version in sorted(path.parent.name for path in root.glob("v1.0-*/sample_data.json")):
        found = _tokens(root, version).get(filename)
        if found:
            return found
    return None


@lru_cache(maxsize=4)
def _tokens(root: Path, version: str) -> dict[str, ScanToken]:
    """File name -> token and split, of every LIDAR_TOP key frame of a version."""
    splits, folder = EVALUATED.get(version, ("test",)), root / version
    split_of = {scene: split for split in splits for scene in split_scenes()[split]}
    try:
        scene_of = {row["token"]: row["name"] for row in read_table(folder / "scene.json")}
        sample_scene = {
            row["token"]: scene_of[row["scene_token"]] for row in read_table(folder / "sample.json")
        }
        return {
            row["filename"]: ScanToken(
                row["token"], split_of.get(sample_scene[row["sample_token"]], splits[-1])
            )
            for row in lidar_rows(folder / "sample_data.json")
        }
    except KeyError as error:
        raise InputError(f"{folder}: a table lacks {error}: unpack it again") from None
    except (TypeError, AttributeError) as error:
        raise InputError(f"{folder}: wanted whole nuScenes tables, got {error}") from None


def _key_frames(root: Path, folder: Path, split: str) -> Iterator[KeyFrame]:
    scenes = _scenes_of(root, folder, split)
    samples = {row["token"]: row for row in read_table(folder / "sample.json")}
    order = [(token, scene["name"]) for scene in scenes for token in _chain(scene, samples, folder)]
    wanted = {token for token, _ in order}
    rows = {
        row["sample_token"]: row
        for row in lidar_rows(folder / "sample_data.json")
        if row["sample_token"] in wanted
    }
    poses = rows_of(folder / "ego_pose.json", {row["ego_pose_token"] for row in rows.values()})
    mounts = {row["token"]: row for row in read_table(folder / "calibrated_sensor.json")}
    labels = _label_files(root, folder)
    for token, scene_name in order:
        row = rows.get(token)
        if row is None:
            continue  # a sample without LIDAR_TOP
        world_T_ego = _transform(poses[row["ego_pose_token"]])
        ego_T_native = _transform(mounts[row["calibrated_sensor_token"]])
        yield KeyFrame(
            row["token"],
            scene_name,
            root / row["filename"],
            None if labels is None else labels[row["token"]],
            world_T_ego @ ego_T_native @ NATIVE_T_SCAN,
        )


def _scenes_of(root: Path, folder: Path, split: str) -> list[Row]:
    """The tree's scenes that are in the split, in the split's order."""
    there = {scene["name"]: scene for scene in read_table(folder / "scene.json")}
    scenes = [there[name] for name in split_scenes()[split] if name in there]
    if not scenes:
        names = ", ".join(list(there)[:12]) or "none"
        raise InputError(f"{root}: wanted scenes of the {split} split, {folder.name} has {names}")
    return scenes


def _chain(scene: Row, samples: dict[str, Row], folder: Path) -> Iterator[str]:
    """The sample tokens of a scene, from `next` to `next`."""
    token, seen = scene["first_sample_token"], set[str]()
    while token:
        if token in seen or token not in samples:
            what = "leads back to" if token in seen else "leads to a sample that is not there,"
            raise InputError(
                f"{folder / 'sample.json'}: the chain of {scene['name']} {what} {token}: "
                "unpack it again"
            )
        seen.add(token)
        yield token
        token = samples[token]["next"]


def _transform(row: Row) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        pose = transform(row["translation"], row["rotation"])
    if not np.isfinite(pose).all():
        raise ValueError(f"a pose that is no number in the row {row['token']}")
    return pose


def _label_files(root: Path, folder: Path) -> dict[str, Path] | None:
    """sample_data token -> label file, from the panoptic or else the lidarseg table; None without.

    Both tables call their rows by the token of the sample_data row.
    """
    for name in ("panoptic", "lidarseg"):
        if (folder / f"{name}.json").is_file():
            rows = read_table(folder / f"{name}.json")
            return {row["token"]: root / row["filename"] for row in rows}
    return None


# --- rows of tables ---


def read_table(file: Path) -> list[Row]:
    """All rows of a table; raises InputError where it is none."""
    rows = read_json_tree(file)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file}: wanted a nuScenes table, a list of rows, got something else")
    return rows


def lidar_rows(file: Path) -> list[Row]:
    """The rows of sample_data that are LIDAR_TOP key frames, in the order of the file.

    Raises:
        InputError: the table is damaged.
    """

    def is_wanted(row: Row) -> bool:
        return bool(row["is_key_frame"]) and "/LIDAR_TOP/" in row["filename"]

    def places(piece: bytes) -> Iterator[int]:
        at = piece.find(_KEY_FRAME)
        while at >= 0:
            yield at
            at = piece.find(_KEY_FRAME, at + 1)

    found = _search(file, places, is_wanted)
    return found or [row for row in read_table(file) if is_wanted(row)]


def rows_of(file: Path, tokens: set[str]) -> dict[str, Row]:
    """The rows of a table that have these tokens, by token.

    Raises:
        InputError: the table is damaged, or lacks one of them.
    """
    sought = {token.encode() for token in tokens}

    def places(piece: bytes) -> Iterator[int]:
        return (match.start() for match in _TOKEN.finditer(piece) if match[1] in sought)

    rows = _search(file, places, lambda row: row["token"] in tokens)
    found = {row["token"]: row for row in rows or ()}
    if len(found) < len(tokens):
        found = {row["token"]: row for row in read_table(file) if row["token"] in tokens}
    if len(found) < len(tokens):
        absent = min(tokens - found.keys())
        raise InputError(f"{file}: no row {absent}, which another table names: unpack it again")
    return found


def _search(
    file: Path, places: Callable[[bytes], Iterable[int]], is_wanted: Callable[[Row], bool]
) -> list[Row] | None:
    """The wanted rows around the places found; None where one of them is no flat object."""
    rows = []
    for piece in _pieces(file):
        for at in places(piece):
            begin, end = piece.rfind(b"{", 0, at), piece.find(b"}", at) + 1
            try:
                row = json.loads(piece[begin:end])
            except ValueError:
                return None
            if not isinstance(row, dict):
                return None
            if is_wanted(row):
                rows.append(row)
    return rows


def _pieces(file: Path) -> Iterator[bytes]:
    """The bytes of a table in pieces that end with the end of a row; raises InputError if cut."""
    last = b""
    try:
        with file.open("rb") as stream:
            while block := stream.read(_PIECE_BYTES):
                end = block.rfind(b"}") + 1
                if end:
                    yield last + block[:end]
                last = block[end:] if end else last + block
    except OSError as error:
        raise InputError(f"{file}: wanted a nuScenes table, got {error}") from None
    if last.strip(b" \t\r\n") not in (b"]", b"[]"):
        raise InputError(f"{file}: wanted a nuScenes table, got one that is cut off")
