import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.voxels.patches_kernel import mean_by_group
from lidarpan.voxels.sorting import stable_order


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3) | st.just(2**32 - 1)))
def test_order_of_a_stable_sort(keys):
    keys = np.array(keys, np.uint32)
    np.testing.assert_array_equal(stable_order(keys), np.argsort(keys, kind="stable"))


def test_means_of_groups_whose_numbers_need_more_than_32_bits():
    rng = np.random.default_rng(0)
    values, group = rng.random((50, 3)).astype(np.float32), rng.integers(0, 7, 50)
    wanted = np.stack([values[group == g].mean(axis=0) for g in group])
    for scale in (1, 2**33):
        np.testing.assert_allclose(mean_by_group(values, group * scale), wanted, rtol=1e-6)
    assert mean_by_group(values[:0], group[:0]).shape == (0, 3)
