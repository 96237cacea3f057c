"""Write the mean of two weights files of one network, with the header of the second.

Where the second was trained on from the first, the mean often reads more sensors than either
(Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).

Example:
    python tools/average_weights.py before.safetensors after.safetensors --share 0.5 \
        --out mean.safetensors
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lidarpan.model.checkpoint import load_weights, save_weights
from lidarpan.structures import InputError


def average(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """(1 - share) * first + share * second, tensor by tensor; counters are the second's.

    Raises:
        InputError: the tensors differ in name or shape, or the share is outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise InputError(f"wanted a share from 0 to 1, got {share}")
    for name in sorted(first.keys() | second.keys()):
        if name not in first or name not in second or first[name].shape != second[name].shape:
            raise InputError(f"wanted two weights of one network, they differ in {name}")
    return {
        name: (1 - share) * first[name] + share * tensor if tensor.is_floating_point() else tensor
        for name, tensor in second.items()
    }


def main() -> None:
    """Read two files, write one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second, 0 to 1")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        first, _ = load_weights(arguments.first)
        second, header = load_weights(arguments.second)
        mean = average(first, second, arguments.share)
        save_weights(arguments.out, mean, header, half=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
