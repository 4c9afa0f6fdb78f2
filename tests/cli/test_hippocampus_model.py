"""The shipped model `hippocampus-t1` as users run it: its own test, scans stored in any order, the real validation."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from cases import REPOSITORY
from napari_medcnn.core.events import result_of
from napari_medcnn.core.fit import check_fit, worst
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.packages import read_package
from napari_medcnn.worker.client import Engine, Launch

PACKAGE = REPOSITORY / "src" / "napari_medcnn" / "models" / "hippocampus-t1"
LOG = REPOSITORY / "recipes" / "logs" / "hippocampus_t1.json"
FLOORS = {1: 0.88, 2: 0.86}


def needs_keras() -> None:
    """Skip without Keras; it is never imported here, where window tests follow in the same process."""
    if find_spec("keras") is None:
        pytest.skip("Keras is not installed here")


def predict(inputs: list[Path], out: Path, minutes: float) -> list[Path]:
    words = [sys.executable, "-m", "napari_medcnn.cli", "predict", "-m", "hippocampus-t1", *inputs, "-o", out, "--json"]
    ran = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=minutes * 60, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    cases = json.loads(ran.stdout)["cases"]
    assert [case["status"] for case in cases] == ["done"] * len(inputs)
    return [Path(case["output"]) for case in cases]


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


def dice(expected: np.ndarray, found: np.ndarray) -> float:
    return 2 * np.count_nonzero(expected & found) / (np.count_nonzero(expected) + np.count_nonzero(found))


def test_the_card_says_what_it_must() -> None:
    spec, log = read_package(PACKAGE).spec, json.loads(LOG.read_text())
    assert (spec.licence, spec.task) == ("CC-BY-SA-4.0", "segmentation")
    assert [spec.labels.name_of(i) for i in (1, 2)] == ["anterior hippocampus", "posterior hippocampus"]
    for label, part in ((1, "anterior"), (2, "posterior")):
        score = spec.scores["dice"][f"{part} hippocampus"]
        assert FLOORS[label] <= score["mean"] and score["low"] < score["mean"] < score["high"] and score["n"] == 36
        assert score == log["validation"]["dice"][part]
    assert list(spec.fingerprint.field_of_view_mm[0]) == log["sides_mm_of_training_crops"]
    found, largest = (log["training"][key] for key in ("dice", "largest_pieces"))
    assert not spec.postprocess and all(largest[part]["mean"] <= found[part]["mean"] for part in found)
    assert "whole head" in spec.intended_use and "mirror" in spec.limits
    assert (PACKAGE / "weights.keras").stat().st_size < 8_000_000


@pytest.mark.parametrize(
    ("shape", "level"), [((36, 50, 35), "ok"), ((50, 36, 35), "ok"), ((180, 240, 240), "override")]
)
def test_it_takes_a_box_in_any_order_and_stops_at_a_whole_head(shape: tuple[int, int, int], level: str) -> None:
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert worst(check_fit(Volume(noise, Geometry(shape), modality="MR"), read_package(PACKAGE).spec)) == level


@pytest.mark.slow
def test_its_own_test_tensors_come_out() -> None:
    needs_keras()
    engine = Engine(Launch())
    try:
        reply = result_of(engine.run("self_test", {"model": str(PACKAGE)}, threading.Event()))
    finally:
        engine.close()
    assert reply["ok"] is True and reply["largest_difference"] < 1e-3


@pytest.mark.slow
def test_storage_order_and_intensity_scale_do_not_count(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    """One crop stored in four orders and on two scales: nibabel turns the masks back, and they are the same."""
    needs_keras()
    scan = nibabel.load(shared_data("hippocampus-mri/images") / "hippocampus_011.nii.gz")
    inputs = [tmp_path / f"{name}.nii.gz" for name in ("RAS", "LPS", "PIR", "ASL", "scaled")]
    for path in inputs[:4]:
        order = ornt_transform(io_orientation(scan.affine), axcodes2ornt(path.name[:3]))
        scan.as_reoriented(order).to_filename(path)
    nibabel.Nifti1Image((scan.get_fdata() * 3 + 100).astype(np.float32), scan.affine).to_filename(inputs[4])
    turned = []
    for before, after in zip(inputs, predict(inputs, tmp_path / "out", 5), strict=True):
        mask = nibabel.load(after)
        np.testing.assert_allclose(mask.affine, nibabel.load(before).affine, atol=1e-5)
        back = ornt_transform(io_orientation(mask.affine), io_orientation(scan.affine))
        turned.append(np.asarray(mask.as_reoriented(back).dataobj))
    assert min(np.count_nonzero(turned[0] == k) for k in (1, 2)) > 500
    for mask in turned[1:4]:
        np.testing.assert_array_equal(mask, turned[0])
    assert np.mean(turned[4] != turned[0]) < 1e-4, "only rounding may differ"


@pytest.mark.proof
def test_the_validation_crops_reach_the_floors(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    """Every fifth crop by file name; nibabel reads, plain counting gives the Dice."""
    folder = shared_data("hippocampus-mri")
    inputs = sorted((folder / "images").glob("*.nii.gz"))[4::5]
    log = json.loads(LOG.read_text())
    assert [path.name.removesuffix(".nii.gz") for path in inputs] == list(log["per_case"]) and len(inputs) == 36
    found: dict[int, list[float]] = {1: [], 2: []}
    for path, output in zip(inputs, predict(inputs, tmp_path / "out", 30), strict=True):
        before, after = nibabel.load(path), nibabel.load(output)
        assert after.shape == before.shape, path.name
        np.testing.assert_allclose(after.affine, before.affine, atol=1e-5, err_msg=path.name)
        mask, expected = voxels(output), np.rint(voxels(folder / "labels" / path.name))
        assert set(np.unique(mask)) == {0, 1, 2}, path.name
        for label, scores in found.items():
            scores.append(dice(expected == label, mask == label))
        assert [scores[-1] for scores in found.values()] == pytest.approx(
            log["per_case"][path.name.removesuffix(".nii.gz")]["dice"], abs=0.002
        )
    for label, floor in FLOORS.items():
        assert np.mean(found[label]) >= floor
