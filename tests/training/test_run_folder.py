"""A run folder tells what was done, and is enough to do it again."""

import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image
from small_run import config_file, run
from typer.testing import CliRunner

from lidarpan.cli.app import app
from lidarpan.config import load_config
from lidarpan.model.checkpoint import load_weights
from lidarpan.structures import InputError
from lidarpan.training.compare_runs import drops, read_run
from lidarpan.training.run import make_logger, train
from lidarpan.training.run_folder import read_record


@pytest.fixture(scope="module")
def first(tree, tmp_path_factory):
    """A run with classes of its own file, which begins from other weights."""
    folder = tmp_path_factory.mktemp("first")
    run(tree, folder / "before", max_steps=2, pictures=0)
    from importlib import resources

    table = yaml.safe_load(
        resources.files("lidarpan").joinpath("class_tables/semantickitti.yaml").read_text()
    )
    classes = folder / "own.yaml"
    classes.write_text(yaml.safe_dump(table | {"name": "own"}))
    path = config_file(tree, folder / "run", start_from=str(folder / "before/best.safetensors"))
    settings = yaml.safe_load(path.read_text()) | {"classes": str(classes)}
    path.write_text(yaml.safe_dump(settings))
    train(load_config(path))
    return folder


def test_it_is_enough_to_repeat_the_run(first, tmp_path):
    """The configuration, the class table and the weights that it began from are gone."""
    alone = tmp_path / "moved"
    shutil.copytree(first / "run", alone)
    hidden = first.with_name("hidden")
    first.rename(hidden)
    try:
        again = load_config(alone / "config.yaml", [f"out={tmp_path / 'again'}"])
        assert again.training.start_from == alone / "begin.safetensors"
        train(again)
    finally:
        hidden.rename(first)
    wanted, header = load_weights(alone / "last.safetensors")
    got, other = load_weights(tmp_path / "again/last.safetensors")
    assert all((wanted[name] == got[name]).all() for name in wanted)
    assert header["training"] == other["training"]
    one, two = (p / "logs/metrics.csv" for p in (alone, tmp_path / "again"))
    assert one.read_text() == two.read_text()


def test_it_says_what_ran(tree, first, tmp_path):
    (part,) = read_record(first / "run/run.json")
    assert part["step"] == 0
    assert part["libraries"]["torch"]
    assert part["data"][0]["scans"] == 4
    shutil.copytree(first / "before", tmp_path / "run")
    run(tree, tmp_path / "run", resume=True, max_steps=4, pictures=0)
    assert [part["step"] for part in read_record(tmp_path / "run/run.json")] == [0, 2]
    (tmp_path / "run/run.json").write_text("{}")
    with pytest.raises(InputError, match="parts of a run"):
        read_record(tmp_path / "run/run.json")


def test_pictures_of_the_first_validation_scans(first):
    names = sorted(path.name for path in (first / "run/logs/pictures").iterdir())
    steps = (3, 6)
    assert names == sorted(f"scan_{k}_{step:07d}.png" for k in (0, 1) for step in steps)
    image = np.asarray(Image.open(first / "run/logs/pictures" / names[0]))
    assert image.shape[1] > image.shape[0] > 500  # prediction and truth side by side
    assert image.std() > 5
    assert not (first / "before/logs/pictures").exists()


def test_tensorboard_has_scores_and_pictures(tree, tmp_path):
    pytest.importorskip("tensorboard")
    run(tree, tmp_path / "run", max_steps=2, logger="tensorboard", pictures=1)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run/logs"))
    events.Reload()
    assert "scan_0" in events.Tags()["images"]
    assert "valid/pq" in events.Tags()["scalars"]
    assert (tmp_path / "run/logs/metrics.csv").is_file()


def test_wandb_that_is_not_there_says_its_command(tree, tmp_path):
    pytest.importorskip("lightning")
    try:
        import wandb  # noqa: F401

        pytest.skip("wandb is installed")
    except ModuleNotFoundError:
        pass
    config = load_config(config_file(tree, tmp_path / "run", logger="wandb"))
    with pytest.raises(InputError, match=r"pip install 'lidarpan\[wandb\]'"):
        make_logger(config)


def test_runs_are_compared(first):
    words = [str(first / "before"), str(first / "run")]
    said = CliRunner().invoke(app, ["compare", *words], env={"COLUMNS": "300"})
    assert "training.max_steps" in said.output
    assert "best PQ (validation)" in said.output
    assert "training.batch_size" not in said.output  # is the same
    one, other = read_run(first / "before"), read_run(first / "run")
    assert (one.num_steps, other.num_steps) == (2, 6)
    assert said.exit_code == int(drops(one, other, 0.0))
    assert CliRunner().invoke(app, ["compare", *words, words[0]]).exit_code in (0, 1)


def test_a_drop_is_told(first, tmp_path):
    shutil.copytree(first / "run", tmp_path / "worse")
    path = tmp_path / "worse/logs/metrics.csv"
    lines = path.read_text().splitlines()
    at = lines[0].split(",").index("valid/miou")
    rows = [line.split(",") for line in lines[1:]]
    for row in rows:
        row[at] = row[at] and "0.0"
    path.write_text("\n".join([lines[0], *map(",".join, rows)]) + "\n")
    one, other = read_run(first / "run"), read_run(tmp_path / "worse")
    assert drops(one, other, 0.0)
    assert not drops(other, one, 0.0)
    assert not drops(one, other, 1.0)
    with pytest.raises(InputError, match="wanted a run folder"):
        read_run(tmp_path)
    said = CliRunner().invoke(app, ["compare", "a.json", "b.json", "c.json"])
    assert "only run folders" in str(said.exception)
    assert json.loads((first / "run/run.json").read_text())
