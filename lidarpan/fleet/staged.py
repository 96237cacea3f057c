"""Scans in a store -> predictions in a store or a folder; workers fetch what they work on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lidarpan.datasets.predictions import prediction_paths
from lidarpan.fleet.cluster import Cluster, part_of_many
from lidarpan.fleet.predict import (
    Loading,
    Pair,
    lost_scan,
    part_size,
    predict_part,
    weights_of,
)
from lidarpan.fleet.store import Store, Stored, url_of
from lidarpan.inference import Asked, Prediction
from lidarpan.inference.job import looked_at
from lidarpan.model.weights import read_classes
from lidarpan.scans.find import scans_among
from lidarpan.scans.source import FileSource
from lidarpan.structures import InputError


@dataclass(frozen=True)
class Staging:
    """Between a store and a worker's own disk.

    Attributes:
        source: URL of the scans.
        out: URL or local folder of the labels.
        names: (path in the store, path below the local copy) of all scans of one folder.
        columns: of headerless files.
    """

    source: str
    out: str
    names: tuple[tuple[str, Path], ...]
    columns: str | None = None


def predict_stored(
    cluster: Cluster,
    loading: Loading,
    url: str,
    out: Path,
    asked: Asked,
    columns: str | None = None,
) -> tuple[int, Iterator[Prediction]]:
    """Predict the scan files in a store, as if they lay in a local folder of the same names.

    Each worker fetches its scans, and those few that decide for their folder what intensities mean,
    and writes the labels where they belong. Labels that are there and not older than their scan
    stay, unless they are to be overwritten.

    Args:
        cluster: in its block.
        loading: of the pipeline in each worker.
        url: of a folder or a pattern of scan files.
        out: a URL or a folder that all workers see.
        asked: what is wanted; its `out` is not used.
        columns: of headerless files, as in `predict_files`.

    Returns:
        How many scans there are, and one Prediction per scan, in order.

    Raises:
        InputError: the store cannot be read, or holds no scans.
    """
    store = Store(url)
    stored = {Path(one.path.lstrip("/")): one for one in store.find()}
    scans = scans_among(stored)
    if not scans:
        raise InputError(f"{url}: wanted scans, got {len(stored)} files that are none")
    classes = read_classes(loading.weights)
    labels = prediction_paths(Path("labels"), scans, asked.file_format, classes)
    pairs = [(scan, path.relative_to("labels")) for scan, path in zip(scans, labels, strict=True)]
    there = {} if asked.overwrite else _there(out)
    may_be_empty = any(stored[scan].size for scan in scans)
    asked = replace(asked, out=Path("labels"), may_be_empty=may_be_empty, begun_s=time.time())
    return len(scans), _predict(cluster, loading, url, out, asked, columns, stored, pairs, there)


def predict_all_stored(
    cluster: Cluster,
    loading: Loading,
    paths: Sequence[str],
    out: Path,
    asked: Asked,
    columns: str | None = None,
) -> tuple[int, Iterator[Prediction]]:
    """`predict_stored` for several URLs; a local folder is one, too."""
    urls = [url_of(path) or Path(path).absolute().as_uri() for path in paths]
    found = [predict_stored(cluster, loading, url, out, asked, columns) for url in urls]
    return sum(total for total, _ in found), chain.from_iterable(some for _, some in found)


def _predict(
    cluster: Cluster,
    loading: Loading,
    url: str,
    out: Path,
    asked: Asked,
    columns: str | None,
    stored: Mapping[Path, Stored],
    pairs: Sequence[Pair],
    there: Mapping[Path, Stored],
) -> Iterator[Prediction]:
    data = weights_of(loading)
    weights = None if data is None else cluster.share(data)
    done = {path for scan, path in pairs if _is_done(there.get(path), stored[scan])}
    size = part_size(len(pairs) - len(done), cluster.num_workers)

    def parts() -> Iterator[Any]:
        for _, run in groupby(pairs, key=lambda pair: pair[0].parent):
            folder = list(run)
            names = tuple((stored[scan].path, scan) for scan, _ in folder)
            whole = cluster.share(Staging(url, url_of(out) or str(out), names, columns))
            wanted = [pair for pair in folder if pair[1] not in done]
            for start in range(0, len(wanted), size):
                some = wanted[start : start + size]
                arguments = (loading, weights, whole, asked)
                yield part_of_many(predict_fetched, arguments, some, lost_scan)

    answers = (result for results in cluster.run(parts()) for result in results)
    for scan, path in pairs:
        yield Prediction(scan, out / path) if path in done else next(answers)


def predict_fetched(
    loading: Loading, weights: bytes | None, staging: Staging, asked: Asked, pairs: list[Pair]
) -> list[Prediction]:
    """Fetch some scans, predict them and send the labels, in a worker."""
    local_out = url_of(staging.out) is None
    with TemporaryDirectory(prefix="lidarpan-") as made:
        scans, labels = Path(made) / "scans", Path(made) / "labels"
        place = Path(staging.out) if local_out else labels
        whole = [scans / name for _, name in staging.names]
        wanted = {scans / scan for scan, _ in pairs} | looked_at(whole)
        fetched = zip((path for path, _ in staging.names), whole, strict=True)
        try:
            Store(staging.source).fetch(pair for pair in fetched if pair[1] in wanted)
        except InputError as error:
            return [Prediction(scan, path, error=str(error)) for scan, path in pairs]
        source = FileSource(scans, whole, staging.columns)
        local = [(scans / scan, place / path) for scan, path in pairs]
        results = predict_part(loading, weights, source, replace(asked, out=place), local)
        if not local_out and labels.is_dir():
            Store(staging.out).put(labels)
        return [
            replace(
                result,
                scan_path=scan,
                path=Path(staging.out) / path,
                error=result.error and result.error.replace(f"{scans}/", ""),
            )
            for result, (scan, path) in zip(results, pairs, strict=True)
        ]


def _there(out: Path) -> dict[Path, Stored]:
    """Files that lie in the out folder already, by their path in it."""
    url = url_of(out)
    if url is None:
        files = [path for path in out.rglob("*") if path.is_file()]
        status = {path: path.stat() for path in files}
        return {
            path.relative_to(out): Stored(str(path), of.st_size, of.st_mtime)
            for path, of in status.items()
        }
    store = Store(url)
    try:
        found = store.find()
    except InputError:
        return {}  # nothing yet
    return {Path(one.path).relative_to(store.root): one for one in found}


def _is_done(label: Stored | None, scan: Stored) -> bool:
    if label is None or not label.size:
        return False
    return label.time_s is None or scan.time_s is None or label.time_s >= scan.time_s
