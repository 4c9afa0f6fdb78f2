"""Tiles: every voxel covered, slabs complete, and the stream equal to a plain whole-volume accumulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.imaging.patches import gaussian_weights, plan_tiles, stream_scores

shapes = st.tuples(*[st.integers(1, 21)] * 3)
tiles = st.tuples(*[st.integers(1, 9)] * 3)
overlaps = st.sampled_from([0.0, 0.25, 0.5, 0.75])


@given(shape=shapes, tile=tiles, overlap=overlaps)
@settings(max_examples=150, deadline=None)
def test_every_voxel_is_covered_and_windows_stay_inside(shape, tile, overlap):
    plan = plan_tiles(shape, tile, overlap)
    seen = np.zeros(plan.padded, int)
    corners = list(plan.windows())
    for corner in corners:
        assert all(c >= 0 and c + t <= n for c, t, n in zip(corner, tile, plan.padded, strict=True))
        seen[tuple(slice(c, c + t) for c, t in zip(corner, tile, strict=True))] += 1
    assert seen.min() >= 1
    assert len(set(corners)) == len(corners) == plan.count
    along = [c[plan.axis] for c in corners]
    assert along == sorted(along)


@given(shape=shapes, tile=tiles, overlap=overlaps, classes=st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_the_stream_equals_a_whole_volume_accumulation(shape, tile, overlap, classes):
    data = np.random.default_rng(3).normal(size=(*shape, 2)).astype(np.float32)
    rng_weights = np.random.default_rng(4).normal(size=(2, classes))

    def predict(window):
        # depends on the whole window, so neighbouring windows disagree where they overlap
        return (window @ rng_weights + window.mean()).astype(np.float32)

    plan = plan_tiles(shape, tile, overlap)
    slabs = list(stream_scores(data, plan, predict, pad_value=0.5))
    assert [s.start for s in slabs][:1] == [0]
    assert [s.start for s in slabs[1:]] == [s.stop for s in slabs[:-1]]
    assert slabs[-1].stop == shape[plan.axis]

    padded = np.full((*plan.padded, 2), 0.5, np.float32)
    inner = tuple(slice(b, b + n) for b, n in zip(plan.before, shape, strict=True))
    padded[inner] = data
    total, weight = np.zeros((*plan.padded, classes)), np.zeros((*plan.padded, 1))
    for corner in plan.windows():
        box = tuple(slice(c, c + t) for c, t in zip(corner, tile, strict=True))
        total[box] += predict(padded[box]) * gaussian_weights(tile)[..., None]
        weight[box] += gaussian_weights(tile)[..., None]
    streamed = np.concatenate([s.scores for s in slabs], axis=plan.axis)
    np.testing.assert_allclose(streamed, (total / weight)[inner], atol=1e-4)


def test_a_slab_is_handed_out_before_later_windows_are_predicted():
    """Memory: the first planes must be released while most of the volume is still to be run."""
    plan = plan_tiles((64, 4, 4), (8, 4, 4), 0.5)
    calls = []
    stream = stream_scores(np.zeros((64, 4, 4, 1), np.float32), plan, lambda w: calls.append(1) or w)
    first = next(stream)
    assert (first.start, first.stop, len(calls)) == (0, 4, 1)
    assert plan.count == 15


def test_the_longest_axis_streams_but_slices_of_a_2d_network_come_one_by_one():
    assert plan_tiles((10, 40, 20), (8, 8, 8)).axis == 1
    assert plan_tiles((10, 400, 200), (1, 64, 64)).axis == 0
    assert plan_tiles((1, 400, 800), (1, 64, 64)).axis == 2


def test_windows_shrink_to_what_the_network_accepts():
    assert plan_tiles((5, 100, 999), (16, 512, 512), divisor=(4, 8, 8)).tile == (8, 104, 512)
    with pytest.raises(InputError):
        plan_tiles((5, 5, 5), (10, 8, 8), divisor=(4, 8, 8))


def test_gaussian_weights_follow_the_formula():
    weights = gaussian_weights((1, 8, 16))
    assert weights.shape == (1, 8, 16) and weights.dtype == np.float32
    assert weights.max() == 1.0 and weights.min() >= 1e-3
    # sigma is 8/8 = 1 and 16/8 = 2 voxels; from the centre (3.5, 7.5): offsets (0.5, 0.5) and (1.5, 2.5)
    expected = np.exp(-0.5 * (1.5**2 / 1 + 2.5**2 / 4)) / np.exp(-0.5 * (0.5**2 / 1 + 0.5**2 / 4))
    assert weights[0, 5, 10] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(weights, weights[:, ::-1, ::-1])


def test_scores_of_another_shape_or_not_finite_are_refused():
    data, plan = np.zeros((8, 8, 8, 1), np.float32), plan_tiles((8, 8, 8), (8, 8, 8))
    with pytest.raises(ModelError, match="shape"):
        list(stream_scores(data, plan, lambda w: w[:-1]))
    with pytest.raises(ModelError, match="not numbers"):
        list(stream_scores(data, plan, lambda w: w * np.nan))


def test_progress_counts_windows_and_may_cancel():
    plan, seen = plan_tiles((8, 8, 8), (4, 8, 8), 0.0), []
    list(stream_scores(np.zeros((8, 8, 8, 1), np.float32), plan, lambda w: w, on_tile=lambda *a: seen.append(a)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("bad", [{"shape": (0, 1, 1)}, {"tile": (1, 0, 1)}, {"overlap": 0.95}, {"overlap": -0.1}])
def test_impossible_plans_are_refused(bad):
    with pytest.raises(InputError):
        plan_tiles(**{"shape": (4, 4, 4), "tile": (2, 2, 2), "overlap": 0.5, **bad})
