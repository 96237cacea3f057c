"""Stored statistics of the norms over several processes, as one process would have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lidarpan.model.inference import scan_norms


def statistics_of(network: nn.Module) -> Tensor:
    """Running means and variances of all norms in one row. (S,)."""
    rows = [(norm.running_mean, norm.running_var) for norm in scan_norms(network).values()]
    return torch.cat([value for pair in rows for value in pair])


def gather_statistics(network: nn.Module, before: Tensor, num_scans: int) -> None:
    """Give every process the statistics of all scans of this step, one process after the other.

    A scan moves the statistics by r <- d r + (1 - d) m, so n scans by r <- d ** n r + c, and the
    next process's c is what it made of the common beginning: r_k - d ** n r. Layers need no other
    exchange: a scan is normalised by its own statistics, which one process holds.

    Args:
        network: after its forward pass in training.
        before: (S,) `statistics_of` the network before it, the same in all processes.
        num_scans: in the batch of each process.
    """
    norms = scan_norms(network)
    mine = statistics_of(network)
    every = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(every, mine)
    joined = every[0]
    kept = torch.cat(
        [
            (1 - norm.momentum) ** num_scans * torch.ones_like(norm.running_mean.repeat(2))
            for norm in norms.values()
        ]
    )
    for other in every[1:]:
        joined = kept * joined + (other - kept * before)
    sizes = [norm.running_mean.numel() for norm in norms.values() for _ in range(2)]
    parts = iter(torch.split(joined, sizes))
    for norm in norms.values():
        norm.running_mean.copy_(next(parts))
        norm.running_var.copy_(next(parts))
        norm.num_batches_tracked += len(every) - 1
