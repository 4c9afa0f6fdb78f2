"""Measures of saliency maps: alike or not, what inserting and deleting voxels does to the score, against a mask.

Model-parameter randomisation compares maps by rank correlation and SSIM of absolute values (Adebayo et al., NeurIPS
2018); insertion and deletion are those of RISE (Petsiuk et al., BMVC 2018); the pointing game is that of Zhang et al.,
IJCV 2018, without its tolerance; energy in the mask that of Wang et al. (Score-CAM, CVPR Workshops 2020).
What each number means for a reader, and where the thresholds come from: docs/saliency.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score

from napari_medcnn.core.explain_time import CURVE_STEPS, ORDERS
from napari_medcnn.core.geometry import Array, Float
from napari_medcnn.core.saliency import Badge, Curve, Randomised
from napari_medcnn.errors import InputError

#: Of |rank| and of SSIM: both below the first means "depends on the model", one at or above the second means "no".
DEPENDS_BELOW, NO_FROM = 0.5, math.sqrt(0.5)
#: Absolute values are divided by this quantile of those inside the support, and cut at 1, before SSIM.
SSIM_QUANTILE = 0.99
_SSIM_WINDOW = 7
#: A random order moves cubes; so many lie along the longest axis.
_CELLS = 16


@dataclass(frozen=True)
class Alike:
    """How alike two maps are: `rank`, Spearman's correlation from -1 to 1, and `similarity`, mean SSIM up to 1."""

    rank: float
    similarity: float


def support_of(maps: Sequence[Array]) -> Array:
    """Return where any of some maps of one shape is not 0, bool: the voxels that the method can reach at all.

    Places that no map marks (outside the receptive field, black borders in a method that multiplies by the input)
    would make all maps look alike.
    """
    found = np.zeros(maps[0].shape, bool)
    for one in maps:
        found |= one != 0
    return found


def alike(first: Array, second: Array, support: Array | None = None) -> Alike:
    """Compare the absolute values of two maps inside `support` (default: everywhere).

    A map that is the same everywhere inside the support tells nothing, so it is like no other: 0 and 0, except that
    two maps equal in every value are alike: 1 and 1.

    Raises
    ------
    InputError
        The shapes differ, or a value is not finite.
    """
    if first.shape != second.shape:
        raise InputError(f"maps: expected one shape, got {first.shape} and {second.shape}")
    inside = np.ones(first.shape, bool) if support is None else support
    a, b = np.abs(first, dtype=np.float32), np.abs(second, dtype=np.float32)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("maps: expected finite values")
    x, y = a[inside], b[inside]
    if np.array_equal(x, y):
        return Alike(1.0, 1.0)
    if x.min() == x.max() or y.min() == y.max():
        return Alike(0.0, 0.0)
    return Alike(rank_correlation(x, y), _similarity(_scaled(a, x), _scaled(b, y), inside))


def rank_correlation(x: Array, y: Array) -> float:
    """Return Spearman's rank correlation of two flat arrays, ties by their mean rank; NaN if one is constant."""
    ranks = [rankdata(np.ravel(one)) for one in (x, y)]
    a, b = (one - one.mean() for one in ranks)
    whole = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / whole if whole else math.nan


def _scaled(values: Array, inside: Array) -> Array:
    """Return non-negative values divided by a fixed quantile of those `inside`, cut at 1."""
    top = float(np.quantile(inside, SSIM_QUANTILE)) or float(inside.max())
    return np.minimum(values / np.float32(top), np.float32(1))


def _similarity(a: Array, b: Array, inside: Array) -> float:
    """Return the mean SSIM inside a mask, over windows of at most 7 voxels along each axis that has several."""
    flat = tuple(i for i, n in enumerate(a.shape) if n == 1)
    a, b, inside = (np.squeeze(one, flat) for one in (a, b, inside))
    pads = [(0, max(3 - n, 0)) for n in a.shape]  # the smallest window is 3 wide
    a, b = np.pad(a, pads, mode="edge"), np.pad(b, pads, mode="edge")
    inside = np.pad(inside, pads)
    shortest = min(a.shape)
    window = min(_SSIM_WINDOW, shortest - 1 + shortest % 2)
    _, local = structural_similarity(a, b, win_size=window, data_range=1.0, full=True)
    return float(np.mean(local[inside], dtype=np.float64))


def randomised(layer: str, found: Sequence[Alike]) -> Randomised:
    """Return one step of the cascade: the mean over draws of |rank| and of SSIM.

    |rank|, because a map that turns into its own opposite with other weights is still drawn by the picture.
    """
    return Randomised(
        layer, float(np.mean([abs(f.rank) for f in found])), float(np.mean([f.similarity for f in found]))
    )


def badge_of(whole: Randomised) -> Badge:
    """Return the verdict from the step at which the whole network was random."""
    most = max(whole.rank, whole.similarity)
    if most >= NO_FROM:
        return "no"
    return "depends on the model" if most < DEPENDS_BELOW else "weakly"


@dataclass(frozen=True, eq=False)
class Score:
    """What is asked while a picture changes.

    Parameters
    ----------
    data, fill
        (z, y, x, channel) float32: what the network sees, and what stands for "not there".
    of
        Scores of several changed data, taken one by one: (n,).
    """

    data: Array
    fill: Array
    of: Callable[[Iterable[Array]], Array]


def curves(
    values: Array, asked: Score, steps: int = CURVE_STEPS, orders: int = ORDERS, seed: int = 0
) -> tuple[Curve, Curve]:
    """Return the insertion and the deletion curve of a map.

    Insertion puts the voxels of `asked.data` into `asked.fill`, deletion the other way, the largest map values first
    (equal values in a random order); after each of `steps` equal shares of the voxels the score is asked for.

    Parameters
    ----------
    values
        Map (z, y, x).
    orders
        Random rankings to compare with, averaged. They move cubes, a sixteenth of the longest axis wide: single
        voxels at random give a picture of salt and pepper, against which every map wins.
    seed
        Of the random orders.

    Returns
    -------
    insertion, deletion
        Scores as they are, not normalised. Of the random orders the two are mirror images of each other, because
        what one order has deleted its reverse has not inserted.

    Raises
    ------
    InputError
        The shapes differ.
    """
    data, fill, shape = asked.data, asked.fill, asked.data.shape[:3]
    if values.shape != shape or fill.shape != data.shape:
        raise InputError(f"map and fill: expected {shape} and {data.shape}, got {values.shape} and {fill.shape}")
    rng = np.random.default_rng(seed)
    share = np.linspace(0.0, 1.0, steps + 1)
    cuts = np.rint(share * values.size).astype(int)

    def changed(order: Array, start: Array, put: Array) -> Iterator[Array]:
        """Yield `start` while its voxels become those of `put`, without both ends."""
        now = start.copy()
        flat, source = now.reshape(values.size, -1), put.reshape(values.size, -1)
        for low, high in pairwise(cuts[:-1]):
            flat[order[low:high]] = source[order[low:high]]
            yield now.copy()

    def follow(order: Array, start: Array, put: Array) -> list[float]:
        return [float(s) for s in asked.of(changed(order, start, put))]

    none, full = (float(s) for s in asked.of([fill, data]))
    best = np.lexsort((rng.random(values.size), -values.ravel()))
    inserted = [none, *follow(best, fill, data), full]
    deleted = [full, *follow(best, data, fill), none]
    random = [[none, *follow(_random_cubes(shape, rng), fill, data), full] for _ in range(orders)]
    chance = np.mean(random, axis=0)
    return _curve(share, inserted, chance), _curve(share, deleted, chance[::-1])


def _curve(share: Float, score: Sequence[float], random: Float) -> Curve:
    def area(y: Sequence[float] | Float) -> float:
        return float(np.trapezoid(y, share))

    return Curve(
        tuple(map(float, share)), tuple(map(float, score)), tuple(map(float, random)), area(score), area(random)
    )


def _random_cubes(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return flat indices of all voxels, cube after cube in a random order."""
    side = max(1, math.ceil(max(shape) / _CELLS))
    counts = [math.ceil(n / side) for n in shape]
    rank = rng.permutation(math.prod(counts)).reshape(counts)
    for axis, n in enumerate(shape):
        rank = np.take(np.repeat(rank, side, axis=axis), np.arange(n), axis=axis)
    return np.argsort(rank, axis=None, kind="stable")


def energy_in_mask(values: Array, mask: Array) -> float | None:
    """Return the share of the sum of positive values that lies in a mask; None if nothing is positive."""
    positive = np.maximum(values, 0)
    whole = float(positive.sum(dtype=np.float64))
    return float(positive[mask].sum(dtype=np.float64)) / whole if whole else None


def points_into(values: Array, mask: Array) -> bool | None:
    """Return True if the largest value lies in the mask, without tolerance; None for a map that is the same everywhere.

    Where several voxels share the largest value, most of them have to.
    """
    largest = values.max()
    if values.min() == largest:
        return None
    return bool(np.mean(mask[values == largest]) > 0.5)


def precision_recall_area(values: Array, mask: Array) -> float | None:
    """Return the area under precision and recall of "value above t" for "in the mask" (average precision, exact).

    Its value for a map that knows nothing is the share of voxels in the mask. None if the mask is empty or full.
    """
    inside = int(np.count_nonzero(mask))
    if inside in (0, mask.size):
        return None
    return float(average_precision_score(mask.ravel(), values.ravel()))
