"""A corrected case becomes a mask file that other programs read and a row that training reads."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from cases import ANISOTROPIC_MM, noise
from napari_medcnn.annotation.export import CaseExport, export_case, safe_stem
from napari_medcnn.annotation.history import Step
from napari_medcnn.annotation.journal import Journal, JournalInfo
from napari_medcnn.annotation.project import Project
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError, ProjectError, SaveError
from napari_medcnn.io.dataset import read_dataset

SHAPE = (4, 6, 7)
GRID = Geometry(SHAPE, ANISOTROPIC_MM, (-10.0, 20.0, 30.0))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scans" / "ct 5.nii.gz"
    path.parent.mkdir()
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ GRID.affine_lps
    nibabel.save(nibabel.Nifti1Image(noise(SHAPE).transpose(2, 1, 0), ras), path)
    return path


def mask() -> LabelMap:
    array = np.zeros(SHAPE, np.uint8)
    array[1:3, 2:5, 1] = 1
    array[0, 0, 6] = 4
    return LabelMap(array, GRID, LabelSet.from_names(["liver"]))


def test_mask_record_and_row(tmp_path: Path, scan: Path) -> None:
    folder = tmp_path / "data"
    info = CaseExport("CT 5", (scan,), patient="p1", cls="ill", site="north")
    table = export_case(folder, info, mask(), {"model": "m", "edits": 3})
    (row,) = read_dataset(table).rows
    assert (row.case, row.patient, row.cls, row.split, row.site) == ("CT 5", "p1", "ill", "train", "north")
    assert [p.as_posix() for p in row.image] == ["../scans/ct 5.nii.gz"]
    assert [p.as_posix() for p in row.mask] == ["masks/CT-5.nii.gz"]
    written = nibabel.load(folder / row.mask[0])
    assert np.array_equal(np.asarray(written.dataobj).transpose(2, 1, 0), mask().array)
    assert np.allclose(written.affine, nibabel.load(scan).affine)
    assert json.loads((folder / "masks" / "CT-5.provenance.json").read_text()) == {"model": "m", "edits": 3}


def test_again_replaces_and_another_case_is_added(tmp_path: Path, scan: Path) -> None:
    info = CaseExport("a", (scan,), cls="ill")
    export_case(tmp_path, info, mask())
    export_case(tmp_path, CaseExport("b", (scan,), split="gate"), mask())
    table = export_case(tmp_path, CaseExport("a", (scan,), cls="well"), None)
    rows = {row.case: row for row in read_dataset(table).rows}
    assert list(rows) == ["a", "b"]
    assert (rows["a"].cls, rows["a"].mask) == ("well", ())
    assert rows["b"].split == "gate"


def test_a_picture_s_mask_is_a_png_of_ids(tmp_path: Path) -> None:
    photo = tmp_path / "eye.png"
    Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(photo)
    array = np.zeros((1, 6, 7), np.uint8)
    array[0, 2:4, 3:] = 1
    picture = LabelMap(array, Geometry.picture(6, 7), LabelSet.from_names(["vessel"]))
    (row,) = read_dataset(export_case(tmp_path, CaseExport("eye", (photo,)), picture)).rows
    assert row.mask == (Path("masks/eye.png"),)
    assert np.array_equal(np.asarray(Image.open(tmp_path / row.mask[0])), array[0])


def test_nothing_half_done_when_the_disk_refuses(tmp_path: Path, scan: Path) -> None:
    """A file-size limit while the mask is written: the old table and mask stay (rows 36 and 38)."""
    if sys.platform == "win32":
        pytest.skip("file-size limits are POSIX")
    import resource

    table = export_case(tmp_path, CaseExport("a", (scan,)), mask())
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    other = LabelMap(np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.uint8), GRID)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(SaveError):
            export_case(tmp_path, CaseExport("a", (scan,), cls="new"), other)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert read_dataset(table).rows[0].cls == ""


def test_wrong_arguments_are_named(tmp_path: Path, scan: Path) -> None:
    with pytest.raises(InputError, match="case"):
        CaseExport(" ", (scan,))
    with pytest.raises(InputError, match="save the scan"):
        CaseExport("a", ())
    with pytest.raises(InputError, match="split"):
        CaseExport("a", (scan,), split="training")
    with pytest.raises(InputError, match="nothing to export"):
        export_case(tmp_path, CaseExport("a", (scan,)), None)


@pytest.mark.parametrize(
    ("case", "stem"),
    [("CT 5, Thorax 1 mm", "CT-5-Thorax-1-mm"), ("../../etc/x", "etc-x"), ("日本", "case"), ("Étude", "Etude"),
     ("nul", "case-nul"), ("COM1.scan", "case-COM1.scan"), ("a" * 300, "a" * 80), ("x. ", "x")],
)  # fmt: skip
def test_file_names_that_every_system_takes(case: str, stem: str) -> None:
    assert safe_stem(case).strip("-") == stem


def test_project_folder(tmp_path: Path, scan: Path) -> None:
    with pytest.raises(ProjectError, match=r"expected a project"):
        Project.open(tmp_path)
    project = Project.create(tmp_path / "project")
    assert Project.open(project.folder).cases().rows == ()
    export_case(project.folder, CaseExport("a", (scan,)), mask())
    assert [row.case for row in Project.create(project.folder).cases().rows] == ["a"]
    journal = Journal.create(project.journals, mask(), JournalInfo("a"))
    box = tuple(slice(0, n) for n in SHAPE)
    journal.append(Step.of("Brush", box, mask().array, mask().array * 0))
    journal.close(saved=False)
    (found,) = project.recoverable()
    assert found.restore().counts() == {}
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProjectError, match="cannot be kept"):
        Project.create(tmp_path / "file")


def test_a_read_only_folder_is_named_before_work_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 35; what the system answers is replaced, since an administrator may write everywhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ProjectError, match="read-only"):
        Project.create(tmp_path)


def test_cases_of_like_names_keep_their_own_masks(tmp_path: Path, scan: Path) -> None:
    """ "a/b", "a-b" and "A-B" would share one file, the last two on Windows and macOS."""
    masks = {}
    for value, case in enumerate(("a/b", "a-b", "A-B", "a/b"), start=1):
        array = np.full(SHAPE, value, np.uint8)
        table = export_case(tmp_path, CaseExport(case, (scan,)), LabelMap(array, GRID))
        masks[case] = value
    rows = read_dataset(table).rows
    assert len({row.mask[0].name.lower() for row in rows}) == 3
    for row in rows:
        stored = np.asarray(nibabel.load(tmp_path / row.mask[0]).dataobj)
        assert (stored == masks[row.case]).all()
