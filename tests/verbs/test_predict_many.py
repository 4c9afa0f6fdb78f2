"""Many cases: names, bad ones among good ones, tables of classes, and nothing written over an input."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from napari_medcnn.core.events import Cancel, Failed, Progress, result_of
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.errors import Cancelled, EngineError, InputError
from napari_medcnn.verbs import predict_many
from napari_medcnn.verbs.predict_many import ManyRequest, ManyResult
from napari_medcnn.worker.client import Engine
from tiny_packages import bright_xyz, nifti, photo

CASE_KEYS = [
    "input", "item", "status", "output", "classes", "volumes_ml", "device", "seconds", "warnings", "error"
]  # fmt: skip


def run(inputs: list[Path], model: Path, out: Path, engine: Engine, **more) -> ManyResult:
    return result_of(predict_many.run(ManyRequest(tuple(inputs), model, out, **more), Cancel(), engine))


def test_shape_of_the_report_and_what_is_written(tmp_path: Path, model: Path, engine: Engine) -> None:
    path = nifti(tmp_path / "in" / "scan.nii.gz")
    done = run([path], model, tmp_path / "out", engine)
    assert done.failed == 0
    report = json.loads(json.dumps(done.report))
    assert list(report) == ["model", "cases"]
    assert report["model"] == {"name": "tiny-mask", "sha256": _sha(model.parent / "tiny-mask.keras")}
    (case,) = report["cases"]
    assert list(case) == CASE_KEYS
    assert case["input"] == str(path) and case["status"] == "done" and case["error"] is None
    assert case["output"] == str(tmp_path / "out" / "scan.nii.gz")
    assert case["classes"] is None and case["device"] == "cpu"
    assert list(case["seconds"]) == ["load", "forward", "rest"]
    voxel_ml = 0.7 * 0.8 * 3.0 / 1000
    assert case["volumes_ml"] == {"bright": pytest.approx(bright_xyz(path).sum() * voxel_ml)}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "scan.nii.gz",
        "scan.provenance.json",
    ]
    record = json.loads((tmp_path / "out" / "scan.provenance.json").read_text())
    assert record["model"]["name"] == "tiny-mask" and "Research use only" in record["research_use"]


@pytest.mark.parametrize("seed", [1, 2])
def test_output_grid_is_the_input_grid_by_nibabel(tmp_path: Path, model: Path, engine: Engine, seed: int) -> None:
    path = nifti(tmp_path / "scan.nii.gz", seed=seed)
    run([path], model, tmp_path / "out", engine)
    before, after = nibabel.load(path), nibabel.load(tmp_path / "out" / "scan.nii.gz")
    assert after.shape == before.shape
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    assert int(after.header["sform_code"]) > 0
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.where(bright_xyz(path), 2, 0))


def test_equal_stems_get_their_folder_in_front(tmp_path: Path, model: Path, engine: Engine) -> None:
    paths = [nifti(tmp_path / p / "t1.nii.gz", seed=i) for i, p in enumerate(("anna", "bert"))]
    done = run(paths, model, tmp_path / "out", engine)
    assert [Path(c["output"]).name for c in done.report["cases"]] == ["anna_t1.nii.gz", "bert_t1.nii.gz"]
    for path, name in zip(paths, ("anna_t1", "bert_t1"), strict=True):
        mask = np.asarray(nibabel.load(tmp_path / "out" / f"{name}.nii.gz").dataobj)
        np.testing.assert_array_equal(mask == 2, bright_xyz(path))
        assert (tmp_path / "out" / f"{name}.provenance.json").is_file()


def test_one_bad_case_does_not_stop_the_rest(tmp_path: Path, model: Path, engine: Engine) -> None:
    good = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("ac")]
    cut = nifti(tmp_path / "b.nii.gz")
    cut.write_bytes(cut.read_bytes()[:-20])
    done = run([good[0], cut, tmp_path / "gone.nii.gz", good[1]], model, tmp_path / "out", engine)
    assert [c["status"] for c in done.report["cases"]] == ["done", "failed", "failed", "done"]
    assert done.failed == 2
    for case in done.report["cases"][1:3]:
        assert list(case) == CASE_KEYS
        assert case["output"] is None and case["error"]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.nii.gz")) == ["a.nii.gz", "c.nii.gz"]


def test_a_crash_of_the_engine_costs_one_case(tmp_path: Path, model: Path) -> None:
    import fake_engine

    orders = tmp_path / "orders.json"
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("abc")]
    engine = Engine(fake_engine.launch(orders))
    try:
        events = predict_many.run(ManyRequest(tuple(paths), model, tmp_path / "out"), Cancel(), engine)
        value = None
        for event in events:
            message = event.message if isinstance(event, Progress) else ""
            if message.startswith("2 of 3"):
                orders.write_text(json.dumps({"crash": True}))
            elif message.startswith("3 of 3"):
                orders.unlink()
            value = getattr(event, "value", value)
        assert [c["status"] for c in value.report["cases"]] == ["done", "failed", "done"]
        assert "crashed" in value.report["cases"][1]["error"]
    finally:
        engine.close()


def test_an_engine_that_always_dies_ends_the_run(tmp_path: Path, model: Path) -> None:
    import fake_engine

    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps({"crash": True}))
    paths = [nifti(tmp_path / f"{n}.nii.gz") for n in "abcde"]
    engine = Engine(fake_engine.launch(orders))
    try:
        last = list(predict_many.run(ManyRequest(tuple(paths), model, tmp_path / "out"), Cancel(), engine))[-1]
        assert isinstance(last, Failed) and isinstance(last.error, EngineError)
        assert "3 times in a row" in str(last.error)
    finally:
        engine.close()


def test_pictures_become_indexed_png(tmp_path: Path, photo_model: Path, engine: Engine) -> None:
    path = photo(tmp_path / "eye.png")
    done = run([path], photo_model, tmp_path / "out", engine)
    (case,) = done.report["cases"]
    assert case["volumes_ml"] is None
    with Image.open(case["output"]) as picture:
        assert picture.mode == "P" and picture.size == (12, 9)
        ids = np.array(picture)
    values = np.array(Image.open(path), dtype=float).mean(axis=-1)
    np.testing.assert_array_equal(ids, np.where(values > values.mean(), 2, 0))


def test_one_file_as_out_for_one_mask(tmp_path: Path, model: Path, engine: Engine) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    done = run([path], model, tmp_path / "mask.nrrd", engine)
    assert done.report["cases"][0]["output"] == str(tmp_path / "mask.nrrd")
    assert (tmp_path / "mask.nrrd").is_file() and (tmp_path / "mask.provenance.json").is_file()


def test_out_named_like_a_file_for_two_inputs_is_refused(tmp_path: Path, model: Path, engine: Engine) -> None:
    paths = [nifti(tmp_path / f"{n}.nii.gz") for n in "ab"]
    with pytest.raises(InputError, match="expected a folder"):
        run(paths, model, tmp_path / "mask.nii.gz", engine)
    assert not (tmp_path / "mask.nii.gz").exists()


def test_result_never_replaces_its_input(tmp_path: Path, model: Path, engine: Engine) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    before = path.read_bytes()
    done = run([path], model, tmp_path, engine)
    assert "would replace the input" in done.report["cases"][0]["error"]
    assert path.read_bytes() == before


def test_classes_go_into_one_table(tmp_path: Path, class_model: Path, engine: Engine) -> None:
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("ab")]
    done = run([*paths, tmp_path / "gone.nii"], class_model, tmp_path / "out", engine)
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert table == [
        ["input", "class", "p_well", "p_ill"],
        [str(paths[0]), "well", "0.900000", "0.100000"],
        [str(paths[1]), "well", "0.900000", "0.100000"],
    ]
    case = done.report["cases"][0]
    assert case["classes"] == {"well": pytest.approx(0.9), "ill": pytest.approx(0.1)}
    assert case["volumes_ml"] is None
    assert case["output"] == str(tmp_path / "out" / "predictions.csv")
    assert {p.name for p in (tmp_path / "out").glob("*.provenance.json")} == {"a.provenance.json", "b.provenance.json"}
    assert done.failed == 1


def test_probabilities_lie_beside_the_mask_on_its_grid(tmp_path: Path, model: Path, engine: Engine) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    run([path], model, tmp_path / "out", engine, options=PredictOptions(probabilities=True))
    image = nibabel.load(tmp_path / "out" / "scan.probabilities.nii.gz")
    np.testing.assert_allclose(image.affine, nibabel.load(path).affine, atol=1e-5)
    scores = np.squeeze(np.asarray(image.dataobj, dtype=float))
    np.testing.assert_allclose(scores, np.where(bright_xyz(path), 0.9, 0.1), atol=1e-3)


def test_cancel_between_cases_keeps_what_is_done(tmp_path: Path, model: Path, engine: Engine) -> None:
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("abc")]
    cancel = Cancel()
    events = []
    for event in predict_many.run(ManyRequest(tuple(paths), model, tmp_path / "out"), cancel, engine):
        events.append(event)
        if isinstance(event, Progress) and event.message.startswith("2 of 3"):
            cancel.set()
    assert isinstance(events[-1], Failed) and isinstance(events[-1].error, Cancelled)
    assert [p.name for p in (tmp_path / "out").glob("*.nii.gz")] == ["a.nii.gz"]


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_channels_joined_by_a_bar(tmp_path: Path, engine: Engine) -> None:
    from tiny_packages import package, segmenter

    two = package(tmp_path / "p", segmenter("two", channels=2))
    a, b = nifti(tmp_path / "a.nii.gz", seed=1), nifti(tmp_path / "b.nii.gz", seed=2)
    done = run([Path(f"{a}|{b}")], two, tmp_path / "out", engine)
    (case,) = done.report["cases"]
    assert case["status"] == "done" and case["input"] == f"{a}|{b}"
    assert case["output"] == str(tmp_path / "out" / "a.nii.gz")
    both = sum(np.asarray(nibabel.load(p).dataobj, dtype=float) for p in (a, b)) / 2
    np.testing.assert_array_equal(np.asarray(nibabel.load(case["output"]).dataobj) == 2, both > both.mean())
    wrong = run(
        [a, Path(f"{a}|"), Path(f"{a}|{tmp_path / 'gone.nii'}"), Path(f"{a}|{b}|{b}")], two, tmp_path / "o", engine
    )
    errors = [c["error"] for c in wrong.report["cases"]]
    assert "takes 2" in errors[0] and "on each side" in errors[1] and "gone.nii" in errors[2] and "takes 2" in errors[3]


def test_uncertainty_lies_beside_the_mask_when_asked_for(tmp_path: Path, model: Path, engine: Engine) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    run([path], model, tmp_path / "out", engine, options=PredictOptions(uncertainty=True))
    image = nibabel.load(tmp_path / "out" / "scan.uncertainty.nii.gz")
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_allclose(image.affine, nibabel.load(path).affine, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(image.dataobj), np.where(bright_xyz(path), 20, 10))


def test_progress_of_a_case_is_its_share_of_the_run(tmp_path: Path, model: Path) -> None:
    import fake_engine

    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps({"slow": 0.1}))
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("ab")]
    engine = Engine(fake_engine.launch(orders))
    try:
        events = predict_many.run(ManyRequest(tuple(paths), model, tmp_path / "out"), Cancel(), engine)
        seen = [(e.message, e.fraction) for e in events if isinstance(e, Progress) and "Window" in e.message]
    finally:
        engine.close()
    first = [f for m, f in seen if m.startswith("a.nii.gz")]
    second = [f for m, f in seen if m.startswith("b.nii.gz")]
    assert first and second and first == sorted(first) and second == sorted(second)
    assert min(first) >= 0 and max(first) < 0.5 <= min(second) and max(second) < 1


def test_a_folder_of_many_files_is_looked_at_once(
    tmp_path: Path, photo_model: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_medcnn.io import packages, read

    for n in range(6):
        photo(tmp_path / "in" / f"{n}.png", seed=n)
    looked, opened = [], []
    real_look, real_open = read.scan_steps, packages.read_package
    monkeypatch.setattr(read, "scan_steps", lambda paths: looked.extend(paths) or real_look(paths))
    monkeypatch.setattr(predict_many.predict, "read_package", lambda path: opened.append(path) or real_open(path))
    done = run([tmp_path / "in"], photo_model, tmp_path / "out", engine)
    assert done.failed == 0 and len(done.report["cases"]) == 6
    assert [c["item"] for c in done.report["cases"]] == [f"{n}.png" for n in range(6)]
    assert looked == [tmp_path / "in"] and len(opened) == 1


def test_a_dicom_series_in_a_folder_is_read_from_its_own_files(
    tmp_path: Path, model: Path, engine: Engine, shared_data
) -> None:
    from napari_medcnn.core.consent import Consent
    from napari_medcnn.io.read import inspect, read_item, read_volume

    folder = shared_data("zoo-dicom2nifti")
    found = inspect(folder)
    items = [i for i in found.items if i.kind == "volume"][:4]
    assert items
    agreed = Consent(resample=True, duplicates="first")
    for item in items:
        one, other = read_item(found, item, agreed), read_volume(folder, item.id, agreed)
        np.testing.assert_array_equal(one.array, other.array)
        assert one.geometry == other.geometry and one.source == other.source
