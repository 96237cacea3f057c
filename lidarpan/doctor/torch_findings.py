"""What the doctor says of torch, CUDA and the sparse engines, and the wheels that mend them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from lidarpan.doctor.findings import Finding, install_packages, pip_install

DRIVER_FILE = Path("/proc/driver/nvidia/version")
TORCH_INDEX = "https://download.pytorch.org/whl"
OLDEST_DRIVER = ((580, "cu130"), (525, "cu126"), (450, "cu118"))
"""Linux drivers from this branch on run the wheels of this index: CUDA 13, 12 and 11 need a driver
of at least branch 580, 525 and 450 (NVIDIA, CUDA Compatibility, "minor version compatibility")."""
SPCONV_WHEELS = (
    ((3, 10), (3, 11), "spconv-cu120==2.3.6"),
    ((3, 12), (3, 13), "spconv-cu126==2.3.8"),
)
"""First and last Python of the wheels on PyPI; Linux on x86-64 alone."""
SPCONV_NEWEST_ARCH = 90
"""spconv's wheels hold code up to sm_90; later GPUs are for triton and torch."""


def examine_cuda() -> Finding:
    """Driver, CUDA and GPU, or why there is none."""
    import torch

    driver = driver_branch()
    if torch.cuda.is_available():
        return _examine_gpu(driver)
    if driver is None:
        return Finding("cuda", False, "no NVIDIA driver: everything runs on the CPU")
    if torch.version.cuda is None:
        wrong = f"driver {driver} is here, but torch {torch.__version__} is a CPU build"
        return Finding("cuda", False, wrong, torch_wheel(driver))
    needed = next((b for b, index in OLDEST_DRIVER if index[2:4] == torch.version.cuda[:2]), 0)
    if driver < needed:
        wrong = f"driver {driver} is too old for CUDA {torch.version.cuda}, which wants {needed}"
        return Finding("cuda", False, wrong, torch_wheel(driver))
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        wrong = f"driver {driver} is here, but CUDA_VISIBLE_DEVICES hides the GPU"
        return Finding("cuda", False, wrong, "unset CUDA_VISIBLE_DEVICES")
    wrong = f"driver {driver} is here, but no GPU answers: this shows why"
    return Finding("cuda", False, wrong, "nvidia-smi")


def _examine_gpu(driver: int | None) -> Finding:
    """Whether torch has code for the GPU: for its major architecture, or to be translated."""
    import torch

    arch, known = _arch(), torch.cuda.get_arch_list()
    detail = f"{torch.cuda.get_device_name()}, sm_{arch}, CUDA {torch.version.cuda}"
    detail += f", driver {driver}" if driver else ""
    codes = [int(name[3:]) for name in known if re.fullmatch(r"sm_\d+", name)]
    is_older = bool(codes) and arch < min(codes)
    is_newer = (
        bool(codes) and arch // 10 > max(codes) // 10 and not any("compute" in n for n in known)
    )
    if is_older or is_newer:
        wrong = f"{detail}: torch has code for sm_{min(codes)} to sm_{max(codes)} alone"
        mend = torch_wheel(525 if is_older else driver)
        return Finding("cuda", False, wrong, mend, is_fatal=True)
    return Finding("cuda", True, detail)


def driver_branch() -> int | None:
    """First number of the NVIDIA driver's version, None without one."""
    text = DRIVER_FILE.read_text() if DRIVER_FILE.is_file() else ""
    found = re.search(r"Kernel Module.*?\s(\d{3,})\.\d+", text)
    if found:
        return int(found[1])
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = done.stdout.strip().split(".")[0]
    return int(number) if done.returncode == 0 and number.isdigit() else None


def torch_wheel(driver: int | None) -> str:
    """The command that installs a torch that a driver runs; a newer driver where none does.

    Without any driver, the CPU's.
    """
    if driver is None:
        return f"{pip_install('torch')} --index-url {TORCH_INDEX}/cpu"
    index = next((name for branch, name in OLDEST_DRIVER if driver >= branch), None)
    if index is None:
        return install_packages("nvidia-driver-580")
    return f"{pip_install('torch', '--force-reinstall')} --index-url {TORCH_INDEX}/{index}"


def spconv_wheel() -> str | None:
    """The spconv wheel for this Python and machine, None where PyPI has none."""
    if platform.machine() != "x86_64" or not sys.platform.startswith("linux"):
        return None
    python = sys.version_info[:2]
    return next((name for low, high, name in SPCONV_WHEELS if low <= python <= high), None)


def examine_engines() -> list[Finding]:
    """Each sparse engine with its version, or the reason it is out and what brings it in."""
    import torch

    from lidarpan.model.sparse import choose_engine, describe_engines

    has_cuda = torch.cuda.is_available()
    device = "cuda" if has_cuda else "cpu"
    used = choose_engine(device).name
    findings = []
    for name, available, detail in describe_engines():
        mend, is_new = "", name == "spconv" and has_cuda and _arch() > SPCONV_NEWEST_ARCH
        if available and is_new:
            detail += f"; its wheels hold no code for sm_{_arch()}: use --sparse triton or torch"
        elif not available and name == "spconv":
            wheel = spconv_wheel()
            why = f"no wheel for Python {_python()} on {platform.machine()}: {used} runs instead"
            mend = pip_install(wheel) if wheel else ""
            detail = detail if wheel else f"{detail}; {why}"
        elif not available and name == "spconv-triton" and has_cuda:
            mend = pip_install("spconv-triton")
        chosen = f"; runs on {device} here" if name == used else ""
        is_fatal = name in ("numba", "torch") and not available
        findings.append(Finding(f"engine {name}", available, detail + chosen, mend, is_fatal))
    return findings


def _arch() -> int:
    import torch

    major, minor = torch.cuda.get_device_capability()
    return major * 10 + minor


def _python() -> str:
    return ".".join(map(str, sys.version_info[:2]))
