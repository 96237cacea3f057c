import pytest
import torch

from lidarpan.model.inference import fold_batch_norm, measure_statistics
from lidarpan.model.norm import ScanNorm
from lidarpan.model.sparse import choose_engine, describe_engines
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.unet import UNet

SHAPE = (16, 12, 6)


def cells(count=400):
    torch.manual_seed(1)
    flat = torch.randperm(2 * 16 * 12 * 6)[:count].sort().values
    return torch.stack([flat // 1152, flat // 72 % 16, flat // 6 % 12, flat % 6], 1).int()


def lived_in(network, share=0.0):
    """Norms as after training: nothing at its initial value."""
    for norm in network.modules():
        if isinstance(norm, ScanNorm):
            torch.nn.init.normal_(norm.weight, 1, 0.3)
            torch.nn.init.normal_(norm.bias, 0, 0.3)
            torch.nn.init.normal_(norm.running_mean, 0, 0.3)
            torch.nn.init.uniform_(norm.running_var, 0.5, 2)
            norm.share = share
    return network.eval()


@pytest.mark.parametrize(
    "engine",
    ["numba", "torch", pytest.param("spconv", marks=pytest.mark.xdist_group("spconv"))],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_folding_changes_nothing_but_the_time(engine, dtype):
    ((_, available, reason),) = describe_engines([engine])
    if not available:
        pytest.skip(f"{engine}: {reason}")
    if engine == "spconv" and dtype == torch.float64:
        pytest.skip("spconv has no float64")
    torch.manual_seed(0)
    network = lived_in(UNet(5, (8, 12, 20), (1, 2, 1), (1, 1))).to(dtype)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold_batch_norm(network)
    x = SparseTensor(
        torch.randn(400, 5, dtype=dtype), cells(), SHAPE, 2, choose_engine("cpu", engine)
    )
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            for want, got in zip(network(x), folded(x), strict=True):
                largest = float(want.features.abs().max())
                torch.testing.assert_close(
                    got.features, want.features, rtol=1e-4, atol=1e-4 * largest
                )
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not [m for m in folded.modules() if isinstance(m, ScanNorm)]
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def one_scan(seed):
    """The cells of `cells`, those of both scans once, as one scan with random features."""
    indices = torch.unique(cells()[:, 1:], dim=0)
    indices = torch.cat([torch.zeros_like(indices[:, :1]), indices], 1)
    torch.manual_seed(seed)
    return SparseTensor(torch.randn(len(indices), 5) + seed, indices, SHAPE, 1)


def test_own_statistics_stay_in_the_inference_form():
    torch.manual_seed(0)
    network = lived_in(UNet(5, (8, 12, 20), (1, 2, 1), (1, 1)), share=1.0)
    x = one_scan(2)
    for want, got in zip(network(x), fold_batch_norm(network)(x), strict=True):
        torch.testing.assert_close(got.features, want.features)


def test_folding_a_scans_own_statistics_gives_what_the_scan_itself_gives():
    torch.manual_seed(0)
    network = lived_in(UNet(5, (8, 12, 20), (1, 2, 1), (1, 1)), share=1.0)
    x = one_scan(2)
    folded = fold_batch_norm(network, measure_statistics(network, [x]))
    assert not [m for m in folded.modules() if isinstance(m, ScanNorm)]
    for want, got in zip(network(x), folded(x), strict=True):
        largest = float(want.features.abs().max())
        torch.testing.assert_close(got.features, want.features, rtol=1e-4, atol=1e-4 * largest)


def test_statistics_of_several_scans_are_averaged():
    torch.manual_seed(0)
    network = lived_in(UNet(5, (8, 12, 20), (1, 2, 1), (1, 1)), share=1.0)
    scans = [one_scan(seed) for seed in (2, 3, 4)]
    alone = [measure_statistics(network, [scan]) for scan in scans]
    evenly = measure_statistics(network, scans)
    moving = measure_statistics(network, scans, momentum=0.25)
    for name in evenly:
        for part in (0, 1):
            a, b, c = (statistics[name][part] for statistics in alone)
            torch.testing.assert_close(evenly[name][part], (a + b + c) / 3)
            want = 0.75 * (0.75 * a + 0.25 * b) + 0.25 * c
            torch.testing.assert_close(moving[name][part], want)
