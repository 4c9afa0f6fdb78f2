"""The 3D pane of the linked views: brings preview and surfaces into it while it is seen, and takes them out after."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QPainter

from napari_medcnn.core.events import Progress
from napari_medcnn.errors import MedcnnError
from napari_medcnn.imaging.preview import Preview3D
from napari_medcnn.imaging.surface import Surface
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.scan_tab import is_volume
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.pane import VOLUME, Pane
from napari_medcnn.widgets.volume_view import painter as paint
from napari_medcnn.widgets.volume_view import work
from napari_medcnn.widgets.volume_view.camera import Projection, look_from_front, projection_of
from napari_medcnn.widgets.volume_view.graphics import graphics_of
from napari_medcnn.widgets.volume_view.panel import OUT_OF_DATE, VolumePanel
from napari_medcnn.widgets.volume_view.scene import Scene

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

PREVIEW, SURFACES = "3D preview", "Surfaces"
#: The 3D view follows brightness and time this long after their last change.
_DELAY_MS = 150
_POINTS = 9


class VolumeView(QObject):
    """Feature of reading: the 3D pane.

    Parameters
    ----------
    dock
        The dock it belongs to.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock, self._views, self._layers, self._session = dock, dock.views, dock.layers, dock.session
        self.panel = VolumePanel(self.look_from_front)
        dock.scan.add_section("3D", self.panel, fits=is_volume)
        self.scene: Scene | None = None
        self._pane: Pane | None = None
        self._followed: Any = None
        #: What was made, with the layer and time point it was made of.
        self.preview: Preview3D | None = None
        self._made_of: tuple[Any, int] | None = None
        self.surfaces: dict[int, Surface] = {}
        self.stale = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_DELAY_MS)
        self._soon.timeout.connect(self._follow)
        self._connect()

    def _connect(self) -> None:
        self.panel.rendering_chosen.connect(self._render)
        self.panel.surfaces_asked.connect(self.make_surfaces)
        self.panel.surfaces_shown.connect(lambda _shown: self._show_surfaces())
        self._views.layout_changed.connect(self.refresh)
        self._views.pane_added.connect(self._on_pane)
        self._views.add_painter(self._paint)
        self._session.scan_changed.connect(self._on_scan)
        self._session.mask_changed.connect(self._on_mask)
        self._session.classes_changed.connect(self._show_surfaces)
        self._session.visibility_changed.connect(self._show_surfaces)
        self._dock.strokes.changed.connect(self._on_stroke)
        self._dock.viewer.dims.events.current_step.connect(self._later)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions that rows of `keymap.KEYS` name."""
        return {}

    def close(self) -> None:
        """Let go of the viewer."""
        self._soon.stop()
        self._stop_following()
        self._dock.viewer.dims.events.current_step.disconnect(self._later)
        if self.scene is not None:
            self.scene.clear()
        self.scene = self._pane = self.preview = self._made_of = None
        self.surfaces = {}

    # ---- the pane ------------------------------------------------------------------------------------------------

    @property
    def seen(self) -> bool:
        """True while the 3D pane is on the screen and a volume is open."""
        scan = self._layers.scan
        shows = self._pane is not None and self._pane.native.isVisible()
        return shows and scan is not None and not scan.metadata[KEY]["picture"]

    def look_from_front(self) -> None:
        """Show the whole of it from the front, head up."""
        if self.scene is not None and self._pane is not None and len(self._pane.viewer.layers):
            look_from_front(self._pane.viewer)

    def _on_pane(self, pane: Pane) -> None:
        if pane.name == VOLUME:
            self._pane = pane
            self.scene = Scene(pane.viewer)

    def refresh(self) -> None:
        """Bring in what is missing if the pane is seen, take everything out if it is not."""
        if self.scene is None:
            return
        if not self.seen:
            self._dock.tasks.drop(PREVIEW)
            self._stop_following()
            self.scene.clear()
            return
        self._start_following()
        if self.preview is None or self._made_of != (self._layers.scan, self._dock.frame):
            self._make_preview()
        elif self.scene.image is None:
            self._show_preview()

    # ---- the scan ------------------------------------------------------------------------------------------------

    def _on_scan(self) -> None:
        self._dock.tasks.drop(PREVIEW)
        self.preview = self._made_of = None
        self._stop_following()
        if self.scene is not None:
            self.scene.clear()
        self.refresh()

    def _make_preview(self) -> None:
        scan, frame = self._layers.scan, self._dock.frame
        pane = self._pane
        if scan is None or pane is None:
            return
        made_of = (scan, frame)

        def done(preview: Preview3D) -> None:
            self.preview, self._made_of = preview, made_of
            if self.seen and scan is self._layers.scan:
                self._show_preview()

        volume = work.volume_of(scan, frame)
        todo = work.preview(volume, work.grid_of(scan), graphics_of(pane.native))
        self._dock.tasks.start_aside(PREVIEW, todo, done, self._dock.showing.on_failed)

    def _show_preview(self) -> None:
        scan = self._layers.scan
        if self.scene is not None and self.preview is not None and scan is not None:
            self.scene.show_scan(self.preview, _limits(scan, self.preview), scan.units[-3:])
            self._show_surfaces()
            self._views.redraw()

    def _render(self, rendering: str) -> None:
        if self.scene is not None:
            self.scene.render(rendering)

    def _start_following(self) -> None:
        scan = self._layers.scan
        if self._followed is scan or scan is None:
            return
        self._stop_following()
        self._followed = scan
        scan.events.contrast_limits.connect(self._later)

    def _stop_following(self) -> None:
        if self._followed is not None:
            self._followed.events.contrast_limits.disconnect(self._later)
            self._followed = None

    def _later(self, _event: Any = None) -> None:
        if self._followed is not None and self._pane is not None:
            self._soon.start()

    def _follow(self) -> None:
        """Follow brightness, and the time point of a 4D scan."""
        scan = self._layers.scan
        if not self.seen or scan is None or self.scene is None or self.preview is None:
            return
        if self._made_of is not None and self._made_of[1] != self._dock.frame:
            self._make_preview()
        else:
            self.scene.window(self.preview, _limits(scan, self.preview))

    # ---- surfaces ------------------------------------------------------------------------------------------------

    def make_surfaces(self) -> None:
        """Make the surfaces of all classes as the mask is now; while they are made, stop."""
        running = self._dock.tasks.running(SURFACES)
        mask = self._layers.mask
        if running is not None:
            running.cancel()
            return
        if mask is None or mask.ndim != 3:
            return
        self.stale = False
        todo = work.surfaces(mask.data, self._session.labels, work.grid_of(mask))
        self._session.strokes.commit()

        def progressed(event: Progress) -> None:
            self.panel.show_work(event.message)

        def failed(error: MedcnnError) -> None:
            self._show_state()
            self._dock.showing.on_failed(error)

        task = self._dock.tasks.start_aside(SURFACES, todo, self._surfaces_made, failed, progressed)
        task.cancelled.connect(self._show_state)
        self.panel.show_work("Looking for classes")

    def _surfaces_made(self, made: dict[int, Surface]) -> None:
        self.surfaces = made
        self.panel.show_checked(True)
        if not self.seen:
            self._views.show_four()
        self._show_surfaces()
        self._show_state()
        if not made:
            self.panel.say("The mask is empty: there is nothing to show.")

    def _show_surfaces(self) -> None:
        if self.scene is not None and self.scene.image is not None:
            shown = self.surfaces if self.panel.shown.isChecked() else {}
            self.scene.show_surfaces(shown, self._session.labels, self._session.hidden)

    def _show_state(self) -> None:
        self.panel.show_surfaces(self._layers.mask is not None, bool(self.surfaces), self.stale)
        self._views.redraw()

    def _on_mask(self) -> None:
        """Another mask, or none: the surfaces were those of the one before."""
        self._dock.tasks.drop(SURFACES)
        self.surfaces, self.stale = {}, False
        self._show_surfaces()
        self._show_state()

    def _on_stroke(self) -> None:
        making = self._dock.tasks.running(SURFACES) is not None
        if (self.surfaces or making) and not self.stale:
            self.stale = True
            if not making:
                self._show_state()

    # ---- drawing -------------------------------------------------------------------------------------------------

    def projection(self) -> Projection | None:
        """Return how the 3D pane sees the world now; None if it shows nothing."""
        if self._pane is None or self.scene is None or not len(self._pane.viewer.layers):
            return None
        native = self._pane.native
        return projection_of(self._pane.viewer.scene.camera, native.width(), native.height())

    def _paint(self, painter: QPainter, _frame: Frame | None, pane: Pane) -> None:
        scan, seen, grid = self._layers.scan, self.projection(), self._views.grid
        if pane is not self._pane or scan is None or grid is None:
            return
        larger = painter.window().width() / max(1, pane.native.width())  # an exported picture; on screen 1
        painter.scale(larger, larger)
        if seen is not None and self.scene is not None:
            where = work.grid_of(scan)
            box = paint.box_of(grid.shown.shape, where.spacing, where.translate)
            if not self._views.exporting:
                paint.paint_crosshair(painter, seen, box, self._views.place)
            paint.paint_letters(painter, seen, box, [grid.ends(axis) for axis in range(3)])
        bottom = pane.native.height() - 8
        for number, words in enumerate(self._notices()):
            paint.write(painter, words, (8, bottom - 16 * number), _POINTS)

    def _notices(self) -> list[str]:
        words = [self.preview.words] if self.preview is not None else ["Preparing the 3D preview"]
        if self.surfaces and self.panel.shown.isChecked() and self.stale:
            words.append("Surfaces: " + OUT_OF_DATE[0].lower() + OUT_OF_DATE[1:])
        return [line for line in words if line]


def _limits(scan: Any, preview: Preview3D) -> tuple[float, float]:
    """Return the display window of a scan; all values for colours."""
    if scan.rgb:
        return (preview.low, preview.low + 65535 * preview.step)
    low, high = scan.contrast_limits
    return (float(low), float(high))
