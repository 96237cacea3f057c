#!/usr/bin/env python
"""Check and time on a CUDA machine what a CPU cannot: one command, at most 4 minutes, one report.

    python tools/gpu_check.py --out gpu-check.json
    python tools/gpu_check.py --dry-run      # the same steps, small, on the CPU

While numba compiles the CPU's kernels, it measures the parity of the engines that are there and
runs the CUDA tests with LIDARPAN_REQUIRE_CUDA=1. Then it times the network with each engine in fp32
and half precision beside its floor, profiles the last, runs `lidarpan bench` with the default
engine and predicts a folder of scans with and without overlap. open3d, spconv, spconv-triton and
nuscenes-devkit may be missing: what was left out for that is said. lidarpan itself need not be
installed. The essential table comes last.

Exit code: 0 all passed, 1 something failed, 2 it cannot run here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gpu_table import essential_table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
NEEDED = ("torch", "numba", "numpy", "scipy", "safetensors", "pydantic", "yaml", "typer", "rich")
PEERS = ("spconv", "spconv-triton")
DEVICE_TESTS = "tests/model/test_devices.py"
LIMIT_S = 230.0  # for all steps: the report is written within 4 minutes
DRY_LIMIT_S = 1800.0  # of a step of a rehearsal: any machine, however busy
STEP_LIMITS_S = {
    "compile": 150.0, "tests": 100.0, "parity": 60.0, "network": 50.0, "bench": 40.0,
    "overlap": 40.0,
}  # fmt: skip


@dataclass
class Step:
    """What became of one step.

    Attributes:
        name: of the step.
        state: passed, failed, or left out.
        elapsed_s: seconds.
        detail: why it failed or was left out.
        result: what it measured.
    """

    name: str
    state: str
    elapsed_s: float = 0.0
    detail: str = ""
    result: Any = None


@dataclass
class Check:
    """The whole run.

    Attributes:
        is_dry: on the CPU, small.
        out: the report's file.
        scans: scan files to time; none = streets of boxes.
        is_quick: only the first engine and the whole way.
        begin: of the run, seconds of the monotonic clock.
        steps: so far.
        about: machine and packages.
    """

    is_dry: bool
    out: Path
    scans: list[Path] = field(default_factory=list)
    is_quick: bool = False
    begin: float = field(default_factory=time.monotonic)
    steps: list[Step] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """Where the network runs."""
        return "cpu" if self.is_dry else "cuda"

    def leave_out(self, name: str, reason: str) -> None:
        """Note a step that cannot run here."""
        self._add(Step(name, "left out", detail=reason))

    def run(self, name: str, words: list[str], result: Path | None = None) -> Step:
        """Run a child process as a step, within the time that is left."""
        left = LIMIT_S + self.begin - time.monotonic()
        limit = min(STEP_LIMITS_S[name.split()[0]], left) if not self.is_dry else DRY_LIMIT_S
        if limit < 5:
            self.leave_out(name, "no time left")
            return self.steps[-1]
        print(f"{name} ...", flush=True)
        started = time.monotonic()
        environment = os.environ | {"PYTHONPATH": _python_path(), "PYTHONWARNINGS": "ignore"}
        if not self.is_dry:
            environment |= {"LIDARPAN_REQUIRE_CUDA": "1", "TRITON_INTERPRET": "0"}
        try:
            done = subprocess.run(
                words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit,
                check=False,
            )  # fmt: skip
            state = "failed" if done.returncode else "passed"
            detail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        except subprocess.TimeoutExpired:
            state, detail = "failed", f"not done after {limit:.0f} s"
        step = Step(name, state, time.monotonic() - started, detail if state == "failed" else "")
        if result and result.is_file():
            is_json = result.suffix == ".json"
            step.result = json.loads(result.read_text()) if is_json else _read_tests(result)
        return self._add(step)

    def _add(self, step: Step) -> Step:
        self.steps.append(step)
        words = [f"{step.name}: {step.state}", f"{step.elapsed_s:.0f} s" if step.elapsed_s else ""]
        print(", ".join(word for word in words if word) + f" {step.detail}".rstrip(), flush=True)
        self.write()
        return step

    def write(self) -> None:
        """The report so far as JSON; the file is whole or absent."""
        report = {
            "format": "lidarpan-gpu-check-1",
            "is_dry_run": self.is_dry,
            "passed": not any(step.state == "failed" for step in self.steps),
            "elapsed_s": time.monotonic() - self.begin,
            "about": self.about,
            "steps": [asdict(step) for step in self.steps],
        }
        beside = self.out.with_name(f".{self.out.name}.part")
        beside.write_text(json.dumps(report, indent=1) + "\n")
        beside.replace(self.out)


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def _read_tests(path: Path) -> dict[str, Any]:
    """Counts, and the names and first lines of failures and skips, of a JUnit file."""
    suite = next(ElementTree.parse(path).getroot().iter("testsuite"))
    keys = ("tests", "failures", "errors", "skipped")
    found: dict[str, Any] = {key: int(suite.get(key, "0")) for key in keys}
    for kind in ("failure", "error", "skipped"):
        found[f"{kind}s"] = [
            f"{case.get('classname')}.{case.get('name')}: {reason.get('message', '')[:200]}"
            for case in suite.iter("testcase")
            for reason in case.iter(kind)
        ]
    return found


def _cannot_run(is_dry: bool) -> str:
    """Why nothing can run here, in one line, or ""."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        wheels = " ".join({"yaml": "pyyaml"}.get(name, name) for name in missing)
        return f"missing: {wheels}: run {sys.executable} -m pip install {wheels}"
    if is_dry:
        return ""
    import torch

    if not torch.cuda.is_available():
        return (
            f"no CUDA device: torch {torch.__version__} finds none: see lidarpan doctor, "
            "or rehearse on the CPU with --dry-run"
        )
    return ""


def _cuda_test_files() -> list[str]:
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    marked = [path for path in files if "pytest.mark.cuda" in path.read_text()]
    return [str(path.relative_to(ROOT)) for path in marked]


def _step_words(step: str, check: Check, *words: str) -> list[str]:
    scans = ["--scans", *map(str, check.scans)] if check.scans else []
    return [sys.executable, str(ROOT / "tools/gpu_steps.py"), step, check.device, *words, *scans]


def check_all(check: Check) -> None:
    """All steps, in order of worth."""
    from lidarpan.doctor import examine
    from lidarpan.errors import InputError
    from lidarpan.model.sparse import choose_engine, describe_engines

    engines, ready, left_out = describe_engines(), [], {}
    for name, _, _ in engines:
        if check.is_dry and name not in ("numba", "torch"):
            left_out[name] = "the rehearsal takes numba and torch alone"
            continue
        try:
            ready.append(choose_engine(check.device, name).name)
        except InputError as reason:
            left_out[name] = str(reason)
    check.about = {
        "findings": [asdict(finding) for finding in examine()],
        "engines": {name: detail for name, _, detail in engines},
    }
    for name, why in left_out.items():
        check.leave_out(f"network {name}", why)
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(1) as beside:
        folder = Path(place)
        compiled = beside.submit(check.run, "compile", _step_words("compile", check))
        own = [name for name in ready if name not in PEERS]
        if check.is_quick:
            own = own[:1]
        for name in own:
            _measure(check, "network", name, folder)
        compiled.result()
        _time_files(check, folder)
        _run_tests(check, "tests of the pipeline", [DEVICE_TESTS], folder)
        if check.is_quick:
            return
        files = [path for path in _cuda_test_files() if path != DEVICE_TESTS]
        _run_tests(check, "tests of engines", files, folder)
        for name in own:
            _measure(check, "parity", name, folder)
        for name in (name for name in ready if name in PEERS):
            _measure(check, "network", name, folder)
            _measure(check, "parity", name, folder)


def _time_files(check: Check, folder: Path) -> None:
    """From scan files to label files, one by one and a folder."""
    for precision in ("fp32",) if check.is_dry else ("fp16", "fp32"):
        found = folder / f"bench-{precision}.json"
        words = [sys.executable, "-m", "lidarpan.cli", "bench", *map(str, check.scans)]
        words += ["--device", check.device, "--precision", precision, "--json", str(found)]
        words += ["--scans", "1" if check.is_dry else "60"]
        check.run(f"bench {precision}", words, found)
    found = folder / "overlap.json"
    check.run("overlap", _step_words("overlap", check, "--out", str(found)), found)


def _measure(check: Check, step: str, engine: str, folder: Path) -> None:
    found = folder / f"{step}-{engine}.json"
    words = _step_words(step, check, "--out", str(found), "--engines", engine)
    check.run(f"{step} {engine}", words, found)


def _run_tests(check: Check, name: str, files: list[str], folder: Path) -> None:
    if not importlib.util.find_spec("pytest"):
        check.leave_out(name, "pytest is not installed")
        return
    junit = folder / "tests.xml"
    chosen = (
        ["-k", "torch-cpu and (voxel or pieces or predict)"] if check.is_dry else ["-m", "cuda"]
    )
    words = [sys.executable, "-m", "pytest", "-q", *chosen, f"--junitxml={junit}", *files]
    check.run(name, words, junit)


def main() -> int:
    """Parse, check, report."""
    lines = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        description=lines[0], epilog="\n\n".join(lines[1:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="the report")
    parser.add_argument("--dry-run", action="store_true", help="the same steps, small, on the CPU")
    parser.add_argument("--scans", type=Path, nargs="*", default=[], help="scan files to time")
    parser.add_argument(
        "--quick", action="store_true", help="the first engine and the whole way alone"
    )
    chosen = parser.parse_args()
    reason = _cannot_run(chosen.dry_run)
    if reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    check = Check(
        chosen.dry_run, chosen.out, [path.absolute() for path in chosen.scans], chosen.quick
    )
    try:
        check.write()
    except OSError as error:
        print(f"error: {chosen.out}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    check_all(check)
    print(*essential_table({step.name: step.result for step in check.steps}), sep="\n")
    failed = [step.name for step in check.steps if step.state == "failed"]
    print(f"{'failed: ' + ', '.join(failed) if failed else 'all passed'}; report: {check.out}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
