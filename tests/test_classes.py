import numpy as np
import pytest

from lidarpan.classes import ClassTable, load_class_table
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
    with pytest.raises(InputError, match=r"wanted argoverse2, .*, waymo or FILE\.yaml"):
        load_class_table("lyft")
    with pytest.raises(InputError, match="no class 'tram'"):
        table.id_of("tram")


def test_what_a_class_decides_stands_in_its_table():
    kitti, nuscenes = load_class_table("semantickitti"), load_class_table("nuscenes")
    assert [kitti.names[c] for c in kitti.ground] == [
        "road", "parking", "sidewalk", "other-ground", "terrain",
    ]  # fmt: skip
    assert [nuscenes.names[c] for c in nuscenes.upright] == ["manmade", "vegetation"]
    for table in (kitti, nuscenes):
        assert sorted((*table.ground, *table.upright)) == list(table.stuff)
        expected = np.zeros((table.num_classes, table.num_classes), bool)
        expected[np.ix_(table.things, table.ground)] = True
        np.testing.assert_array_equal(table.protected, expected)


SMALL = """
classes:
  - {name: car, kind: thing, raw: [7, 3]}
  - {name: grass, kind: stuff, raw: [1], ground: true}
  - {name: wall, kind: stuff, raw: [9], protected_from: [car]}
"""


def written(tmp_path, text):
    path = tmp_path / "small.yaml"
    path.write_text(text)
    return path


def test_name_kind_and_raw_suffice(tmp_path):
    table = ClassTable.from_yaml(written(tmp_path, SMALL))
    assert (table.name, table.names) == ("small", ("void", "car", "grass", "wall"))
    assert (table.things, table.stuff, table.ground, table.upright) == ((1,), (2, 3), (2,), (3,))
    assert table.min_points == 50
    assert table.box_m == {1: (4.4, 1.8, 1.6)}
    assert table.to_raw(np.arange(4, dtype=np.uint8)).tolist() == [0, 7, 1, 9]
    assert table.to_train(np.array([0, 3, 7, 1, 9])).tolist() == [0, 1, 1, 2, 3]
    assert table.protected[1].tolist() == [False, False, True, True]
    assert not table.protected[[0, 2, 3]].any()
    assert len(np.unique(table.colors, axis=0)) == 4
    assert table.to_nuscenes.tolist() == [0, 0, 0, 0]
    assert load_class_table(str(tmp_path / "small.yaml")).names == table.names


@pytest.mark.parametrize("name", ["semantickitti", "nuscenes", "small"])
def test_a_table_goes_through_its_tree(name, tmp_path):
    path = written(tmp_path, SMALL)
    table = load_class_table(path if name == "small" else name)
    again = ClassTable.from_tree(table.to_tree(), "again")
    for field in table.__dataclass_fields__:
        np.testing.assert_equal(getattr(again, field), getattr(table, field), err_msg=field)


def test_void_takes_a_label_that_no_class_has(tmp_path):
    text = "classes: [{name: car, kind: thing, raw: [0, 1]}, {name: road, kind: stuff, raw: [3]}]"
    table = ClassTable.from_yaml(written(tmp_path, text))
    assert table.to_train(np.array([0, 1, 2, 3])).tolist() == [1, 1, 0, 2]
    assert table.to_raw(np.array([0, 1], np.uint8)).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- car", "wanted a mapping"),
        ("classes: []", "classes"),
        ("name: x", "classes: Field required"),
        ("classes: [{name: car, raw: [1]}]", "classes.0.kind: Field required"),
        ("classes: [{name: car, kind: thing, raw: []}]", "class 'car' wants a raw label"),
        ("classes: [{name: car, kind: thing, raw: [70000]}]", r"raw labels 0\.\.65535"),
        ("classes: [{name: car, kind: thing, raw: [-1]}]", "classes.0.raw.0"),
        ("classes: [{name: car, kind: thing, raws: [1]}]", "unknown key, did you mean 'raw'"),
        ("classes: [{name: a, kind: thing, raw: [1]}, {name: a, kind: stuff, raw: [2]}]",
         "two classes have the name 'a'"),
        ("classes: [{name: a, kind: thing, raw: [1]}, {name: b, kind: stuff, raw: [2, 1]}]",
         "two classes have the raw label 1"),
        ("classes: [{name: a, kind: thing, raw: [1], ground: true}]", "only stuff is ground"),
        ("classes: [{name: a, kind: stuff, raw: [1], box_m: [1, 1, 1]}]", "only a thing has a box"),
        ("classes: [{name: a, kind: stuff, raw: [1], protected_from: [cat]}]",
         "protected_from 'cat', which is no thing: wanted some of none"),
        ("classes: [{name: a, kind: stuff, raw: [1], color: [1, 2, 300]}]", "colours 0"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_one_line_with_its_file(tmp_path, text, words):
    with pytest.raises(InputError, match=words) as error:
        ClassTable.from_yaml(written(tmp_path, text))
    assert str(error.value).startswith(str(tmp_path / "small.yaml"))
    assert "\n" not in str(error.value)
