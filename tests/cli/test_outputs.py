"""No command writes over what it reads."""

import numpy as np
import pytest

EVALUATE = "evaluate semantickitti --data . --predictions predicted --sequences 00"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder, now the current one, with a small tree, its labels, a scan and a recording."""
    rng = np.random.default_rng(0)
    points = rng.normal(0, 9, (500, 4)).astype(np.float32)
    labels = np.full(500, 40, "<u4")
    for name, array in {
        "sequences/00/velodyne/000000.bin": points,
        "sequences/00/labels/000000.label": labels,
        "flat/000000.bin": points,
        "own/000000.label": labels,
        "predicted/sequences/00/predictions/000000.label": labels,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        array.tofile(tmp_path / name)
    np.savez(tmp_path / "scan.npz", points=points)
    np.savetxt(tmp_path / "scan.csv", points, delimiter=",", header="x,y,z,intensity", comments="")
    (tmp_path / "sequences/00/poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "convert scan.npz --out . --to npz",
        "convert sequences/00/velodyne --out sequences/00/velodyne --to bin",
        "predict scan.csv --out o --device cpu --objects scan.csv",
        "predict scan.npz --out . --device cpu --format npz",
        "group flat/000000.bin --semantic own --classes semantickitti --out own",
        "track sequences/00/velodyne --labels own --out own",
        "evaluate semantickitti --data . --predictions predicted --sequences 00 --json "
        "sequences/00/labels/000000.label",
        "evaluate semantickitti --data . --predictions predicted --sequences 00 --per-scan "
        "predicted/sequences/00/predictions/000000.label",
        "prelabel sequences/00/velodyne --labels predicted --to point-labeler --out .",
    ],
)
def test_no_command_replaces_what_it_reads(tree, run, words):
    files = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    code, _, said = run(*words.split())
    assert code == 2
    wanted = ("would replace the input", "is there already: choose another", "a name that ends in")
    assert any(words in said for words in wanted)
    assert {path: path.read_bytes() for path in files} == files


def test_a_recording_is_not_replaced_by_its_conversion(tmp_path, run):
    pytest.importorskip("mcap")
    pytest.importorskip("rosbags")
    np.savez(tmp_path / "a.npz", points=np.random.default_rng(0).normal(0, 9, (500, 4)))
    assert run("convert", tmp_path / "a.npz", "--out", tmp_path, "--to", "mcap")[0] == 0
    (recording,) = tmp_path.glob("*.mcap")
    before = recording.read_bytes()
    for words in (["convert", "--to"], ["predict", "--device", "cpu", "--format"]):
        command, *options = words
        code, _, said = run(command, recording, "--out", tmp_path, *options, "mcap")
        assert code == 2
        assert "would replace the input" in said
    assert recording.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        "predict flat --out o --device cpu --objects mine.json",
        "predict flat --out o --device cpu --objects mine.csv",
        f"{EVALUATE} --json mine.json",
        f"{EVALUATE} --per-scan mine.csv",
        f"{EVALUATE} --html mine.html",
        f"{EVALUATE} --json sequences.json",
        f"{EVALUATE} --json poses.txt",
        "bench flat --json mine.json",
        "bench flat --json flat/000000.bin",
    ],
)
def test_no_command_replaces_a_file_of_another_kind(tree, run, words):
    """Tables of a dataset end in .json, too."""
    for suffix in ("json", "csv", "html"):
        (tree / f"mine.{suffix}").write_text('{"token": 1}')
    (tree / "sequences.json").mkdir()
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    code, _, said = run(*words.split())
    assert code == 2
    assert said.count("\n") == 1
    assert ": choose another name" in said or "wanted a name that ends in" in said
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before


def test_an_earlier_output_is_replaced(tree, run):
    outputs = "--json a.json --per-scan a.csv --html a.html"
    assert [run(*f"{EVALUATE} {outputs}".split())[0] for _ in range(2)] == [0, 0]
