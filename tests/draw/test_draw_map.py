"""A drive as one map and as a film."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.draw.drive_map import draw_map, save_map
from lidarpan.draw.motion import Follower
from lidarpan.draw.video import write_video
from lidarpan.draw.votes_kernel import close_holes, vote_cells
from lidarpan.structures import InputError, PanopticLabels, Scan

CLASSES = load_class_table("semantickitti")
CAR, BUS, BUILDING = (CLASSES.id_of(name) for name in ("car", "other-vehicle", "building"))


def box(x, y, length=4, width=2, num=400):
    low, high = (x, y, -1), (x + length, y + width, 0)
    return np.random.default_rng(0).uniform(low, high, (num, 3))


def drive(num_scans=5, step_m=5.0):
    """Straight along world y past a wall at x = 10 and a parked car, behind a moving one."""
    wall = np.c_[np.full(3000, 10.0), np.linspace(-20, 40, 3000), np.zeros(3000)]
    poses = np.tile(np.eye(4), (num_scans, 1, 1))
    poses[:, :2, :2] = [[0, -1], [1, 0]]  # the sensor looks along world y
    poses[:, 1, 3] = step_m * np.arange(num_scans)
    frames = []
    for k, pose in enumerate(poses):
        moving = box(-1, step_m * k + 8, 2, 4)
        world = np.concatenate([wall, box(-8, 12), moving])
        points = ((world - pose[:3, 3]) @ pose[:3, :3]).astype(np.float32)
        counts = [3000, 400, 400]
        labels = PanopticLabels(
            np.repeat([BUILDING, CAR, CAR], counts).astype(np.uint8),
            np.repeat([0, 3, 4], counts).astype(np.int32),
        )
        frames.append((Scan(points, np.zeros(len(points), np.float32)), labels))
    return frames, poses


def followed(frames, poses, step_s=0.5):
    """The frames with how their objects move."""
    follower = Follower(CLASSES, renames=False)
    for k, (scan, labels) in enumerate(frames):
        yield scan, *follower.follow(scan, labels, step_s * k, poses[k])


def drawn(frames, poses):
    return draw_map(followed(frames, poses), poses, CLASSES, size_px=600, range_m=20)


def color_at(picture, x, y):
    column = round((x - picture.left_m) / picture.meters_per_pixel)
    row = round((picture.top_m - y) / picture.meters_per_pixel)
    return picture.image.getpixel((column, row))


def test_map_lies_where_the_world_file_says(tmp_path):
    picture = drawn(*drive())
    assert color_at(picture, 10, 0) == tuple(CLASSES.colors[BUILDING])
    assert color_at(picture, 10, 30) == tuple(CLASSES.colors[BUILDING])
    assert color_at(picture, 12, 0) == (17, 19, 24)
    world = save_map(picture, tmp_path / "map.png")
    size, *_, left, top = (float(line) for line in world.read_text().split())
    assert (size, left, top) == pytest.approx(
        (picture.meters_per_pixel, picture.left_m, picture.top_m)
    )
    assert left == pytest.approx(-20 + size / 2)


def test_parked_cars_are_fused_and_moving_ones_drawn_once():
    picture = drawn(*drive())
    background = (17, 19, 24)
    assert color_at(picture, -6.3, 13.1) != background
    assert color_at(picture, 0.3, 28.6 + 0.8) != background  # where it was seen last
    assert color_at(picture, 0.8, 8.4) == background  # where it was seen first
    for y in (20.0, 36.0):  # the path it took, and an arrow to where it will be in a second
        around = [color_at(picture, x, y) for x in np.arange(-1.0, 1.0, 0.05)]
        assert any(color != background for color in around), y


def test_what_rests_leaves_no_path_where_its_visible_middle_jumps():
    poses, frames = np.tile(np.eye(4), (6, 1, 1)), []
    for k in range(6):
        length = 3.0 if k < 3 else 11.0  # what hid the rest of a bus has gone
        points = np.c_[np.linspace(2, 2 + length, 300), np.full(300, 6.0), np.tile([-1, 0, 1], 100)]
        labels = PanopticLabels(np.full(300, BUS, np.uint8), np.full(300, 7, np.int32))
        frames.append((Scan(points.astype(np.float32), np.zeros(300, np.float32)), labels))
    still = [(scan, labels, {}) for scan, labels in frames]
    picture = draw_map(still, poses, CLASSES, size_px=600, range_m=20)
    assert np.array_equal(drawn(frames, poses).image, picture.image)


def test_map_needs_a_pose_for_each_frame():
    frames, poses = drive()
    still = [(scan, labels, {}) for scan, labels in frames]
    with pytest.raises(InputError, match="as many poses as frames, got 4"):
        draw_map(still, poses[:4], CLASSES, size_px=100)
    with pytest.raises(InputError, match="as many poses as frames, got 5"):
        draw_map(still[:4], poses, CLASSES, size_px=100)
    with pytest.raises(InputError, match=r"\(T, 4, 4\)"):
        draw_map(still, poses[:, :3], CLASSES, size_px=100)


def test_votes_find_the_majority_in_any_order():
    rng = np.random.default_rng(2)
    cell = np.repeat(np.arange(20, dtype=np.int32), 11)
    semantic = rng.integers(1, 4, len(cell)).astype(np.uint8)
    for k in range(20):
        semantic[cell == k] = np.where(np.arange(11) < 6, 1 + k % 3, semantic[cell == k])
    order = rng.permutation(len(cell))
    winner, lead = np.zeros(20, np.uint8), np.zeros(20, np.int32)
    for part in np.array_split(order, 4):
        winner, lead = vote_cells(winner, lead, cell[part], semantic[part])
    assert winner.tolist() == [1 + k % 3 for k in range(20)]
    again, _ = vote_cells(winner, lead, cell[:3], np.zeros(3, np.uint8))
    assert (again == winner).all()


def test_holes_close_as_in_the_obvious_loop():
    rng = np.random.default_rng(5)
    classes = rng.choice(np.array([0, 0, 2, 3, 9], np.uint8), (13, 17))
    closed = close_holes(classes, 3)
    for r, c in np.ndindex(classes.shape):
        if classes[r, c]:
            assert closed[r, c] == classes[r, c]
            continue
        around = np.bincount(classes[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2].ravel())
        around[0] = 0
        best = int(around.argmax())
        assert closed[r, c] == (best if around[best] >= 3 else 0)


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_film_has_all_frames(tmp_path, suffix):
    from PIL import Image

    colors = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    frames = (Image.new("RGB", (65, 48 + 2 * k), color) for k, color in enumerate(colors))
    path = tmp_path / f"film{suffix}"
    assert write_video(frames, path, fps=5) == 3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    shown = read_film(path)
    assert len(shown) == 3
    for picture, color in zip(shown, colors, strict=True):
        assert picture.shape == (48, 64, 3)
        assert np.abs(picture[10, 10].astype(int) - color).max() < 25


def read_film(path):
    if path.suffix == ".gif":
        from PIL import Image, ImageSequence

        with Image.open(path) as film:
            return [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(film)]
    cv2 = pytest.importorskip("cv2")
    film = cv2.VideoCapture(str(path))
    shown = []
    while (answer := film.read())[0]:
        shown.append(answer[1][..., ::-1])
    return shown


def test_bad_film_is_explained_and_leaves_nothing(tmp_path):
    from PIL import Image

    with pytest.raises(InputError, match=r"\.mp4 or \.gif"):
        write_video([], tmp_path / "film.avi")
    with pytest.raises(InputError, match="at least one frame"):
        write_video([], tmp_path / "film.gif")

    def broken():
        yield Image.new("RGB", (20, 20))
        raise InputError("scan 1 is cut")

    with pytest.raises(InputError, match="scan 1 is cut"):
        write_video(broken(), tmp_path / "film.gif")
    assert not list(tmp_path.iterdir())
