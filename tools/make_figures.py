#!/usr/bin/env python
"""Make the pictures of README.md with the commands it shows: tools/make_figures.py."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from lidarpan.demo import run_demo

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"


def main() -> None:
    """`lidarpan demo` and its picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run_demo(Path(folder))
        path = IMAGES / "demo.png"
        Image.open(Path(folder) / "map.png").save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
