from functools import lru_cache
from itertools import count, islice, pairwise

import numpy as np
import pytest
from town_statistics import comparison_table, describe

from lidarpan.classes import load_class_table
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.synthetic.actors.actors import HEIGHT_M, SLENDERNESS
from lidarpan.synthetic.kinds import KIND, KINDS
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.sensors.sensor import make_sensor
from lidarpan.synthetic.simulate import simulate_scan, simulate_sequence
from lidarpan.synthetic.towns.ground import make_texture
from lidarpan.synthetic.towns.layout import STYLES
from lidarpan.synthetic.towns.surfaces import CODE
from lidarpan.synthetic.towns.town import make_town
from lidarpan.synthetic.towns.vegetation import make_density_field

SEMANTICKITTI = load_class_table("semantickitti")
NUSCENES = load_class_table("nuscenes")
SMALL = make_sensor("small", num_beams=24, azimuth_steps=500, max_range_m=50, lowest_deg=-24)


@lru_cache(maxsize=1)
def towns():
    """Sixteen towns whose main street is of the kind that the real scans show."""
    alike = (
        seed
        for seed in count(100)
        if make_town(seed).layout.streets[0].profile.style in ("residential", "urban")
    )
    return [simulate_scan(seed, SENSORS["hdl64e"]) for seed in islice(alike, 16)]


def statistics():
    return describe([(town.scan, town.labels(SEMANTICKITTI)) for town in towns()], SEMANTICKITTI)


def share(table, stats, *names):
    return float(sum(stats.class_share[table.id_of(name)] for name in names))


def test_the_same_seed_gives_the_same_bytes():
    first, second = simulate_scan(5, SMALL), simulate_scan(5, SMALL)
    for name in ("points", "intensity", "ring", "time", "world_T_sensor"):
        assert getattr(first.scan, name).tobytes() == getattr(second.scan, name).tobytes()
    assert first.kind.tobytes() == second.kind.tobytes()
    assert first.instance.tobytes() == second.instance.tobytes()
    assert first.boxes == second.boxes
    other = simulate_scan(6, SMALL)
    assert other.scan.points.tobytes() != first.scan.points.tobytes()


def test_hdl64e_returns_as_many_points_as_the_real_sensor():
    for town in towns():
        assert 90_000 < town.scan.num_points < 128_000
        distance = np.linalg.norm(town.scan.points, axis=1)
        assert distance.min() > SENSORS["hdl64e"].min_range_m
        assert distance.max() < SENSORS["hdl64e"].max_range_m


def test_hdl32e_stores_every_ray():
    town = simulate_scan(3, SENSORS["hdl32e"])
    assert town.scan.num_points == 34_720
    near = np.linalg.norm(town.scan.points, axis=1) < 1.8
    assert 0.1 < near.mean() < 0.45  # the own car and empty rays
    assert (town.kind[near] == KIND["void"]).mean() > 0.9


def test_points_lie_where_their_kind_belongs():
    for town in towns():
        z, kind = town.scan.points[:, 2], town.kind
        near = np.linalg.norm(town.scan.points, axis=1) < 10
        road = z[near & (kind == KIND["road"])]
        assert np.median(road) == pytest.approx(-1.73, abs=0.25)
        walk = z[near & (kind == KIND["sidewalk"])]
        if len(walk) > 500 and len(road) > 500:
            assert -0.1 < np.median(walk) - np.median(road) < 0.6


def test_instances_belong_to_countable_kinds_only():
    has_instances = np.array([kind.has_instances for kind in KINDS])
    for town in towns():
        assert ((town.instance > 0) == has_instances[town.kind]).all()
        labels = town.labels(SEMANTICKITTI)
        assert (labels.instance[~SEMANTICKITTI.is_thing[labels.semantic]] == 0).all()
        for number in np.unique(town.instance[town.instance > 0]):
            assert len(np.unique(town.kind[town.instance == number])) == 1


def test_points_of_an_actor_lie_in_its_box():
    for town in towns()[:3]:
        boxes = {box.instance: box for box in town.boxes}
        pose = town.scan.world_T_sensor
        world = town.scan.points @ pose[:3, :3].T + pose[:3, 3]
        for number in np.unique(town.instance[town.instance > 0]):
            box = boxes[number]
            gap = world[town.instance == number] - np.array(box.center)
            cos, sin = np.cos(box.yaw_rad), np.sin(box.yaw_rad)
            along, across = gap[:, 0] * cos + gap[:, 1] * sin, gap[:, 1] * cos - gap[:, 0] * sin
            reach = np.abs(np.stack([along, across, gap[:, 2]], axis=1))
            assert (reach <= np.array(box.size_m) / 2 + 0.2).all(), box.kind


def test_labels_in_the_words_of_both_datasets():
    town = towns()[0]
    raw = town.raw("semantickitti")
    assert (SEMANTICKITTI.to_train(raw) == town.labels(SEMANTICKITTI).semantic).all()
    assert (NUSCENES.to_train(town.raw("nuscenes")) == town.labels(NUSCENES).semantic).all()
    cars = (town.kind == KIND["car"]) & town.moving
    assert (raw[cars] == 252).all()
    assert (raw[(town.kind == KIND["car"]) & ~town.moving] == 10).all()


def test_a_drive_moves_the_sensor_and_keeps_the_numbers():
    drive = list(simulate_sequence(11, SMALL, 5, rate_hz=2.0))
    places = np.array([step.scan.world_T_sensor[:2, 3] for step in drive])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert (steps > 0.5).all()
    assert [step.time_s for step in drive] == [0.0, 0.5, 1.0, 1.5, 2.0]
    kinds, speeds = {}, []
    for before, after in pairwise(drive):
        old = {box.instance: box for box in before.boxes}
        for box in after.boxes:
            assert kinds.setdefault(box.instance, box.kind) == box.kind
            if box.instance in old:
                moved = np.subtract(box.center, old[box.instance].center)[:2]
                assert np.linalg.norm(moved) == pytest.approx(
                    0.5 * np.hypot(*box.velocity), rel=0.15, abs=0.1
                )
                speeds.append(np.hypot(*box.velocity))
    assert max(speeds) > 1.0
    assert min(speeds) == 0.0


def test_a_drive_starts_as_the_seed_says():
    again = [next(simulate_sequence(11, SMALL, 3)) for _ in range(2)]
    assert again[0].scan.points.tobytes() == again[1].scan.points.tobytes()


def test_resting_things_keep_their_place_in_the_world():
    drive = list(simulate_sequence(12, SMALL, 3, rate_hz=1.0))
    first = {box.instance: box for box in drive[0].boxes if box.velocity == (0.0, 0.0)}
    last = {box.instance: box for box in drive[-1].boxes}
    both = first.keys() & last.keys()
    assert len(both) > 3
    for number in both:
        np.testing.assert_allclose(first[number].center, last[number].center, atol=0.05)


def test_ground_and_class_shares_are_those_of_a_street():
    stats = statistics()
    assert 0.40 < stats.ground_share < 0.72
    assert 0.15 < share(SEMANTICKITTI, stats, "road") < 0.40
    assert 0.04 < share(SEMANTICKITTI, stats, "sidewalk") < 0.30
    assert 0.08 < share(SEMANTICKITTI, stats, "vegetation", "trunk") < 0.40
    assert 0.03 < share(SEMANTICKITTI, stats, "building") < 0.30
    assert 0.01 < share(SEMANTICKITTI, stats, "car") < 0.12
    assert 0.005 < share(SEMANTICKITTI, stats, "fence") < 0.12
    assert 0.001 < share(SEMANTICKITTI, stats, "pole") < 0.02


@pytest.mark.data
def test_statistics_agree_with_real_scans(real_data):
    """Of both real streets together: towns are of many kinds, and either street is but one."""
    real = []
    for path in sorted((real_data / "semantickitti" / "sequences").glob("*/velodyne/*.bin")):
        values = np.fromfile(path, np.float32).reshape(-1, 4)
        raw = np.fromfile(path.parents[1] / "labels" / f"{path.stem}.label", np.uint32) & 0xFFFF
        semantic = SEMANTICKITTI.to_train(raw.astype(np.int32))
        scan = Scan(values[:, :3].copy(), values[:, 3].copy())
        real.append((scan, PanopticLabels(semantic, np.zeros(len(values), np.int32))))
    theirs, ours = describe(real, SEMANTICKITTI), statistics()
    assert ours.num_points == pytest.approx(theirs.num_points, rel=0.15)
    assert ours.ground_share == pytest.approx(theirs.ground_share, abs=0.15)
    np.testing.assert_allclose(
        np.cumsum(ours.range_share)[1:], np.cumsum(theirs.range_share)[1:], atol=0.15
    )
    for name in ("road", "sidewalk", "building", "vegetation", "car", "terrain"):
        row = SEMANTICKITTI.id_of(name)
        assert ours.height_m[row, 1] == pytest.approx(theirs.height_m[row, 1], abs=0.5), name
        assert ours.intensity[row, 1] == pytest.approx(theirs.intensity[row, 1], abs=0.09), name
    for name in ("road", "sidewalk", "building", "car"):  # a wall is not flatter than a real one
        row = SEMANTICKITTI.id_of(name)
        ratio = ours.thickness_m[row, 2] / theirs.thickness_m[row, 2]
        assert 0.55 < ratio < 1.8, name
    assert "| road |" in comparison_table(ours, theirs, SEMANTICKITTI)


@pytest.mark.data
def test_beams_return_as_often_as_real_ones(real_data):
    """Points per band of elevation, as a share of all: within 10 % of every real scan."""

    def bands(cloud):
        elevation = np.degrees(np.arctan2(cloud[:, 2], np.hypot(cloud[:, 0], cloud[:, 1])))
        return np.histogram(elevation, [-22, -18, -14, -10, -6, -2, 1])[0] / len(cloud)

    ours = np.mean([bands(town.scan.points) for town in towns()], axis=0)
    files = sorted((real_data / "semantickitti" / "sequences").glob("*/velodyne/*.bin"))
    assert {file.parts[-3] for file in files} == {"00", "08"}
    for file in files:
        real = bands(np.fromfile(file, np.float32).reshape(-1, 4)[:, :3])
        assert (np.abs(ours / real - 1) <= 0.1).all(), file


@pytest.mark.data
def test_the_own_car_hides_what_it_hides_on_real_scans(real_data):
    """Points below -16 degrees by 30 degrees of azimuth: within a quarter and 60 of the real."""

    def sectors(cloud):
        elevation = np.degrees(np.arctan2(cloud[:, 2], np.hypot(cloud[:, 0], cloud[:, 1])))
        azimuth = np.degrees(np.arctan2(cloud[:, 1], cloud[:, 0]))[elevation < -16]
        return np.histogram(azimuth, np.arange(-180, 181, 30))[0]

    ours = np.median([sectors(town.scan.points) for town in towns()], axis=0)
    files = sorted((real_data / "semantickitti" / "sequences").glob("*/velodyne/*.bin"))
    real = [sectors(np.fromfile(file, np.float32).reshape(-1, 4)[:, :3]) for file in files]
    theirs = np.median(real, axis=0)
    assert (np.abs(ours - theirs) < 0.25 * theirs + 60).all()


def test_objects_of_a_held_out_town_come_from_the_held_out_part():
    town = simulate_scan(21, SMALL, held_out=True)
    usual = {box.size_m for box in simulate_scan(21, SMALL).boxes}
    assert len(town.boxes) > 10
    for box in town.boxes:
        if box.kind in SLENDERNESS:
            low, high = SLENDERNESS[box.kind]
            assert low < box.size_m[0] / box.size_m[2] < high
        else:
            low, high = HEIGHT_M[box.kind]
            assert low < box.size_m[2] < high
        assert box.size_m not in usual


def test_no_two_things_at_rest_stand_in_one_another():
    for seed in (33, 36):
        town = make_town(seed)
        piece = town.piece(np.array(town.layout.streets[0].frame(town.ego_start_m)[:2]), 60.0)
        corners = [footprint(placed) for placed in piece.actors]
        assert len(corners) > 15
        for k, one in enumerate(corners):
            assert not any(overlap(one, other) for other in corners[:k])


def footprint(placed):
    """Corners of four fifths of the box of an actor, whose own corners are empty."""
    length, width, _ = placed.actor.size_m
    half = 0.4 * np.array([length, width]) * [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    cos, sin = np.cos(placed.pose[2]), np.sin(placed.pose[2])
    return half @ np.array([[cos, sin], [-sin, cos]]) + placed.pose[:2]


def overlap(one, other):
    """Whether no side of either rectangle parts them."""
    for sides in (one, other):
        for way in (sides[1] - sides[0], sides[2] - sides[1]):
            a, b = one @ way, other @ way
            if a.max() <= b.min() or b.max() <= a.min():
                return False
    return True


def test_nothing_solid_grows_on_a_road():
    town = make_town(33)
    piece = town.piece(np.array(town.layout.streets[0].frame(town.ego_start_m)[:2]), 60.0)
    fixed = piece.solid.instance == 0
    triangles = piece.solid.mesh.vertices[piece.solid.mesh.triangles[fixed]]
    middles = triangles.mean(axis=1)
    low = middles[:, 2] - piece.ground.heights_at(middles) < 1.5
    on_road = piece.ground.codes_at(middles[low]) == CODE["road"]
    assert on_road.mean() < 0.01  # a wheel stop, a step, the arm of a lamp at a corner


def test_the_ground_and_the_leaves_of_each_town_are_its_own():
    one, same, other = make_texture(1), make_texture.__wrapped__(1), make_texture(2)
    for name in ("rise", "rough", "swell", "fine", "broad"):
        assert getattr(one, name).tobytes() == getattr(same, name).tobytes()
        assert getattr(one, name).tobytes() != getattr(other, name).tobytes()
    first, second = make_density_field(1), make_density_field(2)
    assert first.values.tobytes() == make_density_field(1).values.tobytes()
    assert first.cell_m != second.cell_m
    level = [make_texture(seed).rise[CODE["sidewalk"]] for seed in range(40)]
    assert min(level) < 0.03  # some pavements lie level with the road
    assert max(level) > 0.12


def test_streets_are_of_many_kinds():
    """Wide roads and closed fronts occur, and the ego does not always keep to the outer lane."""
    towns = [make_town(seed) for seed in range(60, 100)]
    profiles = [town.layout.streets[0].profile for town in towns]
    assert {profile.style for profile in profiles} == set(STYLES)
    assert max(profile.half_width for profile in profiles) > 10
    assert max(max(profile.sidewalk.values()) for profile in profiles) > 5
    assert any(profile.ego_lane > 0 for profile in profiles)
    uses = {parcel.use for town in towns for parcel in town.parcels}
    assert {"terrace", "plaza", "house", "lot"} <= uses


@pytest.mark.slow
def test_every_class_of_both_datasets_occurs():
    for table, sensor in ((SEMANTICKITTI, "hdl64e"), (NUSCENES, "hdl32e")):
        scans = [simulate_scan(seed, SENSORS[sensor]) for seed in range(40)]
        stats = describe([(town.scan, town.labels(table)) for town in scans], table)
        rare = [name for name, seen in zip(table.names, stats.occurs, strict=True) if seen < 0.05]
        assert not rare
