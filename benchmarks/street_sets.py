"""Labelled real scans, and the three sets of classes they are scored in.

Sets are found below one folder; what a set labels, and what of it weights may have seen in
training, stands in SETS. Nineteen classes are SemanticKITTI's. Ten are those of PCLSegmentation
(ika, Aachen: road, sidewalk, building, pole, vegetation, person, two-wheeler, car, truck, bus),
seven those of LiDOG (Saltori et al., ICCV 2023: vehicle, person, road, sidewalk, terrain, manmade,
vegetation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.kitti_labels import read_label, unpack_labels
from lidarpan.datasets.nuscenes_labels import read_panoptic, unpack_panoptic
from lidarpan.scans.find import natural_key
from lidarpan.structures import InputError, IntArray, SemanticArray


@dataclass(frozen=True)
class Protocol:
    """A set of classes to score in; 0 is ignored.

    Attributes:
        name: "nineteen", "ten" or "seven".
        names: C class names; names[0] is "void".
        things: ids of the classes with countable objects.
        of: class name of a class table -> class name here; what is missing is ignored.
    """

    name: str
    names: tuple[str, ...]
    things: tuple[int, ...]
    of: Mapping[str, str]

    def map_from(self, classes: ClassTable, merged: Mapping[str, str]) -> SemanticArray:
        """(T,) uint8: class here of each train id of a table. merged: classes a set cannot tell."""
        here = [self.of.get(name, "void") for name in classes.names]
        return np.array([self.names.index(merged.get(name, name)) for name in here], np.uint8)


def _protocol(name: str, groups: Mapping[str, str], things: str) -> Protocol:
    of = {member: group for group, members in groups.items() for member in members.split()}
    names = ("void", *groups)
    return Protocol(name, names, tuple(names.index(thing) for thing in things.split()), of)


def protocols() -> dict[str, Protocol]:
    """The three sets of classes, by name."""
    kitti = load_class_table("semantickitti")
    nineteen = Protocol(
        "nineteen", kitti.names, kitti.things, {name: name for name in kitti.names[1:]}
    )
    ten = {
        "road": "road parking driveable_surface",
        "sidewalk": "sidewalk other-ground other_flat",
        "building": "building fence manmade",
        "pole": "pole traffic-sign",
        "vegetation": "vegetation trunk terrain",
        "person": "person pedestrian",
        "two-wheeler": "bicycle motorcycle bicyclist motorcyclist",
        "car": "car",
        "truck": "truck trailer construction_vehicle",
        "bus": "other-vehicle bus",
    }
    seven = {
        "vehicle": "car truck other-vehicle bicycle motorcycle bus trailer construction_vehicle",
        "person": "person pedestrian bicyclist motorcyclist",
        "road": "road parking driveable_surface",
        "sidewalk": "sidewalk other-ground other_flat",
        "terrain": "terrain",
        "manmade": "building fence pole traffic-sign manmade",
        "vegetation": "vegetation trunk",
    }
    return {
        "nineteen": nineteen,
        "ten": _protocol("ten", ten, "person two-wheeler car truck bus"),
        "seven": _protocol("seven", seven, "vehicle person"),
    }


@dataclass(frozen=True)
class StreetSet:
    """One set of labelled scans.

    Attributes:
        name: what `--sets` calls it.
        title: sensor and place.
        folder: of the scans, below the real scans' folder.
        pattern: of the scan files in it.
        num_beams: of the sensor.
        protocols: the classes it can be scored in.
        has_instances: whether objects are labelled, so that PQ can be given.
        min_points: smallest object that counts as an error.
        merged: classes it does not tell apart: those in the left go to those on the right.
        note: what must be known to read its scores.
        group: sets of one group are also scored together, under this name.
    """

    name: str
    title: str
    folder: str
    pattern: str
    num_beams: int
    protocols: tuple[str, ...]
    has_instances: bool
    min_points: int = 50
    merged: tuple[tuple[str, str], ...] = ()
    note: str = ""
    group: str = ""

    def scans(self, root: Path, most: int | None) -> list[Path]:
        """Scan files in order, `most` of them evenly spread; none without the folder."""
        files = sorted((root / self.folder).glob(self.pattern), key=natural_key)
        if most is None or len(files) <= most:
            return files
        return [files[i] for i in np.linspace(0, len(files) - 1, most).round().astype(int)]

    def truth(self, scan: Path) -> tuple[SemanticArray, IntArray, ClassTable]:
        """Train ids and instances of each point of a scan's file, and the table of the ids."""
        if self.pattern.endswith(".pcd.bin"):
            number = scan.name.removesuffix(".pcd.bin")
            file = scan.parents[1] / "panoptic" / f"{number}_panoptic.npz"
            table = load_class_table("nuscenes")
            labels = unpack_panoptic(read_panoptic(file), table, is_general=False)
        else:
            beside = scan.with_suffix(".label")
            file = beside if beside.is_file() else scan.parents[1] / "labels" / beside.name
            table = load_class_table("semantickitti")
            labels = unpack_labels(read_label(file), table)
        return labels.semantic, labels.instance, table


_ALL = ("nineteen", "ten", "seven")
SETS = (
    StreetSet(
        "semantickitti00",
        "HDL-64E, Karlsruhe",
        "semantickitti/sequences/00/velodyne",
        "*.bin",
        64,
        _ALL,
        has_instances=True,
        note="the simulator's statistics were fitted to these three scans; none was trained on",
        group="semantickitti",
    ),
    StreetSet(
        "semantickitti08",
        "HDL-64E, another street",
        "semantickitti/sequences/08/velodyne",
        "*.bin",
        64,
        _ALL,
        has_instances=True,
        note="the simulator's statistics were fitted to these three scans; none was trained on",
        group="semantickitti",
    ),
    StreetSet(
        "pandaset02",
        "Pandar64, San Francisco",
        "pandaset/sequences/02/velodyne",
        "*.bin",
        64,
        _ALL,
        has_instances=True,
        note="15 of its 30 frames were trained on: no test",
    ),
    StreetSet(
        "nuscenes",
        "HDL-32E, Singapore",
        "nuscenes/LIDAR_TOP",
        "*.pcd.bin",
        32,
        ("ten", "seven"),
        has_instances=True,
        min_points=15,
        merged=(("pole", "building"),),
        note="manmade (with poles) counts as building; barriers and cones are left out",
    ),
    StreetSet(
        "kitti00",
        "HDL-64E, every second azimuth",
        "streets/kitti00",
        "*.bin",
        64,
        _ALL,
        has_instances=False,
    ),
    StreetSet(
        "nuscenes-images",
        "HDL-32E, range images",
        "streets/nuscenes",
        "*.bin",
        32,
        ("ten",),
        has_instances=False,
        note="vegetation holds terrain, sidewalk other flat ground, pole barriers and cones",
    ),
    StreetSet(
        "vlp32",
        "VLP-32C, front sector, Aachen",
        "streets/vlp32",
        "*.bin",
        32,
        ("ten",),
        has_instances=False,
        note="vegetation holds terrain",
    ),
)


def choose_sets(names: str) -> tuple[StreetSet, ...]:
    """Sets by comma-separated names, or "all"; InputError lists the names."""
    if names == "all":
        return SETS
    known = {street.name: street for street in SETS}
    wanted = names.split(",")
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(f"no set {unknown[0]!r}: wanted all or some of {','.join(known)}")
    return tuple(known[name] for name in wanted)


def scored_as(
    semantic: SemanticArray, classes: ClassTable, protocol: Protocol, street: StreetSet
) -> NDArray[np.int64]:
    """Train ids -> the protocol's classes, with what the set does not tell apart merged. (N,)."""
    merged = dict(street.merged)
    mapped: NDArray[np.int64] = protocol.map_from(classes, merged)[semantic].astype(np.int64)
    return mapped
