import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.training.targets import instance_centers, voxel_instances, voxel_majority


def slow_majority(labels, point_to_voxel, num_voxels):
    out = np.zeros(num_voxels, np.int64)
    for v in range(num_voxels):
        here = [x for x, p in zip(labels, point_to_voxel, strict=True) if p == v and x > 0]
        if here:
            out[v] = min(set(here), key=lambda c: (-here.count(c), c))
    return out


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 5)), max_size=40))
def test_majorities_equal_the_slow_twin(rows):
    point_to_voxel = np.array([r[0] for r in rows], np.int32)
    labels = np.array([r[1] for r in rows])
    expected = slow_majority(labels.tolist(), point_to_voxel.tolist(), 5)
    semantic = voxel_majority(labels.astype(np.uint8), point_to_voxel, 5, 6)
    assert semantic.tolist() == expected.tolist()
    instance = voxel_instances(labels.astype(np.int32), point_to_voxel, 5)
    assert instance.tolist() == expected.tolist()


def test_instance_centers():
    points = np.array([[0, 0, 0], [2, 0, 0], [5, 5, 5], [9, 9, 9]], np.float32)
    ids, centers = instance_centers(points, np.array([7, 7, 2, 0], np.int32))
    assert ids.tolist() == [2, 7]
    assert centers.tolist() == [[5, 5, 5], [1, 0, 0]]


def test_no_instance():
    ids, centers = instance_centers(np.zeros((3, 3), np.float32), np.zeros(3, np.int32))
    assert len(ids) == 0
    assert centers.shape == (0, 3)
