"""The pipeline on every device and engine against the CPU; the same body runs on a CPU alone."""

import numpy as np
import pytest
import torch

from lidarpan.bench.scans import street_scan, write_street
from lidarpan.datasets.label_files import read_prediction
from lidarpan.errors import InputError
from lidarpan.inference import predict_files
from lidarpan.model.device_network import voxel_network
from lidarpan.model.sparse import choose_engine, describe_engines
from lidarpan.model.weights import check_precision
from lidarpan.overlap import overlap
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import Scan

CUDA = pytest.mark.cuda
GPU_ENGINES = ("torch", "spconv", "triton", "spconv-triton")
RUNS = [
    pytest.param("torch", "cpu", id="torch-cpu"),
    *(pytest.param(e, "cuda", id=f"{e}-cuda", marks=CUDA) for e in GPU_ENGINES),
]
HALVES = [
    pytest.param("torch", "cpu", "bf16", id="torch-cpu-bf16"),
    *(
        pytest.param(e, "cuda", p, id=f"{e}-cuda-{p}", marks=CUDA)
        for e in GPU_ENGINES
        for p in ("fp16", "bf16")
    ),
]


@pytest.fixture(scope="module")
def reference():
    """The shipped weights on the CPU, and what they say of a street."""
    pipeline = PanopticPipeline.from_weights("town", "cpu")
    scan = street_scan(12_000, seed=3)
    prepared = pipeline.prepare(scan)
    outputs = pipeline.run_network(prepared)
    return pipeline, scan, prepared, outputs, pipeline.finish(prepared, outputs)


def make_pipeline(name, device):
    ((_, available, reason),) = describe_engines([name])
    if not available:
        pytest.skip(f"{name}: {reason}")
    return PanopticPipeline.from_weights("town", device, name)


def same_partition(one, other):
    """Share of the points of either's instances that are in matching instances."""
    pairs, counts = np.unique(np.stack([one, other]), axis=1, return_counts=True)
    best = {}
    for (a, b), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
        if a and b:
            best[a] = max(best.get(a, 0), count)
    return sum(best.values()) / max(int(((one > 0) | (other > 0)).sum()), 1)


@pytest.mark.parametrize(("name", "device"), RUNS)
def test_predict_equals_the_cpu(name, device, reference):
    _, scan, prepared, wanted, labels = reference
    pipeline = make_pipeline(name, device)
    got = voxel_network(pipeline.network).run(prepared)
    assert got.columns.tolist() == wanted.columns.tolist()
    np.testing.assert_allclose(got.probabilities, wanted.probabilities, atol=2e-3)
    np.testing.assert_allclose(got.heatmap, wanted.heatmap, atol=2e-3)
    np.testing.assert_allclose(got.offset_m, wanted.offset_m, atol=5e-3)
    there = pipeline.predict(scan)
    assert (there.semantic == labels.semantic).mean() > 0.998
    if labels.instance.any():
        assert same_partition(labels.instance, there.instance) > 0.98
    assert pipeline.predict(scan).semantic.tobytes() == there.semantic.tobytes()


@pytest.mark.parametrize(("name", "device", "precision"), HALVES)
def test_half_precision_keeps_the_labels(name, device, precision, reference):
    _, scan, prepared, wanted, labels = reference
    pipeline = make_pipeline(name, device)
    if device != "cpu":
        check_precision(precision, pipeline.device)
    network = voxel_network(pipeline.network)
    network.precision = precision
    got = network.run(prepared)
    assert got.probabilities.dtype == got.offset_m.dtype == np.float32
    assert np.isfinite(got.probabilities).all()
    same = got.probabilities.argmax(1) == wanted.probabilities.argmax(1)
    assert same.mean() > {"fp16": 0.99, "bf16": 0.95}[precision]
    assert np.abs(got.offset_m - wanted.offset_m).mean() < 0.05
    if device != "cpu":  # as a whole, all steps on the device
        whole = PanopticPipeline.from_weights("town", device, name, precision).predict(scan)
        assert (whole.semantic == labels.semantic).mean() > {"fp16": 0.99, "bf16": 0.95}[precision]


def test_precision_is_checked():
    with pytest.raises(InputError, match="fp16 needs a CUDA device"):
        PanopticPipeline.from_weights("town", "cpu", precision="fp16")
    with pytest.raises(InputError, match="wanted one of fp32, fp16, bf16"):
        check_precision("half", torch.device("cpu"))


def test_a_scan_without_a_voxel_is_void(reference):
    pipeline = reference[0]
    scan = Scan(np.full((5, 3), 500, np.float32), np.zeros(5, np.float32))
    labels = pipeline.predict(scan)
    assert not labels.semantic.any()
    assert not labels.instance.any()


def folder_of(tmp_path):
    """Street scans, and one file that is none."""
    paths = [write_street(tmp_path, 6000, seed) for seed in range(4)]
    bad = tmp_path / "bad.bin"
    bad.write_bytes(b"\0" * 1001)
    return [*paths[:2], bad, *paths[2:]]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
def test_overlapped_is_serial_to_the_bit(device, tmp_path, reference):
    pipeline = reference[0] if device == "cpu" else PanopticPipeline.from_weights("town", device)
    scans = folder_of(tmp_path)
    runs = {}
    for is_overlapped in (False, True):
        out = tmp_path / f"out-{is_overlapped}"
        runs[is_overlapped] = list(
            predict_files(pipeline, scans, out, "semantickitti", is_overlapped=is_overlapped)
        )
    for serial, both in zip(runs[False], runs[True], strict=True):
        assert both.scan_path == serial.scan_path
        assert both.error == serial.error
        assert both.warnings == serial.warnings
        if not serial.error:
            assert both.path.read_bytes() == serial.path.read_bytes()
            assert set(both.elapsed_ms) == set(serial.elapsed_ms)
    assert [bool(r.error) for r in runs[True]] == [False, False, True, False, False]


def test_overlapped_work_is_resumed_and_its_errors_come_through(tmp_path, reference, monkeypatch):
    pipeline, scans, out = reference[0], folder_of(tmp_path), tmp_path / "out"
    stream = predict_files(pipeline, scans, out, "npz", is_overlapped=True)
    first = next(stream)
    stream.close()  # as if interrupted
    whole = sorted(out.rglob("*"))
    assert first.path in whole
    assert not [path for path in whole if path.name.endswith(".part")]
    again = list(predict_files(pipeline, scans, out, "npz", is_overlapped=True))
    assert again[0].elapsed_ms is None  # was there already
    assert sum(path.suffix == ".npz" for path in out.rglob("*")) == 4

    def full(*_):
        raise MemoryError("grouping")

    monkeypatch.setattr(pipeline, "finish", full)
    with pytest.raises(MemoryError, match="grouping"):
        list(predict_files(pipeline, scans, out, "npz", overwrite=True, is_overlapped=True))


@pytest.mark.parametrize(("num_cores", "is_wanted"), [(1, False), (2, True)])
def test_folders_overlap_where_there_are_cores(
    tmp_path, reference, monkeypatch, num_cores, is_wanted
):
    """While one thread reads or groups, the other core would stand still."""
    calls = []

    def watched(*words):
        calls.append(words)
        return overlap(*words)

    monkeypatch.setattr("lidarpan.inference.folders._num_cores", lambda: num_cores)
    monkeypatch.setattr("lidarpan.inference.folders.overlap", watched)
    (result,) = predict_files(reference[0], folder_of(tmp_path)[:1], tmp_path / "out", "npz")
    assert not result.error
    assert read_prediction(result.path, reference[0].classes).num_points > 5000
    assert bool(calls) == is_wanted


@CUDA
def test_devices_default_to_the_gpu():
    pipeline = PanopticPipeline.from_weights("town", "auto")
    assert pipeline.device.type == "cuda"
    assert voxel_network(pipeline.network).engine.name == choose_engine("cuda").name
