"""The triton engine on a CPU, line by line in Triton's interpreter, beside the torch engine."""

import math
import os

import numpy as np
import pytest
import torch

from lidarpan.model.network import PanopticNetwork
from lidarpan.model.norm import ScanNorm
from lidarpan.model.sparse import choose_engine
from lidarpan.model.sparse.modules import (
    InverseConv3d,
    SparseTensor,
    StridedConv3d,
    SubmanifoldConv3d,
)

pytest.importorskip("triton", reason="Triton is not installed")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("a GPU runs the kernels: see test_engines", allow_module_level=True)

SHAPE = (7, 10, 5)


def tensor_of(engine, count, channels, dtype=torch.float32, batch_size=2):
    generator = torch.Generator().manual_seed(count)
    total = batch_size * math.prod(SHAPE)
    flat = torch.randperm(total, generator=generator)[:count].sort().values.numpy()
    cells = torch.from_numpy(np.stack(np.unravel_index(flat, (batch_size, *SHAPE)), 1)).int()
    features = torch.randn(count, channels, generator=generator).to(dtype).requires_grad_()
    return SparseTensor(features, cells, SHAPE, batch_size, choose_engine("cpu", engine))


def both(run):
    """What a function of an engine's name gives with our kernels, and with torch's."""
    return zip(run("triton"), run("torch"), strict=True)


@pytest.mark.parametrize(
    ("kernel", "cin", "cout", "half", "bound"),
    [
        ((3, 3, 1), 7, 33, None, 1e-5),
        ((1, 3, 3), 40, 16, torch.float16, 2e-3),
        ((1, 1, 3), 16, 16, torch.bfloat16, 1e-2),
    ],
)
def test_submanifold_forward_and_gradients(kernel, cin, cout, half, bound):
    torch.manual_seed(0)
    conv = SubmanifoldConv3d(cin, cout, kernel)

    def run(engine):
        x = tensor_of(engine, 60, cin)
        with torch.autocast("cpu", half or torch.bfloat16, enabled=half is not None):
            out = conv(x).features
        torch.manual_seed(1)
        direction = torch.randn(out.shape).to(out)
        return [out, *torch.autograd.grad(out, [x.features, conv.weight], direction)]

    for got, wanted in both(run):
        assert got.dtype == wanted.dtype
        assert float((got - wanted).detach().norm()) <= bound * float(wanted.detach().norm())


@pytest.mark.parametrize("geometry", [((2, 2, 2), (2, 2, 2), 0), ((3, 2, 1), (1, 2, 3), (1, 0, 0))])
def test_there_and_back(geometry):
    torch.manual_seed(2)
    down, up = StridedConv3d(5, 9, *geometry), InverseConv3d(9, 5, *geometry)

    def run(engine):
        x = tensor_of(engine, 50, 5)
        coarse = down(x)
        out = up(coarse, like=x).features
        grads = torch.autograd.grad(out.square().sum(), [x.features, down.weight, up.weight])
        return [coarse.indices, coarse.features, out, *grads]

    for got, wanted in both(run):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_bias_residual_and_clip_in_one_launch():
    torch.manual_seed(3)
    conv = SubmanifoldConv3d(4, 6, (1, 3, 1))
    conv.bias, conv.rectify = torch.randn(6), True
    residual = torch.randn(40, 6)

    def run(engine):
        with torch.no_grad():
            return [conv(tensor_of(engine, 40, 4), residual).features]

    for got, wanted in both(run):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_no_voxel_and_one_voxel(count):
    def run(engine):
        torch.manual_seed(4)
        sub, down, up = SubmanifoldConv3d(4, 8), StridedConv3d(8, 16), InverseConv3d(16, 8)
        x = tensor_of(engine, count, 4)
        fine = sub(x)
        out = up(down(fine), like=fine).features
        out.sum().backward()
        return [out, x.features.grad, sub.weight.grad, down.weight.grad, up.weight.grad]

    for got, wanted in both(run):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
@pytest.mark.parametrize(("count", "dtype"), [(1, torch.float32), (300, torch.float16)])
def test_a_scans_norm_is_that_of_torch(share, count, dtype):
    torch.manual_seed(5)
    norm = ScanNorm(24, share).eval()
    with torch.no_grad():
        for values in (norm.weight, norm.bias, norm.running_mean):
            values.normal_()
        norm.running_var.uniform_(0.5, 2)
    residual = torch.randn(count, 24).to(dtype)

    def run(engine):
        x = tensor_of(engine, count, 24, dtype, batch_size=1)
        x = x.with_features(x.features * 3 + 5)
        with torch.set_grad_enabled(engine == "torch"):  # with gradients torch's own operations run
            return [norm(x, residual, rectify=True).detach()]

    for got, wanted in both(run):
        bound = 1e-5 if dtype == torch.float32 else 2e-2
        torch.testing.assert_close(got, wanted.to(dtype), rtol=bound, atol=bound)


def test_the_whole_network_is_that_of_torch():
    torch.manual_seed(6)
    network = PanopticNetwork(4, (4, 6), (1, 0), (1,), 4, 1).eval()

    def run(engine):
        x = tensor_of(engine, 60, 13, batch_size=1)
        with torch.inference_mode():
            out = network(x)
        return [out.semantic, out.offset_m, out.columns, out.voxel_to_column, out.heatmap]

    for got, wanted in both(run):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_it_is_for_a_gpu(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(ValueError, match="needs a GPU"):
        choose_engine("cpu", "triton")
