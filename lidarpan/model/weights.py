"""Which weights, on which device, in which precision: the choices before a network runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from lidarpan.classes import ClassTable
from lidarpan.config import Config, parse_config
from lidarpan.model.checkpoint import fit_weights, load_weights
from lidarpan.model.hub import fetch_weights, is_on_hub
from lidarpan.model.inference import fold_batch_norm
from lidarpan.model.likeness import Likeness
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.queries import QueryHead
from lidarpan.structures import InputError

PRECISIONS = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def load_network(
    weights: str | Path, device: torch.device
) -> tuple[PanopticNetwork, Config, Likeness | None]:
    """Read weights and put them into their network, folded for inference, on a device.

    The last of the three says which scans they were trained on; older files do not.

    Raises:
        InputError: no such weights, or they do not fit their configuration.
    """
    path = find_weights(weights)
    state, header = load_weights(path)
    config = _config_of(header, path)
    with torch.device("meta"):  # shapes alone: a header may ask for more than the memory holds
        network = build_network(config)
    fit_weights(network, state, str(path))
    return fold_batch_norm(network).to(device), config, Likeness.from_header(header)


def read_classes(weights: str | Path) -> ClassTable:
    """The classes that weights tell apart; errors as `load_network`."""
    path = find_weights(weights)
    _, header = load_weights(path)
    return _config_of(header, path).build_classes()


def _config_of(header: Mapping[str, Any], path: Path) -> Config:
    if not isinstance(header.get("config"), dict):
        raise InputError(f"{path}: wanted a header with the configuration, got none: damaged")
    return parse_config(header["config"], str(path))


def build_network(config: Config) -> PanopticNetwork:
    """The configured network with fresh weights."""
    sizes: dict[str, Any] = config.network.model_dump(exclude={"head", "queries"})
    classes, queries = config.build_classes(), None
    if config.network.head == "queries":
        queries = QueryHead(
            classes.things,
            config.network.channels,
            config.network.bev_channels,
            config.grid.voxel_m[0],
            **config.network.queries.model_dump(),
        )
    return PanopticNetwork(classes.num_classes, **sizes, queries=queries)


def find_weights(weights: str | Path) -> Path:
    """Path of shipped weights by name, of a file, or of a place on the hub (hf://OWNER/NAME).

    Raises:
        InputError: there are none of that name; lists the shipped names.
    """
    if is_on_hub(weights):
        return fetch_weights(weights)
    path = Path(weights)
    if path.suffix == ".safetensors":
        return path
    shipped = Path(str(resources.files("lidarpan").joinpath("weights")))
    named = shipped / f"{weights}.safetensors"
    if not named.is_file():
        names = ", ".join(sorted(p.stem for p in shipped.glob("*.safetensors"))) or "none"
        raise InputError(
            f"no weights {weights!r}: wanted a .safetensors file, hf://OWNER/NAME or one of: "
            f"{names}"
        )
    return named


def choose_device(device: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda" into a torch device; InputError where it is not there."""
    match device:
        case "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        case "cpu":
            return torch.device("cpu")
        case "cuda" | "cuda:0":
            if not torch.cuda.is_available():
                raise InputError("no CUDA device here: use --device cpu, or see lidarpan doctor")
            return torch.device("cuda")
        case _:
            raise InputError(f"no device {device!r}: wanted auto, cpu or cuda")


def check_precision(precision: str, device: torch.device) -> str:
    """The precision itself; InputError where there is none of that name, or the device lacks it."""
    if precision not in PRECISIONS:
        raise InputError(f"no precision {precision!r}: wanted one of {', '.join(PRECISIONS)}")
    if precision != "fp32" and device.type == "cpu":
        raise InputError(f"precision {precision} needs a CUDA device, got cpu: use fp32")
    return precision
