"""Growing from seeds and refining by scribbles: against scikit-image, equations solved by hand, and phantoms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import random_walker

from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.annotation.tools.refine import Refining, Thought, refine
from napari_medcnn.annotation.tools.seeds import Growing, grow_seeds
from napari_medcnn.annotation.tools.walk import Walk, probabilities
from napari_medcnn.errors import Cancelled, InputError

MM = (5.0, 0.7, 1.3)


def done(mask: Mask, edit) -> np.ndarray:
    array = mask.array.copy()
    edit.apply(array)
    return array


def test_the_walker_is_scikit_images_on_an_even_grid() -> None:
    """Its weights are exp(-beta d^2 / (10 sd)) on what it gets, ours exp(-beta d^2) on what is divided by its sd."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (4, 9, 8))
    values[:, :, 4:] += 2.0
    marks = np.zeros(values.shape, np.int32)
    marks[0, 0, 0], marks[3, 8, 7], marks[2, 4, 1] = 1, 2, 3
    scaled = values / values.std()
    wanted = random_walker(scaled, marks, beta=20, mode="cg_j", tol=1e-8, return_full_prob=True)
    found = probabilities(values, marks, (1.0, 1.0, 1.0), Walk(beta=2.0, tolerance=1e-6))
    assert np.abs(found - wanted).max() < 2e-3


def test_on_an_even_scan_the_walker_is_linear_in_mm() -> None:
    """The harmonic function between two ends of a line; and a slab of 5 mm counts like 5 mm of 0.7 mm voxels."""
    marks = np.zeros((1, 11, 1), np.int32)
    marks[0, 0, 0], marks[0, 10, 0] = 1, 2
    found = probabilities(np.zeros((1, 11, 1)), marks, MM, Walk(tolerance=1e-7))
    assert found[1].ravel() == pytest.approx(np.arange(11) / 10, abs=1e-4)
    # by hand: a voxel between marks at 5 mm (class 1) and at 0.7 mm (class 2), resistances 1/25 to 1/0.49
    marks = np.zeros((2, 2, 1), np.int32)
    marks[1, 0, 0], marks[0, 1, 0], marks[1, 1, 0] = 1, 2, -1
    found = probabilities(np.zeros((2, 2, 1)), marks, MM, Walk(tolerance=1e-7))
    assert found[0, 0, 0, 0] == pytest.approx((1 / 25) / (1 / 25 + 1 / 0.49), abs=1e-4)


def test_the_prior_by_hand() -> None:
    """One voxel with one marked neighbour: (w + gamma p) / (w + gamma), w = 1."""
    marks = np.array([[[1, 0]]], np.int32)
    prior = np.array([[[[1.0, 0.2]]], [[[0.0, 0.8]]]], np.float32)
    found = probabilities(np.zeros((1, 1, 2)), marks, (1.0, 1.0, 1.0), Walk(gamma=0.5, tolerance=1e-6), prior)
    assert found[0, 0, 0, 1] == pytest.approx((1 + 0.5 * 0.2) / 1.5, abs=1e-4)
    assert found[1, 0, 0, 1] == pytest.approx(0.5 * 0.8 / 1.5, abs=1e-4)
    assert found[:, 0, 0, 0].tolist() == [1.0, 0.0]


def test_nobody_walks_through_walls() -> None:
    marks = np.array([[[1, 0, -1, 0, 0]]], np.int32)
    found = probabilities(np.zeros((1, 1, 5)), marks, (1.0, 1.0, 1.0), Walk())
    assert found[0].ravel().tolist() == pytest.approx([1, 1, 0, 0, 0], abs=1e-3)


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """Return a bright ellipsoid of 10 mm on noise and its true voxels; (15, 48, 30) at MM."""
    grids = np.ogrid[:15, :48, :30]
    away = sum(((g - c) * s) ** 2 for g, c, s in zip(grids, (7, 24, 15), MM, strict=True))
    truth = away <= 144.0
    return np.random.default_rng(0).normal(0, 8, truth.shape) + truth * 100.0, truth


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("method", ["watershed", "random walker"])
def test_two_strokes_find_a_structure(method) -> None:
    scan, truth = phantom()
    seeds = np.zeros(truth.shape, np.uint8)
    seeds[7, 20:28, 15] = 4
    seeds[7, :, 1] = seeds[7, 1, :] = seeds[1, :, 15] = seeds[13, :, 15] = 9
    mask = Mask(np.zeros(truth.shape, np.uint8), MM)
    told: list[tuple[int, int]] = []
    edit = grow_seeds(mask, scan, Growing(method, 9, 30.0), None, seeds, lambda i, n: told.append((i, n)))
    made = done(mask, edit)
    assert set(np.unique(made)) == {0, 4}
    assert dice(made == 4, truth) > 0.93
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)


@pytest.mark.parametrize("method", ["watershed", "random walker"])
def test_the_masks_own_classes_are_seeds_and_locked_ones_are_walls(method) -> None:
    """A strip of one value: class 1 at one end, 2 at the other, a locked wall in between."""
    array = np.zeros((1, 3, 11), np.uint8)
    array[0, :, 0], array[0, :, 10], array[0, :, 6] = 1, 2, 5
    mask = Mask(array, (1.0, 1.0, 1.0), {5})
    scan = np.zeros(array.shape, np.int16)
    made = done(mask, grow_seeds(mask, scan, Growing(method), (slice(None),) * 3))
    assert made[0].tolist() == [[1] * 6 + [5] + [2] * 4] * 3
    box = (slice(0, 1), slice(0, 2), slice(0, 11))
    assert done(mask, grow_seeds(mask, scan, Growing(method), box))[0, 2].tolist() == array[0, 2].tolist()


def test_seeds_that_cannot_work_are_named() -> None:
    scan, truth = phantom()
    mask = Mask(truth.astype(np.uint8), MM, {2})
    two = np.where(truth, 1, 0)
    two[0, 0, 0] = 2
    for seeds, match in ((None, "two classes"), (two[:3], "seeds"), (two, "locked|two classes")):
        with pytest.raises(InputError, match=match):
            grow_seeds(mask, scan, Growing(), seeds=seeds)
    with pytest.raises(InputError, match="none"):
        grow_seeds(Mask(truth * 0, MM), scan, Growing())
    with pytest.raises(InputError, match="method"):
        Growing("paint")  # type: ignore[arg-type]
    large = Mask(np.broadcast_to(np.uint8(0), (130, 130, 130)), MM)
    seeds = np.zeros(large.shape, np.uint8)
    seeds[0, 0, 0], seeds[-1, -1, -1] = 1, 2
    with pytest.raises(InputError, match="smaller box"):
        grow_seeds(large, seeds, Growing("random walker"), seeds=seeds)


def stop(_i: int, _n: int) -> None:
    raise Cancelled("stopped")


def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return scan, truth, a mask that lacks the upper third of the structure, and one scribble in what it lacks."""
    scan, truth = phantom()
    wrong = truth.copy()
    wrong[:, 30:] = False
    scribble = np.zeros(truth.shape, np.uint8)
    scribble[7, 33:36, 12:18] = 1
    return scan, truth, wrong.astype(np.uint8), scribble


@pytest.mark.parametrize("told", ["model", "no model"])
def test_a_scribble_mends_a_planted_error(told: str) -> None:
    """The model was unsure where it is wrong; without a model the scan alone must do."""
    scan, truth, wrong, scribble = planted()
    thought = None
    if told == "model":
        chance = np.where(truth, 0.9, 0.05)
        chance[:, 30:][truth[:, 30:]] = 0.45
        thought = Thought((0, 1), np.stack([1 - chance, chance], axis=-1).astype(np.float16))
    mask = Mask(wrong, MM)
    made = done(mask, refine(mask, scan, scribble, Refining(), thought)) == 1
    before, after = dice(wrong == 1, truth), dice(made, truth)
    assert before < 0.9
    assert after > 0.95
    assert made[scribble == 1].all()


#: A sheet of thick slices: 12 along z, 30 along x.
SHEET = (12, 1, 30)
BETA, GAMMA, TRUST = 13.0, 0.005, 0.8


def walked_by_scikit_image(profile: np.ndarray, marks: np.ndarray, spacing: tuple, prior: np.ndarray) -> np.ndarray:
    """Return the probability of background and class (2, z, x) that `skimage.segmentation.random_walker` gives.

    It knows neither priors nor distances in mm, but both can be drawn for it. The prior of Grady (CVPR 2005) is an edge
    of weight gamma p from each voxel to a mark of each class: one slice of marks above the sheet and one below. Edges
    weigh exp(-beta d^2) here, so a weight w is a difference of sqrt(-log(w) / beta) between two voxels; the scan
    differs along x only, so that (least spacing / spacing)^2 can go into the differences of each axis by itself.
    """

    def difference(weight):
        return np.sqrt(-np.log(weight) / BETA)

    thick, across = ((min(spacing) / spacing[axis]) ** 2 for axis in (0, 2))
    edges = difference(np.exp(-BETA * np.diff(profile / profile.std()) ** 2) * across)
    sheet = np.concatenate([[0], np.cumsum(edges)]) + difference(thick) * (np.arange(len(marks)) % 2)[:, None]
    drawn = np.stack([sheet + difference(GAMMA * prior[0]), sheet, sheet + difference(GAMMA * prior[1])])
    seeds = np.stack([np.full_like(marks, 1), marks, np.full_like(marks, 2)])
    # its weights are exp(-beta d^2 / (10 sd)) of what it gets
    beta = BETA * 10 * drawn.std()
    return random_walker(drawn, seeds, beta=beta, mode="cg_j", tol=1e-10, return_full_prob=True)[:, 1]


def refined_by_scikit_image(profile, before, scribble, spacing, prior) -> tuple[np.ndarray, np.ndarray]:
    """Return the mask (z, x) that a scribble of class 1 makes of one, and how clearly each voxel was won."""
    chances = walked_by_scikit_image(profile, scribble.astype(np.int32) * 2, spacing, prior)
    won = chances.argmax(axis=0)
    pieces, _ = ndimage.label((won != before) | (scribble > 0), np.ones((3, 3)))
    touched = np.isin(pieces, np.unique(pieces[scribble > 0]))
    return np.where(touched, won, before), np.abs(chances[1] - chances[0])


@pytest.mark.parametrize("told", ["model", "no model"])
def test_a_scribble_makes_what_scikit_images_walker_makes_in_mm_and_with_the_prior(told: str) -> None:
    """Slices of 5 mm, a border along x; the mask lacks a part, and in another one somebody drew against the model."""
    z, x = np.ogrid[: SHEET[0], : SHEET[2]]
    profile = np.where((x[0] >= 8) & (x[0] < 22), 100.0, 0.0) + 3.0 * np.sin(2.0 * x[0])
    truth = (x >= 8) & (x < 22) & (z >= 2) & (z < 10)
    before = (truth & ((x < 12) | (z > 8))).astype(np.uint8)
    before[0, 25:] = 1  # against the model
    scribble = np.zeros_like(before)
    scribble[5, 13:20] = 1
    chance = np.where(truth, 0.9, 0.05)
    chance[truth & (before == 0)] = 0.48 - 0.03 * np.abs(z + 0 * x - 5)[truth & (before == 0)]
    model = np.stack([1 - chance, chance])
    mask_says = np.stack([np.where(before == c, TRUST, 1 - TRUST) for c in (0, 1)])
    prior = np.where((chance > 0.5) == before, model, mask_says) if told == "model" else mask_says
    wanted, clear = refined_by_scikit_image(profile, before, scribble, MM, prior)

    mask = Mask(before[:, None], MM)
    thought = Thought((0, 1), np.moveaxis(model, 0, -1)[:, None].astype(np.float32)) if told == "model" else None
    scan = np.broadcast_to(profile, SHEET)
    how = Refining(margin_mm=100.0, trust=TRUST, walk=Walk(BETA, GAMMA, 1e-6))
    made = done(mask, refine(mask, scan, scribble[:, None], how, thought))[:, 0]
    decided = clear > 1e-3
    assert decided.mean() > 0.99
    np.testing.assert_array_equal(made[decided], wanted[decided])
    assert np.count_nonzero(made != before) > 30 and (made[0] == before[0]).all()
    # the case tells: without millimetres, without a prior, or without what the model says it would look otherwise
    others = [((1.0, 1.0, 1.0), prior), (MM, np.full_like(prior, 0.5))]
    for spacing, said in [*others, (MM, mask_says)] if told == "model" else others:
        other, _ = refined_by_scikit_image(profile, before, scribble, spacing, said)
        assert np.count_nonzero(other != wanted) > 10


def test_only_changes_that_a_scribble_touches_are_made() -> None:
    """A second error elsewhere in the same box, of which the scan and the model say the same, stays."""
    scan, truth, wrong, scribble = planted()
    wrong[7, 14:18, 13:17] = 0
    mask = Mask(wrong, MM)
    chance = np.where(truth, 0.95, 0.02)
    thought = Thought((1,), chance[..., None])
    made = done(mask, refine(mask, scan, scribble, Refining(), thought))
    assert (made[7, 14:18, 13:17] == 0).all()
    assert (made[scribble == 1] == 1).all()


def test_what_the_annotator_drew_against_the_model_stands() -> None:
    """An even scan, a model sure of background, a mask that says otherwise: one more stroke in it changes nothing.

    Gamma is so large that the stroke alone decides nothing two voxels away.
    """
    mask = Mask(np.zeros((1, 3, 21), np.uint8), (1.0, 1.0, 1.0))
    mask.array[0, :, :15] = 1
    scribble = np.zeros(mask.shape, np.uint8)
    scribble[0, 1, 10] = 1
    chance = np.full((*mask.shape, 1), 0.05, np.float32)
    how = Refining(walk=Walk(gamma=5.0))
    assert refine(mask, np.zeros(mask.shape), scribble, how, Thought((1,), chance)).changed == 0
    # where the mask is what the model gives, the model's word counts: 0.45 and a stroke beside it are enough
    scribble[0, 1, 15] = 1
    chance[0, :, 15:] = 0.45
    made = done(mask, refine(mask, np.zeros(mask.shape), scribble, how, Thought((1,), chance)))
    assert made[0, 1, 14:18].tolist() == [1, 1, 1, 0]


def test_a_scribble_of_background_takes_away() -> None:
    scan, truth = phantom()
    much = truth.copy()
    much[7, :, 20:28] = True
    scribble = np.zeros(truth.shape, np.uint8)
    scribble[7, 4:44, 26] = 8
    mask = Mask(much.astype(np.uint8), MM)
    made = done(mask, refine(mask, scan, scribble, Refining(background=8))) == 1
    assert not made[7, 4:44, 26].any()
    assert dice(made, truth) > dice(much, truth)


def test_refining_stops_and_names_what_is_wrong() -> None:
    scan, _, wrong, scribble = planted()
    mask = Mask(wrong, MM)
    assert refine(mask, scan, scribble * 0, Refining()).changed == 0
    with pytest.raises(Cancelled):
        refine(mask, scan, scribble, Refining(), progress=stop)
    for call in (
        lambda: refine(Mask(wrong, MM, {1}), scan, scribble, Refining()),
        lambda: refine(mask, scan[:2], scribble, Refining()),
        lambda: refine(mask, scan, scribble[:2], Refining()),
        lambda: refine(mask, scan, scribble, Refining(), Thought((1,), np.zeros((2, 2, 2, 1)))),
        lambda: Thought((1, 2), np.zeros((2, 2, 2, 1))),
        lambda: Refining(walk=Walk()),
        lambda: Walk(beta=-1.0),
    ):
        with pytest.raises(InputError):
            call()
