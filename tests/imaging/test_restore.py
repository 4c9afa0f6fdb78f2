"""From streamed scores to labels: equal to interpolating whole score volumes with scipy, in any orientation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.spec import Decision
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.patches import Slab
from napari_medcnn.imaging.record import Record
from napari_medcnn.imaging.resample import cropped, regrid
from napari_medcnn.imaging.restore import LabelPainter

LETTERS = [
    tuple(pair[bit] for pair, bit in zip(pairs, bits, strict=True))
    for pairs in itertools.permutations(("RL", "AP", "IS"))
    for bits in itertools.product((0, 1), repeat=3)
]


def as_is(grid, letters=("S", "P", "L")):
    """Return the record of a preparation that only turned the whole grid."""
    return all_of(grid, grid.reorientation_to(letters), grid)


def all_of(source, how, model):
    """Return the record of a preparation that kept the whole scan."""
    return Record(source, how, tuple(slice(0, n) for n in source.reoriented(how).shape), model)


def slabs_of(scores, axis, cuts):
    """Cut whole scores into slabs at the given planes."""
    edges = [0, *sorted(c for c in set(cuts) if 0 < c < scores.shape[axis]), scores.shape[axis]]
    for start, stop in itertools.pairwise(edges):
        yield Slab(axis, start, stop, np.take(scores, np.arange(start, stop), axis=axis))


def whole(scores, source, how, model):
    """Return the oracle: every score channel at every source voxel, by scipy, clamped at the border."""
    target = source.reoriented(how)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in target.shape], indexing="ij"), axis=-1)
    where = model.lps_to_index(target.index_to_lps(index))
    where = np.where(np.abs(where - np.rint(where)) < 1e-6, np.rint(where), where)
    grids = [
        ndimage.map_coordinates(scores[..., k], np.moveaxis(where, -1, 0), order=1, mode="nearest")
        for k in range(scores.shape[-1])
    ]
    return how.inverse.apply(np.stack(grids, axis=-1), "zyxc")


@given(
    letters=st.sampled_from(LETTERS),
    shape=st.tuples(*[st.integers(1, 8)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 3.0)] * 3),
    target=st.tuples(*[st.floats(0.5, 3.0)] * 3),
    axis=st.integers(0, 2),
    cuts=st.lists(st.integers(1, 20), max_size=6),
    exclusive=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_painting_in_slabs_equals_interpolating_whole_scores(letters, shape, spacing, target, axis, cuts, exclusive):
    source = Geometry(shape, spacing, (1.0, 2.0, 3.0))
    how = source.reorientation_to(letters)
    model = regrid(source.reoriented(how), target)
    rng = np.random.default_rng(7)
    scores = rng.uniform(0, 1, (*model.shape, 3)).astype(np.float32)
    decision = Decision((0, 5, 300), True) if exclusive else Decision((7, 5, 300), False, (0.5, 0.6, 0.7))
    kept = np.zeros((*source.shape, 3), np.float32)
    painter = LabelPainter(all_of(source, how, model), decision, uncertainty=True, probabilities=kept)
    for slab in slabs_of(scores, axis, cuts):
        painter.add(slab)
    expected = whole(scores, source, how, model)
    np.testing.assert_allclose(kept, expected, atol=2e-5)
    if exclusive:
        labels = np.array([0, 5, 300])[kept.argmax(-1)]
        ranked = np.sort(kept, axis=-1)
        gap = ranked[..., 2] - ranked[..., 1]
    else:
        limits = np.array([0.5, 0.6, 0.7], np.float32)
        margin = np.where(kept >= limits, (kept - limits) / (1 - limits), (kept - limits) / limits)
        labels = np.where(margin.max(-1) >= 0, np.array([7, 5, 300])[margin.argmax(-1)], 0)
        ranked = np.sort(np.concatenate([margin, np.zeros((*margin.shape[:3], 1))], axis=-1), axis=-1)
        gap = ranked[..., 3] - ranked[..., 2]
    np.testing.assert_array_equal(painter.labels, labels)
    assert painter.labels.shape == source.shape and painter.labels.dtype == np.uint16
    np.testing.assert_allclose(painter.uncertainty, 255 * (1 - np.clip(gap, 0, 1)), atol=0.51)


def test_the_same_grid_gives_the_argmax_itself():
    grid = Geometry((3, 4, 5), (2.0, 1.0, 1.0))
    scores = np.random.default_rng(0).uniform(size=(3, 4, 5, 4)).astype(np.float32)
    painter = LabelPainter(as_is(grid), Decision((0, 1, 2, 3), True))
    for slab in slabs_of(scores, 0, [1, 2]):
        painter.add(slab)
    np.testing.assert_array_equal(painter.labels, scores.argmax(-1))
    assert painter.labels.dtype == np.uint8
    for label in range(4):
        won = scores.argmax(-1) == label
        assert painter.mean_scores[label] == pytest.approx(scores[..., label][won].mean(), abs=1e-5)


def test_what_was_cropped_away_is_background():
    grid = Geometry((6, 4, 4), (2.0, 1.0, 1.0))
    crop = cropped(grid, (2, 1, 0), (3, 3, 4))
    kept = np.full((6, 4, 4, 1), 9, np.float32)
    painter = LabelPainter(
        Record(grid, grid.reorientation_to(("S", "P", "L")), (slice(2, 5), slice(1, 4), slice(0, 4)), crop),
        Decision((4,), False, (0.5,)),
        uncertainty=True,
        probabilities=kept,
    )
    for slab in slabs_of(np.ones((3, 3, 4, 1), np.float32), 0, [1]):
        painter.add(slab)
    expected = np.zeros((6, 4, 4), np.uint8)
    expected[2:5, 1:4] = 4
    np.testing.assert_array_equal(painter.labels, expected)
    np.testing.assert_array_equal(kept[2:5, 1:4], 1)
    assert painter.uncertainty.max() == 0
    assert painter.mean_scores == {4: 1.0}


def test_a_probability_exactly_at_the_threshold_counts_and_one_below_does_not():
    grid = Geometry.picture(1, 3)
    painter = LabelPainter(all_of(grid, grid.reorientation_to(), grid), Decision((2,), False, (0.25,)))
    painter.add(Slab(2, 0, 3, np.array([0.24, 0.25, 0.9], np.float32).reshape(1, 1, 3, 1)))
    assert painter.labels.ravel().tolist() == [0, 2, 2]
    assert painter.mean_scores[2] == pytest.approx((0.25 + 0.9) / 2)


def test_slabs_out_of_order_or_of_another_shape_are_refused():
    grid = Geometry((4, 3, 3))

    def fresh():
        return LabelPainter(as_is(grid), Decision((0, 1), True))

    with pytest.raises(InputError, match="planes from 0"):
        fresh().add(Slab(0, 1, 2, np.zeros((1, 3, 3, 2), np.float32)))
    with pytest.raises(InputError, match="2 classes"):
        fresh().add(Slab(0, 0, 1, np.zeros((1, 3, 3, 3), np.float32)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Decision((), True),
        lambda: Decision((0, 70000), True),
        lambda: Decision((1,), False),
        lambda: Decision((1,), False, (1.0,)),
    ],
)
def test_impossible_decisions_are_refused(make):
    with pytest.raises(InputError):
        make()
