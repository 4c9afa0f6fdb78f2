"""The 3D pane of the linked views: brings preview and surfaces into it while it is seen, and takes them out after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QPainter

from napari_medcnn.core.reading_state import numbers
from napari_medcnn.imaging.preview import Preview3D
from napari_medcnn.imaging.surface import Surface
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.scan_tab import is_volume
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.pane import VOLUME, Pane
from napari_medcnn.widgets.volume_view import painter as paint
from napari_medcnn.widgets.volume_view import work
from napari_medcnn.widgets.volume_view.camera import Projection, look_from_front, projection_of
from napari_medcnn.widgets.volume_view.graphics import Graphics, graphics_of
from napari_medcnn.widgets.volume_view.map_volume import MapLook, MapVolume
from napari_medcnn.widgets.volume_view.panel import VolumePanel
from napari_medcnn.widgets.volume_view.scene import Scene
from napari_medcnn.widgets.volume_view.surfaces import Surfaces
from napari_medcnn.widgets.volume_view.turning import Turning

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

PREVIEW = "3D preview"
#: The 3D view follows brightness and time this long after their last change.
_DELAY_MS = 150
_POINTS = 9
#: Two lines, the lower first: of one a small view would have no room beside a letter.
NOT_MIRRORED = ("letters turn with the body", "3D is never mirrored:")


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
        self._software = True
        self.shapes = Surfaces(dock, self.panel, self._graphics, self._show_surfaces)
        self._turning = Turning(self)
        self._map: MapVolume | None = None
        self._map_look: MapLook | None = None
        #: Camera of a saved reading (angles, centre, zoom with 1 for the canvas), until there is something to see.
        self._kept_camera: tuple[list[float], list[float], float] | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_DELAY_MS)
        self._soon.timeout.connect(self._follow)
        self._connect()

    def _connect(self) -> None:
        self.panel.rendering_chosen.connect(self._render)
        self._views.layout_changed.connect(self.refresh)
        self._views.pane_added.connect(self._on_pane)
        self._views.add_painter(self._paint)
        self._session.scan_changed.connect(self._on_scan)
        self._dock.viewer.dims.events.current_step.connect(self._later)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions that rows of `keymap.KEYS` name."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what a saved reading keeps: the rendering, and from where it is seen once it was seen."""
        found: dict[str, Any] = {"rendering": self.panel.rendering.currentData()}
        if self._pane is not None and len(self._pane.viewer.layers):
            camera = self._pane.viewer.scene.camera
            found["angles"], found["centre"] = [float(a) for a in camera.angles], [float(c) for c in camera.center]
            found["zoom"] = float(camera.zoom) / self._pane.whole_zoom
        return found

    def restore(self, kept: dict[str, Any]) -> None:
        """Show it as a saved reading did."""
        index = self.panel.rendering.findData(kept["rendering"])
        if index < 0:
            raise ValueError("rendering")
        camera = None
        if "angles" in kept:
            angles, centre, (zoom,) = numbers(kept["angles"], 3), numbers(kept["centre"], 3), numbers([kept["zoom"]], 1)
            if not 0 < zoom <= 1000:
                raise ValueError("zoom")
            camera = (angles, centre, zoom)
        self.panel.rendering.setCurrentIndex(index)
        self._kept_camera = camera
        self._look_as_kept()

    def _look_as_kept(self) -> None:
        """See it from where a saved reading saw it, as soon as there is something to see."""
        if self._kept_camera is None or self._pane is None or self.scene is None or self.scene.image is None:
            return
        angles, centre, zoom = self._kept_camera
        self._kept_camera = None
        camera = self._pane.viewer.scene.camera
        camera.angles, camera.center = tuple(angles), tuple(centre)
        camera.zoom = zoom * self._pane.whole_zoom

    def close(self) -> None:
        """Let go of the viewer."""
        self._soon.stop()
        self._turning.close()
        self._stop_following()
        self._dock.viewer.dims.events.current_step.disconnect(self._later)
        if self.scene is not None:
            self.scene.clear()
        self.scene = self._pane = self.preview = self._made_of = None
        self.shapes.made = {}

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
            self._turning.watch(pane.viewer, self.scene, self._drawn_slowly)
            self.scene.rendering = str(self.panel.rendering.currentData())

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
        self.preview = self._made_of = self._kept_camera = None
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
        graphics = self._graphics()
        self._software = graphics.software
        todo = work.preview(volume, work.grid_of(scan), graphics)
        self._dock.tasks.start_aside(PREVIEW, todo, done, self._dock.showing.on_failed)

    def _show_preview(self) -> None:
        scan = self._layers.scan
        if self.scene is not None and self.preview is not None and scan is not None:
            self.scene.show_scan(self.preview, _limits(scan, self.preview), scan.units[-3:])
            self._look_as_kept()
            self.shapes.show()
            self.scene.show_map(self._map, self._map_look)
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

    # ---- a map ---------------------------------------------------------------------------------------------------

    def show_map(self, volume: MapVolume | None, look: MapLook | None) -> None:
        """Show a map over the scan whenever this view is seen; None for none."""
        same = volume is self._map
        self._map, self._map_look = volume, look
        if self.scene is None or self.scene.image is None:
            return
        if same and volume is not None and look is not None and self.scene.map is not None:
            self.scene.look_map(look)
        else:
            self.scene.show_map(volume, look)

    # ---- surfaces ------------------------------------------------------------------------------------------------

    def make_surfaces(self) -> None:
        """Make the surfaces of the ticked classes as the mask is now; while they are made, stop."""
        self.shapes.make()

    @property
    def surfaces(self) -> dict[int, Surface]:
        """The surfaces that were made, by class."""
        return self.shapes.made

    @property
    def stale(self) -> bool:
        """True if the mask changed since."""
        return self.shapes.stale

    def bring_up(self) -> None:
        """Have the 3D view seen."""
        if not self.seen:
            self._views.show_four()

    def _graphics(self) -> Graphics:
        return Graphics() if self._pane is None else graphics_of(self._pane.native)

    def _show_surfaces(self, surfaces: Mapping[int, Surface]) -> None:
        if self.scene is not None and self.scene.image is not None:
            self.scene.show_surfaces(surfaces, self._session.labels)

    def _drawn_slowly(self) -> bool:
        """True if surfaces or a map are seen and the processor draws them."""
        over = bool(self.shapes.seen) or (self.scene is not None and self.scene.map is not None)
        return over and self._software

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
        """Return what has to be known of this view, from its lower edge up."""
        words = [self.preview.words] if self.preview is not None else ["Preparing the 3D preview"]
        words += self.shapes.notices()
        if self._map is not None and self._map_look is not None and self._map_look.visible:
            words.append(self._map.words)
        if self._dock.reading.annotations.neurological.on:
            words += NOT_MIRRORED
        return [line for line in words if line]


def _limits(scan: Any, preview: Preview3D) -> tuple[float, float]:
    """Return the display window of a scan; all values for colours."""
    if scan.rgb:
        return (preview.low, preview.low + 65535 * preview.step)
    low, high = scan.contrast_limits
    return (float(low), float(high))
