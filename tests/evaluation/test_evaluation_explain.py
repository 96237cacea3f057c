"""Why a score is what it is: mended kinds, rings, sizes and oracles of a small tree."""

import io
import json
import re

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.datasets.kitti_labels import write_label
from lidarpan.evaluation import evaluate_folder, write_json
from lidarpan.evaluation.explain import ORACLES, explain
from lidarpan.evaluation.explained import explanation_json, format_explanation
from lidarpan.evaluation.html_report import write_html_report
from lidarpan.metrics.errors import KINDS

CAR = load_class_table("semantickitti").id_of("car")

# (true raw, true id, predicted raw, predicted id, number of points, distance in metres)
RUNS = (
    (10, 1, 10, 7, 120, 5),  # two cars merged ...
    (10, 2, 10, 7, 120, 5),
    (10, 3, 10, 8, 300, 25),  # ... one right ...
    (10, 4, 40, 0, 80, 33),  # ... one missed
    (40, 0, 40, 0, 900, 15),
    (40, 0, 10, 9, 60, 18),  # and one invented
    (0, 0, 10, 9, 500, 45),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("explain")
    for i, scale in enumerate((1, 1.5)):
        rows = np.repeat([run[:4] for run in RUNS], [int(run[4] * scale) for run in RUNS], axis=0)
        away = np.repeat([run[5] for run in RUNS], [int(run[4] * scale) for run in RUNS])
        write_label(root / f"data/sequences/08/labels/{i:06d}.label", pack(rows[:, 0], rows[:, 1]))
        file = root / f"pred/sequences/08/predictions/{i:06d}.label"
        write_label(file, pack(rows[:, 2], rows[:, 3]))
        points = np.zeros((len(rows), 4), np.float32)
        points[:, 0] = away
        scan = root / f"data/sequences/08/velodyne/{i:06d}.bin"
        scan.parent.mkdir(parents=True, exist_ok=True)
        points.tofile(scan)
    return root


def pack(raw, instance):
    return (raw | (instance << 16)).astype(np.uint32)


@pytest.fixture(scope="module")
def explanation(tree):
    evaluation = evaluate_folder(
        "semantickitti", tree / "data", tree / "pred", "valid", protocol="present"
    )
    return explain(evaluation)


def test_mending_a_kind_makes_its_segments_right(explanation):
    mended = {row.kind: row for row in explanation.mended}
    assert list(mended) == list(KINDS)
    assert (mended["merged"].fn[CAR], mended["merged"].fp[CAR]) == (4, 2)
    assert (mended["missed"].fn[CAR], mended["invented"].fp[CAR]) == (2, 2)
    scores = explanation.evaluation.scores
    assert (scores.tp[CAR], scores.fp[CAR], scores.fn[CAR]) == (2, 4, 6)
    road = scores.class_pq.sum() - scores.class_pq[CAR]
    assert scores.pq == pytest.approx((2 / 7 + road) / 2)
    assert mended["merged"].pq == pytest.approx(((2 + 4) / (6 + 1 + 1) + road) / 2)
    assert mended["missed"].pq == pytest.approx(((2 + 2) / (4 + 2 + 2) + road) / 2)
    assert mended["invented"].pq == pytest.approx((2 / (2 + 1 + 3) + road) / 2)
    assert mended["split"].pq == scores.pq


def test_rings_score_their_own_points(explanation):
    rings = explanation.rings
    assert list(rings) == [(0, 10), (10, 20), (20, 30), (30, 40)]  # at 45 m all is void
    assert rings[0, 10].pq == 0.0
    assert rings[20, 30].pq == 1.0
    assert rings[10, 20].class_iou[CAR] == 0.0
    assert rings[10, 20].pq == pytest.approx(900 / 960, abs=1e-3)
    assert explanation.num_located == 2


def test_sizes_sort_things_by_points(explanation):
    by_size = {row.low: (row.tp, row.fn, row.fp) for row in explanation.sizes}
    assert by_size[50] == (0, 1, 2)  # missed 80, invented 60 and 90
    assert by_size[100] == (0, 5, 0)  # the four merged ones, missed 120
    assert by_size[200] == (2, 0, 2)
    assert sum(row.fp for row in explanation.sizes) == explanation.evaluation.scores.fp[CAR]


def test_oracles_put_the_truth_for_one_half(explanation):
    oracles = explanation.oracles
    assert list(oracles) == list(ORACLES)
    assert oracles["as predicted"] == explanation.evaluation.scores
    assert oracles["true semantics"].miou == 1.0
    assert (oracles["true semantics"].tp[CAR], oracles["true semantics"].fn[CAR]) == (4, 4)
    assert oracles["true instances"].miou == explanation.evaluation.scores.miou
    assert (oracles["true instances"].tp[CAR], oracles["true instances"].fn[CAR]) == (6, 2)


def test_without_scan_files_there_are_no_rings(tree, explanation, tmp_path):
    (tree / "data/sequences/08/velodyne").rename(tmp_path / "velodyne")
    try:
        blind = explain(explanation.evaluation)
    finally:
        (tmp_path / "velodyne").rename(tree / "data/sequences/08/velodyne")
    assert blind.rings == {}
    assert blind.num_located == 0
    assert np.isnan(blind.boundary.f_score)
    assert [row.pq for row in blind.mended] == [row.pq for row in explanation.mended]


def test_json_takes_the_explanation(explanation, tmp_path):
    extra = {"explanation": explanation_json(explanation)}
    write_json(explanation.evaluation, tmp_path / "scores.json", extra)
    result = json.loads((tmp_path / "scores.json").read_text())["explanation"]
    assert set(result["errors"]) == set(KINDS)
    assert result["errors"]["merged"]["classes"] == {"car": [4, 2]}
    assert result["oracles"]["true semantics"]["miou"] == 1.0
    assert result["rings_m"][2] == {"from": 20, "to": 30, "pq": 1.0, "miou": 1.0}


def test_page_needs_no_other_file_and_says_what_the_tables_say(explanation, tmp_path):
    from rich.console import Console

    write_html_report(explanation.evaluation, tmp_path / "why.html", explanation=explanation)
    page = (tmp_path / "why.html").read_text()
    assert not re.search(r"src=[^'\"]*['\"](?!data:)|url\(|@import|https?:", page)
    stream = io.StringIO()
    Console(file=stream, width=140).print(format_explanation(explanation))
    merged = next(row for row in explanation.mended if row.kind == "merged")
    assert f"{merged.pq:.4f}" in stream.getvalue()
    assert f"<span>{merged.pq:.3f}</span>" in page
    for text in (page, stream.getvalue()):
        assert all(kind in text for kind in KINDS)
        assert "Border F-score of segments in 0.2 m cells: -" in text
    narrow = io.StringIO()
    Console(file=narrow, width=80).print(format_explanation(explanation))
    assert "…" not in narrow.getvalue()
    assert page.count("<svg") == page.count("</svg>") == page.count("<tr><td")
