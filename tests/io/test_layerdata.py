"""Layers stand where nibabel says their voxels are, and masks come back onto the grid of the file."""

from __future__ import annotations

import itertools
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from cases import ANISOTROPIC_MM
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.layerdata import (
    KEY,
    map_layer,
    mask_from_layer,
    mask_layer,
    present_ids,
    scan_layers,
    voxel_counts,
    window_for,
)

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ORIENTATIONS = [
    np.column_stack([order, flips])
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def canonical() -> nib.Nifti1Image:
    """A RAS+ image (i, j, k) of 5 x 6 x 7 different numbers, its sizes, spacings and origin all different."""
    data = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
    affine = np.diag([0.7, 0.8, 3.0, 1.0])
    affine[:3, 3] = (-11.0, 23.0, -37.0)
    return nib.Nifti1Image(data, affine)


def volume_of(image: nib.Nifti1Image) -> Volume:
    data = np.asarray(image.dataobj).transpose(2, 1, 0)
    shape = (data.shape[0], data.shape[1], data.shape[2])
    return Volume(data, Geometry.from_affine(shape, RAS_TO_LPS @ image.affine))


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda o: "".join(map(str, nib.orientations.ornt2axcodes(o))))
def test_all_48_orientations_look_the_same_and_masks_come_back(orientation: np.ndarray) -> None:
    stored = canonical().as_reoriented(orientation)
    scan = volume_of(stored)
    ((shown, kwargs, kind),) = scan_layers(scan)

    # i, j, k run to R, A, S; the display runs to I, P, L
    straight = np.asarray(canonical().dataobj)
    assert kind == "image"
    np.testing.assert_array_equal(shown, straight.transpose(2, 1, 0)[::-1, ::-1, ::-1])

    # napari's world is (I, P, L) mm: the negative of nibabel's (R, A, S), backwards
    for index in ((0, 0, 0), (4, 2, 1), (6, 5, 4)):
        i, j, k = 4 - index[2], 5 - index[1], 6 - index[0]
        ras = nib.affines.apply_affine(canonical().affine, (i, j, k))
        world = np.array(kwargs["translate"]) + np.array(kwargs["scale"]) * index
        np.testing.assert_allclose(world, -ras[::-1], atol=1e-9)

    data, mask_kwargs, _ = mask_layer(LabelMap(np.zeros(scan.geometry.shape, np.uint8), scan.geometry), scan)
    data[0:2, 1:3, 3] = 1  # near the head, in front, towards the left
    data[6, 5, 0] = 2
    back = mask_from_layer(data, mask_kwargs["metadata"], "Mask")
    assert back.geometry == scan.geometry

    saved = nib.Nifti1Image(np.asarray(back.array).transpose(2, 1, 0), stored.affine)
    where = np.asarray(nib.as_closest_canonical(saved).dataobj)
    expected = np.zeros((5, 6, 7), np.uint8)
    expected[1, 3:5, 5:7] = 1  # i = 4 - 3; j = 5 - (1..2); k = 6 - (0..1)
    expected[4, 0, 0] = 2
    np.testing.assert_array_equal(where, expected)
    np.testing.assert_allclose(nib.as_closest_canonical(saved).affine, canonical().affine, atol=1e-9)


def test_there_are_48_orientations() -> None:
    assert len({nib.orientations.ornt2axcodes(o) for o in ORIENTATIONS}) == 48


def test_a_tilted_scan_keeps_its_grid() -> None:
    angle = np.radians(12)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    geometry = Geometry((4, 5, 6), ANISOTROPIC_MM, (-3.0, 40.0, 7.0), turn)
    scan = Volume(np.arange(120, dtype=np.int16).reshape(4, 5, 6), geometry)
    ((shown, kwargs, _),) = scan_layers(scan)
    assert "affine" not in kwargs and "rotate" not in kwargs
    assert shown.shape == (4, 5, 6) and kwargs["scale"] == list(ANISOTROPIC_MM)
    data, mask_kwargs, _ = mask_layer(LabelMap(np.zeros((4, 5, 6), np.uint8), geometry), scan)
    data[0, 0, 5] = 1
    back = mask_from_layer(data, mask_kwargs["metadata"], "m")
    assert back.geometry == geometry
    assert np.argwhere(back.array).tolist() == [[3, 0, 5]]  # only z was turned round: S up, display down


def test_units_say_mm_or_pixel_alike_on_every_layer() -> None:
    for known, unit in ((True, "mm"), (False, "pixel")):
        geometry = Geometry((3, 4, 5), spacing_known=known)
        scan = Volume(np.ones((3, 4, 5), np.float32), geometry)
        mask = LabelMap(np.zeros((3, 4, 5), np.uint8), geometry)
        layers = [*scan_layers(scan), mask_layer(mask, scan), map_layer(np.zeros((3, 4, 5)), scan, "map")]
        assert [kwargs["units"] for _, kwargs, _ in layers] == [[unit] * 3] * 3
        assert {tuple(kwargs["axis_labels"]) for _, kwargs, _ in layers} == {("S-I", "A-P", "R-L")}


def test_unknown_orientation_is_not_turned_and_gets_no_letters() -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    ((shown, kwargs, _),) = scan_layers(Volume(array, Geometry((3, 4, 5), orientation_known=False)))
    np.testing.assert_array_equal(shown, array)
    assert kwargs["axis_labels"] == ["z", "y", "x"]


def test_pictures_are_two_dimensional() -> None:
    grey = Volume(np.arange(20, dtype=np.uint8).reshape(1, 4, 5), Geometry.picture(4, 5))
    ((shown, kwargs, _),) = scan_layers(grey)
    assert shown.shape == (4, 5) and kwargs["scale"] == [1.0, 1.0] and kwargs["contrast_limits"] == (0.0, 255.0)
    colour = Volume(np.zeros((1, 4, 5, 3), np.uint8), Geometry.picture(4, 5), "zyxc")
    ((shown, kwargs, _),) = scan_layers(colour)
    assert shown.shape == (4, 5, 3) and kwargs["rgb"] is True and "contrast_limits" not in kwargs
    data, kwargs, _ = mask_layer(LabelMap(np.zeros((1, 4, 5), np.uint8), colour.geometry), colour)
    assert data.shape == (4, 5)
    data[1, 2] = 3
    back = mask_from_layer(data, kwargs["metadata"], "m")
    assert np.argwhere(back.array).tolist() == [[0, 1, 2]]
    assert back.labels.ids == (3,)


def test_time_leads_and_does_not_turn() -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    ((shown, kwargs, _),) = scan_layers(Volume(array, Geometry((3, 4, 5), ANISOTROPIC_MM), "tzyx"))
    np.testing.assert_array_equal(shown, array[:, ::-1])  # S up becomes I down; y to P and x to L already
    assert kwargs["scale"] == [1.0, *ANISOTROPIC_MM]
    assert kwargs["units"] == ["pixel", "mm", "mm", "mm"] and kwargs["axis_labels"][0] == "t"


def test_other_channels_are_layers_of_their_own() -> None:
    array = np.stack([np.full((3, 4, 5), c, np.int16) for c in (7, 8)], axis=-1)
    layers = scan_layers(Volume(array, Geometry((3, 4, 5)), "zyxc", channel_names=("T1", "FLAIR")))
    assert [(kw["name"], kw["visible"], int(d[0, 0, 0])) for d, kw, _ in layers] == [
        ("Scan: T1", True, 7),
        ("Scan: FLAIR", False, 8),
    ]
    four = Volume(np.zeros((3, 4, 5, 4), np.uint16), Geometry((3, 4, 5)), "zyxc")
    assert len(scan_layers(four)) == 4  # four MR channels are not red, green, blue and transparency


def test_the_scan_is_a_read_only_view_and_the_mask_an_own_copy() -> None:
    array = np.zeros((3, 4, 5), np.int16)
    scan = Volume(array, Geometry((3, 4, 5)))
    ((shown, _, _),) = scan_layers(scan)
    assert np.shares_memory(shown, array) and not shown.flags.writeable
    source = np.zeros((3, 4, 5), np.int64)
    source.setflags(write=False)
    data, _, _ = mask_layer(LabelMap(source, scan.geometry), scan)
    assert data.flags.c_contiguous and data.flags.writeable and not np.shares_memory(data, source)
    assert data.dtype == np.uint8


def test_ids_never_wrap() -> None:
    array = np.zeros((2, 3, 4), np.int32)
    array[1, 2, 3] = 300
    data, _, _ = mask_layer(LabelMap(array, Geometry((2, 3, 4))))
    assert data.dtype == np.uint16 and data.max() == 300
    assert present_ids(array) == [300]
    array[0, 0, 0] = 70_000
    with pytest.raises(InputError, match="70000"):
        mask_layer(LabelMap(array, Geometry((2, 3, 4))))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint64"])
def test_voxels_are_counted_in_every_type_of_number(dtype):
    array = np.zeros((3, 4, 5), dtype)
    array[0, :2], array[2, 3, 4], array[1] = 7, 2, 7
    assert voxel_counts(array) == {2: 1, 7: 30}
    assert voxel_counts(array[:0]) == voxel_counts(array * 0) == {}


def test_a_mask_of_another_grid_is_refused_row_31() -> None:
    scan = Volume(np.zeros((3, 4, 5), np.int16), Geometry((3, 4, 5), ANISOTROPIC_MM))
    other = LabelMap(np.zeros((3, 4, 5), np.uint8), Geometry((3, 4, 5), ANISOTROPIC_MM, (0.0, 0.0, 6.0)))
    with pytest.raises(InputError, match="resample"):
        mask_layer(other, scan)


def test_layers_that_are_not_ours_or_changed_are_refused() -> None:
    with pytest.raises(InputError, match="New mask"):
        mask_from_layer(np.zeros((3, 4, 5), np.uint8), {}, "foreign")
    _, kwargs, _ = mask_layer(LabelMap(np.zeros((3, 4, 5), np.uint8), Geometry((3, 4, 5))))
    with pytest.raises(InputError, match="shape"):
        mask_from_layer(np.zeros((3, 5, 4), np.uint8), kwargs["metadata"], "turned")


def test_window() -> None:
    geometry = Geometry((1, 10, 100))
    ct = Volume(np.linspace(-1000, 1000, 1000).reshape(1, 10, 100), geometry, value_unit="HU")
    assert window_for(ct) == (-160.0, 240.0)
    assert window_for(replace(ct, window=(-1350.0, 150.0))) == (-1350.0, 150.0)
    assert window_for(replace(ct, window=(5.0, 5.0))) == (-160.0, 240.0)
    # a bone specimen has nothing in the soft tissue window, so percentiles stand in
    low, high = window_for(Volume(np.linspace(500, 1500, 1000).reshape(1, 10, 100), geometry, value_unit="HU"))
    assert 500 < low < 510 and 1490 < high < 1500


def test_window_without_numbers_and_with_outliers_row_14() -> None:
    values = np.linspace(0, 1, 1000).reshape(1, 10, 100)
    values[0, 0, 0], values[0, 0, 1], values[0, 0, 2] = np.nan, np.inf, 1e9
    scan = Volume(values, Geometry((1, 10, 100)))
    low, high = window_for(scan)
    assert 0 <= low < 0.02 and 0.98 < high < 1.01
    assert scan_layers(scan)[0][1]["metadata"][KEY]["range"] == (pytest.approx(0.003, abs=1e-4), 1e9)
    empty = Volume(np.full((1, 4, 5), np.nan), Geometry((1, 4, 5)))
    assert window_for(empty) == (0.0, 1.0)
    flat = Volume(np.full((1, 4, 5), 7, np.int16), Geometry((1, 4, 5)))
    assert window_for(flat) == (7.0, 8.0)


def test_complex_numbers_are_shown_as_magnitude() -> None:
    ((shown, _, _),) = scan_layers(Volume(np.full((1, 2, 2), 3 + 4j), Geometry((1, 2, 2))))
    assert shown.dtype.kind == "f" and (shown == 5).all()


def test_napari_takes_the_arguments_and_names_the_class_under_the_cursor() -> None:
    layers = pytest.importorskip("napari.layers")
    labels = LabelSet((Label(2, "tumour", (213, 94, 0)),))
    array = np.zeros((3, 4, 5), np.uint8)
    array[2, 1, 1], array[0, 0, 0] = 2, 9
    scan = Volume(np.ones((3, 4, 5), np.float32), Geometry((3, 4, 5), ANISOTROPIC_MM))
    data, kwargs, kind = mask_layer(LabelMap(array, scan.geometry, labels), scan)
    assert kind == "labels"
    layer = layers.Labels(data, **kwargs)
    assert layer.opacity == 0.4 and [str(u) for u in layer.units] == ["millimeter"] * 3
    np.testing.assert_allclose(layer.get_color(2), np.array([213, 94, 0, 255]) / 255, atol=1e-6)
    assert layer.get_color(9)[3] == 1 and layer.get_color(77)[3] == 1  # nothing painted is ever invisible
    world = layer.data_to_world((0, 1, 1))  # the highest plane of the file is the first on screen
    viewer = pytest.importorskip("napari.components").ViewerModel()
    viewer.layers.append(layer)
    viewer.dims.set_point(0, world[0])
    assert "tumour" in layer.get_status(world)["value"]
    image = layers.Image(scan_layers(scan)[0][0], **scan_layers(scan)[0][1])
    np.testing.assert_allclose(image.extent.world, layer.extent.world)


def test_napari_finds_common_units() -> None:
    components = pytest.importorskip("napari.components")
    layers = pytest.importorskip("napari.layers")
    scan = Volume(np.ones((3, 4, 5), np.float32), Geometry((3, 4, 5), ANISOTROPIC_MM))
    time = Volume(np.ones((2, 3, 4, 5), np.float32), Geometry((3, 4, 5), ANISOTROPIC_MM), "tzyx")
    viewer = components.ViewerModel()
    mask = mask_layer(LabelMap(np.zeros((3, 4, 5), np.uint8), scan.geometry), scan)
    for data, kwargs, kind in [*scan_layers(scan), *scan_layers(time), mask]:
        viewer.layers.append((layers.Labels if kind == "labels" else layers.Image)(data, **kwargs))
    assert viewer.layers.extent.units is not None


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64])
@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 1, 3), (2, 1100, 1300)])
def test_voxels_are_counted_in_any_layout(dtype, shape):
    array = np.random.default_rng(1).integers(0, 120, shape).astype(dtype)
    array[array < 90] = 0
    ids, numbers = np.unique(array, return_counts=True)
    expected = {int(i): int(n) for i, n in zip(ids, numbers, strict=True) if i}
    for laid in (array, array[::-1, :, ::-1], np.asfortranarray(array).transpose(0, 2, 1)):
        assert voxel_counts(laid) == expected
    assert voxel_counts(array[:, ::2, 1:]) == {i: int((array[:, ::2, 1:] == i).sum()) for i in np.unique(
        array[:, ::2, 1:]).tolist() if i}  # fmt: skip
