"""Points as text are the same scan however they are written, or are refused in one line."""

import numpy as np
import pytest

from lidarpan.scans.files import find_scans, load_scan
from lidarpan.structures import InputError


def written(path, table, head="", separator=" ", end="\n", encoding="utf-8", has_commas=False):
    """A text of some rows; returns the file."""
    lines = [separator.join(f"{value:.6g}" for value in row) for row in table.tolist()]
    body = end.join(lines) + end
    path.write_bytes((head + (body.replace(".", ",") if has_commas else body)).encode(encoding))
    return path


KINDS = {
    "a.xyz": {},
    "b.txt": {"head": "# x y z intensity\n"},
    "c.asc": {"head": "//X Y Z Intensity\n"},
    "d.csv": {"head": "x,y,z,intensity\r\n", "separator": ",", "end": "\r\n"},
    "e.csv": {"head": '"X [m]", "Y [m]", "Z [m]", "Intensity"\n', "separator": ", "},
    "f.csv": {"head": "x;y;z;intensity\n", "separator": ";", "has_commas": True},
    "g.txt": {"head": "x\ty\tz\tintensity\n", "separator": "\t"},
    "h.csv": {"head": "x,y,z,intensity\n", "separator": ",", "encoding": "utf-8-sig"},
    "i.csv": {"head": "x,y,z,intensity\n", "separator": ",", "encoding": "utf-16"},
    "j.csv": {"head": "Points:0,Points:1,Points:2,intensity\n", "separator": ","},
    "k.csv": {"head": "0,1,2,3\n", "separator": ","},  # as pandas names what has no names
    "l.txt": {"head": "//X,Y,Z,Scalar_field\n", "separator": ","},
    "m.txt": {"head": "\n# a title, of words\n12000\n"},
    "n.xyz": {"has_commas": True},
    "o.csv": {"head": "x,y,z,intensity\n", "separator": ",", "end": ",\n"},
    "p.csv": {"head": "x;y;z;intensity;\n", "separator": ";", "end": ";\r\n"},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_the_same_scan(tmp_path, rows, name):
    file = written(tmp_path / name, rows, **KINDS[name])
    assert find_scans([tmp_path]) == [file]
    loaded = load_scan(file)
    np.testing.assert_allclose(loaded.scan.points, rows[:, :3], rtol=1e-5)
    np.testing.assert_allclose(loaded.scan.intensity, rows[:, 3], rtol=1e-5)
    assert not loaded.warnings


def test_columns_of_other_things_are_passed_over(tmp_path, rows):
    x, y, z, bright = rows.T
    head = "time,REFLECTIVITY (%),X (mm),Y (mm),Z (mm),when\n"
    lines = [
        f"{k},{round(255 * i)},{1000 * a},{1000 * b},{1000 * c},12:00:{k % 60}"
        for k, (a, b, c, i) in enumerate(zip(x, y, z, bright, strict=True))
    ]
    (tmp_path / "s.csv").write_text(head + "\n".join(lines))
    loaded = load_scan(tmp_path / "s.csv")
    np.testing.assert_allclose(loaded.scan.points, rows[:, :3], rtol=1e-4)
    np.testing.assert_allclose(loaded.scan.intensity, bright, atol=0.002)


def test_columns_without_names_are_found_out_or_said(tmp_path, rows):
    table = np.column_stack([rows[:, :3], np.arange(len(rows)) // 500, rows[:, 3]])
    file = written(tmp_path / "s.txt", table)
    loaded = load_scan(file)
    assert loaded.warnings == ("taken for columns xyzri (see --columns)",)
    np.testing.assert_allclose(loaded.scan.intensity, rows[:, 3], rtol=1e-5)
    told = load_scan(file, columns="xyz_i")
    np.testing.assert_array_equal(told.scan.intensity, loaded.scan.intensity)
    with pytest.raises(InputError, match="wanted 4 columns xyzi, got 5"):
        load_scan(file, columns="xyzi")


def test_leica_counts_intensities_from_below_zero(tmp_path, rows):
    table = rows.copy()
    table[:, 3] = np.round(rows[:, 3] * 4095) - 2048
    loaded = load_scan(written(tmp_path / "s.pts", table, head=f"{len(rows)}\n"))
    assert np.corrcoef(loaded.scan.intensity, rows[:, 3])[0, 1] > 0.999
    assert loaded.scan.intensity.min() < 0.05


def test_missing_values_are_unusable_points(tmp_path, rows):
    head = "x,y,z,intensity\n,,,\nnan,nan,nan,0\n"
    loaded = load_scan(written(tmp_path / "s.csv", rows, head=head, separator=","))
    assert loaded.valid.tolist() == [False, False] + [True] * len(rows)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 2 3 4\n" * 99 + b"1 2 3\n", "line 100: wanted 4 columns, got '1 2 3'"),
        (b"1 2 3 4\n" * 99 + b"1 2 3 4 5\n", "line 100: wanted 4 columns, got '1 2 3 4 5'"),
        (
            b"x (furlong),y,z\n" + b"1,2,3\n" * 9,
            r"'x \(furlong\)': wanted a unit of m, .*convert it",
        ),
        (b"1,2,3,4\n" * 99 + b"1,2,3\n", "line 100: wanted 4 columns, got '1,2,3'"),
        (b"x y z\n" + b"1 2 3 4\n" * 9, "wanted a name for each of 4 columns, got 'x y z'"),
        (b"hello world\n" * 9, "wanted a line per point, .*got 'hello world'"),
        (b"1 2\n" * 9, "wanted a line per point"),
        (b"1 2 3\n" * 99 + b"1 2 x\n", "wanted lines of 3 numbers, got ValueError"),
        (b"1 2 3\n" * 9 + b"1 2 x\n", "got 2 of 3"),
        (b"12\n" + b"1 2 3\n1 2 4\n" * 4, "wanted 12 points as its first lines say, got 8"),
        (b"1 2 3\n" * 9 + bytes(9), "wanted text with a line per point, got a binary file"),
        (b"a b c d\n" + b"1 2 3 4\n" * 9, "wanted fields x, y, z, got a, b, c, d"),
        (b" ".join([b"1"] * 25) + b"\n", "wanted 3 to 24 columns of numbers"),
    ],
)
def test_other_text_is_refused(tmp_path, content, message):
    file = tmp_path / "s.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        load_scan(file)
    assert "\n" not in str(refused.value)


def test_text_beside_scans_is_no_scan(tmp_path, rows):
    rows.tofile(tmp_path / "000000.bin")
    written(tmp_path / "notes.txt", rows)
    assert [path.name for path in find_scans([tmp_path])] == ["000000.bin"]
    (tmp_path / "000000.bin").unlink()
    for name, line in (("poses.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n"), ("times.txt", "0.1\n")):
        (tmp_path / name).write_text(line * 200)
    (tmp_path / "objects.csv").write_text("scan,id,x_m,y_m,z_m\na,1,2,3,4\n")
    assert [path.name for path in find_scans([tmp_path])] == ["notes.txt"]


def test_the_end_mark_of_dos_is_no_point(tmp_path, rows):
    file = written(tmp_path / "s.xyz", rows, end="\r\n")
    file.write_bytes(file.read_bytes() + b"\x1a")
    assert load_scan(file).num_file_points == len(rows)


@pytest.mark.parametrize("name", ["s.xyz", "s.csv", "s.pcd", "s.ply"])
def test_a_long_text_that_is_cut_off_is_refused_by_its_last_line(tmp_path, rows, name, monkeypatch):
    table, separator = np.tile(rows, (2, 1)), "," if name == "s.csv" else " "
    head = {
        "s.xyz": "",
        "s.csv": "x,y,z,intensity\n",
        "s.pcd": "FIELDS x y z i\nSIZE 4 4 4 4\nTYPE F F F F\nPOINTS {}\nDATA ascii\n",
        "s.ply": "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\n"
        "property float z\nproperty float i\nend_header\n",
    }[name].format(len(table))
    file = written(tmp_path / name, table, head=head, separator=separator)
    np.testing.assert_allclose(load_scan(file).scan.points, table[:, :3], rtol=1e-5)
    file.write_bytes(file.read_bytes().rstrip().rsplit(separator.encode(), 1)[0])
    monkeypatch.setattr(np, "loadtxt", None)  # nothing is read before
    with pytest.raises(InputError, match=r"last .*wanted|wanted .*last .*cut off"):
        load_scan(file)
