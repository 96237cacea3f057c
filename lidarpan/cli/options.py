"""Words that several commands take."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from lidarpan.errors import InputError

if TYPE_CHECKING:
    from lidarpan.fleet.cluster import Cluster


class Device(str, Enum):
    """Where the network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(str, Enum):
    """What the network computes in."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


class BoxFormat(str, Enum):
    """Whose boxes."""

    kitti = "kitti"
    nuscenes = "nuscenes"


class Level(str, Enum):
    """Whether turned scans are turned back."""

    auto = "auto"
    off = "off"


DATASETS = (
    "semantickitti, nuscenes, kitti-360, semanticposs, pandaset, waymo, argoverse2, "
    "an installed one, FILE.yaml (a class table) or FILE.py:CLASS"
)
VoxelSize = Annotated[
    float | None,
    typer.Option(
        "--voxel",
        help="Edge of the voxels, metres: larger ones are less work. [default: the weights']",
    ),
]
Scans = Annotated[list[str], typer.Argument(help="Scan files, folders or globs.")]
SomeTopics = Annotated[
    list[str] | None,
    typer.Option(
        "--topic", help="Topic of a bag or MCAP file; several are merged by their extrinsics."
    ),
]
SomeFrame = Annotated[
    str | None,
    typer.Option("--frame", help="Of sensors that share a topic, the one in this frame."),
]
SomeMerged = Annotated[
    list[str] | None,
    typer.Option(
        "--merge",
        help="Each path is a sensor; where each but the first lies in the first one's frame: "
        "x,y,z[,yaw_deg], x,y,z,qx,qy,qz,qw or a file of a matrix.",
    ),
]
Weights = Annotated[str, typer.Option(help="Shipped weights or a .safetensors file.")]
OnDevice = Annotated[Device, typer.Option("--device", help="Where the network runs.")]
Sparse = Annotated[
    str | None, typer.Option(help="Sparse convolution engine: numba, torch, triton, spconv.")
]
InPrecision = Annotated[
    Precision, typer.Option("--precision", help="Of the network; fp16 and bf16 need CUDA.")
]
SensorHeight = Annotated[
    float | None,
    typer.Option(
        min=-100, max=100, help="Sensor above the ground, metres. [default: measured in each scan]"
    ),
]
Classes = Annotated[str, typer.Option(help=f"Whose classes: {DATASETS}.")]


class Engine(str, Enum):
    """Who does the work."""

    local = "local"
    ray = "ray"


OnEngine = Annotated[
    Engine, typer.Option("--engine", help="This process, or a Ray cluster (extra ray).")
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Of the Ray cluster: auto or host:port. [default: one on this machine's cores]"
    ),
]
Gpus = Annotated[
    float | None,
    typer.Option(
        min=0, help="GPUs that a task asks Ray for, such as 0.5. [default: 1 where there are any]"
    ),
]


def cluster_of(engine: Engine, address: str | None, gpus: float | None = 0) -> Cluster | None:
    """The cluster that is asked for, to be entered; None where this process does the work.

    Raises:
        InputError: an address without --engine ray.
    """
    if engine is Engine.local:
        if address is not None:
            raise InputError("--address is of a Ray cluster: add --engine ray")
        return None
    from lidarpan.fleet.cluster import Cluster

    return Cluster(address, gpus)
