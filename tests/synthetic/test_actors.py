"""Actors: the promised frame, plausible sizes, and what rays meet in and below them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.synthetic.actors.actors import (
    ACTOR_KINDS,
    HEIGHT_M,
    SLENDERNESS,
    is_held_out,
    make_actor,
)
from lidarpan.synthetic.actors.cars import car
from lidarpan.synthetic.actors.figure import Body, Pose, figure
from lidarpan.synthetic.actors.mesh import join
from lidarpan.synthetic.kinds import KIND, MATERIAL
from lidarpan.synthetic.towns.stock import Shape, stock_actor

# kind -> (length, width, height) ranges in metres, widths with mirrors, and most triangles
LIMITS = {
    "car": ((2.9, 6.6), (1.75, 3.3), (1.1, 2.6), 700),
    "van": ((4.1, 8.2), (1.85, 3.5), (1.7, 3.7), 700),
    "truck": ((5.2, 17.0), (2.2, 3.1), (2.3, 4.3), 600),
    "bus": ((5.9, 19.0), (2.2, 3.0), (2.4, 4.5), 800),
    "trailer": ((2.9, 14.0), (1.2, 2.7), (0.8, 4.1), 400),
    "construction_vehicle": ((1.8, 14.5), (0.8, 6.8), (1.2, 5.8), 500),
    "tram": ((15.5, 31.0), (2.2, 2.8), (4.0, 5.0), 600),
    "bicycle": ((1.1, 2.0), (0.35, 1.5), (0.4, 1.7), 350),
    "motorcycle": ((1.5, 2.4), (0.6, 1.1), (1.0, 1.7), 350),
    "bicyclist": ((1.1, 2.0), (0.5, 1.2), (1.2, 2.2), 720),
    "motorcyclist": ((1.5, 2.4), (0.6, 1.3), (1.4, 2.0), 720),
    "pedestrian": ((0.25, 1.8), (0.4, 1.3), (0.7, 2.3), 460),
    "child": ((0.15, 1.0), (0.25, 0.9), (0.4, 1.6), 350),
    "worker": ((0.25, 1.4), (0.4, 1.3), (0.7, 2.1), 400),
    "seated": ((0.3, 1.1), (0.25, 0.9), (0.6, 1.6), 350),
    "resting": ((0.3, 1.6), (0.25, 1.2), (0.4, 1.2), 400),
    "cone": ((0.15, 0.9), (0.15, 0.65), (0.35, 1.4), 100),
    "barrier": ((0.3, 0.72), (0.9, 4.6), (0.65, 1.3), 200),
}


def cast(mesh, origins, directions):
    """First triangle each ray meets (-1 for none) and how far away. -> (R,), (R,)."""
    a, b, c = mesh.vertices.astype(np.float64)[mesh.triangles].transpose(1, 0, 2)
    first, second = b - a, c - a
    near = np.full(len(origins), np.inf)
    index = np.full(len(origins), -1)
    for ray, (origin, way) in enumerate(zip(origins, directions, strict=True)):
        side = np.cross(way, second)
        det = np.einsum("ij,ij->i", first, side)
        det = np.where(np.abs(det) < 1e-12, np.nan, det)
        from_a = origin - a
        u = np.einsum("ij,ij->i", from_a, side) / det
        across = np.cross(from_a, first)
        v = across @ way / det
        distance = np.einsum("ij,ij->i", second, across) / det
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 1e-9)
        if hit.any():
            distance = np.where(hit, distance, np.inf)
            index[ray], near[ray] = int(np.argmin(distance)), distance.min()
    return index, near


def actors(kind, count=25):
    return [make_actor(kind, np.random.default_rng([7, seed])) for seed in range(count)]


def test_every_kind_is_limited_here():
    assert set(LIMITS) == set(ACTOR_KINDS)


@pytest.mark.parametrize("kind", ACTOR_KINDS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_frame_size_and_budget(kind, seed):
    actor = make_actor(kind, np.random.default_rng(seed))
    vertices, triangles = actor.mesh.vertices, actor.mesh.triangles
    assert np.isfinite(vertices).all()
    assert triangles.min() >= 0
    assert triangles.max() < len(vertices)
    used = vertices[np.unique(triangles)]
    low, high = used.min(axis=0), used.max(axis=0)
    assert high - low == pytest.approx(actor.size_m, abs=2e-5)
    assert low[2] == 0.0
    assert (low + high)[:2] == pytest.approx([0.0, 0.0], abs=2e-5)
    *ranges, budget = LIMITS[kind]
    for extent, (least, most) in zip(actor.size_m, ranges, strict=True):
        assert least <= extent <= most
    assert len(triangles) <= budget
    assert actor.kind == kind
    assert (actor.mesh.kind == KIND[kind]).all()


@pytest.mark.parametrize("kind", ACTOR_KINDS)
def test_few_triangles_are_without_area(kind):
    for actor in actors(kind, 5):
        a, b, c = actor.mesh.vertices.astype(np.float64)[actor.mesh.triangles].transpose(1, 0, 2)
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        assert (area < 1e-8).mean() < 0.02


@pytest.mark.parametrize("kind", ACTOR_KINDS)
def test_same_generator_state_same_bytes_and_others_differ(kind):
    one, same, other = (make_actor(kind, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one.mesh.vertices.tobytes() == same.mesh.vertices.tobytes()
    assert one.mesh.triangles.tobytes() == same.mesh.triangles.tobytes()
    assert one.mesh.material.tobytes() == same.mesh.material.tobytes()
    assert one.size_m != other.size_m


def test_rays_pass_below_cars_and_are_stopped_above():
    for kind in ("car", "van"):
        for actor in actors(kind, 12):
            origins = np.array([[0.0, 5.0, 0.1], [0.0, 5.0, 0.5]])  # between the axles
            index, _ = cast(actor.mesh, origins, np.array([[0.0, -1.0, 0.0]] * 2))
            assert index[0] == -1
            assert index[1] >= 0


def test_side_windows_of_cars_are_glass_with_something_inside():
    inside, cabriolets = [], 0
    for seed in range(12):
        mesh = join(car(np.random.default_rng(seed)))
        glass = mesh.material == MATERIAL["glass"]
        if glass.mean() < 0.02:  # nothing but a windscreen and lamps
            cabriolets += 1
            continue
        assert glass.mean() < 0.2
        side = glass & (np.ptp(mesh.vertices[mesh.triangles][..., 2], axis=1) > 0.2)
        middle = mesh.vertices[mesh.triangles[side]].mean(axis=1).astype(np.float64)
        middle = middle[middle[:, 1] > 0.4]
        assert len(middle) >= 4
        origins = middle + np.array([0.0, 3.0, 0.4])
        way = (middle - origins) / np.linalg.norm(middle - origins, axis=1, keepdims=True)
        first, near = cast(mesh, origins, way)
        assert (mesh.material[first] == MATERIAL["glass"]).mean() > 0.8
        second, _ = cast(mesh, origins + (near[:, None] + 1e-3) * way, way)
        inside.append(np.mean(second >= 0))
    assert np.mean(inside) > 0.8
    assert cabriolets < 3


def test_wheels_touch_the_ground_at_four_places():
    for actor in actors("car", 10):
        low = actor.mesh.vertices[actor.mesh.vertices[:, 2] < 0.02]
        quadrants = {(x > 0, y > 0) for x, y in low[:, :2].tolist()}
        assert len(quadrants) == 4


def test_bicycle_wheels_let_most_rays_through():
    origins = np.stack([np.linspace(0.35, 0.7, 15), np.full(15, 3.0), np.full(15, 0.5)], axis=1)
    passed = []
    for actor in actors("bicycle", 10):
        index, _ = cast(actor.mesh, origins, np.tile([0.0, -1.0, 0.0], (15, 1)))
        passed.append(np.mean(index < 0))
    assert np.mean(passed) > 0.5


def test_people_stand_apart_in_pose_and_build():
    sizes = np.array([actor.size_m for actor in actors("pedestrian", 40)])
    assert np.percentile(sizes[:, 2], 80) > 1.7
    assert np.std(sizes[:, 0]) > 0.1
    assert np.mean([actor.size_m[2] for actor in actors("child", 15)]) < 1.4


def test_people_sit_on_seats_and_on_the_ground():
    seated, resting = (
        np.array([actor.size_m[2] for actor in actors(kind, 40)]) for kind in ("seated", "resting")
    )
    assert 1.2 < np.median(seated) < 1.4
    assert 0.85 < np.median(resting) < 1.0
    low = [actor.mesh.vertices[actor.mesh.vertices[:, 2] < 0.45] for actor in actors("seated")]
    assert np.mean([np.ptp(part[:, 0]) > 0.4 for part in low]) > 0.5  # thighs and shins reach out


def test_parked_bicycles_lean_and_some_lie():
    roll = []
    for actor in actors("bicycle", 60):
        y, z = actor.mesh.vertices[:, 1], actor.mesh.vertices[:, 2]
        high, low = z > 0.8 * z.max(), z < 0.2 * z.max()
        roll.append(np.arctan2(abs(y[high].mean() - y[low].mean()), 0.8 * z.max()))
    assert 0.02 < np.mean(np.array(roll) > 0.5) < 0.25
    assert 0.15 < np.mean((np.array(roll) > 0.12) & (np.array(roll) < 0.4)) < 0.5


def test_limbs_reach_where_the_pose_says():
    body = Body(1.8, 1.0)
    feet = ((0.2, 0.1, 0.1), (-0.2, -0.1, 0.1))
    hands = ((0.35, 0.2, 1.1), (0.3, -0.25, 1.2))
    vertices = join(figure(body, Pose((0.0, 0.9), 0.1, feet, hands))).vertices
    for target in (*feet, *hands):
        assert np.linalg.norm(vertices - np.array(target), axis=1).min() < 0.1


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match=r"no actor of kind 'dog': wanted one of car, van"):
        make_actor("dog", np.random.default_rng(0))


@pytest.mark.parametrize("kind", ACTOR_KINDS)
def test_towns_to_test_on_have_shapes_that_others_never_have(kind):
    trained = [stock_actor(Shape(kind, k, seed=8)) for k in range(25)]
    tested = [stock_actor(Shape(kind, k, seed=8, held_out=True)) for k in range(3)]
    assert not any(is_held_out(actor) for actor in trained)
    assert all(is_held_out(actor) for actor in tested)
    measure = (
        (lambda a: a.size_m[0] / a.size_m[2]) if kind in SLENDERNESS else lambda a: a.size_m[2]
    )
    low, high = SLENDERNESS[kind] if kind in SLENDERNESS else HEIGHT_M[kind]
    values = [measure(actor) for actor in trained]
    assert min(values) <= low  # what is trained on lies on both sides of what is left out
    assert max(values) >= high


def test_every_town_draws_its_own_shapes():
    one, same, other = (stock_actor(Shape("car", 3, seed)) for seed in (1, 1, 2))
    assert one.mesh.vertices.tobytes() == same.mesh.vertices.tobytes()
    assert one.size_m != other.size_m
