"""Slices along a chosen axis, and slices with their neighbours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import LETTERS
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.spec import Preparation
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.pipeline import prepare, prepare_labels, restore_labels
from napari_medcnn.imaging.slicing import SliceStack, flipped, with_neighbours

FLAT = Preparation(2, 1)


@given(letters=st.sampled_from(LETTERS), slices=st.sampled_from(["axial", "coronal", "sagittal"]))
@settings(max_examples=80, deadline=None)
def test_slices_lie_as_radiologists_see_them_and_come_back_bit_for_bit(letters, slices):
    """A phantom that says itself where it is: value = 100 * to Left + 10 * to Posterior + to Superior, by LPS mm."""
    base = Volume(np.zeros((5, 6, 7)), Geometry((5, 6, 7), (1.0, 1.0, 1.0)))
    stored = base.reoriented(base.geometry.reorientation_to(letters)).geometry
    index = np.stack(np.meshgrid(*[np.arange(n) for n in stored.shape], indexing="ij"), axis=-1)
    values = stored.index_to_lps(index).round() @ np.array([100, 10, 1])
    scan = Volume(values.astype(np.int32), stored)
    seen = prepare(scan, FLAT, slices=slices).data[..., 0]
    # what each array axis must step by: slices, then rows, then columns
    steps = {"axial": (-1, 10, 100), "coronal": (10, -1, 100), "sagittal": (100, -1, 10)}[slices]
    for axis, step in enumerate(steps):
        assert (np.diff(seen, axis=axis) == step).all()
    labels = (values % 5).astype(np.uint8)
    ready = prepare(scan, FLAT, slices=slices)
    there = prepare_labels(LabelMap(labels, stored), ready.record)
    np.testing.assert_array_equal(restore_labels(there, ready.record), labels)


def test_the_cards_own_letters_stay_where_they_put_that_axis_first():
    scan = Volume(np.random.default_rng(0).normal(size=(4, 5, 6)), Geometry((4, 5, 6)))
    card = Preparation(2, 1, orientation=("S", "A", "R"))
    np.testing.assert_array_equal(prepare(scan, card, slices="axial").data, prepare(scan, card).data)
    assert prepare(scan, card, slices="coronal").record.model.orientation == "LIP"


def test_unknown_orientation_takes_array_axes_and_says_so():
    scan = Volume(np.arange(60).reshape(3, 4, 5), Geometry((3, 4, 5), orientation_known=False))
    for axis, slices in enumerate(("axial", "coronal", "sagittal")):
        ready = prepare(scan, FLAT, slices=slices)
        np.testing.assert_array_equal(ready.data[..., 0], np.moveaxis(scan.array, axis, 0))
        assert ready.record.notes == (
            f"The file does not state where left is; slices along its array axis {axis} were taken as {slices}.",
        )


def test_voxel_size_belongs_to_the_slices_not_to_the_file():
    scan = Volume(np.zeros((4, 8, 8)), Geometry((4, 8, 8), (3.0, 1.0, 1.0)))
    spec = Preparation(2, 1, spacing_mm=(None, 0.5, 0.5))
    ready = prepare(scan, spec, slices="coronal")
    assert ready.record.model.spacing_mm == (1.0, 0.5, 0.5)  # 8 slices of 1 mm; 12 mm x 8 mm in halves
    assert ready.data.shape == (8, 24, 16, 1)


@pytest.mark.parametrize(
    ("scan", "spec", "words"),
    [
        (Volume(np.zeros((3, 3, 3)), Geometry((3, 3, 3))), Preparation(3, 1), "reads volumes whole"),
        (Volume(np.zeros((1, 3, 3)), Geometry.picture(3, 3)), FLAT, "single picture"),
    ],
)
def test_slices_are_refused_for_3d_models_and_pictures(scan, spec, words):
    with pytest.raises(InputError, match=words):
        prepare(scan, spec, slices="sagittal")


def test_neighbours_come_slice_by_slice_with_the_ends_repeated():
    data = np.arange(4 * 2 * 3 * 2).reshape(4, 2, 3, 2)
    stack = SliceStack(data, 1)
    assert stack.shape == (4, 2, 3, 6)
    first = stack[0:1, 0:2, 1:3]
    np.testing.assert_array_equal(first[0, :, :, 0:2], data[0, :, 1:3])
    np.testing.assert_array_equal(first[0, :, :, 2:4], data[0, :, 1:3])
    np.testing.assert_array_equal(first[0, :, :, 4:6], data[1, :, 1:3])
    last = stack[3:4, 0:1, 0:1].ravel()
    np.testing.assert_array_equal(last, [*data[2, 0, 0], *data[3, 0, 0], *data[3, 0, 0]])
    # several slices at once, against numpy's own padding
    padded = np.pad(data, [(2, 2), (0, 0), (0, 0), (0, 0)], mode="edge")
    whole = np.concatenate([padded[k : k + 4] for k in range(5)], axis=-1)
    np.testing.assert_array_equal(SliceStack(data, 2)[0:4, 0:2, 0:3], whole)
    assert with_neighbours(data, Preparation(2, 2)) is data


def test_mirroring_a_stack_mirrors_its_slices_too():
    """Cutting the mirrored volume gives what mirroring the cut gives, along every axis."""
    spec = Preparation(2, 2, neighbours=1)
    data = np.random.default_rng(0).normal(size=(5, 4, 3, 2))
    for axes in [(0,), (1,), (2,), (0, 2), (0, 1, 2)]:
        expected = SliceStack(np.flip(data, axes).copy(), 1)[0:5, 0:4, 0:3]
        np.testing.assert_array_equal(flipped(SliceStack(data, 1)[0:5, 0:4, 0:3], axes, spec), expected)
    np.testing.assert_array_equal(flipped(data, (), spec), data)
