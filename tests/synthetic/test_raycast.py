import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.synthetic import raycast
from lidarpan.synthetic.actors.mesh import Mesh
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


def first_hit(corners, origin, way):
    """The obvious twin: where each plane is met, if that is inside of all three edges."""
    best = (np.inf, NO_TRIANGLE)
    for i, (a, b, c) in enumerate(corners.astype(float)):
        normal = np.cross(b - a, c - a)
        along = normal @ way
        if along == 0:
            continue
        t = normal @ (a - origin) / along
        at = origin + t * way
        sides = [normal @ np.cross(q - p, at - p) for p, q in ((a, b), (b, c), (c, a))]
        if t >= 0 and min(sides) >= -1e-12 and t < best[0]:
            best = (t, i)
    return best


def own_caster(monkeypatch, mesh):
    monkeypatch.setattr(raycast, "_engine", lambda: raycast._OwnTree)
    return Caster(mesh)


LIBRARIES = {"open3d": "_Open3dScene", "embreex": "_EmbreexScene"}


def take(monkeypatch, library):
    pytest.importorskip(library, reason=f"no {library}: pip install {library}")
    monkeypatch.setattr(raycast, "_engine", lambda: getattr(raycast, LIBRARIES[library]))


def soup(rng, count, size=1.0):
    corners = rng.uniform(-5, 5, (count, 1, 3)) + rng.normal(0, size, (count, 3, 3))
    vertices = corners.reshape(-1, 3).astype(np.float32)
    nothing = np.zeros(count, np.uint8)
    return Mesh(vertices, np.arange(3 * count, dtype=np.int32).reshape(-1, 3), nothing, nothing)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 40))
def test_own_caster_meets_what_the_obvious_twin_meets(seed, count):
    rng = np.random.default_rng(seed)
    mesh = soup(rng, count)
    ways = rng.normal(size=(20, 3)).astype(np.float32)
    ways[:3] = np.eye(3)  # along the axes
    origin = rng.uniform(-6, 6, 3).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        hits = own_caster(patch, mesh).cast(origin, ways)
    for k, way in enumerate(ways.astype(float)):
        t, triangle = first_hit(mesh.vertices[mesh.triangles], origin.astype(float), way)
        assert hits.range_m[k] == pytest.approx(t, rel=1e-4)
        assert hits.triangle[k] == triangle
        if triangle != NO_TRIANGLE:
            a, b, c = mesh.vertices[mesh.triangles[triangle]].astype(float)
            normal = np.cross(b - a, c - a)
            assert hits.normal[k] == pytest.approx(normal / np.linalg.norm(normal), abs=1e-4)


@pytest.mark.parametrize("library", LIBRARIES)
def test_own_caster_agrees_with_embree(monkeypatch, library):
    take(monkeypatch, library)
    rng = np.random.default_rng(0)
    mesh = soup(rng, 5000, 0.2)
    ways = rng.normal(size=(20_000, 3)).astype(np.float32)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    origins = rng.uniform(-5, 5, (20_000, 3)).astype(np.float32)
    theirs = Caster(mesh).cast(origins, ways)
    ours = own_caster(monkeypatch, mesh).cast(origins, ways)
    same = ours.triangle == theirs.triangle
    assert 0.3 < (ours.triangle >= 0).mean() < 1
    assert same.mean() > 0.9995  # rays through an edge
    np.testing.assert_allclose(ours.range_m[same], theirs.range_m[same], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.normal[same], theirs.normal[same], atol=1e-3)


@pytest.mark.parametrize("library", LIBRARIES)
def test_towns_are_alike_with_either_caster(monkeypatch, library):
    take(monkeypatch, library)
    from lidarpan.synthetic.sensors.sensor import make_sensor
    from lidarpan.synthetic.simulate import simulate_scan

    sensor = make_sensor(num_beams=32, azimuth_steps=120)
    theirs = simulate_scan(3, sensor)
    monkeypatch.setattr(raycast, "_engine", lambda: raycast._OwnTree)
    ours = simulate_scan(3, sensor)
    assert ours.scan.num_points == pytest.approx(theirs.scan.num_points, rel=0.01)
    counts = [np.bincount(scan.kind, minlength=40) / len(scan.kind) for scan in (ours, theirs)]
    np.testing.assert_allclose(*counts, atol=0.005)


def test_an_empty_mesh_is_hit_by_nothing(monkeypatch):
    empty = Mesh(
        np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), *[np.zeros(0, np.uint8)] * 2
    )
    hits = own_caster(monkeypatch, empty).cast(np.zeros(3, np.float32), np.eye(3, dtype=np.float32))
    assert np.isinf(hits.range_m).all()
    assert (hits.triangle == NO_TRIANGLE).all()
