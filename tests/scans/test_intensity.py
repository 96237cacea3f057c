"""Which column is the intensity, and one scale for all scans of a folder."""

import numpy as np
import pytest

from lidarpan.scans.files import load_scan
from lidarpan.scans.intensity import choose_scale, contradicts, find_intensity, scaled
from lidarpan.scans.reader import ScanReader

RNG = np.random.default_rng(3)
FRACTIONS = np.clip(RNG.gamma(2.0, 0.12, 20_000), 0, 0.99)


@pytest.mark.parametrize(
    ("values", "divisor"),
    [
        (FRACTIONS, 1),
        (np.append(FRACTIONS, 1.5), 1),  # one hot return of 20,001
        (np.append(FRACTIONS, [255.0] * 500), 1),  # a wall of mirrors
        (np.append(FRACTIONS, np.inf), 1),
        (FRACTIONS * 255, 255),
        (np.round(FRACTIONS * 255), 255),
        (np.round(FRACTIONS * 60), 255),  # a dark street in bytes
        (np.append(np.round(FRACTIONS * 255), 40_000), 255),
        (np.round(FRACTIONS * 65535), 65535),
        (np.round(FRACTIONS * 30) * 257, 65535),  # bytes widened to 16 bits
    ],
)
def test_the_usual_scales_are_known_by_the_bulk_of_the_values(values, divisor):
    scale = choose_scale([values])
    assert scale.divisor == divisor
    assert scale.said == ""


@pytest.mark.parametrize("gain", [0.01, 3.0, 1000.0, 3000.0])
def test_other_counts_are_scaled_by_their_spread(gain):
    scale = choose_scale([FRACTIONS * gain])
    assert "spread" in scale.said
    intensity, _ = scaled(FRACTIONS * gain, scale)
    assert np.quantile(intensity, 0.95) == pytest.approx(0.4, rel=0.01)


def test_what_is_beyond_the_scale_is_clipped_and_counted():
    intensity, num_clipped = scaled(np.array([0.5, 1.5, -2.0, np.nan]), choose_scale([FRACTIONS]))
    assert intensity.tolist() == [0.5, 1.0, 0.0, 0.0]
    assert num_clipped == 2


@pytest.mark.parametrize(
    "name",
    ["intensity", "Intensities", "remission", "remissions", "strength", "i", "laser_intensity",
     "laserIntensity", "signal", "SIGNAL_PHOTONS", "scalar_Scalar_field", "scalar_reflectance"],
)  # fmt: skip
def test_names_of_the_intensity(name):
    columns = {"x": FRACTIONS, "ambient": FRACTIONS, name: FRACTIONS, "red": FRACTIONS}
    assert find_intensity(columns) == name


def test_a_calibrated_reflectivity_is_taken_first_unless_it_is_empty():
    columns = {"intensity": FRACTIONS, "signal": FRACTIONS, "reflectivity": FRACTIONS}
    assert find_intensity(columns) == "reflectivity"
    assert find_intensity(columns | {"reflectivity": 0 * FRACTIONS}) == "intensity"
    assert find_intensity({"red": FRACTIONS, "near_ir": FRACTIONS, "time": FRACTIONS}) is None


def test_one_hot_return_changes_nothing_else(tmp_path, rows):
    rows.tofile(tmp_path / "asis.bin")
    hot = rows.copy()
    hot[5, 3] = 1.5
    hot.tofile(tmp_path / "hot.bin")
    loaded = load_scan(tmp_path / "hot.bin")
    same = np.arange(len(rows)) != 5
    np.testing.assert_array_equal(loaded.scan.intensity[same], rows[same, 3])
    assert any("1 of 12000 intensities clipped" in said for said in loaded.warnings)


def test_a_folder_has_one_scale_whichever_scans_are_read(tmp_path, rows):
    """Scan k is k + 1 times as bright: each alone would be scaled to the same brightness."""
    for k in range(6):
        counts = np.column_stack([rows[:, :3], rows[:, 3] * 400 * (k + 1)]).astype(np.float32)
        counts.tofile(tmp_path / f"{k}.bin")
    paths = sorted(tmp_path.glob("*.bin"))
    first = ScanReader(paths)
    means = [float(first.load(path).scan.intensity.mean()) for path in paths]
    assert means[1] == pytest.approx(2 * means[0], rel=1e-3)
    again = ScanReader(paths)  # taken up at the last one
    assert float(again.load(paths[-1]).scan.intensity.mean()) == means[-1]


def test_a_scan_of_another_kind_keeps_its_own_scale_and_says_so(tmp_path, rows):
    for k in range(5):
        rows.tofile(tmp_path / f"{k}.bin")
    as_bytes = rows.copy()
    as_bytes[:, 3] = np.round(rows[:, 3] * 255)
    as_bytes.tofile(tmp_path / "5.bin")
    paths = sorted(tmp_path.glob("*.bin"))
    loaded = ScanReader(paths).load(paths[5])
    np.testing.assert_allclose(loaded.scan.intensity, rows[:, 3], atol=0.003)
    assert any("of another kind" in said for said in loaded.warnings)
    assert contradicts(choose_scale([FRACTIONS]), choose_scale([FRACTIONS * 255]))


def test_no_intensity_is_said_with_what_there_is(tmp_path, rows):
    np.savez(tmp_path / "s.npz", xyz=rows[:, :3], red=rows[:, 3])
    loaded = load_scan(tmp_path / "s.npz")
    assert not loaded.scan.intensity.any()
    assert "no intensity; the file has: x, y, z, red" in loaded.warnings


@pytest.mark.parametrize(
    "about", ["intensity_std", "intensity_valid", "is_intensity", "reflectivity_flag"]
)
def test_what_is_said_about_an_intensity_is_none(about):
    assert find_intensity({about: FRACTIONS, "intensity": FRACTIONS}) == "intensity"
    assert find_intensity({about: FRACTIONS}) is None


def test_the_plainest_name_is_taken():
    assert find_intensity({"intensity_raw": FRACTIONS, "intensity": FRACTIONS}) == "intensity"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_many_values_below_zero_are_counted_from_the_lowest(dtype):
    """Decibels keep the order of brightness, and their bulk fills what others fill."""
    decibels = (1000 * np.log10(np.maximum(FRACTIONS, 0.001))).astype(dtype)
    scale = choose_scale([decibels])
    intensity, num_clipped = scaled(decibels, scale)
    assert "of the values lie below 0: counted from -" in scale.said
    assert num_clipped < 0.01 * len(decibels)
    assert np.quantile(intensity, 0.95) == pytest.approx(0.4, rel=0.01)
    assert (np.diff(intensity[np.argsort(decibels, kind="stable")]) >= 0).all()


def test_one_value_below_zero_marks_what_is_not_known():
    some = np.where(np.arange(len(FRACTIONS)) % 9, FRACTIONS, -1)
    assert choose_scale([some]).divisor == 1


def test_bytes_that_a_file_calls_signed_are_bytes():
    wrapped = np.round(FRACTIONS * 255).astype(np.uint8).view(np.int8)
    assert (wrapped < 0).any()
    scale = choose_scale([wrapped])
    assert scale.divisor == 255
    np.testing.assert_allclose(scaled(wrapped, scale)[0], FRACTIONS, atol=0.003)


def test_of_two_columns_without_names_none_is_the_intensity():
    one = {"x": FRACTIONS, "scalar_Scalar_field_#2": FRACTIONS}
    assert find_intensity(one) == "scalar_Scalar_field_#2"
    assert find_intensity(one | {"scalar_Scalar_field": FRACTIONS}) is None
