"""The page served until Ctrl+C, for `serve` and `predict --show`."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from lidarpan.classes import ClassTable
from lidarpan.draw.files import Frames
from lidarpan.grouping.fusion import keep_confident
from lidarpan.viewer.server import make_viewer_server


def open_page(scan_paths: Sequence[Path], labels: Path, classes: ClassTable) -> None:
    """Serve the page over scans and their labels and open it in a browser, until Ctrl+C."""
    run_server(Frames(scan_paths, classes, labels), 0, then=webbrowser.open)


def run_server(
    frames: Frames,
    port: int,
    *,
    host: str = "127.0.0.1",
    min_score: float = 0.0,
    then: Callable[[str], object] = lambda address: None,
) -> None:
    """Serve the page over scans until Ctrl+C; `then` is told its address when it is ready."""
    _, first, _ = frames.read(0)
    if first is not None:
        keep_confident(first, min_score)  # complains of labels without scores
    server = make_viewer_server(
        [path.stem for path in frames.scan_paths],
        frames.read,
        None if frames.labels is None else frames.classes,
        has_truth=frames.truth is not None,
        has_scores=first is not None and first.score is not None,
        min_score=min_score,
        host=host,
        port=port,
    )
    address, bound = server.server_address[:2]
    url = f"http://{address!s}:{bound}/"
    typer.echo(f"{len(frames)} scans: {url} (Ctrl+C ends it)")
    try:
        then(url)
        server.serve_forever()
    finally:
        server.server_close()
