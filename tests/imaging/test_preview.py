"""The small copy of a volume for the 3D view: means by hand, its place, its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.errors import InputError
from napari_medcnn.imaging.preview import blocks_for, preview_of


def made(volume, spacing=(1.0, 1.0, 1.0), translate=(0.0, 0.0, 0.0), **limits):
    parts = preview_of(volume, spacing, translate, **limits)
    shares = []
    while True:
        try:
            shares.append(next(parts))
        except StopIteration as end:
            assert shares == sorted(shares)
            assert shares[-1] == 1
            return end.value


def values(preview) -> np.ndarray:
    return preview.low + preview.codes * preview.step


def test_means_of_blocks_and_of_what_is_left_at_the_end():
    volume = np.arange(2 * 3 * 5, dtype=np.int16).reshape(2, 3, 5)
    preview = made(volume, (5.0, 1.0, 1.0), (10.0, 20.0, 30.0), side=2, largest=3)
    assert preview.blocks == (1, 3, 2), "slices of 5 mm stay while pixels of 1 mm are merged"
    # by hand: the first three lines of columns 0-1, of 2-3, then of 4
    np.testing.assert_allclose(values(preview)[:, 0], [[5.5, 7.5, 9], [20.5, 22.5, 24]], atol=1e-3)
    assert preview.spacing == (5.0, 3.0, 2.0)
    assert preview.translate == (10.0, 21.0, 30.5)
    assert preview.words == "3D preview 3x coarser"


def test_a_small_volume_stays_as_it_is():
    volume = np.random.default_rng(1).normal(0, 400, (20, 30, 40)).astype(np.float32)
    preview = made(volume, (3.0, 0.5, 0.5), (1.0, 2.0, 3.0))
    np.testing.assert_allclose(values(preview), volume, atol=np.ptp(volume) / 65535)
    assert (preview.blocks, preview.spacing, preview.translate) == ((1, 1, 1), (3.0, 0.5, 0.5), (1.0, 2.0, 3.0))
    assert preview.words == ""
    assert preview.code_of(float(volume.min())) == pytest.approx(0, abs=1e-3)
    assert preview.code_of(float(volume.max())) == pytest.approx(65535, abs=1)


def test_a_marked_voxel_lies_where_it_was():
    volume = np.zeros((30, 64, 64), np.int16)
    volume[21, 40, 10] = 1000
    preview = made(volume, (4.0, 0.8, 0.8), (-50.0, 7.0, 3.0), side=24)
    at = np.unravel_index(preview.codes.argmax(), preview.codes.shape)
    world = np.array(preview.translate) + np.array(at) * preview.spacing
    true = np.array([-50.0, 7.0, 3.0]) + np.array([21, 40, 10]) * [4.0, 0.8, 0.8]
    assert np.all(np.abs(world - true) <= np.array(preview.spacing) / 2 + 1e-9)


def test_values_that_are_not_numbers_do_no_harm():
    volume = np.full((4, 6, 6), 5.0, np.float32)
    volume[1, 2, 3], volume[2] = np.nan, np.inf
    volume[0, 0, 0] = -1
    preview = made(volume)
    assert values(preview).min() == pytest.approx(-1)
    assert values(preview).max() == pytest.approx(5, abs=1e-3)
    assert preview.codes[2].max() == round((0 + 1) / preview.step), "a plane without any number is 0"
    flat = made(np.full((3, 3, 3), 7, np.uint8))
    assert (flat.codes == 0).all()
    assert flat.low == 7


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 3000)] * 3),
    st.tuples(*[st.floats(0.1, 8)] * 3),
    st.integers(4, 256),
    st.integers(8, 2048),
)
def test_blocks_keep_the_limits_and_are_no_larger_than_needed(shape, spacing, side, largest):
    blocks = blocks_for(shape, spacing, side, largest)
    size = [math.ceil(n / b) for n, b in zip(shape, blocks, strict=True)]
    assert math.prod(size) <= side**3
    assert max(size) <= largest
    if blocks != (1, 1, 1):
        smaller = [max(1, b - 1) for b in blocks]
        size = [math.ceil(n / b) for n, b in zip(shape, smaller, strict=True)]
        assert math.prod(size) > side**3 or max(size) > largest


def test_blocks_refuse_what_is_no_volume():
    with pytest.raises(InputError, match="shape"):
        blocks_for((3, 4), (1, 1, 1), 8, 8)
    with pytest.raises(InputError, match="volume"):
        next(preview_of(np.zeros((3, 4)), (1, 1, 1), (0, 0, 0)))
