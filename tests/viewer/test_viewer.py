"""The web page: small, self-contained, and right in a real browser."""

import gzip
import json
import os
import re
from importlib.resources import files

import numpy as np
import pytest
from browser import Browser, find_chromium

from lidarpan.classes import load_class_table
from lidarpan.metrics.errors import POINT_KINDS, point_errors
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.viewer import pack_scan, write_viewer

pytestmark = pytest.mark.xdist_group("viewer")  # one browser for all

CLASSES = load_class_table("semantickitti")
SHIFT = 8  # as the debugging protocol numbers it
CAR, ROAD, BUILDING = (CLASSES.id_of(name) for name in ("car", "road", "building"))


def street(shift=0.0):
    """A road, a wall and two cars; the prediction takes the second car for building."""
    rng = np.random.default_rng(0)
    road = np.c_[rng.uniform(-30, 30, 4000), rng.uniform(-4, 4, 4000), np.full(4000, -1.7)]
    wall = np.c_[rng.uniform(-30, 30, 1500), np.full(1500, 9.0), rng.uniform(-1.7, 3, 1500)]
    cars = [
        np.c_[rng.uniform(x, x + 4, 600), rng.uniform(y, y + 1.8, 600), rng.uniform(-1.6, 0, 600)]
        for x, y in ((8 + shift, 1), (9, -6))
    ]
    points = np.concatenate([road, wall, *cars]).astype(np.float32)
    scan = Scan(points, rng.uniform(0, 1, len(points)).astype(np.float32))
    counts = [4000, 1500, 600, 600]
    truth = PanopticLabels(
        np.repeat([ROAD, BUILDING, CAR, CAR], counts).astype(np.uint8),
        np.repeat([0, 0, 70001, 12], counts).astype(np.int32),
    )
    score = np.zeros(8, np.float32)
    score[7] = 0.83
    own = PanopticLabels(
        np.repeat([ROAD, BUILDING, CAR, BUILDING], counts).astype(np.uint8),
        np.repeat([0, 0, 7, 0], counts).astype(np.int32),
        score,
    )
    return scan, own, truth


def unpack(blob):
    """What the page's script does, in numpy."""
    raw = gzip.decompress(blob)
    size = int.from_bytes(raw[:4], "little")
    header = json.loads(raw[4 : 4 + size])
    n, at, wide, narrow = header["count"], 4 + size, [], []
    for _ in range(3 + ("labels" in header) + ("truth" in header)):
        wide.append(np.frombuffer(raw, "<u2", n, at))
        at += 2 * n
    while at < len(raw):
        narrow.append(np.frombuffer(raw, np.uint8, n, at))
        at += n
    return header, wide, narrow


def test_packed_scan_holds_everything():
    scan, own, truth = street()
    header, wide, narrow = unpack(pack_scan(scan, own, CLASSES, truth=truth))
    points = np.stack(wide[:3], axis=1) / 65535 * header["extent"] + header["low"]
    assert np.abs(points - scan.points).max() <= max(header["extent"]) / 65535
    assert [one["id"] for one in header["truth"]] == [12, 70001]
    ids = np.array([0, 12, 70001])
    assert (ids[wide[4]] == truth.instance).all()
    assert (np.array([0, 7])[wide[3]] == own.instance).all()
    assert np.abs(narrow[0] / 255 - scan.intensity).max() < 0.003
    assert (narrow[1] == own.semantic).all()
    assert (narrow[2] == truth.semantic).all()
    assert (narrow[3] == point_errors(own, truth, CLASSES)).all()


def test_instance_rows_tell_the_truth():
    scan, own, _ = street()
    (car,) = unpack(pack_scan(scan, own, CLASSES))[0]["labels"]
    points = scan.points[own.instance == 7]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    assert car["class"] == CAR
    assert car["points"] == 600
    assert car["score"] == pytest.approx(0.83)
    assert car["distance"] == pytest.approx(np.hypot(*middle[:2]), abs=0.01)
    assert car["size"] == pytest.approx([4, 1.8, 1.6], abs=0.1)


def test_same_input_same_page(tmp_path):
    scan, own, truth = street()
    for name in ("a.html", "b.html"):
        write_viewer(tmp_path / name, [scan], [own], CLASSES, truth=[truth])
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_page_names_no_network_address(tmp_path):
    scan, own, truth = street()
    write_viewer(tmp_path / "view.html", [scan], [own], CLASSES, truth=[truth], title="<a> & b")
    text = (tmp_path / "view.html").read_text()
    library = files("lidarpan.viewer").joinpath("page/vendor/three/three.min.js").read_text()
    assert text.count(library) == 1
    assert "Permission is hereby granted" in library
    assert set(re.findall(r"https?://[^\"]*", library)) == {"http://www.w3.org/1999/xhtml"}
    text = text.replace(library, "")
    assert not re.findall(r"https?://|src=|url\(", text)
    assert "connect-src 'none'" in text
    assert "&lt;a&gt; &amp; b" in text
    assert "<a> & b" not in text
    assert "{{" not in text


@pytest.mark.parametrize("name", ["{{scans}}", "{{script}}", "</script>{{meta}}", "{{title}}"])
def test_names_are_data_whatever_they_say(tmp_path, name):
    scan, own, _ = street()
    write_viewer(tmp_path / "view.html", [scan], [own], CLASSES, names=[name], title=name)
    text = (tmp_path / "view.html").read_text()
    found = re.search(r'<script type="application/json" id="meta">(.*?)</script>', text)
    meta = json.loads(found[1])
    assert meta["names"] == [name]
    assert meta["title"] == name
    assert text.count('id="scan0"') == 1


def test_bad_input_is_explained(tmp_path):
    scan, own, truth = street()
    path = tmp_path / "view.html"
    with pytest.raises(InputError, match="at least one scan"):
        write_viewer(path, [], [])
    with pytest.raises(InputError, match="labels for each of 1 scans, got 2"):
        write_viewer(path, [scan], [own, own], CLASSES)
    short = PanopticLabels(truth.semantic[:5], truth.instance[:5])
    with pytest.raises(InputError, match="truth must fit the scan, got 5 for 6700"):
        write_viewer(path, [scan], [own], CLASSES, truth=[short])
    assert not list(tmp_path.iterdir())
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_viewer(tmp_path / "taken" / "view.html", [scan])


@pytest.mark.data
def test_real_scan_is_small(real_data, tmp_path):
    folder = real_data / "semantickitti" / "sequences" / "00"
    rows = np.fromfile(folder / "velodyne" / "000000.bin", np.float32).reshape(-1, 4)
    packed = np.fromfile(folder / "labels" / "000000.label", np.uint32)
    semantic = CLASSES.to_train((packed & 0xFFFF).astype(np.int64))
    labels = PanopticLabels(
        semantic, np.where(CLASSES.is_thing[semantic], packed >> 16, 0).astype(np.int32)
    )
    scan = Scan(rows[:, :3].copy(), rows[:, 3].copy())
    write_viewer(tmp_path / "view.html", [scan], [labels], CLASSES, truth=[labels])
    assert os.path.getsize(tmp_path / "view.html") < 6e6


@pytest.fixture(scope="module")
def browser():
    browser = Browser(find_chromium())
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("viewer") / "view.html"
    scans, own, truth = zip(*(street(shift) for shift in (0.0, 1.0, 2.0)), strict=True)
    write_viewer(path, scans, own, CLASSES, truth=truth, names=["first", "second", "third"])
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    browser.open(address)
    yield browser
    assert browser.errors == []
    assert browser.requests == [address]


def pixels(page):
    """Colours of the view, without panels."""
    picture = np.asarray(page.screenshot())[40:480, 260:700].astype(np.int32)
    packed = np.unique(picture @ [1 << 16, 1 << 8, 1])
    return {(code >> 16, code >> 8 & 255, code & 255) for code in packed.tolist()}


def screen_of(page, instance, part="labels"):
    """Where the highest point of an instance is on the screen."""
    return page.run(
        f"""(() => {{
            const s = lidarpan.state.scan.{part}, z = (i) => lidarpan.state.scan.points[3 * i + 2];
            const k = s.instances.findIndex((one) => one.id === {instance}) + 1;
            const own = [...s.instance.keys()].filter((i) => s.instance[i] === k);
            const top = own.reduce((best, i) => (z(i) > z(best) ? i : best));
            return lidarpan.screenOf(top, '{part}');
        }})()"""
    )


def screens(page, part="labels"):
    """Where the first 200 points, all on the road, are on the screen; far off where behind it."""
    places = page.run(
        f"[...Array(200).keys()].map(i => lidarpan.screenOf(i, '{part}') ?? [-1e4, -1e4])"
    )
    return np.array(places)


def touch(page, steps):
    """Put fingers down, move them from step to step, lift them."""
    for k, step in enumerate(steps):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(step)]
        kind = "touchMove" if k else "touchStart"
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    page.settle()


def shown_card(page):
    return page.run("document.getElementById('info').hidden ? '' : info.innerText")


def test_page_draws_the_classes(page):
    assert page.run("lidarpan.state.scan.count") == 6700
    colors = pixels(page)
    assert tuple(CLASSES.colors[ROAD]) in colors
    assert tuple(CLASSES.colors[BUILDING]) in colors
    assert page.run("document.getElementById('problem').hidden")


def test_click_finds_the_instance(page):
    page.click(*screen_of(page, 7))
    card = shown_card(page).split("\n")
    assert card[0] == "car 7"
    told = dict(zip(card[1::2], card[2::2], strict=True))
    assert told["points"] == "600"
    assert told["score"] == "0.83"
    assert told["truth here"] == "car 70001"
    assert told["error here"] == "right"
    page.key("Escape")
    assert shown_card(page) == ""


def test_click_on_the_sky_selects_nothing(page):
    page.click(*screen_of(page, 7))
    page.click(500, 60)
    assert shown_card(page) == ""


def test_keys_step_and_keep_the_selection(page):
    page.click(*screen_of(page, 7))
    page.key("ArrowRight")
    page.wait("document.getElementById('name').textContent.startsWith('second')")
    page.wait("lidarpan.state.scan.labels.instances[0].center[0] > 10.8")
    assert shown_card(page).startswith("car 7")
    page.key("End")
    page.wait("lidarpan.state.index === 2")
    page.key("ArrowRight")
    assert page.run("lidarpan.state.index") == 2
    page.key("Home")
    page.wait("lidarpan.state.index === 0")


def test_keys_choose_colours(page):
    before = pixels(page)
    page.key("4")
    assert page.run("lidarpan.state.mode") == "height"
    assert not page.run("document.getElementById('ramp').hidden")
    assert pixels(page) != before
    page.key("6")
    assert page.run("lidarpan.state.mode") == "error"
    assert (213, 94, 0) in pixels(page)
    listed = page.run("[...document.querySelectorAll('#classes li')].map(l => l.innerText)")
    assert any("missed" in text and "600" in text for text in listed)
    assert {text.split("\n")[0].strip() for text in listed} <= set(POINT_KINDS)


@pytest.mark.parametrize(("asked", "mode"), [("error", "error"), ("no-such", "panoptic")])
def test_the_address_chooses_the_colours(browser, address, asked, mode):
    browser.call("Page.navigate", url="about:blank")
    browser.open(f"{address}#{asked}")
    assert browser.run("lidarpan.state.mode") == mode
    assert browser.errors == []
    browser.call("Page.navigate", url="about:blank")


def test_hidden_classes_vanish_and_are_not_picked(page):
    at = screen_of(page, 7)
    page.run("[...document.querySelectorAll('#classes label')].find("
             "l => l.innerText.startsWith('car')).click()")  # fmt: skip
    page.click(*at)
    assert not shown_card(page).startswith("car")
    page.run("[...document.querySelectorAll('#classes label')].find("
             "l => l.innerText.startsWith('road')).click()")  # fmt: skip
    assert tuple(CLASSES.colors[ROAD]) not in pixels(page)


def test_the_slider_drops_unsure_objects(page):
    at, car = screen_of(page, 7), tuple(CLASSES.colors[CAR])
    page.key("7")
    assert page.run("lidarpan.state.mode") == "confidence"
    ramp = page.run("JSON.parse(document.getElementById('meta').textContent).ramp")
    assert tuple(ramp[round(255 * 0.83)]) in pixels(page)
    page.key("2")
    assert car in pixels(page)
    page.run("(() => { const s = document.getElementById('least-score'); s.value = 0.9;"
             "s.dispatchEvent(new Event('input')); })()")  # fmt: skip
    assert car not in pixels(page)
    assert "0 objects" in page.run("document.getElementById('summary').textContent")
    assert not any("car" in t for t in page.run("[...classes.children].map(l => l.innerText)"))
    page.click(*at)
    assert shown_card(page).startswith("void")
    page.run("(() => { const s = document.getElementById('least-score'); s.value = 0.83;"
             "s.dispatchEvent(new Event('input')); })()")  # fmt: skip
    page.wait("document.getElementById('summary').textContent.includes('1 objects')")
    assert car in pixels(page)  # as sure as asked for is sure enough


def test_truth_beside_and_in_turn(page):
    page.key("v")
    assert page.run("lidarpan.state.show") == "truth"
    page.click(*screen_of(page, 12, "truth"))
    assert shown_card(page).startswith("car 12")
    page.key("v")
    assert page.run("lidarpan.state.show") == "both"
    page.click(*screen_of(page, 7, "labels"))
    assert shown_card(page).startswith("car 7")
    page.click(*screen_of(page, 70001, "truth"))
    assert shown_card(page).startswith("car 70001")
    page.key("b")
    page.wait("lidarpan.state.blinkTruth")
    page.wait("!lidarpan.state.blinkTruth")


def test_camera_turns_moves_and_looks_from_above(page):
    ahead = street()[0].points[:200, 0]
    seen, start = ahead > -15, screens(page)
    page.drag((500, 400), (560, 400))
    turned = (screens(page) - start)[:, 0]
    assert (turned[seen & (ahead < 2)] > 0).all()
    assert (turned[ahead > 12] < 0).all()
    page.key("r")
    page.drag((500, 400), (560, 430), modifiers=SHIFT)
    moved = (screens(page) - start)[seen]
    assert (moved > 0).all()
    page.key("r")
    assert screens(page)[seen] == pytest.approx(start[seen], abs=0.1)
    page.key("t")
    places, points = screens(page), street()[0].points[:200]
    assert np.corrcoef(-points[:, 1], places[:, 0])[0, 1] > 0.999
    assert np.corrcoef(-points[:, 0], places[:, 1])[0, 1] > 0.999
    page.drag((500, 400), (560, 400))
    assert screens(page) - places == pytest.approx(np.tile([60, 0], (200, 1)), abs=0.5)


@pytest.mark.parametrize("keys", ["", "t", "vv", "tvv"])
def test_wheel_zooms_to_the_mouse(page, keys):
    for key in keys:
        page.key(key)
    part = "truth" if "v" in keys else "labels"
    start = screens(page, part)
    fixed, other = np.argsort(np.abs(start - [700, 330]).sum(axis=1))[:2]
    x, y = start[fixed]
    page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-200)
    page.wait(f"lidarpan.screenOf({other}, '{part}')[0] !== {start[other][0]}")
    end = screens(page, part)
    assert end[fixed] == pytest.approx(start[fixed], abs=3)
    apart = [np.linalg.norm(at[other] - at[fixed]) for at in (start, end)]
    assert apart[1] > 1.1 * apart[0]


def test_two_fingers_zoom_and_one_turns(page):
    page.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    start = screens(page)
    touch(page, [[(500, 300)], [(530, 300)], [(560, 300)]])
    turned = screens(page)
    assert np.abs(turned - start).max() > 20
    touch(page, [[(500, 300), (560, 300)], [(470, 300), (590, 300)], [(440, 300), (620, 300)]])
    assert (np.ptp(screens(page), axis=0) > 1.3 * np.ptp(turned, axis=0)).all()
    assert shown_card(page) == ""
    page.key("r")
    touch(page, [[screen_of(page, 7)]])
    page.wait("!document.getElementById('info').hidden")
    page.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_page_without_labels(browser, tmp_path):
    write_viewer(tmp_path / "bare.html", [street()[0]])
    browser.open((tmp_path / "bare.html").as_uri())
    assert browser.run("lidarpan.state.mode") == "height"
    browser.click(*browser.run("lidarpan.screenOf(5600)"))
    assert shown_card(browser).startswith("point")
    assert browser.errors == []
