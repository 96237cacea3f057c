"""Shapes: areas and volumes as geometry says, outward triangles, holes where asked for."""

import numpy as np
import pytest

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.kinds import KIND, MATERIAL


def volume(mesh):
    """Signed volume by the divergence theorem: positive when all triangles face outwards."""
    a, b, c = mesh.vertices.astype(np.float64)[mesh.triangles].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def open_edges(mesh):
    """Edges that do not belong to exactly one triangle in each direction, by position."""
    corners = mesh.vertices[mesh.triangles].round(5)
    count = {}
    for triangle in corners:
        for i in range(3):
            a, b = tuple(triangle[i]), tuple(triangle[(i + 1) % 3])
            key, step = ((a, b), 1) if a < b else ((b, a), -1)
            count[key] = count.get(key, 0) + step
    return [key for key, value in count.items() if value]


POLYGON = {sides: sides / 2 * np.sin(2 * np.pi / sides) for sides in (4, 6, 8, 10, 12)}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (p.box((1.0, -2.0, 3.0), (2.0, 3.0, 0.5), "metal"), 3.0),
        (p.tapered_box((4, 0, 1), (2.0, 2.0), (1.0, 1.0), 3.0, "metal"), 7.0),
        (p.cylinder((0, 0, 0), (0, 0, 2), 0.5, "metal", 8), POLYGON[8] * 0.25 * 2),
        (p.cylinder((0, -1, 0), (0, 1, 0), 0.5, "metal", 12), POLYGON[12] * 0.25 * 2),
        (p.cylinder((1, 2, 3), (2, 4, 5), 0.1, "metal", 6), POLYGON[6] * 0.01 * 3),
        (p.wheel((5.0, 1.0, 0.3), 0.3, 0.2, 10), POLYGON[10] * 0.09 * 0.2),
    ],
)
def test_solids_are_closed_and_face_outwards(shape, expected):
    assert volume(shape) == pytest.approx(expected, rel=1e-5)
    assert open_edges(shape) == []


def test_ellipsoid_approaches_its_volume_and_keeps_its_extent():
    fine = p.ellipsoid((0, 0, 0), (1.0, 0.5, 2.0), "skin", 48, 32)
    assert volume(fine) == pytest.approx(4 / 3 * np.pi, rel=0.02)
    coarse = p.ellipsoid((3, 2, 1), (1.0, 0.5, 2.0), "skin", 8, 4)
    assert coarse.vertices[:, 2].min() == pytest.approx(-1.0, abs=1e-6)
    assert coarse.vertices[:, 2].max() == pytest.approx(3.0, abs=1e-6)
    assert open_edges(coarse) == []


def test_torus_is_a_ring_of_the_asked_size():
    ring = p.torus((0, 0, 0.35), 0.35, 0.05, "rubber", 24)
    away = np.hypot(ring.vertices[:, 0], ring.vertices[:, 2] - 0.35)
    assert away.max() <= 0.35 + 1e-6
    assert away.min() >= 0.29
    assert np.abs(ring.vertices[:, 1]).max() <= 0.025 + 1e-6
    assert open_edges(ring) == []


def test_loft_leaves_holes_and_mixes_materials():
    rings = p.circle(4)[None, :, [0, 1, 1]] * [1.0, 1.0, 0.0] + [[[0, 0, 0.0]], [[0, 0, 1.0]]]
    grid = np.array([[MATERIAL["glass"], p.OPEN, MATERIAL["metal"], MATERIAL["metal"]]], np.uint8)
    mesh = p.loft(rings, grid, cap_material="wood")
    assert len(mesh.triangles) == 2 * 3 + 2 * 2
    names, counts = np.unique(mesh.material, return_counts=True)
    expected = {MATERIAL["glass"]: 2, MATERIAL["metal"]: 4, MATERIAL["wood"]: 4}
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == expected
    assert len(open_edges(mesh)) == 4


def test_copies_shift_the_whole_mesh():
    one = p.box((0, 0, 0.5), (1, 1, 1), "wood")
    three = p.copies(one, [(0, 0, 0), (5, 0, 0), (0, 7, 0)])
    assert len(three.triangles) == 36
    assert volume(three) == pytest.approx(3.0)
    assert three.vertices.max(axis=0).tolist() == [5.5, 7.5, 1.0]
    assert set(three.kind.tolist()) == {KIND["void"]}


def test_facing_is_an_upright_rectangle_across_x():
    corners = p.facing(2.0, 1.0, 0.5, 0.3, 0.1)
    assert corners[:, 0].tolist() == [2.0] * 4
    assert np.ptp(corners, axis=0) == pytest.approx([0.0, 0.6, 0.2])
    area = p.panels(corners, "glass")
    assert len(area.triangles) == 2
    assert len(p.panels(np.stack([corners, corners]), "glass").triangles) == 4
