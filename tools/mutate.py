"""Ten faults put into the hot paths, one at a time, in a copy: does a test fail for each?

    python tools/mutate.py                 # all, a few minutes on an idle machine
    python tools/mutate.py --only 3 7
    python tools/mutate.py --list

The copy lies in a temporary folder; kernels run as plain Python there (NUMBA_DISABLE_JIT), but for
those of the sparse convolutions. Exit code: 0 all caught, 1 one survived.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mutation:
    """One fault and the test that is to catch it.

    Attributes:
        file: below `lidarpan`.
        right: the code as it is, once in the file.
        wrong: what stands there instead.
        tests: words for pytest.
        is_compiled: whether the kernels are compiled: those with intrinsics cannot run without.
    """

    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]
    is_compiled: bool = False


_KERNELS = "tests/grouping/test_grouping_kernels.py"
_FUSION = "tests/grouping/test_fusion.py"
_ENGINES = "tests/model/test_engines.py"
_FEATURES = ("tests/model/test_network.py", "-k", "features")
MUTATIONS = (
    Mutation(
        "grouping/hulls.py", "        if right > 0.0:", "        if right > 0.5:",
        (_KERNELS, "-k", "hulls_equal_scipy"),
    ),
    Mutation(
        "grouping/hulls.py", "    return np.sqrt(best)", "    return best",
        (_KERNELS, "-k", "hull_gap"),
    ),
    Mutation(
        "grouping/hulls.py", "low, high = min(low, along), max(high, along)",
        "low, high = 0.0, max(high, along)", (_KERNELS, "-k", "fits_box"),
    ),
    Mutation(
        "grouping/surroundings.py", "dx * dx + dy * dy + dz * dz < radius",
        "dx * dx + dy * dy < radius", (_KERNELS, "-k", "buried"),
    ),
    Mutation(
        "grouping/claims.py", "score[k] > score[best]", "score[k] < score[best]",
        (_FUSION, "-k", "higher_score"),
    ),
    Mutation(
        "grouping/claims.py", " or protected[class_of[k], semantic[i]]", "",
        (_FUSION, "-k", "unless_protected"),
    ),
    Mutation(
        "voxels/moments.py", "(points[i, 2] - moments[v, 2]) ** 2", "(points[i, 2]) ** 2",
        _FEATURES,
    ),
    Mutation(
        "voxels/moments.py", "near[min(1, count - 1)]", "near[0]", _FEATURES,
    ),
    Mutation(
        "voxels/moments.py", "near[k] - near[k - 1] <= near_m", "near[k] - near[0] >= near_m",
        _FEATURES,
    ),
    Mutation(
        "model/sparse/torch.py", "partial(rows.flip, 1)", "rows.clone",
        (_ENGINES, "-k", "submanifold and torch-cpu"),
    ),
    Mutation(
        "model/sparse/neighbours.py", "if above >= height:", "if above > height - 2:",
        ("tests/model/test_sparse.py", "-k", "listed_pairs"), is_compiled=True,
    ),
)  # fmt: skip


def is_caught(mutation: Mutation) -> bool:
    """Whether the tests, which pass without it, fail with the fault."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for name in ("lidarpan", "tests", "tools", "benchmarks"):
            shutil.copytree(ROOT / name, copy / name)
        shutil.copy(ROOT / "pyproject.toml", copy)
        file = copy / "lidarpan" / mutation.file
        text = file.read_text()
        if text.count(mutation.right) != 1:
            raise SystemExit(f"{mutation.file}: wanted {mutation.right!r} once: mend this list")
        if not run_tests(copy, mutation):
            raise SystemExit(f"{' '.join(mutation.tests)}: fails without any fault")
        file.write_text(text.replace(mutation.right, mutation.wrong))
        return not run_tests(copy, mutation)


def run_tests(copy: Path, mutation: Mutation) -> bool:
    """Whether the tests of a mutation pass in the copy."""
    jit = {} if mutation.is_compiled else {"NUMBA_DISABLE_JIT": "1"}
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests]
    environment = os.environ | {"PYTHONPATH": str(copy)} | jit
    done = subprocess.run(words, cwd=copy, env=environment, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(words)}: {done.stdout.decode()[-500:]}")
    return done.returncode == 0


def main() -> int:
    """Try the mutations one by one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, nargs="*", help="numbers from the list")
    parser.add_argument("--list", action="store_true", help="print the list alone")
    chosen = parser.parse_args()
    survived = 0
    for number, mutation in enumerate(MUTATIONS, 1):
        if chosen.only and number not in chosen.only:
            continue
        words = f"{number:2d} {mutation.file}: {mutation.right.strip()} -> {mutation.wrong.strip()}"
        if chosen.list:
            print(words)
            continue
        caught = is_caught(mutation)
        survived += not caught
        print(f"{words}: {'caught' if caught else 'SURVIVED'}", flush=True)
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
