"""The triton engine's kernels compile for a GPU, without one."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

CODE = """
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from lidarpan.model.sparse import triton_kernels, triton_norm

FLOATS = {"bias", "weight_", "parts", "affine", "stored_mean", "stored_var"}
INTS = {"rows", "num_out", "num_rows", "num_targets", "targets"}
NUMBERS = {"num_in", "offsets", "cin", "cout", "weight_k", "weight_in", "weight_out"}
NUMBERS |= {"rows_per_part", "num_keys", "capacity", "steps"}


def compile(kernel, dtype, **constants):
    kinds = {}
    for name in kernel.arg_names:
        number, whole, single = name in NUMBERS, name in INTS, name in FLOATS
        kind = "i32" if number else "*i32" if whole else "*fp32" if single else f"*{dtype}"
        kinds[name] = "constexpr" if name in constants else "*i64" if name == "keys" else kind
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, kinds, constexprs=places)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    print(kernel.__name__, dtype, len(made.asm["cubin"]) > 1000)


tile = {"WIDEN": False, "ROWS": 32, "INS": 32, "OUTS": 32}
norm = {"channels": 24, "PARTS": 128, "ROWS": 64, "COLUMNS": 32}
for dtype, precision in (("fp32", "tf32x3"), ("bf16", "ieee")):
    flags = {"HAS_BIAS": True, "HAS_RESIDUAL": True, "RECTIFY": True, "PRECISION": precision}
    compile(triton_kernels.convolve, dtype, **flags, **tile)
    compile(triton_kernels.weight_grad, dtype, PRECISION=precision, **tile)
    compile(triton_norm._part_moments, dtype, **norm)
    rest = {"share": 1.0, "min_rows": 256, "eps": 1e-5, "JOINED": 16}
    flags = {"HAS_RESIDUAL": True, "RECTIFY": True}
    compile(triton_norm._apply_moments, dtype, **norm, **rest, **flags)
geometry = dict.fromkeys(("X", "Y", "Z"), 64) | dict.fromkeys(("KX", "KY", "KZ"), 3)
geometry |= dict.fromkeys(("SX", "SY", "SZ", "PX", "PY", "PZ"), 1)
compile(triton_kernels.find_rows, "fp32", **geometry, BLOCK=256)
"""


@pytest.mark.slow
def test_kernels_compile_for_an_h100(tmp_path):
    cache = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False,
        env=os.environ | cache,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == 9
    assert all(line.endswith("True") for line in lines)
