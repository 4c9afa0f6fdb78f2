"""The verb behind a mask as a DICOM segmentation: which series, what is written beside it, and what stops it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import uid
from napari_medcnn.core.events import Cancel, Failed, Result
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.io.read import inspect, read_volume
from napari_medcnn.verbs.save_seg import SavedSeg, SaveSegRequest, run
from seg_files import SHAPE, grid, parts, source_series

OTHER = (5, 21, 19)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two series of one patient."""
    source_series(tmp_path / "export" / "a", SHAPE, tags={"PatientName": "Doe^Jane"})
    source_series(tmp_path / "export" / "b", OTHER, tags={"PatientName": "Doe^Jane", "SeriesInstanceUID": uid("b")})
    return tmp_path / "export"


def done(request: SaveSegRequest, cancel: Cancel | None = None) -> Any:
    *_, last = run(request, cancel or Cancel())
    assert isinstance(last, Result | Failed)
    return last.value if isinstance(last, Result) else last.error


def mask(geometry: Geometry, ids: np.ndarray) -> LabelMap:
    labels = LabelSet(
        (Label(1, "lesion of Jane Doe", (1, 2, 3)), Label(2, "two", (4, 5, 6)), Label(3, "three", (7, 8, 9)))
    )
    return LabelMap(ids, geometry, labels)


def test_the_series_on_whose_grid_the_mask_lies(export: Path, tmp_path: Path) -> None:
    saved = done(
        SaveSegRequest(mask(grid(), parts()), tmp_path / "m.dcm", export, identified=True, provenance={"a": 1})
    )
    assert isinstance(saved, SavedSeg) and saved.path == tmp_path / "m.dcm"
    assert pydicom.dcmread(saved.path).ReferencedSeriesSequence[0].SeriesInstanceUID == uid("series")
    assert json.loads((tmp_path / "m.provenance.json").read_text()) == {"a": 1}


def test_a_scan_says_where_it_came_from(export: Path, tmp_path: Path) -> None:
    scan = read_volume(export, uid("b"))
    ids = np.ones(OTHER, np.uint8)
    request = SaveSegRequest(
        mask(scan.geometry, ids), tmp_path / "m.dcm", Path(scan.source["path"]), scan.source["item"], "LABELMAP", True
    )
    assert isinstance(done(request), SavedSeg)
    assert pydicom.dcmread(tmp_path / "m.dcm").ReferencedSeriesSequence[0].SeriesInstanceUID == uid("b")


def test_the_patient_is_not_in_the_names_of_classes_either(export: Path, tmp_path: Path) -> None:
    saved = done(SaveSegRequest(mask(grid(), parts()), tmp_path / "m.dcm", export))
    raw = saved.path.read_bytes()
    assert b"Jane" not in raw and b"Doe" not in raw and b"Class 1" in raw and b"two" in raw
    assert any("class 1" in note for note in saved.notes)


def test_what_is_no_series_or_not_the_right_one_is_said(export: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.dcm"
    nowhere = mask(Geometry((2, 3, 3), (1.0, 1.0, 1.0)), np.ones((2, 3, 3), np.uint8))
    said = str(done(SaveSegRequest(nowhere, out, export)))
    assert "several series" in said and uid("series") in said and uid("b") in said
    assert "does not lie on the grid" in str(done(SaveSegRequest(nowhere, out, export, uid("b"))))
    assert "no image" in str(done(SaveSegRequest(nowhere, out, export, "1.2.3")))
    done(SaveSegRequest(mask(grid(), parts()), export / "seg.dcm", export, identified=True))
    (item,) = [i for i in inspect(export).items if i.kind == "labels"]
    assert "no DICOM series" in str(done(SaveSegRequest(nowhere, out, export, item.id)))
    cancelled = Cancel()
    cancelled.set()
    done(SaveSegRequest(mask(grid(), parts()), out, export), cancelled)
    assert not out.exists()
