"""One thing that the doctor looked at, and the commands that mend faults on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what.
        ok: whether it works.
        detail: its version, or what is wrong.
        mend: the command that mends it on this machine, or "".
        is_fatal: whether the main job cannot run without it.
    """

    name: str
    ok: bool
    detail: str
    mend: str = ""
    is_fatal: bool = False


def pip_install(*wheels: str) -> str:
    """The command that installs into the Python that runs this."""
    named = [f"'{wheel}'" if set(wheel) & set("<>[") else wheel for wheel in wheels]
    return f"{sys.executable} -m pip install {' '.join(named)}"


def install_packages(*packages: str) -> str:
    """The command that installs Debian packages, with sudo where one is not root."""
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        return f"install with this system's package manager (named as in Debian): {names}"
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return f"{'' if is_root else 'sudo '}apt-get install -y {names}"
