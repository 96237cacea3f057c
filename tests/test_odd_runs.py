"""Runs that are interrupted, repeated or aimed at their own inputs lose nothing."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lidarpan import whole_file as module
from lidarpan.cli import main
from lidarpan.datasets.boxes import ScanObjects, write_objects
from lidarpan.datasets.predictions import is_complete
from lidarpan.datasets.score_files import write_scores
from lidarpan.draw_files import draw_files
from lidarpan.errors import InputError
from lidarpan.grouping.objects import PanopticObject
from lidarpan.scans.find import find_scans
from lidarpan.scans.source import FileSource
from lidarpan.scans.sources import open_sources
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.viewer import write_viewer
from lidarpan.whole_file import check_folder, refuse_inputs_as_outputs, whole_file


def frame_of(scan):
    return next(FileSource(scan.parent, [scan]).frames())


def test_an_interrupt_is_one_line_and_130(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    for ends in (interrupted, lambda: sys.exit(130)):
        monkeypatch.setattr("lidarpan.cli.app.app", ends)
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code == 130
        assert capsys.readouterr().err.count("interrupted: what was finished is whole") == 1


def test_nothing_is_loaded_before_interrupts_are_answered():
    """`main` answers them; what its import loads is all that comes before."""
    code = "import sys; old = set(sys.modules); import lidarpan.cli; print(set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert eval(done.stdout) == {"__future__", "lidarpan", "lidarpan.cli"}


def test_a_full_disk_is_one_line(monkeypatch, capsys):
    def full():
        raise OSError(28, "No space left on device", "a.gif")

    monkeypatch.setattr("lidarpan.cli.app.app", full)
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 2
    assert capsys.readouterr().err == "error: a.gif: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lidarpan.cli", "--version"],
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1


def test_temporary_files_cannot_be_foreseen_and_are_cleaned_up(tmp_path):
    machine, names = module._machine(), set()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = tmp_path / f".lidarpan-{machine}-{gone.pid}-{'0' * 16}.part"
    used = tmp_path / f".lidarpan-{machine}-{os.getppid()}-{'1' * 16}.part"
    others = tmp_path / "mine.part"
    for file in (stale, used, others):
        file.touch()
    for _ in range(2):
        with whole_file(tmp_path / "a.txt") as beside:
            names.add(beside.name)
            assert beside.is_file()  # ours, and new
            beside.write_text("whole")
    assert len(names) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [used.name, others.name, "a.txt"]
    )


def test_a_folder_is_probed_without_touching_what_is_there(tmp_path):
    (tmp_path / ".lidarpan-probe").write_text("the user's own")
    check_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lidarpan-probe"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write there"):
        check_folder(tmp_path / "file" / "below")


def test_outputs_never_replace_inputs(tmp_path):
    scan = tmp_path / "a.npz"
    scan.touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for out in (scan, tmp_path / "link" / "a.npz"):
        with pytest.raises(InputError, match="would replace the input"):
            refuse_inputs_as_outputs([out], [scan])
    refuse_inputs_as_outputs([tmp_path / "b.npz"], [scan])


def test_own_labels_are_no_scans(tmp_path):
    rows = np.zeros((9, 4), np.float32)
    np.savez(tmp_path / "scan.npz", points=rows)
    np.savez(tmp_path / "labels.npz", semantic=rows, instance=rows, class_names=rows)
    head = "ply\nformat ascii 1.0\n{}element vertex 1\n{}end_header\n1 1 1 1\n"
    properties = "".join(f"property float {name}\n" for name in ("x", "y", "z", "semantic"))
    (tmp_path / "scan.ply").write_text(head.format("", properties))
    (tmp_path / "labels.ply").write_text(head.format("comment dataset x\n", properties))
    assert [path.name for path in find_scans([tmp_path])] == ["scan.npz", "scan.ply"]
    assert len(find_scans([f"{tmp_path}/*.npz"])) == 1


def test_a_prediction_of_an_older_scan_is_made_again(tmp_path):
    scan, label = tmp_path / "a.npy", tmp_path / "a.label"
    np.save(scan, np.random.default_rng(0).normal(0, 9, (500, 4)).astype(np.float32))
    np.zeros(500, "<u4").tofile(label)
    assert is_complete(label, frame_of(scan), "semantickitti")
    os.utime(scan, ns=(label.stat().st_mtime_ns + 10**9,) * 2)
    assert not is_complete(label, frame_of(scan), "semantickitti")
    np.save(scan, np.random.default_rng(0).normal(0, 9, (400, 4)).astype(np.float32))
    os.utime(scan, ns=(0, 0))  # copied with an old time
    assert not is_complete(label, frame_of(scan), "semantickitti")


def test_links_are_followed_but_not_round(tmp_path):
    for name in ("store/08", "tree/00"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.bin").touch()
    (tmp_path / "tree/08").symlink_to(tmp_path / "store/08")
    (tmp_path / "tree/00/up").symlink_to(tmp_path / "tree")
    found = [path.relative_to(tmp_path).as_posix() for path in find_scans([tmp_path / "tree"])]
    assert found == ["tree/00/1.bin", "tree/08/1.bin"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_a_folder_that_cannot_be_read_is_no_secret(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "a.bin").touch()
    with pytest.raises(InputError, match="closed: cannot be read"):
        find_scans([tmp_path])


def test_names_of_other_bytes_are_written_as_they_are(tmp_path):
    """As on disks of old systems: a name need not be UTF-8."""
    name = os.fsdecode(b"caf\xe9.bin")
    box = (4.0, 2.0, 1.5)
    one = PanopticObject(1, "car", 1, 0.5, 90, 9.0, (9.0, 0.0, 0.0), box, 0.0, box)
    write_objects(tmp_path / "objects.csv", [ScanObjects(name, (one,))])
    assert b"caf\xe9.bin" in (tmp_path / "objects.csv").read_bytes()
    scan = Scan(np.zeros((3, 3), np.float32), np.zeros(3, np.float32))
    write_viewer(tmp_path / "page.html", [scan], title=name)
    assert b"caf\xe9.bin" in (tmp_path / "page.html").read_bytes()


def test_a_file_named_in_several_ways_is_one(tmp_path, monkeypatch):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.bin").touch()
    (tmp_path / "d/b.bin").symlink_to("a.bin")
    monkeypatch.chdir(tmp_path)
    found = find_scans(["d/a.bin", tmp_path / "d/a.bin", "d/../d", f"{tmp_path}/d/*.bin"])
    assert [str(path) for path in found] == ["d/a.bin", "d/../d/b.bin"]


def test_arrays_and_labels_on_a_full_disk_are_one_line(tmp_path):
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from lidarpan.datasets.kitti_labels import write_label
from lidarpan.errors import InputError
from lidarpan.scans.numpy_files import write_arrays

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
many = np.random.default_rng(0).integers(0, 1 << 32, 3000, np.uint32)
for write in (write_label, lambda path, many: write_arrays(path.with_suffix(".npz"), a=many)):
    try:
        write(Path("a.label"), many)
    except InputError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        f"a.{suffix}: cannot be written: File too large: choose another folder"
        for suffix in ("label", "npz")
    ]
    assert not done.stderr
    assert not list(tmp_path.iterdir())


def test_an_empty_path_is_not_this_folder(tmp_path, monkeypatch):
    """As a script gives one whose variable is not set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.bin").touch()
    assert find_scans(["."]) == [tmp_path.joinpath("a.bin").relative_to(tmp_path)]
    for find in (find_scans, open_sources):
        with pytest.raises(InputError, match="wanted a path, got an empty one"):
            find([""])


def test_scores_beside_labels_are_no_scans(tmp_path):
    labels = PanopticLabels(np.ones(4, np.uint8), np.ones(4, np.int32), np.array([0, 0.5], "f4"))
    write_scores(tmp_path / "a.label", labels)
    (tmp_path / "a.bin").touch()
    assert find_scans([tmp_path]) == [tmp_path / "a.bin"]


@pytest.mark.parametrize("options", [{"range_m": 1e30}, {"range_m": np.nan}, {"mode": "colour"},
                                     {"mode": "instance"}, {"mode": "error"}])  # fmt: skip
def test_pictures_that_cannot_be_are_refused(tmp_path, options):
    np.save(tmp_path / "s.npy", np.random.default_rng(0).normal(0, 9, (300, 4)))
    with pytest.raises(InputError, match=r"range must be|no drawing mode|mode .*: wanted labels"):
        draw_files([tmp_path / "s.npy"], tmp_path / "s.png", **options)
    assert not (tmp_path / "s.png").exists()
