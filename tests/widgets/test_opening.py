"""First picture, progress, cancel, consent and masks over scans: what happens between a click and a scan."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest

from dicom_files import write_series
from napari_medcnn.core.consent import Consent, Report
from napari_medcnn.core.events import Failed, Preview, Progress, Result
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import Cancelled, ConsentNeededError, GeometryError, IncompleteFileError
from napari_medcnn.io.found import Found
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.placing import placed
from study_cases import CHEST, series

pytestmark = pytest.mark.gui
GRID = Geometry((6, 24, 20), (2.5, 0.8, 0.7), (10.0, 20.0, 30.0))


def volume(name: str = "CT 5, Thorax", **more) -> Volume:
    values = np.random.default_rng(1).integers(0, 1000, GRID.shape, dtype=np.int16)
    return Volume(values, GRID, name=name, modality="CT", **more)


def first_picture(scan: Volume) -> Volume:
    grid = replace(GRID, shape=(1, 24, 20), origin_lps=tuple(GRID.index_to_lps((3, 0, 0)).tolist()))
    return Volume(scan.array[3:4], grid, name=scan.name, modality="CT")


class SlowReader:
    """Stands in place of `verbs.open`: shows the first picture and 40 %, then waits to be told how it ends."""

    def __init__(self) -> None:
        self.go, self.ends, self.asked = threading.Event(), "well", []

    def run(self, request, cancel):
        self.asked.append(request)
        scan = volume(request.item or "only")
        if self.ends == "asks" and not request.consent.resample:
            yield Failed(ConsentNeededError("The gantry was tilted by 18.6 degrees.", "resample"))
            return
        yield Preview(first_picture(scan))
        yield Progress(0.4, "Reading")
        while not self.go.wait(0.01):
            if cancel.is_set():
                yield Failed(Cancelled("Stopped; nothing was changed."))
                return
        yield Failed(IncompleteFileError("cut")) if self.ends == "badly" else Result(scan)


@pytest.fixture
def reader(monkeypatch) -> SlowReader:
    made = SlowReader()
    monkeypatch.setattr(jobs.open_verb, "run", made.run)
    return made


def show(desk, *titles: str) -> None:
    items = tuple(series(title, title, CHEST) for title in titles)
    desk.dock.session.found = Found(Path("folder"), items)
    desk.dock.session.found_changed.emit()


def settled(desk) -> None:
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.05)


def start(desk, title: str) -> None:
    """Open a row from inside the event loop, as a click does: what Qt deletes later goes only there."""
    tree = desk.dock.scan.tree
    tree.choose(title)
    QTimer.singleShot(0, lambda: tree.opened.emit(title))
    desk.idle(0.02)


def roles(desk) -> list[str]:
    return [layer.metadata[KEY]["role"] for layer in desk.viewer.layers]


def test_first_picture_comes_before_the_scan_and_nothing_can_be_done_to_it(desk, reader) -> None:
    dock = desk.dock
    show(desk, "A", "B")
    start(desk, "A")
    desk.until(lambda: roles(desk) == ["preview"] and "40" in dock.header.state.whole)
    assert dock.header.state.whole == "Reading 40 %" and dock.header.cancel.isVisible()
    assert "still reading" in desk.said()
    assert dock.session.scan is None and dock.layers.scan is None and dock.session.open_scans() == []
    before = desk.viewer.layers[0].data.copy()
    dock.tabs.setCurrentIndex(2)
    desk.key(Qt.Key.Key_P)
    desk.drag(desk.centre(), (desk.centre()[0] + 60, desk.centre()[1]))
    assert roles(desk) == ["preview"] and np.array_equal(desk.viewer.layers[0].data, before)
    assert dock.mode == "Read" and not dock.ai.run.isEnabled()
    reader.go.set()
    settled(desk)
    assert roles(desk) == ["scan"] and dock.session.scan.name == "A"
    assert dock.header.state.whole.startswith("Read ·")


@pytest.mark.parametrize("how", ["cancel button", "escape", "badly"])
def test_reading_that_ends_early_leaves_what_was_open(desk, reader, how: str) -> None:
    dock = desk.dock
    show(desk, "A", "B")
    reader.go.set()
    start(desk, "A")
    settled(desk)
    reader.go.clear()
    start(desk, "B")
    desk.until(lambda: roles(desk) == ["preview"])
    if how == "cancel button":
        desk.click(dock.header.cancel)
    elif how == "escape":
        QTest.keyClick(dock.scan.tree.view, Qt.Key.Key_Escape)
    else:
        reader.ends = "badly"
        reader.go.set()
    settled(desk)
    assert roles(desk) == ["scan"] and dock.session.scan.name == "A" and dock.layers.scan is not None
    assert dock.message.text() == ("✗  cut" if how == "badly" else "")
    assert dock.header.scan.whole == "A" and not dock.header.cancel.isVisible()


def test_opening_another_while_one_is_read_shows_only_the_other(desk, reader) -> None:
    show(desk, "A", "B")
    start(desk, "A")
    desk.until(lambda: roles(desk) == ["preview"])
    start(desk, "B")
    desk.until(lambda: len(reader.asked) == 2)
    reader.go.set()
    settled(desk)
    assert roles(desk) == ["scan"] and desk.dock.session.scan.name == "B"


def test_what_reading_asks_is_asked_and_kept(desk, reader) -> None:
    dock = desk.dock
    reader.ends = "asks"
    reader.go.set()
    show(desk, "A", "B")
    start(desk, "A")
    desk.until(lambda: dock.scan.notices.answer_buttons())
    assert "18.6" in dock.scan.notices.words.text() and dock.session.scan is None
    desk.click(dock.scan.notices.answer_buttons()[0])
    settled(desk)
    assert reader.asked[-1].consent == Consent(resample=True) == dock.session.consent
    assert "resampled" in desk.said()


def test_damaged_scan_can_only_be_looked_at(desk) -> None:
    dock, scan = desk.dock, volume(report=Report(assumed=("3 of 6 slices are missing.",)))
    dock.session.show_opened(jobs.Opened(scan, jobs.scan_layers(scan), consent=Consent(damaged=True)))
    desk.idle(0.05)
    assert "damaged, read-only" in desk.said()
    assert "3 of 6 slices are missing." in dock.scan.notices.words.text()
    dock.session.start_empty_mask()
    desk.idle(0.05)
    assert dock.layers.mask is None and "read-only" in dock.message.text()
    desk.start_run("tiny-mask")
    settled(desk)
    assert dock.layers.mask is None and "read-only" in dock.ai.error.text()


def test_chip_names_the_step_in_time_and_what_is_unknown(desk) -> None:
    grid = replace(GRID, spacing_known=False, spacing_mm=(1.0, 1.0, 1.0))
    array = np.zeros((3, *grid.shape), np.int16)
    scan = Volume(array, grid, "tzyx", "MR 3", "MR", frame_values=(0.0, 800.0, 1000.0), frame_unit="s/mm2",
                  frame_name="b", detector_mm=(0.14, 0.14))  # fmt: skip
    desk.dock.session.show_opened(jobs.Opened(scan, jobs.scan_layers(scan)))
    desk.key(Qt.Key.Key_Right)
    at = int(desk.viewer.dims.current_step[0])
    words = desk.said()
    assert f"b = {scan.frame_values[at]:g} s/mm2" in words and "mm at detector" in words
    desk.key(Qt.Key.Key_Left)
    assert f"b = {scan.frame_values[at - 1]:g} s/mm2" in desk.said()


def test_mask_of_a_part_of_the_scan_is_laid_where_it_lies() -> None:
    small = replace(GRID, shape=(2, 5, 4), origin_lps=tuple(GRID.index_to_lps((1, 3, 2)).tolist()))
    mask = LabelMap(np.ones(small.shape, np.uint8), small, LabelSet.from_names(["a"]))
    over = placed(mask, volume())
    truth = np.zeros(GRID.shape, np.uint8)
    truth[1:3, 3:8, 2:6] = 1
    np.testing.assert_array_equal(over.array, truth)


def test_mask_of_another_grid_asks_and_of_another_space_is_refused() -> None:
    coarse = replace(GRID, shape=(3, 8, 7), spacing_mm=(5.0, 2.4, 2.1))
    mask = LabelMap(np.ones(coarse.shape, np.uint8), coarse, LabelSet.from_names(["a"]), name="Mask")
    with pytest.raises(ConsentNeededError, match="another grid") as caught:
        placed(mask, volume())
    assert caught.value.asks == "mask"
    over = placed(mask, volume(), resample=True)
    assert over.geometry == GRID and over.array[1:4, 2:20, 2:15].all() and "Resampled" in over.notes[-1]
    elsewhere = replace(mask, frame_of_reference="1.2.3")
    with pytest.raises(GeometryError, match="another space"):
        placed(elsewhere, volume(frame_of_reference="4.5.6"), resample=True)


def test_mask_of_another_grid_is_resampled_by_its_button(desk, tmp_path: Path) -> None:
    from napari_medcnn.io.save import save_labels

    dock = desk.dock
    write_series(tmp_path / "ct", np.zeros((6, 24, 20), np.int16))
    dock.open_path(tmp_path / "ct")
    desk.until(lambda: dock.session.scan is not None)
    settled(desk)
    grid = dock.session.scan.geometry
    coarse = replace(grid, shape=(3, 8, 7), spacing_mm=(5.0, 2.4, 2.1))
    mask = LabelMap(np.ones(coarse.shape, np.uint8), coarse, LabelSet.from_names(["a"]))
    save_labels(mask, tmp_path / "mask.nii.gz")
    dock.session.opening.mask(tmp_path / "mask.nii.gz")
    desk.until(lambda: dock.scan.notices.answer_buttons())
    settled(desk)
    assert dock.layers.mask is None and "another grid" in dock.scan.notices.words.text()
    desk.click(dock.scan.notices.answer_buttons()[0])
    desk.until(lambda: dock.layers.mask is not None)
    settled(desk)
    assert dock.layers.mask.data.shape == dock.layers.scan.data.shape and dock.layers.mask.data.any()
    assert "Resampled" in dock.message.text()


def test_four_sagittal_slices_are_slices_and_no_colours(desk) -> None:
    """napari takes a last axis of 3 or 4 for the colours of a picture unless it is told."""
    sagittal = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # slices run along the patient's left-right axis
    grid = Geometry((4, 24, 20), (3.0, 0.8, 0.8), (0.0, 0.0, 0.0), sagittal)
    scan = Volume(np.arange(4 * 24 * 20, dtype=np.int16).reshape(grid.shape), grid, name="MR 4", modality="MR")
    desk.dock.session.show_opened(jobs.Opened(scan, jobs.scan_layers(scan)))
    layer = desk.dock.layers.scan
    assert layer.data.shape[-1] == 4 and layer.ndim == 3 and not layer.rgb
    assert tuple(desk.viewer.dims.displayed) == (0, 1), "rows run down the body, columns to the back: no strip"
    desk.key(Qt.Key.Key_Home)
    desk.key(Qt.Key.Key_Down)
    assert desk.viewer.dims.current_step[2] == 1, "the keys move through the slices that were taken"
    desk.open("phantom")
    assert tuple(desk.viewer.dims.displayed) == (1, 2)
