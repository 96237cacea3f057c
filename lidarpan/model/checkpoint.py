"""Weights as safetensors with a JSON header: loading a file never runs code from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lidarpan.structures import InputError
from lidarpan.text_trees import parse_json
from lidarpan.whole_file import whole_file

FORMAT = "lidarpan-1"


def save_weights(
    path: Path, state: Mapping[str, Tensor], header: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write a state dict and its header; the file is whole or absent.

    Args:
        path: where to.
        state: name -> tensor.
        header: anything JSON can hold: config, classes, training record.
        half: store floating-point tensors as float16 (they are loaded as float32).
    """
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in state.items()
    }
    metadata = {"format": FORMAT, "header": json.dumps(header)}
    with whole_file(path) as beside:
        save_file(tensors, str(beside), metadata=metadata)
        beside.chmod(0o644)  # safetensors writes for the owner alone


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what save_weights wrote: state dict (float32) and header.

    Raises:
        InputError: the file is missing, no safetensors file, or not written by lidarpan.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a whole safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: wanted weights written by lidarpan ({FORMAT}), got {metadata.get('format')}"
        )
    as_float = {k: v.float() if v.dtype == torch.float16 else v for k, v in state.items()}
    header = parse_json(metadata.get("header", ""), f"{path}: header")
    if not isinstance(header, dict):
        raise InputError(f"{path}: wanted a header of named values, got none: damaged")
    for name, tensor in as_float.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path}: wanted finite weights, got NaN or infinite ones in {name}")
    return as_float, header


def fit_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict into a network whose every tensor it must match.

    One that was made on the device "meta", without memory, takes the tensors themselves.

    Raises:
        InputError: a tensor is missing, left over or of another shape; names the first one.
    """
    own = network.state_dict()
    check_shapes(own, state, source)
    network.load_state_dict(dict(state), assign=any(tensor.is_meta for tensor in own.values()))


def check_shapes(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str) -> None:
    """Compare names and shapes, which needs no values; raises InputError as `fit_weights`."""
    missing = sorted(wanted.keys() - state.keys())
    extra = sorted(state.keys() - wanted.keys())
    if missing or extra:
        what = f"{missing[0]} is missing" if missing else f"{extra[0]} has no place"
        raise InputError(f"{source}: weights do not fit the configured network: {what}")
    for name, tensor in wanted.items():
        if tensor.shape != state[name].shape:
            raise InputError(
                f"{source}: weights do not fit the configured network: {name} should be "
                f"{tuple(tensor.shape)}, got {tuple(state[name].shape)}"
            )
