"""What a run tells on the terminal: notes once per folder, counts, times, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer

from lidarpan.errors import InputError, printable
from lidarpan.scans.given import Kind, kind_of

if TYPE_CHECKING:
    from rich.console import Console

    from lidarpan.classes import ClassTable
    from lidarpan.inference import Prediction


class Notes:
    """What to say of each scan; of a folder or a recording each kind of note once."""

    def __init__(self, classes: ClassTable) -> None:
        self._first: dict[Kind, str] = {}
        self._again: dict[Kind, int] = {}
        self._classes = classes
        self._points = np.zeros(classes.num_classes, np.int64)
        self._objects = np.zeros(classes.num_classes, np.int64)

    def of(self, result: Prediction) -> list[str]:
        """Lines to print for a scan; its labels are counted."""
        what = [("warning", warning) for warning in result.warnings]
        unusable = result.num_dropped - result.num_own
        if unusable:
            what.append(("note", f"{unusable} unusable points are labelled void"))
        lines = [
            f"{kind}: {result.scan_path}: {text}"
            for kind, text in what
            if self._is_new(text, result.scan_path)
        ]
        if result.error:
            lines.append(f"error: {result.error}")
        self._count(result)
        return [printable(line) for line in lines]

    def _is_new(self, text: str, path: Path) -> bool:
        kind = kind_of(text, path)
        if kind in self._first:
            self._again[kind] = self._again.get(kind, 0) + 1
            return False
        self._first[kind] = text
        return True

    def _count(self, result: Prediction) -> None:
        if result.counts is not None:
            self._points += result.counts.points
            self._objects += result.counts.objects

    def rest(self) -> list[str]:
        """How many more scans of each folder a note holds for."""
        return [
            printable(f"note: {folder}: {count} more scans: {kind.replace('#', '...').strip()}")
            for (folder, kind), count in self._again.items()
        ]

    def counts(self) -> list[str]:
        """How many objects and points there are of each class."""
        if not self._points.any():
            return []
        names, total = self._classes.names, self._points.sum()
        order = np.argsort(-self._objects, kind="stable")
        objects = [f"{names[k]} {self._objects[k]}" for k in order if self._objects[k]]
        order = np.argsort(-self._points, kind="stable")
        shares = [
            f"{names[k]} {_percent(self._points[k] / total)}" for k in order if self._points[k]
        ]
        return [f"objects: {', '.join(objects) or 'none'}", f"points: {', '.join(shares)}"]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "<1 %"


def summarize(
    results: Sequence[Prediction],
    paths: Sequence[str],
    out: Path,
    elapsed_s: float,
    *,
    is_next_said: bool,
    merged: Sequence[str] = (),
) -> None:
    """Print times, how many scans there are, and one line that says what to do next.

    Raises:
        InputError: some scans could not be predicted; says how many.
    """
    failed = [r for r in results if r.error]
    fresh = [r for r in results if r.elapsed_ms]
    there = len(results) - len(failed) - len(fresh)
    if fresh:
        total = sorted(sum((r.elapsed_ms or {}).values()) for r in fresh)
        stages = {
            stage: sorted((r.elapsed_ms or {}).get(stage, 0.0) for r in fresh)[len(fresh) // 2]
            for stage in (fresh[-1].elapsed_ms or {})
        }
        typer.echo(
            f"median {total[len(total) // 2]:.0f} ms per scan: "
            + ", ".join(f"{stage} {ms:.0f}" for stage, ms in stages.items())
            + f"; {len(fresh) / elapsed_s:.2g} scans per second in all"
        )
    outside = sum(r.outside for r in fresh) / max(len(fresh), 1)
    if outside > 0.0005:
        typer.echo(f"{outside:.1%} of the points lie outside the network's range and are void")
    skipped = f", {there} were there already (--overwrite does them again)" if there else ""
    typer.echo(f"{len(fresh)} scans predicted{skipped}: {out}")
    own = sum(r.num_own for r in fresh)
    if own:
        share = own // len(fresh)
        typer.echo(f"{share} points a scan lie on the own vehicle: void (--ego-box off keeps them)")
    if failed:
        raise InputError(f"{len(failed)} of {len(results)} scans could not be predicted")
    if is_next_said and results:
        typer.echo(f"next, to look at them: {_next_command(results, paths, out, merged)}")


def compile_first(console: Console) -> None:
    """Compile the kernels where this machine has not done so yet, and tell how far it is."""
    from lidarpan.doctor.kernels import are_compiled, compile_kernels

    if are_compiled():
        return
    console.print(
        "The first run compiles its kernels, about a minute, once "
        "(`lidarpan doctor --compile` does it beforehand)."
    )
    with console.status("Compiling ...") as status, suppress(RuntimeError):  # else as they come
        compile_kernels(lambda name, count: status.update(f"Compiled {count}: {name}"))


def _next_command(
    results: Sequence[Prediction], paths: Sequence[str], out: Path, merged: Sequence[str]
) -> str:
    one = results[0]
    if one.path.suffix == ".mcap":
        return f"open {shlex.quote(str(one.path))} in Foxglove"
    if len(results) == 1 and not merged:
        scan, labels = shlex.quote(str(one.scan_path)), shlex.quote(str(one.path))
        return f"lidarpan draw {scan} --labels {labels} --out view.html"
    options = [word for transform in merged for word in ("--merge", transform)]
    scans = " ".join(shlex.quote(word) for word in [*paths, *options])
    return f"lidarpan serve {scans} --labels {shlex.quote(str(out))}"
