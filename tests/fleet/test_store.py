"""Work on files in a store; file:// is a store as s3:// is one."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lidarpan.cli.app import app
from lidarpan.errors import InputError
from lidarpan.fleet.store import Store, local_copy, local_output, url_of

pytest.importorskip("fsspec")
pytestmark = pytest.mark.xdist_group("fleet")  # one cluster for all


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("s3://bucket/a", "s3://bucket/a"),
        (Path("s3://bucket/a"), "s3://bucket/a"),
        (Path("gs://b"), "gs://b"),
        (Path("file:///tmp/a"), "file:///tmp/a"),
        ("/tmp/a", None),
        ("a/b", None),
        ("scans/*.bin", None),
        ("C:\\scans", None),
    ],
)
def test_what_is_a_url(given, url):
    assert url_of(given) == url


def test_files_go_and_come(tmp_path):
    (tmp_path / "in/a").mkdir(parents=True)
    (tmp_path / "in/a/x.label").write_bytes(b"x")
    (tmp_path / "in/velodyne").mkdir()
    (tmp_path / "in/velodyne/x.bin").write_bytes(b"large")
    there = Path(f"file://{tmp_path}/in")
    with local_copy(there, left_out=("velodyne",)) as copy:
        assert [p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()] == [
            "a/x.label"
        ]
    assert not copy.exists()
    with local_output(Path(f"file://{tmp_path}/out/deep")) as made:
        (made / "b").mkdir()
        (made / "b/y").write_bytes(b"y")
    assert (tmp_path / "out/deep/b/y").read_bytes() == b"y"
    with local_copy(tmp_path) as same, local_output(tmp_path) as also:
        assert same == also == tmp_path
    (one, other) = Store(f"file://{tmp_path}/in").find()
    assert (one.size, other.size) == (1, 5)
    assert one.time_s == pytest.approx((tmp_path / "in/a/x.label").stat().st_mtime)


def test_a_store_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        Store("nostore://x")
    with pytest.raises(InputError), local_copy(Path(f"file://{tmp_path}/no")):
        pass
    said = CliRunner().invoke(app, ["predict", "s3://b/scans", "--out", str(tmp_path)])
    assert isinstance(said.exception, InputError)
    assert "--engine ray" in str(said.exception)


def test_scores_of_a_store(tmp_path):
    import numpy as np

    for name in ("labels", "predictions"):
        folder = tmp_path / name / "sequences/08" / name
        folder.mkdir(parents=True)
        np.repeat([40, 50], 200).astype(np.uint32).tofile(folder / "000000.label")
    words = ["evaluate", "semantickitti", "--split", "08", "--json", str(tmp_path / "s.json")]
    urls = [
        "--data",
        f"file://{tmp_path}/labels",
        "--predictions",
        f"file://{tmp_path}/predictions",
    ]
    done = CliRunner().invoke(app, [*words, *urls], catch_exceptions=False)
    assert done.exit_code == 0
    assert '"num_scans": 1' in (tmp_path / "s.json").read_text()


@pytest.mark.slow
def test_predictions_from_store_to_store(cluster, scans, predicted, tmp_path):
    """Bytes as of local files, though a worker has only what it asked for; then there is no more
    to do."""
    from lidarpan.fleet.predict import Loading
    from lidarpan.fleet.staged import predict_all_stored
    from lidarpan.inference import Asked

    words = (Loading(device="cpu"), [f"file://{scans}"], Path(f"file://{tmp_path}/out"))
    asked = Asked(Path(), "semantickitti")
    total, stream = predict_all_stored(cluster, *words, asked)
    results = list(stream)
    assert total == len(results) == 7
    assert [r.error is not None for r in results] == [False] * 5 + [True, False]
    wanted = {p.relative_to(predicted[0]): p for p in predicted[0].rglob("*.label")}
    got = {p.relative_to(tmp_path / "out"): p for p in (tmp_path / "out").rglob("*.label")}
    assert wanted.keys() == got.keys()
    assert all(path.read_bytes() == got[name].read_bytes() for name, path in wanted.items())
    _, again = predict_all_stored(cluster, *words, replace(asked, overwrite=False))
    assert sum(result.elapsed_ms is not None for result in again) == 0
