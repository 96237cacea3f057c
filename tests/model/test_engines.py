"""The parity table: every engine on every device against dense convolution in float64."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from lidarpan.model.sparse import choose_engine, describe_engines
from lidarpan.model.sparse.modules import (
    InverseConv3d,
    SparseTensor,
    StridedConv3d,
    SubmanifoldConv3d,
)
from lidarpan.structures import InputError

SHAPE = (7, 10, 5)  # not square: axes cannot be swapped unnoticed

GPU_ENGINES = ("torch", "spconv", "triton", "spconv-triton")
RUNS = [
    pytest.param("numba", "cpu", id="numba-cpu"),
    pytest.param("torch", "cpu", id="torch-cpu"),
    pytest.param("spconv", "cpu", id="spconv-cpu", marks=pytest.mark.xdist_group("spconv")),
    *(
        pytest.param(engine, "cuda", id=f"{engine}-cuda", marks=pytest.mark.cuda)
        for engine in GPU_ENGINES
    ),
]
TORCH_RUNS = [run for run in RUNS if run.id in ("torch-cpu", "torch-cuda")]


def engine_of(name, device):
    """The engine, or a skip that says why it cannot run here."""
    ((_, available, reason),) = describe_engines([name])
    if not available:
        pytest.skip(f"{name}: {reason}")
    return choose_engine(device, name)


def random_cells(count, batch_size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    total = batch_size * math.prod(SHAPE)
    flat = torch.randperm(total, generator=generator)[:count].sort().values.numpy()
    return torch.from_numpy(np.stack(np.unravel_index(flat, (batch_size, *SHAPE)), 1)).int()


def random_tensor(count, channels, batch_size, engine, device, dtype=torch.float32):
    torch.manual_seed(count)
    features = torch.randn(count, channels, dtype=dtype).to(device).requires_grad_()
    return SparseTensor(features, random_cells(count, batch_size).to(device), SHAPE, batch_size,
                        engine)  # fmt: skip


def dense(features, cells, shape, batch_size):
    """(V, C) -> (B, C, X, Y, Z), zeros where nothing is."""
    volume = features.new_zeros(batch_size, *shape, features.shape[1])
    return volume.index_put(tuple(cells.long().unbind(1)), features).permute(0, 4, 1, 2, 3)


def read(volume, cells):
    b, x, y, z = cells.long().unbind(1)
    return volume.permute(0, 2, 3, 4, 1)[b, x, y, z]


def exact(x, conv):
    """Features and weight in float64 on the host, both with gradients."""
    return (
        x.features.detach().double().cpu().requires_grad_(),
        conv.weight.detach().double().cpu().requires_grad_(),
    )


def assert_parity(out, inputs, wanted, exact_inputs):
    """Output and gradients agree with float64 to 1e-4 of the largest value."""
    torch.manual_seed(5)
    direction = torch.randn(wanted.shape, dtype=torch.float64)
    gots = [out, *torch.autograd.grad(out, inputs, direction.to(out))]
    wants = [wanted, *torch.autograd.grad(wanted, exact_inputs, direction)]
    for got, want in zip(gots, wants, strict=True):
        largest = float(want.detach().abs().max()) if want.numel() else 0.0
        torch.testing.assert_close(
            got.detach().cpu().double(), want.detach(), rtol=1e-4, atol=1e-4 * largest
        )


@pytest.mark.parametrize(("name", "device"), RUNS)
@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 3, 1), (5, 5, 1), (1, 1, 1), (1, 3, 5)])
@pytest.mark.parametrize(("cin", "cout"), [(10, 24), (7, 33), (96, 48)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_submanifold(name, device, kernel, cin, cout, batch_size):
    torch.manual_seed(1)
    conv = SubmanifoldConv3d(cin, cout, kernel).to(device)
    x = random_tensor(150, cin, batch_size, engine_of(name, device), device)
    features, weight = exact(x, conv)
    volume = dense(features, x.indices.cpu(), SHAPE, batch_size)
    kernels = weight.view(*kernel, cin, cout).permute(4, 3, 0, 1, 2)
    full = functional.conv3d(volume, kernels, padding=[edge // 2 for edge in kernel])
    out = conv(x).features
    wanted = read(full, x.indices.cpu())
    assert_parity(out, [x.features, conv.weight], wanted, [features, weight])


GEOMETRIES = [
    ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
    ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ((2, 2, 1), (2, 2, 1), (0, 0, 0)),
    ((3, 2, 1), (1, 2, 3), (1, 0, 0)),
]


def padded(volume, geometry):
    """The volume with zeros behind its end until the strided kernel covers it."""
    behind = [
        max(-(-max(n + 2 * p - k, 0) // s) * s + k - n - 2 * p, 0)
        for n, k, s, p in zip(SHAPE, *geometry, strict=True)
    ]
    return functional.pad(volume, (0, behind[2], 0, behind[1], 0, behind[0]))


@pytest.mark.parametrize(("name", "device"), RUNS)
@pytest.mark.parametrize(
    "geometry", GEOMETRIES, ids=lambda g: "k{}{}{}-s{}{}{}".format(*g[0], *g[1])
)
@pytest.mark.parametrize(("cin", "cout", "batch_size"), [(24, 48, 1), (5, 16, 2)])
def test_strided_and_inverse(name, device, geometry, cin, cout, batch_size):
    """There and back: the coarser cells, the features of both and all gradients."""
    torch.manual_seed(2)
    kernel, stride, padding = geometry
    down = StridedConv3d(cin, cout, *geometry).to(device)
    up = InverseConv3d(cout, cin, *geometry).to(device)
    x = random_tensor(110, cin, batch_size, engine_of(name, device), device)
    coarse = down(x)
    out = up(coarse, like=x)
    features, weight = exact(x, down)
    _, back = exact(x, up)
    cells, coarse_cells = x.indices.cpu(), coarse.indices.cpu()
    volume = padded(dense(features, cells, SHAPE, batch_size), geometry)
    kernels = weight.view(*kernel, cin, cout).permute(4, 3, 0, 1, 2)
    full = functional.conv3d(volume, kernels, None, stride, padding)
    ones = dense(torch.ones(len(cells), 1).double(), cells, SHAPE, batch_size)
    box = torch.ones(1, 1, *kernel).double()
    seen = functional.conv3d(padded(ones, geometry), box, None, stride, padding)
    occupied = (seen[:, 0] > 0.5).nonzero()
    assert coarse.shape == full.shape[2:]
    assert sorted(coarse_cells.tolist()) == occupied.tolist()
    if name in ("numba", "torch", "triton"):
        assert coarse_cells.tolist() == occupied.tolist()
    middle = dense(read(full, coarse_cells), coarse_cells, coarse.shape, batch_size)
    kernels = back.view(*kernel, cout, cin).permute(3, 4, 0, 1, 2)
    whole = functional.conv_transpose3d(middle, kernels, None, stride, padding)
    grown = [max(n - m, 0) for n, m in zip(SHAPE, whole.shape[2:], strict=True)]
    wanted = read(functional.pad(whole, (0, grown[2], 0, grown[1], 0, grown[0])), cells)
    assert_parity(
        out.features, [x.features, down.weight, up.weight], wanted, [features, weight, back]
    )


@pytest.mark.parametrize(("name", "device"), RUNS)
@pytest.mark.parametrize("count", [0, 1])
def test_no_voxel_and_one_voxel(name, device, count):
    torch.manual_seed(3)
    sub = SubmanifoldConv3d(4, 8).to(device)
    down, up = StridedConv3d(8, 16).to(device), InverseConv3d(16, 8).to(device)
    x = random_tensor(count, 4, 2, engine_of(name, device), device)
    fine = sub(x)
    coarse = down(fine)
    out = up(coarse, like=fine)
    assert coarse.features.shape == (count, 16)
    assert out.features.shape == (count, 8)
    out.features.sum().backward()
    assert x.features.grad.shape == (count, 4)
    assert all(torch.isfinite(conv.weight.grad).all() for conv in (sub, down, up))
    if count:
        features, weight = exact(x, sub)
        torch.testing.assert_close(
            fine.features.detach().cpu().double(), (features @ weight[13]).detach(),
            rtol=1e-4, atol=1e-5,
        )  # fmt: skip


@pytest.mark.parametrize(("name", "device"), TORCH_RUNS)
def test_gradcheck_in_float64(name, device):
    parts = [SubmanifoldConv3d(3, 4), StridedConv3d(4, 5), InverseConv3d(5, 3)]
    network = torch.nn.ModuleList(parts).to(device, torch.float64)
    x = random_tensor(25, 3, 2, engine_of(name, device), device, torch.float64)
    weights = [conv._parameters.pop("weight").detach().requires_grad_() for conv in network]

    def outputs(features, *weights):
        for conv, weight in zip(network, weights, strict=True):
            conv.weight = weight
        fine = network[0](x.with_features(features))
        return network[2](network[1](fine), like=fine).features

    assert torch.autograd.gradcheck(outputs, (x.features, *weights), fast_mode=True)


@pytest.mark.parametrize(("name", "device"), TORCH_RUNS)
def test_pieces_change_nothing(name, device, monkeypatch):
    from lidarpan.model.sparse import torch as torch_engine

    conv = SubmanifoldConv3d(6, 9).to(device)
    results = []
    for elements, cells in ((1 << 26, 1 << 16), (1000, 13)):
        monkeypatch.setattr(torch_engine, "PIECE_ELEMENTS", elements)
        monkeypatch.setattr(torch_engine, "PIECE_CELLS", cells)
        x = random_tensor(150, 6, 2, engine_of(name, device), device)
        out = conv(x).features
        grads = torch.autograd.grad(out.square().sum(), [x.features, conv.weight])
        results.append((out, *grads))
    for whole, cut in zip(*results, strict=True):
        torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "device"), TORCH_RUNS)
def test_what_is_wrong_with_the_cells_is_said(name, device):
    conv, cells = SubmanifoldConv3d(3, 8).to(device), random_cells(5, 2).to(device)
    features = torch.zeros(5, 3, device=device)
    engine = engine_of(name, device)
    with pytest.raises(InputError, match="row 1"):
        conv(SparseTensor(features, cells.flip(0).contiguous(), SHAPE, 2, engine))
    with pytest.raises(InputError, match="inside"):
        conv(SparseTensor(features, cells + 9, SHAPE, 2, engine))


HALVES = [
    pytest.param("torch", "cpu", torch.bfloat16, id="torch-cpu-bf16"),
    pytest.param("numba", "cpu", torch.bfloat16, id="numba-cpu-bf16"),
    *(
        pytest.param(e, "cuda", d, id=f"{e}-cuda-{n}", marks=pytest.mark.cuda)
        for e in GPU_ENGINES
        for d, n in ((torch.float16, "fp16"), (torch.bfloat16, "bf16"))
    ),
]


@pytest.mark.parametrize(("name", "device", "half"), HALVES)
def test_autocast_stays_near_float32(name, device, half):
    """Forward and gradients in half precision, in the norm, within its rounding."""
    from lidarpan.model.unet import UNet

    torch.manual_seed(0)
    network = UNet(10, (16, 24, 32), (1, 1, 1), (1, 1)).to(device).eval()
    engine = engine_of(name, device)
    results = []
    for enabled in (False, True):
        x = random_tensor(300, 10, 2, engine, device)
        with torch.autocast(device, half, enabled=enabled):
            out = network(x)[0].features
        torch.manual_seed(1)
        direction = torch.randn(out.shape).to(device)
        grads = torch.autograd.grad(out.float(), [x.features, *network.parameters()], direction)
        results.append([out.float(), *grads])
    (out, *grads), (low_out, *low_grads) = results
    all_grads = torch.cat([g.float().ravel() for g in grads])
    low_all = torch.cat([g.float().ravel() for g in low_grads])
    for full, low, bound in ((out, low_out, 0.01), (all_grads, low_all, 0.08)):
        assert torch.isfinite(low).all()
        assert float((low - full).norm()) <= bound * float(full.norm())


@pytest.mark.cuda
def test_the_default_on_cuda_is_a_gpu_engine_or_torch():
    ready = {name for name, available, _ in describe_engines() if available}
    wanted = next(name for name in ("triton", "spconv", "spconv-triton", "torch") if name in ready)
    assert choose_engine("cuda").name == wanted
