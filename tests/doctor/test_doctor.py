import importlib
import sys
from types import SimpleNamespace

import pytest
import torch

from lidarpan import doctor
from lidarpan.cli import main
from lidarpan.doctor import Finding, examine, findings, list_commands, torch_findings
from lidarpan.doctor.torch_findings import driver_branch, examine_cuda, examine_engines, torch_wheel

pytestmark = pytest.mark.xdist_group("spconv")  # which one process imports: it takes seconds

PIP = f"{sys.executable} -m pip install"


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Fake the machine: driver branch, torch's CUDA, GPU architecture, Python."""

    def make(*, driver=None, cuda=None, arch=None, codes=("sm_75", "sm_90"), python=(3, 11),
             processor="x86_64"):  # fmt: skip
        monkeypatch.setattr(torch_findings, "driver_branch", lambda: driver)
        monkeypatch.setattr(doctor, "driver_branch", lambda: driver)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: arch is not None)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: divmod(arch, 10))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "A GPU")
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(codes))
        version = SimpleNamespace(version_info=python, executable=sys.executable, platform="linux")
        monkeypatch.setattr(torch_findings, "sys", version)
        monkeypatch.setattr(torch_findings.platform, "machine", lambda: processor)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return make


def hide(monkeypatch, name, error):
    """Let one package fail to be imported."""
    real = importlib.import_module

    def fake(wanted, *rest, **words):
        if wanted == name:
            raise error
        return real(wanted, *rest, **words)

    monkeypatch.setattr(importlib, "import_module", fake)


def of(findings, name):
    (found,) = [finding for finding in findings if finding.name == name]
    return found


@pytest.mark.parametrize(
    ("machine", "ok", "said", "mend"),
    [
        ({}, False, "no NVIDIA driver", ""),
        ({"driver": 580, "cuda": "13.0", "arch": 90}, True, "sm_90, CUDA 13.0, driver 580", ""),
        ({"driver": 580}, False, "CPU build", "/cu130"),
        ({"driver": 535}, False, "CPU build", "/cu126"),
        ({"driver": 470}, False, "CPU build", "/cu118"),
        ({"driver": 550, "cuda": "13.0"}, False, "too old for CUDA 13.0, which wants 580", "126"),
        ({"driver": 580, "cuda": "13.0"}, False, "no GPU answers", "nvidia-smi"),
        ({"driver": 580, "cuda": "12.6", "arch": 120}, False, "sm_75 to sm_90 alone", "/cu130"),
        ({"driver": 580, "cuda": "13.0", "arch": 61}, False, "sm_75 to sm_90 alone", "/cu126"),
        ({"driver": 580, "cuda": "12.6", "arch": 120, "codes": ("sm_90", "compute_90")}, True,
         "sm_120", ""),
    ],
)  # fmt: skip
def test_cuda(world, machine, ok, said, mend):
    world(**machine)
    found = examine_cuda()
    assert found.ok == ok
    assert said in found.detail
    assert found.mend.endswith(mend)
    if mend.startswith("/"):
        assert found.mend.startswith(f"{PIP} torch --force-reinstall --index-url https://")
    assert found.is_fatal == ("alone" in said)


def test_a_hidden_gpu_is_named(world, monkeypatch):
    world(driver=580, cuda="13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert examine_cuda().mend == "unset CUDA_VISIBLE_DEVICES"


def test_torch_for_every_driver():
    assert torch_wheel(None).endswith("/whl/cpu")
    assert "nvidia-driver-580" in torch_wheel(390)


@pytest.mark.parametrize("text", [
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 2024\nGCC version: 12",
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build",
])  # fmt: skip
def test_the_drivers_branch_is_read(monkeypatch, tmp_path, text):
    (tmp_path / "version").write_text(text)
    monkeypatch.setattr(torch_findings, "DRIVER_FILE", tmp_path / "version")
    assert driver_branch() == 535
    monkeypatch.setattr(torch_findings, "DRIVER_FILE", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver_branch() is None


@pytest.mark.parametrize(
    ("machine", "mend", "said"),
    [
        ({"python": (3, 11)}, f"{PIP} spconv-cu120==2.3.6", ""),
        ({"python": (3, 12), "driver": 580, "arch": 90}, f"{PIP} spconv-cu126==2.3.8", ""),
        ({"python": (3, 14)}, "", "no wheel for Python 3.14 on x86_64: numba runs instead"),
        ({"processor": "aarch64"}, "", "no wheel for Python 3.11 on aarch64"),
    ],
)  # fmt: skip
def test_spconvs_wheel_fits_python_and_machine(world, monkeypatch, machine, mend, said):
    world(**machine)
    hide(monkeypatch, "spconv.pytorch", ModuleNotFoundError("No module named 'spconv'"))
    hide(monkeypatch, "spconv_triton.pytorch", ModuleNotFoundError("No module named 's'"))
    monkeypatch.setattr("lidarpan.model.sparse.spconv.describe", lambda *_: (False, "missing"))
    found = of(examine_engines(), "engine spconv")
    assert not found.ok
    assert not found.is_fatal
    assert found.mend == mend
    assert said in found.detail


def test_engines_on_a_gpu_too_new_for_spconv(world, monkeypatch):
    world(driver=580, cuda="13.0", arch=120)
    monkeypatch.setattr("lidarpan.model.sparse.spconv.describe", lambda: (True, "2.3.8"))
    monkeypatch.setattr("lidarpan.model.sparse.spconv_triton.describe", lambda: (False, "missing"))
    monkeypatch.setattr("lidarpan.model.sparse.choose_engine", lambda _: SimpleNamespace(name="x"))
    found = examine_engines()
    assert "no code for sm_120" in of(found, "engine spconv").detail
    assert of(found, "engine spconv-triton").mend == f"{PIP} spconv-triton"


@pytest.mark.parametrize(
    ("name", "wheel", "error", "mend", "fatal"),
    [
        ("scipy", "scipy", ModuleNotFoundError("no"), f"{PIP} scipy", True),
        ("yaml", "pyyaml", ModuleNotFoundError("no"), f"{PIP} pyyaml", True),
        ("numpy", "numpy", ModuleNotFoundError("no"), f"{PIP} 'numpy>=1.26'", True),
        ("torch", "torch", ModuleNotFoundError("no"), f"{PIP} torch --index-url ", True),
        ("laspy", "laspy", ModuleNotFoundError("no"), f"{PIP} 'laspy[lazrs]'", False),
        ("open3d", "open3d", OSError("libGL.so.1: cannot open shared object"), "libgl1", False),
        ("open3d", "open3d", ImportError("bad ELF"), f"{PIP} --force-reinstall open3d", False),
    ],
)  # fmt: skip
def test_packages(world, monkeypatch, name, wheel, error, mend, fatal):
    world()
    hide(monkeypatch, name, error)
    found = of(examine(), wheel)
    assert not found.ok
    assert mend in found.mend
    assert found.is_fatal == fatal


@pytest.mark.parametrize(("uid", "start"), [(0, "apt-get install"), (1000, "sudo apt-get install")])
def test_system_libraries(world, monkeypatch, uid, start):
    world()
    monkeypatch.setattr(doctor.ctypes.util, "find_library", lambda _: None)
    monkeypatch.setattr(findings.os, "geteuid", lambda: uid)
    monkeypatch.setattr(findings.shutil, "which", lambda _: "/usr/bin/apt-get")
    assert of(examine(), "libGL").mend == f"{start} -y libgl1"
    monkeypatch.setattr(findings.shutil, "which", lambda _: None)
    assert "package manager" in of(examine(), "libusb-1.0").mend


def test_weights_and_the_cache(world, monkeypatch, tmp_path):
    world()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "missing"))
    monkeypatch.setattr(
        "lidarpan.model.weights.find_weights", lambda _: tmp_path / "none.safetensors"
    )
    found = examine()
    assert of(found, "weights town").is_fatal
    assert of(found, "weights town").mend == f"{PIP} --force-reinstall lidarpan"
    assert "export NUMBA_CACHE_DIR=" in of(found, "numba cache").mend


@pytest.mark.parametrize(("fatal", "code"), [(False, None), (True, 1)])
def test_exit_code_and_commands(monkeypatch, capsys, fatal, code):
    mend = f"{PIP} {'a-rather-long-name-' * 8}"  # longer than a terminal is wide: must stay whole
    found = [Finding("python", True, "3.11"), Finding("thing", False, "[gone]", mend, fatal)]
    monkeypatch.setattr(doctor, "examine", lambda: found)
    monkeypatch.setattr(sys, "argv", ["lidarpan", "doctor"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert (stop.value.code or None) == code
    lines = capsys.readouterr().out.splitlines()
    assert mend in lines
    assert "[gone]" in "".join(lines)
    assert list_commands(found) == ["# thing", mend]
