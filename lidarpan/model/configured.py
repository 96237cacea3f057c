"""A configuration or a weights file -> the network that runs, and the rules of its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from lidarpan.config import Config
from lidarpan.model.copies import COPIES
from lidarpan.model.likeness import Likeness
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.prior import street_prior
from lidarpan.model.sparse import choose_engine
from lidarpan.model.sparse.tensor import Engine
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.model.weights import check_precision, choose_device, load_network
from lidarpan.scans.ego import parse_ego_box
from lidarpan.structures import InputError

SMALLEST_ZOOM, LARGEST_ZOOM = 0.5, 3.0
"""Beyond these, voxels are no longer what any weights were trained with."""


class Choices(TypedDict, total=False):
    """What may be chosen in place of what a weights file says.

    Attributes:
        tta: average over turned, mirrored and scaled copies of each scan: three times the work.
        min_score: objects of a lower score go back to stuff; None takes the weights' own.
        min_confidence: points whose class is less sure are void; None as in the weights.
        patches: choose classes by the mean of patches of a surface; None as in the weights.
        prior_power: how far the shares of real streets correct those trained on, 0 not at all and
            1 wholly; None as in the weights.
        ego_box: "auto", "off" or "x0,y0,z0,x1,y1,z1": where the own vehicle lies, whose points are
            void; None as in the weights.
        voxel_m: edge of the voxels that the network sees, metres; None as in the weights. Larger
            ones are less work; weights know a range of sizes if they were trained with
            `augment.voxel_scale`.
    """

    tta: bool
    min_score: float | None
    min_confidence: float | None
    patches: bool | None
    prior_power: float | None
    ego_box: str | None
    voxel_m: float | None


def configured_network(
    config: Config,
    network: PanopticNetwork,
    engine: Engine | None = None,
    precision: str = "fp32",
    *,
    tta: bool = False,
    voxel_m: float | None = None,
    likeness: Likeness | None = None,
) -> VoxelNetwork:
    """The network with the configured grid, prior and patches.

    Raises:
        InputError: voxel_m is no size that a network can see.
    """
    classes, own_m = config.build_classes(), config.grid.voxel_m[0]
    zoom = 1.0 if voxel_m is None else voxel_m / own_m
    if not SMALLEST_ZOOM <= zoom <= LARGEST_ZOOM:
        sizes = f"{SMALLEST_ZOOM * own_m:g} to {LARGEST_ZOOM * own_m:g} m"
        raise InputError(
            f"voxels: wanted {sizes} (the weights' own are {own_m:g} m), got {voxel_m}"
        )
    if zoom != 1 and network.queries is not None:
        raise InputError("weights with a query head see voxels of their own size alone")
    return VoxelNetwork(
        network,
        config.grid.build().zoomed(zoom),
        engine,
        precision,
        zoom=zoom,
        prior=street_prior(classes, config.prior.trained, config.prior.power),
        ground=classes.ground if config.fusion.patches else None,
        copies=COPIES if tta else (),
        ground_m=-config.sensor.height_m,
        intensity=config.sensor.intensity,
        likeness=likeness,
    )


def configured_rules(config: Config) -> dict[str, Any]:
    """The options of a PanopticPipeline that a configuration decides."""
    return {
        "classes": config.build_classes(),
        "sensor_height_m": config.sensor.height_m,
        "grouping": config.grouping.method,
        "min_segment_points": config.fusion.min_segment_points,
        "min_score": config.fusion.min_score,
        "score_map": config.fusion.score_map,
        "ego_box": parse_ego_box(config.sensor.ego_box),
        "temperature": config.trust.temperature,
        "min_confidence": config.trust.min_confidence,
    }


def open_weights(
    weights: str | Path,
    device: str,
    sparse: str | None,
    precision: str,
    choices: Choices,
) -> tuple[VoxelNetwork, Config]:
    """The network of a weights file on its device, and its configuration as chosen.

    Args:
        weights: shipped weights by name, or a path.
        device: "auto", "cpu" or "cuda".
        sparse: engine of the sparse convolutions; None takes the best one for the device.
        precision: "fp32", "fp16" or "bf16".
        choices: see Choices.

    Raises:
        InputError: there are no such weights, device or precision, or they do not fit.
    """
    target = choose_device(device)
    check_precision(precision, target)
    network, config, likeness = load_network(weights, target)
    config = config.chosen(
        fusion={"min_score": choices.get("min_score"), "patches": choices.get("patches")},
        prior={"power": choices.get("prior_power")},
        trust={"min_confidence": choices.get("min_confidence")},
        sensor={"ego_box": choices.get("ego_box")},
    )
    made = configured_network(
        config,
        network,
        choose_engine(target, sparse),
        precision,
        tta=choices.get("tta", False),
        voxel_m=choices.get("voxel_m"),
        likeness=likeness,
    )
    return made, config
