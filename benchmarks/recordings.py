"""Time the same scans as files and as recordings, and watch the memory.

Run: python benchmarks/recordings.py [--scans 150] [--points 125000] [--folder /tmp/recordings]
Makes 2 MB a scan in every format in turn, reads each as `predict` does, file after file of both
kinds alternating, and prints how fast a recording is against `.bin` files and how far the resident
memory rose while it was read.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lidarpan.scans.recordings.pointcloud2 import pack_points
from lidarpan.scans.recordings.writer import RosMcapWriter
from lidarpan.scans.sources import open_sources

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from recordings import Ros, write_rosbag1, write_rosbag2
from recordings import write_mcap as write_by_mcap

START_NS = 1_700_000_000 * 10**9
PERIOD_NS = 100_000_000


def scan(number, num_points):
    """A ring of ground and walls with noise, (N, 4) float32."""
    rng = np.random.default_rng(number)
    azimuth = rng.uniform(-np.pi, np.pi, num_points)
    reach = rng.uniform(3, 60, num_points)
    height = np.where(rng.uniform(size=num_points) < 0.6, -1.73, rng.uniform(-1.7, 6, num_points))
    columns = [
        reach * np.cos(azimuth),
        reach * np.sin(azimuth),
        height,
        rng.uniform(size=num_points),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def write_bin(folder, scans):
    folder.mkdir()
    for number, rows in enumerate(scans):
        rows.tofile(folder / f"{number:06d}.bin")
    return folder


def write_mcap(path, scans):
    """As `lidarpan convert --to mcap` writes it: zstd."""
    with RosMcapWriter(path) as writer:
        for number, rows in enumerate(scans):
            columns = dict(zip(("x", "y", "z", "intensity"), rows.T, strict=True))
            stamp = START_NS + number * PERIOD_NS
            writer.add_points("/points", stamp, "lidar", pack_points(columns))
    return path


def write_rosbag(path, scans, version):
    """By rosbags: version 1, or 2 in sqlite3."""
    ros = Ros(version)
    stamps = (START_NS + number * PERIOD_NS for number in range(10**6))
    messages = (
        ("/points", stamp, ros.points(rows, stamp))
        for stamp, rows in zip(stamps, scans, strict=False)
    )
    return (write_rosbag1 if version == 1 else write_rosbag2)(path, messages)


def write_plain_mcap(path, scans):
    """By the library mcap, without compression."""
    ros = Ros(2)
    messages = (
        ("/points", START_NS + k * PERIOD_NS, ros.points(rows, START_NS + k * PERIOD_NS))
        for k, rows in enumerate(scans)
    )
    return write_by_mcap(path, messages, "none", chunk_size=4 << 20)


WRITERS = {
    "mcap": lambda folder, scans: write_plain_mcap(folder / "drive.mcap", scans),
    "mcap zstd": lambda folder, scans: write_mcap(folder / "zstd.mcap", scans),
    "rosbag2 sqlite3": lambda folder, scans: write_rosbag(folder / "rosbag2", scans, 2),
    "rosbag1": lambda folder, scans: write_rosbag(folder / "drive.bag", scans, 1),
}


def read_side_by_side(one, other):
    """CPU seconds that the frames of two sources take, one of each in turn."""
    totals = [0.0, 0.0]
    streams = [iter(one.frames()), iter(other.frames())]
    while True:
        for which, stream in enumerate(streams):
            begin = time.process_time()
            frame = next(stream, None)
            if frame is None:
                return totals
            frame.load()
            totals[which] += time.process_time() - begin


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def peak_while_reading(path):
    """Rise of the resident memory over that behind the first ten frames, MB."""
    (source,) = open_sources([path])
    highest = start = 0.0
    for number, frame in enumerate(source.frames()):
        frame.load()
        if number == 9:
            start = highest = resident_mb()
        if number > 9:
            highest = max(highest, resident_mb())
    return highest - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scans", type=int, default=150)
    parser.add_argument("--points", type=int, default=125_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_bin(folder / "bin", (scan(k, options.points) for k in range(options.scans)))
        size = options.scans * options.points * 16 / 1e6
        print(f"{options.scans} scans of {options.points} points, {size:.0f} MB")
        for name, write in WRITERS.items():
            path = write(folder, (scan(k, options.points) for k in range(options.scans)))
            (files,), (recording,) = open_sources([folder / "bin"]), open_sources([path])
            of_files, of_recording = read_side_by_side(files, recording)
            rise = peak_while_reading(path)
            each = 1000 / options.scans
            print(
                f"{name}: {of_recording * each:.1f} ms a scan, .bin {of_files * each:.1f} ms: "
                f"{of_files / of_recording:.2f} of its rate; memory rose by {rise:.0f} MB"
            )
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
