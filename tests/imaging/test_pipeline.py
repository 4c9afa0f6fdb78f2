"""The pipeline and its inverse: every orientation, crop and voxel size comes back onto the scan's own grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import LETTERS
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.spec import Decision, Preparation
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import GeometryError, InputError, UnsupportedError
from napari_medcnn.imaging import intensity
from napari_medcnn.imaging.patches import stream_scores
from napari_medcnn.imaging.pipeline import (
    plan,
    prepare,
    prepare_labels,
    restore_labels,
    restore_map,
    restore_scores,
)
from napari_medcnn.imaging.resample import resample_labels

PLAIN = Preparation(dimensions=3, channels=1)


def scan_of_ball(shape, spacing, direction=None, radius_mm=14.0):
    """Return a CT-like scan of a ball off the centre of the grid, and where the ball is.

    Air is -1000, the ball 100, its edge a ramp 10 mm wide, which voxels of 3.7 mm can carry without losing volume.
    """
    grid = Geometry(shape, spacing, (20.0, -31.0, 7.0), np.eye(3) if direction is None else direction)
    centre = grid.index_to_lps([(n - 1) / 2 + 1.3 for n in shape])
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid.index_to_lps(index) - centre, axis=-1)
    values = -1000 + 1100 * np.clip((radius_mm + 5 - distance) / 10, 0, 1)
    return Volume(values.astype(np.int16), grid), distance < radius_mm


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def threshold(window):
    """Play a network that calls everything above 0.5 class 1, softly."""
    return np.concatenate([1 - window, window], axis=-1)


@given(letters=st.sampled_from(LETTERS), data=st.data())
@settings(max_examples=60, deadline=None)
def test_labels_come_back_bit_for_bit_when_the_voxel_size_is_kept(letters, data):
    shape = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    labels = np.random.default_rng(1).integers(0, 4, shape).astype(np.uint16)
    grid = Geometry(shape, (3.0, 0.7, 0.9), (1.0, 2.0, 3.0), np.diag([1.0, -1.0, 1.0]))
    spec = Preparation(dimensions=3, channels=1, orientation=letters)
    ready = prepare(Volume(labels, grid), spec)
    assert "".join(reversed(letters)) == ready.record.model.orientation
    np.testing.assert_array_equal(ready.data[..., 0], prepare_labels(LabelMap(labels, grid), ready.record))
    np.testing.assert_array_equal(restore_labels(ready.data[..., 0].astype(np.uint16), ready.record), labels)
    np.testing.assert_array_equal(restore_map(ready.data[..., 0], ready.record), labels)


@pytest.mark.parametrize("letters", [("S", "P", "L"), ("I", "A", "R"), ("L", "S", "A")])
@pytest.mark.parametrize("spacing", [(1.47, 1.47, 1.47), (1.03, 2.1, None), (3.7, 1.13, 0.67)])
def test_a_ball_found_on_the_model_grid_comes_back_in_its_place(letters, spacing):
    rotation = np.linalg.qr(np.array([[1, 0.1, 0], [-0.1, 1, 0.2], [0, -0.2, 1.0]]))[0]
    scan, truth = scan_of_ball((21, 50, 44), (2.5, 0.9, 0.8), rotation * np.sign(np.diag(rotation)))
    spec = Preparation(
        dimensions=3,
        channels=1,
        orientation=letters,
        spacing_mm=spacing,
        steps=(("clip", {"low": -1000, "high": 100}), ("scale_linear", {"in_low": -1000, "in_high": 100})),
    )
    ready = prepare(scan, spec)
    assert [m for m, s in zip(ready.record.model.spacing_mm, spacing, strict=True) if s] == [s for s in spacing if s]
    tiles = plan(ready, (16, 16, 16), 0.5, divisor=4)
    result = restore_scores(stream_scores(ready.data, tiles, threshold), ready.record, Decision((0, 1), True))
    assert result.labels.shape == scan.geometry.shape
    # two equal balls d mm apart overlap by 1 - 0.75 d / r: half a scan voxel (1.25 mm) off along z would give 0.93
    assert dice(result.labels == 1, truth) > 0.94
    volume = (result.labels == 1).sum() * scan.geometry.voxel_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.03)
    shift = centre_mm(result.labels == 1, scan.geometry) - centre_mm(truth, scan.geometry)
    # half a voxel off would be 0.5 of a spacing; a ball cut into voxels has its own centre within 0.15 of one
    assert np.linalg.norm(shift) < 0.15 * max(ready.record.model.spacing_mm + scan.geometry.spacing_mm)
    # the nearest-neighbour way back is SimpleITK's, except at ties between two voxels
    found = (ready.data[..., 0] > 0.5).astype(np.uint8)
    quick = restore_labels(found, ready.record)
    assert np.mean(quick != resample_labels(found, ready.record.model, scan.geometry)) < 0.01
    assert dice(quick == 1, truth) > 0.9


def centre_mm(mask, grid):
    return grid.index_to_lps(np.argwhere(mask)).mean(axis=0)


def test_every_source_voxel_is_painted_even_where_rounding_makes_the_model_grid_smaller():
    """8 voxels of 1.0625 mm are 8.5 mm; the model's grid holds 8 of 1 mm. The border must not turn into background."""
    scan = Volume(np.ones((8, 4, 4), np.float32), Geometry((8, 4, 4), (1.0625, 1.0, 1.0)))
    ready = prepare(scan, Preparation(dimensions=3, channels=1, spacing_mm=(1.0, 1.0, 1.0)))
    assert ready.record.model.shape == (8, 4, 4)
    tiles = plan(ready, (8, 8, 8), 0.5)
    painter = restore_scores(stream_scores(ready.data, tiles, threshold), ready.record, Decision((0, 1), True))
    assert painter.labels.all()
    assert restore_labels(np.ones((8, 4, 4), np.uint8), ready.record).all()
    assert (restore_map(np.ones((8, 4, 4), np.float32), ready.record) == 1).all()


def test_the_filled_box_is_cropped_and_the_rest_comes_back_as_background():
    values = np.zeros((6, 8, 10), np.float32)
    values[2:4, 1:7, 3:9] = 5
    values[0, 0, 0] = np.nan
    ready = prepare(Volume(values, Geometry((6, 8, 10))), Preparation(3, 1, crop_nonzero=True))
    assert ready.data.shape == (2, 6, 6, 1)
    back = restore_labels(np.ones((2, 6, 6), np.uint8), ready.record)
    np.testing.assert_array_equal(back == 1, values == 5)
    assert restore_map(np.ones((2, 6, 6), np.float32), ready.record, fill=-1)[0, 0, 0] == -1
    assert prepare(
        Volume(np.zeros((2, 2, 2)), Geometry((2, 2, 2))), Preparation(3, 1, crop_nonzero=True)
    ).data.shape == (
        2,
        2,
        2,
        1,
    )


def test_intensity_steps_run_in_the_order_given():
    scan = Volume(np.arange(8.0).reshape(2, 2, 2), Geometry((2, 2, 2)))
    clip, scale = ("clip", {"low": 0, "high": 4}), ("scale_linear", {"in_low": 0, "in_high": 2})
    first = prepare(scan, Preparation(3, 1, steps=(clip, scale))).data.max()
    second = prepare(scan, Preparation(3, 1, steps=(scale, clip))).data.max()
    assert (first, second) == (2.0, 3.5)


def test_a_picture_goes_through_at_its_own_size():
    picture = np.random.default_rng(0).integers(0, 255, (1, 33, 47, 3)).astype(np.uint8)
    volume = Volume(picture, Geometry.picture(33, 47), axes="zyxc")
    spec = Preparation(2, 3, orientation=("S", "P", "L"), steps=(("local_normalise", {"sigma_px": 4.0}),))
    ready = prepare(volume, spec)
    np.testing.assert_array_equal(ready.data, intensity.local_normalise(picture, 4.0))
    assert any("left" in note for note in ready.record.notes)
    tiles = plan(ready, (32, 32), 0.5, divisor=8)
    assert tiles.tile == (1, 32, 32) and tiles.axis == 2
    slabs = stream_scores(ready.data, tiles, lambda w: np.full((*w.shape[:3], 1), 0.8, np.float32))
    painter = restore_scores(slabs, ready.record, Decision((1,), False, (0.5,)))
    assert painter.labels.shape == (1, 33, 47) and painter.labels.all()
    assert painter.mean_scores == pytest.approx({1: 0.8})


def test_a_2d_network_runs_slice_by_slice_on_a_volume():
    scan, truth = scan_of_ball((9, 40, 40), (3.0, 1.0, 1.0))
    spec = Preparation(2, 1, steps=(("scale_linear", {"in_low": -1000, "in_high": 100}),))
    ready = prepare(scan, spec)
    seen = []

    def network(window):
        seen.append(window.shape)
        return threshold(window)

    tiles = plan(ready, (64, 64), 0.5, divisor=8)
    painter = restore_scores(stream_scores(ready.data, tiles, network), ready.record, Decision((0, 1), True))
    assert seen == [(1, 40, 40, 1)] * 9
    assert dice(painter.labels == 1, truth) > 0.97


def test_values_that_are_not_numbers_do_not_spread():
    values = np.full((6, 6, 6), 7.0)
    values[3, 3, 3] = np.nan
    values[0, 0, 0] = -2
    ready = prepare(Volume(values, Geometry((6, 6, 6))), Preparation(3, 1, spacing_mm=(0.5, 0.5, 0.5)))
    assert np.isfinite(ready.data).all() and ready.data.min() == -2
    assert any("not numbers" in note for note in ready.record.notes)
    plain = prepare(Volume(values, Geometry((6, 6, 6))), PLAIN).data
    assert plain[3, 3, 3, 0] == intensity.FILL and np.isfinite(plain).all()


def test_header_rounding_is_no_reason_to_interpolate():
    values = np.random.default_rng(0).normal(size=(4, 4, 4)).astype(np.float32)
    ready = prepare(Volume(values, Geometry((4, 4, 4), (1.00001, 1, 1))), Preparation(3, 1, spacing_mm=(1.0, 1.0, 1.0)))
    np.testing.assert_array_equal(ready.data[..., 0], values)


@pytest.mark.parametrize(
    ("volume", "spec", "error", "words"),
    [
        (Volume(np.zeros((2, 3, 3, 3)), Geometry((3, 3, 3)), axes="tzyx"), PLAIN, InputError, "time point"),
        (Volume(np.zeros((3, 3, 3, 3)), Geometry((3, 3, 3)), axes="zyxc"), PLAIN, InputError, "1 channels, got 3"),
        (Volume(np.zeros((3, 3, 3), complex), Geometry((3, 3, 3))), PLAIN, UnsupportedError, "complex"),
        (
            Volume(np.zeros((1, 3, 3)), Geometry.picture(3, 3)),
            Preparation(2, 1, spacing_mm=(None, 1.0, 1.0)),
            GeometryError,
            "voxel size",
        ),
        (
            Volume(np.zeros((3, 3, 3)), Geometry((3, 3, 3))),
            Preparation(3, 1, steps=(("exec", {}),)),
            UnsupportedError,
            "'exec'",
        ),
        (
            Volume(np.zeros((3, 3, 3)), Geometry((3, 3, 3))),
            Preparation(3, 1, steps=(("clip", {"low": 0, "top": 1}),)),
            InputError,
            "step clip",
        ),
    ],
)
def test_what_no_model_takes_is_refused_by_name(volume, spec, error, words):
    with pytest.raises(error, match=words):
        prepare(volume, spec)


def test_labels_of_another_grid_are_refused():
    ready = prepare(Volume(np.zeros((3, 3, 3)), Geometry((3, 3, 3))), PLAIN)
    with pytest.raises(InputError):
        prepare_labels(LabelMap(np.zeros((3, 3, 3), np.uint8), Geometry((3, 3, 3), (2.0, 1, 1))), ready.record)
    with pytest.raises(InputError):
        restore_labels(np.zeros((3, 3, 4), np.uint8), ready.record)
    with pytest.raises(InputError):
        plan(ready, (3,), 0.5)


def test_an_image_is_fitted_into_one_size_with_its_proportions_and_maps_come_back():
    """A picture 20 high and 40 wide into 32 x 32: scale 32/40, so 16 rows of picture and 8 of padding on each side."""
    pixels = np.full((1, 20, 40), 100, np.uint8)
    pixels[0, :, 20:] = 200
    fit = ("fit_shape", {"shape": (32, 32)})
    ready = prepare(Volume(pixels, Geometry.picture(20, 40)), Preparation(2, 1, steps=(fit,)))
    seen = ready.data[0, :, :, 0]
    assert seen.shape == (32, 32)
    # the padding takes the lowest value; a pixel of slack at each seam
    assert (seen[:7] == 100).all() and (seen[-7:] == 100).all()
    assert (seen[9:23, :15] == 100).all() and (seen[9:23, 17:] == 200).all()
    back = restore_map(np.ascontiguousarray(seen)[None], ready.record)
    assert back.shape == (1, 20, 40)
    assert np.abs(back[0, 2:-2, :18] - 100).max() < 1 and np.abs(back[0, 2:-2, 22:] - 200).max() < 1


def test_a_volume_is_fitted_by_its_size_in_mm():
    # 40 x 20 x 40 mm into 16 voxels an axis: 2.5 mm each way, whatever the scan's own voxels were
    spec = Preparation(3, 1, steps=(("fit_shape", {"shape": (16, 16, 16)}),))
    ready = prepare(Volume(np.ones((10, 20, 40)), Geometry((10, 20, 40), (4.0, 1.0, 1.0))), spec)
    assert ready.record.model.spacing_mm == (2.5, 2.5, 2.5)
    assert ready.data.shape == (16, 16, 16, 1)


def test_fitting_after_an_intensity_step_is_refused():
    spec = Preparation(2, 1, steps=(("zscore", {}), ("fit_shape", {"shape": (8, 8)})))
    with pytest.raises(UnsupportedError):
        prepare(Volume(np.zeros((1, 4, 4)), Geometry.picture(4, 4)), spec)
