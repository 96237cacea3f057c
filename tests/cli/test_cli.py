import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lidarpan.cli
from lidarpan.datasets.label_files import read_prediction
from lidarpan.synthetic.sensors.sensor import make_sensor
from lidarpan.synthetic.simulate import simulate_scan

COMMANDS = [
    "demo", "predict", "group", "evaluate", "compare", "submit", "train", "simulate", "draw",
    "serve", "bench", "doctor", "config",
]  # fmt: skip


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Three small scans in a sequence folder, x y z intensity float32, and their truth."""
    folder = tmp_path_factory.mktemp("data") / "sequences" / "08"
    sensor = make_sensor(num_beams=24, lowest_deg=-20, highest_deg=2, azimuth_steps=360)
    (folder / "velodyne").mkdir(parents=True)
    (folder / "labels").mkdir()
    for i in range(3):
        simulated = simulate_scan(i, sensor)
        rows = np.column_stack([simulated.scan.points, simulated.scan.intensity])
        rows.astype(np.float32).tofile(folder / "velodyne" / f"{i:06d}.bin")
        raw = simulated.raw("semantickitti") | simulated.instance << 16
        raw.astype(np.uint32).tofile(folder / "labels" / f"{i:06d}.label")
    return folder


def test_every_command_has_help_with_an_example(run):
    code, out, _ = run("--help")
    assert code == 0
    for command in COMMANDS:
        assert command in out
        code, text, _ = run(command, "--help")
        assert code == 0
        if command != "submit":
            assert f"lidarpan {command}" in re.sub(r"\s+", " ", text)


def test_version(run):
    assert run("--version")[1].strip() == f"lidarpan {lidarpan.__version__}"


def test_predict_keeps_the_sequence_and_resumes(run, scans, tmp_path):
    code, out, _ = run("predict", scans / "velodyne", "--out", tmp_path, "--device", "cpu")
    assert code == 0
    assert "3 scans predicted" in out
    assert re.search(r"median \d+ ms per scan: read \d+, voxelize", out)
    written = sorted(tmp_path.rglob("*.label"))
    assert [p.relative_to(tmp_path).as_posix() for p in written] == [
        f"sequences/08/predictions/{i:06d}.label" for i in range(3)
    ]
    for scan, label in zip(sorted((scans / "velodyne").iterdir()), written, strict=True):
        assert label.stat().st_size * 4 == scan.stat().st_size  # a label for every point

    before = written[0].stat().st_mtime_ns
    written[1].write_bytes(written[1].read_bytes()[:-4])  # as if killed half-way
    written[2].unlink()
    code, out, _ = run("predict", scans / "velodyne", "--out", tmp_path, "--device", "cpu")
    assert code == 0
    assert "2 scans predicted, 1 were there already" in out
    assert written[0].stat().st_mtime_ns == before


def test_unusable_points_keep_their_place(run, scans, tmp_path):
    rows = np.fromfile(scans / "velodyne/000000.bin", np.float32).reshape(-1, 4)
    rows[5] = np.nan
    rows[7, 0] = np.inf
    rows[9, :3] = (500, 0, 0)  # outside the grid
    rows.tofile(tmp_path / "a.bin")
    code, _, err = run("predict", tmp_path / "a.bin", "--out", tmp_path / "out", "--device", "cpu")
    assert code == 0
    assert "2 unusable points" in err
    table = lidarpan.classes.load_class_table("semantickitti")
    labels = read_prediction(tmp_path / "out/a.label", table)
    assert labels.num_points == len(rows)
    assert labels.semantic[[5, 7, 9]].tolist() == [0, 0, 0]
    assert (labels.semantic > 0).mean() > 0.9


@pytest.mark.parametrize("file_format", ["nuscenes", "npz", "ply"])
def test_predict_formats(run, scans, tmp_path, file_format):
    scan = scans / "velodyne/000000.bin"
    words = ("predict", scan, "--out", tmp_path, "--device", "cpu", "--format", file_format)
    assert run(*words)[0] == 0
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == 1


def bad_inputs(folder):
    """Name of a bad scan file -> what the error must say."""
    (folder / "empty.bin").write_bytes(b"")
    (folder / "cut.bin").write_bytes(b"\0" * 1001)
    np.full((40, 4), np.nan, np.float32).tofile(folder / "nan.bin")
    (folder / "image.bin").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 200)
    return {"empty.bin": "empty", "cut.bin": "bytes", "nan.bin": "NaN", "image.bin": "PNG"}


def test_bad_scans_are_one_line_and_leave_nothing(run, tmp_path):
    for name, words in bad_inputs(tmp_path).items():
        out = tmp_path / "out"
        code, _, err = run("predict", tmp_path / name, "--out", out, "--device", "cpu")
        assert code == 2, name
        first = next(line for line in err.splitlines() if line.startswith("error: "))
        assert name in first
        assert words in first
        assert not [p for p in out.rglob("*") if p.is_file()]


def test_one_bad_scan_does_not_stop_the_others(run, scans, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\0" * 1001)
    (tmp_path / "b.bin").write_bytes((scans / "velodyne/000001.bin").read_bytes())
    code, out, err = run("predict", tmp_path, "--out", tmp_path / "out", "--device", "cpu")
    assert code == 2
    assert "1 scans predicted" in out
    assert "1 of 2 scans could not be predicted" in err
    assert (tmp_path / "out/b.label").is_file()


def test_an_empty_file_among_others_is_a_lost_frame(run, scans, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"")
    (folder / "b.bin").write_bytes((scans / "velodyne/000001.bin").read_bytes())
    code, _, err = run("predict", folder, "--out", tmp_path / "out", "--device", "cpu")
    assert code == 0
    assert "empty file" in err
    assert (tmp_path / "out/a.label").read_bytes() == b""
    assert (tmp_path / "out/b.label").stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict", "missing/", "--out", "OUT"), "missing"),
        (("predict", "SCAN", "--out", "OUT", "--weights", "village"), "town"),
        (("predict", "SCAN", "--out", "OUT", "--weights", "x.safetensors"), "no such weights file"),
        (("predict", "SCAN", "--out", "OUT", "--sparse", "magic"), "triton, spconv, spconv-triton"),
        (("predict", "SCAN", "--out", "/proc/here"), "cannot write"),
        (("config", "BAD"), "did you mean 'voxel_m'"),
        (("train", "missing.yaml"), "missing.yaml"),
        (("config", "--set", "training.max_step=3"), "did you mean 'max_steps'"),
        (("draw", "SCAN", "--out", "map.doc"), "map.doc"),
        (("group", "SCAN", "--semantic", "OUT", "--classes", "semantickitti", "--out", "OUT"), ""),
        (
            ("evaluate", "nuscenes", "--data", "x", "--predictions", "OUT", "--split", "val"),
            "no such folder",
        ),
    ],
)  # fmt: skip
def test_bad_words_are_one_line(run, scans, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.yaml"
    bad.write_text("grid: {voxels_m: [0.2, 0.2, 0.2]}")
    places = {"SCAN": scans / "velodyne/000000.bin", "OUT": tmp_path / "out", "BAD": bad}
    before = sorted(tmp_path.rglob("*.*"))
    code, _, err = run(*(places.get(word, word) for word in words))
    assert code == 2
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert sorted(tmp_path.rglob("*.*")) == before


def test_weights_that_do_not_fit_their_configuration(run, scans, tmp_path):
    from lidarpan.model.checkpoint import load_weights, save_weights
    from lidarpan.model.weights import find_weights

    state, header = load_weights(find_weights("town"))
    header["config"]["network"]["bev_channels"] += 8
    save_weights(tmp_path / "other.safetensors", state, header)
    scan = scans / "velodyne/000000.bin"
    weights = tmp_path / "other.safetensors"
    code, _, err = run("predict", scan, "--out", tmp_path / "out", "--weights", weights)
    assert code == 2
    assert "weights do not fit the configured network" in err


def test_group_evaluate_and_draw(run, scans, tmp_path):
    """True semantics, grouped, score high against the truth; a map of them can be drawn."""
    data, out = scans.parents[1], tmp_path / "predictions"
    code, printed, _ = run(
        "group", scans / "velodyne", "--semantic", data, "--classes", "semantickitti", "--out", out
    )
    assert code == 0
    assert "3 scans grouped" in printed
    scores, rows = tmp_path / "scores.json", tmp_path / "scans.csv"
    words = ("--data", data, "--predictions", out, "--split", "valid")
    code, printed, _ = run(
        "evaluate", "semantickitti", *words, "--json", scores, "--per-scan", rows
    )
    assert code == 0
    result = json.loads(scores.read_text())
    assert result["num_scans"] == 3
    assert result["miou"] > 0.5
    assert len(rows.read_text().splitlines()) == 4
    picture = tmp_path / "map.png"
    predicted = out / "sequences/08/predictions/000000.label"
    code, printed, _ = run(
        "draw", scans / "velodyne/000000.bin", "--labels", predicted,
        "--truth", scans / "labels/000000.label", "--out", picture, "--size", "400",
    )  # fmt: skip
    assert code == 0
    assert str(picture) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    for name in ("drive.html", "drive.gif"):
        page = tmp_path / name
        words = (scans / "velodyne", "--labels", out, "--out", page, "--size", "200")
        assert run("draw", *words)[0] == 0
        assert page.stat().st_size > 10_000
    code, _, err = run("draw", scans / "velodyne", "--labels", out, "--out", picture)
    assert code == 2
    assert "holds one scan, got 3" in err


def test_simulate(run, tmp_path):
    code, out, _ = run("simulate", "semantickitti", "--out", tmp_path / "t", "--scans", "3")
    assert code == 0
    assert "3 scans" in out
    assert len(list((tmp_path / "t").rglob("*.label"))) == 3


@pytest.mark.xdist_group("spconv")
def test_doctor_finds_the_main_job_fit(run):
    code, out, _ = run("doctor")
    assert code == 0
    assert "engine numba" in out


@pytest.mark.slow
def test_bench_writes_its_report(run, tmp_path):
    report = tmp_path / "bench.json"
    code, out, _ = run("bench", "--device", "cpu", "--scans", "1", "--json", report)
    assert code == 0
    stages = json.loads(report.read_text())["stages_ms"]
    assert set(stages) == {"read", "voxelize", "network", "grouping", "fusion", "write", "total"}
    assert "p95" in out


def test_demo(run, tmp_path):
    code, out, _ = run("demo", "--out", tmp_path, "--device", "cpu")
    assert code == 0
    for name in ("scan.bin", "prediction.label", "truth.label", "map.png"):
        assert (tmp_path / name).stat().st_size > 0
        assert str(tmp_path / name) in out
    assert "mean" in out


def test_config_prints_yaml_that_loads(run, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(run("config", "--set", "training.seed=5")[1])
    code, out, _ = run("config", path)
    assert code == 0
    assert "seed: 5" in out


@pytest.mark.parametrize("config", ["town", "semantickitti", "nuscenes"])
def test_shipped_configurations_are_valid(run, config):
    folder = Path(lidarpan.__file__).parents[1] / "configs"
    code, out, _ = run("config", folder / f"{config}.yaml")
    assert code == 0
    assert f"name: {config}" in out


def test_tools_are_the_commands():
    tools = Path(lidarpan.__file__).parents[1] / "tools"
    for script, words in {
        "train": "YAML",
        "evaluate": "PQ",
        "infer": ".laz",
        "visualize": "map",
    }.items():
        done = subprocess.run(
            [sys.executable, tools / f"{script}.py", "--help"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert words in done.stdout


def test_the_package_runs_as_a_module_and_says_its_version():
    for words in (["-m", "lidarpan"], ["-m", "lidarpan.cli"]):
        done = subprocess.run(
            [sys.executable, *words, "--version"], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"lidarpan {lidarpan.__version__}\n"


def test_the_shell_completes_commands():
    words = {"_LIDARPAN_COMPLETE": "complete_bash", "COMP_WORDS": "lidarpan ev", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['lidarpan']; from lidarpan.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | words,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["evaluate"]


def test_what_the_library_logs_is_said(capsys, monkeypatch):
    def app():
        logging.getLogger("lidarpan").info("step %d", 7)

    monkeypatch.setattr("lidarpan.cli.app.app", app)
    lidarpan.cli.main()
    assert capsys.readouterr().out == "step 7\n"
