"""The open3d window: what it shows, and one clear line where it cannot open."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_viewer import CLASSES, street

from lidarpan.structures import InputError
from lidarpan.viewer.display import display_fault, need_display
from lidarpan.viewer.window import show_window, window_shapes

SHOW = """
import sys
sys.path.insert(0, sys.argv[2])
from test_viewer import CLASSES, street
from lidarpan.viewer.window import Window
window = Window(["a", "b"], lambda i: street(float(i)), CLASSES, "panoptic")
for name in ("first", "second"):
    for _ in range(3):
        window.view.poll_events()
        window.view.update_renderer()
    window.view.capture_screen_image(f"{sys.argv[1]}/{name}.png", True)
    window._go(1)
    window._next_mode()
"""


def test_shapes_hold_points_outlines_and_names():
    scan, own, truth = street()
    points, lines, names = window_shapes(scan, own, CLASSES, truth, "panoptic")
    assert np.allclose(np.asarray(points.points), scan.points)
    colors = np.asarray(points.colors) * 255
    assert np.allclose(colors[0], CLASSES.colors[own.semantic[0]])
    assert len(np.unique(colors[own.instance == 7], axis=0)) == 1
    assert len(names.triangles) > 50
    bare = window_shapes(scan, None, None, None, "height")
    assert len(bare) == 2
    assert len(lines.lines) > len(bare[1].lines)


@pytest.mark.skipif(sys.platform != "linux", reason="displays are found otherwise elsewhere")
def test_no_display_is_one_clear_line(monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(InputError, match=r"DISPLAY is not set: use --out view\.html"):
        show_window(["a"], lambda _: street(), CLASSES)
    for absent in (":4217", "unix:4217.0", "127.0.0.1:4217.0", "nonsense"):
        monkeypatch.setenv("DISPLAY", absent)
        with pytest.raises(InputError, match=f"nothing answers at {absent}"):
            need_display()


def test_a_window_needs_a_scan():
    with pytest.raises(InputError, match="at least one scan"):
        show_window([], lambda _: street(), CLASSES)


def test_window_draws_and_steps(tmp_path, monkeypatch):
    from PIL import Image

    xvfb = shutil.which("Xvfb")
    if not xvfb:
        pytest.skip("no Xvfb: apt-get install xvfb to test the window")
    read, write = os.pipe()
    words = [xvfb, "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=[write], stderr=subprocess.DEVNULL)
    try:
        os.close(write)
        with os.fdopen(read) as stream:
            display = f":{stream.readline().strip()}"
        monkeypatch.setenv("DISPLAY", display)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        assert display_fault() is None
        done = subprocess.run(
            [sys.executable, "-c", SHOW, str(tmp_path), str(Path(__file__).parent)],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if "no window: OpenGL" in done.stderr:
            pytest.skip("no OpenGL for windows here")
        assert done.returncode == 0, done.stderr
        assert "b (2 of 2)" in done.stdout
        first, second = (
            np.asarray(Image.open(tmp_path / f"{n}.png").convert("RGB"))
            for n in ("first", "second")
        )
        road = CLASSES.colors[CLASSES.id_of("road")]
        assert (np.abs(first.astype(int) - road).max(axis=2) <= 2).sum() > 1000
        assert (first != second).any()
    finally:
        server.terminate()
        server.wait()
