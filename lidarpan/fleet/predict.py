"""Scans and recordings -> predictions, in parts on a cluster."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from lidarpan.datasets.predictions import prediction_paths
from lidarpan.fleet.cluster import Cluster, Part, part_of_many
from lidarpan.inference import Asked, Prediction, predict_pairs, predict_sources
from lidarpan.model.weights import find_weights, read_classes
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.files import all_empty
from lidarpan.scans.output_names import output_folders
from lidarpan.scans.source import FileSource, ScanSource
from lidarpan.whole_file import refuse_inputs_as_outputs, whole_file

MOST_SCANS = 64
"""Scans of a part: some seconds of work at least, so that the cluster's own work is small."""

Pair = tuple[Path, Path]


@dataclass(frozen=True)
class Loading:
    """How a process gets its pipeline; arguments of `PanopticPipeline.from_weights`.

    Attributes:
        weights: shipped ones by name, or a file of the machine that asks.
        device: auto, cpu or cuda, of the machine that works.
        sparse: the sparse engine, or None.
        precision: of the network.
        choices: further ones by name, in any order.
    """

    weights: str = "town"
    device: str = "auto"
    sparse: str | None = None
    precision: str = "fp32"
    choices: tuple[tuple[str, Any], ...] = ()


def predict_on_cluster(
    cluster: Cluster, loading: Loading, sources: Sequence[ScanSource], asked: Asked
) -> Iterator[Prediction]:
    """Predict as `predict_sources` does, on a cluster: the same files, the same order.

    Scans go to the workers in parts of up to MOST_SCANS, a recording as a whole. All workers must
    see the scans and the outputs under the same paths, and have the same version of this package.

    Args:
        cluster: in its block.
        loading: of the pipeline in each worker.
        sources: from `scans.sources.open_sources`.
        asked: what is wanted.

    Yields:
        One Prediction per frame, without its labels.

    Raises:
        InputError: the weights or the choices do not fit.
    """
    asked = replace(asked, begun_s=time.time())
    data = weights_of(loading)
    shared = None if data is None else cluster.share(data)
    classes = read_classes(loading.weights)
    parts: list[Iterator[Part[list[Prediction]]]] = []
    for source, folder in zip(sources, output_folders(asked.out, sources), strict=True):
        own = replace(asked, out=folder)
        if isinstance(source, FileSource) and asked.file_format != "mcap":
            paths = prediction_paths(folder, source.files, asked.file_format, classes)
            refuse_inputs_as_outputs(paths, source.inputs)
            own = replace(own, may_be_empty=not all_empty(source.files))
            pairs = list(zip(source.files, paths, strict=True))
            parts.append(_parts_of_files(cluster, loading, shared, source, pairs, own))
        else:
            parts.append(iter([_part_of_recording(loading, shared, source, own)]))
    for results in cluster.run(part for some in parts for part in some):
        yield from results


def _parts_of_files(
    cluster: Cluster,
    loading: Loading,
    weights: Any,
    source: FileSource,
    pairs: Sequence[Pair],
    asked: Asked,
) -> Iterator[Part[list[Prediction]]]:
    """Runs of scans of one folder; each part knows the names of its whole folder."""
    siblings: dict[Path, list[Path]] = {}
    for scan, _ in pairs:
        siblings.setdefault(scan.parent, []).append(scan)
    size = part_size(len(pairs), cluster.num_workers)
    for folder, run in groupby(pairs, key=lambda pair: pair[0].parent):
        whole = cluster.share(replace(source, files=siblings[folder]))
        of_folder = list(run)
        for start in range(0, len(of_folder), size):
            some = of_folder[start : start + size]
            yield part_of_many(predict_part, (loading, weights, whole, asked), some, lost_scan)


def lost_scan(pair: Pair, why: str) -> Prediction:
    """What is said of a scan that kills its process."""
    scan, path = pair
    return Prediction(scan, path, error=f"{scan}: {why}")


def part_size(total: int, workers: int) -> int:
    """Scans of a part: four parts or more for each worker, none larger than MOST_SCANS."""
    return max(1, min(MOST_SCANS, total // (4 * workers)))


def predict_part(
    loading: Loading, weights: bytes | None, source: FileSource, asked: Asked, pairs: list[Pair]
) -> list[Prediction]:
    """Predict some scans in a worker."""
    stream = predict_pairs(_pipeline(loading, weights), source, pairs, asked)
    return [_light(result) for result in stream]


def _part_of_recording(
    loading: Loading, weights: Any, source: ScanSource, asked: Asked
) -> Part[list[Prediction]]:
    lost = Prediction(source.path, asked.out)

    def answer(why: str) -> list[Prediction]:
        return [replace(lost, error=f"{source.path}: {why}")]

    return Part(predict_recording, (loading, weights, source, asked), answer)


def predict_recording(
    loading: Loading, weights: bytes | None, source: ScanSource, asked: Asked
) -> list[Prediction]:
    """Predict a whole recording in a worker."""
    stream = predict_sources(_pipeline(loading, weights), [source], asked)
    return [_light(result) for result in stream]


def _light(result: Prediction) -> Prediction:
    """What is sent back: no labels, which are in their file."""
    said = tuple(str(warning) for warning in result.warnings)
    return replace(result, labels=None, warnings=said)


def weights_of(loading: Loading) -> bytes | None:
    """A weights file to send to the workers; None for shipped ones, which they have."""
    path = find_weights(loading.weights)
    read_classes(loading.weights)
    shipped = path.parent == find_weights("town").parent
    return None if shipped else path.read_bytes()


def _pipeline(loading: Loading, weights: bytes | None) -> PanopticPipeline:
    """The worker's pipeline, loaded once."""
    if weights is not None:
        name = hashlib.sha256(weights).hexdigest()
        path = Path(tempfile.gettempdir()) / f"lidarpan-{name}.safetensors"
        if not path.is_file() or path.stat().st_size != len(weights):
            with whole_file(path) as beside:
                beside.write_bytes(weights)
        loading = replace(loading, weights=str(path))
    return _load(loading)


@lru_cache(maxsize=1)
def _load(loading: Loading) -> PanopticPipeline:
    choices: Any = dict(loading.choices)
    return PanopticPipeline.from_weights(
        loading.weights, loading.device, loading.sparse, loading.precision, **choices
    )
