"""A folder of scans, one after the other and overlapped: scans per second, and the same labels."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lidarpan.bench.scans import write_street
from lidarpan.bench.timing import digest_of
from lidarpan.inference import predict_files
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import InputError


def measure_overlap(
    pipeline: PanopticPipeline,
    *,
    num_scans: int = 24,
    num_points: int = 120_000,
    scan_paths: Sequence[Path] = (),
) -> dict[str, Any]:
    """Predict a folder serially and overlapped, after warm-up, and compare the files.

    Args:
        pipeline: what predicts.
        num_scans: of the folder.
        num_points: of each street of boxes, about.
        scan_paths: scans to take instead of streets.

    Returns:
        "num_scans", "serial_scans_per_s", "overlapped_scans_per_s", "speedup" and "is_same".

    Raises:
        InputError: a scan cannot be predicted.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        streets = [write_street(folder, num_points, seed) for seed in range(min(num_scans, 4))]
        originals = list(scan_paths) or streets
        scans = []
        for index in range(num_scans):
            scans.append(folder / f"{index:06d}{originals[0].suffix}")
            scans[-1].symlink_to(originals[index % len(originals)].absolute())
        rates, digests = {}, {}
        for name, is_overlapped in (("warm-up", True), ("serial", False), ("overlapped", True)):
            begin = time.perf_counter()
            chosen = scans[:4] if name == "warm-up" else scans
            stream = predict_files(
                pipeline, chosen, folder / name, pipeline.classes.name, is_overlapped=is_overlapped
            )
            results = list(stream)
            rates[name] = len(results) / (time.perf_counter() - begin)
            for result in results:
                if result.error:
                    raise InputError(result.error)
            digests[name] = digest_of([result.path for result in results])
    return {
        "num_scans": num_scans,
        "serial_scans_per_s": rates["serial"],
        "overlapped_scans_per_s": rates["overlapped"],
        "speedup": rates["overlapped"] / rates["serial"],
        "is_same": digests["serial"] == digests["overlapped"],
    }
