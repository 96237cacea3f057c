"""The wheel: all that the commands need is in it, and it works outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "lidarpan"


def build(place, kind):
    """A wheel, built from links to the sources: nothing stays behind in the checkout."""
    source = place / "lidarpan"  # as a clone is called
    source.mkdir()
    for name in ("lidarpan", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(CHECKOUT / name)
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(place)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return place / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel."""
    return build(tmp_path_factory.mktemp("wheel"), "wheel")


def test_a_script_beside_the_clone_finds_the_package(tmp_path):
    """Python takes the clone's folder for a package without code, if it finds no better one."""
    editable = build(tmp_path, "editable")
    venv.create(tmp_path / "env", with_pip=False)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    with zipfile.ZipFile(editable) as archive:
        archive.extractall(site)
    (tmp_path / "script.py").write_text("import lidarpan; print(lidarpan.__version__)")
    for words in (["script.py"], ["-c", "import lidarpan; print(lidarpan.__version__)"]):
        done = subprocess.run(
            [tmp_path / "env/bin/python", *words],
            cwd=tmp_path, capture_output=True, text=True, check=False, env=plain_environment(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if name.startswith("lidarpan/")}
    own = {
        path.relative_to(CHECKOUT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert own - there == set()
    assert "lidarpan/configs/town.yaml" in there
    assert "lidarpan/weights/town.safetensors" in there


def test_the_core_is_light(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needed = [line.split(":")[1].strip() for line in lines if line.startswith("Requires-Dist:")]
    core = {line.split(">")[0].split("=")[0] for line in needed if "extra ==" not in line}
    assert core == {
        "numpy", "numba", "torch", "safetensors", "pydantic", "pyyaml", "typer", "rich", "scipy",
        "pillow", "jinja2",
    }  # fmt: skip
    assert "Requires-Python: <3.15,>=3.10" in lines


EXTRAS = ("open3d", "spconv", "nuscenes", "lightning", "laspy", "rerun", "rosbags", "matplotlib")


@pytest.fixture(scope="module")
def core_only(wheel, tmp_path_factory):
    """Runs the command line of the wheel in an environment that has the core's libraries alone.

    The libraries are those of this environment, behind modules that say the others are not there.
    """
    place = tmp_path_factory.mktemp("core")
    venv.create(place, with_pip=False)
    (site,) = place.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    for name in EXTRAS:
        said = f"No module named '{name}'"
        (site / f"{name}.py").write_text(f"raise ModuleNotFoundError({said!r}, name={name!r})\n")
    work = place / "work"
    work.mkdir()

    def run(*words):
        return subprocess.run(
            [place / "bin/python", "-m", "lidarpan.cli", *words],
            cwd=work, capture_output=True, text=True, check=False, env=plain_environment(),
        )  # fmt: skip

    return run, work


def plain_environment():
    """Without PYTHONPATH and the like."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PIP_CERT", "PIP_FIND_LINKS", "NUMBA_CACHE_DIR")
    return {key: os.environ[key] for key in kept if key in os.environ} | {"OMP_NUM_THREADS": "1"}


def test_the_wheel_runs_outside_the_checkout(core_only):
    run, _ = core_only
    done = run("--version")
    assert (done.returncode, done.stdout.startswith("lidarpan ")) == (0, True), done.stderr
    shipped = run("config", "town")
    assert shipped.returncode == 0, shipped.stderr
    assert "bev_channels" in shipped.stdout
    missing = run("config", "village.yaml")
    assert (missing.returncode, missing.stderr.startswith("error: village.yaml")) == (2, True)


def test_a_missing_extra_is_one_line_with_its_command(core_only):
    run, work = core_only
    (work / "a.laz").write_bytes(b"LASF" + bytes(400))
    scan = work / "a.bin"
    scan.write_bytes(bytes(1600))
    for words, extra in (
        (("train", "town"), "train"),
        (("draw", "a.laz", "--out", "a.png"), "las"),
        (("draw", "a.bin", "--rerun", "a.rrd"), "rerun"),
    ):
        done = run(*words)
        assert done.returncode == 2, done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert line.endswith(f"which is not installed: pip install 'lidarpan[{extra}]'")


@pytest.mark.slow
def test_demo_runs_with_the_core_alone(core_only):
    run, work = core_only
    done = run("demo", "--out", "demo")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (work / "demo").iterdir()} == {
        "scan.bin", "truth.label", "prediction.label", "map.png",
    }  # fmt: skip
    assert "PQ" in done.stdout


@pytest.mark.slow
def test_pip_installs_the_wheel_into_an_empty_environment(wheel, tmp_path):
    """With all libraries from the package index, but torch as it is here: theirs is gigabytes."""
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty/bin/python"
    here = tmp_path / "constraints.txt"
    here.write_text(f"torch=={metadata.version('torch')}\n")
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "-c", here, wheel],
        capture_output=True, text=True, check=False, env=plain_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    done = subprocess.run(
        [tmp_path / "empty/bin/lidarpan", "demo", "--out", "demo"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=plain_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "demo/map.png").is_file()
