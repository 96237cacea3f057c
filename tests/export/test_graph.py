"""The exported graph says what the network says, in torch and in ONNX Runtime."""

import sys

import numpy as np
import pytest
import torch

from lidarpan.export.files import export_onnx
from lidarpan.export.graph import OUTPUTS, GraphNetwork
from lidarpan.export.tables import build_tables, table_names
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import InputError

pytestmark = pytest.mark.xdist_group("export")  # the network is exported once


def graph_inputs(network, scan):
    prepared = network.prepare(scan)
    num_levels = len(network.network.unet.encoder)
    *tables, _ = build_tables(prepared.voxels.indices, network.grid.shape, num_levels)
    return prepared, [prepared.features, *tables]


def assert_same(got, wanted, tolerance):
    for name, array in zip(OUTPUTS, got, strict=True):
        want = getattr(wanted, name)
        assert array.shape == want.shape
        np.testing.assert_allclose(array, want, atol=tolerance, rtol=0, err_msg=name)


@pytest.mark.parametrize("norm_share", [1.0, 0.4, 0.0])  # the last is folded into convolutions
@pytest.mark.parametrize("size", ["scan", "sparse_scan"])
def test_the_graph_is_the_network(norm_share, size, write_weights, tmp_path, request):
    path = write_weights(tmp_path / "w.safetensors", norm_share)
    network = PanopticPipeline.from_weights(path, "cpu").network
    prepared, inputs = graph_inputs(network, request.getfixturevalue(size))
    graph = GraphNetwork(network.network, network.prior)
    with torch.inference_mode():
        got = graph(*map(torch.from_numpy, inputs))
    assert_same([tensor.numpy() for tensor in got], network.run(prepared), 1e-5)


@pytest.fixture(scope="session")
def onnx_file(small_weights, tmp_path_factory):
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    export_onnx(small_weights, path)
    return path


@pytest.mark.parametrize("size", ["scan", "sparse_scan"])
def test_onnx_runtime_says_what_the_network_says(onnx_file, small_weights, size, request):
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    network = PanopticPipeline.from_weights(small_weights, "cpu").network
    prepared, inputs = graph_inputs(network, request.getfixturevalue(size))
    session = runtime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    names = ["features", *table_names(2)]
    assert [value.name for value in session.get_inputs()] == names
    got = session.run(list(OUTPUTS), dict(zip(names, inputs, strict=True)))
    assert_same(got, network.run(prepared), 1e-4)


def test_metadata_tells_a_program_all_that_it_must_know(onnx_file, small_weights):
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    session = runtime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    pipeline = PanopticPipeline.from_weights(small_weights, "cpu")
    grid = pipeline.network.grid
    assert metadata["format"] == "lidarpan-graph-1"
    assert [float(word) for word in metadata["grid_min_m"].split()] == list(grid.min_m)
    assert [float(word) for word in metadata["grid_cell_m"].split()] == list(grid.cell_m)
    assert [int(word) for word in metadata["grid_shape"].split()] == list(grid.shape)
    assert metadata["num_levels"] == "2"
    assert float(metadata["sensor_height_m"]) == pipeline.sensor_height_m
    assert metadata["class_names"].split(",") == list(pipeline.classes.names)
    raw = [int(word) for word in metadata["raw_ids"].split()]
    assert raw == pipeline.classes.train_to_raw.tolist()
    assert [int(word) for word in metadata["ground"].split()] == list(pipeline.classes.ground)


def test_a_missing_library_is_told_with_its_command(small_weights, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'lidarpan\[onnx\]'"):
        export_onnx(small_weights, tmp_path / "small.onnx")
    assert not list(tmp_path.iterdir())
