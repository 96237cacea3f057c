import itertools
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

SHAPE = (7, 9, 5)  # not square: axes cannot be swapped unnoticed
SPCONV = pytest.mark.xdist_group("spconv")  # which one process imports: it takes seconds


def spconv_engine():
    ((_, available, reason),) = describe_engines(["spconv"])
    if not available:
        pytest.skip(f"spconv: {reason}")
    return choose_engine("cpu", "spconv")


def random_cells(count, batch_size=2, shape=SHAPE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    total = batch_size * math.prod(shape)
    flat = torch.randperm(total, generator=generator)[:count].sort().values.numpy()
    return torch.from_numpy(np.stack(np.unravel_index(flat, (batch_size, *shape)), 1)).int()


def random_tensor(count, channels, batch_size=2, dtype=torch.float32, engine=None, seed=0):
    torch.manual_seed(seed)
    features = torch.randn(count, channels, dtype=dtype)
    return SparseTensor(features, random_cells(count, batch_size), SHAPE, batch_size, engine)


def dense(x, features=None):
    features = x.features if features is None else features
    volume = features.new_zeros(x.batch_size, *x.shape, features.shape[1])
    return volume.index_put(tuple(x.indices.long().unbind(1)), features).permute(0, 4, 1, 2, 3)


def occupied(volume, indices):
    b, x, y, z = indices.long().unbind(1)
    return volume.permute(0, 2, 3, 4, 1)[b, x, y, z]


def dense_weight(conv, kernel):
    _, cin, cout = conv.weight.shape
    return conv.weight.view(*kernel, cin, cout).permute(4, 3, 0, 1, 2)


def assert_same(actual, wanted):
    largest = float(wanted.abs().max()) if wanted.numel() else 0.0
    torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-4 * largest)


def grads(out, inputs, seed=5):
    torch.manual_seed(seed)
    return torch.autograd.grad(out, inputs, torch.randn_like(out))


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 3, 1), (5, 5, 1), (1, 1, 1), (1, 3, 5)])
@pytest.mark.parametrize(("cin", "cout"), [(4, 8), (24, 24), (7, 33), (16, 48), (33, 5)])
def test_submanifold_is_dense_convolution_read_on_the_same_cells(kernel, cin, cout):
    x = random_tensor(300, cin)
    x.features.requires_grad_()
    conv = SubmanifoldConv3d(cin, cout, kernel)
    padding = [edge // 2 for edge in kernel]
    full = functional.conv3d(dense(x), dense_weight(conv, kernel), padding=padding)
    wanted, out = occupied(full, x.indices), conv(x)
    assert torch.equal(out.indices, x.indices)
    assert_same(out.features, wanted)
    for got, want in zip(
        grads(out.features, [x.features, conv.weight]),
        grads(wanted, [x.features, conv.weight]),
        strict=True,
    ):
        assert_same(got, want)


GEOMETRIES = [
    ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
    ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ((2, 2, 1), (2, 2, 1), (0, 0, 0)),
    ((3, 2, 1), (1, 2, 3), (1, 0, 0)),
    ((2, 2, 2), (3, 3, 3), (0, 0, 0)),
]


def covering(x, kernel, stride, padding):
    """Dense x with zeros behind the end until the strided kernel covers it."""
    behind = [
        max(-(-max(n + 2 * p - k, 0) // s) * s + k - n - 2 * p, 0)
        for n, k, s, p in zip(x.shape, kernel, stride, padding, strict=True)
    ]
    return functional.pad(dense(x), (0, behind[2], 0, behind[1], 0, behind[0]))


@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
@pytest.mark.parametrize("count", [1, 60, 300])
def test_strided_is_dense_convolution_on_the_cells_that_see_something(
    kernel, stride, padding, count
):
    x = random_tensor(count, 6)
    x.features.requires_grad_()
    conv = StridedConv3d(6, 24, kernel, stride, padding)
    out = conv(x)
    full = functional.conv3d(
        covering(x, kernel, stride, padding), dense_weight(conv, kernel), None, stride, padding
    )
    assert full.shape[2:] == out.shape
    ones = functional.conv3d(
        covering(x.with_features(torch.ones(count, 1)), kernel, stride, padding),
        torch.ones(1, 1, *kernel),
        None,
        stride,
        padding,
    )
    assert torch.equal(out.indices.long(), (ones[:, 0] > 0.5).nonzero())
    wanted = occupied(full, out.indices)
    assert_same(out.features, wanted)
    for got, want in zip(
        grads(out.features, [x.features, conv.weight]),
        grads(wanted, [x.features, conv.weight]),
        strict=True,
    ):
        assert_same(got, want)


@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
def test_inverse_is_the_dense_transposed_convolution(kernel, stride, padding):
    x = random_tensor(120, 5)
    coarse = StridedConv3d(5, 9, kernel, stride, padding)(x)
    coarse = coarse.with_features(coarse.features.detach().requires_grad_())
    conv = InverseConv3d(9, 16, kernel, stride, padding)
    out = conv(coarse, like=x)
    weight = conv.weight.view(*kernel, 9, 16).permute(3, 4, 0, 1, 2)
    full = functional.conv_transpose3d(dense(coarse), weight, None, stride, padding)
    grown = [max(n - m, 0) for n, m in zip(SHAPE, full.shape[2:], strict=True)]
    full = functional.pad(full, (0, grown[2], 0, grown[1], 0, grown[0]))
    wanted = occupied(full, x.indices)
    assert torch.equal(out.indices, x.indices)
    assert_same(out.features, wanted)
    for got, want in zip(
        grads(out.features, [coarse.features, conv.weight]),
        grads(wanted, [coarse.features, conv.weight]),
        strict=True,
    ):
        assert_same(got, want)


def test_kernel_equal_to_stride_gives_the_floor_of_the_cell():
    x = random_tensor(100, 3)
    out = StridedConv3d(3, 8, 2, 2)(x)
    cells = x.indices.clone()
    cells[:, 1:] //= 2
    assert torch.equal(out.indices, torch.unique(cells, dim=0))
    assert out.shape == (4, 5, 3)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_voxel_and_one_voxel(count, dtype):
    x = random_tensor(count, 4, dtype=dtype)
    x.features.requires_grad_()
    sub = SubmanifoldConv3d(4, 8).to(dtype)
    down, up = StridedConv3d(8, 16).to(dtype), InverseConv3d(16, 8).to(dtype)
    fine = sub(x)
    out = up(down(fine), like=fine)
    assert out.features.shape == (count, 8)
    out.features.sum().backward()
    assert x.features.grad.shape == (count, 4)
    assert all(torch.isfinite(c.weight.grad).all() for c in (sub, down, up))
    if count:
        assert_same(fine.features, x.features @ sub.weight[13])


def small_network(dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    parts = [
        SubmanifoldConv3d(4, 6, (3, 3, 3)),
        StridedConv3d(6, 9),
        SubmanifoldConv3d(9, 9, (3, 3, 1)),
        InverseConv3d(9, 5),
    ]
    return torch.nn.ModuleList(parts).to(dtype)


def run(network, x):
    fine = network[0](x)
    return network[3](network[2](network[1](fine)), like=fine).features


def test_gradcheck():
    network = small_network(torch.float64)
    x = random_tensor(30, 4, dtype=torch.float64)
    x.features.requires_grad_()

    def outputs(features, *weights):
        for conv, weight in zip(network, weights, strict=True):
            del conv.weight
            conv.weight = weight
        return run(network, x.with_features(features))

    weights = [conv._parameters.pop("weight").detach().requires_grad_() for conv in network]
    for conv in network:
        conv.weight = None
    assert torch.autograd.gradcheck(outputs, (x.features, *weights), fast_mode=True)


def test_float32_agrees_with_float64():
    x = random_tensor(400, 4)
    exact = run(small_network(torch.float64), x.with_features(x.features.double()))
    assert_same(run(small_network(), x).double(), exact)


@SPCONV
@pytest.mark.parametrize("batch_size", [1, 3])
def test_spconv_and_numba_agree(batch_size):
    results = []
    network = small_network()
    for engine in (choose_engine("cpu", "numba"), spconv_engine()):
        x = random_tensor(250, 4, batch_size, engine=engine)
        x.features.requires_grad_()
        out = run(network, x)
        results.append([out, *grads(out, [x.features, *network.parameters()])])
    for numba, spconv in zip(*results, strict=True):
        assert_same(numba, spconv)


@SPCONV
@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES[:3])
def test_spconv_and_numba_make_the_same_coarser_cells(kernel, stride, padding):
    torch.manual_seed(0)
    conv = StridedConv3d(4, 8, kernel, stride, padding)
    numba = conv(random_tensor(90, 4))
    other = conv(random_tensor(90, 4, engine=spconv_engine()))
    order = sorted(range(len(other.indices)), key=lambda row: other.indices[row].tolist())
    assert other.shape == numba.shape
    assert torch.equal(other.indices[order], numba.indices)
    assert_same(other.features[order], numba.features)


def test_state_moves_bit_for_bit(tmp_path):
    from safetensors.torch import load_file, save_file

    first, second = small_network(seed=1), small_network(seed=2)
    save_file(first.state_dict(), tmp_path / "weights.safetensors")
    second.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert {name.split(".")[-1] for name in first.state_dict()} == {"weight"}
    assert first[0].weight.shape == (27, 4, 6)
    x = random_tensor(50, 4)
    assert torch.equal(run(first, x), run(second, x))


def test_maps_are_built_once_per_level():
    x = random_tensor(50, 4)
    first = SubmanifoldConv3d(4, 4)(x)
    known = dict(x.level.maps)
    SubmanifoldConv3d(4, 4)(first.with_features(first.features * 2))
    assert all(x.level.maps[key] is value for key, value in known.items())
    down = StridedConv3d(4, 4)
    assert down(x).level is down(first).level


def test_a_weight_that_learns_nothing_may_still_change():
    conv, x = SubmanifoldConv3d(4, 24).requires_grad_(False), random_tensor(50, 4)
    first = conv(x).features
    assert torch.equal(conv(x).features, first)
    conv.weight.mul_(2)
    torch.testing.assert_close(conv(x).features, 2 * first)
    conv.weight.data = conv.weight.detach() * 2
    torch.testing.assert_close(conv(x).features, 4 * first)


@pytest.mark.parametrize("kernel", [(2, 2, 2), (3, 3, 3)])
def test_coarser_cells_of_a_tall_grid_are_those_that_see_something(kernel):
    from lidarpan.model.sparse.neighbours import strided_cells

    shape, stride, padding = (6, 4, 141), (2, 2, 2), (kernel[0] // 3,) * 3
    coarser = tuple((n + 2 * padding[0] - kernel[0]) // 2 + 1 for n in shape)
    cells = random_cells(60, shape=shape).numpy()
    wanted = {
        (b, *place)
        for b, *cell in cells.tolist()
        for place in itertools.product(*map(range, coarser))
        if all(0 <= c + padding[0] - 2 * p < kernel[0] for c, p in zip(cell, place, strict=True))
    }
    sizes = map(np.array, (kernel, stride, padding))
    found = strided_cells(cells, np.array(coarser), 2, *sizes)
    assert [tuple(cell) for cell in found.tolist()] == sorted(wanted)


def test_results_do_not_depend_on_the_number_of_threads():
    network, before = small_network(), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            x = random_tensor(600, 4)
            out = run(network, x)
            results.append([out, *grads(out, list(network.parameters()))])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def slow_pairs(cells, kernel):
    rows = {tuple(cell): row for row, cell in enumerate(cells.tolist())}
    pairs = []
    for k, (i, j, h) in enumerate(itertools.product(*map(range, kernel))):
        for o, (b, x, y, z) in enumerate(cells.tolist()):
            at = (b, x + i - kernel[0] // 2, y + j - kernel[1] // 2, z + h - kernel[2] // 2)
            if at in rows:
                pairs.append((k, rows[at], o))
    return pairs


@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 5)])
def test_listed_pairs_are_the_neighbours(kernel):
    from lidarpan.model.sparse import numba

    cells = random_cells(500)
    x = SparseTensor(torch.zeros(500, 4), cells, SHAPE, 2)
    SubmanifoldConv3d(4, 8, kernel)(x)
    book = x.level.maps[kernel]
    assert isinstance(book, numba.Rulebook)
    listed = [
        (k, i, o)
        for k, (ins, outs) in enumerate(book.offset_pairs())
        for i, o in zip(ins.tolist(), outs.tolist(), strict=True)
    ]
    assert listed == slow_pairs(cells, kernel)


def test_what_is_wrong_with_the_input_is_said(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    cells = random_cells(5)
    with pytest.raises(InputError, match="row 1"):
        SubmanifoldConv3d(3, 8)(SparseTensor(torch.zeros(5, 3), cells.flip(0), SHAPE, 2))
    with pytest.raises(InputError, match="inside"):
        SubmanifoldConv3d(3, 8)(SparseTensor(torch.zeros(5, 3), cells + 1, SHAPE, 2))
    with pytest.raises(InputError, match="int32"):
        SparseTensor(torch.zeros(5, 3), cells.long(), SHAPE, 2)
    with pytest.raises(InputError, match="one index per feature"):
        SparseTensor(torch.zeros(4, 3), cells, SHAPE, 2)
    with pytest.raises(InputError, match="odd"):
        SubmanifoldConv3d(3, 8, 2)
    with pytest.raises(InputError, match="numba, triton, spconv, spconv-triton, torch"):
        choose_engine("cpu", "cudnn")
    with pytest.raises(InputError, match="GPU"):
        choose_engine("cpu", "triton")
    with pytest.raises(InputError, match="GPU"):
        choose_engine("cpu", "spconv-triton")
    with pytest.raises(InputError, match="numba engine runs on the CPU"):
        choose_engine("cuda", "numba")
    x, y = random_tensor(5, 3), random_tensor(5, 3)
    with pytest.raises(InputError, match="does not come from"):
        InverseConv3d(8, 3)(StridedConv3d(3, 8)(x), like=y)


@SPCONV
def test_engines_are_described():
    engines = {name: available for name, available, _ in describe_engines()}
    assert list(engines) == ["numba", "triton", "spconv", "spconv-triton", "torch"]
    assert engines["numba"]
    assert engines["torch"]
    assert choose_engine("cpu").name == "numba"
    assert choose_engine("meta").name == "torch"
    assert choose_engine("cpu", "torch").name == "torch"
