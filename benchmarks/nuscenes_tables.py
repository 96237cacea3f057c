"""Time and memory to list a nuScenes split: our reader of tables against nuscenes-devkit.

Writes tables as large as those of v1.0-trainval (850 scenes, 34,149 key frames, 2.6 million rows
of sample_data and of ego_pose, 1.2 million boxes; no scans), then opens them in a fresh process:

    python benchmarks/nuscenes_tables.py --scale 1 --folder /tmp/nuscenes

`--scale 0.1` writes a tenth of the scenes. Results are printed as JSON: seconds of wall clock and
of processor, and the peak of resident memory above that of an interpreter with the same imports.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

from lidarpan.datasets.nuscenes_tables import split_scenes

CHANNELS = (
    "LIDAR_TOP", "CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_LEFT",
    "CAM_BACK_RIGHT", "RADAR_FRONT", "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT", "RADAR_BACK_LEFT",
    "RADAR_BACK_RIGHT",
)  # fmt: skip
KEY_FRAMES, ROWS_PER_FRAME, BOXES_PER_FRAME = 34_149, 77, 34

POSE = """{
"token": "%s",
"timestamp": %d,
"rotation": [
%.16f,
%.16f,
%.16f,
0.0
],
"translation": [
%.13f,
%.13f,
%.1f
]
}"""
DATA = """{
"token": "%s",
"sample_token": "%s",
"ego_pose_token": "%s",
"calibrated_sensor_token": "%s",
"timestamp": %d,
"fileformat": "pcd",
"is_key_frame": %s,
"height": 0,
"width": 0,
"filename": "%s/%s/%s",
"prev": "%s",
"next": "%s"
}"""
BOX = """{
"token": "%s",
"sample_token": "%s",
"instance_token": "%s",
"visibility_token": "4",
"attribute_tokens": [
"%s"
],
"rotation": [
%.16f,
%.16f,
%.16f,
0.0
],
"translation": [
%.3f,
%.3f,
%.3f
],
"size": [
1.9,
4.6,
1.7
],
"num_lidar_pts": 10,
"num_radar_pts": 0,
"prev": "",
"next": ""
}"""

OURS = """
from lidarpan.datasets.open import open_dataset
open_dataset
MEASURE
split = open_dataset("nuscenes", ROOT, "train")
frames = [(f.name, str(f.scan), f.world_T_sensor[:3, 3].round(6).tolist()) for f in split.files]
"""
DEVKIT = """
import numpy as np
from nuscenes import NuScenes
from nuscenes.utils.splits import create_splits_scenes
from lidarpan.datasets.nuscenes_frame import NATIVE_T_SCAN, transform
MEASURE
nusc = NuScenes("v1.0-trainval", ROOT, verbose=False)
REPORT
there = {scene["name"]: scene for scene in nusc.scene}
frames = []
for name in create_splits_scenes()["train"]:
    token = there[name]["first_sample_token"] if name in there else ""
    while token:
        sample = nusc.get("sample", token)
        token = sample["next"]
        data = nusc.get("sample_data", sample["data"]["LIDAR_TOP"])
        ego = nusc.get("ego_pose", data["ego_pose_token"])
        mount = nusc.get("calibrated_sensor", data["calibrated_sensor_token"])
        pose = transform(ego["translation"], ego["rotation"])
        pose = pose @ transform(mount["translation"], mount["rotation"]) @ NATIVE_T_SCAN
        frames.append((data["token"], ROOT + "/" + data["filename"], pose[:3, 3].round(6).tolist()))
"""
MEASURE = """
import gc, resource, time
gc.collect()
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begin, cpu = time.perf_counter(), time.process_time()
"""
REPORT = """
result = dict(seconds=time.perf_counter() - begin, cpu_seconds=time.process_time() - cpu,
              peak_mb=(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) / 1024)
"""
LAST = """
import hashlib, json
print(json.dumps(result | {"frames": len(frames),
    "digest": hashlib.sha256(json.dumps(frames).encode()).hexdigest()[:12]}))
"""


class Table:
    """A table of a file, written row by row as the devkit's files are: indented JSON."""

    def __init__(self, folder: Path, name: str) -> None:
        self.stream = (folder / f"{name}.json").open("w")
        self.stream.write("[\n")
        self.is_first = True

    def add(self, **row) -> None:
        """Write a row."""
        self.add_text(json.dumps(row, indent=0))

    def add_text(self, row: str) -> None:
        """Write a row that is JSON already, as the millions are."""
        self.stream.write(row if self.is_first else ",\n" + row)
        self.is_first = False

    def close(self) -> None:
        """End the list."""
        self.stream.write("\n]")
        self.stream.close()


def write_tables(root: Path, scale: float) -> None:
    """Tables of `scale` times trainval's size."""
    rng = random.Random(0)
    folder = root / "v1.0-trainval"
    folder.mkdir(parents=True)
    (root / "panoptic/v1.0-trainval").mkdir(parents=True)
    names = (
        "category attribute visibility instance sensor calibrated_sensor ego_pose log scene sample"
    )
    tables = {
        n: Table(folder, n) for n in f"{names} sample_data sample_annotation map panoptic".split()
    }

    def token() -> str:
        return f"{rng.getrandbits(128):032x}"

    def pose() -> dict:
        return {"rotation": [rng.gauss(0, 1) for _ in range(4)],
                "translation": [rng.uniform(0, 2000) for _ in range(2)] + [0.0]}  # fmt: skip

    sensors = {channel: token() for channel in CHANNELS}
    for channel, sensor in sensors.items():
        tables["sensor"].add(token=sensor, channel=channel, modality="lidar")
    category, attribute = token(), token()
    tables["category"].add(token=category, name="vehicle.car", description="", index=17)
    tables["attribute"].add(token=attribute, name="vehicle.moving", description="")
    for level in "1234":
        tables["visibility"].add(token=level, level=level, description="")
    scenes = split_scenes()["train"] + split_scenes()["val"]
    count = max(1, round(scale * len(scenes)))
    logs = []
    for k, name in enumerate(scenes[:count]):
        scene, log = token(), token()
        logs.append(log)
        mounts = {channel: token() for channel in CHANNELS}
        for channel, mount in mounts.items():
            tables["calibrated_sensor"].add(
                token=mount, sensor_token=sensors[channel], camera_intrinsic=[], **pose()
            )
        length = KEY_FRAMES // len(scenes) + (k < KEY_FRAMES % len(scenes))
        samples = [token() for _ in range(length)]
        chain = ["", *samples, ""]
        objects = [token() for _ in range(76)]
        for instance in objects:
            tables["instance"].add(token=instance, category_token=category, nbr_annotations=1,
                                   first_annotation_token="", last_annotation_token="")  # fmt: skip
        for i, sample in enumerate(samples):
            stamp = 1_530_000_000_000_000 + 500_000 * i
            places = [[rng.uniform(0.1, 2000) for _ in range(6)]] * ROWS_PER_FRAME
            tables["sample"].add(token=sample, timestamp=stamp, prev=chain[i], next=chain[i + 2],
                                 scene_token=scene)  # fmt: skip
            for j in range(ROWS_PER_FRAME):
                channel, is_key = CHANNELS[j % len(CHANNELS)], j < len(CHANNELS)
                data = token()  # the pose of a row is called as the row, as in the real tables
                folder_name = "samples" if is_key else "sweeps"
                file = f"n015-2018-07-18-11-07-57+0800__{channel}__{stamp + j}.pcd.bin"
                tables["ego_pose"].add_text(POSE % (data, stamp + j, *places[j]))
                tables["sample_data"].add_text(DATA % (
                    data, sample, data, mounts[channel], stamp + j, ["false", "true"][is_key],
                    folder_name, channel, file, data[::-1], data[5:] + data[:5],
                ))  # fmt: skip
                if is_key and channel == "LIDAR_TOP":
                    file = f"panoptic/v1.0-trainval/{data}_panoptic.npz"
                    tables["panoptic"].add(token=data, sample_data_token=data, filename=file)
                    (root / file).touch()  # the devkit counts them
            for j in range(BOXES_PER_FRAME):
                tables["sample_annotation"].add_text(
                    BOX % (token(), sample, objects[j], attribute, *places[j])
                )
        tables["scene"].add(token=scene, log_token=log, nbr_samples=length, name=name,
                            first_sample_token=samples[0], last_sample_token=samples[-1],
                            description="")  # fmt: skip
        tables["log"].add(token=log, logfile="n015", vehicle="n015", date_captured="2018-07-18",
                          location="boston-seaport")  # fmt: skip
    tables["map"].add(token=token(), category="semantic_prior", filename="", log_tokens=logs)
    for table in tables.values():
        table.close()


def run(code: str, root: Path) -> dict:
    """What a fresh process prints."""
    if "\nREPORT" not in code:
        code += "\nREPORT"
    code = (
        code.replace("MEASURE", MEASURE).replace("REPORT", REPORT).replace("ROOT", repr(str(root)))
    )
    done = subprocess.run(
        [sys.executable, "-c", code + LAST], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"failed ({done.returncode}): {done.stderr[-600:]}")
    return json.loads(done.stdout)


def main() -> None:
    """Write, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if not (options.folder / "v1.0-trainval").is_dir():
        write_tables(options.folder, options.scale)
    size = sum(f.stat().st_size for f in (options.folder / "v1.0-trainval").iterdir())
    report = {"scale": options.scale, "tables_mb": round(size / 2**20)}
    for name, code in (("ours", OURS), ("devkit", DEVKIT)):
        runs = sorted((run(code, options.folder) for _ in range(options.runs)),
                      key=lambda r: r["seconds"])  # fmt: skip
        report[name] = runs[len(runs) // 2]
    for what in ("seconds", "cpu_seconds", "peak_mb"):
        report[f"ratio_{what}"] = round(report["devkit"][what] / report["ours"][what], 1)
    print(json.dumps(report, indent=1))
    assert report["ours"]["digest"] == report["devkit"]["digest"], "another list of frames"


if __name__ == "__main__":
    main()
