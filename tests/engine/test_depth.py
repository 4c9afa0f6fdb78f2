"""A first look, several classes at once, clean-up from the card: a network's answer on its way to the result."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from scipy import ndimage

from engine_cases import FakeContext, opened, outputs, run, spec_3d
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.windows import near
from napari_medcnn.errors import Cancelled, InputError, ModelError, UnsupportedError

ALL = PredictOptions(probabilities=True)


def scan_with(*boxes: tuple[slice, slice, slice], shape=(16, 96, 96)) -> Volume:
    """Seeded noise below 0.4, and boxes of 0.9 in it."""
    values = 0.4 * np.random.default_rng(8).random(shape, np.float32)
    for box in boxes:
        values[box] = 0.9
    return Volume(values, Geometry(shape, (3.0, 0.8, 0.7)))


def bright(dimensions: int = 3, classes: int = 1, step: float = 0.0) -> keras.Model:
    """A network whose class k is likely where the scan is above 0.5 + k * step."""
    inputs = keras.Input((*[None] * dimensions, 1))
    layer = (layers.Conv2D if dimensions == 2 else layers.Conv3D)(classes, 1)
    model = keras.Model(inputs, layer(inputs))
    bias = np.array([-20 * (0.5 + k * step) for k in range(classes)], np.float32)
    layer.set_weights([np.full((*[1] * dimensions, 1, classes), 20.0, np.float32), bias])
    return model


def card(*names: str, **changes) -> ModelSpec:
    names = names or ("thing",)
    values = {
        "labels": LabelSet.from_names(names),
        "decision": Decision(tuple(range(1, len(names) + 1)), False, (0.5,) * len(names)),
        "activation": "sigmoid",
        "tile": (16, 16, 16),
    }
    return spec_3d(**{**values, **changes})


A, B = (slice(3, 9), slice(30, 41), slice(44, 52)), (slice(2, 6), slice(86, 92), slice(3, 8))


@pytest.mark.parametrize(("boxes", "near_them"), [((A,), 30), ((A, B), 36)])
def test_a_first_look_saves_windows_and_finds_the_same(boxes, near_them: int) -> None:
    """96 voxels in windows of 16: 11 x 11 with half overlap, 6 x 6 side by side.

    Windows start at multiples of 8. Those within 8 voxels of lines 30 to 40 start at 8 to 48, of columns 44 to 51 at 24
    to 56: 6 x 5. Those of rows 86 to 91 start at 64 to 80, of columns 3 to 7 at 0 and 8: 3 x 2.
    """
    scan = scan_with(*boxes)
    smooth = keras.Sequential([keras.Input((None, None, None, 1)), layers.AveragePooling3D(3, 1, "same"), bright()])
    whole, quick = outputs(scan, 1), outputs(scan, 1)
    full = run(opened(smooth, card()), scan, ALL, whole)
    result = run(opened(smooth, card()), scan, replace(ALL, coarse=True), quick)
    assert full["windows"] == 121
    assert result["windows"] == 36 + near_them
    assert np.array_equal(quick.labels, whole.labels) and whole.labels.any()
    for box in boxes:
        np.testing.assert_allclose(quick.probabilities[box], whole.probabilities[box], atol=1e-6)
    # where nobody looked twice it is background for sure
    unseen = (slice(None), slice(66, 80), slice(74, 90))
    assert quick.probabilities[unseen].max() == 0 and quick.uncertainty[unseen].max() == 0
    assert whole.probabilities[unseen].max() > 0


def test_a_first_look_that_finds_nothing_is_the_answer() -> None:
    scan = scan_with()
    out = outputs(scan, 1)
    context = FakeContext()
    result = run(opened(bright(), card()), scan, replace(ALL, coarse=True), out, context)
    assert result["windows"] == 36
    assert not out.labels.any()
    assert out.probabilities.min() > 0 and out.uncertainty.max() > 0  # seen, not assumed
    assert context.messages[-1] == "First look, window 36 of 36"


def test_a_first_look_is_left_out_where_it_saves_nothing() -> None:
    scan = scan_with((slice(2, 5),) * 3, shape=(16, 16, 16))
    out = outputs(scan, 1)
    assert run(opened(bright(), card()), scan, replace(ALL, coarse=True), out)["windows"] == 1
    assert (out.labels[2:5, 2:5, 2:5] == 1).all()


def test_a_first_look_inside_a_region() -> None:
    scan = scan_with(A, B)
    out = outputs(scan, 1)
    options = replace(ALL, coarse=True, region=((0, 16), (20, 60), (30, 70)))
    run(opened(bright(), card()), scan, options, out)
    expected = np.zeros(scan.array.shape, bool)
    expected[A] = True
    assert np.array_equal(out.labels == 1, expected)


def test_a_window_is_wanted_up_to_half_a_window_from_what_was_found() -> None:
    found = np.zeros((40, 40, 40), np.uint8)
    found[20, 20, 20] = 3
    wanted = near(found, (8, 8, 8))

    def box(start: int, stop: int):
        return (slice(15, 22), slice(18, 25), slice(start, stop))

    assert wanted(box(20, 28)) and wanted(box(24, 32)) and wanted(box(9, 17))
    assert not wanted(box(25, 33)) and not wanted(box(8, 16))


def test_classes_that_overlap_are_told_in_words() -> None:
    scan = scan_with(A)  # 0.9 reaches both classes, the noise neither
    out = outputs(scan, 2)
    result = run(opened(bright(classes=2, step=0.2), card("liver", "tumour")), scan, ALL, out)
    assert result["warnings"] == [
        "100% of the marked voxels belong to several classes; the mask shows the one furthest above its threshold. "
        "Ask for probabilities to see them all."
    ]
    assert (out.labels[A] == 1).all()  # sigmoid(8) is further above 0.5 than sigmoid(4)
    assert out.probabilities[A].min() > 0.9
    assert set(result["scores"]) == {"liver"}


def test_nested_regions_are_painted_one_over_the_other_without_a_warning() -> None:
    scan = scan_with(A)
    inner = (slice(4, 6), slice(33, 36), slice(46, 49))
    values = scan.array.copy()
    values[A], values[inner] = 0.6, 0.9
    scan = Volume(values, scan.geometry)
    spec = card("whole", "core", decision=Decision((1, 2), False, (0.5, 0.5), "last"))
    out = outputs(scan, 2)
    result = run(opened(bright(classes=2, step=0.2), spec), scan, ALL, out)
    expected = np.zeros(values.shape, np.uint8)
    expected[A], expected[inner] = 1, 2
    np.testing.assert_array_equal(out.labels, expected)
    assert result["warnings"] == []


def test_the_cards_clean_up_runs_on_the_scans_own_grid() -> None:
    """Oracle: scipy's labelling of the bright voxels, by size in mm3 of the scan's own voxels (1.68 mm3)."""
    small, tiny = (slice(2, 4), slice(80, 84), slice(3, 7)), (slice(12, 14), slice(10, 12), slice(70, 72))
    scan = scan_with(A, small, tiny)
    spec = card(
        preparation=Preparation(3, 1, orientation=("S", "P", "R")),
        postprocess=(("remove_small", {"minimum_mm3": 32 * 1.68}),),
    )
    out = outputs(scan, 1)
    run(opened(bright(), spec), scan, ALL, out)
    pieces, count = ndimage.label(scan.array > 0.5, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())
    assert sorted(sizes[1:]) == [8, 32, 528] and count == 3
    expected = np.isin(pieces, [i for i in range(1, count + 1) if sizes[i] >= 32])
    np.testing.assert_array_equal(out.labels == 1, expected)
    largest = replace(spec, postprocess=(("keep_largest", {}),))
    run(opened(bright(), largest), scan, ALL, out)
    np.testing.assert_array_equal(out.labels == 1, pieces == sizes[1:].argmax() + 1)


def test_a_size_in_mm3_without_a_voxel_size_is_a_note_not_a_lost_result() -> None:
    scan = scan_with(A)
    scan = Volume(scan.array, Geometry(scan.array.shape, spacing_known=False))
    spec = card(postprocess=(("remove_small", {"minimum_mm3": 1e9}), ("fill_holes", {})))
    out = outputs(scan, 1)
    result = run(opened(bright(), spec), scan, ALL, out)
    assert (out.labels == 1).sum() == 528
    assert result["warnings"] == [
        "The file does not state the voxel size, so pieces below 1e+09 mm3 were not removed from the mask."
    ]


def test_holes_are_closed_in_the_slices_that_a_2d_network_saw() -> None:
    values = scan_with((slice(2, 12), slice(20, 60), slice(20, 60))).array.copy()
    values[5:8, 30:40, 30:90] = 0  # a bay in axial slices, open to the left; a hole in sagittal ones
    values[5:8, 30:40, 61:] = 0
    scan = Volume(values, Geometry(values.shape))
    spec = card(preparation=Preparation(2, 1), tile=(32, 32), postprocess=(("fill_holes", {}),))
    out = outputs(scan, 1)
    run(opened(bright(2), spec), scan, replace(ALL, slices="axial"), out)
    np.testing.assert_array_equal(out.labels == 1, values > 0.5)
    run(opened(bright(2), spec), scan, replace(ALL, slices="sagittal"), out)
    filled = np.stack([ndimage.binary_fill_holes(values[:, :, x] > 0.5) for x in range(values.shape[2])], axis=2)
    assert filled.sum() > (values > 0.5).sum()
    np.testing.assert_array_equal(out.labels == 1, filled)


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (("erode", {}), UnsupportedError, "got 'erode'"),
        (("keep_largest", {"number": 2}), InputError, "step keep_largest"),
    ],
)
def test_clean_up_that_cannot_run_is_refused_before_the_network_runs(step, error, words: str) -> None:
    loaded = opened(bright(), card(postprocess=(step,)))
    loaded.forward = lambda shape: pytest.fail("the network ran")
    with pytest.raises(error, match=words):
        run(loaded, scan_with(A))


def test_the_run_can_be_stopped_while_the_scan_is_prepared() -> None:
    spec = card(preparation=Preparation(3, 1, spacing_mm=(1.0, 1.0, 1.0), steps=(("zscore", {}),) * 3))
    loaded = opened(bright(), spec)
    loaded.forward = lambda shape: pytest.fail("the network ran")
    for stop_after in range(1, 6):
        with pytest.raises(Cancelled):
            run(loaded, scan_with(A), context=FakeContext(stop_after))


def test_row_50_one_answer_to_one_value_is_no_fault_but_is_said() -> None:
    """The same region in a scan that differs there is refused, by the test of constant outputs."""
    values = scan_with(A).array.copy()
    values[:, :20, :20] = 0.1
    scan, out = Volume(values, Geometry(values.shape)), outputs(scan_with(A), 1)
    inside = replace(ALL, region=((0, 16), (0, 8), (0, 8)))
    result = run(opened(bright(), card()), scan, inside, out)
    assert not out.labels.any()
    assert result["warnings"] == ["There is one value only where the network looked, so it gave one answer everywhere."]
    blind = opened(bright(), card())
    blind.model.layers[-1].kernel.assign(np.zeros((1, 1, 1, 1, 1)))
    with pytest.raises(ModelError, match="same output for every voxel"):
        run(blind, scan, ALL, out)


def test_a_body_box_is_searched_for_and_the_rest_is_background() -> None:
    values = np.full((10, 40, 40), -1000, np.float32)
    values[2:8, 10:30, 12:34] = np.random.default_rng(0).uniform(0.8, 1.0, (6, 20, 22))
    scan = Volume(values, Geometry(values.shape))
    out = outputs(scan, 1)
    result = run(opened(bright(), card(preparation=Preparation(3, 1, crop_above=-500.0))), scan, ALL, out)
    np.testing.assert_array_equal(out.labels == 1, values > 0)
    assert result["windows"] == 4  # 6 x 20 x 22 voxels; all of the scan would take 16
