"""Tiles: every voxel covered, slabs complete, and the stream equal to a plain whole-volume accumulation."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.imaging.patches import plan_tiles, profiles, stream_scores

shapes = st.tuples(*[st.integers(1, 21)] * 3)
tiles = st.tuples(*[st.integers(1, 9)] * 3)
overlaps = st.sampled_from([0.0, 0.25, 0.5, 0.75])


def gaussian(tile):
    """Return the formula itself, (z, y, x): standard deviation 1/8 of each side, centred, as nnU-Net has it."""
    z, y, x = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) / (n / 8) for n in tile], indexing="ij")
    return np.exp(-0.5 * (z**2 + y**2 + x**2))


def kept(stream):
    """Collect slabs whose scores are views that hold only until the next one."""
    return [replace(slab, scores=slab.scores.copy()) for slab in stream]


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

    plan = replace(plan_tiles(shape, tile, overlap), pad_value=0.5)
    slabs = kept(stream_scores(data, plan, predict))
    assert [s.start for s in slabs][:1] == [0]
    assert [s.start for s in slabs[1:]] == [s.stop for s in slabs[:-1]]
    assert slabs[-1].stop == shape[plan.axis]

    padded = np.full((*plan.padded, 2), 0.5, np.float32)
    inner = tuple(slice(b, b + n) for b, n in zip(plan.before, shape, strict=True))
    padded[inner] = data
    total, weight = np.zeros((*plan.padded, classes)), np.zeros((*plan.padded, 1))
    for corner in plan.windows():
        box = tuple(slice(c, c + t) for c, t in zip(corner, tile, strict=True))
        total[box] += predict(padded[box]) * gaussian(tile)[..., None]
        weight[box] += gaussian(tile)[..., None]
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


def test_weights_are_the_gaussian_where_two_windows_meet():
    # windows of 8 along x start at 0 and 4: sigma is 1 voxel, centres lie at 3.5 and 7.5
    plan = plan_tiles((1, 1, 12), (1, 1, 8), 0.5)
    first, second = (profiles(plan)[2][start] for start in (0, 4))
    assert plan.starts[2] == (0, 4) and first.dtype == np.float32
    np.testing.assert_array_equal(first[:4], 1)  # only the first window sees these
    for x in (4, 5, 6, 7):
        near, far = np.exp(-0.5 * (x - 3.5) ** 2), np.exp(-0.5 * (x - 7.5) ** 2)
        assert first[x] == pytest.approx(near / (near + far), rel=1e-6)
        assert second[x - 4] == pytest.approx(far / (near + far), rel=1e-6)


@given(shape=shapes, tile=tiles, overlap=overlaps)
@settings(max_examples=60, deadline=None)
def test_weights_of_all_windows_at_a_voxel_sum_to_one(shape, tile, overlap):
    plan = plan_tiles(shape, tile, overlap)
    weights, total = profiles(plan), np.zeros(plan.padded)
    for corner in plan.windows():
        z, y, x = (w[c] for w, c in zip(weights, corner, strict=True))
        box = tuple(slice(c, c + t) for c, t in zip(corner, tile, strict=True))
        total[box] += z[:, None, None] * y[:, None] * x
    np.testing.assert_allclose(total, 1, rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_windows_that_nobody_wants_are_not_run_and_read_as_background(axis):
    # three windows of 4 in a row without overlap; the middle one is wanted
    shape = tuple(12 if a == axis else 4 for a in range(3))
    plan, seen = plan_tiles(shape, (4, 4, 4), 0.0), []

    def middle(box):
        return box[axis] == slice(4, 8)

    def predict(window):
        seen.append(window[0, 0, 0, 0])
        return np.concatenate([0.25 + 0 * window, 0.75 + 0 * window], axis=-1)

    data = np.arange(np.prod(shape), dtype=np.float32).reshape(*shape, 1)
    progress = []
    stream = stream_scores(data, plan, predict, lambda *a: progress.append(a), middle, (1.0, 0.0))
    scores = np.concatenate([s.scores for s in kept(stream)], axis=axis)
    corner = tuple(4 if a == axis else 0 for a in range(3))
    assert seen == [data[(*corner, 0)]] and progress == [(1, 1)]
    expected = np.zeros((*shape, 2), np.float32)
    expected[..., 0] = 1
    expected[tuple(slice(c, c + 4) for c in corner)] = (0.25, 0.75)
    np.testing.assert_array_equal(scores, expected)


@given(shape=shapes, tile=tiles, overlap=overlaps, low=st.integers(0, 20), high=st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_voxels_whose_windows_are_all_wanted_get_what_a_full_run_gives(shape, tile, overlap, low, high):
    data = np.random.default_rng(3).uniform(size=(*shape, 2)).astype(np.float32)
    plan = plan_tiles(shape, tile, overlap)

    def wanted(box):
        return box[1].start <= high and box[1].stop > low

    full = np.concatenate([s.scores for s in kept(stream_scores(data, plan, lambda w: w))], axis=plan.axis)
    some = kept(stream_scores(data, plan, lambda w: w, wanted=wanted, background=(1, 0)))
    part = np.concatenate([s.scores for s in some], axis=plan.axis)
    hits = np.zeros((2, *shape), int)
    for corner in plan.windows():
        hits[int(wanted(plan.box(corner)))][plan.box(corner)] += 1
    np.testing.assert_array_equal(part[hits[0] == 0], full[hits[0] == 0])
    np.testing.assert_allclose(part[hits[1] == 0], np.broadcast_to((1, 0), part[hits[1] == 0].shape), atol=1e-5)


def test_skipping_windows_needs_to_know_what_background_is():
    plan = plan_tiles((8, 8, 8), (8, 8, 8))
    with pytest.raises(InputError, match="background"):
        list(stream_scores(np.zeros((8, 8, 8, 1), np.float32), plan, lambda w: w, wanted=lambda box: False))


@pytest.mark.parametrize("shape", [(256, 16, 16), (16, 256, 16), (16, 16, 256)])
def test_memory_holds_one_tile_length_of_scores_and_little_else(shape):
    plan, classes = plan_tiles(shape, (16, 16, 16), 0.5), 8
    constant = np.zeros((16, 16, 16, classes), np.float32)
    data = np.zeros((*shape, 1), np.float32)
    tracemalloc.start()
    for _ in stream_scores(data, plan, lambda w: constant):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    held = classes * 16**3 * 4
    # the whole volume would be 16 times that; a copy of it would be 2 times
    assert held <= peak <= 1.4 * held


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
