"""A dataset on disk -> every fault in it, scan by scan, in memory that does not grow with it.

With a folder to write to the work is taken up where it ended: `faults.csv` has a line for each
fault, `state.json` what was counted and the last scan that was looked at.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import dropwhile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.dataset import Dataset, ScanFiles
from lidarpan.datasets.faults import CheckedScan, Fault, SequenceCheck, check_scan, fault_of
from lidarpan.datasets.open import find_dataset
from lidarpan.datasets.tracks import Continuity
from lidarpan.structures import InputError
from lidarpan.text_trees import read_json_tree
from lidarpan.whole_file import write_json

_SAVE_EVERY = 500
FAULTS, STATE = "faults.csv", "state.json"


Look = Callable[[Dataset, Iterable[ScanFiles]], Iterator[CheckedScan]]


def each(dataset: Dataset, files: Iterable[ScanFiles]) -> Iterator[CheckedScan]:
    """Look at scans one after the other."""
    return (check_scan(dataset, one) for one in files)


@dataclass
class Summary:
    """What was looked at so far.

    Attributes:
        num_scans: looked at.
        num_labelled: of them whose truth could be read.
        counts: (C,) points of each class.
        faults: how many of each kind.
    """

    num_scans: int
    num_labelled: int
    counts: NDArray[np.int64]
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def num_faults(self) -> int:
        """Of all kinds."""
        return sum(self.faults.values())

    def shares(self) -> NDArray[np.float64]:
        """(C,) share of each class among the points that are not void; zeros without any."""
        known = self.counts.astype(np.float64)
        known[0] = 0
        shares: NDArray[np.float64] = known / max(known.sum(), 1)
        return shares


class DatasetCheck:
    """Looks at every scan of a split.

    Args:
        dataset: as `find_dataset` takes it.
        root: of the dataset.
        split: of its splits.
        out: folder for faults.csv and state.json; None writes nothing.

    Attributes:
        total: how many scans there are.
        summary: what was found so far.
        is_resumed: whether an earlier run is gone on with.

    Raises:
        InputError: no such dataset, folder or split, or no scans of it.
    """

    def __init__(
        self, dataset: str | Path | Dataset, root: str | Path, split: str, out: Path | None = None
    ) -> None:
        """Count the scans, and read the state of an earlier run."""
        self.dataset, self.root, self.split = find_dataset(dataset), Path(root), split
        self._out = out
        self._beside: dict[str, Fault] = {}  # what is wrong with poses and the like, each once
        self._sequences: dict[str, SequenceCheck] = {}
        self._count()
        self.summary = Summary(0, 0, np.zeros(self.dataset.classes.num_classes, np.int64))
        self._last: str | None = None
        self._continuity = Continuity()
        self._num_bytes = 0
        self.is_resumed = out is not None and (out / STATE).is_file() and self._resume(out / STATE)

    def _count(self) -> None:
        for files in self.dataset.iter_scans(self.root, self.split, self._note):
            known = self._sequences.get(files.sequence)
            if known is None:
                known = self._sequences[files.sequence] = SequenceCheck(files.sequence, 0, 0, 0)
            known.num_scans += 1
            known.num_labelled += files.labels is not None
            known.num_posed += files.world_T_sensor is not None
        self.total = sum(sequence.num_scans for sequence in self._sequences.values())
        if not self.total:
            self.dataset.list_scans(self.root, self.split)  # says what is not there
            raise InputError(f"{self.root}: wanted scans of the {self.split} split, found none")

    def _note(self, error: InputError, what: str) -> None:
        fault = fault_of(what, self.root, error)
        self._beside[str(fault)] = fault

    def run(self, look: Look = each) -> Iterator[list[Fault]]:
        """Look at the scans, and then at what belongs to none.

        Args:
            look: at scans by themselves, in order; elsewhere, where there are more hands.

        Yields:
            What is wrong with each scan, once for each, and at the end what is wrong beside them.
        """
        with _Writer(self._out, self._num_bytes) as writer:
            current: SequenceCheck | None = None
            is_new = self._last is None
            if is_new:
                self._add(list(self._beside.values()), writer)
                yield list(self._beside.values())
            every = self.dataset.iter_scans(self.root, self.split, lambda *_: None)
            left = every if is_new else dropwhile(lambda files: files.name != self._last, every)
            for checked in look(self.dataset, left):
                files = checked.files
                if not is_new:
                    is_new, current = True, self._sequences[files.sequence]
                    current.continuity = self._continuity
                    current.resume(checked)
                    continue
                faults = [fault for fault in checked.faults if not self._is_told(fault)]
                if current is None or files.sequence != current.name:
                    faults += current.end() if current else []
                    current = self._sequences[files.sequence]
                faults += current.add(self.dataset, checked)
                self.summary.num_scans += 1
                if checked.counts is not None:
                    self.summary.num_labelled += 1
                    self.summary.counts += checked.counts
                self._last = files.name
                self._add(faults, writer)
                if self.summary.num_scans % _SAVE_EVERY == 0:
                    self._save(current, writer)
                yield faults
            rest = current.end() if current else []
            for file, message in self.dataset.stray_files(self.root, self.split):
                rest.append(Fault("missing", str(file), message))
            self._add(rest, writer)
            yield rest
        if self._out is not None:
            (self._out / STATE).unlink(missing_ok=True)  # there is nothing to take up

    def _is_told(self, fault: Fault) -> bool:
        return any(str(fault) == told for told in self._beside)

    def _add(self, faults: list[Fault], writer: _Writer) -> None:
        self.summary.faults.update(fault.kind for fault in faults)
        writer.write(faults)

    def _save(self, current: SequenceCheck, writer: _Writer) -> None:
        if self._out is None:
            return
        state = {
            "dataset": self.dataset.name,
            "root": str(self.root.absolute()),
            "split": self.split,
            "total": self.total,
            "last": self._last,
            "num_scans": self.summary.num_scans,
            "num_labelled": self.summary.num_labelled,
            "counts": self.summary.counts.tolist(),
            "faults": dict(self.summary.faults),
            "continuity": asdict(current.continuity),
            "num_bytes": writer.tell(),
        }
        write_json(self._out / STATE, state)

    def _resume(self, file: Path) -> bool:
        """Take up the state of an earlier run of the same; False where it is of another."""
        state: dict[str, Any] = read_json_tree(file)
        own = (self.dataset.name, str(self.root.absolute()), self.split, self.total)
        try:
            if tuple(state[key] for key in ("dataset", "root", "split", "total")) != own:
                return False
            counts = np.array(state["counts"], np.int64)
            if counts.shape != self.summary.counts.shape:
                return False
            self.summary = Summary(
                int(state["num_scans"]),
                int(state["num_labelled"]),
                counts,
                Counter({str(kind): int(count) for kind, count in state["faults"].items()}),
            )
            self._continuity = Continuity(**state["continuity"])
            self._last, self._num_bytes = str(state["last"]), int(state["num_bytes"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{file}: wanted the state of a check, got {error!r}: remove it"
            ) from None
        return True


class _Writer:
    """Appends faults to faults.csv; without a folder it does nothing."""

    def __init__(self, out: Path | None, num_bytes: int) -> None:
        """num_bytes: of an earlier run's lines that count."""
        self._out, self._num_bytes = out, num_bytes
        self._file: IO[str] | None = None

    def __enter__(self) -> _Writer:
        if self._out is None:
            return self
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            self._file = (self._out / FAULTS).open(
                "a", encoding="utf-8", errors="surrogateescape", newline=""
            )
            self._file.truncate(self._num_bytes)
            self._file.seek(0, 2)
        except OSError as error:
            raise InputError(f"{self._out}: cannot write there: {error.strerror}") from None
        if not self._num_bytes:
            csv.writer(self._file, lineterminator="\n").writerow(("kind", "file", "message"))
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, faults: list[Fault]) -> None:
        if self._file is not None and faults:
            rows = ((fault.kind, fault.file, fault.message) for fault in faults)
            csv.writer(self._file, lineterminator="\n").writerows(rows)

    def tell(self) -> int:
        """Bytes written, all of them on disk."""
        if self._file is None:
            return 0
        self._file.flush()
        return self._file.buffer.tell() if hasattr(self._file, "buffer") else self._file.tell()
