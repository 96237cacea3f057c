"""What is installed, which sparse engine runs and why, and the command that mends each fault."""

from __future__ import annotations

import ctypes.util
import importlib
import os
import platform
import re
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from lidarpan.doctor.findings import Finding, install_packages, pip_install
from lidarpan.doctor.torch_findings import driver_branch, examine_cuda, examine_engines, torch_wheel

SYSTEM_LIBRARIES = {
    "usb-1.0": "libusb-1.0-0",
    "GL": "libgl1",
    "EGL": "libegl1",
    "gomp": "libgomp1",
}
"""Shared libraries that open3d loads, and the Debian packages that bring them."""

NEEDED = ("numpy", "numba", "torch", "safetensors", "pydantic", "yaml", "typer", "rich", "scipy",
          "PIL")  # fmt: skip
OPTIONAL = {
    "open3d": "window, and the faster ray caster of the simulator",
    "lightning": "training",
    "nuscenes": "nuScenes' own evaluator",
    "laspy": "LAS and LAZ files",
    "rosbags": "ROS bags, and ROS messages in MCAP files",
    "mcap": "MCAP files",
    "velodyne_decoder": "packets of Velodyne sensors",
    "pyarrow": "feather and parquet tables",
    "pye57": "E57 files",
}
"""Packages that the main job, predict, does without, and what is missing then."""
WHEELS = {
    "PIL": "pillow",
    "nuscenes": "nuscenes-devkit",
    "velodyne_decoder": "velodyne-decoder",
    "yaml": "pyyaml",
}
"""How packages are called where they are installed from, if not as they are imported."""
REQUIREMENTS = {"laspy": "laspy[lazrs]", "numpy": "numpy>=1.26", "pyarrow": "pyarrow<25"}
"""What pip is told, if not the name alone."""


def examine() -> list[Finding]:
    """Look at everything the commands need; nothing is changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that are looked at
        return _examine()


def _examine() -> list[Finding]:
    findings = [_python(), *_system_libraries()]
    findings += [_package(name, is_needed=True) for name in NEEDED]
    findings += [_package(name, is_needed=False) for name in OPTIONAL]
    broken = {finding.name for finding in findings if not finding.ok}
    if not broken & {"torch", "numba", "numpy"}:
        findings += [examine_cuda(), *examine_engines()]
        if not broken & {"safetensors", "pydantic", "pyyaml"}:
            findings.append(_weights())
    if not broken & {"numba", "numpy"}:
        findings.append(_kernels())
    return [*findings, _numba_cache()]


def format_findings(findings: list[Finding]) -> Table:
    """A table: what, whether it works, its version or what is wrong."""
    table = Table(title="lidarpan doctor")
    for column in ("what", "state", "detail"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        bad = "[red]broken[/red]" if finding.is_fatal else "[yellow]out[/yellow]"
        state = "[green]ok[/green]" if finding.ok else bad
        table.add_row(finding.name, state, escape(finding.detail))
    return table


def list_commands(findings: list[Finding]) -> list[str]:
    """What to run, line by line, to be copied: a comment that names the fault, and its command."""
    faults = [finding for finding in findings if not finding.ok and finding.mend]
    return [line for fault in faults for line in (f"# {fault.name}", fault.mend)]


def _python() -> Finding:
    ok = sys.version_info >= (3, 10)
    detail = f"{platform.python_version()} on {platform.machine()}"
    mend = "" if ok else install_packages("python3.11", "python3.11-venv")
    return Finding("python", ok, detail, mend, not ok)


def _system_libraries() -> list[Finding]:
    findings = []
    for library, package in SYSTEM_LIBRARIES.items():
        found = ctypes.util.find_library(library)
        mend = "" if found else install_packages(package)
        detail = found or "missing: open3d cannot be imported"
        findings.append(Finding(f"lib{library}", bool(found), detail, mend))
    return findings


def _package(name: str, *, is_needed: bool) -> Finding:
    wheel = WHEELS.get(name, name)
    try:
        importlib.import_module(name)
        version = metadata.version(wheel)
    except metadata.PackageNotFoundError:
        version = "of unknown version"
    except Exception as error:  # a broken native library raises anything
        said = str(error).splitlines()[0] if str(error) else ""
        detail = f"{type(error).__name__}: {said}"
        if not is_needed:
            detail += f": no {OPTIONAL[name]}"
        return Finding(wheel, False, detail, _mend_import(error, wheel), is_needed)
    return Finding(wheel, True, version)


def _mend_import(error: Exception, wheel: str) -> str:
    """The command for a package that is missing, lacks a shared library, or is broken."""
    library = re.search(r"lib([\w.+-]+?)\.so", str(error))
    if library and library[1] in SYSTEM_LIBRARIES:
        return install_packages(SYSTEM_LIBRARIES[library[1]])
    if wheel == "torch":
        return torch_wheel(driver_branch())
    is_missing = isinstance(error, ModuleNotFoundError)
    wanted = REQUIREMENTS.get(wheel, wheel)
    return pip_install(wanted) if is_missing else pip_install("--force-reinstall", wanted)


def _weights() -> Finding:
    from lidarpan.errors import InputError
    from lidarpan.model.checkpoint import load_weights
    from lidarpan.model.weights import find_weights

    try:
        path = find_weights("town")
        _, header = load_weights(path)
    except InputError as error:
        return Finding(
            "weights town", False, str(error), pip_install("--force-reinstall", "lidarpan"), True
        )
    return Finding(
        "weights town",
        True,
        f"step {header['training']['step']}, {path.stat().st_size / 1e6:.1f} MB",
    )


def _kernels() -> Finding:
    from lidarpan.doctor.kernels import are_compiled

    if are_compiled():
        return Finding("kernels", True, "compiled")
    detail = "not compiled: the first predict takes about a minute more"
    return Finding("kernels", False, detail, "lidarpan doctor --compile")


def _numba_cache() -> Finding:
    folder = os.environ.get("NUMBA_CACHE_DIR") or str(Path(__file__).parents[1] / "grouping")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding("numba cache", True, folder)
    except OSError as error:
        detail = f"{folder}: {error.strerror}: kernels compile at every start"
        mend = "mkdir -p ~/.cache/numba && export NUMBA_CACHE_DIR=~/.cache/numba"
        return Finding("numba cache", False, detail, mend)
