"""Small files that would fill the memory, go on for ever or end the process are refused."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from fuzzing import N, las, pcd, ply

from lidarpan.classes import load_class_table
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.nuscenes_tables import read_table
from lidarpan.errors import InputError
from lidarpan.scans.files import load_scan
from lidarpan.text_trees import parse_json, parse_yaml

KITTI = load_class_table("semantickitti")
LIMIT_BYTES = 500 << 20


def refused(read, message, limit=LIMIT_BYTES):
    """The reader refuses with one line, and takes less than the limit to do so."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def zeros_npz(path, names, count=120_000_000):
    """An archive of arrays of zeros, half a gigabyte each, in half a megabyte each."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (count // 4, 4)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(head.getvalue())
                for _ in range(count // 4_000_000):
                    member.write(bytes(16_000_000))


def test_archives_of_zeros(tmp_path):
    zeros_npz(tmp_path / "s.npz", ["points"])
    refused(lambda: load_scan(tmp_path / "s.npz"), "bytes that unpack to 480000")
    refused(lambda: read_prediction(tmp_path / "s.npz", KITTI), "bytes that unpack to")


def test_members_that_nobody_asked_for_are_not_unpacked(tmp_path, capsys):
    zeros_npz(tmp_path / "s.npz", ["huge"])
    with zipfile.ZipFile(tmp_path / "s.npz", "a") as archive:
        stream = io.BytesIO()
        np.save(stream, np.random.default_rng(0).normal(0, 9, (300, 3)).astype(np.float32))
        archive.writestr("points.npy", stream.getvalue())
        archive.writestr("notes.txt", "hello")
    tracemalloc.start()
    assert load_scan(tmp_path / "s.npz").scan.num_points == 300
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


NOISE_BYTES = 16 << 20


def noise(head, is_text):
    """Random bytes behind a header, for `count` points of four numbers or in lines of words."""
    rng = np.random.default_rng(0)
    if is_text:
        letters = np.frombuffer(b"abcdefghij   0123456789   .,-\n", np.uint8)
        body = rng.choice(letters, NOISE_BYTES).tobytes()
        count = body.count(b"\n")
    else:
        body, count = rng.bytes(NOISE_BYTES), NOISE_BYTES // 16
    return head.replace(f" {N}\n".encode(), f" {count}\n".encode()) + body


@pytest.mark.parametrize(
    ("name", "head", "is_text"),
    [
        ("s.bin", b"", False),
        ("s.pcd", b"", False),
        ("ascii.pcd", pcd("ascii", b""), True),
        ("ascii.pcd", pcd("ascii", b""), False),
        ("binary.pcd", pcd("binary", b""), False),
        ("ascii.ply", ply("ascii", b""), True),
        ("little.ply", ply("binary_little_endian", b""), False),
        ("s.csv", b"", False),
        ("s.csv", b"x,y,z,intensity\n1,2,3,4\n", True),
        ("s.xyz", b"", True),
        ("s.label", b"", False),
        ("s_lidarseg.bin", b"", False),
    ],
)
def test_noise_is_refused_before_it_is_taken_up(tmp_path, name, head, is_text):
    """No more memory than the file itself is needed to see that it holds nothing."""
    path = tmp_path / name
    path.write_bytes(noise(head, is_text))
    read = load_scan
    if name == "s.label":
        read = lambda path: read_prediction(path, KITTI)  # noqa: E731
    elif name == "s_lidarseg.bin":
        read = lambda path: read_prediction(path, load_class_table("nuscenes"))  # noqa: E731
    refused(lambda: read(path), path.name, 2 * NOISE_BYTES)


def test_a_header_that_wants_more_than_the_file_has(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 4)}
    )
    (tmp_path / "s.npy").write_bytes(head.getvalue() + bytes(160))
    refused(lambda: load_scan(tmp_path / "s.npy"), "cut off")


def test_compressed_points_of_zeros(tmp_path):
    """Each three bytes of LZF repeat the last byte 264 times."""
    unpacked = 1 << 31
    body = b"\x00\x00" + b"\xe0\xff\x00" * 200_000
    sizes = struct.pack("<II", len(body), unpacked)
    text = pcd("binary_compressed", sizes + body).replace(b"%d" % N, b"%d" % (unpacked // 16))
    (tmp_path / "s.pcd").write_bytes(text)
    refused(lambda: load_scan(tmp_path / "s.pcd"), "bytes that unpack to 2147483648")


def test_a_table_of_four_billion_chunks(tmp_path):
    content = bytearray(las(".laz"))
    (start,) = struct.unpack_from("<I", content, 96)
    (table,) = struct.unpack_from("<q", content, start)
    content[table + 4 : table + 8] = b"\xff\xff\xff\xff"
    (tmp_path / "s.laz").write_bytes(content)
    refused(lambda: load_scan(tmp_path / "s.laz"), "wanted at most 60 chunks .* got 4294967295")
    (tmp_path / "t.laz").write_bytes(las(".laz"))
    assert load_scan(tmp_path / "t.laz").scan.num_points == N  # and the next one is read


@pytest.mark.parametrize("size", [50_000_000, 0xFFFFFFFE])
def test_chunks_of_more_points_than_there_are(tmp_path, size):
    content = bytearray(las(".laz"))
    place = content.find(b"laszip encoded\0\0") + 64  # behind the head of the record
    assert struct.unpack_from("<I", content, place) == (50_000,)
    struct.pack_into("<I", content, place, size)
    (tmp_path / "s.laz").write_bytes(content)
    refused(lambda: load_scan(tmp_path / "s.laz"), "chunks of no more than its 60 points")


def test_more_points_than_bytes_can_hold(tmp_path):
    content = bytearray(las(".laz"))
    struct.pack_into("<I", content, 107, 9 * len(content))
    (tmp_path / "s.laz").write_bytes(content)
    refused(lambda: load_scan(tmp_path / "s.laz"), "wanted .* points of 34 bytes from byte")


def test_a_count_of_lines_is_compared_before_they_are_read(tmp_path):
    lines = b"\n".join([b"1 2 3 0.5"] * N)
    for body in (lines + b"\n" * 5000, lines[:200]):
        (tmp_path / "s.pcd").write_bytes(pcd("ascii", body))
        refused(lambda: load_scan(tmp_path / "s.pcd"), "wanted 60 lines below DATA, got")


def test_a_header_without_end(tmp_path):
    (tmp_path / "s.pcd").write_bytes(b"1 2 3\n" * 1_000_000)
    refused(lambda: load_scan(tmp_path / "s.pcd"), "wanted a .pcd header that ends in DATA")


def test_references_to_references(tmp_path):
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    refused(lambda: parse_yaml("\n".join(lines), "f"), "at most 40 levels and 20 references")
    assert parse_yaml("a: &a [1]\nb: *a", "f") == {"a": [1], "b": [1]}


def test_deep_nesting(tmp_path):
    refused(lambda: parse_yaml("[" * 5000, "f"), "f: ")
    refused(lambda: parse_json("[" * 100_000, "f"), "nested too deeply")
    (tmp_path / "sample.json").write_text("[" * 100_000)
    refused(lambda: read_table(tmp_path / "sample.json"), "nested too deeply")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"POINTS 60", b"POINTS -1", "POINTS -1"),
        (b"WIDTH 60", b"WIDTH 59", "WIDTH x HEIGHT 59"),
        (b"COUNT 1 1 1 1", b"COUNT 1 1 1 -1", "COUNT"),
        (b"\nDATA ascii\n", b"\nDATA ascii\n1 2 3 4 5\n", "wanted 60 lines"),
    ],
)
def test_counts_that_cannot_be(tmp_path, old, new, message):
    lines = "\n".join("1 2 3 0.5" for _ in range(N)).encode()
    content = pcd("ascii", lines)
    assert old in content
    (tmp_path / "s.pcd").write_bytes(content.replace(old, new, 1))
    refused(lambda: load_scan(tmp_path / "s.pcd"), message)


def test_a_line_with_a_value_too_many_shifts_nothing(tmp_path):
    lines = [b"1 2 3 0.5"] * N
    lines[7] += b" 9"
    (tmp_path / "s.pcd").write_bytes(pcd("ascii", b"\n".join(lines)))
    refused(lambda: load_scan(tmp_path / "s.pcd"), "wanted 4 values a line, got 5 for point 7")


@pytest.mark.parametrize("kind", ["complex64", "bool", "U4", "S4", "M8[s]"])
def test_coordinates_that_are_no_numbers(tmp_path, kind):
    values = np.zeros(50, kind)
    np.savez(tmp_path / "s.npz", x=values, y=values, z=values)
    refused(lambda: load_scan(tmp_path / "s.npz"), r"x: wanted a number for each point")
    np.save(tmp_path / "s.npy", np.zeros((50, 4), kind))
    refused(lambda: load_scan(tmp_path / "s.npy"), r"wanted an \(N, 3 or more\) array")


@pytest.mark.parametrize("array", [[1.7, 2], [1 << 40, 2], [-1, 2]])
def test_labels_that_cannot_be(tmp_path, array):
    np.save(tmp_path / "l.npy", np.array(array))
    refused(lambda: read_prediction(tmp_path / "l.npy", KITTI), "at point 0")
    np.savez(tmp_path / "l.npz", semantic=np.array([1, 1]), instance=np.array(array), score=[])
    refused(lambda: read_prediction(tmp_path / "l.npz", KITTI), "instance")


def test_scores_that_cannot_be(tmp_path):
    from fuzzing import readers

    (reader,) = (r for r in readers() if r.name == "scores.json")
    run = json.loads(reader.content)
    for counts in ([float("nan")] * 7, [-1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 1.5, 0, 0, 0],
                   [1.5, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 5, 4, 9], ["1"] * 7, [1] * 6):  # fmt: skip
        run["scans"]["a"]["car"] = counts
        (tmp_path / "s.json").write_text(json.dumps(run))
        refused(lambda: reader.read(tmp_path / "s.json"), "scan a: car: wanted tp, fp, fn")
