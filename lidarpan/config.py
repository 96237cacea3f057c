"""The whole configuration as typed models; a YAML file says all of it or part of it.

Only the command line, training and `from_config` class methods see these objects: everything else
takes plain values. An unknown key is an error that names the file, the path and the nearest key.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from lidarpan.checked_yaml import Section, check_model, read_yaml
from lidarpan.classes import DEFAULT_TABLE, ClassTable
from lidarpan.scans.ego import parse_ego_box
from lidarpan.structures import InputError
from lidarpan.text_trees import parse_yaml
from lidarpan.voxels.grid import Grid

PREDICTION_SECTIONS = {
    "name",
    "classes",
    "sensor",
    "grid",
    "network",
    "grouping",
    "fusion",
    "prior",
    "trust",
}
"""What a weights file says of its configuration: all that prediction needs, and no path."""

_SHIPPED_AS = (Path(), Path("configs"))
Triple = tuple[float, float, float]


class GridConfig(Section):
    """The box of space that is voxelized, metres in the sensor frame."""

    min_m: Triple = (-201.6, -201.6, -4.0)
    max_m: Triple = (201.6, 201.6, 15.2)
    voxel_m: Triple = (0.15, 0.15, 0.15)

    @model_validator(mode="after")
    def _is_whole(self) -> GridConfig:
        self.build()
        return self

    def build(self) -> Grid:
        """The voxel grid."""
        return Grid(self.min_m, self.max_m, self.voxel_m)


class SensorConfig(Section):
    """What the network expects of the sensor."""

    height_m: PositiveFloat = 1.73  # above the ground; scans of other heights are shifted to it
    intensity: Literal["rank", "raw"] = "rank"  # by rank within the scan, or as it is
    ego_box: str = "auto"  # void in the output: auto, off, or x0,y0,z0,x1,y1,z1 of the own vehicle

    @model_validator(mode="after")
    def _box_is_one(self) -> SensorConfig:
        parse_ego_box(self.ego_box)
        return self


class QueryConfig(Section):
    """Sizes of the query head."""

    channels: PositiveInt = Field(64, multiple_of=4)  # of a query
    layers: PositiveInt = 3  # each looks at one level, coarse to fine
    learned: int = Field(16, ge=0)  # queries that begin the same in every scan
    sampled: int = Field(96, ge=0)  # most queries that begin at peaks of the heatmap

    @model_validator(mode="after")
    def _asks_something(self) -> QueryConfig:
        if not self.learned + self.sampled:
            raise ValueError("wanted a query, learned or sampled, got none")
        return self


class NetworkConfig(Section):
    """Sizes of the sparse U-Net, of the BEV branch and of the query head."""

    channels: tuple[PositiveInt, ...] = Field((24, 48, 64, 96, 128, 96), min_length=2)  # per level
    encoder_blocks: tuple[NonNegativeInt, ...] = (
        1,
        1,
        1,
        1,
        1,
        1,
    )  # residual blocks per level, going down
    decoder_blocks: tuple[PositiveInt, ...] = (1, 1, 1, 1, 1)  # and coming up, finest first
    bev_channels: PositiveInt = 32
    bev_blocks: PositiveInt = 2
    norm_share: float = Field(1.0, ge=0, le=1)  # of a scan's own statistics in its normalisation
    head: Literal["centers", "queries"] = "centers"  # objects by centers alone, or also as a set
    queries: QueryConfig = QueryConfig()

    @model_validator(mode="after")
    def _levels_agree(self) -> NetworkConfig:
        levels = len(self.channels)
        if len(self.encoder_blocks) != levels or len(self.decoder_blocks) != levels - 1:
            raise ValueError(
                f"{levels} levels of channels want {levels} encoder_blocks and {levels - 1} "
                f"decoder_blocks, got {len(self.encoder_blocks)} and {len(self.decoder_blocks)}"
            )
        return self


class LossConfig(Section):
    """Weights of the training loss; each is the factor of its term."""

    cross_entropy: float = Field(1.0, ge=0)
    lovasz: float = Field(1.0, ge=0)
    heatmap: float = Field(1.0, ge=0)
    offset: float = Field(0.5, ge=0)
    bev_semantic: float = Field(0.0, ge=0)  # classes of whole columns, a head of training alone
    queries: float = Field(0.03, ge=0)  # classes, masks and centers of the query head, where it is
    overlap: float = Field(0.0, ge=0)  # masks of two queries on the same voxel
    ground_height: float = Field(0.0, ge=0)  # of each BEV cell, a head of training alone; per metre
    depth: float = Field(0.0, ge=0)  # what hidden beams would have measured, likewise
    pseudo: float = Field(0.0, ge=0)  # unlabelled points, labelled by the network's own average
    heatmap_kind: Literal["focal", "mse"] = "focal"
    class_balance: float = Field(0.5, ge=0, le=1)  # weight of a class ~ its frequency ** -balance
    learned_uncertainty: bool = False  # weigh the terms as in Kendall et al., CVPR 2018


class GroupingConfig(Section):
    """How thing points become instances."""

    method: str = "auto"


class FusionConfig(Section):
    """How semantics and instances are merged."""

    min_segment_points: int = Field(5, ge=0)  # smaller instances go back to stuff
    min_score: float = Field(0.0, ge=0, le=1)  # less certain instances go back to stuff
    score_map: tuple[tuple[float, float], ...] = ()  # score -> share that is right, ascending
    patches: bool = True  # choose classes by the mean probabilities of 0.6 m patches of a surface


class PriorConfig(Section):
    """Class shares: logits move by power * log(share in real streets / share trained on)."""

    power: float = Field(0.5, ge=0, le=1)  # 0 = off; 1 - class_balance undoes the towns' shares
    trained: dict[str, float] = Field(default_factory=dict)  # by class name; {} = not known


class TrustConfig(Section):
    """How sure a point's class is, and how sure it must be."""

    temperature: PositiveFloat = (
        1.0  # confidence ~ p ** (1 / temperature); tools/fit_temperature.py
    )
    min_confidence: float = Field(0.0, ge=0, le=1)  # points less sure are void


class DataSource(Section):
    """One dataset tree to read scans from."""

    dataset: str  # semantickitti, nuscenes, a class table FILE.yaml, FILE.py:CLASS ...
    root: Path
    split: str
    repeat: PositiveInt = 1  # times each scan is seen in an epoch
    # where it differs from the sensor's, scans are shifted; measured: in each scan, as in use
    sensor_height_m: float | Literal["measured"] | None = None
    limit: PositiveInt | None = None  # use this many scans, evenly spread
    labelled: Literal["scans", "points", "scribbles", "clicks", "objects"] = (
        "scans"  # what has some
    )
    labelled_fraction: float = Field(1.0, gt=0, le=1)  # of the scans, points or objects


class AugmentConfig(Section):
    """Random changes of a training scan; a probability of 0 turns one off."""

    flip: bool = True
    rotate_rad: float = Field(3.14159, ge=0)  # about z, uniform in +- this
    scale: float = Field(0.05, ge=0, lt=1)  # uniform in 1 +- this
    shift_z_m: float = Field(0.2, ge=0)  # normal, standard deviation
    tilt_rad: float = Field(0.015, ge=0)  # about x and y, normal, standard deviation
    jitter_m: float = Field(0.003, ge=0)  # of each point, normal, standard deviation
    drop: float = Field(0.1, ge=0, lt=1)  # up to this share of the points is dropped
    intensity_gain: float = Field(0.2, ge=0)  # log-normal, standard deviation
    intensity_drop: float = Field(0.1, ge=0, le=1)  # probability that all intensities are 0
    paste: float = Field(0.3, ge=0, le=1)  # probability to paste instances of another scan
    paste_count: PositiveInt = 8
    paste_balanced: bool = False  # from a scan with a class drawn evenly, not from any scan
    lasermix: float = Field(0.1, ge=0, le=1)  # probability of LaserMix, Kong et al., CVPR 2023
    polarmix: float = Field(0.1, ge=0, le=1)  # probability of PolarMix, Xiao et al., NeurIPS 2022
    mix3d: float = Field(0.0, ge=0, le=1)  # probability of Mix3D, Nekrasov et al., 3DV 2021
    thin: float = Field(0.0, ge=0, le=1)  # probability to drop beams, azimuths or far points
    weather: float = Field(0.0, ge=0, le=1)  # probability of rain, fog, dirt, dead beams ...
    voxel_scale: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0)  # voxels times a factor between

    @model_validator(mode="after")
    def _scale_rises(self) -> AugmentConfig:
        if self.voxel_scale[0] > self.voxel_scale[1]:
            raise ValueError(f"voxel_scale: wanted [least, most], got {list(self.voxel_scale)}")
        return self


class StageConfig(Section):
    """A stage of a curriculum: which terms of the loss count, up to a share of the training."""

    until: float = Field(gt=0, le=1)
    terms: tuple[str, ...] = Field(min_length=1)  # of the loss


class TrainingConfig(Section):
    """The optimisation."""

    max_steps: PositiveInt = 10000
    batch_size: PositiveInt = 2  # scans per step and device
    accumulate: PositiveInt = 1  # batches per optimiser step
    learning_rate: PositiveFloat = 2e-3  # peak
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    warmup: float = Field(0.1, ge=0, lt=1)  # share of the steps
    clip_norm: PositiveFloat = 10.0
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    average_decay: float = Field(0.999, ge=0, lt=1)  # of the averaged weights; 0 = no averaging
    seed: int = 0
    num_workers: int = Field(1, ge=0)
    validate_every: PositiveInt = 1000  # steps
    checkpoint_every: PositiveInt = 250  # steps
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int | str = "auto"
    num_nodes: PositiveInt = 1
    strategy: str = "auto"
    logger: Literal["csv", "tensorboard", "wandb"] = "csv"  # csv is always written
    pictures: int = Field(2, ge=0)  # validation scans to draw beside their truth
    start_from: Path | None = None  # weights to begin with; the head of other classes is replaced
    cache: Path | None = None  # folder for decoded scans; None decodes them every time
    stages: tuple[StageConfig, ...] = ()  # a curriculum; after the last one all terms count

    @model_validator(mode="after")
    def _stages_ascend(self) -> TrainingConfig:
        until = [stage.until for stage in self.stages]
        if until != sorted(set(until)):
            raise ValueError(f"wanted stages that end one after another, got {until}")
        known = set(LossConfig.model_fields)
        for name in (name for stage in self.stages for name in stage.terms):
            if name not in known:
                raise ValueError(f"no term of the loss is called {name!r}")
        return self

    def active(self, progress: float) -> tuple[str, ...] | None:
        """Terms of the loss that count at a share of the training; None for all."""
        return next((stage.terms for stage in self.stages if progress < stage.until), None)


class Config(Section):
    """Everything."""

    name: str = "town"
    classes: str = DEFAULT_TABLE  # a dataset's: its name, or a class table FILE.yaml
    class_table: dict[str, Any] | None = None  # one's own classes themselves, as weights carry them
    out: Path = Path("runs/town")
    sensor: SensorConfig = SensorConfig()
    grid: GridConfig = GridConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    grouping: GroupingConfig = GroupingConfig()
    fusion: FusionConfig = FusionConfig()
    prior: PriorConfig = PriorConfig()
    trust: TrustConfig = TrustConfig()
    augment: AugmentConfig = AugmentConfig()
    train_data: tuple[DataSource, ...] = ()
    valid_data: tuple[DataSource, ...] = ()
    training: TrainingConfig = TrainingConfig()

    def chosen(self, **choices: dict[str, Any]) -> Config:
        """This configuration with other values, by section and key; None leaves what is there.

        Raises:
            InputError: a value does not fit.
        """
        tree = self.model_dump()
        for section, values in choices.items():
            tree[section] |= {key: value for key, value in values.items() if value is not None}
        return parse_config(tree, "the choice")

    def build_classes(self) -> ClassTable:
        """The class table; InputError where there is none of that name."""
        from lidarpan.datasets.open import find_classes

        if self.class_table is not None:
            return ClassTable.from_tree(self.class_table, self.classes)
        return find_classes(self.classes)


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Read and check a YAML file, then apply `key.path=value` overrides; None = the defaults.

    Raises:
        InputError: the file is missing or no YAML mapping, a key is unknown (the nearest one is
            named), or a value does not fit.
    """
    source = str(path) if path else "defaults"
    tree = read_yaml(_find_config(path), "the configuration") if path else {}
    for override in overrides:
        _apply(tree, override)
    config = parse_config(tree, source)
    _check_names(config, source)
    return _begin_beside(config, path)


def _begin_beside(config: Config, path: Path | None) -> Config:
    """Weights to begin with may lie beside the file, as they do in a run folder."""
    begin = config.training.start_from
    beside = None if path is None or begin is None else path.parent / begin
    if beside is None or begin is None or begin.is_file() or not beside.is_file():
        return config
    training = config.training.model_copy(update={"start_from": beside})
    return config.model_copy(update={"training": training})


def _find_config(path: Path) -> Path:
    """The file itself; where there is none, the shipped one of its name: "town" or "town.yaml"."""
    if path.is_file():
        return path
    shipped = resources.files("lidarpan").joinpath(f"configs/{path.stem}.yaml")
    is_name = path.name in (path.stem, f"{path.stem}.yaml") and path.parent in _SHIPPED_AS
    return Path(str(shipped)) if is_name and shipped.is_file() else path


def _check_names(config: Config, source: str) -> None:
    """Look that the named classes and datasets exist; InputError names the key."""
    from lidarpan.datasets.open import find_dataset

    sources = (("train_data", config.train_data), ("valid_data", config.valid_data))
    names = {} if config.class_table else {"classes": config.classes}
    names |= {f"{key}.{i}.dataset": e.dataset for key, es in sources for i, e in enumerate(es)}
    for key, name in names.items():
        try:
            find_dataset(name)
        except InputError as error:
            raise InputError(f"{source}: {key}: {error}") from None


def parse_config(tree: dict[str, Any], source: str) -> Config:
    """Check a nested mapping; `source` names it in errors."""
    return check_model(Config, tree, source)


def dump_config(config: Config) -> str:
    """The effective configuration as YAML."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return text


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InputError(f"--set {override}: wanted key.path=value")
    *parents, last = key.split(".")
    place: Any = tree
    for parent in parents:
        place = _entry(place, parent, override)
    if isinstance(place, list):
        _entry(place, last, override)
        place[int(last)] = parse_yaml(value, f"--set {override}")
    else:
        place[last] = parse_yaml(value, f"--set {override}")


def _entry(tree: Any, name: str, override: str) -> Any:
    """A section of a mapping, which is made where it is missing, or an entry of a list."""
    if isinstance(tree, list):
        if not name.isdecimal() or int(name) >= len(tree):
            raise InputError(f"--set {override}: wanted a number below {len(tree)}, got {name}")
        return tree[int(name)]
    found = tree.setdefault(name, {})
    if not isinstance(found, dict | list):
        raise InputError(f"--set {override}: {name} is not a section")
    return found
