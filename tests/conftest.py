import os
from pathlib import Path

import pytest

if not Path("/dev/nvidiactl").exists():  # before anything imports Triton: test_triton needs it
    os.environ.setdefault("TRITON_INTERPRET", "1")
# likewise before numba: its threads must not spin while the cores are busy with something else
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true", help="run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "slow" in item.keywords and not config.getoption("--run-slow"):
            item.add_marker(pytest.mark.skip(reason="slow: run with --run-slow"))
        if "cuda" in item.keywords and not _has_cuda():
            if os.environ.get("LIDARPAN_REQUIRE_CUDA") == "1":
                item.add_marker(pytest.mark.usefixtures("missing_cuda"))
            else:
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _has_cuda():
    import torch

    return torch.cuda.is_available()


@pytest.fixture
def missing_cuda():
    pytest.fail("LIDARPAN_REQUIRE_CUDA=1 but torch finds no CUDA device")


@pytest.fixture(scope="session")
def real_data():
    """Folder of real scans, or a skip that says where it was looked for."""
    named = os.environ.get("LIDARPAN_REAL_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real scans in {folder}: set LIDARPAN_REAL_DATA")
    return folder
