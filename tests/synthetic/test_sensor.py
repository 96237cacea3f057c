import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from lidarpan.structures import InputError
from lidarpan.synthetic.sensors.choose import sensor_of_town
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.sensors.random_sensor import random_sensor
from lidarpan.synthetic.sensors.sensor import check_sensor, make_sensor
from lidarpan.synthetic.simulate import simulate_scan


def rays(name):
    return SENSORS[name].rays(np.random.default_rng(0))


def test_the_two_known_sensors_have_the_beams_of_their_data_sheets():
    hdl64e, hdl32e = SENSORS["hdl64e"], SENSORS["hdl32e"]
    assert (len(hdl64e.elevations_rad), hdl64e.azimuth_steps) == (64, 2083)
    assert (len(hdl32e.elevations_rad), hdl32e.azimuth_steps) == (32, 1085)
    assert hdl32e.num_rays == 34_720
    spacing = np.degrees(np.diff(hdl64e.elevations_rad))
    assert spacing[:31] == pytest.approx(0.5)  # the lower block is coarser than the upper one
    assert (spacing[32:] < 0.35).all()


@pytest.mark.parametrize("name", SENSORS)
def test_directions_are_unit_vectors_at_the_beams_elevation(name):
    directions, ring, turn = rays(name)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-5)
    elevation = np.arcsin(directions[:, 2])
    np.testing.assert_allclose(elevation, SENSORS[name].elevations_rad[ring], atol=1e-4)
    assert turn.min() >= -0.5
    assert turn.max() < 0.5 + 1e-3


def test_the_turn_is_clockwise_and_centred_ahead():
    directions, _, turn = rays("hdl32e")
    ahead = np.abs(turn) < 0.01
    assert (directions[ahead, 0] > 0).all()
    assert (directions[(turn > 0.2) & (turn < 0.3), 1] < 0).all()  # right comes after ahead


def test_the_own_car_hides_only_steep_rays():
    directions, _, _ = rays("hdl64e")
    hidden = SENSORS["hdl64e"].num_rays - len(directions)
    assert 2000 < hidden < 12_000
    shallow = np.degrees(np.arcsin(directions[:, 2])) > -14.8
    assert shallow.sum() == (np.degrees(SENSORS["hdl64e"].elevations_rad) > -14.8).sum() * 2083


def test_a_sensor_by_parameters():
    sensor = make_sensor("own", num_beams=16, lowest_deg=-15, highest_deg=15, azimuth_steps=900)
    directions, ring, _ = sensor.rays(np.random.default_rng(1))
    assert len(directions) == sensor.num_rays == 14_400
    assert ring.max() == 15


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_beams": 0},
        {"azimuth_steps": 0},
        {"lowest_deg": 20.0},
        {"min_range_m": 90.0},
        {"height_m": 0.0},
        {"range_noise_m": -1.0},
    ],
)
def test_impossible_sensors_are_refused(wrong):
    with pytest.raises(InputError, match="wanted"):
        make_sensor(**wrong)


@pytest.mark.parametrize(
    ("name", "beams", "lowest_deg", "highest_deg", "finest_deg"),
    [
        ("vlp16", 16, -15, 15, 2.0),
        ("vlp32c", 32, -25, 15, 0.333),
        ("hdl32e", 32, -30.67, 10.67, 1.333),
        ("vls128", 128, -25, 15, 0.11),
        ("os0-128", 128, -45, 45, 0.71),
        ("os1-64", 64, -22.5, 22.5, 0.71),
        ("os2-32", 32, -11.25, 11.25, 0.73),
        ("pandar40p", 40, -25, 15, 0.33),
        ("pandar64", 64, -25, 15, 0.167),
        ("pandar128", 128, -25, 15, 0.125),
        ("pandarxt32", 32, -16, 15, 1.0),
        ("pandarqt64", 64, -52.1, 52.1, 1.45),
    ],
)
def test_presets_have_the_beams_of_their_manuals(name, beams, lowest_deg, highest_deg, finest_deg):
    degrees = np.degrees(SENSORS[name].elevations_rad)
    assert len(degrees) == beams
    assert degrees[[0, -1]] == pytest.approx([lowest_deg, highest_deg], abs=0.03)
    spacing = np.diff(degrees)
    assert spacing.min() == pytest.approx(finest_deg, abs=0.02)
    assert (spacing > 0).all()


def test_a_sector_a_tilt_and_a_second_sensor():
    whole = make_sensor("own", num_beams=4, lowest_deg=-10, highest_deg=5, azimuth_steps=720)
    rng = np.random.default_rng(0)
    sector = replace(whole, sector_rad=(np.radians(-30), np.radians(60)))
    directions, _, _ = sector.rays(rng)
    azimuth = np.degrees(np.arctan2(directions[:, 1], directions[:, 0]))
    assert len(directions) == pytest.approx(whole.num_rays / 4, abs=8)
    assert (azimuth.min(), azimuth.max()) == pytest.approx((-30, 60), abs=0.6)

    tilted, _, _ = replace(whole, tilt_rad=(0.0, 0.1)).rays(np.random.default_rng(0))
    level, _, _ = whole.rays(np.random.default_rng(0))
    ahead = level[:, 0] > 0.95
    dip = np.arcsin(level[ahead, 2]) - np.arcsin(tilted[ahead, 2])
    assert dip.mean() == pytest.approx(0.1, abs=0.01)  # a turn about y lowers what is ahead

    both, ring, turn = replace(whole, also=(sector,)).rays(rng)
    assert len(both) == len(ring) == len(turn)
    assert len(both) == pytest.approx(whole.num_rays * 1.25, abs=8)
    assert (ring >= 4).sum() == pytest.approx(whole.num_rays / 4, abs=8)
    assert ring.max() == 7


def test_random_sensors_are_sensors_and_of_many_kinds():
    sensors = [random_sensor(np.random.default_rng(seed)) for seed in range(400)]
    for sensor in sensors:
        check_sensor(sensor)
        share = 1.0 if sensor.sector_rad is None else np.diff(sensor.sector_rad)[0] / 2 / np.pi
        assert sensor.num_rays * share <= 150_000
        assert all(other.max_range_m == sensor.max_range_m for other in sensor.also)
    names = [sensor.name for sensor in sensors]
    assert set(names) == {*SENSORS, "free"}
    assert 0.18 < names.count("hdl64e") / 400 < 0.32
    heights = [sensor.height_m for sensor in sensors]
    assert min(heights) < 0.7
    assert max(heights) > 2.3
    assert 15 < sum(sensor.sector_rad is not None for sensor in sensors) < 60
    assert 5 < sum(len(sensor.also) for sensor in sensors) < 50
    again = random_sensor(np.random.default_rng(3))
    assert (again.elevations_rad == sensors[3].elevations_rad).all()
    assert again.azimuth_steps == sensors[3].azimuth_steps


def test_a_sensor_from_a_file(tmp_path):
    path = tmp_path / "roof.yaml"
    path.write_text(
        "elevations_deg: [3, -10, -5]\nazimuth_step_deg: 0.5\nheight_m: 2.2\n"
        "sector_deg: [-90, 90]\n"
        "tilt_deg: [0, 2]\nmax_range_m: 60\n"
    )
    sensor = sensor_of_town(str(path))(5)
    assert sensor.name == "roof"
    assert np.degrees(sensor.elevations_rad) == pytest.approx([-10, -5, 3])
    assert (sensor.azimuth_steps, sensor.height_m, sensor.max_range_m) == (720, 2.2, 60)
    assert np.degrees(sensor.sector_rad) == pytest.approx([-90, 90])
    assert np.degrees(sensor.tilt_rad) == pytest.approx([0, 2])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("azimuth_step_deg: 0.2", "elevations_deg: wanted some numbers, got None"),
        ("elevations_deg: [1, two]", "elevations_deg: wanted some numbers"),
        ("elevations_deg: [1, .inf]", "elevations_deg: wanted some numbers"),
        ("elevations_deg: [1]\nbeams: 3", "beams: unknown key, wanted name, elevations_deg"),
        ("elevations_deg: [1]\nazimuth_step_deg: 0", "azimuth_step_deg: wanted more than 0"),
        ("elevations_deg: [1]\nheight_m: [1]", "height_m: wanted a number"),
        ("elevations_deg: [1]\nheight_m: -1", "height > 0"),
        ("elevations_deg: [95]", "within -90..90 degrees"),
        ("elevations_deg: [1]\nsector_deg: [20]", "sector_deg: wanted 2 numbers"),
        ("elevations_deg: [1]\nsector_deg: [20, 10]", "wanted a sector"),
        ("[1, 2]", "wanted a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_file_that_describes_no_sensor_is_refused(tmp_path, text, fault):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(fault)) as error:
        sensor_of_town(str(path))
    assert str(path) in str(error.value)


def test_unknown_sensors_are_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="no sensor 'vlp8': wanted a YAML file or one of hdl64e"):
        sensor_of_town("vlp8")
    with pytest.raises(InputError, match=r"none.yaml: cannot be read"):
        sensor_of_town(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("name", "calibration"),
    [("vlp16", "VLP-16"), ("vlp32c", "VLP-32C"), ("hdl32e", "HDL-32E"), ("vls128", "Alpha Prime")],
)
def test_beams_are_those_of_the_calibrations(name, calibration):
    decoder = pytest.importorskip("velodyne_decoder")
    file = Path(decoder.__file__).parent / "calibrations" / f"{calibration}.yml"
    lasers = yaml.safe_load(file.read_text())["lasers"]
    wanted = np.sort([float(laser["vert_correction"]) for laser in lasers])
    found = np.sort(SENSORS[name].elevations_rad)
    np.testing.assert_allclose(np.degrees(found), np.degrees(wanted), atol=0.02)


def test_beams_are_off_by_constants_that_a_town_keeps():
    sensor = SENSORS["hdl64e"]
    first, again, other = (sensor.beam_offsets_m(seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).all()
    assert first.std() == pytest.approx(sensor.beam_offset_m, rel=0.25)  # of 64 draws: 9 %
    both = replace(sensor, also=(SENSORS["vlp16"],))
    assert both.beam_offsets_m(1).shape == (both.num_beams,)
    assert (replace(sensor, beam_offset_m=0.0).beam_offsets_m(1) == 0).all()


def test_points_lie_off_by_their_beams_offset():
    """The same town through the same rays, with and without offsets: ranges differ by them."""
    exact = replace(SENSORS["vlp16"], beam_offset_m=0.0, range_noise_m=0.0)
    plain = simulate_scan(4, exact).scan
    off = simulate_scan(4, replace(exact, beam_offset_m=0.05)).scan
    assert plain.ring is not None
    assert (plain.ring == off.ring).all()
    moved = np.linalg.norm(off.points, axis=1) - np.linalg.norm(plain.points, axis=1)
    offsets = replace(exact, beam_offset_m=0.05).beam_offsets_m(4)
    np.testing.assert_allclose(moved, offsets[plain.ring], atol=1e-4)
