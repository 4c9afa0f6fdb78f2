"""One napari window with the dock that many tests use one after the other, and the proof that it is as new each time.

After a test everything is put back by hands: the scan is closed, controls get back what they said at the start, the
mouse is let go. Then the whole dock is compared with what it was when it was new (`facts`). Where anything differs, the
window is closed and the next test gets a new one, so no test ever sees what another one left.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from window_facts import facts, napari_says, set_to


class NapariWindow:
    """A napari window as `make_napari_viewer_proxy` makes it, but open until `close`."""

    def __init__(self) -> None:
        from app_model import Application
        from napari import Viewer
        from napari._app_model._app import NapariApplication, _napari_names
        from napari._qt._qapp_model.qactions import init_qactions
        from napari._qt.qt_main_window import _QtMainWindow
        from napari.plugins import _initialize_plugins
        from napari.settings import get_settings
        from napari.utils._proxies import PublicOnlyProxy

        def forget() -> None:
            _initialize_plugins.cache_clear()
            init_qactions.cache_clear()

        self._stack = contextlib.ExitStack()
        forget()
        get_settings().reset()
        app = NapariApplication("test_app")
        app.injection_store.namespace = _napari_names
        self._stack.callback(forget)
        self._stack.callback(Application.destroy, "test_app")
        for target, name, value in (
            (NapariApplication, "get_app_model", lambda *_name: app),
            (_window_class("napari._qt.threads.status_checker", "StatusChecker"), "start", _nothing),
            (_window_class("napari._qt.qt_viewer", "QtViewer"), "_get_console", _no_console),
            (_QtMainWindow, "_save_current_window_settings", _nothing),
        ):
            self._stack.enter_context(patch.object(target, name, value))
        self.raw = Viewer(show=True, show_welcome_screen=False)
        self.proxy = PublicOnlyProxy(self.raw)

    def close(self, checked: bool) -> None:
        """Close it, and fail if somebody keeps it and `checked`."""
        from napari._qt.qt_viewer import QtViewer
        from napari.settings import get_settings

        get_settings().reset()
        self.raw.close()
        del self.raw, self.proxy
        gc.collect()  # before Qt deletes what is to be deleted later: after it, views would stay for ever
        kept = len(QtViewer._instances)
        QtViewer._instances.clear()
        QApplication.sendPostedEvents(None, 52)  # QEvent.Type.DeferredDelete
        QApplication.processEvents()
        gc.collect()  # menus of the window would hear of every action that is taken away now
        self._stack.close()
        if kept and checked:
            raise AssertionError(f"{kept} views of a closed window are still kept by somebody")


def _window_class(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _nothing(*_arguments: Any, **_named: Any) -> None:
    pass


def _no_console(*_arguments: Any) -> QWidget:
    widget = QWidget()
    widget._update_theme = _nothing
    return widget


# ---- putting back ----------------------------------------------------------------------------------------------------


class Shared:
    """The window of many tests; none is open at the start."""

    def __init__(self) -> None:
        self._window: NapariWindow | None = None
        self._desk: Any = None
        self._new: dict[str, Any] = {}
        self._controls: list[tuple[QWidget, Any]] = []
        self._tops: list[QWidget] = []
        self._orientation: Any = None
        self._slab: Any = None
        self._per_second: Any = None
        self._tool: Any = None
        self._method: Any = None
        self.opened = 0

    @property
    def windows(self) -> set[int]:
        """Ids of the top-level widgets that belong to it, as long as it is open."""
        return {id(widget) for widget in self._tops}

    def desk(self, make: Callable[[Any], Any]) -> Any:
        """Return hands on a window that is as new; `make` puts a dock into a napari viewer."""
        if self._desk is None:
            self.opened += 1
            try:
                self._window = NapariWindow()
                self._orientation = self._window.raw.scene.camera.orientation
                self._desk = make(self._window.proxy)
                reading = self._desk.dock.reading
                self._slab, self._per_second = reading.slab._last_mode, reading.cine.per_second
                self._tool = self._desk.dock.correcting._tool
                self._method = self._desk.dock.why._method
                self._desk.used_once()
                self.put_back()
            except BaseException:
                self.close(checked=False)
                raise
            self._new, self._tops = self._facts(), QApplication.topLevelWidgets()
            self._controls = [(w, set_to(w)) for w in self._desk.dock.findChildren(QWidget)]
            gc.collect()
            gc.freeze()  # napari searches all objects for garbage with every layer that goes
        return self._desk

    def _facts(self) -> dict[str, Any]:
        return facts(self._desk.dock, self._window.raw)

    def take_back(self, test: str, checked: bool = True) -> None:
        """Put everything back; a window that is not as new after that is closed."""
        if self._desk is None:
            return
        try:
            self.put_back()
            left = self.left()
        except Exception as error:
            broken = not self._desk.dock.views.panes  # the test closed the dock
            self.close(checked=False)
            if not broken:
                raise
            self._tell(test, {"put back": ("", error)})
            return
        if left:
            self._tell(test, left)
            self.close(checked)

    def left(self, seconds: float = 1.0) -> dict[str, Any]:
        """Return what differs from a new window, `seconds` after the last test at the latest."""
        end = time.monotonic() + seconds
        while True:
            now, new = self._facts(), self._new
            left = {key: (new.get(key), now.get(key)) for key in {**new, **now} if new.get(key) != now.get(key)}
            if not left or time.monotonic() > end:
                return left
            self._desk.idle(0.05)

    def put_back(self) -> None:
        """Close the scan, let go of the mouse, and give every control what it said at the start."""
        desk = self._desk
        dock = desk.dock
        for widget in QApplication.topLevelWidgets():
            if widget is not desk.qt_window and widget.isVisible():
                widget.close()
        desk.let_go()
        dock.cancel()
        desk.until(lambda: not dock.tasks.names(), 60)
        dock.recovering._listed = False  # or it lists what each test leaves
        for layer in [x for x in self._window.raw.layers if not dock.layers.is_ours(x)]:
            layer.locked = False
            self._window.raw.layers.remove(layer)
        dock.session.close_scan()
        self._window.raw.layers.clear()
        dock.views.show_one()
        for widget, before in self._controls:
            with contextlib.suppress(RuntimeError):  # deleted by Qt
                _set_back(widget, before)
        dock.views.active = dock.views.panes[0]
        for pane in dock.views.panes:
            QApplication.sendEvent(pane.native, QEvent(QEvent.Type.Leave))
        self._forget()
        dock.reading.strip.hide()
        viewer = self._window.raw
        viewer.dims.ndisplay = 2
        viewer.scene.camera.orientation = self._orientation
        dock.tabs.setCurrentIndex(0)
        dock.pages.setCurrentIndex(0)
        dock.say("")
        desk.qt_window.resize(*desk.SIZE)
        for notice in napari_says(desk.qt_window):
            notice.close()  # it deletes itself
        focused = desk.qt_window.focusWidget()
        if focused is not None:
            focused.clearFocus()
        desk.until(lambda: not dock.tasks.names(), 60)
        QApplication.sendPostedEvents(None, 52)  # QEvent.Type.DeferredDelete
        QApplication.processEvents()

    def _forget(self) -> None:
        """Take away what a dock remembers from one scan to the next on purpose."""
        dock = self._desk.dock
        dock.session.labels = type(dock.session.labels)()  # otherwise the classes of the next mask
        dock.session.locked = dock.session.hidden = frozenset()  # each mask begins with none
        vars(dock.dialogs).clear()  # with what a test put in place of a dialog
        vars(dock.dialogs).update(vars(type(dock.dialogs)()))
        dock.reading.slab._last_mode = self._slab
        dock.reading.cine.per_second = self._per_second
        dock.correcting._tool = self._tool
        dock.start.offer_readings([])  # of a folder that only the test had
        dock.start.offer([])  # of work that tests before it left
        dock.viewing.windowing.last = None  # otherwise offered for the next scan of its kind
        dock.viewing.windowing.changed.emit()
        dock.why._seconds.clear()  # how long each method took last time
        dock.why._layers_of.clear()
        vars(dock.why.question).get("_paces", {}).clear()
        dock.why._method = self._method
        dock.why.panel.low.setValue(0)
        dock.why._show_model()

    def _tell(self, test: str, left: dict[str, Any]) -> None:
        """Say which test left what behind in the file that MEDCNN_LEFT names: each of them costs a new window."""
        if "MEDCNN_LEFT" in os.environ:
            lines = [f"window {self.opened}: {test}\n"]
            lines += [
                f"    {key}: {str(was)[:200]} -> {str(now)[:200]}\n" for key, (was, now) in list(left.items())[:12]
            ]
            with Path(os.environ["MEDCNN_LEFT"]).open("a", encoding="utf-8") as file:
                file.writelines(lines)

    def close(self, checked: bool = True) -> None:
        """Close the window, if one is open; `checked` fails if somebody keeps it."""
        desk, window = self._desk, self._window
        self._desk = self._window = None
        self._new, self._controls, self._tops = {}, [], []
        gc.unfreeze()
        try:
            if desk is not None:
                desk.end()
                del desk
        finally:
            if window is not None:
                window.close(checked)
            gc.freeze()


def _set_back(widget: QWidget, before: Any) -> None:
    """Set a control to what it was set to at the start, as a hand does."""
    now = set_to(widget)
    if before is None or now in (before, None):
        return
    if isinstance(widget, QAbstractButton):
        usable = widget.isEnabled()
        widget.setEnabled(True)
        widget.click()
        widget.setEnabled(usable)
    elif isinstance(widget, QComboBox):
        if now[1] == before[1]:  # others list what a scan has
            widget.setCurrentIndex(before[0])
            widget.activated.emit(before[0])
    elif isinstance(widget, QSpinBox | QAbstractSlider):
        widget.setValue(before)
    elif isinstance(widget, QLineEdit):
        widget.setText(before)
        widget.editingFinished.emit()
