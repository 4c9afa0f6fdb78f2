"""Where a map lies in the body: turned, cropped, resampled scans; regions and windows; and what memory allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from engine_cases import FakeContext, opened
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.spec import Decision, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.networks import threshold_segmenter_3d
from napari_medcnn.engine.saliency.target import on_model_grid
from napari_medcnn.errors import InputError
from napari_medcnn.imaging import pipeline
from napari_medcnn.imaging.pipeline import restore_map
from saliency_cases import convolution, explained, gap_classifier, noise, pooled, question, scan_of, segmenter, spec_of

#: Axis order and signs of the scan's grid: rows of LPS directions of array axes z, y, x.
TURNS = {
    "as is": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]]),
}


def bright_block(direction: np.ndarray) -> tuple[Volume, np.ndarray]:
    """Return a scan with one bright block off the middle on every axis, and the block's centre in mm."""
    shape = (20, 44, 40)
    array = np.zeros(shape, np.float32)
    block = (slice(12, 16), slice(6, 14), slice(24, 32))
    array[block] = 1
    # columns are the LPS directions of x, y, z in the geometry's own convention
    geometry = Geometry(shape, (2.0, 0.8, 0.9), (-31.0, 12.0, 55.0), direction)
    centre = geometry.index_to_lps([(s.start + s.stop - 1) / 2 for s in block])
    return Volume(array, geometry, modality="CT"), centre


def bright_classifier(dimensions: int) -> Any:
    """Score = mean over places of relu(mean of 3 voxels - 0.5), after pooling by 2."""
    inputs = keras.Input((*[None] * dimensions, 1))
    pool = getattr(layers, f"AveragePooling{dimensions}D")(2)(inputs)
    conv = convolution(dimensions, 1, 1, activation="relu", name="conv")
    dense = layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, dense(pooled(dimensions)(conv(pool))))
    conv.set_weights([np.ones((*[1] * dimensions, 1, 1), np.float32), np.array([-0.5], np.float32)])
    dense.set_weights([np.ones((1, 1), np.float32)])
    return model


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("spacing", [None, (1.6, 1.2, 1.2)])
@pytest.mark.parametrize("method", ["grad-cam", "gradient", "occlusion", "integrated-gradients"])
def test_the_map_lies_on_the_block_that_drives_the_score(turn: str, spacing: Any, method: str) -> None:
    scan, centre = bright_block(TURNS[turn])
    preparation = Preparation(3, 1, orientation=("S", "P", "L"), spacing_mm=spacing)
    spec = spec_of(3, "classification", 1, preparation=preparation, divisor=2)
    options = {"patch_mm": 5.0, "steps": 8, "baseline": "black"}
    made, _ = explained(bright_classifier(3), scan, spec, method=method, **options)
    weight = np.maximum(made, 0)
    index = [float((np.indices(made.shape)[a] * weight).sum() / weight.sum()) for a in range(3)]
    distance = np.linalg.norm(scan.geometry.index_to_lps(index) - centre)
    # mm: half a voxel of the coarsest grid, half a stride of occlusion; a flip would be above 8 mm
    assert distance < (1.9 if method == "occlusion" else 1.0)


def test_a_region_comes_to_the_voxels_that_the_network_sees_there() -> None:
    scan, _ = bright_block(TURNS["sagittal"])
    preparation = Preparation(3, 1, orientation=("S", "P", "L"), spacing_mm=(1.6, 1.2, 1.2))
    prepared = pipeline.prepare(scan, preparation)
    here = on_model_grid(scan.array > 0, prepared.record)
    assert here.sum() > 20
    assert prepared.data[..., 0][here].min() > 0.3
    assert prepared.data[..., 0][~here].max() < 0.7


def test_one_voxel_that_vanishes_between_coarse_ones_keeps_its_nearest() -> None:
    scan, _ = bright_block(TURNS["flipped"])
    prepared = pipeline.prepare(scan, Preparation(3, 1, orientation=("S", "P", "L"), spacing_mm=(6.0, 4.0, 4.0)))
    for voxel in [(0, 0, 0), (19, 43, 39), (7, 21, 13)]:
        region = np.zeros(scan.geometry.shape, bool)
        region[voxel] = True
        here = on_model_grid(region, prepared.record)
        assert here.sum() == 1
        away = prepared.record.model.index_to_lps(np.argwhere(here)[0]) - scan.geometry.index_to_lps(voxel)
        assert np.abs(away).max() <= 3.1  # half a voxel of 6 mm, and the edge


def test_a_region_that_was_cropped_away_is_refused() -> None:
    array = np.full((6, 20, 20), -1000.0)
    array[1:5, 5:15, 5:15] = 0
    scan = scan_of(array, modality="CT")
    spec = spec_of(3, "segmentation", preparation=Preparation(3, 1, crop_above=-500.0))
    region = np.zeros((6, 20, 20), bool)
    region[0, 0, 0] = True
    with pytest.raises(InputError, match="does not look there"):
        explained(segmenter(3), scan, spec, region, method="gradient")


def truth(model: Any, scan: Volume, region: np.ndarray) -> np.ndarray:
    """Return the absolute gradient of the score of class one summed over the region, by TensorFlow, all at once."""
    import tensorflow as tf

    x = tf.constant(scan.array[None, ..., None])
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.reduce_sum(model(x)[0, ..., 0][region])
    return np.abs(tape.gradient(score, x).numpy()[0, ..., 0])


@pytest.mark.parametrize("size", [2, 10])
def test_windows_of_a_large_volume_add_up(size: int) -> None:
    """One window where the region fits; several else. Exact: around what counts lie the 2 voxels the network sees."""
    model, scan = segmenter(3), scan_of(noise((12, 30, 28)))
    region = np.zeros((12, 30, 28), bool)
    region[5:7, 9 : 9 + size, 8 : 8 + size] = True
    spec = spec_of(3, "segmentation", tile=(8, 8, 8))
    asked = question(model, scan, spec, region, method="gradient")
    assert len(asked.views.views) == (1 if size == 2 else 9)
    counted = np.zeros(asked.data.shape[:3], np.float32)
    for view in asked.views.views:
        counted[view.inside] += view.weights[view.here]
    np.testing.assert_array_equal(restore_map(counted, asked.record), region)  # every voxel once
    assert asked.data.size < scan.array.size / 2  # only what is looked at is kept
    made, _ = explained(model, scan, spec, region, method="gradient")
    np.testing.assert_allclose(made, truth(model, scan, region), atol=1e-4)


@pytest.mark.parametrize("spacing", [(1.5, 0.4, 0.35), (6.0, 1.7, 1.3)])
def test_what_is_kept_of_a_large_scan_lies_where_it_lay(spacing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same map with the whole scan and with the part around the windows alone; the gradient ends before theirs."""
    from napari_medcnn.engine.saliency import focus

    scan, region = scan_of(noise((16, 40, 36))), np.zeros((16, 40, 36), bool)
    region[3:5, 30:33, 6:9] = True
    preparation = Preparation(3, 1, orientation=("S", "A", "R"), spacing_mm=spacing)
    spec = spec_of(3, "segmentation", preparation=preparation, tile=(16, 16, 16))
    made = {}
    for name, share in (("whole", -1.0), ("part", 2.0)):
        monkeypatch.setattr(focus, "_WORTH", share)
        made[name], _ = explained(segmenter(3), scan, spec, region, method="gradient")
    assert made["whole"].any()
    np.testing.assert_allclose(made["part"], made["whole"], atol=1e-5)


def test_only_slices_with_the_region_are_shown_to_a_2d_network() -> None:
    model, scan = segmenter(2), scan_of(noise((7, 12, 12)))
    region = np.zeros((7, 12, 12), bool)
    region[2, 3:5, 4] = region[5, 6, 7] = True
    spec = spec_of(2, "segmentation", tile=(12, 12))
    asked = question(model, scan, spec, region, method="gradient")
    assert len(asked.views.views) == 2
    made, _ = explained(model, scan, spec, region, method="gradient")
    assert np.flatnonzero(made.any(axis=(1, 2))).tolist() == [2, 5]
    answers = keras.ops.convert_to_numpy(model(scan.array[..., None]))
    assert asked.score(asked.data) == pytest.approx(float(answers[region][:, 0].sum()), rel=1e-5)


def test_a_2d_classifier_explains_every_slice_of_a_volume() -> None:
    model, scan = gap_classifier(2), scan_of(noise((5, 12, 10)))
    made, reply = explained(model, scan, spec_of(2, "classification"), method="gradient")
    one, first = explained(model, scan_of(scan.array[3:4]), spec_of(2, "classification"), method="gradient")
    np.testing.assert_allclose(made[3], one[0] / 5, rtol=1e-5)  # the score is the mean over the slices
    answers = keras.ops.convert_to_numpy(model(scan.array[..., None]))
    assert reply["score"] == pytest.approx(float(answers[:, 0].mean()), rel=1e-5)
    assert first["score"] == pytest.approx(float(answers[3, 0]), rel=1e-5)


def thresholds_spec(**changes: Any) -> Any:
    return spec_of(3, "segmentation", decision=Decision((0, 1, 2), exclusive=True), **changes)


def ramp() -> Volume:
    """Dark, then grey (one) from x = 6, then white (two) from x = 12."""
    array = np.zeros((4, 10, 16), np.float32)
    array[..., 6:12], array[..., 12:] = 0.5, 1.0
    return scan_of(array)


def test_without_a_region_the_voxels_that_the_network_gives_the_class_are_explained() -> None:
    model = threshold_segmenter_3d([0.3, 0.7], smooth=1)
    asked = question(model, ramp(), thresholds_spec(), method="gradient", target="two")
    restored = restore_map(asked.region.astype(np.float32), asked.record)
    np.testing.assert_array_equal(restored, ramp().array == 1.0)
    most = question(model, ramp(), thresholds_spec(), method="gradient", target="")
    assert most.target == "one"  # 6 columns of 16, white has 4


def test_a_voxel_without_a_class_takes_the_one_that_the_network_gives_it() -> None:
    model, region = threshold_segmenter_3d([0.3, 0.7], smooth=1), np.zeros((4, 10, 16), bool)
    region[1, 2, 13] = True
    assert question(model, ramp(), thresholds_spec(), region, target="").target == "two"
    region[:] = False
    region[1, 2, 0] = True
    with pytest.raises(InputError, match=r"gives background there.*one, two"):
        question(model, ramp(), thresholds_spec(), region, target="")


def test_a_class_that_the_network_does_not_find_is_said() -> None:
    model, dark = threshold_segmenter_3d([0.3, 0.7], smooth=1), scan_of(noise((4, 10, 16)) * 0.01)
    with pytest.raises(InputError, match="no voxel of this scan the class two"):
        question(model, dark, thresholds_spec(), target="two")
    with pytest.raises(InputError, match="finds no class"):
        question(model, dark, thresholds_spec(), target="")


def test_short_of_memory_takes_fewer_windows_then_smaller_ones_then_the_cpu() -> None:
    from napari_medcnn.engine.saliency.asking import Scan, attempted

    loaded = opened(segmenter(3), spec_of(3, "segmentation", tile=(32, 32, 32)))
    region = np.zeros((40, 40, 40), bool)
    region[20, 20, 20] = True
    scan = Scan(scan_of(noise(region.shape)), region, ExplainOptions(target="one", method="gradient"), FakeContext())
    tried: list[Any] = []

    def attempts() -> Iterator[Any]:
        yield None, "GPU"
        yield loaded, "CPU"

    def answer(asked: Any) -> dict[str, Any]:
        tried.append((asked.views.size, asked.batch))
        if len(tried) < 4:
            raise MemoryError
        return {"warnings": ["own"]}

    reply = attempted(attempts, scan, answer)
    assert tried == [((32, 32, 32), 2), ((32, 32, 32), 1), ((16, 32, 32), 2), ((16, 32, 32), 1)]
    assert reply["warnings"][0] == "Memory was short on the GPU."
    assert "windows of 16 x 32 x 32" in reply["warnings"][1]
    assert reply["warnings"][-1] == "own"
    tried.clear()
    with pytest.raises(MemoryError):
        attempted(attempts, scan, lambda asked: (_ for _ in ()).throw(MemoryError()))


def test_a_place_that_the_model_calls_otherwise_is_said() -> None:
    """Class two where the value is above 0, class one below: pointed at, each place is one or the other."""
    inputs = keras.Input((None, None, 1))
    head = convolution(2, 2, 1, name="head")
    model = keras.Model(inputs, head(inputs))
    head.set_weights([np.array([-1.0, 1.0], np.float32).reshape(1, 1, 1, 2), np.zeros(2, np.float32)])
    array = np.ones((1, 8, 8), np.float32)
    array[0, :, 4:] = -1
    told = {}
    for x in (1, 6):
        region = np.zeros((1, 8, 8), bool)
        region[0, 3, x] = True
        _, reply = explained(
            model, scan_of(array), spec_of(2, "segmentation"), region, method="gradient", voxel=(0, 3, x)
        )
        told[x] = " ".join(reply["warnings"])
    assert "The model calls this place two, not one" in told[1] and "calls this place" not in told[6]
