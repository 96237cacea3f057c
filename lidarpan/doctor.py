"""What is installed, which sparse engine runs and why, and the command that mends each fault."""

from __future__ import annotations

import ctypes.util
import importlib
import os
import platform
import sys
import tempfile
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

SYSTEM_LIBRARIES = {
    "usb-1.0": "libusb-1.0-0",
    "GL": "libgl1",
    "EGL": "libegl1",
    "gomp": "libgomp1",
}
"""Shared libraries that open3d loads, and the Debian packages that bring them."""


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


def examine() -> list[Finding]:
    """Look at everything the commands need; nothing is changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that are looked at
        return _examine()


def _examine() -> list[Finding]:
    findings = [_python(), *_system_libraries()]
    needed = ("numpy", "numba", "torch", "safetensors", "pydantic", "typer", "scipy", "PIL")
    findings += [_package(name, is_needed=True) for name in needed]
    findings += [
        _package(name, is_needed=False) for name in ("open3d", "lightning", "nuscenes", "laspy")
    ]
    if all(finding.ok for finding in findings if finding.name in ("torch", "numba")):
        findings += [_cuda(), *_engines(), _weights()]
    return [*findings, _numba_cache()]


def format_findings(findings: list[Finding]) -> Table:
    """A table: what, whether it works, and the command to mend it."""
    from rich.table import Table

    table = Table(title="lidarpan doctor")
    for column in ("what", "state", "detail", "to mend it, run"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        bad = "[red]broken[/red]" if finding.is_fatal else "[yellow]out[/yellow]"
        state = "[green]ok[/green]" if finding.ok else bad
        table.add_row(finding.name, state, finding.detail, finding.mend)
    return table


def _python() -> Finding:
    ok = sys.version_info >= (3, 10)
    detail = f"{platform.python_version()} on {platform.machine()}"
    return Finding("python", ok, detail, "" if ok else "apt-get install python3.11", not ok)


def _system_libraries() -> list[Finding]:
    findings = []
    for library, package in SYSTEM_LIBRARIES.items():
        found = ctypes.util.find_library(library)
        mend = "" if found else f"sudo apt-get install -y {package}"
        detail = found or "missing: open3d cannot be imported"
        findings.append(Finding(f"lib{library}", bool(found), detail, mend))
    return findings


def _package(name: str, *, is_needed: bool) -> Finding:
    wheel = {"PIL": "pillow", "nuscenes": "nuscenes-devkit"}.get(name, name)
    try:
        importlib.import_module(name)
    except Exception as error:  # a broken native library raises anything
        return Finding(
            wheel, False, f"{type(error).__name__}: {error}", f"pip install {wheel}", is_needed
        )
    return Finding(wheel, True, metadata.version(wheel))


def _cuda() -> Finding:
    import torch

    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability()
        detail = f"{torch.cuda.get_device_name()}, sm_{major}{minor}, CUDA {torch.version.cuda}"
        return Finding("cuda", True, detail)
    if torch.version.cuda is None and Path("/proc/driver/nvidia/version").exists():
        return Finding(
            "cuda",
            False,
            "a driver is here, but torch is a CPU build",
            "pip install --force-reinstall torch",
        )
    return Finding("cuda", False, "no NVIDIA driver: everything runs on the CPU")


def _engines() -> list[Finding]:
    from lidarpan.model.sparse import choose_engine, describe_engines
    from lidarpan.pipeline import choose_device

    device = choose_device("auto")
    used = choose_engine(device).name
    python = sys.version_info[:2]
    wheel = "spconv-cu120==2.3.6" if python < (3, 12) else "spconv-cu126==2.3.8"
    wheels = {"spconv": wheel, "triton": "spconv-triton"}
    findings = []
    for name, available, detail in describe_engines():
        chosen = f"; runs on {device.type} here" if name == used else ""
        wanted = not available and name in wheels and device.type == "cuda"
        mend = f"pip install {wheels[name]}" if wanted else ""
        findings.append(Finding(f"engine {name}", available, detail + chosen, mend))
    return findings


def _weights() -> Finding:
    from lidarpan.errors import InputError
    from lidarpan.model.checkpoint import load_weights
    from lidarpan.pipeline import find_weights

    try:
        path = find_weights("town")
        _, header = load_weights(path)
    except InputError as error:
        return Finding(
            "weights town", False, str(error), "pip install --force-reinstall lidarpan", True
        )
    return Finding(
        "weights town",
        True,
        f"step {header['training']['step']}, {path.stat().st_size / 1e6:.1f} MB",
    )


def _numba_cache() -> Finding:
    folder = os.environ.get("NUMBA_CACHE_DIR") or str(Path(__file__).parent / "kernels")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding("numba cache", True, folder)
    except OSError as error:
        detail = f"{folder}: {error.strerror}: kernels compile at every start"
        return Finding("numba cache", False, detail, "export NUMBA_CACHE_DIR=~/.cache/numba")
