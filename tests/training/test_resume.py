import csv
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from small_run import config_file, run

from lidarpan.config import load_config
from lidarpan.model.checkpoint import load_weights
from lidarpan.structures import InputError
from lidarpan.training.metrics_file import read_metrics
from lidarpan.training.metrics_log import MetricsLog
from lidarpan.training.resume import RESUME_NAME, check_like, read_state, write_state


def train_killed_at(tree, out, step, before="train_batch", **training):
    """A run that ends as a killed one does: before a step or a validation, nothing more written."""
    import lightning.pytorch as pl

    from lidarpan.training.module import PanopticTraining
    from lidarpan.training.run import make_trainer

    class Killed(Exception):
        pass

    def kill(trainer, *_):
        if trainer.global_step == step:
            raise Killed

    killer = pl.Callback()
    setattr(killer, f"on_{before}_start", kill)
    config = load_config(config_file(tree, out, **training))
    trainer = make_trainer(config)
    trainer.callbacks.append(killer)
    pl.seed_everything(config.training.seed, verbose=False)
    with pytest.raises(Killed):
        trainer.fit(PanopticTraining(config))


@pytest.fixture(scope="module")
def whole(tree, tmp_path_factory):
    """Six steps in one go, with a checkpoint and a validation at odd places."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run(tree, out, checkpoint_every=2, validate_every=3)
    return out


@pytest.mark.parametrize("step", [3, 5])
def test_a_killed_run_goes_on_to_the_same_bytes(tree, whole, tmp_path, step):
    out = tmp_path / "halves"
    train_killed_at(tree, out, step, checkpoint_every=2, validate_every=3)
    run(tree, out, resume=True, checkpoint_every=2, validate_every=3)
    for name in ("best.safetensors", "last.safetensors"):
        assert (out / name).read_bytes() != b""
        wanted, header = load_weights(whole / name)
        got, got_header = load_weights(out / name)
        assert all(torch.equal(wanted[key], got[key]) for key in wanted)
        assert got_header["training"] == header["training"]
    assert (out / "logs/metrics.csv").read_text() == (whole / "logs/metrics.csv").read_text()
    wanted, got = read_state(whole / RESUME_NAME), read_state(out / RESUME_NAME)
    for key in ("state_dict", "current_model_state", "optimizer_states", "next_scan", "best_pq"):
        check_same(wanted[key], got[key])


def test_a_killed_validation_is_made_up_for(tree, whole, tmp_path):
    """The point of its step is written after it."""
    out, settings = tmp_path / "halves", {"checkpoint_every": 1, "validate_every": 3}
    train_killed_at(tree, out, 3, before="validation", **settings)
    assert read_state(out / RESUME_NAME)["global_step"] == 2
    run(tree, out, resume=True, **settings)
    assert (out / "logs/metrics.csv").read_text() == (whole / "logs/metrics.csv").read_text()
    assert load_weights(out / "best.safetensors")[1] == load_weights(whole / "best.safetensors")[1]


def check_same(wanted, got):
    check_like(wanted, got, "the two runs")
    if isinstance(wanted, torch.Tensor):
        assert torch.equal(wanted, got)
    elif isinstance(wanted, dict):
        for key, value in wanted.items():
            check_same(value, got[key])
    elif isinstance(wanted, list):
        for one, other in zip(wanted, got, strict=True):
            check_same(one, other)
    else:
        assert wanted == got


def test_the_best_weights_stay_though_the_point_is_older(tree, whole, tmp_path):
    import shutil

    from lidarpan.model.checkpoint import save_weights

    shutil.copytree(whole, tmp_path / "run")
    best = tmp_path / "run/best.safetensors"
    state, header = load_weights(best)
    header["training"]["valid_pq"] = 0.9
    save_weights(best, state, header, half=True)
    before = best.read_bytes()
    run(tree, tmp_path / "run", resume=True, max_steps=7, validate_every=1)
    assert best.read_bytes() == before
    assert read_state(tmp_path / "run" / RESUME_NAME)["best_pq"] == 0.9


class Spring:
    """Makes a folder when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_point_runs_code(tree, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / RESUME_NAME).write_bytes(pickle.dumps(Spring(tmp_path / "sprung")))
    with pytest.raises(InputError, match="wanted a whole point to resume at"):
        run(tree, out, resume=True)
    torch.save(Spring(tmp_path / "sprung"), out / RESUME_NAME)
    with pytest.raises(InputError, match="wanted a whole point to resume at"):
        run(tree, out, resume=True)
    torch.save({}, out / "last.ckpt")
    (out / RESUME_NAME).unlink()
    with pytest.raises(InputError, match=r"last\.ckpt of an older version cannot be"):
        run(tree, out, resume=True)
    assert not (tmp_path / "sprung").exists()


def test_any_damage_is_one_line(whole, tmp_path):
    data = (whole / RESUME_NAME).read_bytes()
    path, rng = tmp_path / RESUME_NAME, random.Random(0)
    for _ in range(60):
        damaged = bytearray(data)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(InputError) as fault:
            read_state(path)
        assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("optimizer_states"), "optimizer_states"),
        (lambda s: s["state_dict"].popitem(), "is missing or has no place"),
        (lambda s: s["state_dict"].update({"network.semantic_head.bias": torch.zeros(2)}), "(2,)"),
        (lambda s: s["loops"].update(fit_loop=[]), "fit_loop"),
        (lambda s: s["optimizer_states"][0]["state"].pop(0), "0 is missing"),
        (lambda s: s.update(next_scan="x"), "wanted int, got str"),
        (lambda s: s.update(callbacks={}), "callbacks"),
        (lambda s: s.update(seed=5), "training.seed=5"),
    ],
)
def test_a_point_of_another_run_is_one_line(tree, whole, tmp_path, change, words):
    state = read_state(whole / RESUME_NAME)
    change(state)
    write_state(tmp_path / "run" / RESUME_NAME, state)
    with pytest.raises(InputError) as fault:
        run(tree, tmp_path / "run", resume=True, max_steps=8)
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


def test_states_come_back(tmp_path):
    state = {
        "a": {0: torch.arange(3), 1: [1.5, None, True, "x", float("inf")]},
        "b": torch.zeros(0),
        "c": torch.tensor(2.5, dtype=torch.bfloat16),
        "tensor": {"tensor": 1, "pairs": []},
    }
    write_state(tmp_path / "s", state)
    check_same(state, read_state(tmp_path / "s"))


def test_metrics_go_on_where_the_run_does(tmp_path):
    path = tmp_path / "logs/metrics.csv"
    log = MetricsLog(path)
    for step in range(5):
        log.log_metrics({"loss": step / 3, "epoch": 0}, step)
    log.log_metrics({"valid": 0.5}, 4)
    log.finalize("success")
    with path.open("a") as file:
        file.write("7,0,0.")  # a row cut off
    again = MetricsLog(path, resume_step=3)
    again.log_metrics({"loss": 9.0, "lr": 1e-3}, 3)
    again.finalize("success")
    rows = read_metrics(path)
    assert [row["step"] for row in rows] == ["0", "1", "2", "3"]
    assert [float(row["loss"]) for row in rows] == [0, 1 / 3, 2 / 3, 9]
    assert list(csv.DictReader(path.open()))[-1]["lr"] == "0.001"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="wanted a column of steps"):
        MetricsLog(path, resume_step=3)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tree, tmp_path):
    """Two of two scans each and one that gathers two batches: the same scans, the same steps.

    What is left is the order of sums: weights differ by no more than 1e-5, in the first steps of
    Adam at a rate of 2e-3. Stored statistics are joined; not joined they
    would be .1 off and more.
    """
    one, two = tmp_path / "one", tmp_path / "two"
    settings = {"batch_size": 2, "max_steps": 3, "precision": "32-true"}
    run(tree, one, accumulate=2, **settings)
    path = config_file(tree, two, devices=2, strategy="ddp", **settings)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *command, "-m", "lidarpan.cli", "train", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("best weights") == 1
    wanted, got = read_state(one / RESUME_NAME), read_state(two / RESUME_NAME)
    assert got["next_scan"] == wanted["next_scan"] == 12
    for key, value in wanted["current_model_state"].items():
        np.testing.assert_allclose(got["current_model_state"][key], value, atol=1e-5, rtol=1e-4)
    scores = [load_weights(out / "last.safetensors")[1]["training"] for out in (one, two)]
    assert scores[0] == scores[1]
