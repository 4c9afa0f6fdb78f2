"""What a dock and its viewer remember and say, as plain values: two windows are alike when it is the same."""

from __future__ import annotations

import collections
import enum
import functools
import types
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QApplication,
    QCheckBox,
    QComboBox,
    QDockWidget,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QStackedWidget,
    QTabWidget,
    QTextEdit,
    QTreeView,
    QWidget,
)

#: What may differ from a new dock, as class and attribute: it says what was, and acts on nothing.
PAST = {
    "Session.names", "Session.files",  # met so far: they are taken off the screen while names are hidden
    "KeyMap._bound",  # weak references to layers that garbage collection has not met yet
    "Annotations._told", "Annotations.taken",  # scans that were told of, and where words stood last
    "Exchange._folder", "Exchange._kept", "Exchange._sizes", "RunAll.rows", "AskForm._model",  # of runs before
    "Keeper._file",  # of the scan before, by a weak reference
    "KeyMap._filled",  # filled once for each kind of layer
    "Risks._known", "Stills._tries", "Stills._scale", "Stills._names", "HandingOn._projector", "Readings._steps",
    "Cine._began", "Cine._first", "Why._began",  # of the last picture, film and reading
    "Thumbnails._found", "Thumbnails._made", "StudyTree._count",  # the last list, hidden
    "BrightnessBlock._limits", "BrightnessBlock._listed", "BrightnessBlock._names", "BrightnessBlock._written",
    "Strokes._visited", "ClassTable._labels", "Notices._clean", "Pane._size",  # the last mask's and layout's
    "Toolbox._remembered",  # what was typed last, for the next case
    "Elided._whole", "NumberField._shown", "Windowing._acting",  # written anew before they are seen again
}  # fmt: skip


def facts(dock: Any, viewer: Any) -> dict[str, Any]:
    """Return all of it; what differs later was left behind."""
    found: dict[str, Any] = {}
    _walk(dock, found)
    found |= _of_viewer(viewer)
    window = dock.window()
    found["window"] = (window.width(), window.height(), window.windowTitle())
    found["docks"] = sorted((d.objectName(), d.isVisible()) for d in window.findChildren(QDockWidget))
    found["windows"] = sorted(type(w).__name__ for w in QApplication.topLevelWidgets() if w.isVisible())
    # Counted, not listed: Qt's order follows which page is in front. What is only a frame around others is left out.
    inside = dock.findChildren(QWidget)
    told = ((type(w).__name__, w.isHidden(), w.isVisible() and w.isEnabled(), said(w)) for w in inside)
    found |= collections.Counter(f"widget {each}" for each in told if not each[0].startswith(("Q", "Text")) or each[3])
    found["napari says"] = len(napari_says(window))
    focused = window.focusWidget()
    found["focus"] = None if focused is None else type(focused).__name__
    return found


def napari_says(window: QWidget) -> list[QWidget]:
    """Return the notifications that stand over napari's canvas."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification

    return [notice for notice in window.findChildren(NapariQtNotification) if not notice.isHidden()]


def _walk(dock: Any, found: dict[str, Any]) -> None:
    """Take in the attributes of the dock, and of all our objects that it holds, the nearest first."""
    seen: dict[int, str] = {id(dock): "dock"}
    waiting = collections.deque([("dock", dock)])
    while waiting:
        path, thing = waiting.popleft()
        for name, value in sorted(getattr(thing, "__dict__", {}).items()):
            if f"{type(thing).__name__}.{name}" in PAST:
                continue
            for inner, of_ours in _take(f"{path}.{name}", value, found):
                if id(of_ours) in seen:
                    found[inner] = f"the same as {seen[id(of_ours)]}"
                else:
                    found[inner], seen[id(of_ours)] = type(of_ours).__name__, inner
                    waiting.append((inner, of_ours))


def _take(path: str, value: Any, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Take in a plain value, and yield the objects of ours in it."""
    if isinstance(value, str | bytes | bool | int | float | complex | enum.Enum | Path | type | None):
        found[path] = value
    elif isinstance(value, Mapping):
        found[path] = ("mapping", len(value))
        for number, (key, inner) in enumerate(value.items()):
            yield from _take(f"{path}[{key if isinstance(key, str | int) else number}]", inner, found)
    elif isinstance(value, list | tuple | set | frozenset):
        inside = [inner for inner in value if not (isinstance(inner, weakref.ref) and inner() is None)]
        found[path] = (type(value).__name__, len(inside))
        for number, inner in enumerate(sorted(inside, key=repr) if isinstance(value, set | frozenset) else inside):
            yield from _take(f"{path}[{number}]", inner, found)
    elif isinstance(value, types.FunctionType | types.MethodType | functools.partial):
        found[path] = getattr(value, "__qualname__", "partial")
    elif isinstance(value, QTimer):
        found[path] = ("QTimer", value.isActive())
    elif type(value).__module__.startswith("napari_medcnn"):
        yield path, value
    else:
        found[path] = type(value).__name__


def _of_viewer(viewer: Any) -> dict[str, Any]:
    """Return what stands in the viewer besides our layers, and how many listen to it."""
    camera, dims = viewer.scene.camera, viewer.dims
    hooks = ("mouse_move_callbacks", "mouse_drag_callbacks", "mouse_wheel_callbacks", "mouse_double_click_callbacks")
    return {
        "layers": [layer.name for layer in viewer.layers],
        "dims": (dims.ndim, dims.ndisplay, tuple(dims.order)),
        "camera": (str(camera.orientation), camera.mouse_pan, camera.mouse_zoom, camera.perspective),
        "look": (viewer.theme, viewer.canvas.grid.enabled, viewer.help),
        "shown": sorted(name for name, overlay in viewer.canvas.overlays.items() if overlay.visible),
        "keys": sorted(map(str, viewer.keymap)),
        **{name: [call.__qualname__ for call in getattr(viewer, name)] for name in hooks},
        **_listeners("layers", viewer.layers), **_listeners("chosen", viewer.layers.selection),
        **_listeners("dims", dims), **_listeners("camera", camera), **_listeners("cursor", viewer.cursor),
    }  # fmt: skip


def _listeners(of: str, source: Any) -> dict[str, int]:
    emitters = source.events.emitters.items()
    return {f"listeners {of}.{name}": len(emitter.callbacks) for name, emitter in emitters if emitter is not None}


def set_to(widget: QWidget) -> Any:
    """Return what a hand has set a control to; None for what no hand sets, and for a slider that is not seen."""
    if isinstance(widget, QAbstractButton):
        return widget.isChecked() if widget.isCheckable() else None
    if isinstance(widget, QComboBox):
        return (widget.currentIndex(), [widget.itemText(i) for i in range(widget.count())])
    if isinstance(widget, QSpinBox):
        return widget.value()
    return said(widget) if isinstance(widget, QAbstractSlider | QLineEdit) else None


def said(widget: QWidget) -> Any:
    """Return what a control says; None for what says nothing."""
    if isinstance(widget, QCheckBox):
        return (widget.text(), widget.isChecked())
    if isinstance(widget, QSpinBox):
        return widget.value()
    if isinstance(widget, QTabWidget | QStackedWidget):
        return widget.currentIndex()
    if not widget.isVisible():
        return None  # words of the last scan
    if isinstance(widget, QAbstractButton):
        return (widget.text(), widget.isChecked())
    if isinstance(widget, QComboBox):
        return (widget.currentIndex(), [widget.itemText(i) for i in range(widget.count())])
    if isinstance(widget, QLineEdit):
        return widget.text()
    if isinstance(widget, QAbstractSlider):
        return widget.value()
    if isinstance(widget, QLabel):
        return widget.text()
    if isinstance(widget, QPlainTextEdit | QTextEdit):
        return widget.toPlainText()
    if isinstance(widget, QTreeView):
        return 0 if widget.model() is None else widget.model().rowCount()
    return None
