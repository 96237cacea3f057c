"""Towns for the tables of learning: simulated once by all cores, kept as files, read whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.coarse import NAME as COARSE
from lidarpan.structures import PanopticLabels, Scan

SENSOR = "hdl32e"
CLASSES = "semantickitti"


class Towns:
    """Labelled scans in memory, with the methods of a dataset's split that training asks for."""

    def __init__(self, paths: Sequence[Path], classes: ClassTable, reach_m: float = np.inf) -> None:
        """Read files in one of two class tables; points further ahead or beside are left out."""
        self.classes = classes
        made = load_class_table(CLASSES)
        ids = made.to_coarse if classes.name == COARSE else np.arange(made.num_classes)
        self._scans, self._labels = [], []
        for path in paths:
            with np.load(path) as file:
                near = (np.abs(file["points"][:, :2]) < reach_m).all(axis=1)
                self._scans.append(Scan(file["points"][near], file["intensity"][near]))
                semantic = ids[file["semantic"][near]].astype(np.uint8)
                instance = np.where(np.isin(semantic, classes.things), file["instance"][near], 0)
                labels = PanopticLabels(semantic, instance.astype(np.int32))
                self._labels.append(labels)

    def __len__(self) -> int:
        return len(self._scans)

    def __getitem__(self, i: int) -> Scan:
        return self._scans[i]

    def labels(self, i: int) -> PanopticLabels:
        """Truth of scan i."""
        return self._labels[i]

    def name(self, i: int) -> str:
        """Name of scan i."""
        return f"town {i}"


def town_files(folder: Path, first: int, count: int, workers: int | None = None) -> list[Path]:
    """Files of `count` scans, each of a town of its own; those that are not there are made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{SENSOR}_{seed:06d}.npz" for seed in range(first, first + count)]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        _simulate(missing[0])  # compiles once, for all
        with ProcessPoolExecutor(workers or os.cpu_count(), get_context("spawn")) as pool:
            list(pool.map(_simulate, missing[1:], chunksize=2))
    return paths


def _simulate(path: Path) -> None:
    from lidarpan.synthetic.sensors.presets import SENSORS
    from lidarpan.synthetic.simulate import simulate_scan

    seed = int(path.stem.rsplit("_", 1)[1])
    simulated = simulate_scan(seed, SENSORS[SENSOR])
    labels = simulated.labels(load_class_table(CLASSES))
    real = np.linalg.norm(simulated.scan.points, axis=1) > 0.1  # rays without a return
    beside = path.with_name(f".{path.name}")
    np.savez(
        beside,
        points=simulated.scan.points[real],
        intensity=simulated.scan.intensity[real],
        semantic=labels.semantic[real],
        instance=labels.instance[real],
    )
    beside.rename(path)
