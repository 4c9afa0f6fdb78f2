"""A window that we start says nothing that is not ours: no pop-up of napari's, no numbers that count from 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.save import save_volume

pytestmark = [pytest.mark.gui, pytest.mark.own_window]


def test_our_window_starts_without_napari_s_word_on_pyqt5(qtbot, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Napari says it with its first window; a viewer of its own still does."""
    from napari._qt import qt_main_window
    from napari.utils.notifications import notification_manager

    import fake_engine
    from napari_medcnn.widgets.launch import open_window

    assert hasattr(qt_main_window, "SHOW_QT_WARNING"), "napari calls it otherwise now: look at _beyond_public"
    monkeypatch.setattr(qt_main_window, "SHOW_QT_WARNING", True)
    before = len(notification_manager.records)
    viewer, dock = open_window(fake_engine.launch(tmp_path / "orders.json"))
    try:
        said = [str(each.message) for each in notification_manager.records[before:]]
        assert not any("PyQt5" in words for words in said)
        assert dock.window().isVisible()
        assert not viewer.window._qt_viewer.show_welcome_screen  # it names keys that mean something else here
        assert dock.window().statusBar().currentMessage() == ""
    finally:
        dock.shut_down()
        dock.link.engine.close()
        viewer.close()


def numbers(pane) -> list[QWidget]:
    return [w for name in ("slice_label", "slice_label_sep") for w in pane.qt.findChildren(QWidget, name)]


def test_numbers_that_count_from_0_are_not_seen_beside_ours(desk, tmp_path: Path) -> None:
    """In every view, with one slider and with two; without our scan they are napari's again."""
    dock = desk.dock
    for name, shape, axes in (("still", (9, 10, 11), "zyx"), ("film", (4, 9, 10, 11), "tzyx")):
        path = tmp_path / f"{name}.nii.gz"
        save_volume(Volume(np.zeros(shape, np.int16), Geometry((9, 10, 11), (3.0, 1.0, 1.0)), axes=axes), path)
        dock.open_path(path)
        desk.until(lambda name=name: dock.session.scan is not None and dock.session.scan.name.startswith(name))
        panes = desk.four()
        desk.until(lambda: not dock.tasks.names())
        for pane in panes[:3]:
            found = numbers(pane)
            assert any(isinstance(widget, QLineEdit) for widget in found), "napari names them otherwise now"
            assert not any(widget.isVisible() for widget in found)
        assert "5 of 9" in desk.said()
    dock.views.show_one()
    dock.session.close_scan()
    desk.viewer.add_image(np.zeros((5, 6, 7)))
    desk.idle(0.1)
    assert any(widget.isVisible() for widget in numbers(panes[0]))
