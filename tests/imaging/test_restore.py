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
from napari_medcnn.imaging.decide import sure_background
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
    scores = rng.uniform(0.01, 0.99, (*model.shape, 3)).astype(np.float32)
    if exclusive:
        scores /= scores.sum(-1, keepdims=True)
    decision = Decision((0, 5, 300), True) if exclusive else Decision((7, 5, 300), False, (0.5, 0.6, 0.7))
    kept = np.zeros((*source.shape, 3), np.float32)
    painter = LabelPainter(all_of(source, how, model), decision, uncertainty=True, probabilities=kept)
    for slab in slabs_of(scores, axis, cuts):
        painter.add(slab)
    expected = whole(scores, source, how, model)
    np.testing.assert_allclose(kept, expected, atol=2e-5)
    if exclusive:
        labels = np.array([0, 5, 300])[kept.argmax(-1)]
        doubt = -(kept * np.log(kept)).sum(-1) / np.log(3)
    else:
        limits = np.array([0.5, 0.6, 0.7], np.float32)
        margin = np.where(kept >= limits, (kept - limits) / (1 - limits), -1)
        labels = np.where(margin.max(-1) >= 0, np.array([7, 5, 300])[margin.argmax(-1)], 0)
        doubt = (-kept * np.log2(kept) - (1 - kept) * np.log2(1 - kept)).max(-1)
        assert painter.overlapping_voxels == np.count_nonzero((kept >= limits).sum(-1) > 1)
    np.testing.assert_array_equal(painter.labels, labels)
    assert painter.labels.shape == source.shape and painter.labels.dtype == np.uint16
    np.testing.assert_allclose(painter.uncertainty, 255 * np.clip(doubt, 0, 1), atol=0.51)


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


def painted(values, decision, **options):
    """Paint voxels in a row, one list of scores each; return the painter."""
    grid = Geometry.picture(1, len(values))
    painter = LabelPainter(all_of(grid, grid.reorientation_to(), grid), decision, **options)
    painter.add(Slab(2, 0, len(values), np.array(values, np.float32)[None, None]))
    return painter


def test_uncertainty_of_exclusive_classes_is_their_entropy_by_hand():
    half, even = (0.5, 0.5, 0, 0), (0.25, 0.25, 0.25, 0.25)
    skew = (0.5, 0.25, 0.125, 0.125)  # 1.75 of 2 bits
    painter = painted([(1, 0, 0, 0), half, even, skew], Decision((0, 1, 2, 3), True), uncertainty=True)
    # 1 of 2 bits is 127.5 of 255, which rounds to either side
    assert painter.uncertainty.ravel().tolist() in ([0, 127, 255, 223], [0, 128, 255, 223])
    assert painter.labels.ravel().tolist() == [0, 0, 0, 0]
    alone = painted([(1.0,), (0.4,)], Decision((3,), True), uncertainty=True)
    assert alone.uncertainty.ravel().tolist() == [0, 0]


def test_uncertainty_of_classes_apart_is_the_largest_binary_entropy_by_hand():
    # h(0.5) = 1, h(0.25) = h(0.75) = 0.8113 bits, h(0.9) = 0.4690; 255 times that: 255, 206.9, 119.6
    rows = [(0, 1), (0.5, 1), (0.25, 0), (0.75, 0.9), (0.9, 1)]
    painter = painted(rows, Decision((1, 2), False, (0.5, 0.5)), uncertainty=True)
    assert painter.uncertainty.ravel().tolist() == [0, 255, 207, 207, 120]


def test_a_further_channel_is_the_doubt_and_never_a_class():
    rows = [(0.4, 0.6, 0.0), (0.6, 0.4, 0.2), (0.5, 0.5, 7.0)]
    painter = painted(rows, Decision((0, 9), True), uncertainty=True)
    assert painter.uncertainty.ravel().tolist() == [0, 51, 255]
    assert painter.labels.ravel().tolist() == [9, 0, 0]
    assert painter.mean_scores == {0: pytest.approx(0.55), 9: pytest.approx(0.6)}


def test_the_last_of_nested_regions_wins_where_several_reach_their_thresholds():
    # whole tumour, core, enhancing: painted one over the other
    rows = [(0.9, 0.1, 0.1), (0.99, 0.6, 0.4), (0.9, 0.3, 0.5), (0.49, 0.49, 0.49), (0.6, 0.7, 0.8)]
    last = painted(rows, Decision((2, 1, 4), False, (0.5, 0.5, 0.5), "last"))
    assert last.labels.ravel().tolist() == [2, 1, 4, 0, 4]
    assert last.overlapping_voxels == 3
    assert last.mean_scores == {2: pytest.approx(0.9), 1: pytest.approx(0.6), 4: pytest.approx(0.65)}
    furthest = painted(rows, Decision((2, 1, 4), False, (0.5, 0.5, 0.5)))
    assert furthest.labels.ravel().tolist() == [2, 2, 2, 0, 4]
    assert furthest.overlapping_voxels == 3
    assert painted(rows, Decision((0, 1, 2), True)).overlapping_voxels == 0


def test_sure_background_is_painted_as_that():
    for decision in (Decision((5, 0, 3), True), Decision((5, 3), False, (0.1, 0.1))):
        painter = painted([sure_background(decision)] * 2, decision, uncertainty=True)
        assert painter.labels.max() == painter.uncertainty.max() == 0
    assert sure_background(Decision((5, 0, 3), True), doubt=True) == (0, 1, 0, 0)


def test_between_two_thick_slices_the_entropy_is_that_of_the_mixed_probabilities():
    # model slices 4 mm apart at z = 0 and 4 mm, scan slices 2 mm apart: z = 2 mm lies half way
    source, model = Geometry((3, 1, 2), (2.0, 0.7, 0.7)), Geometry((2, 1, 2), (4.0, 0.7, 0.7))
    record = all_of(source, source.reorientation_to(("S", "P", "L")), model)
    painter = LabelPainter(record, Decision((0, 1), True), uncertainty=True)
    sure, other = ((1.0, 0.0), (0.75, 0.25)), ((0.0, 1.0), (0.25, 0.75))
    scores = np.array([[sure], [other]], np.float32)
    painter.add(Slab(0, 0, 1, scores[:1]))
    painter.add(Slab(0, 1, 2, scores[1:]))
    # by hand: h(1) = 0, h(0.75) = 0.8113, and half way both voxels have probability 1/2
    assert painter.uncertainty[:, 0].tolist() == [[0, 207], [255, 255], [0, 207]]
    assert painter.labels[:, 0].tolist() == [[0, 0], [0, 0], [1, 1]]


def test_slabs_may_share_their_memory_one_after_the_other():
    """The stream hands out views of a ring: what the painter needs later it must keep itself."""
    source = Geometry((9, 3, 4), (1.0, 1.0, 1.0))
    model = regrid(source, (1.7, 1.0, 1.0))
    scores = np.random.default_rng(1).uniform(size=(*model.shape, 2)).astype(np.float32)
    record, decision = all_of(source, source.reorientation_to(("S", "P", "L")), model), Decision((0, 1), True)
    apart, shared = LabelPainter(record, decision), LabelPainter(record, decision)
    room = np.empty((1, *scores.shape[1:]), np.float32)
    for z in range(model.shape[0]):
        apart.add(Slab(0, z, z + 1, scores[z : z + 1].copy()))
        room[...] = scores[z : z + 1]
        shared.add(Slab(0, z, z + 1, room))
        room[...] = np.nan
    np.testing.assert_array_equal(apart.labels, shared.labels)


def test_slabs_out_of_order_or_of_another_shape_are_refused():
    grid = Geometry((4, 3, 3))

    def fresh():
        return LabelPainter(as_is(grid), Decision((0, 1), True))

    with pytest.raises(InputError, match="planes from 0"):
        fresh().add(Slab(0, 1, 2, np.zeros((1, 3, 3, 2), np.float32)))
    with pytest.raises(InputError, match="2 classes"):
        fresh().add(Slab(0, 0, 1, np.zeros((1, 3, 3, 4), np.float32)))


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
