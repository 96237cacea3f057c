"""The report: every number from the evaluation, every picture where its scan is."""

import re

import numpy as np
import pytest
from browser import Browser, find_chromium

from lidarpan.classes import load_class_table
from lidarpan.evaluation import evaluate_folder
from lidarpan.evaluation.html_report import write_html_report
from lidarpan.structures import InputError

CLASSES = load_class_table("semantickitti")
CAR, ROAD, BUILDING = 10, 40, 50  # raw labels


@pytest.fixture
def evaluation(tmp_path):
    """Two scans: in the second one, the far car is taken for a building."""
    rng = np.random.default_rng(0)
    road = np.c_[rng.uniform(-30, 30, 900), rng.uniform(-4, 4, 900), np.full(900, -1.7)]
    cars = [np.c_[rng.uniform(x, x + 4, 100), rng.uniform(1, 3, 100), rng.uniform(-1, 0, 100)]
            for x in (4, 24)]  # fmt: skip
    points = np.concatenate([road, *cars]).astype(np.float32)
    truth = np.repeat([ROAD, CAR | 1 << 16, CAR | 2 << 16], [900, 100, 100]).astype(np.uint32)
    wrong = np.where(truth == CAR | 2 << 16, BUILDING, truth).astype(np.uint32)
    for folder in ("data/sequences/08/velodyne", "data/sequences/08/labels",
                   "own/sequences/08/predictions"):  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
    for k, own in enumerate((truth, wrong)):
        rows = np.c_[points, np.full(1100, 0.5)].astype(np.float32)
        rows.tofile(tmp_path / f"data/sequences/08/velodyne/00000{k}.bin")
        truth.tofile(tmp_path / f"data/sequences/08/labels/00000{k}.label")
        own.tofile(tmp_path / f"own/sequences/08/predictions/00000{k}.label")
    return evaluate_folder("semantickitti", tmp_path / "data", tmp_path / "own", "valid")


def row_of(text, heading):
    """Texts of the cells of a table row."""
    row = re.search(rf"<tr><th scope='row'>{re.escape(heading)}</th>(.*?)</tr>", text).group(1)
    cells = re.findall(r"<td.*?>(.*?)</td>", row)
    return [re.sub(r"<.*?>", "", cell) for cell in cells]


def test_report_shows_the_scores(evaluation, tmp_path):
    files = write_html_report(evaluation, tmp_path / "report.html", num_worst=1)
    assert [str(f.relative_to(tmp_path)) for f in files] == [
        "report.html",
        "report_scans/08_000001.html",
    ]
    text = files[0].read_text()
    assert row_of(text, "car") == ["thing", "0.857", "0.750", "3", "0", "1"]
    assert row_of(text, "person")[1:3] == ["\u2013", "\u2013"]
    assert f"<b>{evaluation.scores.pq:.3f}</b><span>PQ</span>" in text
    assert text.count("<h2>Classes</h2>") == text.count("<h2>Oracles</h2>") == 1
    assert row_of(text, "0 to 10 m")[0] == "1.000"
    assert float(row_of(text, "20 to 30 m")[0]) < 1
    assert "missed <b>4.55%</b>" in text
    assert "car 2 missed, 100 points, at 26 m" in text
    assert text.count("data:image/png;base64,") == 1
    assert "href='report_scans/08_000001.html'" in text
    assert not re.findall(r"https?://", text)


def test_report_without_scan_files(evaluation, tmp_path):
    for scan in evaluation.scans:
        scan.files.scan.unlink()
    (report,) = write_html_report(evaluation, tmp_path / "report.html")
    text = report.read_text()
    assert "<h2>Range</h2>" not in text
    assert "data:image/png" not in text
    assert "car 2 missed, 100 points" in text
    assert "0 of 2 scans" in text


def test_report_makes_its_folder_or_says_why_not(evaluation, tmp_path):
    (report, *_) = write_html_report(evaluation, tmp_path / "new" / "report.html")
    assert report.is_file()
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=r"cannot be (made|written)"):
        write_html_report(evaluation, tmp_path / "taken" / "report.html")


def test_report_opens_in_a_browser_and_leads_to_the_viewer(evaluation, tmp_path):
    files = write_html_report(evaluation, tmp_path / "report.html", num_worst=1)
    browser = Browser(find_chromium())
    try:
        browser.call("Page.navigate", url=files[0].as_uri())
        browser.wait("document.querySelectorAll('figure img').length === 1")
        browser.wait("document.querySelector('figure img').naturalWidth > 600")
        browser.run("document.querySelector('figure a').click()")
        browser.wait("!!window.lidarpan && !!lidarpan.state.scan")
        assert browser.run("lidarpan.state.scan.count") == 1100
        assert browser.errors == []
    finally:
        browser.close()
