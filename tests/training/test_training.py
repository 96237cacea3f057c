import csv

import numpy as np
import pytest
import torch
from small_run import config_file, run

from lidarpan.config import load_config, parse_config
from lidarpan.model.checkpoint import load_weights
from lidarpan.structures import InputError, PanopticLabels
from lidarpan.training.sources import open_sources
from lidarpan.voxels.intensity import rank_brightness


def test_run_writes_weights_logs_and_config(tree, tmp_path):
    best = run(tree, tmp_path / "run")
    assert best == tmp_path / "run" / "best.safetensors"
    _, header = load_weights(best)
    assert header["training"]["step"] in (3, 6)
    assert load_config(tmp_path / "run" / "config.yaml") == load_config(tmp_path / "run.yaml")
    rows = list(csv.DictReader((tmp_path / "run/logs/metrics.csv").open()))
    assert any(row["valid/pq"] for row in rows)

    from lidarpan import PanopticPipeline, Scan

    rng = np.random.default_rng(1)
    points = rng.uniform(-12, 12, (500, 3)).astype(np.float32)
    labels = PanopticPipeline.from_weights(best, "cpu").predict(Scan(points, points[:, 0] * 0))
    assert isinstance(labels, PanopticLabels)
    outside = (np.abs(points) >= (9.6, 9.6, 3.2)).any(axis=1)
    assert (labels.semantic[outside] == 0).all()
    assert (labels.semantic[~outside] > 0).all()


def test_resume_is_exact(tree, tmp_path):
    from lidarpan.training.module import PanopticTraining
    from lidarpan.training.run import make_trainer, train

    run(tree, tmp_path / "whole")
    config = load_config(config_file(tree, tmp_path / "halves"))
    trainer = make_trainer(config)
    trainer.fit_loop.epoch_loop.max_steps = 3  # the schedule still knows of 6
    torch.manual_seed(config.training.seed)
    import lightning.pytorch as pl

    pl.seed_everything(config.training.seed, verbose=False)
    trainer.fit(PanopticTraining(config))
    assert trainer.global_step == 3
    train(config, resume=True)
    whole, _ = load_weights(tmp_path / "whole/last.safetensors")
    halves, _ = load_weights(tmp_path / "halves/last.safetensors")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_a_short_run_can_go_on_past_its_end(tree, tmp_path, capsys):
    run(tree, tmp_path / "r", max_steps=2, checkpoint_every=1000, validate_every=2)
    assert (tmp_path / "r/resume.safetensors").is_file()
    run(tree, tmp_path / "r", resume=True, max_steps=5, checkpoint_every=1000, validate_every=1)
    _, header = load_weights(tmp_path / "r/last.safetensors")
    assert header["training"]["step"] == 5
    run(tree, tmp_path / "r", resume=True, max_steps=5, checkpoint_every=1000)  # nothing left to do
    shown = capsys.readouterr()
    assert "Epoch" not in shown.out + shown.err


def test_the_schedule_is_stretched_when_resumed(tree, tmp_path):
    from lidarpan.training.module import PanopticTraining

    class Trainer:
        lr_scheduler_configs = ()

    config = load_config(config_file(tree, tmp_path / "s", max_steps=4))
    longer = load_config(config_file(tree, tmp_path / "s", max_steps=9))
    module, other = PanopticTraining(config), PanopticTraining(longer)
    old = module.configure_optimizers()["lr_scheduler"]["scheduler"]
    for _ in range(4):
        old.optimizer.step()
        old.step()
    whole = other.configure_optimizers()["lr_scheduler"]["scheduler"]
    for _ in range(4):
        whole.optimizer.step()
        whole.step()

    class Each:
        scheduler = old

    Trainer.lr_scheduler_configs = (Each,)
    other._trainer = Trainer()
    other._fabric = None
    other.on_train_start()
    assert Each.scheduler.last_epoch == 4
    assert Each.scheduler.get_last_lr() == pytest.approx(whole.get_last_lr())


def test_refuses_to_mix_runs(tree, tmp_path):
    with pytest.raises(InputError, match="nothing to resume"):
        run(tree, tmp_path / "a", resume=True)
    run(tree, tmp_path / "b", max_steps=3)
    for _ in range(2):
        with pytest.raises(InputError, match="holds a run already"):
            run(tree, tmp_path / "b", max_steps=3)
        (tmp_path / "b/resume.safetensors").unlink(missing_ok=True)  # its weights are worth as much


def test_training_learns(tree, tmp_path):
    """60 steps on the little tree separate ground, wall and cars."""
    best = run(
        tree,
        tmp_path / "learn",
        max_steps=60,
        validate_every=30,
        learning_rate=1e-2,
        average_decay=0.0,
    )
    _, header = load_weights(best)
    assert header["training"]["valid_miou"] * 19 > 1.5  # of 3 classes present


def test_a_scan_is_learnt_from_as_it_is_predicted(tmp_path):
    """Height measured, brightness by rank, and thinned where the sensor still is at the origin."""
    folder = tmp_path / "sequences" / "00"
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-9, 9, (4000, 2)), np.full(4000, -0.8)])
    intensity = rng.random(4000)
    for name, rows in (
        ("velodyne", np.column_stack([points, intensity]).astype(np.float32)),
        ("labels", np.full(4000, 40, np.uint32)),
    ):
        (folder / name).mkdir(parents=True)
        rows.tofile(folder / name / ("000000.bin" if name == "velodyne" else "000000.label"))
    entry = {"dataset": "semantickitti", "root": str(tmp_path), "split": "train"}
    samples, seen = {}, []
    for height in ("measured", 0.8, None):
        config = parse_config({"train_data": [entry | {"sensor_height_m": height}]}, "test")
        (source,) = open_sources(config.train_data, config)
        samples[height] = source.sample(0, lambda sample: seen.append(sample.points) or sample)
    assert seen[0][:, 2] == pytest.approx(-0.8)
    assert samples["measured"].points[:, 2] == pytest.approx(-1.73, abs=0.01)
    assert samples[0.8].points[:, 2] == pytest.approx(-1.73)
    assert samples[None].points[:, 2] == pytest.approx(-0.8)
    want = rank_brightness(points, intensity.astype(np.float32))
    np.testing.assert_allclose(samples[0.8].intensity, want, atol=1e-6)
    louder = config.model_copy(
        update={"sensor": config.sensor.model_copy(update={"intensity": "raw"})}
    )
    (raw,) = open_sources(config.train_data, louder)
    np.testing.assert_allclose(raw.sample(0).intensity, intensity, atol=1e-6)
