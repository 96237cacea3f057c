"""Labels left out, and a teacher in their place."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from small_run import config_file

from lidarpan.classes import load_class_table
from lidarpan.config import AugmentConfig, load_config, parse_config
from lidarpan.model.sparse import choose_engine
from lidarpan.model.weights import build_network
from lidarpan.structures import InputError
from lidarpan.training.augment import Sample, concatenate
from lidarpan.training.data import TrainingScans, collate_pairs, make_pair
from lidarpan.training.few_labels import keep_labels, segment_of
from lidarpan.training.mean_teacher import MeanTeacher, pseudo_loss, ramp
from lidarpan.training.sources import Source, open_sources
from lidarpan.voxels.grid import Grid


def sample(seed=0):
    """A field with four objects of 50 points each."""
    rng = np.random.default_rng(seed)
    ground = np.column_stack([rng.uniform(-9, 9, (2000, 2)), np.full(2000, -1.7)])
    objects = [rng.normal([4 * k - 6, 2, -1], 0.4, (50, 3)) for k in range(4)]
    points = np.concatenate([ground, *objects]).astype(np.float32)
    semantic = np.repeat([9, 1, 1, 6, 1], [2000, 50, 50, 50, 50]).astype(np.uint8)
    instance = np.repeat([0, 1, 2, 3, 4], [2000, 50, 50, 50, 50]).astype(np.int32)
    return Sample(points, rng.random(2200, dtype=np.float32), semantic, instance)


@pytest.mark.parametrize(
    ("kind", "share", "low", "high"),
    [
        ("points", 0.1, 0.08, 0.12),
        ("scribbles", 0.02, 0.02, 0.05),
        ("objects", 0.5, 0.2, 0.8),
        ("clicks", 1.0, 5 / 2200, 5 / 2200),
    ],
)
def test_the_share_that_stays(kind, share, low, high):
    whole = sample()
    kept = keep_labels(whole, kind, share, np.random.default_rng(3))
    stays = kept.semantic > 0
    assert low <= stays.mean() <= high
    assert (kept.semantic[stays] == whole.semantic[stays]).all()
    assert (kept.instance[stays] == whole.instance[stays]).all()
    assert not kept.instance[~stays].any()
    again = keep_labels(whole, kind, share, np.random.default_rng(3))
    assert (again.semantic == kept.semantic).all()


def test_a_click_hits_the_middle_of_each_object():
    whole = sample()
    kept = keep_labels(whole, "clicks", 1.0, np.random.default_rng(0))
    hit = np.flatnonzero(kept.instance)
    assert whole.instance[hit].tolist() == [1, 2, 3, 4]
    middles = np.array([[4 * k - 6, 2, -1] for k in range(4)])
    assert np.linalg.norm(whole.points[hit] - middles, axis=1).max() < 0.5


def test_scribbles_stay_within_their_segment_and_objects_are_whole():
    whole = sample()
    kept = keep_labels(whole, "objects", 0.5, np.random.default_rng(1))
    for k in range(1, 5):
        assert (kept.semantic[whole.instance == k] > 0).mean() in (0, 1)
    everything = keep_labels(whole, "scribbles", 1.0, np.random.default_rng(1))
    assert (everything.semantic == whole.semantic).all()
    assert len(np.unique(segment_of(whole))) == 5


def tiny():
    return parse_config(
        {
            "grid": {"min_m": [-9.6, -9.6, -3.2], "max_m": [9.6] * 2 + [3.2], "voxel_m": [0.4] * 3},
            "network": {"channels": [8, 12], "encoder_blocks": [1, 1], "decoder_blocks": [1],
                        "bev_channels": 8, "bev_blocks": 1},
        },
        "test",
    )  # fmt: skip


def test_voxels_find_their_origin_through_turns_and_mixes():
    config, whole = tiny(), sample()
    grid, classes = config.grid.build(), config.build_classes()
    student = concatenate(whole.numbered().take(np.arange(0, 2200, 2)), sample(1).numbered())
    turned = Sample(
        student.points * np.float32([-1, -1, 1]), student.intensity, student.semantic,
        student.instance, student.origin,
    )  # fmt: skip
    pair = collate_pairs([make_pair(turned, whole, grid, classes) for _ in range(2)])
    assert pair.student.batch_size == pair.teacher.batch_size == 2
    own = pair.seen_at >= 0
    assert 0.1 < own.float().mean() < 1
    batch = (pair.student.indices[own, 0], pair.teacher.indices[pair.seen_at[own], 0])
    assert (batch[0] == batch[1]).all()
    here, there = pair.student.voxel_m[own], pair.teacher.voxel_m[pair.seen_at[own]]
    assert (here + there)[:, :2].abs().max() < 0.41  # turned by half a turn, to a cell


def test_the_teacher_follows_and_teaches_where_it_is_sure():
    config, whole = tiny(), sample()
    grid, classes, engine = config.grid.build(), config.build_classes(), choose_engine("cpu")
    torch.manual_seed(0)
    student = build_network(config)
    teacher = MeanTeacher(student, classes.num_classes)
    with torch.no_grad():
        student.semantic_head.bias += torch.arange(19) * 0.5
    before = teacher.network.semantic_head.bias.clone()
    teacher.follow(student)
    moved = teacher.network.semantic_head.bias
    torch.testing.assert_close(moved, before.lerp(student.semantic_head.bias.detach(), 10 / 11))
    pair = make_pair(whole.numbered(), whole, grid, classes)
    told = teacher.labels(pair, grid, engine)
    with torch.no_grad():
        said = teacher.network(pair.teacher.voxels(grid, engine)).semantic.softmax(1)
    sure, best = said.max(1)
    taught = told.any(dim=1)
    assert taught.any()
    torch.testing.assert_close(told[taught], said[taught])
    assert sure[taught].min() >= 0.5
    seen = torch.bincount(best, minlength=19) > 0
    assert ((teacher.sure != 0.5) == seen).all()


def test_pseudo_labels_count_where_nobody_labelled():
    logits = torch.randn(4, 3, requires_grad=True)
    truth = torch.tensor([1, 0, 0, 2])
    pseudo = torch.tensor([[0, 0, 1], [0.3, 0.7, 0], [0, 0, 0], [1, 0, 0]])
    loss = pseudo_loss(logits, truth, pseudo)
    said = logits.log_softmax(1)[1]
    want = -(0.3 * said[0] + 0.7 * said[1]) / 3  # one of three voxels that anybody labelled
    torch.testing.assert_close(loss, want)
    loss.backward()
    assert (logits.grad[[0, 2, 3]] == 0).all()
    assert float(pseudo_loss(logits, truth, pseudo * 0)) == 0
    assert [ramp(p) for p in (0.0, 0.1, 0.2, 0.3, 1.0)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_run_on_few_labels_with_queries_and_a_teacher(tree, tmp_path):
    """Resumed as well: the teacher goes on from where it was."""
    from lidarpan import PanopticPipeline, Scan
    from lidarpan.training.run import train

    path = config_file(tree, tmp_path / "few", max_steps=2, validate_every=2)
    settings = yaml.safe_load(path.read_text())
    settings["network"] |= {"head": "queries", "queries": {"channels": 8, "layers": 1}}
    settings["loss"] = {"pseudo": 1.0, "overlap": 0.1}
    settings["train_data"][0] |= {"labelled": "points", "labelled_fraction": 0.1}
    path.write_text(yaml.safe_dump(settings))
    train(load_config(path))
    best = train(load_config(path, ["training.max_steps=4"]), resume=True)
    points = np.random.default_rng(1).uniform(-9, 9, (500, 3)).astype(np.float32)
    labels = PanopticPipeline.from_weights(best, "cpu").predict(Scan(points))
    assert (labels.semantic > 0).sum() > 100


def test_scans_without_labels_are_seen_about_as_often_as_those_with():
    """A teacher of two scans among a hundred would teach what it does not know."""
    source = Source(None, (0, 1), 1.73, 1.73, "rank", unlabelled=tuple(range(2, 100)))
    grid, classes = (
        Grid((-9, -9, -3), (9, 9, 3), (0.5, 0.5, 0.5)),
        load_class_table("semantickitti"),
    )
    scans = TrainingScans([source], grid, classes, AugmentConfig(), 0, 10, with_teacher=True)
    has_labels = [flag for _, _, flag in scans.index]
    assert has_labels.count(True) == has_labels.count(False) == 98
    assert {place for _, place, _ in scans.index} == set(range(100))
    alone = TrainingScans([source], grid, classes, AugmentConfig(), 0, 10)
    assert [place for _, place, _ in alone.index] == [0, 1]


def test_with_a_teacher_scans_need_no_labels(tree, tmp_path):
    """One without a label file, and one in which every point is void."""
    own = tmp_path / "tree"
    shutil.copytree(tree, own)
    (own / "sequences/00/labels/000001.label").unlink()
    path = own / "sequences/00/labels/000003.label"
    np.zeros_like(np.fromfile(path, np.uint32)).tofile(path)
    file = config_file(own, tmp_path / "run")
    config = load_config(file, ["loss.pseudo=1.0"])
    (source,) = open_sources(config.train_data, config)
    assert (source.scans, source.unlabelled) == ((0, 2), (1, 3))
    assert source.sample(0).semantic.any()
    assert not source.sample(1).semantic.any()
    plain = load_config(file)
    (source,) = open_sources(plain.train_data, plain)
    with pytest.raises(InputError, match=r"needs labels, found none; with loss\.pseudo"):
        source.sample(1)
