"""2D networks through volumes, slices with neighbours, regions and mirrored runs, against direct calls."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from engine_cases import FakeContext, opened, outputs, run, spec_3d
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions, TrainOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.cases import Case, Sampler
from napari_medcnn.engine.loading import misfit
from napari_medcnn.engine.windows import Run
from napari_medcnn.errors import InputError


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.astype(np.float64)))


def one_class(dimensions: int, channels: int = 1, **changes) -> ModelSpec:
    """One class "thing" at 0.5, by sigmoid, in windows of 8."""
    preparation = changes.pop("preparation", Preparation(dimensions, channels))
    return spec_3d(
        preparation=preparation,
        labels=LabelSet.from_names(("thing",)),
        decision=Decision((1,), False, (0.5,)),
        activation="sigmoid",
        tile=(8,) * dimensions,
        **changes,
    )


def mixing(dimensions: int, weights: np.ndarray) -> keras.Model:
    """A network that only weighs its channels: its answer is known without it."""
    inputs = keras.Input((*[None] * dimensions, len(weights)))
    layer = (layers.Conv2D if dimensions == 2 else layers.Conv3D)(1, 1, use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([np.asarray(weights, np.float32).reshape(*[1] * dimensions, -1, 1)])
    return model


def sided(dimensions: int, axis: int) -> keras.Model:
    """A network that says yes (logit 4) in the first half of its window along a spatial axis and no (-4) after it."""
    inputs = keras.Input((*[8] * dimensions, 1))
    profile = np.where(np.arange(8) < 4, 4.0, -4.0).astype(np.float32)
    shape = [1] * (dimensions + 2)
    shape[1 + axis] = 8
    return keras.Model(inputs, layers.Lambda(lambda x: 0.0 * x + profile.reshape(shape))(inputs))


def test_slices_of_the_chosen_plane_reach_the_network_and_come_back() -> None:
    """A 3 x 1 kernel that looks one row down: rows are another direction of the body in each plane."""
    inputs = keras.Input((None, None, 1))
    layer = layers.Conv2D(1, (3, 1), padding="same", use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([np.array([0.0, 0.0, 1.0], np.float32).reshape(3, 1, 1, 1)])
    scan = Volume(np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32), Geometry((6, 7, 8)))
    # stored axes run to Superior, Posterior, Left; rows of the picture run to Posterior, Inferior, Inferior
    below = {"axial": (1, 1), "coronal": (0, -1), "sagittal": (0, -1)}
    for slices, (axis, step) in below.items():
        out = outputs(scan, 1)
        run(opened(model, one_class(2)), scan, PredictOptions(probabilities=True, slices=slices), out)
        moved = np.roll(scan.array, -step, axis)
        np.moveaxis(moved, axis, 0)[-1 if step > 0 else 0] = 0  # nothing lies below the last row
        np.testing.assert_allclose(out.probabilities[..., 0], sigmoid(moved), atol=1e-6)
        assert np.array_equal(out.labels, moved >= 0)


def test_neighbouring_slices_are_channels_in_order_with_the_ends_repeated() -> None:
    spec = one_class(2, preparation=Preparation(2, 2, neighbours=1))
    weights = np.array([1.0, 2.0, 3.0, -4.0, 5.0, -6.0])
    model = mixing(2, weights)
    assert misfit(mixing(2, weights[:2]), spec) != ""
    values = np.random.default_rng(1).normal(size=(5, 11, 13, 2)).astype(np.float32)
    scan = Volume(values, Geometry((5, 11, 13)), "zyxc")
    out = outputs(scan, 1)
    run(opened(model, spec), scan, PredictOptions(probabilities=True), out)
    padded = np.pad(values, [(1, 1), (0, 0), (0, 0), (0, 0)], mode="edge")
    logits = sum(padded[k : k + 5] @ weights[2 * k : 2 * k + 2] for k in range(3))
    np.testing.assert_allclose(out.probabilities[..., 0], sigmoid(logits), atol=1e-5)


def test_a_region_with_neighbours_sees_the_slices_beyond_it() -> None:
    spec = one_class(2, preparation=Preparation(2, 1, neighbours=2))
    model = mixing(2, np.array([1.0, -2.0, 3.0, -4.0, 5.0]))
    scan = Volume(np.random.default_rng(2).normal(size=(9, 12, 12)).astype(np.float32), Geometry((9, 12, 12)))
    whole, part = outputs(scan, 1), outputs(scan, 1)
    region = ((3, 5), (2, 9), (0, 12))
    run(opened(model, spec), scan, PredictOptions(), whole)
    run(opened(model, spec), scan, PredictOptions(region=region), part)
    box = tuple(slice(*side) for side in region)
    np.testing.assert_array_equal(part.labels[box], whole.labels[box])
    np.testing.assert_allclose(part.probabilities[box], whole.probabilities[box], atol=1e-6)
    part.labels[box] = 0
    assert whole.labels[box].any() and not part.labels.any()


def test_training_patches_carry_neighbours_as_at_prediction() -> None:
    spec = one_class(2, preparation=Preparation(2, 1, neighbours=1))
    image = np.random.default_rng(3).normal(size=(4, 8, 8, 1)).astype(np.float32)
    case = Case("a", image, np.arange(4 * 64).reshape(4, 8, 8) % 2)
    x, y = Sampler([case], spec, (8, 8), TrainOptions(batch=6)).batch(0, 0)
    assert x.shape == (6, 8, 8, 3) and y.shape == (6, 8, 8, 1)
    padded = np.pad(image[..., 0], [(1, 1), (0, 0), (0, 0)], mode="edge")
    stacks = [np.moveaxis(padded[z : z + 3], 0, -1) for z in range(4)]
    for patch in x:
        assert any(np.array_equal(patch, stack) for stack in stacks)
    mirrored = Sampler([case], spec, (8, 8), TrainOptions(batch=16, flips=(2,))).batch(0, 0)[0]
    for patch in mirrored:
        assert any(np.array_equal(patch, s) or np.array_equal(patch, s[:, ::-1]) for s in stacks)


def halves(model: keras.Model, spec: ModelSpec, **options) -> tuple[np.ndarray, np.ndarray]:
    """Run on a scan of exactly one window; return probabilities of the class, and uncertainty."""
    grid = Geometry((8, 8, 8), (3.0, 0.8, 0.7))
    scan = Volume(np.random.default_rng(0).random((8, 8, 8), np.float32), grid)
    out = outputs(scan, 1)
    run(opened(model, spec), scan, PredictOptions(probabilities=True, **options), out)
    return out.probabilities[..., 0], out.uncertainty


YES, NO = float(sigmoid(np.array(4.0))), float(sigmoid(np.array(-4.0)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_declared_axis_is_averaged_and_no_other_is_ever_mirrored(axis: int) -> None:
    """A network that finds one half only becomes symmetric along a declared axis, and stays as it is otherwise."""
    model, card = sided(3, axis), Preparation(3, 1, orientation=("S", "P", "L"))
    plain, _ = halves(model, one_class(3, preparation=card))
    first = np.moveaxis(plain, axis, 0)
    assert first[:4] == pytest.approx(YES, abs=1e-6) and first[4:] == pytest.approx(NO, abs=1e-6)
    for declared in [(0,), (1,), (2,), (0, 1), (1, 2)]:
        chances, _ = halves(model, one_class(3, preparation=card, symmetric=declared), flips=True)
        if axis in declared:
            assert chances == pytest.approx((YES + NO) / 2, abs=1e-6)  # 0.5 everywhere: neither side is preferred
        else:
            np.testing.assert_allclose(chances, plain, atol=1e-6)


def test_the_axis_is_one_of_the_body_not_of_the_file() -> None:
    """The phantom of sides: the same scan stored another way gets the same mirrored answer at the same places."""
    model = sided(3, 2)  # left is not right for it
    card = Preparation(3, 1, orientation=("S", "P", "L"))
    values = np.random.default_rng(4).random((8, 8, 8), np.float32)
    scan = Volume(values, Geometry((8, 8, 8), (3.0, 0.8, 0.7)))
    for symmetric, swaps in [((2,), True), ((0, 1), False)]:
        spec = one_class(3, preparation=card, symmetric=symmetric)
        for letters in [("S", "P", "L"), ("L", "I", "A"), ("A", "R", "S")]:
            how = scan.geometry.reorientation_to(letters)
            turned = scan.reoriented(how)
            out = outputs(turned, 1)
            run(opened(model, spec), turned, PredictOptions(flips=True), out)
            right = how.inverse.apply(out.probabilities, "zyxc")[..., 0]
            expected = np.full((8, 8, 8), (YES + NO) / 2) if swaps else np.broadcast_to([YES] * 4 + [NO] * 4, (8, 8, 8))
            np.testing.assert_allclose(right, expected, atol=1e-6)


def test_every_combination_of_declared_axes_is_run_once() -> None:
    spec = one_class(3, preparation=Preparation(3, 1), symmetric=(0, 1, 2))
    loaded = opened(mixing(3, np.ones(1)), spec)
    seen = []
    original = loaded.forward
    loaded.forward = lambda shape: lambda batch: seen.append(batch[0, ..., 0].copy()) or original(shape)(batch)
    scan = Volume(np.random.default_rng(0).random((8, 8, 8), np.float32), Geometry((8, 8, 8)))
    result = run(loaded, scan, PredictOptions(flips=True))
    expected = [np.flip(scan.array, a) for a in [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]]
    np.testing.assert_array_equal(seen, expected)
    assert result["windows"] == 1


def test_disagreement_between_mirrored_runs_becomes_the_map_of_doubt() -> None:
    """Two runs say p and q: their standard deviation is |p - q| / 2, and 0.5 is the largest there can be."""
    spec = one_class(3, preparation=Preparation(3, 1, orientation=("S", "P", "L")), symmetric=(2,))
    asked = {"flips": True, "uncertainty_kind": "variance"}
    _, doubt = halves(sided(3, 2), spec, **asked)
    assert np.abs(doubt.astype(int) - round(255 * (YES - NO))).max() <= 1
    _, sure = halves(sided(3, 0), spec, **asked)  # the mirrored axis does not matter to it
    assert sure.max() <= 1


def test_spread_of_several_runs_is_numpys_standard_deviation() -> None:
    spec = one_class(3, preparation=Preparation(3, 1), symmetric=(0, 1, 2))
    model = keras.Sequential([keras.Input((None, None, None, 1)), layers.Conv3D(1, 3, padding="same")])
    run_ = Run(opened(model, spec), (8, 8, 8), FakeContext(), flips=(0, 1, 2), spread=True)
    window = np.random.default_rng(5).normal(size=(8, 8, 8, 1)).astype(np.float32)
    given = run_.scores(window)
    ways = []
    for axes in [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]:
        logits = keras.ops.convert_to_numpy(model(np.flip(window, axes)[None].copy()))[0]
        ways.append(np.flip(sigmoid(logits), axes))
    np.testing.assert_allclose(given[..., 0], np.mean(ways, 0)[..., 0], atol=1e-6)
    np.testing.assert_allclose(given[..., 1], 2 * np.std(ways, 0)[..., 0], atol=1e-6)


def test_neighbours_are_mirrored_with_their_slices() -> None:
    """Along the axis of the slices only the order of the neighbours turns round."""
    spec = one_class(2, preparation=Preparation(2, 1, neighbours=1), symmetric=(0, 1, 2))
    scan = Volume(np.random.default_rng(6).normal(size=(5, 8, 8)).astype(np.float32), Geometry((5, 8, 8)))
    out = outputs(scan, 1)
    run(opened(mixing(2, np.array([3.0, 1.0, -2.0])), spec), scan, PredictOptions(flips=True), out)
    padded = np.pad(scan.array, [(1, 1), (0, 0), (0, 0)], mode="edge")
    one = sigmoid(3 * padded[:-2] + padded[1:-1] - 2 * padded[2:])
    other = sigmoid(-2 * padded[:-2] + padded[1:-1] + 3 * padded[2:])
    np.testing.assert_allclose(out.probabilities[..., 0], (one + other) / 2, atol=1e-5)


def test_a_classifier_is_mirrored_too() -> None:
    inputs = keras.Input((8, 8, 1))
    half = layers.Cropping2D(((0, 0), (0, 4)))(inputs)
    model = keras.Model(inputs, layers.Concatenate()([layers.GlobalAveragePooling2D()(half)] * 2))
    spec = replace(
        one_class(2, symmetric=(2,)),
        task="classification",
        tile=(),
        labels=LabelSet.from_names(("a", "b")),
        decision=Decision((1, 2), False, (0.5, 0.5)),
    )
    pixels = np.random.default_rng(7).random((1, 8, 8), np.float32)
    result = run(opened(model, spec), Volume(pixels, Geometry.picture(8, 8)), PredictOptions(flips=True))
    expected = (sigmoid(pixels[..., :4].mean()) + sigmoid(pixels[..., 4:].mean())) / 2
    assert list(result["scores"].values()) == pytest.approx([expected, expected], abs=1e-6)


FACING = Preparation(2, 1, orientation=("S", "P", "L"))


@pytest.mark.parametrize(
    ("preparation", "symmetric", "known", "words"),
    [
        (Preparation(2, 1), (), True, "declares no side that may be mirrored"),
        (Preparation(2, 1), (0,), True, "declares no side"),  # a single slice has no inside along its own axis
        (Preparation(2, 1), (2,), True, "the card does not say how the body lies"),
        (FACING, (2,), False, "the file does not state where left is"),
    ],
)
def test_mirroring_that_nobody_declared_is_refused_in_words(preparation, symmetric, known: bool, words: str) -> None:
    spec = one_class(2, preparation=preparation, symmetric=symmetric)
    scan = Volume(np.random.default_rng(0).random((3, 8, 8)), Geometry((3, 8, 8), orientation_known=known))
    with pytest.raises(InputError, match=words):
        run(opened(mixing(2, np.ones(1)), spec), scan, PredictOptions(flips=True))


def test_other_slices_are_mirrored_only_along_the_declared_side_of_the_body() -> None:
    spec = one_class(2, preparation=FACING, symmetric=(2,))
    scan = Volume(np.random.default_rng(0).random((8, 8, 8), np.float32), Geometry((8, 8, 8)))
    loaded = opened(sided(2, 1), spec)  # columns: left and right in coronal slices, front and back in sagittal ones
    out = outputs(scan, 1)
    run(loaded, scan, PredictOptions(flips=True, slices="coronal"), out)
    assert out.probabilities == pytest.approx((YES + NO) / 2, abs=1e-6)
    with pytest.raises(InputError, match="no side of sagittal slices may be mirrored"):
        run(loaded, scan, PredictOptions(flips=True, slices="sagittal"), out)


def test_what_cannot_be_done_is_refused_before_the_network_runs() -> None:
    loaded = opened(mixing(3, np.ones(1)), one_class(3))
    loaded.forward = lambda shape: pytest.fail("the network ran")
    scan = Volume(np.zeros((8, 8, 8)), Geometry((8, 8, 8)))
    for options, words in [
        (PredictOptions(slices="coronal"), "reads volumes whole"),
        (PredictOptions(region=((0, 9), (0, 8), (0, 8))), "box inside the scan's 8 x 8 x 8"),
        (PredictOptions(flips=True), "declares no side"),
    ]:
        with pytest.raises(InputError, match=words):
            run(loaded, scan, options)
