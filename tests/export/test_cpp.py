"""The C++ example: its library against the package, and a scan file to a label file without it."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from lidarpan.export.files import export_aoti
from lidarpan.export.tables import build_tables
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import Scan

pytestmark = pytest.mark.xdist_group("export")  # the library is compiled once

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cpp"


class Grid(ctypes.Structure):
    _fields_ = [
        ("min_m", ctypes.c_double * 3),
        ("cell_m", ctypes.c_double * 3),
        ("shape", ctypes.c_int32 * 3),
        ("num_levels", ctypes.c_int32),
        ("rank_intensity", ctypes.c_int32),
    ]


class Input(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("columns", ctypes.c_int64),
        ("is_float", ctypes.c_int32),
    ]


@pytest.fixture(scope="module")
def compiler():
    found = shutil.which("c++") or shutil.which("g++")
    if found is None:
        pytest.skip("no C++ compiler here")
    return found


@pytest.fixture(scope="module")
def library(compiler, tmp_path_factory):
    """The C-callable library, compiled."""
    path = tmp_path_factory.mktemp("cpp") / "liblidarpan_graph.so"
    words = [compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*words, EXAMPLE / "lidarpan_graph.cpp", "-o", path], check=True)
    loaded = ctypes.CDLL(str(path))
    loaded.lidarpan_prepare.restype = ctypes.c_void_p
    loaded.lidarpan_prepare.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
    loaded.lidarpan_num_inputs.argtypes = [ctypes.c_void_p]
    loaded.lidarpan_get_input.restype = Input
    loaded.lidarpan_get_input.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    loaded.lidarpan_label.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_void_p,
    ]
    loaded.lidarpan_free.argtypes = [ctypes.c_void_p]
    return loaded


@pytest.fixture(scope="module")
def network(small_weights):
    return PanopticPipeline.from_weights(small_weights, "cpu").network


def rows_of(scan):
    return np.column_stack([scan.points, scan.intensity]).astype(np.float32)


def prepare(library, scan, network, intensity="rank", num_levels=2):
    grid = Grid(
        network.grid.min_m,
        network.grid.cell_m,
        network.grid.shape,
        num_levels,
        intensity == "rank",
    )
    rows = rows_of(scan)
    return library.lidarpan_prepare(rows.ctypes.data, len(rows), ctypes.byref(grid))


def read_inputs(library, handle):
    arrays = []
    for index in range(library.lidarpan_num_inputs(handle)):
        given = library.lidarpan_get_input(handle, index)
        kind = np.float32 if given.is_float else np.int32
        words = ctypes.string_at(given.data, given.rows * given.columns * 4)
        shape = (given.rows, given.columns) if given.columns > 1 else (given.rows,)
        arrays.append(np.frombuffer(words, kind).reshape(shape))
    return arrays


@pytest.mark.parametrize("size", ["scan", "sparse_scan"])
@pytest.mark.parametrize("intensity", ["rank", "raw"])
def test_the_library_makes_the_inputs_that_the_package_makes(
    library, network, size, intensity, request, monkeypatch
):
    scan = request.getfixturevalue(size)
    monkeypatch.setattr(network, "intensity", intensity)
    prepared = network.prepare(scan)
    *tables, _ = build_tables(prepared.voxels.indices, network.grid.shape, 4)
    handle = prepare(library, scan, network, intensity, num_levels=4)
    features, *got = read_inputs(library, handle)
    library.lidarpan_free(handle)
    np.testing.assert_allclose(features, prepared.features, atol=2e-5, rtol=0)
    assert len(got) == len(tables)
    for index, (table, want) in enumerate(zip(got, tables, strict=True)):
        np.testing.assert_array_equal(table, want, err_msg=str(index))


@pytest.mark.parametrize("patches", [True, False])
def test_the_library_labels_points_as_the_package_does(library, network, scan, patches):
    prepared = network.prepare(scan)
    outputs = network.run(prepared)
    ground = np.asarray(network.ground if patches else (), np.int32)
    chosen = outputs.in_patches(prepared, network.ground, network.grid) if patches else outputs
    want, _ = chosen.point_semantic(prepared.voxels)
    handle = prepare(library, scan, network)
    semantic = np.empty(scan.num_points, np.uint8)
    probabilities = np.ascontiguousarray(outputs.probabilities)
    library.lidarpan_label(
        handle,
        probabilities.ctypes.data,
        probabilities.shape[1],
        ground.ctypes.data,
        len(ground),
        semantic.ctypes.data,
    )
    library.lidarpan_free(handle)
    assert len(np.unique(want)) > 2
    np.testing.assert_array_equal(semantic, want)


def test_a_scan_outside_the_grid_makes_no_inputs(library, network):
    far = Scan(np.full((5, 3), 500, np.float32), np.zeros(5, np.float32))
    assert prepare(library, far, network) is None


@pytest.mark.slow
def test_a_scan_file_becomes_a_label_file_without_python(
    compiler, small_weights, network, scan, tmp_path
):
    if shutil.which("cmake") is None:
        pytest.skip("no cmake here")
    package, scan_file, label_file = (tmp_path / n for n in ("net.pt2", "a.bin", "a.label"))
    export_aoti(small_weights, package, "cpu")
    rows_of(scan).tofile(scan_file)
    torch_path = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
    build = tmp_path / "build"
    subprocess.run(["cmake", "-S", EXAMPLE, "-B", build, torch_path], check=True)
    subprocess.run(["cmake", "--build", build], check=True)
    subprocess.run([build / "predict", package, scan_file, label_file], check=True)
    prepared = network.prepare(scan)
    said = network.per_point(prepared, network.run(prepared))
    pipeline = PanopticPipeline.from_weights(small_weights, "cpu")
    want = pipeline.classes.to_raw(said.classes)
    np.testing.assert_array_equal(np.fromfile(label_file, np.uint32), want)
