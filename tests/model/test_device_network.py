"""All steps on the device, run one by one on a CPU, beside the same steps on the host."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from lidarpan.bench.scans import street_scan
from lidarpan.model import device_network
from lidarpan.model.captured import Captured, roomy_size
from lidarpan.model.device_network import DeviceNetwork, on_device, voxel_network
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.sparse import choose_engine
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.structures import Scan
from lidarpan.voxels.grid import Grid

GRID = Grid((-9.0, -12.0, -3.0), (12.0, 12.0, 3.0), (1.5, 1.5, 1.5))


@pytest.fixture
def networks(monkeypatch):
    """A small network on the host, and with its steps on the device."""
    pytest.importorskip("triton", reason="Triton is not installed")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("a GPU runs the whole: see test_devices")
    monkeypatch.setattr(device_network, "LEAST_ROWS", 16)
    torch.manual_seed(0)
    network = PanopticNetwork(5, (4, 6), (0, 0), (1,), 4, 0)
    prior = np.array([0.3, 0.0, -0.2, 0.1], np.float32)

    def made(engine):
        engine = choose_engine("cpu", engine)
        return VoxelNetwork(network, GRID, engine, zoom=1.25, prior=prior, ground=[1, 3])

    return made("numba"), DeviceNetwork(made("triton"))


def test_what_is_said_of_points_is_what_the_host_says(networks):
    host, device = networks
    scan = street_scan(250, seed=1)
    wanted = host.prepare(scan)
    want = host.per_point(wanted, host.run(wanted))
    there = device.prepare(scan)
    got = device.per_point(there, device.run(there))
    assert got.semantic.tolist() == want.semantic.tolist()
    np.testing.assert_allclose(got.softmax, want.softmax, atol=1e-5)
    np.testing.assert_allclose(got.offsets, want.offsets, atol=1e-5)
    np.testing.assert_allclose(got.heatmap, want.heatmap, atol=1e-5)
    assert got.grid == want.grid
    assert there.voxels.indices.tolist() == wanted.voxels.indices.tolist()
    assert there.voxels.point_to_voxel.tolist() == wanted.voxels.point_to_voxel.tolist()
    assert there.voxels.num_points.tolist() == wanted.voxels.num_points.tolist()
    assert there.seen_features is None  # nobody asks whether the scan is like those trained on
    np.testing.assert_array_equal(there.features, wanted.features)


def test_a_scan_of_more_voxels_than_expected_is_seen_again(networks):
    host, device = networks
    rng = np.random.default_rng(0)
    points = (rng.uniform(-8, 8, (40, 3)) * (1, 1, 0.3)).astype(np.float32)
    scan = Scan(points, np.zeros(40, np.float32))
    device._share = 0.01
    there, wanted = device.prepare(scan), host.prepare(scan)
    got = device.run(there)
    assert 16 < wanted.voxels.num_voxels == there.voxels.num_voxels
    assert device._share > 0.01
    want = host.per_point(wanted, host.run(wanted))
    np.testing.assert_allclose(got.softmax, want.softmax, atol=1e-5)


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.full((3, 3), 90.0)])
def test_no_point_and_none_in_the_grid(networks, points):
    _, device = networks
    prepared = device.prepare(Scan(points.astype(np.float32), np.zeros(len(points), np.float32)))
    assert device.run(prepared) is None
    assert prepared.voxels.num_voxels == 0


def test_on_a_cpu_the_steps_stay_on_the_host(networks):
    host, device = networks
    assert on_device(host) is host
    assert voxel_network(device) is device.inner


def test_sizes_are_few_and_have_room():
    assert [roomy_size(n, 64) for n in (0, 64, 65, 80, 81, 129)] == [64, 64, 80, 80, 96, 160]
    assert all(n <= roomy_size(n) <= 1.25 * n for n in range(5000, 200_000, 997))
    assert len({roomy_size(n) for n in range(100_000, 200_000, 10)}) <= 5


def test_on_a_cpu_a_captured_function_is_called():
    captured = Captured(lambda size, inputs: inputs[0].sum() + size, lambda n: (torch.zeros(n),))
    captured.inputs(3)[0].fill_(2)
    assert float(captured.replay(3)) == 9
    assert captured.inputs(3)[0].tolist() == [2, 2, 2]


def test_the_first_scan_is_answered_both_ways(networks):
    _, device = networks
    device._is_trusted = None  # as on a GPU
    device.run(device.prepare(street_scan(250, seed=1)))
    assert device._is_trusted is True


def test_a_device_that_answers_otherwise_is_not_used(networks, monkeypatch, caplog):
    host, device = networks
    device._is_trusted = None
    scan = street_scan(250, seed=1)
    wanted = host.prepare(scan)
    want = host.per_point(wanted, host.run(wanted))
    honest, asked = device._from_device, []

    def wrong(prepared):
        asked.append(prepared)
        answer = honest(prepared)
        return replace(answer, semantic=np.roll(answer.semantic, 7))

    monkeypatch.setattr(device, "_from_device", wrong)
    for _ in range(2):
        there = device.prepare(scan)
        got = device.per_point(there, device.run(there))
        assert got.classes.tolist() == want.classes.tolist()
        assert there.voxels.indices.tolist() == wanted.voxels.indices.tolist()
    assert len(asked) == 1
    assert len(caplog.records) == 1
    assert "prepared on the CPU" in caplog.text
