"""Register tiles of every machine: the bits of a convolution depend on no vector's length."""

import os
import subprocess
import sys

import pytest

CODE = """
import hashlib, numpy as np, torch
from lidarpan.model.sparse import choose_engine
from lidarpan.model.sparse.modules import SparseTensor, SubmanifoldConv3d
cells = np.argwhere(np.random.default_rng(0).random((6, 9, 5)) < 0.5)
indices = torch.from_numpy(np.insert(cells, 0, 0, axis=1).astype(np.int32))
torch.manual_seed(0)
digest = hashlib.sha256()
for cin, cout in ((13, 24), (24, 48), (5, 64), (8, 16), (8, 7), (6, 40)):
    x, conv = torch.randn(len(indices), cin), SubmanifoldConv3d(cin, cout, 3)
    with torch.no_grad():
        outs = [
            conv(SparseTensor(x, indices, (6, 9, 5), 1, choose_engine("cpu", name))).features
            for name in ("numba", "torch")
        ]
    assert torch.allclose(*outs, atol=1e-5), (cin, cout)
    digest.update(outs[0].numpy().tobytes())
print(digest.hexdigest())
"""
MACHINES = {
    "16 lanes": {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx512f,+avx512vl",
    },
    "8 lanes": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+avx2,+fma"},
}


def digest_on(machine, cache):
    from llvmlite import binding

    has = binding.get_host_cpu_features()
    wanted = [word[1:] for word in machine["NUMBA_CPU_FEATURES"].split(",")]
    if not all(has.get(feature) for feature in wanted):
        pytest.skip(f"this processor has not all of {', '.join(wanted)}")
    environment = {**os.environ, **machine, "NUMBA_CACHE_DIR": str(cache)}
    words = [sys.executable, "-W", "ignore", "-c", CODE]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_long_and_short_vectors_give_the_same_bits(tmp_path):
    digests = {name: digest_on(machine, tmp_path) for name, machine in MACHINES.items()}
    assert digests["16 lanes"] == digests["8 lanes"]
