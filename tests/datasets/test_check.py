"""Every fault of a dataset is named with its file: broken trees, one fault each."""

import csv
import re
import shutil

import numpy as np
import pytest
from broken_trees import CASES, KITTI, NU_SCAN, WRITERS, cut
from dataset_trees import write_semantickitti_like

from lidarpan.cli import main
from lidarpan.datasets.alignment import Alignment
from lidarpan.datasets.check import FAULTS, STATE, DatasetCheck
from lidarpan.datasets.open import find_dataset
from lidarpan.structures import InputError, Scan


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    top = tmp_path_factory.mktemp("trees")
    for name, (write, _) in WRITERS.items():
        write(top / name)
    return top


def check(name, root, split=None, **how):
    dataset = root / "own.yaml" if name == "own" else name
    run = DatasetCheck(dataset, root, split or WRITERS[name][1], **how)
    return run, [fault for faults in run.run() for fault in faults]


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_tree_has_no_fault(name, written):
    run, faults = check(name, written / name)
    assert faults == []
    assert run.summary.num_scans == run.total == run.summary.num_labelled
    assert run.summary.shares().sum() == pytest.approx(1)
    assert run.summary.counts.sum() > 0


@pytest.mark.parametrize(("name", "file", "broken", "kind", "said", "count"), CASES)
def test_each_fault_is_named_with_its_file(
    name, file, broken, kind, said, count, written, tmp_path
):
    root, split = tmp_path / "tree", WRITERS[name][1]
    shutil.copytree(written / name, root)
    if name == "nuscenes":  # the file names are tokens: of the second scan of the split
        second = find_dataset(name).list_scans(root, split)[1]
        paths = [second.scan if file == NU_SCAN else second.labels]
    else:
        paths = [p for p in root.glob(file) if name not in KITTI or "/11/" not in p.as_posix()]
    (path,) = paths
    broken(path)
    try:
        texts = [f"{fault.kind}: {fault}" for fault in check(name, root)[1]]
    except InputError as error:  # there is nothing left to look at
        texts, count = [f"{kind}: {error}"], count or 1
    if said is not None:
        assert any(re.search(f"^{kind}: .*{said}", text) for text in texts), texts
    assert count is None or len(texts) == count, texts


def test_there_are_about_a_hundred_of_them():
    assert len(CASES) >= 100


def test_ids_that_start_anew_are_said_once_a_sequence(tmp_path):
    write_semantickitti_like(tmp_path, {"08": True}, car=10, ground=40, scans=5)
    rng = np.random.default_rng(0)
    for k in range(5):
        label = tmp_path / f"sequences/08/labels/{k:06d}.label"
        scan = tmp_path / f"sequences/08/velodyne/{k:06d}.bin"
        rows, labels = np.fromfile(scan, "<f4").reshape(-1, 4), np.fromfile(label, "<u4")
        turn = np.linalg.inv(DatasetCheck("semantickitti", tmp_path, "08").dataset.list_scans(
            tmp_path, "08")[k].world_T_sensor)  # fmt: skip
        for i in range(6):  # six objects that stand in the world
            place = np.array([10 * i, 30, 0, 1.0])
            rows[i * 10 : i * 10 + 10, :3] = (turn @ place)[:3] + rng.normal(0, 0.01, (10, 3))
            labels[i * 10 : i * 10 + 10] = 10 | (100 + 10 * k + i) << 16
        rows.tofile(scan)
        labels.tofile(label)
    _, faults = check("semantickitti", tmp_path, "08")
    assert [(f.kind, f.file) for f in faults] == [("ids", "08")]
    assert "24 get another instance id in the next scan" in faults[0].message


def poles(rng, pose):
    """A street of poles, the same each time, seen from a pose."""
    foot = np.random.default_rng(8).uniform([-50, -15], [80, 15], (150, 2))
    world = np.column_stack([np.repeat(foot, 30, axis=0), rng.uniform(0, 4, 4500)])
    world[:, :2] += rng.normal(0, 0.05, (4500, 2))
    ground = np.column_stack(
        [rng.uniform(-50, 80, 3000), rng.uniform(-15, 15, 3000), np.zeros(3000)]
    )
    points = (np.concatenate([world, ground]) - pose[:3, 3]) @ pose[:3, :3]
    return points.astype(np.float32)


@pytest.mark.parametrize("given", ["right", "inverted", "left out"])
def test_poses_that_do_not_move_scans_onto_each_other(given):
    rng, alignment, said = np.random.default_rng(3), Alignment(), []
    for k in range(6):
        pose = np.eye(4)
        pose[:3, 3] = [1.3 * k, 0.1 * k, 1.7]
        told = {"right": pose, "inverted": np.linalg.inv(pose)}.get(given, pose)
        seen = np.eye(4) if given == "left out" else pose
        scan = Scan(poles(rng, seen), world_T_sensor=np.ascontiguousarray(told))
        said.append(alignment.add(scan))
    told_of = [text for text in said if text]
    if given == "right":
        assert told_of == []
    else:
        assert len(told_of) == 1
        assert "the poses do not fit" in told_of[0]


def test_real_scans_have_no_fault_and_inverted_poses_are_one(real_data, tmp_path):
    source = real_data / "semantickitti/sequences/08"
    folder = tmp_path / "sequences/08"
    folder.mkdir(parents=True)
    for name in ("velodyne", "labels"):
        (folder / name).symlink_to(source / name)
    for name in ("poses.txt", "calib.txt"):
        shutil.copy(source / name, folder)
    assert check("semantickitti", tmp_path, "08")[1] == []
    poses = np.loadtxt(source / "poses.txt").reshape(-1, 3, 4)
    whole = np.concatenate([poses, np.tile([[[0, 0, 0, 1.0]]], (len(poses), 1, 1))], axis=1)
    np.savetxt(folder / "poses.txt", np.linalg.inv(whole)[:, :3].reshape(-1, 12))
    (fault,) = check("semantickitti", tmp_path, "08")[1]
    assert fault.kind == "poses"
    assert "with poses inverted" in fault.message


def run(capsys, monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["lidarpan", "check", *map(str, words)])
    with pytest.raises(SystemExit) as done:
        main()
    said = capsys.readouterr()
    return done.value.code, said.out, said.err


def test_the_command_prints_faults_and_shares(written, tmp_path, capsys, monkeypatch):
    code, out, _ = run(capsys, monkeypatch, "semantickitti", written / "semantickitti")
    assert code == 0
    assert "valid: 3 scans, 3 with labels, 0 faults" in out
    assert "test: 3 scans, 0 with labels, 0 faults" in out
    assert re.search(r"\n  car +33\.333% +120\n", out)
    shutil.copytree(written / "semantickitti", tmp_path / "tree")
    cut(tmp_path / "tree/sequences/08/velodyne/000000.bin")
    cut(tmp_path / "tree/sequences/11/velodyne/000002.bin")
    words = ("semantickitti", tmp_path / "tree", "--out", tmp_path / "out", "--show", 1)
    code, out, _ = run(capsys, monkeypatch, *words)
    assert code == 1
    assert out.count("scan: ") == 1
    assert "2 faults, 1 of them printed: see --out and --show" in out
    rows = list(csv.reader((tmp_path / "out/test" / FAULTS).open()))
    assert rows[0] == ["kind", "file", "message"]
    assert [row[0] for row in rows[1:]] == ["scan"]
    assert rows[1][1].endswith("11/velodyne/000002.bin")
    code, _, err = run(capsys, monkeypatch, "semantickitti", tmp_path / "nowhere")
    assert (code, "nowhere: wanted the folder of a SemanticKITTI tree" in err) == (2, True)
    code, _, err = run(capsys, monkeypatch, "lyft", tmp_path)
    assert (code, "no dataset 'lyft'" in err) == (2, True)


def test_a_run_that_was_broken_off_is_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr("lidarpan.datasets.check._SAVE_EVERY", 3)
    write_semantickitti_like(tmp_path / "tree", {"08": True, "00": True}, 10, 40, scans=10)
    for sequence, k in (("08", 2), ("08", 5), ("08", 7), ("00", 1)):
        cut(tmp_path / f"tree/sequences/{sequence}/labels/{k:06d}.label")
    root, split = tmp_path / "tree", "08,00"
    whole, faults = check("semantickitti", root, split, out=tmp_path / "whole")
    broken = DatasetCheck("semantickitti", root, split, tmp_path / "out")
    work = broken.run()
    for _ in range(9):  # of which the last two are not in the state
        next(work)
    work.close()
    assert (tmp_path / "out" / STATE).is_file()
    again = DatasetCheck("semantickitti", root, split, tmp_path / "out")
    assert again.is_resumed
    assert again.summary.num_scans == 6
    rest = [fault for found in again.run() for fault in found]
    assert len(rest) == 2
    for name in ("whole", "out"):
        assert not (tmp_path / name / STATE).exists()
    assert (tmp_path / "out" / FAULTS).read_bytes() == (tmp_path / "whole" / FAULTS).read_bytes()
    assert again.summary.counts.tolist() == whole.summary.counts.tolist()
    assert (again.summary.faults, again.summary.num_scans) == (whole.summary.faults, 20)
    assert whole.summary.num_faults == len(faults) == 4


def test_the_state_of_another_run_is_not_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr("lidarpan.datasets.check._SAVE_EVERY", 1)
    write_semantickitti_like(tmp_path / "tree", {"08": True, "00": True}, 10, 40, scans=3)
    work = DatasetCheck("semantickitti", tmp_path / "tree", "08", tmp_path / "out").run()
    next(work), next(work), next(work)
    work.close()
    assert DatasetCheck("semantickitti", tmp_path / "tree", "08", tmp_path / "out").is_resumed
    other = DatasetCheck("semantickitti", tmp_path / "tree", "00", tmp_path / "out")
    assert not other.is_resumed
    (tmp_path / "out" / STATE).write_text("[]")
    with pytest.raises(InputError, match=r"state\.json: wanted the state of a check"):
        DatasetCheck("semantickitti", tmp_path / "tree", "08", tmp_path / "out")
