"""Damaged and hostile files for every reader: an answer, an InputError, or a failure of ours.

A whole file of each kind is changed at random (bytes set, runs overwritten, cut, repeated, numbers
and words swapped), reproducibly by its seed. A reader fails where it raises anything but an
InputError, says more than one line, or returns garbage, which is: a scan whose points are not
finite, whose intensities leave [0, 1] or whose count differs from the file's; labels beyond the
class table; poses that are not finite.

    python tests/fuzz/fuzzing.py --inputs 100000        all readers, some minutes on one core
    python tests/fuzz/fuzzing.py --reader .laz --seed 7 --inputs 1
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import recordings
from pandas_pickles import pandas_pickle

from lidarpan.bench.report import read_report
from lidarpan.classes import load_class_table
from lidarpan.config import load_config, parse_config
from lidarpan.datasets.label_files import read_prediction, read_scored
from lidarpan.datasets.nuscenes_submission import check_meta, check_panoptic
from lidarpan.datasets.nuscenes_tables import read_table
from lidarpan.datasets.open import find_dataset
from lidarpan.datasets.pose_files import read_calibration, read_sensor_poses
from lidarpan.datasets.prelabels import PrelabelledScan, read_prelabels, write_prelabels
from lidarpan.datasets.times import find_times
from lidarpan.datasets.tools.choose import find_tool
from lidarpan.datasets.tools.frames import ToolBox, ToolFrame
from lidarpan.errors import InputError
from lidarpan.evaluation.compare import compare_files
from lidarpan.evaluation.report import SCAN_COUNTS
from lidarpan.model.checkpoint import save_weights
from lidarpan.model.weights import build_network, load_network
from lidarpan.scans.files import load_scan
from lidarpan.scans.frame_pickle import read_frame_pickle
from lidarpan.scans.sources import open_sources
from lidarpan.synthetic.sensors.choose import read_sensor
from lidarpan.training.resume import read_state, write_state

KITTI, NUSCENES = load_class_table("semantickitti"), load_class_table("nuscenes")
N = 60


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        name: of the file, whose suffix matters.
        content: of a whole one.
        read: reads the file at a path; raises AssertionError for garbage.
    """

    name: str
    content: bytes
    read: Callable[[Path], object]


def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    xyz = rng.normal(0, 12, (N, 3))
    return np.column_stack([xyz, rng.random(N)]).astype(np.float32)


def scan(path: Path) -> None:
    loaded = load_scan(path)
    points, intensity = loaded.scan.points, loaded.scan.intensity
    assert np.isfinite(points).all(), "points that are not finite"
    assert ((intensity >= 0) & (intensity <= 1)).all(), "intensities beyond 0..1"
    assert int(loaded.valid.sum()) == len(points) > 0, "another count than the file's"


def recording(path: Path) -> None:
    for source in open_sources([path]):
        for frame in islice(source.frames(), 20):
            points, intensity = frame.load().scan.points, frame.load().scan.intensity
            assert np.isfinite(points).all(), "points that are not finite"
            assert ((intensity >= 0) & (intensity <= 1)).all(), "intensities beyond 0..1"


def times(path: Path) -> None:
    found = find_times([path.with_name(f"{k:06d}.bin") for k in range(4)], path)
    assert (np.diff(found) > 0).all(), "times that do not grow"
    assert np.isfinite(found).all(), "times that are not finite"


def weights(path: Path) -> None:
    network, _, _ = load_network(path, torch.device("cpu"))
    assert all(torch.isfinite(p).all() for p in network.parameters()), "weights not finite"


def labels(path: Path) -> None:
    found = read_prediction(path, KITTI)
    assert (found.semantic < KITTI.num_classes).all(), "labels beyond the class table"
    assert (found.instance >= 0).all(), "instances below 0"


def scored(path: Path) -> None:
    found, classes = read_scored(path)
    assert (found.semantic < classes.num_classes).all(), "labels beyond the class table"


def panoptic(path: Path) -> None:
    found = read_prediction(path, NUSCENES)
    assert (found.semantic < NUSCENES.num_classes).all(), "labels beyond the class table"


def poses(path: Path) -> None:
    assert np.isfinite(read_sensor_poses(path).poses).all(), "poses that are not finite"


def calibration(path: Path) -> None:
    found = read_calibration(path)
    assert found is None or np.isfinite(found).all(), "a calibration that is not finite"


def no_faults(check: Callable[[Path], object]) -> Callable[[Path], None]:
    """A check that lists faults instead of raising."""

    def read(path: Path) -> None:
        check(path)

    return read


def compare(path: Path) -> None:
    comparison = compare_files(path, path)
    for difference in comparison.differences:
        assert -1e-9 <= difference.a <= 1 + 1e-9, "a score beyond 0..1"


def pcd(how: str, body: bytes) -> bytes:
    head = (
        f"# .PCD v.7\nVERSION .7\nFIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\n"
        f"COUNT 1 1 1 1\nWIDTH {N}\nHEIGHT 1\nVIEWPOINT 1 2 3 1 0 0 0\nPOINTS {N}\nDATA {how}\n"
    )
    return head.encode() + body


def ply(how: str, body: bytes) -> bytes:
    properties = "".join(f"property float {name}\n" for name in ("x", "y", "z", "intensity"))
    head = f"ply\nformat {how} 1.0\nelement vertex {N}\n{properties}end_header\n"
    return head.encode() + body


def literals(data: bytes) -> bytes:
    """An LZF stream that repeats nothing."""
    parts = (data[i : i + 32] for i in range(0, len(data), 32))
    return b"".join(bytes([len(part) - 1]) + part for part in parts)


def saved(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def saved_one(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def written(write: Callable[[Path], object], suffix: str) -> bytes:
    """What a function writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(path)
        return path.read_bytes()


def pickled(path: Path) -> None:
    """A pickled table: columns of one length, of numbers and words."""
    columns = read_frame_pickle(path)
    assert len({len(column) for column in columns.values()}) <= 1, "columns of several lengths"
    assert all(column.dtype.kind in "fiubO" for column in columns.values()), "other columns"


FRAMES = [
    ToolFrame(f"{k:06d}", k, (ToolBox(3, 1, (5.0, 2.0, -1.0), (4.0, 2.0, 1.5), 0.3, 0.5),))
    for k in range(2)
]
TOOL_FILES = {
    "kitti-boxes": "label_02/08.txt",
    "nuscenes-boxes": "results_nusc.json",
    "openlabel": "08.json",
    "cvat": "08/ds0/ann/000001.pcd.json",
    "segments": "08.json",
    "sustech": "08/label/000001.json",
}


def tool_reader(tool: str) -> Reader:
    """A file of a labelling tool, among the others that the tool has written."""

    def read(path: Path) -> None:
        folder = path.parent / tool
        find_tool(tool).write(folder, "08", FRAMES, KITTI)
        (folder / TOOL_FILES[tool]).write_bytes(path.read_bytes())
        for boxes in find_tool(tool).read(folder, "08", FRAMES, KITTI).values():
            for box in boxes:
                values = [*box.center_m, *box.size_m, box.yaw_rad]
                assert np.isfinite(values).all(), "boxes that are nowhere"
                assert box.class_id in KITTI.things, "boxes of no class"

    with tempfile.TemporaryDirectory() as folder:
        find_tool(tool).write(Path(folder), "08", FRAMES, KITTI)
        content = (Path(folder) / TOOL_FILES[tool]).read_bytes()
    return Reader(f"{tool}{Path(TOOL_FILES[tool]).suffix}", content, read)


def prelabels() -> bytes:
    """A whole `prelabels.json`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        scans = [
            PrelabelledScan("08", frame, out / "a.bin", out / "a.label", 0.5, "why")
            for frame in FRAMES
        ]
        write_prelabels(out, "cvat", KITTI, scans)
        return (out / "prelabels.json").read_bytes()


def bag(path: Path, version: int) -> None:
    ros = recordings.Ros(version)
    messages = [
        ("/points", 10**9 + k * 10**8, ros.points(rows(), 10**9 + k * 10**8)) for k in (0, 1)
    ]
    if version == 1:
        recordings.write_rosbag1(path, messages)
    else:
        recordings.write_mcap(path, messages, compression="none")


def small_weights(path: Path) -> None:
    sizes = {"channels": [2, 2], "encoder_blocks": [1, 1], "decoder_blocks": [1]}
    config = parse_config({"network": {**sizes, "bev_channels": 2, "bev_blocks": 1}}, "small")
    header = {"config": config.model_dump(mode="json"), "classes": list(KITTI.names)}
    save_weights(path, build_network(config).state_dict(), header, half=True)


def las(suffix: str) -> bytes:
    import laspy

    table = rows().astype(np.float64)
    cloud = laspy.create(point_format=3)
    cloud.header.scales = [0.001] * 3
    cloud.x, cloud.y, cloud.z = table.T[:3]
    cloud.intensity = (table[:, 3] * 65535).astype(np.uint16)
    stream = io.BytesIO()
    cloud.write(stream, do_compress=suffix == ".laz")
    return stream.getvalue()


def readers() -> list[Reader]:
    table = rows()
    words = np.array(["a", "b", None] * (N // 3), object)
    text = "\n".join(" ".join(f"{v:.5g}" for v in row) for row in table).encode()
    raw = table.astype("<f4").tobytes()
    columns = table.T.copy().tobytes()
    packed = literals(columns)
    sizes = np.array([len(packed), len(columns)], "<u4").tobytes()
    semantic = (np.arange(N) % 20).astype(np.uint8)
    instance = np.where(KITTI.is_thing[semantic], np.arange(N) + 1, 0).astype(np.int32)
    score = np.full(N + 1, 0.5, np.float32)
    ours = saved(
        semantic=semantic,
        instance=instance,
        score=score,
        class_names=np.array(KITTI.names),
        dataset=np.array("semantickitti"),
    )
    raw_labels = KITTI.to_raw(semantic).astype(np.uint32) | (instance.astype(np.uint32) << 16)
    challenge = (np.arange(N) % 17 * 1000 + np.arange(N) % 17).astype(np.uint16)
    counts = {"a": {"car": [1, 0, 1, 0.8, 9, 10, 11]}, "b": {"car": [2, 1, 0, 1.5, 9, 9, 9]}}
    run = {
        "dataset": "semantickitti",
        "split": "valid",
        "protocol": {"min_points": 50},
        "classes": {"car": {}},
        "scans": counts,
        "scan_counts": list(SCAN_COUNTS),
    }
    package = Path(load_class_table.__code__.co_filename).parent
    meta = {"meta": {"task": "segmentation", "use_lidar": True}}
    sensor = "name: mine\nelevations_deg: [-10, -5, 0, 5]\nheight_m: 1.8\nsector_deg: [-60, 60]\n"
    lines = "".join(f"1 0 0 {k} 0 1 0 0 0 0 1 0\n" for k in range(4)).encode()
    kitti = find_dataset("semantickitti")
    return [
        Reader("s.bin", raw, scan),
        Reader("s.pcd.bin", np.column_stack([table, np.arange(N)]).astype("<f4").tobytes(), scan),
        Reader("ascii.pcd", pcd("ascii", text), scan),
        Reader("binary.pcd", pcd("binary", raw), scan),
        Reader("packed.pcd", pcd("binary_compressed", sizes + packed), scan),
        Reader("ascii.ply", ply("ascii", text), scan),
        Reader("little.ply", ply("binary_little_endian", raw), scan),
        Reader("s.xyz", text, scan),
        Reader("s.csv", b"x,y,z,intensity\n" + text.replace(b" ", b","), scan),
        Reader(
            "comma.csv", b"X;Y;Z;Intensity\n" + text.replace(b".", b",").replace(b" ", b";"), scan
        ),
        Reader("s.npy", saved_one(table), scan),
        Reader("s.npz", saved(points=table[:, :3], intensity=table[:, 3], ring=np.arange(N)), scan),
        Reader("s.las", las(".las"), scan),
        Reader("s.laz", las(".laz"), scan),
        Reader("s.bag", written(lambda path: bag(path, 1), ".bag"), recording),
        Reader("s.mcap", written(lambda path: bag(path, 2), ".mcap"), recording),
        Reader("weights.safetensors", written(small_weights, ".safetensors"), weights),
        Reader(
            "resume.safetensors",
            written(lambda path: write_state(path, {"a": [torch.ones(3), 2, "x"]}), ".safetensors"),
            no_faults(read_state),
        ),
        Reader("times.txt", b"0.0\n0.1\n0.2\n3.5e-1\n", times),
        Reader("l.label", raw_labels.astype("<u4").tobytes(), labels),
        Reader("l.npz", ours, labels),
        Reader("scored.npz", ours, scored),
        Reader("l.npy", saved_one(semantic), labels),
        Reader("t_lidarseg.bin", (np.arange(N) % 17).astype(np.uint8).tobytes(), panoptic),
        Reader("t_panoptic.npz", saved(data=challenge), panoptic),
        Reader(
            "checked_panoptic.npz",
            saved(data=challenge),
            no_faults(lambda path: check_panoptic(path, N, NUSCENES, is_tracking=False)),
        ),
        Reader(
            "checked.label",
            raw_labels.astype("<u4").tobytes(),
            no_faults(lambda path: kitti.check_prediction(path, N, is_tracking=False)),
        ),
        Reader(
            "submission.json",
            json.dumps(meta).encode(),
            no_faults(lambda path: check_meta(path, "segmentation")),
        ),
        Reader("poses.txt", lines, poses),
        Reader("tum.txt", b"".join(b"%d.5 %d 0 0 0 0 0 1\n" % (k, k) for k in range(4)), poses),
        Reader(
            "calib.txt",
            b"P0: 1 0 0 0 0 1 0 0 0 0 1 0\nTr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n",
            calibration,
        ),
        Reader(
            "classes.yaml",
            (package / "class_tables/semantickitti.yaml").read_bytes(),
            load_class_table,
        ),
        Reader("config.yaml", (package.parent / "configs/town.yaml").read_bytes(), load_config),
        Reader("sensor.yaml", sensor.encode(), read_sensor),
        Reader("scores.json", json.dumps(run).encode(), compare),
        Reader("bench.json", b'{"format": "lidarpan-bench-1", "device": "cpu"}', read_report),
        Reader(
            "sample.json",
            json.dumps([{"token": "a", "next": "a", "timestamp": 5}]).encode(),
            read_table,
        ),
        Reader("table.pkl", pandas_pickle({"x": table[:, 0], "word": words}), pickled),
        Reader("prelabels.json", prelabels(), read_prelabels),
        *(tool_reader(tool) for tool in TOOL_FILES),
    ]


WORDS = [
    b"nan",
    b"-1",
    b"1e999",
    b"99999999999",
    b"4294967295",
    b"0",
    b"",
    b"[",
    b"{",
    b"&a *a",
    b"\xff\xfe",
    b"\x00",
    b"true",
    b"1.7",
    b"x",
    b"- - - -",
    b"null",
    b"\x1b[31m",
]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one to six changes."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 7))):
        if not data:
            break
        at = (
            int(rng.integers(len(data)))
            if rng.random() < 0.6
            else int(rng.integers(min(len(data), 300)))
        )
        match int(rng.integers(8)):
            case 0:
                data[at] = int(rng.integers(256))
            case 1:
                data[at : at + 4] = b"\xff\xff\xff\xff"
            case 2:
                data[at : at + 8] = b"\xff" * 7 + b"\x7f"
            case 3:
                data[at : at + 4] = int(rng.integers(1 << 32)).to_bytes(4, "little")
            case 4:
                del data[at : at + int(rng.integers(1, 40))]
            case 5:
                data[at:at] = data[at : at + int(rng.integers(1, 40))]
            case 6:
                word = WORDS[int(rng.integers(len(WORDS)))]
                data[at : at + int(rng.integers(0, 4))] = word
            case _:
                del data[at:]
    return bytes(data)


def unsigned(content: bytes) -> bytes:
    """A zip archive whose checksums fit again, so that what is inside is looked at."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = {info.filename: archive.read(info) for info in archive.infolist()}
    except Exception:  # too damaged to mend
        return content
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in inside.items():
            archive.writestr(name, data)
    return stream.getvalue()


def inputs(reader: Reader, seed: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Damaged files of a reader's kind, each with the seed that makes it alone."""
    for k in range(seed, seed + count):
        rng = np.random.default_rng([k, *reader.name.encode()])
        if reader.content[:2] == b"PK" and k % 2:
            yield k, _damaged_inside(reader.content, rng)
        else:
            yield k, damaged(reader.content, rng)


def _damaged_inside(content: bytes, rng: np.random.Generator) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        inside = [(info.filename, archive.read(info)) for info in archive.infolist()]
    chosen = int(rng.integers(len(inside)))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for k, (name, data) in enumerate(inside):
            archive.writestr(name, damaged(data, rng) if k == chosen else data)
    return stream.getvalue()


def failure_of(reader: Reader, content: bytes, folder: Path) -> str | None:
    """Why a reader fails on a file; None for an answer or a proper error."""
    path = folder / reader.name
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except InputError as error:
        if "\n" in str(error):
            return f"an error of several lines: {str(error)[:80]!r}"
    except AssertionError as error:
        return f"garbage: {error}"
    except Exception as error:  # what this looks for
        return f"{type(error).__name__}: {str(error)[:80]}"
    return None


def fuzz(reader: Reader, seed: int, count: int, folder: Path) -> dict[str, list[int]]:
    """Failures of a reader on `count` damaged files: what -> the seeds."""
    found: dict[str, list[int]] = {}
    for k, content in inputs(reader, seed, count):
        what = failure_of(reader, content, folder)
        if what is not None:
            found.setdefault(what, []).append(k)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="over all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", help="only those whose name ends so")
    options = parser.parse_args()
    chosen = [r for r in readers() if r.name.endswith(options.reader or "")]
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for reader in chosen:
            begin, count = time.perf_counter(), -(-options.inputs // len(chosen))
            found = fuzz(reader, options.seed, count, Path(folder))
            total["inputs"] += count
            total["failures"] += sum(len(seeds) for seeds in found.values())
            print(f"{reader.name}: {count} in {time.perf_counter() - begin:.0f} s", flush=True)
            for what, seeds in found.items():
                print(f"    {len(seeds)} x {what} (--seed {seeds[0]})", flush=True)
    print(f"{total['inputs']} inputs, {total['failures']} failures")
    return 1 if total["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
