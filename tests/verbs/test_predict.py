"""One scan through the fake engine: the mask stands where nibabel says the bright voxels are."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cases import noise
from napari_medcnn.core.events import Cancel, Failed, Progress, result_of
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import Cancelled, EngineError, InputError, ModelError
from napari_medcnn.io.read import read_volume
from napari_medcnn.verbs import predict
from napari_medcnn.verbs.predict import PredictRequest
from napari_medcnn.worker.client import Engine
from tiny_packages import bright_xyz, nifti, package, picky, segmenter


def volume_of(shape=(4, 6, 5), axes="zyx", **more) -> Volume:
    grid = shape[1:4] if axes.startswith("t") else shape[:3]
    return Volume(noise(shape), Geometry(grid, (3.0, 0.8, 0.7)), axes, **more)


def run(request: PredictRequest, engine: Engine):
    return result_of(predict.run(request, Cancel(), engine))


def test_mask_is_on_the_scans_own_grid(tmp_path: Path, model: Path, engine: Engine) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    volume = read_volume(path)
    result = run(PredictRequest(volume, model), engine)
    assert isinstance(result, Segmentation)
    assert result.mask.geometry == volume.geometry
    assert result.mask.array.dtype == np.uint8
    np.testing.assert_array_equal(result.mask.array.T, np.where(bright_xyz(path), 2, 0))
    assert result.mask.labels.names == ("bright",)
    assert result.scores == {"bright": pytest.approx(0.9)}
    assert set(np.unique(result.uncertainty)) == {10, 20}
    assert result.probabilities is None


def test_probabilities_only_when_asked_for(model: Path, engine: Engine) -> None:
    options = PredictOptions(probabilities=True, uncertainty=False)
    result = run(PredictRequest(volume_of(), model, options), engine)
    assert result.uncertainty is None
    assert result.probabilities.shape == (4, 6, 5, 1)
    np.testing.assert_allclose(result.probabilities[..., 0], np.where(result.mask.array == 2, 0.9, 0.1), atol=1e-3)
    assert result.channel_names == ("bright",)


def test_record_says_how_it_was_made_and_names_nobody(tmp_path: Path, model: Path, engine: Engine) -> None:
    volume = read_volume(nifti(tmp_path / "Doe_Jane.nii.gz"))
    data = run(PredictRequest(volume, model, PredictOptions(device="cpu")), engine).provenance.to_json()
    weights = hashlib.sha256((model.parent / "tiny-mask.keras").read_bytes()).hexdigest()
    assert data["model"] == {"name": "tiny-mask", "version": "1.0", "sha256": weights, "licence": "CC0-1.0"}
    assert data["options"]["device"] == "cpu"
    assert data["input"]["sha256"] == hashlib.sha256(np.ascontiguousarray(volume.array).tobytes()).hexdigest()
    assert data["input"]["shape"] == list(volume.array.shape)
    assert data["input"]["spacing_mm"] == pytest.approx(list(volume.geometry.spacing_mm))
    assert set(data["seconds"]) == {"load", "forward", "rest"}
    assert data["versions"]["fake"] == "1" and "napari-medcnn" in data["versions"]
    assert data["time"][10] == "T" and data["time"][-6] in "+-"
    assert "Doe" not in json.dumps(data)


def test_time_point_is_chosen(model: Path, engine: Engine) -> None:
    volume = volume_of((3, 4, 6, 5), "tzyx")
    result = run(PredictRequest(volume, model, PredictOptions(frame=2)), engine)
    frame = volume.array[2].astype(float)
    np.testing.assert_array_equal(result.mask.array == 2, frame > frame.mean())


def test_time_point_that_is_not_there(model: Path, engine: Engine) -> None:
    with pytest.raises(InputError, match="has 1 time points"):
        run(PredictRequest(volume_of(), model, PredictOptions(frame=1)), engine)


def test_channels_that_do_not_fit_stop_even_when_insisted_on(model: Path, engine: Engine) -> None:
    volume = volume_of((4, 6, 5, 3), "zyxc")
    with pytest.raises(InputError, match="takes 1, this scan has 3"):
        run(PredictRequest(volume, model, PredictOptions(ignore_fit=True)), engine)


def test_wrong_modality_stops_until_insisted_on_and_stays_on_the_result(tmp_path: Path, engine: Engine) -> None:
    ct_only = package(tmp_path, picky())
    volume = volume_of(modality="MR")
    with pytest.raises(InputError, match=r"This is MR; the model was trained on CT.*ignore-fit"):
        run(PredictRequest(volume, ct_only), engine)
    result = run(PredictRequest(volume, ct_only, PredictOptions(ignore_fit=True)), engine)
    assert ("override", "Modality") in [(i.level, i.topic) for i in result.fit]
    assert any("This is MR" in note for note in result.provenance.notes)


def test_row_47_the_memory_a_run_takes_is_said_before_it(model: Path, engine: Engine, monkeypatch) -> None:
    request = PredictRequest(volume_of(), model)
    events = list(predict.run(request, Cancel(), engine))
    told = [e.message for e in events if isinstance(e, Progress)]
    before = told.index("Handing the scan over")
    assert any(m.startswith("About ") and " window" in m for m in told[:before])
    assert events[-1].value.warnings == ()
    monkeypatch.setattr(predict, "free_bytes", lambda: 1000)
    result = run(request, engine)
    assert len(result.warnings) == 1 and result.warnings[0].startswith("Memory may be short: about ")
    assert result.warnings[0] in result.provenance.notes
    assert (result.mask.array == 2).any()  # said, not refused
    monkeypatch.setattr(predict, "free_bytes", lambda: None)
    assert run(request, engine).warnings == ()


def test_row_47_an_engine_that_ended_for_want_of_memory_is_explained(tmp_path: Path, model: Path, monkeypatch) -> None:
    import fake_engine

    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps({"crash": True}))
    engine = Engine(fake_engine.launch(orders))
    try:
        for free, told in [(1000, True), (None, False)]:
            monkeypatch.setattr(predict, "free_bytes", lambda free=free: free)
            with pytest.raises(EngineError) as caught:
                run(PredictRequest(volume_of(), model), engine)
            assert caught.value.state == "crashed"
            assert ("Memory may be short: about" in str(caught.value)) is told
    finally:
        engine.close()


def test_row_49_what_the_options_ask_for_is_compared_with_the_model_before_the_engine_starts(model: Path) -> None:
    class Never:
        def __getattr__(self, name):
            pytest.fail("the engine was used")

    for options, words in [
        (PredictOptions(region=((0, 4), (0, 6), (0, 6))), r"region: expected a box inside the scan's 4 x 6 x 5 voxels"),
        (PredictOptions(slices="coronal"), "this model reads volumes whole"),
        (PredictOptions(flips=True), "tiny-mask declares no side that may be mirrored"),
    ]:
        with pytest.raises(InputError, match=words):
            run(PredictRequest(volume_of(), model, options), Never())


def test_the_record_holds_every_option(tmp_path: Path, engine: Engine) -> None:
    flat = package(tmp_path, segmenter("flat", 2, symmetric=(1, 2)))
    options = PredictOptions(
        region=((0, 2), (1, 6), (0, 5)),
        slices="axial",
        flips=True,
        uncertainty_kind="variance",
        coarse=True,
        engine="keras",
    )
    data = run(PredictRequest(volume_of(), flat, options), engine).provenance.to_json()
    assert PredictOptions.from_json(json.loads(json.dumps(data))["options"]) == options


def test_class_scores(class_model: Path, engine: Engine) -> None:
    result = run(PredictRequest(volume_of(), class_model), engine)
    assert isinstance(result, Classification)
    assert dict(result.probabilities) == {"well": pytest.approx(0.9), "ill": pytest.approx(0.1)}
    assert result.chosen == ("well",)


def test_unknown_model_names_those_there_are(engine: Engine) -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        run(PredictRequest(volume_of(), "no-such-model"), engine)


def test_bare_keras_file_says_what_it_lacks(model: Path, engine: Engine) -> None:
    with pytest.raises(ModelError, match="does not say how scans are prepared"):
        run(PredictRequest(volume_of(), model.parent / "tiny-mask.keras"), engine)


def test_cancel_ends_the_run_and_nothing_stays_behind(tmp_path: Path, model: Path) -> None:
    import fake_engine

    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps({"slow": 60}))
    engine = Engine(fake_engine.launch(orders))
    try:
        cancel = Cancel()
        started = time.monotonic()
        timer = threading.Timer(1.0, cancel.set)
        timer.start()
        last = list(predict.run(PredictRequest(volume_of(), model), cancel, engine))[-1]
        timer.cancel()
        assert isinstance(last, Failed) and isinstance(last.error, Cancelled)
        assert time.monotonic() - started < 30
        assert [p.name for p in engine.exchange.folder.glob("*.raw")] == []
    finally:
        engine.close()


def test_a_kept_scan_is_written_once_and_the_rest_is_dropped(model: Path, engine: Engine) -> None:
    volume = volume_of((4, 6, 7))
    before = set(engine.exchange.folder.glob("*.raw"))
    run(PredictRequest(volume, model, keep=True), engine)
    first = set(engine.exchange.folder.glob("*.raw")) - before
    run(PredictRequest(volume, model, keep=True), engine)
    assert set(engine.exchange.folder.glob("*.raw")) - before == first
    assert len(first) == 1
    engine.exchange.forget(predict.scan_key(predict.voxel_sha256(volume)))
    assert set(engine.exchange.folder.glob("*.raw")) == before


def test_hash_does_not_depend_on_memory_order_or_byte_order() -> None:
    volume = volume_of()
    flipped = volume.array[::-1].copy()[::-1]
    big = volume.array.astype(">i2")
    expected = hashlib.sha256(volume.array.astype("<i2").tobytes()).hexdigest()
    assert predict.voxel_sha256(volume) == expected
    assert predict.voxel_sha256(replace(volume, array=flipped)) == expected
    assert predict.voxel_sha256(replace(volume, array=big)) == expected
