"""Surface distances against MONAI, DeepMind's surface-distance, SimpleITK and planes whose distance is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK

from cases import ANISOTROPIC_MM, REPOSITORY, SURFACE_SPACING_MM, ball, surface_pair
from napari_medcnn.errors import GeometryError, InputError
from napari_medcnn.evaluation.surface import surface_distances

GOLDEN = json.loads((REPOSITORY / "tests" / "golden" / "surface.json").read_text())


def case(name: str):
    reference, predicted = surface_pair()
    shape = (20, 40, 44)
    return {
        "surface_pair": (reference, predicted, SURFACE_SPACING_MM),
        "swapped": (predicted, reference, SURFACE_SPACING_MM),
        "identical": (reference, reference, SURFACE_SPACING_MM),
        "anisotropic_shift": (
            ball(shape, (9, 18, 20), 9.0, ANISOTROPIC_MM),
            ball(shape, (10, 20, 23), 8.0, ANISOTROPIC_MM),
            ANISOTROPIC_MM,
        ),
    }[name]


@pytest.mark.parametrize("name", ["surface_pair", "swapped", "identical", "anisotropic_shift"])
def test_golden(name: str) -> None:
    """HD, HD95, ASSD as MONAI; NSD as both. MONAI computes in single precision."""
    found = surface_distances(*case(name))
    monai, deepmind = GOLDEN["monai"][name], GOLDEN["surface-distance"][name]
    assert found.hd_mm == pytest.approx(deepmind["hd_mm"], abs=1e-9)
    assert found.hd_mm == pytest.approx(monai["hd_mm"], abs=1e-5)
    assert found.hd95_mm == pytest.approx(monai["hd95_mm"], abs=1e-5)
    assert found.assd_mm == pytest.approx(monai["assd_mm"], abs=1e-5)
    for tolerance in (0.5, 1.0, 2.0):
        for oracle in (monai, deepmind):
            assert found.nsd(tolerance) == pytest.approx(oracle[f"nsd_{tolerance:g}mm"], abs=1e-6)


def test_the_published_row() -> None:
    """Section 5 of seeds-and-models, typed from the page and not from the JSON file."""
    found = surface_distances(*case("surface_pair"))
    assert found.hd_mm == pytest.approx(23.954123, abs=1e-6)
    assert found.hd95_mm == pytest.approx(3.2, abs=1e-9)
    assert found.assd_mm == pytest.approx(1.004418, abs=1e-6)
    assert found.nsd(1.0) == pytest.approx(0.619049, abs=1e-6)


def test_hausdorff_against_simpleitk() -> None:
    """On solid shapes the largest distance between surfaces is that between the masks."""
    reference, predicted, spacing = case("anisotropic_shift")
    images = [SimpleITK.GetImageFromArray(m.astype(np.uint8)) for m in (reference, predicted)]
    for image in images:
        image.SetSpacing(spacing[::-1])
    oracle = SimpleITK.HausdorffDistanceImageFilter()
    oracle.Execute(*images)
    assert surface_distances(reference, predicted, spacing).hd_mm == pytest.approx(oracle.GetHausdorffDistance())


@pytest.mark.parametrize(("axis", "gap"), [(0, 3), (1, 4), (2, 5)])
def test_parallel_planes(axis: int, gap: int) -> None:
    """Two sheets, one voxel thick, `gap` voxels apart: every distance is gap x spacing."""
    masks = [np.zeros((12, 13, 14), bool) for _ in range(2)]
    for mask, index in zip(masks, (2, 2 + gap), strict=True):
        mask[(slice(None),) * axis + (index,)] = True
    distance = gap * ANISOTROPIC_MM[axis]
    found = surface_distances(*masks, ANISOTROPIC_MM)
    assert (found.hd_mm, found.hd95_mm, found.assd_mm) == pytest.approx((distance,) * 3)
    assert np.allclose(found.to_predicted, distance)


def test_nsd_of_single_voxels_by_hand() -> None:
    """A voxel's surface is eight triangles with legs of half a spacing; next to it, half of them are shared."""
    masks = [np.zeros((5, 6, 7), bool) for _ in range(2)]
    masks[0][2, 2, 2] = masks[1][2, 2, 3] = True
    found = surface_distances(*masks, ANISOTROPIC_MM)
    a, b, c = (s / 2 for s in ANISOTROPIC_MM)
    area = 8 * np.sqrt((a * b) ** 2 + (b * c) ** 2 + (c * a) ** 2) / 2
    assert found.elements_to_predicted[:, 1].sum() == pytest.approx(area, rel=1e-6)
    assert found.nsd(0.69) == pytest.approx(0.5)
    assert found.nsd(0.71) == 1.0
    assert found.assd_mm == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("full", "flag", "distance", "share"),
    [((0, 0), "both empty", 0.0, 1.0), ((0, 1), "reference empty", 13.0, 0.0), ((1, 0), "prediction empty", 13.0, 0.0)],
)
def test_empty_policy(full, flag: str, distance: float, share: float) -> None:
    """The image is 3 x 4 x 12 mm, so its diagonal is 13 mm."""
    found = surface_distances(*(np.full((1, 4, 6), v, bool) for v in full), (3.0, 1.0, 2.0))
    assert found.flag == flag
    assert (found.hd_mm, found.hd95_mm, found.assd_mm) == (distance,) * 3
    assert found.nsd(1.0) == share


def test_a_picture_is_measured_in_its_plane() -> None:
    """A disc inside a disc: the faces towards the viewer are no surface, else most distances would be 0."""
    y, x = np.ogrid[:80, :80]
    squared = ((y - 40) * 0.5) ** 2 + ((x - 40) * 0.5) ** 2
    discs = [(squared < r**2)[None] for r in (15.0, 10.0)]
    found = surface_distances(*discs, (1.0, 0.5, 0.5))
    assert found.assd_mm == pytest.approx(5.0, abs=0.3)
    assert found.nsd(1.0) == 0.0
    length = found.elements_to_predicted[:, 1].sum()
    assert length == pytest.approx(2 * np.pi * 15.0, rel=0.06)  # a polygon with corners cut at 45 degrees


@pytest.mark.parametrize("spacing", [(1.0, 0.5, 0.5), (1.0, 0.4, 1.3)])
def test_outline_of_a_rectangle(spacing) -> None:
    """10 x 6 pixels: straight sides of 9 and 5 pixels and four cut corners."""
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 3:13, 4:10] = True
    found = surface_distances(mask, mask, spacing)
    expected = 2 * 9 * spacing[1] + 2 * 5 * spacing[2] + 4 * np.hypot(spacing[1], spacing[2]) / 2
    assert found.elements_to_predicted[:, 1].sum() == pytest.approx(expected)


def test_touching_the_border_is_a_surface() -> None:
    full = np.ones((4, 5, 6), bool)
    found = surface_distances(full, full, ANISOTROPIC_MM)
    assert found.to_predicted.size == 4 * 5 * 6 - 2 * 3 * 4
    assert found.hd_mm == 0.0


def test_wrong_arguments_are_named() -> None:
    ones = np.ones((2, 3, 4), bool)
    with pytest.raises(InputError, match="equal shapes"):
        surface_distances(ones, ones[:1], ANISOTROPIC_MM)
    with pytest.raises(InputError, match=r"\(z, y, x\)"):
        surface_distances(ones[0], ones[0], ANISOTROPIC_MM)
    for spacing in ((1.0, 0.0, 1.0), (1.0, float("nan"), 1.0), (1.0, 1.0)):
        with pytest.raises(GeometryError, match="spacing_mm"):
            surface_distances(ones, ones, spacing)
    with pytest.raises(InputError, match="tolerance_mm"):
        surface_distances(ones, ones, ANISOTROPIC_MM).nsd(-1.0)
