"""The dock in its window: size, what it hides and gives back, words, no dead buttons, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QAbstractButton, QDockWidget, QLabel, QScrollArea, QWidget

from napari_medcnn.widgets.study_rows import ROW
from tiny_packages import nifti, nifti_mask

pytestmark = pytest.mark.gui
JARGON = ("logit", "rdf", "provenance", "LPI", "LPS", "adjudication", "gate")


def napari_docks(desk) -> list[QDockWidget]:
    return [d for d in desk.qt_window.findChildren(QDockWidget) if d.objectName() in ("layer list", "layer controls")]


def test_opening_hides_layer_docks_and_a_button_brings_them_back(desk) -> None:
    docks = napari_docks(desk)
    assert len(docks) == 2 and not any(d.isVisible() for d in docks)
    desk.click(desk.dock.header.layers)
    desk.idle(0.05)
    assert all(d.isVisible() for d in docks)
    desk.click(desk.dock.header.layers)
    desk.idle(0.05)
    assert not any(d.isVisible() for d in docks)
    desk.dock.shut_down()
    assert all(d.isVisible() for d in docks)


def test_size_and_nothing_cut_off_sideways(desk) -> None:
    desk.idle()
    assert 330 <= desk.dock.width() <= 385
    desk.open("phantom")
    desk.run("tiny-mask")
    for index in range(3):
        desk.dock.tabs.setCurrentIndex(index)
        desk.idle(0.05)
        area = desk.dock.tabs.widget(index)
        assert isinstance(area, QScrollArea)
        assert area.widget().minimumSizeHint().width() <= area.viewport().width(), index
        assert desk.dock.tabs.minimumSizeHint().height() <= 600


def test_every_button_has_words_and_there_is_no_placeholder(desk) -> None:
    names = [b.text() for b in desk.dock.findChildren(QAbstractButton) if b.text()]
    assert all(name.strip() for name in names)
    assert [desk.dock.tabs.tabText(i) for i in range(desk.dock.tabs.count())] == ["Scan", "AI", "Correct"]


def test_words_are_for_people_and_letters_are_large_enough(desk) -> None:
    desk.open("phantom")
    desk.run("tiny-mask")
    for label in desk.dock.findChildren(QLabel):
        assert not any(word in label.text() for word in JARGON), label.text()
        assert label.fontInfo().pointSizeF() >= 9 or label.fontInfo().pixelSize() >= 12


def test_contrast_of_text_is_enough(desk) -> None:
    """WCAG 2.1, 1.4.3: 4.5 to 1, measured on the pixels of a label: its darkest against its brightest."""
    desk.idle()
    image = desk.dock.header.scan.grab().toImage()
    values = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]

    def luminance(colour) -> float:
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.getRgbF()[:3]]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    levels = [luminance(v) for v in values]
    assert (max(levels) + 0.05) / (min(levels) + 0.05) >= 4.5


def test_dropped_file_opens_without_a_question(desk, tmp_path: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz", (12, 10, 8))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    action, button, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    try:
        event = QDropEvent(QPointF(5, 5), action, data, button, none)
    except TypeError:
        event = QDropEvent(QPointF(5, 5).toPoint(), action, data, button, none)
    desk.dock.dropEvent(event)
    desk.until(lambda: desk.dock.session.scan is not None)
    facts = desk.dock.scan.findChildren(QLabel)
    assert any("0.7 x 3 mm" in f.text() or "mm, slices" in f.text() for f in facts)


def test_folder_lists_its_scans_and_a_mask_lies_over_its_scan(desk, tmp_path: Path) -> None:
    nifti(tmp_path / "set" / "a.nii.gz", (12, 10, 8), seed=1)
    nifti(tmp_path / "set" / "b.nii.gz", (12, 10, 8), seed=2)
    desk.dock.open_path(tmp_path / "set")
    desk.until(lambda: desk.dock.scan.tree.model.rowCount() == 1 and not desk.dock.tasks.names())
    second = desk.dock.scan.tree.series_shown()[1].data(ROW).item.id
    desk.dock.scan.tree.opened.emit(second)
    desk.until(lambda: desk.dock.session.scan is not None)
    truth = np.zeros((12, 10, 8), np.uint8)
    truth[3:6, 4:8, 2:3] = 1
    desk.dock.session.opening.mask(nifti_mask(tmp_path / "mask.nii.gz", truth))
    desk.until(lambda: desk.dock.layers.mask is not None)
    desk.idle()
    assert desk.dock.strokes.counts == {1: int(truth.sum())}
    assert desk.dock.layers.mask.data.shape == desk.dock.layers.scan.data.shape
    assert desk.dock.header.saved.text() == "saved"


def test_time_series_moves_in_time_and_in_space(desk, tmp_path: Path) -> None:
    path = nifti(tmp_path / "four.nii.gz", (12, 10, 8, 3))
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None)
    desk.idle()
    step = desk.viewer.dims.current_step
    desk.key(Qt.Key.Key_Home)
    desk.key(Qt.Key.Key_Down)
    desk.key(Qt.Key.Key_Left)
    desk.key(Qt.Key.Key_Left)
    desk.key(Qt.Key.Key_Right)
    dims = desk.viewer.dims
    through = dims.order[1]  # a coronal scan of 3 mm slices is shown as it was taken: slices follow front to back
    assert len(step) == 4 and dims.order[0] == 0 and through == 2
    assert dims.current_step[0] == 1 and dims.current_step[through] == 1
    desk.run("tiny-mask")
    frame = desk.dock.session.scan.array[1].astype(float)
    how = desk.dock.session.scan.geometry.reorientation_to()
    np.testing.assert_array_equal(desk.dock.layers.mask.data == 2, how.apply(frame > frame.mean()))


def test_error_is_one_line_in_words(desk, tmp_path: Path) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"\x1f\x8b nonsense")
    desk.dock.open_path(broken)
    desk.until(lambda: desk.dock.message.text() != "")
    assert desk.dock.message.text().startswith("✗") and "broken.nii.gz" in desk.dock.message.text()
    assert "Traceback" not in desk.dock.message.text()


def test_hidden_names_are_gone_from_the_dock(desk) -> None:
    desk.open("phantom")
    desk.click(desk.dock.header.names)
    assert not any("phantom" in label.text() and label.isVisible() for label in desk.dock.header.findChildren(QLabel))
    desk.click(desk.dock.header.names)
    assert desk.dock.header.scan.whole == "CT phantom"


def test_without_tensorflow_the_hint_has_the_command(make_desk, orders) -> None:
    desk = make_desk()
    desk.order(missing=True)
    desk.dock.link.release()
    desk.until(lambda: desk.dock.link.engine.state == "off")
    desk.open("phantom")
    desk.start_run("tiny-mask")
    desk.until(lambda: not desk.dock.tasks.names())
    assert 'pip install "napari-medcnn[engine]"' in desk.dock.ai.hint.text()
    assert not desk.dock.ai.run.isEnabled()
    desk.empty_mask()
    assert desk.dock.mode == "Correct"


def test_copies_are_text_on_the_clipboard(desk, tmp_path: Path, qapp) -> None:
    path = nifti(tmp_path / "scan.nii.gz", (12, 10, 8))
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None)
    desk.run("tiny-mask")
    desk.click(desk.dock.ai.result.command)
    assert qapp.clipboard().text().startswith("medcnn predict -m") and str(path) in qapp.clipboard().text()
    desk.click(desk.dock.ai.result.python)
    compile(qapp.clipboard().text(), "copied", "exec")


def test_how_this_was_made_names_model_and_use(desk) -> None:
    from napari_medcnn.widgets.parts import TextWindow

    desk.open("phantom")
    desk.run("tiny-mask")
    desk.click(desk.dock.ai.result.how)
    (window,) = desk.dock.findChildren(TextWindow)
    text = window.view.toPlainText()
    assert "tiny-mask" in text and "Research use only" in text
    window.close()


def test_docks_come_and_go_without_a_leak(desk, qapp) -> None:
    import fake_engine
    from napari_medcnn.widgets.launch import add_dock

    raw = desk.viewer
    before = len(raw.mouse_drag_callbacks), len(raw.mouse_wheel_callbacks)
    children = len(desk.qt_window.findChildren(QWidget))
    for _ in range(3):
        dock = add_dock(raw, fake_engine.launch())
        desk.idle(0.3)
        raw.window.remove_dock_widget(dock)
        dock.close()
        dock.deleteLater()
        del dock
        desk.idle(0.3)
        qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        desk.idle(0.1)
    assert (len(raw.mouse_drag_callbacks), len(raw.mouse_wheel_callbacks)) == before
    assert len(desk.qt_window.findChildren(QWidget)) <= children + 5
