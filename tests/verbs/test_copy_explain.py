"""The copied command and Python of an explanation are executed, and both write the same map and record."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.core.options import ExplainOptions, to_json
from napari_medcnn.errors import InputError
from napari_medcnn.io.read import read_labels, read_volume
from napari_medcnn.verbs import engines
from napari_medcnn.verbs.copyable import as_command, as_python, explain_command, explain_python
from napari_medcnn.verbs.explain import ExplainRequest
from napari_medcnn.worker.client import Engine
from tiny_packages import nifti, nifti_mask

EVERYTHING = ExplainOptions(
    method="occlusion", target="bright", negate=True, voxel=(0, 1, 2), layer="conv_1", channel=3, steps=8,
    baseline="blur", samples=7, noise=0.2, patch_mm=4.0, stride_mm=2.0, supervoxels=True, seed=5, device="cpu",
    frame=1, slices="coronal", ignore_fit=True,
)  # fmt: skip


@pytest.fixture
def both(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    """Run a command line or Python text with the fake engine behind both."""
    from napari_medcnn import api
    from napari_medcnn.cli import main

    @contextmanager
    def lend():
        yield engine

    monkeypatch.setattr(engines, "engine", lend)
    monkeypatch.setattr(api, "_engine", lambda: engine)

    def run(command: str, python: str, out: Path) -> tuple[dict, dict]:
        assert main(shlex.split(command)[1:]) == 0
        record = out.with_name(out.name.replace(".nii.gz", ".provenance.json"))
        first, told = out.read_bytes(), json.loads(record.read_text())
        record.unlink()
        out.unlink()
        exec(compile(python, "copied", "exec"), {})
        assert out.read_bytes() == first
        return told, json.loads(record.read_text())

    return run


def test_both_run_and_every_option_survives(both, tmp_path: Path, model: Path) -> None:
    path = nifti(tmp_path / "a folder" / "it's a scan.nii.gz", shape=(6, 5, 4, 2))
    request = ExplainRequest(read_volume(path), model, replace(EVERYTHING, slices="card"))
    out = tmp_path / "why.nii.gz"
    command = explain_command(request, out, platform="linux")
    assert command == as_command(request, out, platform="linux")
    one, other = both(command, as_python(request, out), out)
    assert one["options"] == other["options"] == to_json(request.options)
    assert one["map"]["check"] is None


def test_mask_reference_and_check_survive(both, tmp_path: Path, model: Path) -> None:
    path = nifti(tmp_path / "s.nii.gz")
    drawn = np.zeros((6, 5, 4), np.uint8)
    drawn[1, 1, 1] = drawn[4, 4, 3] = 2
    mask = read_labels(nifti_mask(tmp_path / "m.nii.gz", drawn))
    options = ExplainOptions(method="gradient", target="bright", ignore_fit=True)
    request = ExplainRequest(read_volume(path), model, options, mask)
    out = tmp_path / "why.nii.gz"
    for checked, reference in ((True, None), (True, mask)):
        command = explain_command(request, out, checked, reference, platform="linux")
        one, other = both(command, explain_python(request, out, checked, reference), out)
        assert one["map"] == other["map"]
        assert one["map"]["check"]["words"].endswith("mask none" if reference is None else "mask 2")
        assert one["map"]["target"] == "score of bright over 2 voxels"


def test_what_is_at_its_default_is_left_out(tmp_path: Path) -> None:
    request = ExplainRequest(read_volume(nifti(tmp_path / "s.nii.gz")), "m")
    path = request.volume.source["path"]
    assert as_command(request, platform="linux") == shlex.join(
        ["medcnn", "explain", "-m", "m", str(path), "-o", "s-grad-cam.nii.gz", "--method", "grad-cam"]
    )
    assert "mc.explain(scan, model='m', method='grad-cam')" in as_python(request)


def test_what_cannot_be_copied_says_so(tmp_path: Path) -> None:
    volume = read_volume(nifti(tmp_path / "s.nii.gz"))
    mask = read_labels(nifti_mask(tmp_path / "m.nii.gz", np.ones((6, 5, 4), np.uint8)))
    for request in (
        ExplainRequest(volume, "m", code=("layers.py",)),
        ExplainRequest(volume, "m", ExplainOptions(method="score-cam", softmax_cam=False)),
    ):
        with pytest.raises(InputError, match="Copy as Python"):
            as_command(request)
        compile(as_python(request), "copied", "exec")
    with pytest.raises(InputError, match="save it first"):
        as_command(ExplainRequest(volume, "m", mask=replace(mask, source={})))
