import numpy as np
import pytest

from lidarpan.synthetic.raycast import NO_TRIANGLE, Caster, DensityField, penetrate
from lidarpan.synthetic.towns.site import Site
from lidarpan.synthetic.towns.solids import build_parts

EVEN = DensityField(np.ones((2, 2, 2), np.float32), 1.0)
NONE_BARRED = np.zeros(0, np.bool_)


def slab(thickness, density, count=1, gap=0.0):
    site = Site()
    for k in range(count):
        x = 5 + thickness / 2 + k * (thickness + gap)
        site.add(
            "box", (x, 0, 0), (thickness, 40, 20), "vegetation", "leaf", bottom=-10, density=density
        )
    return build_parts(site, None, NONE_BARRED)[1]


def shoot(body, num_rays=4000, limit=100.0):
    rng = np.random.default_rng(3)
    directions = np.tile(np.array([1, 0, 0], np.float32), (num_rays, 1))
    directions[:, 1] = rng.uniform(-0.01, 0.01, num_rays)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    limits = np.full(num_rays, limit, np.float32)
    leafy = np.ones(len(body.density), np.bool_)
    return penetrate(
        Caster(body.mesh), body.density, leafy, EVEN, np.zeros(3, np.float32), directions,
        limits, rng,
    )  # fmt: skip


@pytest.mark.parametrize(("thickness", "density"), [(0.5, 1.0), (1.0, 2.0), (2.0, 0.25)])
def test_the_share_that_passes_a_slab_falls_exponentially(thickness, density):
    stop, triangle = shoot(slab(thickness, density))
    passed = np.isinf(stop).mean()
    assert passed == pytest.approx(np.exp(-density * thickness), abs=0.03)
    assert (triangle[np.isinf(stop)] == NO_TRIANGLE).all()


def test_two_slabs_dim_as_one_of_twice_the_thickness():
    stop, _ = shoot(slab(0.5, 1.2, count=2, gap=1.0))
    assert np.isinf(stop).mean() == pytest.approx(np.exp(-1.2), abs=0.03)
    inside_gap = (stop > 5.51) & (stop < 6.49)
    assert not inside_gap.any()


def test_rays_are_stopped_inside_the_body_at_exponential_depth():
    stop, _ = shoot(slab(3.0, 2.0))
    depth = stop[np.isfinite(stop)] - 5
    assert depth.min() >= 0
    assert depth.max() <= 3.01
    assert depth.mean() == pytest.approx(0.5, abs=0.05)


def test_nothing_is_stopped_beyond_the_limit():
    stop, _ = shoot(slab(3.0, 2.0), limit=5.5)
    assert (stop[np.isfinite(stop)] <= 5.5 + 1e-3).all()
    assert np.isinf(stop).mean() == pytest.approx(np.exp(-1.0), abs=0.03)


def test_a_dense_field_value_stops_sooner():
    site = Site()
    site.add("box", (6, 0, 0), (2, 40, 20), "vegetation", "leaf", bottom=-10, density=1.0)
    body = build_parts(site, None, NONE_BARRED)[1]
    values = np.ones((8, 8, 8), np.float32)
    values[6] = 50.0
    directions = np.tile(np.array([1, 0, 0], np.float32), (500, 1))
    stop, _ = penetrate(
        Caster(body.mesh), body.density, np.ones(12, np.bool_), DensityField(values, 1.0),
        np.zeros(3, np.float32), directions, np.full(500, 50, np.float32),
        np.random.default_rng(0),
    )  # fmt: skip
    assert np.isfinite(stop).all()
    assert (stop > 6).mean() == pytest.approx(np.exp(-1.0), abs=0.07)


def test_an_empty_mesh_is_met_by_nothing():
    solid, _ = build_parts(Site(), None, NONE_BARRED)
    hits = Caster(solid.mesh).cast(np.zeros(3, np.float32), np.ones((4, 3), np.float32))
    assert np.isinf(hits.range_m).all()
    assert (hits.triangle == NO_TRIANGLE).all()


def test_parts_have_outward_triangles():
    site = Site()
    for k, shape in enumerate(("box", "tube", "blob")):
        site.add(shape, (10.0 * k, 0, 0.4), (2, 3, 4), "clutter", "wood", parameter=1.0)
    site.add("gable", (30, 0, 0.4), (2, 3, 4), "clutter", "wood")
    solid, _ = build_parts(site, None, NONE_BARRED)
    corners = solid.mesh.vertices[solid.mesh.triangles].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    middle = corners.mean(axis=1)
    inside = np.c_[
        np.round(middle[:, 0] / 10) * 10, np.zeros(len(middle)), np.full(len(middle), 1.5)
    ]
    outward = np.einsum("ij,ij->i", normal, middle - inside)
    assert (outward > 0).all()
