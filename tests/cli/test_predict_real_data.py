"""``medcnn predict`` as a user types it, on every real case there is: grids stay, and nothing else changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from cases import REPOSITORY

PHANTOM_NETWORK = REPOSITORY / "tests" / "data" / "phantom-thresholds"
RETINA = REPOSITORY / "src" / "napari_medcnn" / "models" / "retina-vessels"


def hashes(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def predict(model: Path, inputs: list[Path], out: Path, minutes: float) -> dict:
    words = [sys.executable, "-m", "napari_medcnn.cli", "predict", "-m", model, *inputs, "-o", out, "--json"]
    ran = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=minutes * 60, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)


def check_volumes(inputs: list[Path], out: Path, report: dict) -> None:
    assert [case["status"] for case in report["cases"]] == ["done"] * len(inputs)
    for path, case in zip(inputs, report["cases"], strict=True):
        before, after = nibabel.load(path), nibabel.load(case["output"])
        assert after.shape == before.shape[:3], path.name
        np.testing.assert_allclose(after.affine, before.affine, atol=1e-5, err_msg=path.name)
        np.testing.assert_allclose(after.header.get_zooms(), before.header.get_zooms()[:3], rtol=1e-5)
        assert np.asarray(after.dataobj).dtype == np.uint8
        record = json.loads((out / f"{path.name.removesuffix('.nii.gz')}.provenance.json").read_text())
        assert record["model"]["sha256"] == report["model"]["sha256"]
    stems = [path.name.removesuffix(".nii.gz") for path in inputs]
    expected = sorted([f"{s}.nii.gz" for s in stems] + [f"{s}.provenance.json" for s in stems] + ["manifest.json"])
    assert sorted(p.name for p in out.iterdir()) == expected


@pytest.mark.slow
def test_three_hippocampi(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    """Both types of voxel there are: float32, and uint8 that could be taken for a mask."""
    folder = shared_data("hippocampus-mri/images")
    kinds: dict[str, Path] = {}
    for path in sorted(folder.glob("*.nii.gz")):
        kinds.setdefault(str(nibabel.load(path).get_data_dtype()), path)
    assert set(kinds) == {"float32", "uint8"}
    inputs = list(kinds.values())
    check_volumes(inputs, tmp_path / "out", predict(PHANTOM_NETWORK, inputs, tmp_path / "out", 5))


@pytest.mark.proof
def test_all_182_hippocampi(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("hippocampus-mri/images")
    inputs = sorted(folder.glob("*.nii.gz"))
    assert len(inputs) == 182
    before = hashes(folder)
    check_volumes(inputs, tmp_path / "out", predict(PHANTOM_NETWORK, inputs, tmp_path / "out", 30))
    assert hashes(folder) == before


@pytest.mark.proof
def test_all_20_fundus_photographs(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    if not RETINA.exists():
        pytest.skip("the model retina-vessels is not in this checkout")
    folder = shared_data("chase-db1")
    inputs = sorted(folder.glob("*.jpg"))
    assert len(inputs) == 20
    before = hashes(folder)
    report = predict(RETINA, inputs, tmp_path / "out", 30)
    for path, case in zip(inputs, report["cases"], strict=True):
        with Image.open(path) as picture, Image.open(case["output"]) as mask:
            assert mask.size == picture.size and mask.mode == "P"
            assert set(np.unique(np.array(mask))) == {0, 1}
    stems = [path.stem for path in inputs]
    expected = sorted([f"{s}.png" for s in stems] + [f"{s}.provenance.json" for s in stems] + ["manifest.json"])
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == expected
    assert hashes(folder) == before
