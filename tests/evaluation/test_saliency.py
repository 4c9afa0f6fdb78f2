"""Measures of saliency maps: numbers by hand, and SciPy, scikit-learn and scikit-image as oracles."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from skimage.metrics import structural_similarity

from napari_medcnn.core.explain_time import score_count
from napari_medcnn.core.saliency import Randomised
from napari_medcnn.errors import InputError
from napari_medcnn.evaluation.saliency import (
    Alike,
    Score,
    alike,
    badge_of,
    curves,
    energy_in_mask,
    points_into,
    precision_recall_area,
    randomised,
    rank_correlation,
    support_of,
)

RNG = np.random.default_rng(0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=3, max_size=40))
def test_rank_correlation_is_scipys_with_ties(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(one, float) for one in zip(*pairs, strict=True))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(rank_correlation(x, y))
    else:
        assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_a_map_is_like_itself_whatever_its_size_and_sign() -> None:
    made = RNG.standard_normal((5, 8, 7)).astype(np.float32)
    for other in (made, -made, 3 * made):  # absolute values, scaled by their own quantile
        found = alike(made, other)
        assert found.rank == pytest.approx(1.0) and found.similarity == pytest.approx(1.0, abs=1e-5)


def test_unrelated_noise_is_not_alike() -> None:
    found = alike(RNG.standard_normal((12, 30, 30)), RNG.standard_normal((12, 30, 30)))
    assert abs(found.rank) < 0.05 and abs(found.similarity) < 0.1


def test_similarity_is_scikit_images_on_scaled_values() -> None:
    a, b = (ndimage.gaussian_filter(RNG.standard_normal((9, 12, 11)), 1).astype(np.float32) for _ in range(2))
    scaled = [np.clip(np.abs(m) / np.quantile(np.abs(m), 0.99), 0, 1) for m in (a, b)]
    _, local = structural_similarity(*scaled, win_size=7, data_range=1.0, full=True)
    assert alike(a, b).similarity == pytest.approx(float(local.mean()), abs=1e-5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 9, 9), (1, 2, 5), (4, 4, 4), (1, 1, 9), (13, 6, 3)])
def test_small_and_flat_maps_have_a_similarity(shape: tuple[int, ...]) -> None:
    made = RNG.random(shape, np.float32)
    assert alike(made, made * 2).similarity == pytest.approx(1.0, abs=1e-5)
    assert alike(made, RNG.random(shape, np.float32)).similarity < 0.95


def test_a_map_that_is_the_same_everywhere_is_like_no_other() -> None:
    made, flat = RNG.random((3, 6, 6)), np.zeros((3, 6, 6))
    assert alike(made, flat) == alike(flat, made) == alike(made, flat + 2) == Alike(0.0, 0.0)
    assert alike(flat, flat) == Alike(1.0, 1.0)


def test_places_that_no_map_reaches_do_not_count() -> None:
    """Two unrelated maps inside a small box of zeros: everywhere they look alike, where they reach they do not."""
    a, b = np.zeros((1, 60, 60), np.float32), np.zeros((1, 60, 60), np.float32)
    a[0, :12, :12], b[0, :12, :12] = RNG.random((2, 12, 12))
    whole, inside = alike(a, b), alike(a, b, support_of([a, b]))
    assert whole.rank > 0.6 and whole.similarity > 0.9
    assert abs(inside.rank) < 0.25 and inside.similarity < 0.4


def test_maps_of_two_shapes_or_without_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        alike(np.zeros((1, 2, 3)), np.zeros((1, 3, 2)))
    with pytest.raises(InputError, match="finite"):
        alike(np.full((1, 3, 3), np.nan), np.zeros((1, 3, 3)))


def test_a_step_is_the_mean_and_an_opposite_map_counts_as_related() -> None:
    step = randomised("conv", [Alike(-0.8, 0.1), Alike(0.6, 0.3)])
    assert (step.layer, step.rank, step.similarity) == ("conv", pytest.approx(0.7), pytest.approx(0.2))


@pytest.mark.parametrize(
    ("rank", "ssim", "badge"),
    [
        (0.0, 0.0, "depends on the model"), (0.499, 0.499, "depends on the model"), (0.5, 0.0, "weakly"),
        (0.0, 0.5, "weakly"), (0.70, 0.70, "weakly"), (0.708, 0.0, "no"), (0.0, 0.708, "no"), (1.0, 1.0, "no"),
    ],
)  # fmt: skip
def test_badge_at_its_thresholds(rank: float, ssim: float, badge: str) -> None:
    assert badge_of(Randomised("all", rank, ssim)) == badge


def total(batch: Iterable[np.ndarray]) -> np.ndarray:
    return np.array([one.sum() for one in batch])


def test_curves_of_a_sum_by_hand() -> None:
    """Score = sum of voxels, values 4 3 2 1, fill 0: inserting gives 0 4 7 9 10, deleting 10 6 3 1 0."""
    data = np.array([4.0, 3.0, 2.0, 1.0], np.float32).reshape(1, 1, 4, 1)
    insertion, deletion = curves(data[..., 0], Score(data, 0 * data, total), steps=4)
    assert insertion.score == (0, 4, 7, 9, 10) and deletion.score == (10, 6, 3, 1, 0)
    assert insertion.share == (0, 0.25, 0.5, 0.75, 1)
    assert insertion.area == pytest.approx((0 / 2 + 4 + 7 + 9 + 10 / 2) / 4)
    assert deletion.area == pytest.approx((10 / 2 + 6 + 3 + 1 + 0) / 4)
    assert insertion.random == deletion.random[::-1] and insertion.random_area == pytest.approx(deletion.random_area)


def test_random_rankings_of_a_sum_run_along_the_diagonal() -> None:
    data = np.ones((8, 8, 8, 1), np.float32)
    insertion, _ = curves(RNG.random((8, 8, 8)), Score(data, 0 * data, total), steps=8, orders=3)
    np.testing.assert_allclose(insertion.random, np.linspace(0, 512, 9))
    assert insertion.score == pytest.approx(insertion.random)  # every voxel counts the same, so no ranking is better


def test_the_right_ranking_beats_random_and_the_wrong_one_loses() -> None:
    data = RNG.random((4, 16, 16, 2)).astype(np.float32)
    asked = Score(data, np.zeros_like(data), lambda batch: np.array([float((one**2).sum()) for one in batch]))
    values = (data**2).sum(axis=-1)
    for sign in (1, -1):
        insertion, deletion = curves(sign * values, asked)
        assert sign * (insertion.area - insertion.random_area) > 0
        assert sign * (deletion.area - deletion.random_area) < 0


def test_curves_ask_for_as_many_scores_as_forecast_and_the_same_seed_gives_the_same() -> None:
    asked_for: list[int] = []

    def count(batch: Iterable[np.ndarray]) -> np.ndarray:
        found = total(batch)
        asked_for.append(len(found))
        return found

    data = RNG.random((3, 9, 7, 1)).astype(np.float32)
    values, kept = RNG.random((3, 9, 7)), data.copy()
    first = curves(values, Score(data, 0 * data, count), seed=3)
    assert sum(asked_for) == score_count()
    assert first == curves(values, Score(data, 0 * data, total), seed=3)
    assert first != curves(values, Score(data, 0 * data, total), seed=4)
    np.testing.assert_array_equal(data, kept)


def test_equal_values_are_ranked_at_random_not_from_the_corner() -> None:
    data = np.zeros((1, 16, 16, 1), np.float32)
    data[0, :8] = 1
    insertion, _ = curves(np.zeros((1, 16, 16)), Score(data, 0 * data, total), steps=2)
    assert 40 < insertion.score[1] < 88  # about half of 128; from the corner on it were 128


def test_a_map_of_another_shape_is_refused() -> None:
    data = np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(InputError, match="map and fill"):
        curves(np.zeros((1, 4, 5)), Score(data, data, total))


def test_energy_by_hand() -> None:
    values, mask = np.array([[[3.0, 1.0, -5.0, 0.0]]]), np.array([[[True, False, True, False]]])
    assert energy_in_mask(values, mask) == pytest.approx(0.75)  # what spoke against does not count
    assert energy_in_mask(-np.abs(values), mask) is None


def test_pointing_game() -> None:
    values, mask = np.zeros((1, 2, 3)), np.zeros((1, 2, 3), bool)
    mask[0, 0] = True
    assert points_into(values, mask) is None
    values[0, 0, 1] = 2
    assert points_into(values, mask) is True
    values[0, 1, :] = 2  # four share the largest value, one of them inside
    assert points_into(values, mask) is False


def test_precision_and_recall_by_hand() -> None:
    """Ranked 4 3 2 1, inside are the first and the third: precision 1 at recall 1/2, 2/3 at recall 1: (1 + 2/3) / 2."""
    values, mask = np.array([[[4.0, 3.0, 2.0, 1.0]]]), np.array([[[True, False, True, False]]])
    assert precision_recall_area(values, mask) == pytest.approx(5 / 6)
    assert precision_recall_area(np.zeros((1, 1, 4)), mask) == pytest.approx(0.5)  # knows nothing: the prevalence
    assert precision_recall_area(values, ~mask & mask) is None and precision_recall_area(values, mask | ~mask) is None
