import numpy as np
import pytest

from lidarpan.structures import InputError, PanopticLabels, Scan

POINTS = np.zeros((4, 3), np.float32)
INTENSITY = np.zeros(4, np.float32)


def test_good_scan():
    scan = Scan(POINTS, INTENSITY, ring=np.zeros(4, np.int32), world_T_sensor=np.eye(4))
    assert scan.num_points == 4


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"points": POINTS.astype(np.float64) + 5e6},
            "lose their millimetres in float32",
        ),
        ({"points": POINTS.astype(complex)}, r"\(N, 3\) float32, got \(4, 3\) complex128"),
        ({"points": np.zeros((4, 4), np.float32)}, r"got \(4, 4\)"),
        ({"points": [[0, 0, 0]]}, "got list"),
        ({"points": np.full((4, 3), np.nan, np.float32)}, "4 of 4 with NaN"),
        ({"intensity": INTENSITY[:2]}, r"Scan.intensity must be \(4,\)"),
        ({"intensity": INTENSITY.astype(bool)}, "Scan.intensity"),
        ({"ring": np.zeros(4, np.float32)}, "Scan.ring"),
        ({"world_T_sensor": np.eye(3)}, r"\(4, 4\)"),
    ],
)
def test_bad_scan(fields, words):
    with pytest.raises(InputError, match=words):
        Scan(**{"points": POINTS, "intensity": INTENSITY, **fields})


def test_labels():
    labels = PanopticLabels(np.zeros(3, np.uint8), np.zeros(3, np.int32))
    assert labels.num_points == 3
    with pytest.raises(InputError, match=r"instance must be \(3,\) int32, got \(2,\) int32"):
        PanopticLabels(np.zeros(3, np.uint8), np.zeros(2, np.int32))
    with pytest.raises(InputError, match=r"semantic: wanted 0\.\.255, got 0\.\.300"):
        PanopticLabels(np.array([300, 0, 1]), np.zeros(3, np.int32))
    with pytest.raises(InputError, match=r"semantic: wanted 0\.\.255, got -1\.\.1"):
        PanopticLabels(np.array([-1, 0, 1]), np.zeros(3, np.int32))
    with pytest.raises(InputError, match="semantic must be"):
        PanopticLabels(np.zeros(3), np.zeros(3, np.int32))
    with pytest.raises(InputError, match=r"instance: wanted .* got 0\.\.1099511627776"):
        PanopticLabels(np.zeros(3, np.uint8), np.array([0, 1, 2**40]))


def test_other_numbers_are_converted_without_loss():
    points = np.random.default_rng(0).uniform(-100, 100, (50, 3))
    scan = Scan(points, ring=np.arange(50), time=np.linspace(0, 0.1, 50))
    assert scan.points.dtype == scan.intensity.dtype == scan.time.dtype == np.float32
    assert np.abs(scan.points - points).max() < 1e-5
    assert not scan.intensity.any()
    assert scan.ring.tolist() == list(range(50))
    labels = PanopticLabels(np.arange(50), 1000 * np.arange(50), np.linspace(0, 1, 50))
    assert (labels.semantic.dtype, labels.instance.dtype) == (np.uint8, np.int32)
    assert labels.instance.tolist() == [1000 * i for i in range(50)]


def test_raised():
    scan = Scan(POINTS, INTENSITY, ring=np.zeros(4, np.int32))
    assert scan.raised(0) is scan
    assert scan.raised(-0.5).points[:, 2].tolist() == [-0.5] * 4
    assert not scan.points.any()


def test_spread_over():
    labels = PanopticLabels(np.array([3, 4]), np.array([0, 9]))
    wide = labels.spread_over(np.array([False, True, False, True]))
    assert wide.semantic.tolist() == [0, 3, 0, 4]
    assert wide.instance.tolist() == [0, 0, 0, 9]
    assert labels.spread_over(np.ones(2, bool)) is labels
