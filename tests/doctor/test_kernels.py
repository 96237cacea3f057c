"""Kernels compiled ahead: a mark says so, and after it predict compiles none."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lidarpan.doctor import kernels


def run(code, cache):
    words = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split("\n")[:-1]


def test_a_mark_says_that_these_very_kernels_are_compiled(tmp_path):
    code = (
        "from lidarpan.doctor import kernels as k;"
        "k._run_process = lambda part, names: names.put(None);"
        "print(k.are_compiled(), k.compile_kernels(print), k.are_compiled());"
        "k._ROOMS = ('voxels',);"  # as if files had changed
        "print(k.are_compiled(), k.compile_kernels(print), k.are_compiled())"
    )
    assert run(code, tmp_path) == ["False 0 True", "False 0 True"]
    assert len(list(tmp_path.rglob("*.compiled"))) == 1  # the old mark is gone


def test_a_process_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(kernels, "PARTS", ("nothing",))
    with pytest.raises(RuntimeError, match=r"kernels of nothing cannot be compiled.*KeyError"):
        kernels.compile_kernels(lambda name, count: None)


COUNT = """
from numba.core import event
class Listener(event.Listener):
    def on_start(self, event): pass
    def on_end(self, event): print("compiled", event.data["dispatcher"].py_func.__name__)
event.register("numba:compile", Listener())
import sys
from lidarpan.cli import main
sys.argv = ["lidarpan", *{words}]
main()
"""


@pytest.mark.slow
def test_predict_compiles_nothing_after_it(tmp_path):
    code = "from lidarpan.doctor.kernels import *; compile_kernels(print); print(are_compiled())"
    said = run(code, tmp_path / "cache")
    assert said[-1] == "True"
    assert any("convolve" in line for line in said)
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.uniform(-20, 20, (5000, 2)), rng.uniform(-2, 1, 5000)])
    rows = np.column_stack([rows, rng.random(5000)]).astype(np.float32)
    rows.tofile(tmp_path / "scan.bin")
    words = ["predict", str(tmp_path / "scan.bin"), "--out", str(tmp_path / "out")]
    said = run(COUNT.format(words=words), tmp_path / "cache")
    assert [line for line in said if line.startswith("compiled ")] == []
    assert list(tmp_path.glob("out/**/*.label"))
