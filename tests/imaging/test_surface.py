"""Surfaces of classes against closed forms: spheres, boxes, world coordinates, closed and outward."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.surface import Surface, boxes_of, surface_of


def ball(radius: float, spacing: tuple[float, float, float], label: int = 1) -> np.ndarray:
    size = [int(2 * radius / s) + 9 for s in spacing]
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(size, spacing, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.where(sum(a * a for a in grid) <= radius**2, label, 0).astype(np.uint8)


def surface(mask: np.ndarray, spacing=(1.0, 1.0, 1.0), translate=(0.0, 0.0, 0.0), label: int = 1) -> Surface:
    return surface_of(mask, label, boxes_of(mask)[label], spacing, translate)


def edges(made: Surface) -> Counter:
    """Count each edge with its direction: closed and of one winding, each comes once each way."""
    found = Counter()
    for a, b in ((0, 1), (1, 2), (2, 0)):
        found.update(map(tuple, made.faces[:, [a, b]].tolist()))
    return found


@pytest.mark.parametrize(
    ("radius", "spacing", "area", "volume"),
    [
        (20, (2.5, 0.8, 0.8), 0.03, 0.02),
        (30, (3.0, 1.0, 1.0), 0.03, 0.02),
        (10, (1.0, 1.0, 1.0), 0.03, 0.04),
        (15, (5.0, 0.7, 0.7), 0.05, 0.08),  # 6 slices: thick ones round the ends off
        (60, (0.6, 0.5, 0.5), 0.01, 0.01),  # merged 2 x 2 x 2
    ],
)
def test_a_sphere_has_its_area_and_volume_on_anisotropic_grids(radius, spacing, area, volume):
    made = surface(ball(radius, spacing), spacing)
    assert made.area == pytest.approx(4 * math.pi * radius**2, rel=area)
    assert made.volume == pytest.approx(4 / 3 * math.pi * radius**3, rel=volume)
    assert made.coarser == (2 if radius == 60 else 1)


def test_the_enclosed_volume_is_that_of_the_voxels():
    spacing = (1.5, 0.8, 0.8)
    mask = ball(18, spacing) | np.roll(ball(18, spacing), 12, axis=2)
    voxels = np.count_nonzero(mask) * math.prod(spacing)
    assert surface(mask, spacing).volume == pytest.approx(voxels, rel=0.02)


def test_faces_look_outward_and_the_surface_is_closed_where_the_scan_ends():
    mask = np.ones((9, 14, 12), np.uint8)
    made = surface(mask, (3, 1, 1))
    found = edges(made)
    assert all(found[b, a] == n == 1 for (a, b), n in found.items())
    np.testing.assert_allclose(made.vertices.min(0), [-1.5, -0.5, -0.5], atol=1e-4)
    np.testing.assert_allclose(made.vertices.max(0), [8.5 * 3, 13.5, 11.5], atol=1e-4)
    middle = made.vertices.mean(0)
    a, b, c = (made.vertices[made.faces[:, i]] for i in range(3))
    outward = np.einsum("ij,ij->i", np.cross(b - a, c - a), (a + b + c) / 3 - middle)
    assert (outward > 0).all(), "every face of a convex body looks away from its middle"
    assert made.volume > 0


def test_thin_and_tiny_things_do_not_vanish():
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[10, 10, 2:18] = 1  # a vessel of one voxel
    mask[4, 4, 4] = 2
    line, dot = surface(mask), surface(mask, label=2)
    assert line.volume == pytest.approx(16, rel=0.15)
    assert np.all(np.abs(line.vertices[:, 0] - 10) < 1)
    assert line.vertices[:, 2].min() < 2.5
    assert line.vertices[:, 2].max() > 16.5
    np.testing.assert_allclose((dot.vertices.min(0) + dot.vertices.max(0)) / 2, [4, 4, 4], atol=1e-5)


def test_world_coordinates_are_those_of_the_window_also_after_merging():
    turned = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # sagittal, running backwards
    grid = Geometry((40, 60, 50), (2.0, 0.9, 0.7), (31.0, -12.0, 77.0), turned)
    source = np.zeros(grid.shape, np.uint8)
    source[8:20, 30:48, 5:27] = 7
    shown = DisplayGrid(grid)
    mask = np.ascontiguousarray(shown.how.apply(source))
    made = surface(mask, shown.shown.spacing_mm, shown.shown.display_translate_mm(), label=7)
    # two opposite corners of the block, from the file's own indices through LPS
    ends = shown.world_of_source([(7.5, 29.5, 4.5), (19.5, 47.5, 26.5)])
    np.testing.assert_allclose(made.vertices.min(0), ends.min(0), atol=1e-3)
    np.testing.assert_allclose(made.vertices.max(0), ends.max(0), atol=1e-3)


def test_a_large_class_is_merged_and_stays_in_its_place():
    mask = np.zeros((180, 210, 230), np.uint8)
    mask[3:174, 5:204, 7:224] = 1
    made = surface(mask, (1.0, 0.8, 0.8), (100.0, 0.0, -50.0))
    assert made.coarser == 2
    low, high = np.array([2.5, 4.5 * 0.8, 6.5 * 0.8]), np.array([173.5, 203.5 * 0.8, 223.5 * 0.8])
    np.testing.assert_allclose(made.vertices.min(0), low + (100, 0, -50), atol=0.5)
    np.testing.assert_allclose(made.vertices.max(0), high + (100, 0, -50), atol=0.5)
    assert made.volume == pytest.approx(math.prod(high - low), rel=0.01)


def test_what_is_not_there_has_no_surface():
    mask = ball(4, (1, 1, 1), label=3)
    assert list(boxes_of(mask)) == [3]
    assert boxes_of(np.zeros((3, 3, 3), np.uint8)) == {}
    with pytest.raises(InputError, match="class 2"):
        surface_of(mask, 2, boxes_of(mask)[3], (1, 1, 1), (0, 0, 0))
    with pytest.raises(InputError, match="mask"):
        boxes_of(np.zeros((3, 3), np.uint8))
