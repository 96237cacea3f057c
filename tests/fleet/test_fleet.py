"""Two workers do what one process does, to the byte, though one of them is killed."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.datasets.check import DatasetCheck
from lidarpan.errors import InputError
from lidarpan.evaluation import evaluate_folder
from lidarpan.fleet import cluster as cluster_module
from lidarpan.fleet.check import check_on_cluster
from lidarpan.fleet.cluster import Part, part_of_many
from lidarpan.fleet.predict import Loading, lost_scan, part_size, predict_on_cluster
from lidarpan.fleet.score import score_on_cluster
from lidarpan.fleet.simulate import towns_on_cluster
from lidarpan.fleet.track import track_on_cluster
from lidarpan.inference import Asked
from lidarpan.scans.sources import open_sources
from lidarpan.synthetic.simulated import write_simulated
from lidarpan.track_files import Summary, Tracking, plan_drives, track_files

CLASSES = load_class_table("semantickitti")
pytestmark = pytest.mark.xdist_group("fleet")  # one cluster for all


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def same_bytes(one, other):
    return bool(files_of(one)) and files_of(one) == files_of(other)


def kill_one(task):
    """Kill a process below this one that works on a task; its id, or None where none does."""
    parents, working = {}, []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rsplit(")")[1].split()[1]
                )
                if (entry / "cmdline").read_bytes().startswith(f"ray::{task}".encode()):
                    working.append(int(entry.name))
            except OSError:
                continue
    for process in working:
        above = process
        while above > 1:
            above = parents.get(above, 0)
            if above == os.getpid():
                os.kill(process, signal.SIGKILL)
                return process
    return None


@pytest.mark.slow  # Ray waits before it calls a worker dead
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_a_killed_worker_is_not_noticed(cluster, scans, predicted, tmp_path):
    killed, is_over = [], threading.Event()

    def kill():
        while not killed and not is_over.wait(0.02):
            killed.extend(filter(None, [kill_one("predict_part")]))

    killer = threading.Thread(target=kill)
    killer.start()
    asked = Asked(tmp_path, "semantickitti")
    stream = predict_on_cluster(cluster, Loading(device="cpu"), open_sources([scans]), asked)
    results = list(stream)
    is_over.set()
    killer.join()
    assert killed
    wanted_out, wanted = predicted
    assert same_bytes(wanted_out, tmp_path)
    for one, other in zip(results, wanted, strict=True):
        assert (one.scan_path, one.error, one.outside) == (
            other.scan_path,
            other.error,
            other.outside,
        )
        assert one.warnings == tuple(map(str, other.warnings))
        assert one.labels is None
        if other.counts is not None:
            np.testing.assert_array_equal(one.counts.objects, other.counts.objects)
    assert [r.error is not None for r in results] == [False] * 5 + [True, False]


@pytest.mark.slow
def test_the_command_joins_a_cluster_and_goes_on(cluster, scans, predicted, tmp_path):
    """What is there stays as it is; the broken scan is told at the end."""
    import ray

    address = ray.get_runtime_context().gcs_address
    out = tmp_path / "out"
    kept = out / "sequences/08/predictions/000002.label"
    kept.parent.mkdir(parents=True)
    kept.write_bytes((predicted[0] / "sequences/08/predictions/000002.label").read_bytes())
    before = kept.stat().st_mtime_ns
    words = ["predict", str(scans), "--out", str(out), "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "lidarpan", *words, "--engine", "ray", "--address", address],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "5 scans predicted, 1 were there already" in done.stdout
    assert "error: 1 of 7 scans could not be predicted" in done.stderr
    assert kept.stat().st_mtime_ns == before
    assert same_bytes(predicted[0], out)


@pytest.mark.slow
def test_drives_are_tracked_apart(cluster, scans, predicted, tmp_path):
    """The drive with the broken scan is told, the other one is what one process makes of it."""
    first = [scans / "sequences/08/velodyne"]
    drives, _ = plan_drives(open_sources(first), predicted[0], tmp_path / "one")
    summary = Summary()
    list(track_files(drives, tmp_path / "one", Tracking(CLASSES), summary))
    (predicted[0] / "sequences/09/predictions/000001.label").write_bytes(bytes(4))
    both, _ = plan_drives(open_sources([scans]), predicted[0], tmp_path / "two")
    (predicted[0] / "sequences/09/predictions/000001.label").unlink()
    other = Summary()
    done = list(track_on_cluster(cluster, both, tmp_path / "two", Tracking(CLASSES), other))
    assert [drive.error is None for drive in done] == [True, False]
    assert "000001" in done[1].error
    assert other.rows == summary.rows
    assert (tmp_path / "two/tracks.csv").read_bytes() == (tmp_path / "one/tracks.csv").read_bytes()
    for path in (tmp_path / "one/sequences/08").rglob("*.label"):
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert twin.read_bytes() == path.read_bytes()


def test_scores_are_the_same_numbers(cluster, scans, predicted):
    words = ("semantickitti", scans, predicted[0], "08")
    one, other = (
        evaluate_folder(*words),
        evaluate_folder(*words, score=partial(score_on_cluster, cluster)),
    )
    assert one.scores.pq == other.scores.pq
    for here, there in zip(one.scans, other.scans, strict=True):
        assert (here.files.name, here.worst) == (there.files.name, there.worst)
        np.testing.assert_array_equal(here.counts, there.counts)


def test_a_dataset_has_the_same_faults(cluster, scans):
    runs = [DatasetCheck("semantickitti", scans, "08,09") for _ in range(2)]
    one = [fault for faults in runs[0].run() for fault in faults]
    other = [
        fault for faults in runs[1].run(partial(check_on_cluster, cluster)) for fault in faults
    ]
    assert one == other
    assert any("000001.bin" in str(fault) for fault in one)
    np.testing.assert_array_equal(runs[0].summary.counts, runs[1].summary.counts)


@pytest.mark.slow
def test_towns_are_the_same_bytes(cluster, tmp_path):
    settings = {"num_scans": 2, "seed": 1, "sensor": "vlp16", "scans_per_town": 1}
    list(write_simulated("semantickitti", tmp_path / "one", **settings))
    towns = partial(towns_on_cluster, cluster)
    list(write_simulated("semantickitti", tmp_path / "two", **settings, make_towns=towns))
    assert same_bytes(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_scan_that_kills_its_process_is_told_alone(cluster, monkeypatch):
    monkeypatch.setattr(cluster_module, "RETRIES", 0)

    def work(names):
        if "bad" in names:
            os._exit(1)
        return names

    def part(names):
        return part_of_many(work, (), names, lambda name, why: f"{name}: {why}")

    first, lost, last = (n for some in cluster.run([part(["a", "bad"]), part(["b"])]) for n in some)
    assert (first, last) == ("a", "b")
    assert lost.startswith("bad: the process that worked on it died 1 times")


def test_a_part_of_files_can_be_cut_down():
    pairs = [(Path(name), Path("out")) for name in ("a", "b")]
    one, other = part_of_many(len, (1,), pairs, lost_scan).smaller()
    assert (one.arguments, other.arguments) == ((1, pairs[:1]), (1, pairs[1:]))
    assert not one.smaller()
    (lost,) = one.lost("it died")
    assert (lost.scan_path, lost.error) == (Path("a"), "a: it died")


def test_answers_come_in_order_and_faults_come_through(cluster):
    def square(x):
        import time

        time.sleep(0.02 * (x % 3))
        if x == 99:
            from lidarpan.errors import InputError

            raise InputError("wanted another number, got 99")
        return x * x

    parts = [Part(square, (x,), lost=lambda why: -1) for x in range(20)]
    assert list(cluster.run(iter(parts))) == [x * x for x in range(20)]
    with pytest.raises(InputError, match="wanted another number, got 99"):
        list(cluster.run([Part(square, (99,), lost=lambda why: -1)]))


def test_no_cluster_no_traceback():
    from lidarpan.cli.options import Engine, cluster_of

    with pytest.raises(InputError, match="add --engine ray"):
        cluster_of(Engine.local, "auto")
    assert cluster_of(Engine.local, None) is None


def test_parts_are_neither_many_nor_few():
    assert part_size(7, 2) == 1
    assert part_size(200, 2) == 25
    assert part_size(1_000_000, 8) == 64
