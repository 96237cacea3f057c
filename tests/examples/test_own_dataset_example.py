"""The folder of examples/own_dataset goes through the ordinary commands, as its README says."""

import json
import runpy
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lidarpan.cli import main

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/own_dataset"


def commands():
    """The lines of the README that are commands."""
    text = (EXAMPLE / "README.md").read_text().replace("\\\n", " ")
    lines = [line.strip().partition("#")[0].split() for line in text.splitlines()]
    return [line for line in lines if line[:1] in (["python"], ["lidarpan"])]


def run():
    """Exit code of the command line."""
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the example, which is where the commands run."""
    shutil.copytree(EXAMPLE, tmp_path / "yard")
    monkeypatch.chdir(tmp_path / "yard")
    return tmp_path / "yard"


def test_the_readme_runs(folder, monkeypatch, capsys):
    for program, *words in commands():
        if program == "python":
            monkeypatch.setattr(sys, "argv", [*words, "--scans", "6"])
            runpy.run_path(words[0], run_name="__main__")
            continue
        if words[0] == "train":
            words += ["--set", "training.max_steps=20", "--set", "training.validate_every=20"]
        monkeypatch.setattr(sys, "argv", [program, *words])
        assert run() == 0, (words, capsys.readouterr())
        if words[0] == "evaluate":
            assert "container" in capsys.readouterr().out
    labels = np.fromfile(folder / "predictions/valid/000000.label", np.uint32)
    truth = np.fromfile(folder / "data/labels/valid/000000.label", np.uint32)
    assert set(np.unique(labels & 0xFFFF)) <= {0, 10, 11, 12, 20, 21, 22}
    assert (labels & 0xFFFF == truth & 0xFFFF).mean() > 0.5  # it has learnt floor and walls
    assert (folder / "map.png").stat().st_size > 10_000
    with zipfile.ZipFile(folder / "yard.zip") as archive:
        assert "test/000000.label" in archive.namelist()


def test_truth_scores_one(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make_scans.py", "--scans", "4"])
    runpy.run_path("make_scans.py", run_name="__main__")
    shutil.copytree("data/labels", "truth")
    words = ["classes.yaml", "--data", "data", "--predictions", "truth", "--split", "train"]
    monkeypatch.setattr(sys, "argv", ["lidarpan", "evaluate", *words, "--json", "a.json"])
    assert run() == 0, capsys.readouterr()
    scores = json.loads(Path("a.json").read_text())
    assert {name: row["pq"] for name, row in scores["classes"].items()} == dict.fromkeys(
        ("container", "forklift", "person", "tarmac", "wall", "post"), 1.0
    )
