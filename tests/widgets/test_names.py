"""Hide names: what a picture of the screen, or a person passing by, can read."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from qtpy.QtWidgets import QLabel, QWidget

from napari_medcnn.widgets.names import HIDDEN, without_names
from tiny_packages import nifti, nifti_mask

pytestmark = pytest.mark.gui
WHO = "Mueller_Anna"


def test_words_without_names() -> None:
    path = "/data/Ward 3/Mueller_Anna.nii.gz"
    names = {"Mueller_Anna", path, ""}
    assert without_names(f"{path}: cut off after 3 bytes", names) == f"{HIDDEN}: cut off after 3 bytes"
    assert without_names("Saved: Mueller_Anna_mask.nii.gz", names) == f"Saved: {HIDDEN}"
    assert without_names("Mueller_Anna.nii.gz: no mask", names) == f"{HIDDEN}: no mask"
    assert without_names("Choose the scan Mueller_Anna; Cancel", names) == f"Choose the scan {HIDDEN}; Cancel"
    assert without_names("other/place.csv: unreadable", ()) == f"{HIDDEN}: unreadable"
    assert without_names("Undone: Brush. 2.5 mm, 3 ml", names) == "Undone: Brush. 2.5 mm, 3 ml"
    assert without_names("C:\\scans\\x.nii: no", ()) == f"{HIDDEN}: no"
    assert without_names("", names) == ""
    assert without_names("MUELLER_ANNA: no mask", names) == f"{HIDDEN}: no mask"
    assert without_names("Mueller.12: cut off. im1.", (), {"mueller.12"}) == f"{HIDDEN}: cut off. im1."
    assert without_names("CT, HEAD/BRAIN W/O, T1/T2, T/S/C", names) == "CT, HEAD/BRAIN W/O, T1/T2, T/S/C"
    assert without_names("/home/anna and a/b_c/im1", ()) == f"{HIDDEN} and {HIDDEN}"
    assert without_names("Meier.nii.gz: cut off", {"Meier"}) == f"{HIDDEN}: cut off"
    assert without_names("a mask and a scan", {"/x/a.nii.gz"}) == f"{HIDDEN} mask and {HIDDEN} scan"


def readable(desk) -> list[str]:
    """Return everything that stands on the screen: labels, tool tips, layers, the status bar, the window's title."""
    shown = [w for w in desk.qt_window.findChildren(QWidget) if w.isVisible()]
    words = [w.text() for w in shown if isinstance(w, QLabel)] + [w.toolTip() for w in shown]
    words += [layer.name for layer in desk.viewer.layers]
    status = desk.viewer.status
    return [*words, str(status), desk.qt_window.windowTitle(), desk.qt_window.statusBar().currentMessage()]


def leaks(desk) -> list[str]:
    return [words for words in readable(desk) if "mueller" in words.lower()]


def test_hidden_names_stand_nowhere_and_come_back(desk, tmp_path: Path) -> None:
    dock = desk.dock
    dock.open_path(nifti(tmp_path / f"{WHO}.nii.gz", (12, 10, 8)))
    desk.until(lambda: dock.session.scan is not None and not dock.tasks.names())
    desk.idle(0.05)
    assert leaks(desk), "the test must see names before it can miss them"
    before = [layer.name for layer in desk.viewer.layers]
    desk.click(dock.header.names)
    desk.drag(desk.centre(), desk.centre(), steps=1)  # the status bar says what is under the mouse
    desk.idle(0.3)
    assert leaks(desk) == []
    assert [layer.name for layer in desk.viewer.layers] == ["Scan"]

    dock.open_path(tmp_path / "gone" / f"{WHO}.nii.gz")
    desk.until(lambda: dock.message.text() != "")
    assert dock.message.text().startswith("✗") and leaks(desk) == []

    truth = np.zeros((12, 10, 8), np.uint8)
    truth[3:6] = 1
    dock.session.opening.mask(nifti_mask(tmp_path / f"{WHO}_mask.nii.gz", truth))
    desk.until(lambda: dock.layers.mask is not None)
    dock.dialogs.target = tmp_path / f"{WHO} 2.nii.gz"
    dock.tabs.setCurrentIndex(2)
    desk.click(dock.correct.save)
    desk.until(lambda: dock.message.text().startswith("Saved"))
    assert dock.message.text() == f"Saved: {HIDDEN}" and leaks(desk) == []

    desk.click(dock.header.names)
    assert dock.message.text() == f"Saved: {WHO} 2.nii.gz"
    assert [layer.name for layer in desk.viewer.layers][:1] == before
    assert dock.header.scan.whole == dock.session.scan.name


def test_names_of_scans_beside_and_of_channels_are_hidden_as_well(desk, model_folder, tmp_path: Path) -> None:
    dock = desk.dock
    dock.open_paths([nifti(tmp_path / f"{WHO}_{part}.nii.gz", (12, 10, 8)) for part in ("t1", "flair")])
    desk.until(lambda: len(dock.session.beside) == 1 and not dock.tasks.names())
    dock.tabs.setCurrentIndex(1)
    desk.until(lambda: dock.ai.choose("tiny-two") and not dock.tasks.names())
    boxes = [*dock.ai.channels.boxes, dock.reading.second_series.panel.shown]
    assert all(WHO in box.itemText(box.count() - 1) for box in boxes)
    desk.click(dock.header.names)
    desk.idle(0.1)
    assert leaks(desk) == []
    assert [box.itemText(i) for box in boxes for i in range(box.count()) if "Mueller" in box.itemText(i)] == []
    desk.until(lambda: dock.ai.choose("tiny-mask") and dock.ai.run_all.isVisible())
    desk.click(dock.ai.run_all)
    desk.until(lambda: not dock.tasks.names())
    assert "2 of 2 done." in dock.ai.all_done.text() and leaks(desk) == []


def test_a_layer_is_named_before_napari_hears_of_it(desk, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4))
    nibabel.save(image, tmp_path / "Mueller_Anna.nii.gz")
    desk.dock.header.names.click()
    heard: list[str] = []
    desk.viewer.layers.events.inserted.connect(lambda event: heard.append(event.value.name))
    desk.dock.open_path(tmp_path / "Mueller_Anna.nii.gz")
    desk.until(lambda: desk.dock.session.scan is not None)
    assert heard and not [name for name in heard if "Mueller" in name]
    desk.dock.header.names.click()
    desk.until(lambda: any("Mueller" in layer.name for layer in desk.viewer.layers))
