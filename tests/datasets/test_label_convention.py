"""A network's classes are read as it counts them, or refused; never shifted by one unsaid."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.datasets.label_convention import choose_convention, class_ids, to_train_ids
from lidarpan.datasets.semantics import SemanticFolder
from lidarpan.structures import InputError

KITTI = load_class_table("semantickitti")


def street(num_points=20_000):
    """(N,) int64 train ids with the shares of a street, a few points void."""
    rng = np.random.default_rng(4)
    ids = rng.choice(KITTI.num_classes, num_points, p=KITTI.street_share / KITTI.street_share.sum())
    ids[:50] = 0
    return ids.astype(np.int64)


@pytest.mark.parametrize(
    ("name", "counted", "lost"),
    [
        ("raw", lambda t: KITTI.to_raw(t.astype(np.uint8)), False),
        ("train", lambda t: t, False),
        ("train", lambda t: t[:, None].astype(np.float32), False),
        ("train", lambda t: np.eye(20, dtype=np.float32)[t], False),
        ("train0", lambda t: t - 1, False),
        ("train0", lambda t: (t - 1).astype(np.uint8), False),  # 255 for void
        ("train0", lambda t: np.where(t == 0, -100, t - 1), False),
        ("train0", lambda t: np.where(t == 0, 19, t - 1), False),
        ("train", lambda t: np.eye(20, dtype=np.int64)[t], False),
        ("train", lambda t: np.where(t == 0, 255, t), False),
        ("train", lambda t: np.where(t == 0, -1, t), False),
        (
            "train",
            lambda t: np.where(np.arange(len(t)) == 7, 255, t) * (np.arange(len(t)) != 8),
            True,
        ),
        ("train0", lambda t: np.maximum(t, 1) - 1, True),  # void is car
        ("train0", lambda t: np.eye(20, dtype=np.float32)[np.maximum(t, 1)][:, 1:], True),
    ],
)
def test_the_convention_shows_in_the_numbers(name, counted, lost):
    true = street()
    ids = class_ids(np.asarray(counted(true)), "f", KITTI)
    assert choose_convention([ids], KITTI, "f") == name
    found = to_train_ids(ids, name, KITTI)
    known = true > 0
    np.testing.assert_array_equal(found[known], true[known])
    assert lost or (found == true).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.random.default_rng(0).random(3000), r"got fractions such as .* take the argmax"),
        (np.zeros((20, 3000), np.float32), "transpose"),
        (np.full((3000, 20), np.nan), "finite scores"),
        (np.full(3000, 1 << 20), "wanted whole numbers"),
        (np.full(3000, 44_000), "raw labels or train ids up to 19, got 44000"),
        (np.full(3000, 4), r"of the points would be|could be"),
        (np.array(["car"] * 9), "whole numbers"),
        (19 - street(), "as in no street: say with --ids"),  # classes in an order of one's own
    ],
)
def test_what_no_convention_explains_is_refused(array, message):
    with pytest.raises(InputError, match=message):
        choose_convention([class_ids(array, "f", KITTI)], KITTI, "f")


def test_a_folder_is_read_by_one_convention(tmp_path):
    """The second file alone, without void or traffic signs, could be either."""
    true = street()
    few = np.full(1200, 15)
    for k, ids in enumerate((true, few, true)):
        np.save(tmp_path / f"{k}.npy", ids - 1)
        (tmp_path / f"{k}.bin").touch()
    scans = [tmp_path / f"{k}.bin" for k in range(3)]
    folder = SemanticFolder(tmp_path, scans, KITTI)
    assert folder.ids == "train0"
    assert (folder.read(scans[1])[1] == 15).all()
    assert (SemanticFolder(tmp_path, scans, KITTI, "train0").read(scans[0])[1] == true).all()
    with pytest.raises(InputError, match=r"0.npy: train ids: wanted whole numbers 0..19, got -1"):
        SemanticFolder(tmp_path, scans, KITTI, "train").read(scans[0])
    with pytest.raises(InputError, match="--ids: wanted raw, train, train0, got 'trian'"):
        SemanticFolder(tmp_path, scans, KITTI, "trian").read(scans[0])


def test_an_archive_of_one_array_is_read_as_the_array(tmp_path):
    true = street()
    np.savez(tmp_path / "0.npz", pred=np.where(true == 0, 255, true - 1).astype(np.uint8))
    folder = SemanticFolder(tmp_path, [tmp_path / "0.bin"], KITTI)
    assert folder.ids == "train0"
    assert (folder.read(tmp_path / "0.bin")[1] == true).all()
