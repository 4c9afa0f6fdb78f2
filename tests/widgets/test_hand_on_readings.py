"""A reading is put aside and gone on with, in a real window."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtWidgets import QPushButton

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.reading_state import ReadingState, SavedScan
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.reading_state import list_readings, save_reading
from napari_medcnn.io.save import save_volume
from napari_medcnn.widgets.views.views import FOUR, ONE

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


def scan_file(folder: Path, name: str = "doe-chest.nii.gz", seed: int = 5) -> Path:
    folder.mkdir(exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 500, (12, 30, 40)).astype(np.int16)
    save_volume(Volume(voxels, Geometry((12, 30, 40), (3.0, 0.8, 0.7))), folder / name)
    return folder / name


def opened(desk, path: Path) -> None:
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.1)


def quiet(desk) -> None:
    desk.idle(0.2)
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.2)


def put_aside(desk) -> None:
    desk.dock.reading.readings.save()
    desk.until(lambda: "Reading saved" in desk.dock.message.text())
    quiet(desk)


def closed(desk) -> None:
    desk.dock.session.close_scan()
    desk.until(lambda: desk.dock.pages.currentIndex() == 0)
    desk.idle(0.1)


def press(desk, words: str) -> None:
    def found() -> list:
        return [b for b in desk.dock.start.findChildren(QPushButton) if b.text() == words and b.isVisible()]

    desk.until(found)  # what was just listed is not laid out yet
    desk.click(found()[0])


def test_everything_comes_back(desk, tmp_path: Path) -> None:
    path = scan_file(tmp_path / "study")
    opened(desk, path)
    dock = desk.dock
    desk.empty_mask()
    dock.layers.mask.data[4, 5:9, 5:9] = 1
    dock.session.saving.save(tmp_path / "study" / "mask.nii.gz")
    desk.until(lambda: dock.session.saved_words == "saved")
    dock.tabs.setCurrentIndex(0)
    dock.views.show_four()
    desk.idle(0.2)
    dock.views.go_to(tuple(float(v) for v in dock.views.grid.world_of_index((7, 11, 23))))
    dock.viewing.windowing.set_window(100.0, 300.0, dock.layers.scan)
    dock.reading.slab.set("max", 9.0)
    main = dock.views.pane("main")
    main.look = type(main.look)((10.0, 12.0), 2.5)
    desk.idle(0.1)
    look, place = main.look, dock.views.place
    before = {p.relative_to(tmp_path / "study") for p in (tmp_path / "study").rglob("*")}
    put_aside(desk)
    assert {p.relative_to(tmp_path / "study") for p in (tmp_path / "study").rglob("*")} == before
    closed(desk)
    dock.reading.slab.set("", 10.0)
    dock.views.show_one()
    press(desk, "Continue reading")
    desk.until(lambda: dock.layers.mask is not None)
    quiet(desk)
    assert dock.views.layout == FOUR
    assert dock.views.place == pytest.approx(place, abs=1e-6)
    assert tuple(dock.layers.scan.contrast_limits) == (100.0, 300.0)
    assert (dock.reading.slab.mode, dock.reading.slab.thickness) == ("max", 9.0)
    assert dock.layers.mask.data[4, 5:9, 5:9].all()
    assert dock.session.file.path == tmp_path / "study" / "mask.nii.gz"
    back = dock.views.pane("main").look
    assert (*back.centre, back.zoom) == pytest.approx((*look.centre, look.zoom), rel=1e-3)
    assert "changed" not in dock.message.text()


def test_a_changed_scan_is_said(desk, tmp_path: Path) -> None:
    path = scan_file(tmp_path / "study")
    opened(desk, path)
    put_aside(desk)
    closed(desk)
    scan_file(tmp_path / "study", seed=6)
    press(desk, "Continue reading")
    desk.until(lambda: "voxels have changed" in desk.dock.message.text())
    assert desk.dock.views.layout == ONE


def test_missing_files_are_named_unless_names_are_hidden(desk, tmp_path: Path) -> None:
    path = scan_file(tmp_path / "study")
    opened(desk, path)
    put_aside(desk)
    closed(desk)
    shutil.rmtree(tmp_path / "study")
    press(desk, "Continue reading")
    assert "doe-chest.nii.gz: is not there any more" in desk.dock.message.text()
    desk.dock.header.names.click()
    desk.dock.reading.readings.show()
    listed = desk.dock.start._readings
    widgets = [listed.itemAt(i).widget() for i in range(listed.count())]
    words = [widget.text() for widget in widgets if hasattr(widget, "text")]
    assert "doe" not in (" ".join(words) + desk.dock.message.text()).lower()
    assert any("not there" in line for line in words)
    press(desk, "Delete...")
    assert list_readings() == []


def test_an_example_cannot_be_put_aside(desk) -> None:
    desk.open("phantom")
    desk.dock.reading.readings.save()
    assert "scan from a file" in desk.dock.message.text()
    assert list_readings() == []


def test_a_hostile_view_leaves_the_scan_as_opened(desk, tmp_path: Path) -> None:
    from dataclasses import replace

    opened(desk, scan_file(tmp_path / "study"))
    put_aside(desk)
    state = list_readings()[0].state
    view = {"layout": "nine", "place": [1, "x", 2], "time": None, "planes": {"main": 99}, "windows": [[5, 1]]}
    save_reading(replace(state, view=view, features={"Slabs": {"mode": "rm", "thickness": -1}}))
    closed(desk)
    desk.dock.reading.readings.show()
    press(desk, "Continue reading")
    desk.until(lambda: "could not be brought back" in desk.dock.message.text())
    quiet(desk)
    assert desk.dock.session.scan is not None
    assert desk.dock.reading.slab.mode == ""


def test_a_path_that_cannot_be_looked_at_is_gone_and_the_window_opens(make_desk) -> None:
    """A share that hangs or a folder without right: here a name too long for any disk."""
    save_reading(ReadingState("Chest", "2026-11-21", SavedScan("/" + "a" * 4000)))
    desk = make_desk()
    press(desk, "Continue reading")
    assert "is not there any more" in desk.dock.message.text()


def test_the_mask_of_a_scan_that_failed_is_never_laid_over_the_next(desk, tmp_path: Path) -> None:
    path, dock = scan_file(tmp_path / "study"), desk.dock
    opened(desk, path)
    desk.empty_mask()
    dock.layers.mask.data[4, 5:9, 5:9] = 1
    dock.session.saving.save(tmp_path / "study" / "mask.nii.gz")
    desk.until(lambda: dock.session.saved_words == "saved")
    put_aside(desk)
    closed(desk)
    path.write_bytes(path.read_bytes()[:2000])
    press(desk, "Continue reading")
    desk.until(lambda: "damaged" in dock.message.text())
    opened(desk, scan_file(tmp_path / "study", "other.nii.gz", 7))
    quiet(desk)
    assert dock.layers.mask is None and "changed" not in dock.message.text()


def test_what_is_gone_and_what_has_changed_is_named_beside_too(desk, tmp_path: Path) -> None:
    study = tmp_path / "study"
    names = ("a.nii.gz", "beside.nii.gz", "gone.nii.gz")
    paths = [scan_file(study, name, seed) for seed, name in enumerate(names)]
    opened(desk, paths[0])
    desk.dock.session.opening.beside(paths[1:])
    desk.until(lambda: len(desk.dock.session.beside) == 2)
    quiet(desk)
    put_aside(desk)
    closed(desk)
    scan_file(study, names[1], 9)
    paths[2].unlink()
    press(desk, "Continue reading")
    desk.until(lambda: "changed: beside" in desk.dock.message.text())
    assert "gone.nii.gz" in desk.dock.message.text() and "changed: a" not in desk.dock.message.text()
