"""Whether a window can open here: asked before a library that fails in its own ways is."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from lidarpan.structures import InputError

INSTEAD = "use --out view.html, which any browser shows, or --rerun FILE.rrd"


def need_display() -> None:
    """Raise InputError where no window can open; it says what to use instead."""
    fault = display_fault()
    if fault:
        raise InputError(f"no display for a window: {fault}: {INSTEAD}")


def display_fault() -> str | None:
    """Why no window can open here, None where one can: nothing is opened to find out."""
    if not sys.platform.startswith("linux"):
        return None
    display, wayland = os.environ.get("DISPLAY"), os.environ.get("WAYLAND_DISPLAY")
    if not display and not wayland:
        return "DISPLAY is not set"
    if wayland and (Path(os.environ.get("XDG_RUNTIME_DIR", "/")) / wayland).exists():
        return None
    return None if display and _answers(display) else f"nothing answers at {display or wayland}"


def _answers(display: str) -> bool:
    """Whether an X server listens at a name such as ":0", "unix:1" or "host:10.0"."""
    host, _, rest = display.rpartition(":")
    number = rest.split(".")[0]
    if not number.isdecimal():
        return False
    if host in ("", "unix"):
        local = f"/tmp/.X11-unix/X{number}"
        places: list[tuple[int, Any]] = [
            (socket.AF_UNIX, f"\0{local}"),
            (socket.AF_UNIX, local),
        ]
    else:
        places = [(socket.AF_INET, (host, 6000 + int(number)))]
    for family, place in places:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(3)
                probe.connect(place)
                return True
        except OSError:
            continue
    return False
