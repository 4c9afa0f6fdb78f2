"""Turning surfaces where the processor draws: the scan goes while the view is moved, and comes back when it rests.

To shade every voxel behind every pixel costs such a computer many times what surfaces cost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer

from napari_medcnn.widgets.volume_view.scene import Scene

#: The scan comes back this long after the last movement.
_REST_MS = 300


class Turning(QObject):
    """Watches the camera of the 3D view."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._scene: Scene | None = None
        self._camera: Any = None
        self._wanted: Callable[[], bool] = bool
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.setInterval(_REST_MS)
        self._resting.timeout.connect(self._rest)

    def watch(self, viewer: Any, scene: Scene, wanted: Callable[[], bool]) -> None:
        """Hide the scan of `scene` in movements of its camera while `wanted` says so."""
        self._scene, self._wanted, self._camera = scene, wanted, viewer.scene.camera.events
        for emitter in self._emitters():
            emitter.connect(self._on_moved)

    def close(self) -> None:
        """Let go of the camera."""
        self._resting.stop()
        if self._camera is not None:
            for emitter in self._emitters():
                emitter.disconnect(self._on_moved)
        self._camera = self._scene = None
        self._wanted = bool

    def _emitters(self) -> tuple[Any, ...]:
        return (self._camera.angles, self._camera.zoom, self._camera.center)

    def _on_moved(self, _event: Any = None) -> None:
        if self._scene is not None and self._wanted():
            self._scene.hide_scan(True)
            self._resting.start()

    def _rest(self) -> None:
        if self._scene is not None:
            self._scene.hide_scan(False)
