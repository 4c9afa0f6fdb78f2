"""``medcnn explain`` with the fake engine: what is asked, what is written, what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from napari_medcnn.core.saliency import CAUTION, METHODS
from tiny_packages import nifti, nifti_mask, package, segmenter


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return nifti(tmp_path / "s.nii.gz")


def test_the_map_lies_on_the_scans_grid(medcnn: Callable, model: Path, scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "why.nii.gz"
    ran = medcnn("explain", "-m", model, scan, "-o", out, "--method", "grad-cam")
    assert ran.code == 0 and CAUTION in ran.out and "Wrote" in ran.out
    made, given = nibabel.load(out), nibabel.load(scan)
    np.testing.assert_allclose(made.affine, given.affine, atol=1e-5)
    assert made.shape == given.shape and made.get_data_dtype() == np.float32
    # the fake engine's ramp runs along the last array axis, which is x of the file
    np.testing.assert_allclose(np.asarray(made.dataobj)[:, 0, 0], np.linspace(0, 1, made.shape[0]), atol=1e-6)
    record = json.loads((tmp_path / "why.provenance.json").read_text())
    assert record["map"]["method"] == "grad-cam" and record["map"]["check"] is None
    assert CAUTION in record["notes"] and record["research_use"]


def test_json_says_what_scripts_rely_on(medcnn: Callable, model: Path, scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "why.nii.gz"
    ran = medcnn("explain", "-m", model, scan, "-o", out, "--method", "occlusion", "--target", "bright", "--json")
    assert {"method", "target", "layer", "seconds", "output", "check", "provenance"} <= set(ran.json)
    assert ran.json["check"] is None and ran.json["output"] == str(out) and ran.json["target"] == "score of bright"
    checked = medcnn("explain", "-m", model, scan, "-o", out, "--method", "gradient", "--check", "--json").json
    assert checked["check"]["badge"] == "depends on the model" and checked["check"]["energy"] is None


def test_a_reference_is_compared_with_and_implies_the_check(
    medcnn: Callable, model: Path, scan: Path, tmp_path: Path
) -> None:
    shape = nibabel.load(scan).shape
    drawn = np.zeros(shape, np.uint8)
    drawn[1:3, 1, 2] = 2  # "bright" is id 2 of the tiny segmenter
    truth = nifti_mask(tmp_path / "t.nii.gz", drawn)
    out = tmp_path / "w.html"
    ran = medcnn("explain", "-m", model, scan, "-o", out, "--reference", truth, "--target", "bright", "--json")
    assert ran.json["check"]["energy"] == 0.5 and ran.json["check"]["words"].endswith("mask 2")


def test_mask_and_voxel_name_one_piece(medcnn: Callable, model: Path, scan: Path, tmp_path: Path) -> None:
    x, y, z = nibabel.load(scan).shape
    pieces = np.zeros((x, y, z), np.uint8)
    pieces[0, 0, 0] = pieces[1, 0, 0] = pieces[x - 1, y - 1, z - 1] = 2
    mask = nifti_mask(tmp_path / "m.nii.gz", pieces)
    out = tmp_path / "w.nii.gz"
    assert medcnn("explain", "-m", model, scan, "-o", out, "--mask", mask, "--voxel", "0,0,1").code == 0
    marked = np.asarray(nibabel.load(out).dataobj) > 0  # the fake engine gives the region back
    assert marked.sum() == 2 and marked[0, 0, 0] and marked[1, 0, 0]


def test_the_page_stands_alone_and_names_nobody(medcnn: Callable, model: Path, scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "w.html"
    assert medcnn("explain", "-m", model, scan, "-o", out, "--method", "integrated-gradients", "--check").code == 0
    page = out.read_text()
    for words in (CAUTION, "Check: depends on the model", "Insertion", "Deletion", "How this was made", "Research use"):
        assert words in page
    assert page.count("data:image/png;base64,") == 2 and "<script" not in page and "http" not in page
    assert "s.nii.gz" not in page and str(tmp_path) not in page
    assert medcnn("explain", "-m", model, scan, "-o", out, "--names").code == 0
    assert "s.nii.gz" in out.read_text()


def test_a_picture_has_a_legend(medcnn: Callable, model: Path, scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "w.png"
    assert medcnn("explain", "-m", model, scan, "-o", out, "--method", "gradient-x-input").code == 0
    picture = np.asarray(Image.open(out))
    assert picture.shape[-1] == 3 and picture.dtype == np.uint8
    blue, orange = (np.abs(picture.astype(int) - colour).sum(axis=-1) < 12 for colour in ((0, 114, 178), (230, 159, 0)))
    assert blue.any() and orange.any()  # both ends of a signed legend


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "w.txt"], ".nii.gz"),
        (["-o", "gone/w.png"], "no such folder"),
        (["-o", "w.nii.gz", "--voxel", "1,2"], "--voxel"),
        (["-o", "w.nii.gz", "--voxel", "99,0,0"], "voxel: expected an index inside"),
        (["-o", "w.nii.gz", "--target", "ghost"], "target: expected one of"),
        (["-o", "w.nii.gz", "--steps", "1"], "steps: expected 2 to 4096"),
    ],
)
def test_refused_in_words_and_nothing_is_written(
    medcnn: Callable, model: Path, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = medcnn("explain", "-m", model, scan, *words)
    assert ran.code == 1 and said in ran.err
    assert not list(tmp_path.glob("w.*"))


def test_a_place_that_cannot_be_written_is_refused_before_the_model_runs(
    medcnn: Callable, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_medcnn.verbs import save_map

    def refused(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "taken.png").mkdir()
    ran = medcnn("explain", "-m", "no-such-model", scan, "-o", tmp_path / "taken.png")
    assert ran.code == 1 and "there is a folder of this name" in ran.err
    monkeypatch.setattr(save_map.tempfile, "TemporaryFile", refused)
    ran = medcnn("explain", "-m", "no-such-model", scan, "-o", tmp_path / "w.png")
    assert ran.code == 1 and str(tmp_path) in ran.err and "Permission denied" in ran.err and "-o" in ran.err


def test_each_output_of_one_name_has_its_own_record(medcnn: Callable, model: Path, scan: Path, tmp_path: Path) -> None:
    made = {"w.nii.gz": "gradient", "w.png": "occlusion", "w.html": "smoothgrad", "w.nrrd": "eigen-cam"}
    for name, method in made.items():
        assert medcnn("explain", "-m", model, scan, "-o", tmp_path / name, "--method", method).code == 0
    records = {path.name: json.loads(path.read_text())["map"]["method"] for path in tmp_path.glob("*.provenance.json")}
    assert records == {
        "w.provenance.json": "gradient",  # as that of a mask
        "w.png.provenance.json": "occlusion",
        "w.html.provenance.json": "smoothgrad",
        "w.nrrd.provenance.json": "eigen-cam",
    }


@pytest.mark.parametrize("flag", ["--mask", "--reference"])
def test_a_mask_on_another_grid_is_named_with_both_grids(
    medcnn: Callable, model: Path, scan: Path, tmp_path: Path, flag: str
) -> None:
    given = nibabel.load(scan)
    small = nibabel.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.diag([0.5, 1, 2, 1]))
    moved = nibabel.Nifti1Image(np.ones(given.shape, np.uint8), given.affine.copy())
    moved.affine[0, 3] += 40
    nibabel.save(small, tmp_path / "small.nii.gz")
    nibabel.save(moved, tmp_path / "moved.nii.gz")
    words = ("explain", "-m", model, scan, "-o", tmp_path / "w.nii.gz", "--target", "bright", flag)
    ran = medcnn(*words, tmp_path / "small.nii.gz")
    shape = " x ".join(str(n) for n in reversed(given.shape))
    assert ran.code == 1 and "small.nii.gz has 4 x 3 x 2 voxels of 2 x 1 x 0.5 mm" in ran.err
    assert f"the scan {shape} voxels of" in ran.err and "resample the mask onto the scan" in ran.err
    ran = medcnn(*words, tmp_path / "moved.nii.gz")
    assert ran.code == 1 and "moved.nii.gz has the size of the scan" in ran.err and "lies elsewhere" in ran.err


def test_unknown_method_is_wrong_usage(medcnn: Callable, model: Path, scan: Path, tmp_path: Path) -> None:
    ran = medcnn("explain", "-m", model, scan, "-o", tmp_path / "w.png", "--method", "magic")
    assert ran.code == 2 and "grad-cam" in ran.err


def test_what_takes_long_is_said_before(
    medcnn: Callable, model: Path, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_medcnn.core.events import Events, Progress
    from napari_medcnn.verbs import explain

    asked, said = explain.run, [42.4]

    def run(*arguments: Any) -> Events:
        yield Progress(None, "Counting", expected=said[0])
        yield from asked(*arguments)

    monkeypatch.setattr(explain, "run", run)
    words = ("explain", "-m", model, scan, "-o", tmp_path / "w.nii.gz")
    ran = medcnn(*words, "--check", "--json")
    assert "This takes about 42 s" in ran.err and "The check takes about 99 s" in ran.err and ran.json["check"]
    said[0] = 9.0
    assert "about" not in medcnn(*words).err


def test_every_method_has_a_flag_value(
    medcnn: Callable, scan: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = package(tmp_path_factory.mktemp("p"), segmenter())
    for method in METHODS:
        out = tmp_path / f"{method}.nii.gz"
        assert medcnn("explain", "-m", model, scan, "-o", out, "--method", method).code == 0


@pytest.mark.parametrize("flag", ["", "--mask", "--reference"])
def test_a_map_never_replaces_what_it_is_made_from(
    medcnn: Callable, model: Path, scan: Path, tmp_path: Path, flag: str
) -> None:
    drawn = nifti_mask(tmp_path / "m.nii.gz", np.full(nibabel.load(scan).shape, 2, np.uint8))
    out, more = (drawn, [flag, drawn]) if flag else (scan, [])
    before = out.read_bytes()
    ran = medcnn("explain", "-m", model, scan, "-o", out, *more)
    assert ran.code == 1 and "would replace the file it is made from" in ran.err
    assert out.read_bytes() == before
