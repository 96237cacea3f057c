import numpy as np
import pytest
import torch

from lidarpan.model import norm as norm_module
from lidarpan.model.norm import MIN_ROWS, MIN_ROWS_IN_USE, ScanNorm
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.norm_kernel import column_moments
from lidarpan.model.sparse.tensor import Level

CHANNELS = 3
LARGE = [MIN_ROWS_IN_USE + 1000, MIN_ROWS_IN_USE + 200]
"""Voxels of two scans that borrow nothing."""


def tensor(counts, shuffle=False):
    """Random features of scans with `counts` voxels each."""
    torch.manual_seed(0)
    total = sum(counts)
    scan = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    features = torch.randn(total, CHANNELS) * 2 + scan[:, None] * 3
    row = torch.arange(total)
    indices = torch.stack([scan, row // 100, row % 100, torch.zeros_like(row)], 1).int()
    if shuffle:
        order = torch.randperm(total)
        features, indices = features[order], indices[order]
    return SparseTensor(features, indices, (100, 100, 1), len(counts))


def make_norm(share=1.0):
    torch.manual_seed(1)
    norm = ScanNorm(CHANNELS, share)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    torch.nn.init.normal_(norm.running_mean)
    torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def slow_twin(norm, x):
    """The docstring's formula, a scan and a channel at a time, in float64."""
    out = np.zeros(x.features.shape)
    features, scan = x.features.detach().double().numpy(), x.indices[:, 0].numpy()
    for b in range(x.batch_size):
        rows = scan == b
        share = norm.share * min(1, rows.sum() / norm.min_rows)
        for c in range(CHANNELS):
            values = features[rows, c]
            if not len(values):
                continue
            mean = share * values.mean() + (1 - share) * float(norm.running_mean[c])
            var = share * values.var() + (1 - share) * float(norm.running_var[c])
            scaled = (values - mean) / np.sqrt(var + norm.eps)
            out[rows, c] = scaled * float(norm.weight[c]) + float(norm.bias[c])
    return out


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("counts", [[900], [9000], [3], [5000, 400], [900, 20, 300], [5, 0, 1]])
@pytest.mark.parametrize("learning", [False, True])  # without gradients numba does single scans
def test_norm_is_its_formula(share, shuffle, counts, learning):
    norm, x = make_norm(share).eval(), tensor(counts, shuffle)
    residual = torch.randn_like(x.features)
    before = x.features.clone()
    with torch.set_grad_enabled(learning):
        alone, both = norm(x), norm(x, residual, rectify=True)
    want = slow_twin(norm, x)
    np.testing.assert_allclose(alone.detach(), want, atol=2e-5)
    np.testing.assert_allclose(both.detach(), (want + residual.numpy()).clip(0), atol=2e-5)
    assert torch.equal(x.features, before)


def test_moments_of_columns_far_from_zero_and_with_any_number_of_threads():
    rows = np.random.default_rng(0).normal(300, 0.5, (5000, 7)).astype(np.float32)
    mean, var = column_moments(rows, 1)
    np.testing.assert_allclose(mean, rows.astype(np.float64).mean(0), rtol=1e-6)
    np.testing.assert_allclose(var, rows.astype(np.float64).var(0), rtol=1e-3)
    assert all((column_moments(rows, 2)[k] == (mean, var)[k]).all() for k in (0, 1))


def test_one_scan_in_training_is_batch_norm_in_training():
    norm, x = make_norm(), tensor([900])
    batch_norm = torch.nn.BatchNorm1d(CHANNELS)
    batch_norm.load_state_dict(norm.state_dict())
    mine, theirs = (x.features.clone().requires_grad_() for _ in range(2))
    norm(x.with_features(mine)).square().sum().backward()
    batch_norm(theirs).square().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)
    torch.testing.assert_close(norm.weight.grad, batch_norm.weight.grad)
    for name, value in batch_norm.state_dict().items():
        torch.testing.assert_close(norm.state_dict()[name], value)


@pytest.mark.parametrize("shuffle", [False, True])
def test_training_and_use_agree_and_other_scans_change_nothing(shuffle):
    norm, x = make_norm(), tensor([*LARGE, 50], shuffle)
    used = norm.eval()(x)
    stored = norm.running_mean.clone()
    trained = norm.train()(x)
    big = x.indices[:, 0] < 2  # the small scan borrows from what training has changed
    torch.testing.assert_close(trained[big], used[big])
    assert not torch.equal(norm.running_mean, stored)
    first = x.indices[:, 0] == 0
    others = torch.where(first[:, None], x.features, 7 * x.features - 2)
    torch.testing.assert_close(norm.eval()(x.with_features(others))[first], used[first])


def test_gradients_flow_through_the_statistics(monkeypatch):
    monkeypatch.setattr(norm_module, "MIN_ROWS_IN_USE", 6)
    for shuffle in (False, True):
        x = tensor([8, 4], shuffle)
        norm = make_norm(0.8).double().eval()

        def run(features, norm=norm, x=x):
            return norm(x.with_features(features))

        assert torch.autograd.gradcheck(run, x.features.double().requires_grad_())


def test_a_linear_change_of_the_input_is_undone():
    norm, x = make_norm().eval(), tensor(LARGE)
    changed = x.with_features(x.features * torch.tensor([3.0, 0.5, 10.0]) + 4)
    torch.testing.assert_close(norm(changed), norm(x), atol=2e-4, rtol=1e-3)


def test_a_large_and_a_small_scan_can_be_learnt_from_together():
    """The small one borrows from the stored statistics, which the large one has moved."""
    norm = ScanNorm(4).train()
    indices = torch.zeros((MIN_ROWS + 20, 4), dtype=torch.int32)
    indices[:, 1] = torch.arange(len(indices))
    indices[MIN_ROWS + 10 :, 0] = 1
    rows = torch.randn(len(indices), 4, requires_grad=True)
    norm(SparseTensor(rows, indices, (len(indices), 4, 4), 2)).square().sum().backward()
    assert torch.isfinite(rows.grad).all()
    assert norm.running_mean.abs().sum() > 0


def test_a_scan_without_voxels_keeps_its_place_in_the_graph():
    """Processes that train together wait for the gradients of all parameters, zero or not."""
    norm, x = make_norm(), tensor([0])
    norm(x).sum().backward()
    assert (norm.weight.grad == 0).all()
    assert (norm.bias.grad == 0).all()


@pytest.mark.parametrize("counts", [[0, 500], [0, 20], [500, 0, 500]])
def test_a_scan_without_voxels_may_come_before_others(counts):
    """The others move the stored statistics after it has used them."""
    norm, x = make_norm(), tensor(counts)
    rows = x.features.clone().requires_grad_()
    norm(x.with_features(rows)).square().sum().backward()
    assert torch.isfinite(rows.grad).all()


def by_index(norm, rows, scan, num_scans):
    """Sums over each scan's rows by their index, and its statistics remembered one by one."""
    count = torch.bincount(scan, minlength=num_scans).to(rows.dtype)[:, None]
    zeros = rows.new_zeros((num_scans, rows.shape[1]))
    mean = zeros.index_add(0, scan, rows) / count.clamp(min=1)
    centered = rows - mean[scan]
    var = zeros.index_add(0, scan, centered * centered) / count.clamp(min=1)
    for m, v in zip(mean[count[:, 0] > 0], var[count[:, 0] > 0], strict=True):
        norm._remember(m, v)
    share = norm.share * (count / norm.min_rows).clamp(max=1)
    mean = torch.lerp(norm.running_mean.expand_as(mean), mean, share)
    var = torch.lerp(norm.running_var.expand_as(var), var, share)
    scale = norm.weight / torch.sqrt(var + norm.eps)
    return rows * scale[scan] + (norm.bias - mean * scale)[scan]


def test_all_scans_at_once_is_scan_after_scan():
    """By matrix products, as on CUDA: answers, gradients and stored statistics of the loop."""
    torch.manual_seed(3)
    counts, channels = [300, 0, 40, 500], 6
    scan = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    features = torch.randn(len(scan), channels, dtype=torch.float64) * 3 + 1
    slow, fast = (ScanNorm(channels).double().train() for _ in range(2))
    for norm in (slow, fast):
        torch.nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(5))
    level = Level(torch.nn.functional.pad(scan[:, None], (0, 3)).int(), (1, 1, 1), 4)
    inputs = [features.clone().requires_grad_() for _ in range(2)]
    wanted = by_index(slow, inputs[0], scan, 4)
    got = fast._by_product(inputs[1], level.scan_rows())
    torch.testing.assert_close(got, wanted)
    weigh = torch.randn_like(wanted)
    (wanted * weigh).sum().backward()
    (got * weigh).sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
    torch.testing.assert_close(fast.weight.grad, slow.weight.grad)
    torch.testing.assert_close(fast.running_mean, slow.running_mean)
    torch.testing.assert_close(fast.running_var, slow.running_var)
