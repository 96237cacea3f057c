"""Pictures in order to a film: .mp4 or .gif."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from lidarpan.optional import need
from lidarpan.structures import InputError
from lidarpan.whole_file import whole_file

SUFFIXES = (".mp4", ".gif")


def write_video(frames: Iterable[Image.Image], path: Path | str, fps: float = 10.0) -> int:
    """Write a film, whole or not at all; returns its number of frames.

    Frames are drawn one at a time. All are brought to the size of the first, cut or filled up at
    the right and below, as legends may differ in height. `.mp4` is VP9, which browsers play;
    it needs OpenCV (`pip install 'lidarpan[video]'`).

    Args:
        frames: RGB pictures.
        path: ends in .mp4 or .gif.
        fps: frames per second.

    Raises:
        InputError: another suffix, no frame, a folder that cannot be written to, or no OpenCV.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: wanted a film name ending in .mp4 or .gif")
    if not fps > 0:
        raise InputError(f"frames per second must be above 0, got {fps:g}")
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise InputError(f"{path}: a film needs at least one frame, got none")
    with whole_file(path, suffix=path.suffix.lower()) as draft:
        even = (first.width - first.width % 2, first.height - first.height % 2)
        fitted = (_fit(picture, even) for picture in chain([first], pictures))
        write = _write_gif if path.suffix.lower() == ".gif" else _write_mp4
        count = write(fitted, draft, fps)
    return count


def _fit(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    sheet = Image.new("RGB", size, picture.getpixel((picture.width - 1, picture.height - 1)))
    sheet.paste(picture, (0, 0))
    return sheet


def _write_gif(frames: Iterator[Image.Image], draft: Path, fps: float) -> int:
    """One palette per frame, as colours are few and flat."""
    count = 0

    def reduced() -> Iterator[Image.Image]:
        nonlocal count
        for frame in frames:
            count += 1
            yield frame.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)

    each = reduced()
    next(each).save(
        draft,
        "GIF",
        save_all=True,
        append_images=each,
        duration=max(20, round(1000 / fps)),
        loop=0,
    )
    return count


def _write_mp4(frames: Iterator[Image.Image], draft: Path, fps: float) -> int:
    cv2 = need("cv2", "video", "a film as .mp4")
    first = next(frames)
    writer = cv2.VideoWriter(str(draft), cv2.VideoWriter.fourcc(*"vp09"), fps, first.size)
    if not writer.isOpened():
        raise InputError("this OpenCV cannot write VP9 films: write a .gif instead")
    count = 0
    for frame in chain([first], frames):
        writer.write(np.asarray(frame)[..., ::-1])
        count += 1
    writer.release()
    return count
