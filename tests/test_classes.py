import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.structures import InputError


@pytest.mark.parametrize(
    ("name", "num_classes", "things", "min_points"),
    [("semantickitti", 20, range(1, 9), 50), ("nuscenes", 17, range(1, 11), 15)],
)
def test_tables(name, num_classes, things, min_points):
    table = load_class_table(name)
    assert table.num_classes == num_classes
    assert table.things == tuple(things)
    assert table.stuff == tuple(range(things.stop, num_classes))
    assert table.min_points == min_points
    assert len(set(table.names)) == num_classes
    assert len(np.unique(table.colors, axis=0)) == num_classes
    assert set(table.box_m) == set(things)
    assert all(length >= width > 0 for length, width, _ in table.box_m.values())


def test_semantickitti_raw_labels():
    table = load_class_table("semantickitti")
    raw = np.array([0, 10, 252, 60, 40, 259, 99])
    assert table.to_train(raw).tolist() == [0, 1, 1, 9, 9, 5, 0]
    assert table.to_raw(np.arange(20, dtype=np.uint8)).tolist() == [
        0, 10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81,
    ]  # fmt: skip
    written = table.to_raw(np.arange(20, dtype=np.uint8))
    assert (table.to_train(written) == np.arange(20)).all()


def test_nuscenes_covers_the_32_general_classes():
    table = load_class_table("nuscenes")
    assert table.raw_known.all()
    assert len(table.raw_known) == 32
    assert table.to_train(np.array([17, 24, 2, 0, 31, 22])).tolist() == [4, 11, 7, 0, 0, 9]


def test_errors():
    table = load_class_table("semantickitti")
    with pytest.raises(InputError, match=r"labels \[2, 300\] are not"):
        table.to_train(np.array([10, 300, 2]))
    with pytest.raises(InputError, match="train id 20"):
        table.to_raw(np.array([20], np.uint8))
    with pytest.raises(InputError, match="wanted semantickitti or nuscenes"):
        load_class_table("waymo")
    with pytest.raises(InputError, match="no class 'tram'"):
        table.id_of("tram")
