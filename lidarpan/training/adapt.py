"""Weights and unlabelled scans of one's own sensor -> weights fitted to them, or the old ones."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.config import LossConfig, parse_config
from lidarpan.model.checkpoint import fit_weights, load_weights, save_weights
from lidarpan.model.copies import COPIES, MANY_COPIES
from lidarpan.model.device_network import voxel_network
from lidarpan.model.inference import scan_norms
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.model.weights import build_network, choose_device, find_weights
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.frame_paths import loader_of
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M
from lidarpan.structures import InputError
from lidarpan.synthetic.sensors.estimate import estimate_sensor
from lidarpan.synthetic.sensors.random_sensor import with_unknowns
from lidarpan.synthetic.sensors.sensor import Sensor
from lidarpan.synthetic.simulate import simulate_scan
from lidarpan.training.augment import Sample
from lidarpan.training.own_scans import (
    Agreement,
    OwnScan,
    Say,
    Steadiness,
    consistency,
    probabilities_of,
    read_own_scans,
    run_like,
    split_scans,
)
from lidarpan.training.shares import class_weights
from lidarpan.training.teacher import (
    Course,
    Lesson,
    Taught,
    practise,
    shares_of,
    teach,
    without_prior,
)
from lidarpan.voxels.intensity import brightness
from lidarpan.whole_file import whole_file

MOST_SCANS = 24
"""Scans that are looked at, a quarter of them to judge by."""

SHARES = (1.0, 0.7, 0.5, 0.3)
"""Of a scan's own statistics; less fits no sensor but the ones of the training."""

CLEARLY = 0.05
"""Consistency by which another share must be ahead."""

LEAST_GAIN = 0.003
"""Agreement with the copies' average that a taught network must gain on the scans held out."""

LOW_M, LOOKS_DOWN_RAD = 0.8, -0.14
"""A sensor lower than this has a tenth of its beams lower than this, or scans in another frame."""

STEADIER = 0.01
"""Share of the points more that must keep their class for a practised network to be taken."""

NUM_TOWNS = 48
"""Simulated scans of the own sensor to practise on, and to mix with the own ones."""


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
        practised: the full form's way on simulated scans of the sensor, or None.
        taught: its way on the own scans after that, or None.
        sensor: the full form's idea of the sensor, or None.
    """

    out: Path
    trials: tuple[Trial, ...]
    chosen: int
    fitted: tuple[Path, ...]
    held_out: tuple[Path, ...]
    practised: Taught | None = None
    taught: Taught | None = None
    sensor: Sensor | None = None

    @property
    def is_practised(self) -> bool:
        """Whether the practised network was steady enough to go on with."""
        return self.practised is not None and self.practised.gain >= STEADIER

    @property
    def is_taught(self) -> bool:
        """Whether the taught network gained enough to be written."""
        return self.taught is not None and self.taught.gain >= LEAST_GAIN

    @property
    def is_new(self) -> bool:
        """Whether anything but the old weights was written."""
        return self.chosen > 0 or self.is_practised or self.is_taught

    @property
    def network(self) -> PanopticNetwork:
        """The best one."""
        if self.taught and self.is_taught:
            return self.taught.network
        if self.practised and self.is_practised:
            return self.practised.network
        return self.trials[self.chosen].network


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
    full form goes on from there. It practises on fresh simulated scans of the same sensor, whose
    beams and noise are told from the scans; what comes of it is taken where it is steadier. Then it
    learns, beside simulated scans, to say of the own scans what it says on average of turned,
    mirrored and scaled copies of them, and stops at the peak of its agreement. All are judged by
    scans held out; where nothing gains, the old weights are written.

    Args:
        weights: to begin with, a shipped name or a .safetensors file.
        scan_paths: two or more scan files, or the FramePaths of any sources.
        out: .safetensors file to write.
        full: teach the network, minutes on two cores.
        steps: most training steps of each part of the full form.
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
    result = Adapted(out, tuple(trials), chosen, tuple(fit_paths), tuple(held_paths))
    if full:
        fitted = read_own_scans(fit_paths, pipeline, sensor_height_m, load)
        result = _fit_fully(result, pipeline, fitted, held_out, steps, seed, say)
    _write(result, path, header)
    return result


def _fit_fully(
    result: Adapted,
    pipeline: PanopticPipeline,
    fitted: Sequence[OwnScan],
    held_out: Sequence[OwnScan],
    steps: int,
    seed: int,
    say: Say,
) -> Adapted:
    """Practise on simulated scans of the sensor, then learn from what copies of own scans say."""
    old, classes = voxel_network(pipeline.network), pipeline.classes
    sensor = sensor_of(fitted, pipeline.sensor_height_m or EXPECTED_HEIGHT_M)
    say(f"simulating {NUM_TOWNS} scans of {len(sensor.elevations_rad)} beams")
    towns = simulate_like(sensor, pipeline, seed, NUM_TOWNS)
    seen = (brightness(one.scan.points, one.scan.intensity, old.intensity) for one in fitted)
    if not any(bright.any() for bright in seen):
        towns = [replace(town, intensity=np.zeros_like(town.intensity)) for town in towns]
    weight = class_weights(shares_of(towns, classes.num_classes), LossConfig().class_balance)
    course = Course(old, classes, weight, steps, seed, say)
    practised = practise(result.network, towns, Steadiness(old, held_out), course)
    result = replace(result, sensor=sensor, practised=practised)
    copies = run_like(old, result.network, MANY_COPIES)
    lessons = [Lesson(own, without_prior(probabilities_of(copies, own), copies)) for own in fitted]
    taught = teach(result.network, lessons, towns, Agreement(copies, held_out), course)
    return replace(result, taught=taught)


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


def sensor_of(scans: Sequence[OwnScan], trained_height_m: float) -> Sensor:
    """The sensor of scans that were raised to the height the network was trained at.

    Where their origin lies near the ground and hardly a point below it, they are in the frame of a
    vehicle whose sensor is somewhere above: at the trained height, as far as anyone can tell.
    """
    seen = [one.scan.raised(trained_height_m - one.height_m) for one in scans]
    sensor = estimate_sensor(seen, float(np.median([one.height_m for one in scans])))
    if sensor.height_m > LOW_M or np.quantile(sensor.elevations_rad, 0.1) < LOOKS_DOWN_RAD:
        return sensor
    return estimate_sensor([one.scan for one in scans], trained_height_m)


def simulate_like(
    sensor: Sensor, pipeline: PanopticPipeline, seed: int, count: int
) -> list[Sample]:
    """Labelled scans of towns by a sensor, at the height the network was trained at."""
    samples = []
    height_m = pipeline.sensor_height_m or sensor.height_m
    for k in range(count):
        town = 5_000_000 + 1000 * seed + k
        simulated = simulate_scan(town, with_unknowns(sensor, np.random.default_rng([town, 12])))
        scan = simulated.scan.raised(sensor.height_m - height_m)
        labels = simulated.labels(pipeline.classes)
        bright = brightness(scan.points, scan.intensity, voxel_network(pipeline.network).intensity)
        samples.append(Sample(scan.points, bright, labels.semantic, labels.instance))
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
        "practised": result.practised.step if result.practised and result.is_practised else 0,
        "steps": result.taught.step if result.taught and result.is_taught else 0,
    }
    save_weights(result.out, result.network.state_dict(), header, half=True)
