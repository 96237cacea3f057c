"""Files without a header are read in as many columns as make sense of them, or refused."""

import numpy as np
import pytest

from lidarpan.scans.files import load_scan
from lidarpan.scans.headerless import Layout, check_letters, find_layout, name_columns
from lidarpan.scans.pcd import write_pcd
from lidarpan.scans.reader import ScanReader
from lidarpan.structures import InputError


def layouts(rows, rng):
    """Letters -> (N, C) float32 rows, of which x y z and the intensity are those of `rows`."""
    x, y, z, i = rows.T
    n = len(rows)
    ring, time = np.arange(n) // 500, np.linspace(0, 0.1, n)
    of = lambda *columns: np.column_stack(columns).astype(np.float32)  # noqa: E731
    return {
        "xyz": of(x, y, z),
        "xyzi": rows,
        "xyzir": of(rows, ring),
        "xyz_i": of(x, y, z, 0 * x, i),
        "xyzit": of(rows, time),
        "xyzi__": of(rows, 0 * x, 0 * x - 1),
        "xyzirt": of(rows, ring, time),
        "xyz___": of(x, y, z, *np.tile(rng.integers(0, 256, n), (3, 1))),  # grey of a camera
        "xyzi____": of(rows, np.ones((n, 4))),
        "ixyz": of(i, x, y, z),
        "ixyz_": of(100 * i, x, y, z, 0 * i),  # per cent
        "rxyzi": of(ring, x, y, z, i),
        "txyzi": of(time, x, y, z, i),
        "xyzri": of(x, y, z, np.arange(n) % 24, i),  # all beams of a turn side by side
        "xyzrti": of(x, y, z, rng.permutation(24)[ring], time, i),  # beams in no order
        "xyzr": of(x, y, z, rng.permutation(24)[ring]),
    }


@pytest.mark.parametrize("order", ["file", "shuffled", "every third"])
def test_columns_are_counted_and_named(rows, order):
    rng = np.random.default_rng(1)
    chosen = {"file": slice(None), "shuffled": rng.permutation(len(rows)), "every third": slice(
        None, None, 3)}[order]  # fmt: skip
    for letters, table in layouts(rows, rng).items():
        table = table[chosen][: len(table[chosen]) // 60 * 60]
        layout = find_layout(table.ravel(), "f")
        assert layout == Layout(table.shape[1]), letters
        if order == "file":
            assert name_columns(table)[1] == letters


@pytest.mark.parametrize("num_features", [9, 10, 12, 14, 18, 20])
@pytest.mark.parametrize("kind", ["random", "one of them", "wide"])
def test_features_behind_a_point_are_no_points(tmp_path, rows, num_features, kind):
    rng = np.random.default_rng(num_features)
    count = len(rows)
    features = {
        "random": rng.random((count, num_features)),
        "one of them": np.eye(num_features)[rng.integers(0, num_features, count)],
        "wide": rng.normal(size=(count, num_features)) * np.linspace(0.1, 5, num_features),
    }[kind]
    np.column_stack([rows, features]).astype(np.float32).tofile(tmp_path / "s.bin")
    np.testing.assert_array_equal(load_scan(tmp_path / "s.bin").scan.points, rows[:, :3])


def test_colours_of_any_kind_are_no_intensity(rows):
    colours = np.random.default_rng(0).integers(0, 256, (len(rows), 3))
    assert name_columns(np.column_stack([rows[:, :3], colours]))[1] == "xyz___"
    assert name_columns(np.column_stack([rows, colours]))[1].startswith("xyzi")


def test_colours_like_each_other_are_told_from_an_intensity_on_either_side(rows):
    rng = np.random.default_rng(0)
    grey = rng.integers(20, 220, len(rows))[:, None]
    colours = grey + rng.integers(0, 20, (len(rows), 3))
    bright = np.round(rows[:, 3:] * 255)
    assert name_columns(np.hstack([rows[:, :3], bright, colours]))[1] == "xyzi___"
    assert name_columns(np.hstack([rows[:, :3], colours, bright]))[1] == "xyz___i"


def test_classes_of_points_are_no_intensity_and_no_ring(rows):
    classes = np.random.default_rng(0).choice([0, 10, 40, 48, 50, 70, 252], len(rows))
    assert name_columns(np.column_stack([rows[:, :3], classes]))[1] == "xyz_"
    assert name_columns(np.column_stack([rows, classes]))[1] == "xyzi_"


def test_every_layout_is_the_same_scan(tmp_path, rows):
    for letters, table in layouts(rows, np.random.default_rng(2)).items():
        table.tofile(tmp_path / "s.bin")
        loaded = load_scan(tmp_path / "s.bin")
        np.testing.assert_array_equal(loaded.scan.points, rows[:, :3])
        if "i" in letters:
            share = np.float32(100 / 255 if letters == "ixyz_" else 1)
            np.testing.assert_allclose(loaded.scan.intensity, rows[:, 3] * share, rtol=1e-6)
        said = [text for text in loaded.warnings if "--columns" in text]
        assert bool(said) == (letters not in ("xyzi", "xyzir")), letters


def test_columns_one_after_the_other_are_known(tmp_path, rows):
    rows.T.copy().tofile(tmp_path / "s.bin")
    loaded = load_scan(tmp_path / "s.bin")
    np.testing.assert_array_equal(loaded.scan.points, rows[:, :3])
    assert any("all x first" in text for text in loaded.warnings)


@pytest.mark.parametrize(("dtype", "name"), [("<f8", "float64"), (">f4", "big-endian"), (
    ">f8", "big-endian float64")])  # fmt: skip
def test_other_numbers_are_known(tmp_path, rows, dtype, name):
    rows.astype(dtype).tofile(tmp_path / "s.bin")
    loaded = load_scan(tmp_path / "s.bin")
    np.testing.assert_array_equal(loaded.scan.points, rows[:, :3])
    assert f"taken for {name} numbers" in loaded.warnings


def test_intensities_that_are_not_known_are_said(tmp_path, rows):
    for missing, said in ((np.nan, "are NaN or infinite: taken as 0"), (-1, "clipped to 0..1")):
        some = rows.copy()
        some[::9, 3] = missing
        some.tofile(tmp_path / "s.bin")
        loaded = load_scan(tmp_path / "s.bin")
        assert any(said in text for text in loaded.warnings)
        np.testing.assert_array_equal(loaded.scan.intensity[1::9], rows[1::9, 3])


def test_what_the_caller_says_of_the_columns_counts(tmp_path, rows):
    swapped = np.column_stack([rows[:, 3], rows[:, 1], rows[:, 0], rows[:, 2]]).astype(np.float32)
    swapped.tofile(tmp_path / "s.bin")
    scan = ScanReader([tmp_path / "s.bin"], "iyxz").load(tmp_path / "s.bin").scan
    np.testing.assert_array_equal(scan.points, rows[:, :3])
    np.testing.assert_array_equal(scan.intensity, rows[:, 3])
    with pytest.raises(InputError, match="wanted 7 float32 per point"):
        ScanReader([], "xyzi___").load(tmp_path / "s.bin")
    for letters in ("xy", "xyzz", "xyzq"):
        with pytest.raises(InputError, match="--columns: wanted a letter for each number"):
            check_letters(letters)


def test_numbers_that_fit_no_columns_are_refused(tmp_path, rows):
    rows.ravel()[:47_981].tofile(tmp_path / "s.bin")  # a prime number of them
    with pytest.raises(InputError, match="11995 points of 4 and 1 numbers more"):
        load_scan(tmp_path / "s.bin")


def test_cut_off_files_are_no_points_of_another_width(tmp_path, rows):
    """Without their last two numbers, 49,998 points of 4 divide into points of 10."""
    table = np.concatenate([rows] * 5)[:49_998]
    for numbers, message in (
        (table.ravel()[:-2], "49997 points of 4 and 2 numbers more: cut off"),
        (np.append(np.float32(7), table.ravel()), "49998 points of 4 and 1 numbers more"),
    ):
        numbers.tofile(tmp_path / "s.bin")
        with pytest.raises(InputError, match=message):
            load_scan(tmp_path / "s.bin")


def test_a_header_is_no_point(tmp_path, rows):
    head = np.array([len(rows), 4, 1, 0], "<u4").tobytes()
    (tmp_path / "s.bin").write_bytes(head + rows.tobytes())
    with pytest.raises(InputError, match="is it a header"):
        load_scan(tmp_path / "s.bin")


def test_points_of_four_are_no_points_of_nuscenes(tmp_path, rows):
    rows.tofile(tmp_path / "s.pcd.bin")
    with pytest.raises(InputError, match="12000 points of 4: "):
        load_scan(tmp_path / "s.pcd.bin")


def test_records_of_several_types_are_refused(tmp_path, rows):
    """Three floats and two bytes: of seven floats in two of them four are none.

    Of so many records every 21st number is one of a first column.
    """
    count = 2 * 21 * 20_000 // 7
    records = np.zeros(count, [("xyz", "<f4", 3), ("i", "u1"), ("ring", "u1")])
    records["xyz"] = np.resize(rows[:, :3], (count, 3))
    records["i"] = np.resize(np.round(rows[:, 3] * 255), count)
    records.tofile(tmp_path / "s.bin")
    with pytest.raises(InputError, match="wanted float32 numbers of points"):
        load_scan(tmp_path / "s.bin")


def test_how_far_a_point_is_is_no_intensity(rows):
    x, y, z, bright = rows.T
    reach = np.linalg.norm(rows[:, :3], axis=1)
    assert name_columns(np.column_stack([x, y, z, reach, bright]))[1] == "xyz_i"
    assert name_columns(np.column_stack([x, y, z, np.hypot(x, y)]))[1] == "xyz_"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, "all 1000 points lie exactly at the sensor"),
        (np.nan, "all 1000 points are NaN or infinite"),
        (3.0, r"wanted a scan, got 1000 times the point \(3, 3, 3\)"),
    ],
)
def test_points_that_are_all_the_same_are_refused(tmp_path, value, message):
    np.full((1000, 4), value, np.float32).tofile(tmp_path / "s.bin")
    with pytest.raises(InputError, match=message):
        load_scan(tmp_path / "s.bin")


def test_columns_that_the_caller_cannot_mean_are_doubted(tmp_path, rows):
    rows.tofile(tmp_path / "s.bin")
    said = load_scan(tmp_path / "s.bin", columns="xyz").warnings
    assert "the numbers do not look like points of 3 columns: is --columns right?" in said
    assert not load_scan(tmp_path / "s.bin", columns="xyzi").warnings
    write_pcd(tmp_path / "s.pcd", dict(zip(("x", "y", "z", "intensity"), rows.T, strict=True)))
    said = load_scan(tmp_path / "s.pcd", columns="xyz_").warnings
    assert said == ("--columns passed over: a .pcd file names its columns",)
