"""Which way round planes are drawn: as radiologists look at them, or the patient's left on the left when asked for.

Napari lets a camera flip its axes, in its preferences too. Here the flip of every view is ours: radiological unless the
box is ticked, and never a mirrored body in 3D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QCheckBox

from napari_medcnn.widgets.views.pane import Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

_SIDE_TO_SIDE = 2
_USUAL = ("towards", "down", "right")


class Neurological(QObject):
    """The check box, and the cameras of all panes."""

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock = dock
        self._found: dict[str, tuple[Any, ...]] = {}
        self._watched: list[Pane] = []
        self.box = QCheckBox("Neurological (patient's left on the left)")
        self.box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.box.setToolTip(
            "Axial and coronal views as seen from above and behind, under a badge; 3D is never mirrored"
        )
        self.box.toggled.connect(lambda _on: self.apply())
        dock.session.scan_changed.connect(self.apply)
        dock.session.opening.preview_changed.connect(self.apply)
        dock.views.pane_added.connect(self._watch)
        dock.views.layout_changed.connect(self.apply)
        for pane in dock.views.panes:
            self._watch(pane)
        self.apply()

    @property
    def on(self) -> bool:
        """True while planes are to be flipped; never where the file does not say where left is."""
        scan = self._dock.session.scan or self._dock.session.opening.preview
        return bool(self.box.isChecked()) and scan is not None and scan.geometry.orientation_known

    def _watch(self, pane: Pane) -> None:
        self._watched.append(pane)
        for emitter in self._emitters(pane):
            emitter.connect(self._on_view)
        self.apply()

    @staticmethod
    def _emitters(pane: Pane) -> tuple[Any, ...]:
        dims, camera = pane.viewer.dims.events, pane.viewer.scene.camera.events
        return dims.order, dims.ndisplay, camera.orientation

    def _on_view(self, _event: Any = None) -> None:
        self.apply()

    def apply(self) -> None:
        """Turn every view as it has to be; without a scan of ours as napari had it."""
        session = self._dock.session
        scan = session.scan or session.opening.preview
        self.box.setEnabled(scan is not None and scan.geometry.orientation_known)
        for pane in self._watched:
            camera = pane.viewer.scene.camera
            now = tuple(str(part) for part in camera.orientation)
            if scan is None:
                wanted = self._found.pop(pane.name, now)
            else:
                self._found.setdefault(pane.name, now)
                wanted = self._wanted(pane)
            if wanted != now:
                camera.orientation = wanted
        self._dock.views.redraw()

    def _wanted(self, pane: Pane) -> tuple[Any, ...]:
        frame = pane.frame()
        if frame is not None:
            flipped = self.on and frame.axes[1] == _SIDE_TO_SIDE
            return ("towards", "down", "left" if flipped else "right")
        # a 3D view of axes in another order is a mirrored body unless depth is turned, too
        dims = pane.viewer.dims
        shown = [int(axis) for axis in dims.displayed]
        odd = sum(a > b for i, a in enumerate(shown) for b in shown[i + 1 :]) % 2
        return ("away" if dims.ndisplay == 3 and odd else "towards", *_USUAL[1:])

    def close(self) -> None:
        """Let go of the panes and give the cameras back as they were."""
        for pane in self._watched:
            for emitter in self._emitters(pane):
                emitter.disconnect(self._on_view)
            if pane.name in self._found:
                pane.viewer.scene.camera.orientation = self._found[pane.name]
        self._watched = []
