import numpy as np
import pytest

from lidarpan.bench.scans import street_scan
from lidarpan.fleet.cluster import Cluster
from lidarpan.inference import Asked, predict_sources
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.sources import open_sources


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("ray")
    with Cluster(workers=2) as two:
        yield two


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    """Two drives of a tree with true labels, one scan of the second is cut off."""
    root = tmp_path_factory.mktemp("scans")
    for sequence, count in (("08", 4), ("09", 3)):
        folder = root / "sequences" / sequence
        for name in ("velodyne", "labels"):
            (folder / name).mkdir(parents=True)
        for k in range(count):
            scan = street_scan(6000, seed=k)
            rows = np.column_stack([scan.points, scan.intensity]).astype(np.float32)
            rows.tofile(folder / f"velodyne/{k:06d}.bin")
            labels = np.where(scan.points[:, 2] < -1.4, 40, 50).astype(np.uint32)
            labels.tofile(folder / f"labels/{k:06d}.label")
    (root / "sequences/09/velodyne/000001.bin").write_bytes(b"cut off")
    return root


@pytest.fixture(scope="session")
def predicted(scans, tmp_path_factory):
    """What one process makes of them."""
    out = tmp_path_factory.mktemp("one")
    pipeline = PanopticPipeline.from_weights(device="cpu")
    asked = Asked(out, "semantickitti")
    results = list(predict_sources(pipeline, open_sources([scans]), asked))
    return out, results
