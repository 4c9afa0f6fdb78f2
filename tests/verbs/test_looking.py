"""Look and open: several paths, stopping, the first picture, and no second look at a folder that was looked at."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from dicom_files import uid, write_series
from napari_medcnn.core.consent import Consent
from napari_medcnn.core.events import Cancel, Failed, Preview, Progress, Result, result_of
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import Cancelled, ConsentNeededError
from napari_medcnn.io import folder
from napari_medcnn.io.found import Found
from napari_medcnn.verbs import info
from napari_medcnn.verbs import open as open_verb

VOXELS = np.random.default_rng(6).integers(-1000, 2000, (6, 9, 8)).astype(np.int16)


def look(*paths: Path) -> Found:
    return result_of(info.run(info.InfoRequest(paths), Cancel()))


def test_several_paths_at_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    for name in "ab":
        for file in write_series(tmp_path / name, VOXELS, tags={"SeriesInstanceUID": uid(name)}):
            os.utime(file, (1e9, 1e9))
    found = look(tmp_path / "a", tmp_path / "b")
    assert len(found.items) == 2 and (tmp_path / "home" / "index" / "headers.sqlite").is_file()
    monkeypatch.setattr(folder, "read_header", None)  # nothing is parsed again
    assert look(tmp_path / "a", tmp_path / "b").items == found.items


def test_nothing_is_remembered_where_that_is_not_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    write_series(tmp_path / "a", VOXELS)
    found = result_of(info.run(info.InfoRequest(tmp_path / "a", remember=False), Cancel()))
    assert len(found.items) == 1 and not (tmp_path / "home" / "index").exists()


@pytest.mark.parametrize("verb", ["info", "open"])
def test_stopping(tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_EVERY_S", 0.0)
    write_series(tmp_path, VOXELS)
    cancel = threading.Event()
    request = info.InfoRequest(tmp_path) if verb == "info" else open_verb.OpenRequest(tmp_path)
    events = (info if verb == "info" else open_verb).run(request, cancel)
    seen = []
    for event in events:
        seen.append(event)
        if len(seen) == 4:
            cancel.set()
    assert isinstance(seen[-1], Failed) and isinstance(seen[-1].error, Cancelled)
    assert len(seen) <= 6


def test_a_first_picture_comes_before_the_scan(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS)
    events = [e for e in open_verb.run(open_verb.OpenRequest(tmp_path), Cancel()) if not isinstance(e, Progress)]
    first, last = events
    assert isinstance(first, Preview) and isinstance(last, Result)
    assert first.value.geometry.shape == (1, 9, 8)
    assert any(np.array_equal(first.value.array[0], plane) for plane in VOXELS)
    np.testing.assert_array_equal(last.value.array, VOXELS)


def test_what_was_found_is_opened_without_a_second_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path, VOXELS)[2].unlink()
    found = look(tmp_path)
    monkeypatch.setattr(folder, "walk", None)
    request = open_verb.OpenRequest(tmp_path, found.items[0].id, found=found)
    with pytest.raises(ConsentNeededError) as asked:
        result_of(open_verb.run(request, Cancel()))
    assert asked.value.asks == found.items[0].report.asks == "resample"
    request = open_verb.OpenRequest(tmp_path, found.items[0].id, Consent(resample=True), found)
    volume = result_of(open_verb.run(request, Cancel()))
    assert isinstance(volume, Volume) and volume.array.shape == (6, 9, 8)
    assert volume.source == {"path": str(tmp_path), "item": found.items[0].id, "consent": {"resample": True}}


def test_a_real_segmentation_lies_on_its_scan(shared_data) -> None:
    """SEG over CT: the masks of a folder come on the grid of the series they name."""
    found = look(shared_data("zoo-dicom-seg"))
    masks = [i for i in found.items if i.kind == "labels" and "(of " in i.title]
    assert masks
    scans = {i.title: i for i in found.items if i.kind == "volume"}
    for mask in masks:
        scan = scans[mask.title.rpartition("(of ")[2].rstrip(")")]
        value = result_of(open_verb.run(open_verb.OpenRequest(found.path, mask.id, found=found), Cancel()))
        assert isinstance(value, LabelMap)
        if mask.geometry == scan.geometry:
            assert value.array.shape == scan.shape
        assert set(np.unique(value.array)) - {0} <= {label.id for label in value.labels}
    assert any(m.geometry == scans[m.title.rpartition("(of ")[2].rstrip(")")].geometry for m in masks)


def test_contours_without_their_scan_say_what_to_do(shared_data) -> None:
    folder_of = shared_data("zoo-rtstruct")
    file = next(f for i in look(folder_of).items if i.modality == "RTSTRUCT" for f in i.files)
    (item,) = look(file).items
    assert item.kind == "other" and "not in this folder" in item.warnings[0]
