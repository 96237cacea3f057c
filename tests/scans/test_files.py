"""Every scan format reads to the same points; every bad file gets one clear line."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.scans.files import find_scans, inspect_scan, load_scan, read_scan
from lidarpan.scans.inspection import fit_ground
from lidarpan.scans.pcd import decompress_lzf
from lidarpan.scans.ply import write_ply
from lidarpan.structures import InputError, Scan

ROWS = np.array(
    [[10.5, -2.0, -1.5, 0.25], [3.0, 4.0, -1.7, 1.0], [-7.0, 0.5, 2.25, 0.0]], np.float32
)


def street(num_points=20_000, height=1.73, seed=0):
    """A flat street along x between two walls, as (N, 4) rows."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform([-40, -8, 0], [40, 8, 0.02], (num_points, 3))
    wall = rng.uniform([-40, 7.9, 0], [40, 8, 6], (num_points // 2, 3))
    wall[::2, 1] *= -1
    points = np.concatenate([ground, wall]) - [0, 0, height]
    return np.column_stack([points, rng.uniform(0, 1, len(points))]).astype(np.float32)


def scan_of(rows):
    return Scan(np.ascontiguousarray(rows[:, :3], np.float32), rows[:, 3].astype(np.float32))


def pcd_header(data, fields="x y z intensity", size="4 4 4 4", kind="F F F F", num=3):
    count = " ".join("1" for _ in fields.split())
    return (
        f"# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE {size}\nTYPE {kind}\nCOUNT {count}\n"
        f"WIDTH {num}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {num}\nDATA {data}\n"
    ).encode()


def compress_lzf(data):
    """The obvious compressor: literals, and the longest of the few nearest earlier repeats."""
    out, literal, i = bytearray(), bytearray(), 0

    def flush():
        for start in range(0, len(literal), 32):
            part = literal[start : start + 32]
            out.append(len(part) - 1)
            out.extend(part)
        literal.clear()

    while i < len(data):
        best, best_distance = 0, 0
        for distance in range(1, min(i, 300) + 1):
            n = 0
            while n < 264 and i + n < len(data) and data[i + n] == data[i - distance + n]:
                n += 1
            if n > best:
                best, best_distance = n, distance
        if best < 3:
            literal.append(data[i])
            i += 1
            continue
        flush()
        length, offset = best - 2, best_distance - 1
        if length < 7:
            out += bytes([(length << 5) | (offset >> 8), offset & 255])
        else:
            out += bytes([(7 << 5) | (offset >> 8), length - 7, offset & 255])
        i += best
    flush()
    return bytes(out)


def write_format(path, suffix):
    """ROWS in the named format; returns the file."""
    x, y, z, intensity = ROWS.T
    file = path / f"scan{suffix}"
    match suffix:
        case ".bin":
            ROWS.tofile(file)
        case ".pcd.bin":  # nuScenes: x right, y forward, intensity 0..255
            np.column_stack([-y, x, z, intensity * 255, [0, 1, 2]]).astype("f4").tofile(file)
        case ".ascii.pcd":
            file.write_bytes(pcd_header("ascii") + "\n".join(map(_line, ROWS)).encode())
        case ".binary.pcd":
            file.write_bytes(pcd_header("binary") + ROWS.tobytes())
        case ".packed.pcd":
            data = ROWS.T.copy().tobytes()
            packed = compress_lzf(data)
            sizes = struct.pack("<II", len(packed), len(data))
            file.write_bytes(pcd_header("binary_compressed") + sizes + packed)
        case ".ascii.ply" | ".little.ply" | ".big.ply":
            order = {".a": "ascii", ".l": "binary_little_endian", ".b": "binary_big_endian"}
            head = f"ply\nformat {order[suffix[:2]]} 1.0\nelement vertex 3\n" + "".join(
                f"property float {name}\n" for name in ("x", "y", "z", "scalar_Intensity")
            )
            body = {
                ".a": "\n".join(map(_line, ROWS)).encode(),
                ".l": ROWS.astype("<f4").tobytes(),
                ".b": ROWS.astype(">f4").tobytes(),
            }[suffix[:2]]
            tail = "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
            file.write_bytes((head + tail).encode() + body + b"\n3 0 1 2\n")
        case ".npy":
            np.save(file, ROWS.astype(np.float64))
        case ".npz":
            np.savez(file, points=ROWS[:, :3], intensity=intensity)
        case ".las" | ".laz":
            import laspy

            las = laspy.create(point_format=3)
            las.header.scales = [0.0001] * 3
            las.x, las.y, las.z = (axis.astype(np.float64) for axis in (x, y, z))
            las.intensity = (intensity * 65535).astype(np.uint16)
            las.write(file)
    return file


def _line(row):
    return " ".join(f"{value:.6g}" for value in row)


FORMATS = [".bin", ".pcd.bin", ".ascii.pcd", ".binary.pcd", ".packed.pcd", ".ascii.ply",
           ".little.ply", ".big.ply", ".npy", ".npz", ".las", ".laz"]  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_scan(tmp_path, suffix):
    loaded = load_scan(write_format(tmp_path, suffix))
    np.testing.assert_allclose(loaded.scan.points, ROWS[:, :3], atol=1e-4)
    np.testing.assert_allclose(loaded.scan.intensity, ROWS[:, 3], atol=1e-4)
    assert loaded.valid.tolist() == [True] * 3
    if suffix == ".pcd.bin":
        assert loaded.scan.ring.tolist() == [0, 1, 2]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_cut_off_is_an_input_error(tmp_path, suffix):
    file = write_format(tmp_path, suffix)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) - 25 if "ply" in suffix else len(content) - 6])
    with pytest.raises(InputError, match=r"wanted .* got") as caught:
        load_scan(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_open3d_writes_what_we_read(tmp_path):
    open3d = pytest.importorskip("open3d")
    points = street(2_000)[:, :3]
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(np.float64)))
    for name, how in {
        "a.pcd": {"write_ascii": True},
        "b.pcd": {},
        "c.pcd": {"compressed": True},
        "a.ply": {"write_ascii": True},
        "b.ply": {},
    }.items():
        open3d.io.write_point_cloud(str(tmp_path / name), cloud, **how)
        np.testing.assert_allclose(read_scan(tmp_path / name).points, points, atol=6e-5)


def test_lzf_golden():
    assert decompress_lzf(b"\x02abc", 3) == b"abc"
    assert decompress_lzf(b"\x00a\x20\x00", 4) == b"aaaa"  # overlapping run of 1 + 2
    assert decompress_lzf(b"\x01ab\xe0\x04\x01", 15) == b"ab" + b"ab" * 6 + b"a"
    assert decompress_lzf(b"\x00a\x20\x09", 4) == b"a"  # points before the start: damaged


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=6), max_size=60), st.integers(1, 40))
def test_lzf_round_trip(parts, repeats):
    data = b"".join(parts) + b"".join(parts[:2]) * repeats
    assert decompress_lzf(compress_lzf(data), len(data)) == data


def test_ouster_style_pcd_fields(tmp_path):
    dtype = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("t", "<u4"),
                      ("reflectivity", "<u2"), ("ring", "u1")])  # fmt: skip
    records = np.zeros(3, dtype)
    records["x"], records["y"], records["z"] = ROWS[:, 0], ROWS[:, 1], ROWS[:, 2]
    records["t"], records["reflectivity"] = [0, 50_000_000, 99_000_000], [10, 300, 65535]
    records["ring"] = [5, 6, 7]
    header = pcd_header("binary", "x y z t reflectivity ring", "4 4 4 4 2 1", "F F F U U U")
    (tmp_path / "o.pcd").write_bytes(header + records.tobytes())
    scan = read_scan(tmp_path / "o.pcd")
    np.testing.assert_allclose(scan.time, [0, 0.05, 0.099], atol=1e-6)
    np.testing.assert_allclose(scan.intensity, np.array([10, 300, 65535]) / 65535, rtol=1e-6)
    assert scan.ring.tolist() == [5, 6, 7]


@pytest.mark.parametrize(("high", "scale"), [(0.01, 1), (1, 1), (200, 255), (4000, 65535)])
def test_intensity_scales(tmp_path, high, scale):
    rows = ROWS.copy()
    rows[:, 3] = [0, high / 2, high]
    rows.tofile(tmp_path / "s.bin")
    np.testing.assert_allclose(
        read_scan(tmp_path / "s.bin").intensity, rows[:, 3] / scale, rtol=1e-6
    )


def test_unusable_points_are_dropped_counted_and_remembered(tmp_path):
    rows = street(2_000)
    rows[5, 0], rows[7, 2], rows[9, :3] = np.nan, -np.inf, 0
    rows[11, 3] = np.nan  # an unknown intensity is no reason to drop a point
    rows.tofile(tmp_path / "s.bin")
    loaded = load_scan(tmp_path / "s.bin")
    assert np.flatnonzero(~loaded.valid).tolist() == [5, 7, 9]
    np.testing.assert_array_equal(loaded.scan.points, rows[loaded.valid, :3])
    assert loaded.scan.intensity[11 - 3] == 0
    assert loaded.warnings == (
        "dropped 2 of 3000 points: NaN or infinite",
        "dropped 1 of 3000 points: at (0, 0, 0), so no returns",
        "1 of 2997 intensities are NaN or infinite: taken as 0",
    )


def test_five_column_bin_is_recognised(tmp_path):
    rows = np.column_stack([street(2_000), np.arange(3_000) % 32]).astype(np.float32)
    for count in (3_000, 2_999):
        rows[:count].tofile(tmp_path / "s.bin")
        scan = read_scan(tmp_path / "s.bin")
        np.testing.assert_array_equal(scan.points, rows[:count, :3])
        assert scan.ring.max() == 31


def test_map_coordinates_are_moved_to_their_middle(tmp_path):
    rows = street().astype(np.float64)
    rows[:, :3] += [691_234.5, 5_334_321.25, 517.5]
    np.save(tmp_path / "s.npy", rows)
    loaded = load_scan(tmp_path / "s.npy")
    assert np.abs(loaded.scan.points).max() < 60
    assert "map" in loaded.warnings[0]
    assert len(loaded.warnings) == 1  # in particular, the ground is where it is expected


def test_bad_files_say_what_is_wrong(tmp_path):
    (tmp_path / "empty.bin").touch()
    (tmp_path / "cut.bin").write_bytes(street(100).tobytes()[:-6])
    np.full((20, 4), np.nan, np.float32).tofile(tmp_path / "nan.bin")
    (tmp_path / "image.bin").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8))
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8))
    np.random.default_rng(0).integers(0, 256, 16_000, np.uint8).tofile(tmp_path / "noise.bin")
    np.save(tmp_path / "wide.npy", ROWS.T[:3, :2])
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "keys.npz", cloud=ROWS)
    (tmp_path / "text.pcd").write_text("hello")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "xy.pcd").write_bytes(pcd_header("ascii", "x y", "4 4", "F F", 1) + b"1 2")
    wrong = {
        "empty.bin": "empty file",
        "cut.bin": "149 points and 10 bytes more: cut off",
        "nan.bin": "all 20 points are NaN",
        "image.bin": "got a PNG image",
        "image.png": "got a PNG image",
        "noise.bin": "not a scan",
        "wide.npy": r"\(N, 3 or more\).*got \(3, 2\).*transpose",
        "object.npy": "without pickles",
        "keys.npz": "wanted one of the keys points.*got cloud",
        "text.pcd": "wanted a .pcd header",
        "notes.txt": "wanted a line per point",
        "xy.pcd": "wanted fields x, y, z, got x, y",
        "absent.bin": "no such file",
        ".": "got a folder",
    }
    for name, message in wrong.items():
        with pytest.raises(InputError, match=message) as caught:
            load_scan(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_find_scans_in_files_folders_trees_and_globs(tmp_path):
    tree = tmp_path / "data" / "sequences"
    for sequence in ("00", "08"):
        for kind, suffix in (("velodyne", "bin"), ("labels", "label"), ("predictions", "bin")):
            (tree / sequence / kind).mkdir(parents=True)
            for i in (1, 2, 10):
                (tree / sequence / kind / f"{i}.{suffix}").touch()
    names = [str(p.relative_to(tree)) for p in find_scans([tmp_path / "data"])]
    assert names == [f"{s}/velodyne/{i}.bin" for s in ("00", "08") for i in (1, 2, 10)]
    sequence = find_scans([tree / "08"])
    assert sequence == find_scans([tree / "08/velodyne"]) == find_scans([f"{tree}/08/*/*.bin"])[3:]
    assert find_scans([sequence[1], tree / "08"]) == [sequence[1], sequence[0], sequence[2]]
    assert len(find_scans([f"{tree}/*/velodyne"])) == 6


def test_find_scans_leaves_notes_of_macos_out(tmp_path):
    (tmp_path / "1.bin").touch()
    (tmp_path / "._1.bin").write_bytes(b"\x00\x05\x16\x07")
    assert [path.name for path in find_scans([tmp_path])] == ["1.bin"]


def test_find_scans_leaves_nuscenes_labels_out(tmp_path):
    for name in ("samples/LIDAR_TOP/a.pcd.bin", "samples/CAM/a.jpg", "sweeps/LIDAR_TOP/b.pcd.bin",
                 "lidarseg/v1.0-mini/a_lidarseg.bin", "loose_panoptic.npz"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_scans([tmp_path]) == [tmp_path / "samples/LIDAR_TOP/a.pcd.bin"]


def test_find_scans_says_what_is_missing(tmp_path):
    for name in ("notes.md", "s.bin.gz", "scan"):
        (tmp_path / name).touch()
    for path, message in {
        tmp_path: r"wanted scans \(.bin, .*\), got files .gz, .md, without suffix: unpack it",
        tmp_path / "notes.md": "got a .md file$",
        tmp_path / "s.bin.gz": "got a .gz file: unpack it first",
        tmp_path / "scan": "got a file without suffix: name it by its format",
        tmp_path / "absent": "no such file or folder",
        f"{tmp_path}/*.pcd": "no scan .* matches this pattern",
    }.items():
        with pytest.raises(InputError, match=message):
            find_scans([path])
    with pytest.raises(InputError, match="got none"):
        find_scans([])


def test_a_street_as_expected_gets_no_warning():
    assert inspect_scan(scan_of(street())) == []
    a, b, c = fit_ground(street()[:, :3])
    np.testing.assert_allclose([a, b, c], [0, 0, -1.72], atol=0.01)


WRONG = {
    "y forward": ([[0, -1, 0], [1, 0, 0], [0, 0, 1]], "longer along y"),
    "camera axes": ([[0, -1, 0], [0, 0, -1], [1, 0, 0]], "ground lies across -y"),
    "upside down": ([[1, 0, 0], [0, -1, 0], [0, 0, -1]], "ground lies across -z"),
    "z and x swapped": ([[0, 0, 1], [0, 1, 0], [1, 0, 0]], "ground lies across x"),
    "millimetres": (np.eye(3) * 1000, "another unit: multiply"),
    "normalised": (np.eye(3) / 50, "another unit or a normalised scan"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_frames_are_named(case):
    transform, message = WRONG[case]
    rows = street()
    rows[:, :3] = rows[:, :3] @ np.transpose(transform)
    (warning,) = inspect_scan(scan_of(rows))
    assert message in warning


def test_other_heights_and_tilts_are_named():
    low = inspect_scan(scan_of(street(height=0.6)))
    assert len(low) == 1
    assert "0.60 m below the sensor, expected 1.73" in low[0]
    assert inspect_scan(scan_of(street(height=0.6)), expected_height_m=0.6) == []
    rows = street()
    rows[:, 2] += 0.2 * rows[:, 0]
    tilted = inspect_scan(scan_of(rows))
    assert [said.kind for said in tilted] == ["tilt"]
    assert "tilted by 11 degrees" in tilted[0]
    (few,) = inspect_scan(scan_of(ROWS))
    assert f"only {len(ROWS)} points: too few" in few


def test_real_scans_read_without_surprises(real_data):
    expected = {
        "semantickitti/sequences/00/velodyne": (),
        "nuscenes/LIDAR_TOP": (),
        "unlabelled/kitti_*.bin": (),
        "unlabelled/*.pcd": ("dropped 1 ",),
        "unlabelled/ouster_os1_64.bin": ("dropped 53364 ", "'intensity': 95 %"),
        "pandaset/sequences/02/velodyne/00000[0-3].bin": ("the ground lies 0.3",),
    }
    for pattern, warnings in expected.items():
        for file in find_scans([real_data / pattern]):
            loaded = load_scan(file)
            assert len(loaded.warnings) == len(warnings), (file, loaded.warnings)
            for said, start in zip(loaded.warnings, warnings, strict=True):
                assert said.startswith(start), file
            assert loaded.scan.intensity.max() <= 1
    ouster = read_scan(real_data / "unlabelled/ouster_os1_64.bin")
    assert np.quantile(ouster.intensity[ouster.intensity > 0], 0.95) == pytest.approx(0.4, abs=0.02)


def test_nuscenes_scans_are_turned_to_x_forward(real_data):
    file = real_data / "nuscenes/LIDAR_TOP/00.pcd.bin"
    scan, raw = read_scan(file), np.fromfile(file, np.float32).reshape(-1, 5)
    np.testing.assert_array_equal(scan.points[:, 0], raw[:, 1])
    np.testing.assert_array_equal(scan.points[:, 1], -raw[:, 0])
    np.testing.assert_allclose(scan.intensity, raw[:, 3] / 255, rtol=1e-6)
    elevation = np.arctan2(scan.points[:, 2], np.hypot(*scan.points[:, :2].T))
    by_ring = [np.median(elevation[scan.ring == ring]) for ring in range(32)]
    assert by_ring == sorted(by_ring)  # the lowest beam is ring 0
    assert inspect_scan(Scan(raw[:, :3].copy(), scan.intensity))[0].startswith(
        "the scene is longer"
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_bytes_give_a_scan_or_one_line(tmp_path, suffix):
    file = write_format(tmp_path, suffix)
    whole = file.read_bytes()
    rng = np.random.default_rng(5)
    messages = []
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 5)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        file.write_bytes(damaged[: rng.integers(len(damaged) // 2, len(damaged) + 1)])
        try:
            load_scan(file)
        except InputError as error:
            messages.append(str(error))
    assert messages
    assert not [message for message in messages if "\n" in message or str(file) not in message]


def test_archives_of_other_names_are_read(tmp_path):
    """Rows under any name, columns in capitals, features called x beside the places."""
    rows = np.concatenate([ROWS] * 5)
    x, y, z, bright = rows.T
    for arrays, said in (
        ({"lidar": rows}, ("taken for the points: 'lidar'",)),
        ({"X": x, "Y": y, "Z": z, "Intensity": bright}, ()),
        ({"pos": rows[:, :3], "x": 0 * x, "intensities": bright[:, None]}, ()),
    ):
        np.savez(tmp_path / "s.npz", **arrays)
        loaded = load_scan(tmp_path / "s.npz")
        np.testing.assert_array_equal(loaded.scan.points, rows[:, :3])
        np.testing.assert_array_equal(loaded.scan.intensity, rows[:, 3])
        assert loaded.warnings[:-1] == said  # and that these are few points


def test_old_pcd_files_name_columns(tmp_path):
    header = pcd_header("binary").replace(b"FIELDS", b"COLUMNS").replace(b"0.7", b".6")
    (tmp_path / "s.pcd").write_bytes(header + ROWS.tobytes())
    np.testing.assert_array_equal(read_scan(tmp_path / "s.pcd").points, ROWS[:, :3])


@pytest.mark.parametrize(
    ("comment", "end"),
    [("comment what the end_header ends", "\n"), ("obj_info x", "\r\n"), ("comment x", "\r")],
)
def test_a_ply_header_ends_with_its_own_line(tmp_path, comment, end):
    names = "x", "y", "z", "intensity"
    lines = ["ply", "format binary_little_endian 1.0", comment, f"element vertex {len(ROWS)}"]
    lines += [*(f"property float {name}" for name in names), "end_header", ""]
    (tmp_path / "s.ply").write_bytes(end.join(lines).encode() + ROWS.astype("<f4").tobytes())
    np.testing.assert_array_equal(read_scan(tmp_path / "s.ply").points, ROWS[:, :3])


def test_records_with_three_numbers_under_one_name_are_points(tmp_path):
    records = np.zeros(len(ROWS), [("intensity", "f4"), ("xyz", "f4", 3)])
    records["xyz"], records["intensity"] = ROWS[:, :3], ROWS[:, 3]
    np.save(tmp_path / "s.npy", records)
    scan = read_scan(tmp_path / "s.npy")
    np.testing.assert_array_equal(scan.points, ROWS[:, :3])
    np.testing.assert_array_equal(scan.intensity, ROWS[:, 3])


@pytest.mark.parametrize("suffix", [".binary.pcd", ".packed.pcd", ".little.ply"])
def test_points_behind_those_of_the_header_are_refused(tmp_path, suffix):
    file = write_format(tmp_path, suffix)
    if suffix == ".little.ply":  # without faces
        write_ply(file, dict(zip(("x", "y", "z", "intensity"), ROWS.T, strict=True)), [])
    whole = file.read_bytes()
    for end in (b"\n", bytes(9000)):  # a last line, a page that was filled up
        file.write_bytes(whole + end)
        np.testing.assert_allclose(read_scan(file).points, ROWS[:, :3], rtol=1e-6)
    file.write_bytes(whole * 2)
    with pytest.raises(InputError, match="several scans in one file"):
        read_scan(file)


def test_a_column_of_another_length_is_not_lost_unsaid(tmp_path):
    points = np.random.default_rng(0).normal(0, 9, (300, 3))
    np.savez(tmp_path / "s.npz", points=points, intensity=np.ones(299), calib=np.eye(4))
    said = load_scan(tmp_path / "s.npz").warnings
    assert "'intensity' left out: 299 values for 300 points" in said
    assert not any("calib" in text for text in said)


def test_scans_that_are_left_out_are_said(tmp_path, caplog):
    for name in ("1.bin", "2.bin.gz", "3.PCD.ZST", "notes.md.gz", "frame.pkl.gz"):
        (tmp_path / name).touch()
    (tmp_path / "4.bin").symlink_to("gone.bin")
    (tmp_path / "5.bin").symlink_to("6.bin")
    (tmp_path / "6.bin").symlink_to("5.bin")
    assert [path.name for path in find_scans([tmp_path])] == ["1.bin", "frame.pkl.gz"]
    packed, lost = (record.getMessage() for record in caplog.records)
    assert packed.startswith("2 packed scans are left out: unpack them: ")
    assert (
        lost == f"3 links to scans lead nowhere and are left out: mend them: {tmp_path}/4.bin ..."
    )


@pytest.mark.parametrize("place", [(9999, 9999, 9999), (0.6, 0, 1.9), (-1, -1, -1), (0, 0, 1e5)])
@pytest.mark.parametrize("share", [0.02, 0.4, 0.9])
def test_points_that_all_are_at_one_place_are_no_returns(tmp_path, place, share):
    """Markers of missing returns, and those at the sensor that were moved with the others."""
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 9, (4000, 4)).astype(np.float32)
    rows[:, 3] = rng.random(4000)
    missing = rng.random(4000) < share
    rows[missing, :3] = place
    np.save(tmp_path / "s.npy", rows)
    loaded = load_scan(tmp_path / "s.npy")
    np.testing.assert_array_equal(loaded.valid, ~missing)
    np.testing.assert_array_equal(loaded.scan.points, rows[~missing, :3])
    said = f"dropped {missing.sum()} of 4000 points: all at ({', '.join(f'{v:g}' for v in place)})"
    assert f"{said}, so no returns" in loaded.warnings


def test_walls_and_doubled_points_stay(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 9, (4000, 4)).astype(np.float32)
    rows[:, 3] = rng.random(4000)
    rows[:1500, 0] = 7  # a wall
    rows = np.repeat(rows, 2, axis=0)
    np.save(tmp_path / "s.npy", rows)
    assert load_scan(tmp_path / "s.npy").valid.all()


def test_several_scans_in_one_table_are_told(tmp_path):
    points = np.random.default_rng(0).normal(0, 9, (400, 3))
    for frames, count in ((np.arange(400) // 100, 4), (np.arange(400) // 399, 0)):
        np.savez(tmp_path / "s.npz", points=points, frame_id=frames)
        said = [text for text in load_scan(tmp_path / "s.npz").warnings if "scans in one" in text]
        assert said == [
            f"{count} scans in one file, by its column of frames: taken for one; write a file "
            "for each"
        ] * bool(count)
