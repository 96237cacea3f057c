"""Folders of scan files -> folders of predictions; interrupted work is taken up where it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lidarpan.clock import StageClock
from lidarpan.datasets.files import load_scan
from lidarpan.datasets.inspection import fit_ground
from lidarpan.datasets.predictions import is_complete, prediction_paths, write_prediction
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import InputError, PanopticLabels, Scan

ROAD_HALF_WIDTH_M = 4.0
HEIGHT_TOLERANCE_M = 0.3
"""Scans whose ground lies further from where the weights expect it are shifted."""


@dataclass(frozen=True)
class Prediction:
    """What became of one scan file.

    Attributes:
        scan_path: the input.
        path: the file written.
        labels: what was predicted of the usable points; None where the file was there already.
        warnings: what looked wrong with the input.
        num_dropped: points of the file that could not be used (NaN, infinite).
        elapsed_ms: time of each stage.
        error: why this scan could not be predicted, or None.
    """

    scan_path: Path
    path: Path
    labels: PanopticLabels | None = None
    warnings: tuple[str, ...] = ()
    num_dropped: int = 0
    elapsed_ms: dict[str, float] | None = None
    error: str | None = None


def sensor_height(scan: Scan, expected_m: float) -> float:
    """Height of the sensor above the road, metres; `expected_m` where they nearly agree.

    From a plane fitted to the ground ahead of and behind the sensor: what lies beside a road may be
    far below it.
    """
    ahead = scan.points[np.abs(scan.points[:, 1]) < ROAD_HALF_WIDTH_M]
    plane = fit_ground(ahead, reach_m=12.0) or fit_ground(scan.points)
    if plane is None or abs(-plane[2] - expected_m) < HEIGHT_TOLERANCE_M:
        return expected_m
    return -plane[2]


def predict_files(
    pipeline: PanopticPipeline,
    scan_paths: Sequence[Path],
    out: Path,
    file_format: str,
    *,
    sensor_height_m: float | None = None,
    overwrite: bool = False,
) -> Iterator[Prediction]:
    """Predict each scan and write its labels; scans whose prediction is whole are passed over.

    Args:
        pipeline: the loaded weights.
        scan_paths: files that `datasets.files.load_scan` reads.
        out: folder for the predictions.
        file_format: semantickitti, nuscenes, npz or ply.
        sensor_height_m: of the scans' sensor; None measures it in each scan.
        overwrite: predict again what is there already.

    Yields:
        One Prediction per scan, in order; a scan that cannot be read has its `error` set.
    """
    paths = prediction_paths(out, scan_paths, file_format)
    for scan_path, path in zip(scan_paths, paths, strict=True):
        if not overwrite and is_complete(path, scan_path, file_format):
            yield Prediction(scan_path, path)
            continue
        try:
            yield _predict_file(pipeline, scan_path, path, file_format, sensor_height_m)
        except InputError as error:
            yield Prediction(scan_path, path, error=str(error))


def _predict_file(
    pipeline: PanopticPipeline,
    scan_path: Path,
    path: Path,
    file_format: str,
    sensor_height_m: float | None,
) -> Prediction:
    clock = StageClock()
    with clock("read"):
        loaded = load_scan(scan_path, pipeline.sensor_height_m)
        height = sensor_height_m or sensor_height(loaded.scan, pipeline.sensor_height_m)
    labels = pipeline.predict(loaded.scan, sensor_height_m=height, clock=clock)
    with clock("write"):
        write_prediction(path, labels, loaded, pipeline.classes, file_format)
    warnings = list(loaded.warnings)
    if sensor_height_m is None and height != pipeline.sensor_height_m:
        warnings.append(
            f"predicted as if the sensor were {pipeline.sensor_height_m:.2f} m above the ground, "
            f"not {height:.2f} m (--sensor-height overrides)"
        )
    dropped = int((~loaded.valid).sum())
    return Prediction(scan_path, path, labels, tuple(warnings), dropped, clock.elapsed_ms)
