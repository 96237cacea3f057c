"""Weights and unlabelled scans of one's own sensor -> weights fitted to them, or the old ones."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lidarpan.config import LossConfig, parse_config
from lidarpan.model.checkpoint import fit_weights, load_weights, save_weights
from lidarpan.model.copies import COPIES
from lidarpan.model.device_network import voxel_network
from lidarpan.model.inference import scan_norms
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.model.weights import build_network, choose_device, find_weights
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.frame_paths import loader_of
from lidarpan.structures import InputError
from lidarpan.synthetic.sensors.estimate import estimate_sensor
from lidarpan.synthetic.sensors.sensor import Sensor
from lidarpan.synthetic.simulate import simulate_scan
from lidarpan.training.augment import Sample
from lidarpan.training.own_scans import (
    Judge,
    OwnScan,
    Say,
    consistency,
    probabilities_of,
    read_own_scans,
    run_like,
    split_scans,
)
from lidarpan.training.shares import class_weights
from lidarpan.training.teacher import Lesson, Taught, shares_of, teach, without_prior
from lidarpan.whole_file import whole_file

MOST_SCANS = 24
"""Scans that are looked at, a quarter of them to judge by."""

SHARES = (1.0, 0.7, 0.5, 0.3)
"""Of a scan's own statistics; less fits no sensor but the ones of the training."""

CLEARLY = 0.05
"""Consistency by which another share must be ahead."""

LEAST_GAIN = 0.003
"""Agreement with the copies' average that a taught network must gain on the scans held out."""

NUM_TOWNS = 8
"""Simulated scans that are mixed with the own ones."""


@dataclass(frozen=True)
class Trial:
    """A share of a scan's own statistics, and how steady the network is with it.

    Attributes:
        share: 1 = nothing else, 0 = the statistics stored in training.
        consistency: share of the points that keep their class when a scan is turned and scaled.
        network: with that share.
    """

    share: float
    consistency: float
    network: PanopticNetwork


@dataclass(frozen=True)
class Adapted:
    """What came of it.

    Attributes:
        out: the weights written: new ones, or a copy of the old ones.
        trials: the shares tried, the old weights' first.
        chosen: place in trials of the share taken; 0 = the old one.
        fitted: scans fitted to.
        held_out: scans judged by.
        taught: the full form's way, or None.
        sensor: the full form's idea of the sensor, or None.
    """

    out: Path
    trials: tuple[Trial, ...]
    chosen: int
    fitted: tuple[Path, ...]
    held_out: tuple[Path, ...]
    taught: Taught | None = None
    sensor: Sensor | None = None

    @property
    def is_taught(self) -> bool:
        """Whether the taught network gained enough to be written."""
        return self.taught is not None and self.taught.gain >= LEAST_GAIN

    @property
    def is_new(self) -> bool:
        """Whether anything but the old weights was written."""
        return self.chosen > 0 or self.is_taught


def adapt(
    weights: str | Path,
    scan_paths: Sequence[Path],
    out: Path,
    *,
    full: bool = False,
    steps: int = 120,
    most_scans: int = MOST_SCANS,
    sensor_height_m: float | None = None,
    device: str = "auto",
    seed: int = 0,
    say: Say = lambda text: None,
) -> Adapted:
    """Fit weights to unlabelled scans of one sensor.

    The fast form chooses how far a scan is normalised by its own statistics: the share with which
    the network is steadiest when the scans are turned and scaled, where that is clearly ahead. The
    full form goes on from there with a mean teacher on mixes of the scans with fresh simulated ones
    of the same sensor, whose beams are told from the scans, and stops at the peak of its agreement.
    Both are judged by scans held out; where neither gains, the old weights are written.

    Args:
        weights: to begin with, a shipped name or a .safetensors file.
        scan_paths: two or more scan files, or the FramePaths of any sources.
        out: .safetensors file to write.
        full: teach the network, minutes on two cores.
        steps: most training steps of the full form.
        most_scans: scans to look at, evenly spread.
        sensor_height_m: None measures it in each scan.
        device: "auto", "cpu" or "cuda".
        seed: of the full form.
        say: takes what is going on, in words.

    Raises:
        InputError: too few scans, a file that is none, or weights that do not fit.
    """
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: wanted a name that ends in .safetensors")
    path = find_weights(weights)
    state, header = load_weights(path)
    config = parse_config(header["config"], str(path))
    network = build_network(config)
    fit_weights(network, state, str(path))
    network = network.eval().to(choose_device(device))
    pipeline = PanopticPipeline.from_config(config, network)
    fit_paths, held_paths = split_scans(scan_paths, most_scans)
    load = loader_of(scan_paths)
    say(f"reading {len(fit_paths)} scans to fit to, {len(held_paths)} to judge by")
    held_out = read_own_scans(held_paths, pipeline, sensor_height_m, load)
    trials = try_shares(network, voxel_network(pipeline.network), held_out)
    for trial in trials:
        say(f"share {trial.share:g} of a scan's own statistics: {trial.consistency:.3f} steady")
    chosen = max(range(len(trials)), key=lambda i: trials[i].consistency)
    if trials[chosen].consistency < trials[0].consistency + CLEARLY:
        chosen = 0
    taught, sensor = None, None
    if full:
        fitted = read_own_scans(fit_paths, pipeline, sensor_height_m, load)
        sensor = estimate_sensor([one.scan for one in fitted], fitted[0].height_m)
        say(f"simulating {NUM_TOWNS} scans of {len(sensor.elevations_rad)} beams")
        towns = simulate_like(sensor, pipeline, seed)
        begin = PanopticPipeline.from_config(config, trials[chosen].network, tta=True)
        taught = _teach(begin, trials[chosen].network, fitted, held_out, towns, steps, seed, say)
    result = Adapted(
        out, tuple(trials), chosen, tuple(fit_paths), tuple(held_paths), taught, sensor
    )
    _write(result, path, header)
    return result


def _teach(
    begin: PanopticPipeline,
    network: PanopticNetwork,
    fitted: Sequence[OwnScan],
    held_out: Sequence[OwnScan],
    towns: Sequence[Sample],
    steps: int,
    seed: int,
    say: Say,
) -> Taught:
    """`teach` from a network, whose average over copies is the first teacher and the judge."""
    old, classes = voxel_network(begin.network), begin.classes
    lessons = []
    for own in fitted:
        said = probabilities_of(old, own)
        labels = begin.finish(own.prepared, said)
        lessons.append(Lesson(own, without_prior(said, old), labels))
    weight = class_weights(shares_of(towns, classes.num_classes), LossConfig().class_balance)
    return teach(
        network,
        lessons,
        towns,
        old,
        classes,
        Judge(old, held_out),
        class_weight=weight,
        steps=steps,
        seed=seed,
        say=say,
    )


def try_shares(
    network: PanopticNetwork, old: VoxelNetwork, scans: Sequence[OwnScan]
) -> list[Trial]:
    """Less of a scan's own statistics, more of the stored ones; the first is the network itself."""
    trials = []
    given = {norm.share for norm in scan_norms(network).values()}
    for share in dict.fromkeys((*given, *SHARES)):
        changed = with_share(network, share)
        same = consistency(run_like(old, changed), scans, COPIES[0])
        trials.append(Trial(share, same, changed))
    return trials


def with_share(network: PanopticNetwork, share: float) -> PanopticNetwork:
    """A copy that normalises by another share of a scan's own statistics."""
    changed = copy.deepcopy(network)
    for norm in scan_norms(changed).values():
        norm.share = share
    return changed


def simulate_like(
    sensor: Sensor, pipeline: PanopticPipeline, seed: int, count: int = NUM_TOWNS
) -> list[Sample]:
    """Labelled scans of towns by a sensor, at the height the network was trained at."""
    samples = []
    height_m = pipeline.sensor_height_m or sensor.height_m
    for k in range(count):
        simulated = simulate_scan(5_000_000 + 1000 * seed + k, sensor)
        scan = simulated.scan.raised(sensor.height_m - height_m)
        labels = simulated.labels(pipeline.classes)
        samples.append(Sample(scan.points, scan.intensity, labels.semantic, labels.instance))
    return samples


def _write(result: Adapted, source: Path, header: dict[str, Any]) -> None:
    """New weights with a word on how they came about, or a copy of the old file."""
    if not result.is_new:
        with whole_file(result.out) as beside:
            shutil.copyfile(source, beside)
        return
    trial = result.trials[result.chosen]
    header = copy.deepcopy(header)
    header["config"].setdefault("network", {})["norm_share"] = trial.share
    header["adapted"] = {
        "scans": len(result.fitted),
        "held_out": len(result.held_out),
        "share": trial.share,
        "steps": result.taught.step if result.taught and result.is_taught else 0,
    }
    network = result.taught.network if result.taught and result.is_taught else trial.network
    save_weights(result.out, network.state_dict(), header, half=True)
