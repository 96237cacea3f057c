#!/usr/bin/env python
"""Make the pictures of the documents with the commands they show: tools/make_figures.py."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from lidarpan.classes import load_class_table

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
MAX_BYTES = 300_000
# Each runs in a folder of its own; what it draws is named as the picture in docs/images.
COMMANDS = """
lidarpan demo --out town
lidarpan draw town/scan.bin --labels town/prediction.label --truth town/truth.label \
    --view range --size 700 --out range.png
lidarpan draw town/scan.bin --labels town/prediction.label --truth town/truth.label \
    --mode error --size 900 --out errors.png
lidarpan draw town/scan.bin --labels town/prediction.label --truth town/truth.label --out view.html
lidarpan predict town/scan.bin --out labels --format npz
lidarpan draw town/scan.bin --labels labels/scan.npz --out first.png
lidarpan draw town/scan.bin --labels labels/scan.npz --out sure.html
lidarpan simulate semantickitti --out drive --scans 14 --seed 3 --rate 3 --scans-per-town 12
lidarpan predict drive/sequences/00/velodyne --out predictions
lidarpan draw drive/sequences/00/velodyne --labels predictions \
    --map drive.png --size 1100 --range 45
"""
PICTURES = {
    "demo": "town/map.png",
    "range": "range.png",
    "errors": "errors.png",
    "first-picture": "first.png",
    "drive": "drive.png",
}
PAGES = {"viewer": "view.html", "confidence": "sure.html#confidence"}


def main() -> None:
    """Run the commands, shrink their pictures, take some of the viewer where Chromium is."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for command in COMMANDS.strip().splitlines():
            print(command, flush=True)
            words = [sys.executable, "-m", "lidarpan.cli", *shlex.split(command)[1:]]
            subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for picture, source in PICTURES.items():
            keep(folder / source, picture)
        for picture, page in PAGES.items():
            if photograph(f"{folder.as_uri()}/{page}", folder / f"{picture}.png"):
                keep(folder / f"{picture}.png", picture)
            else:
                print(f"no Chromium: {picture}.png stays as it is (apt-get install chromium)")


def keep(source: Path, name: str) -> None:
    """Save a picture with a palette: the class colours, then the colours that most pixels have."""
    path = IMAGES / f"{name}.png"
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    classes = [tuple(color) for color in load_class_table("semantickitti").colors.tolist()]
    counts = sorted(image.getcolors(image.width * image.height) or (), reverse=True)
    colors = list(dict.fromkeys([*classes, *(color for _, color in counts)]))[:256]
    palette = Image.new("P", (1, 1))
    palette.putpalette(bytes(np.array(colors, np.uint8).ravel()))
    few = image.quantize(palette=palette, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}: {size / 1000:.0f} kB{', which is large' if size > MAX_BYTES else ''}")


def photograph(address: str, path: Path) -> bool:
    """Let a headless Chromium draw a page; False where there is none."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        return False
    flags = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader",
             "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--hide-scrollbars",
             "--window-size=1280,900", "--virtual-time-budget=10000")  # fmt: skip
    words = [chromium, *flags, f"--screenshot={path}", address]
    subprocess.run(words, check=True, capture_output=True, timeout=180)
    return path.is_file()


if __name__ == "__main__":
    main()
