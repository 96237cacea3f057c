"""Kill commands at random times, run them again, and compare with a run that nobody disturbed.

    python tools/kill_runs.py --out out/kills --kills 100
    python tools/kill_runs.py --out out/kills --kills 10 --only simulate,draw

After each kill nothing that can be seen may be half a file, after the run that follows the output
must be the same bytes, no `.part` file may be left, and no process.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from safetensors import safe_open

CLI = [sys.executable, "-m", "lidarpan.cli"]
NOT_COMPARED = ("log", "times.json", "run.json")
"""Ends of the names of files that hold when something was done."""
GROWING = ("simulating.json", "best.", "last.", "resume.", "logs/")
"""Beginnings of the names of files that are whole, but replaced while a command goes on."""


def jobs(base: Path) -> dict[str, list[str]]:
    """Name -> words of the command; `{out}` is where it writes."""
    town, labels = base / "town", base / "labels"
    scans = str(town / "sequences/00/velodyne")
    return {
        "simulate": ["simulate", "semantickitti", "--out", "{out}", "--scans", "3", "--seed", "5",
                     "--scans-per-town", "1", "--sensor", "vlp16"],
        "predict": ["predict", scans, "--out", "{out}", "--device", "cpu"],
        "draw": ["draw", scans, "--labels", str(town), "--out", "{out}/drive.gif"],
        "evaluate": ["evaluate", "semantickitti", "--data", str(town), "--predictions", str(labels),
                     "--split", "train", "--json", "{out}/a.json", "--per-scan", "{out}/a.csv"],
        "pack": ["submit", "pack", "semantickitti", "--data", str(town), "--predictions",
                 str(labels), "--split", "train", "--fix", "--out", "{out}/a.zip"],
        "track": ["track", scans, "--labels", str(labels), "--out", "{out}"],
        "train": ["train", str(base / "train.yaml"), "--set", "out={out}"],
    }  # fmt: skip


TRAIN = """
network: {{channels: [8, 16], encoder_blocks: [1, 1], decoder_blocks: [1], bev_channels: 8}}
grid: {{min_m: [-40, -40, -4], max_m: [40, 40, 5.6], voxel_m: [0.4, 0.4, 0.4]}}
train_data: [{{dataset: semantickitti, root: {town}, split: train}}]
valid_data: [{{dataset: semantickitti, root: {town}, split: train, limit: 2}}]
training: {{max_steps: 12, batch_size: 1, num_workers: 0, checkpoint_every: 2, validate_every: 4}}
"""


def prepare(base: Path) -> None:
    """A small town and its own truth as predictions, for the commands that want them."""
    if not (base / "town").is_dir():
        town = ["simulate", "semantickitti", "--out", str(base / "town"), "--scans", "4"]
        subprocess.run(
            [*CLI, *town, "--seed", "1", "--sensor", "vlp16"], check=True, stdout=subprocess.DEVNULL
        )
    (base / "train.yaml").write_text(TRAIN.format(town=base / "town"))
    for truth in (base / "town").glob("sequences/*/labels/*.label"):
        to = base / "labels/sequences" / truth.parts[-3] / "predictions" / truth.name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(truth, to)


def digest(folder: Path) -> dict[str, str]:
    """Name -> hash of every file that is compared."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(_content(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(NOT_COMPARED)
        if not path.name.startswith(".lidarpan-")
    }


def _content(path: Path) -> bytes:
    """What is in a file; of safetensors in order, as its header's is another in every process."""
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with safe_open(str(path), framework="np") as file:
        tensors = [(name, file.get_tensor(name).tobytes()) for name in sorted(file.keys())]
        return repr((tensors, sorted(file.metadata().items()))).encode()


def run(words: list[str], out: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own."""
    out.mkdir(parents=True, exist_ok=True)
    full = [*CLI, *(word.replace("{out}", str(out)) for word in words)]
    return subprocess.Popen(
        full, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def children_of(session: int) -> list[int]:
    """Processes of a session that still run."""
    left = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                left.append(int(entry.name))
    return left


def kill_once(words: list[str], whole: dict[str, str], out: Path, after_s: float) -> list[str]:
    """Kill a command after some seconds and run it again; what is wrong with the outcome."""
    shutil.rmtree(out, ignore_errors=True)
    process = run(words, out)
    time.sleep(after_s)
    if process.poll() is not None:  # it was faster this time: nothing was killed
        return [] if digest(out) == whole else ["undisturbed: the output differs"]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    seen = digest(out)
    wrong = [f"{name} is there and differs" for name in seen if seen[name] != whole.get(name)]
    wrong = [text for text in wrong if not text.startswith(GROWING)]
    time.sleep(2.0)
    if left := children_of(process.pid):
        wrong.append(f"{len(left)} processes still run")
    goes_on = ["--resume"] if (out / "resume.safetensors").is_file() else []
    again = run([*words, *goes_on], out)
    _, said = again.communicate()
    if again.returncode:
        wrong.append(f"run again: exit code {again.returncode}: {said.decode()[-200:]}")
    elif digest(out) != whole:
        wrong.append("run again: the output differs")
    wrong += [f"{path.name} is left" for path in out.rglob(".lidarpan-*")]
    return wrong


def main() -> int:
    """Kill, compare, count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to work in")
    parser.add_argument("--kills", type=int, default=100, help="over all commands")
    parser.add_argument("--only", help="names of commands, with commas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    base, rng = options.out.absolute(), random.Random(options.seed)
    base.mkdir(parents=True, exist_ok=True)
    prepare(base)
    chosen = jobs(base)
    if options.only:
        chosen = {name: chosen[name] for name in options.only.split(",")}
    failures = kills = 0
    for name, words in chosen.items():
        shutil.rmtree(base / "run", ignore_errors=True)
        begin = time.monotonic()
        process = run(words, base / "run")
        _, said = process.communicate()
        took_s = time.monotonic() - begin
        if process.returncode:
            print(f"{name}: undisturbed: {said.decode()[-300:]}")
            failures += 1
            continue
        whole = digest(base / "run")
        for _ in range(-(-options.kills // len(chosen))):
            after_s = rng.uniform(0.05, took_s)
            wrong = kill_once(words, whole, base / "run", after_s)
            kills += 1
            failures += bool(wrong)
            print(f"{name}: killed after {after_s:.1f} of {took_s:.1f} s: {wrong or 'whole'}")
    print(f"{kills} kills, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
