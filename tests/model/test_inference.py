import pytest
import torch

from lidarpan.model.inference import fold_batch_norm
from lidarpan.model.sparse import choose_engine, describe_engines
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.unet import UNet

SHAPE = (16, 12, 6)


def cells(count=400):
    torch.manual_seed(1)
    flat = torch.randperm(2 * 16 * 12 * 6)[:count].sort().values
    return torch.stack([flat // 1152, flat // 72 % 16, flat // 6 % 12, flat % 6], 1).int()


def lived_in(network):
    """Norms as after training: nothing at its initial value."""
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(norm.weight, 1, 0.3)
            torch.nn.init.normal_(norm.bias, 0, 0.3)
            torch.nn.init.normal_(norm.running_mean, 0, 0.3)
            torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    return network.eval()


@pytest.mark.parametrize("engine", ["native", "spconv"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_folding_changes_nothing_but_the_time(engine, dtype):
    available, reason = {n: (a, r) for n, a, r in describe_engines()}[engine]
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
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert not any(parameter.requires_grad for parameter in folded.parameters())
