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
        ({"points": POINTS.astype(np.float64)}, r"\(N, 3\) float32, got \(4, 3\) float64"),
        ({"points": np.zeros((4, 4), np.float32)}, r"got \(4, 4\)"),
        ({"points": [[0, 0, 0]]}, "got list"),
        ({"points": np.full((4, 3), np.nan, np.float32)}, "4 of 4 with NaN"),
        ({"intensity": INTENSITY[:2]}, r"Scan.intensity must be \(4,\)"),
        ({"intensity": None}, "Scan.intensity"),
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
    with pytest.raises(InputError, match="semantic"):
        PanopticLabels(np.zeros(3, np.int64), np.zeros(3, np.int32))
