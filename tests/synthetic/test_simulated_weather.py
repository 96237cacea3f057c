"""Towns in the rain: the clean towns' scans and truth, but for what the weather makes of them."""

import numpy as np
import pytest

from lidarpan.structures import InputError
from lidarpan.synthetic.kinds import KIND
from lidarpan.synthetic.sensors.corruptions import CORRUPTIONS
from lidarpan.synthetic.sensors.sensor import make_sensor
from lidarpan.synthetic.simulated import make_town, write_simulated
from lidarpan.synthetic.weather import Weather, drive_in_weather, in_weather, parse_weather

SENSOR = make_sensor(num_beams=16, azimuth_steps=180)


@pytest.fixture(scope="module")
def clean():
    return make_town(5, SENSOR, 2, 10.0, False, None)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_truth_goes_with_the_points(clean, kind):
    """A point that lies where the clean scan has one is of its kind; new ones are void."""
    wet = in_weather(clean[0], Weather(kind, 2), np.random.default_rng(0))
    assert len(wet.kind) == len(wet.instance) == len(wet.moving) == wet.scan.num_points > 500
    at = {tuple(p): i for i, p in enumerate(clean[0].scan.points.tolist())}
    source = np.array([at.get(tuple(p), -1) for p in wet.scan.points.tolist()])
    unmoved = source >= 0
    assert (wet.kind[unmoved] == clean[0].kind[source[unmoved]]).all()
    assert (wet.instance[unmoved] == clean[0].instance[source[unmoved]]).all()
    if kind in ("snow", "fog", "cross-talk", "wrong-echoes"):  # that move no other points
        new = ~unmoved
        assert new.any()
        assert (wet.kind[new] == KIND["void"]).all()
        assert (wet.instance[new] == 0).all()


@pytest.mark.parametrize("asked", ["dirt:3", "dropped-beams:2", "snow:3", "rain:1"])
def test_dirt_stays_on_the_window_and_snow_falls_anew(clean, asked):
    first, second = drive_in_weather([clean[0], clean[0]], asked, seed=7)
    assert 0 < first.scan.num_points < clean[0].scan.num_points
    is_same = np.array_equal(first.scan.points, second.scan.points)
    assert is_same == (asked in ("dirt:3", "dropped-beams:2"))


def test_the_same_arguments_give_the_same_scans():
    one, two = (make_town(5, SENSOR, 1, 10.0, False, "random")[0] for _ in range(2))
    assert (one.scan.points == two.scan.points).all()
    assert (one.kind == two.kind).all()


def test_what_is_not_said_is_drawn():
    rng = np.random.default_rng(0)
    assert parse_weather("fog:3", rng) == ("fog", 3)
    assert {parse_weather("fog", rng).strength for _ in range(40)} == {1, 2, 3}
    assert {parse_weather("random", rng).kind for _ in range(200)} == set(CORRUPTIONS)
    assert {parse_weather("random:1", rng).strength for _ in range(40)} == {1}


@pytest.mark.parametrize("asked", ["hail", "rain:4", "rain:", "rain:x", ":2", "rain:1:2"])
def test_unknown_weather_is_refused_before_anything_is_made(asked, tmp_path):
    with pytest.raises(InputError, match=r"wanted KIND or KIND:STRENGTH"):
        list(write_simulated("nuscenes", tmp_path, num_scans=1, seed=0, weather=asked))
    assert not list(tmp_path.iterdir())
