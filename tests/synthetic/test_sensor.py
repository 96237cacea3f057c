import numpy as np
import pytest

from lidarpan.structures import InputError
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.sensors.sensor import make_sensor


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
