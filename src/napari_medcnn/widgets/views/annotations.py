"""What is written on every view: letters of sides, corners, scale bar, readout, and the banner of two patients.

Everything is read from the session and from the view when it is drawn, so no picture can say what is no longer true;
an exported picture is drawn by the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QColor, QPainter

from napari_medcnn.core.ruler import SET_BY_YOU
from napari_medcnn.core.volume import Volume
from napari_medcnn.core.who import Who
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.keymap import CORRECT
from napari_medcnn.widgets.study_model import person_lines
from napari_medcnn.widgets.views import badges
from napari_medcnn.widgets.views.banner import banner_words, draw_banner
from napari_medcnn.widgets.views.corners import Around, Corners, Line, draw_corners, line
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.letters import draw_spokes, spokes_of
from napari_medcnn.widgets.views.neurological import Neurological
from napari_medcnn.widgets.views.page import draw_page
from napari_medcnn.widgets.views.pane import MAIN, VOLUME, Pane
from napari_medcnn.widgets.views.readout import Readout
from napari_medcnn.widgets.views.sheet import ORANGE, YELLOW, Sheet
from napari_medcnn.widgets.views.view_section import ViewSection
from napari_medcnn.widgets.views.views import FOUR
from napari_medcnn.widgets.wording import badges as badges_of
from napari_medcnn.widgets.wording import frame_words, sides_badge

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

STILL_READING = "FIRST PICTURE, still reading"


class Annotations:
    """The painter of words over all panes, the neurological box, and the readout."""

    def __init__(self, dock: MedcnnDock, section: ViewSection) -> None:
        self._dock = dock
        #: Returns of whom further images are that are seen outside our layers; for the part that shows a second series.
        self.also_shown: Callable[[], tuple[Who, ...]] = tuple
        #: Returns further lines of the upper left corner of the first view, or of a picture: what a map over it is.
        self.also_said: Callable[[], list[Line]] = list
        self.neurological = Neurological(dock)
        self.readout = Readout(dock)
        section.add_row(self.neurological.box)
        dock.views.painters.insert(0, self.cover)
        dock.views.add_painter(self.paint)
        #: Boxes of what was written last on each view, by its name: for what is written beside.
        self.taken: dict[str, list[tuple[float, float, float, float]]] = {}
        self._told: tuple[object, ...] = ()
        dock.viewing.windowing.changed.connect(self._on_window)
        dock.session.scan_changed.connect(self.refresh)
        dock.session.beside_changed.connect(self.refresh)
        dock.header.names_hidden.connect(self.refresh)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """No keys."""
        return {}

    def close(self) -> None:
        """Let go of the viewer."""
        self.readout.close()
        self.neurological.close()

    def refresh(self, _what: object = None) -> None:
        """Draw everything again, and name two patients in the dock, too: something else is shown than before."""
        self._dock.header.show_warning(self.banner)
        self._dock.views.redraw()

    def _on_window(self) -> None:
        """While only numbers of a window change, draw the half that says them: the whole costs as much as the slice."""
        shown = (*map(id, self._dock.viewing.windowing.seen), self.banner)
        if shown != self._told:
            self._told = shown
            self.refresh()
            return
        for pane in self._dock.views.panes:
            pane.overlay.update_lower()

    # ---- drawing ---------------------------------------------------------------------------------------------------

    @property
    def scan(self) -> Volume | None:
        """What is seen: the open scan, or the first picture of one that is being read."""
        return self._dock.reading.second_series.seen or self._dock.session.opening.preview

    def cover(self, painter: QPainter, frame: Frame | None, pane: Pane) -> None:
        """Blacken a view that has nothing to show yet: its canvas keeps what it drew last, maybe another patient."""
        if pane.name != MAIN and not len(pane.viewer.layers):
            painter.fillRect(painter.window(), QColor("black"))

    def paint(self, painter: QPainter, frame: Frame | None, pane: Pane) -> None:
        """Write everything on one view."""
        if self.scan is None and self._dock.layers.mask is None:
            return
        sheet = Sheet.of(painter, frame, pane)
        self.taken[pane.name] = sheet.written
        corners = self.corners(pane, frame)
        if frame is not None:
            draw_page(sheet, frame, self.scan, corners, self.banner)
            return
        draw_corners(sheet, corners, Around(draw_banner(sheet, self.banner)))
        if pane.name != VOLUME:  # which has letters at the ends of the scan
            draw_spokes(sheet, spokes_of(self.scan, pane))

    # ---- words -----------------------------------------------------------------------------------------------------

    @property
    def named(self) -> bool:
        """True where names may be seen."""
        views = self._dock.views
        return not views.names_left_out if views.exporting else not self._dock.header.hides_names

    @property
    def banner(self) -> str:
        """What the band over the views says; "" while one patient on one date is seen."""
        session = self._dock.session
        if session.scan is None:
            return ""
        seen = [second.opened.who for second in session.seconds if any(layer.visible for layer in second.layers)]
        return banner_words((session.who, *seen, *self.also_shown()), self.named)

    def words(self, pane: Pane) -> list[str]:
        """Return all lines of a view as it is now."""
        return self.corners(pane, pane.frame()).words

    def corners(self, pane: Pane, frame: Frame | None) -> Corners:
        """Return what stands in the four corners of a view."""
        first = pane.name == MAIN or self._dock.views.exporting
        if frame is None:
            return Corners(top_left=self._badges(pane, frame, first))
        left, right = self._places(pane, frame), self._windows()
        said = [] if self._dock.views.exporting else self.readout.lines(pane)
        left += [line(words) for words in reversed(said)]
        return Corners(
            top_left=self._badges(pane, frame, first),
            top_right=self._person() if first else [],
            bottom_left=left,
            bottom_right=right,
        )

    def _badges(self, pane: Pane, frame: Frame | None, first: bool) -> list[Line]:
        """Return mode and badges: in 2x2 those of the sides in every view, all others in the first."""
        dock, scan = self._dock, self.scan
        found = []
        if pane.name == MAIN and not dock.views.exporting:
            mode = STILL_READING if dock.session.opening.preview is not None else dock.mode.upper()
            found.append(line(mode, colour=ORANGE if dock.mode == CORRECT else "#ffffff", strong=True, kept=True))
        if scan is None:
            return found
        if pane.name == VOLUME:
            found.append(line("3D", strong=True))
        if pane.name == MAIN and dock.reading.second_series.side.sides:
            found.insert(0, line(scan.name if self.named else "Scan 1", strong=True))
        words = badges_of(scan, dock.session.consent) if first else sides_badge(scan)
        if dock.reading.measuring.board.ruler.note == SET_BY_YOU:
            words = [SET_BY_YOU if each.startswith(("spacing unknown", "mm at detector")) else each for each in words]
        if frame is not None and frame.mirrored:
            words.insert(0, badges.NEUROLOGICAL)
        words.append(badges.tilt_words(scan))
        found += [line(each, colour=YELLOW, strong=True, kept=True) for each in words if each]
        return found + (self.also_said() if first and pane.name != VOLUME else [])

    def _person(self) -> list[Line]:
        if not self.named or self._dock.session.scan is None:
            return []
        return [line(words) for words in person_lines(self._dock.browsing.person()) if words]

    def _places(self, pane: Pane, frame: Frame) -> list[Line]:
        dock, scan = self._dock, self._dock.reading.second_series.seen
        if scan is None:
            return []
        where = badges.slice_line(scan, frame)
        slab = dock.reading.slab.slab_words(pane)
        plane = pane_plane(scan, frame) if dock.views.layout == FOUR else ""
        time = frame_words(scan, dock.frame)
        if scan.frames > 1:
            time = " · ".join(part for part in (f"step {dock.frame + 1} of {scan.frames}", time) if part)
        above = [line(words) for words in (slab, time, plane) if words]
        return ([where] if where is not None else []) + above

    def _windows(self) -> list[Line]:
        """Return the window of every scan that is seen, with the name of its preset."""
        dock, scan = self._dock, self._dock.session.scan
        windowing = dock.viewing.windowing
        found = []
        elsewhere = windowing.also_seen()  # side by side: they say their own
        for layer in reversed([x for x in windowing.seen if not any(x is y for y in elsewhere)]):
            first = layer is dock.layers.scan
            words = badges.window_words(layer)
            kind = str(layer.metadata[KEY].get("modality", "")) or "second"
            found.append(line(words if first else f"{kind}: {words}"))
            if layer is windowing.layer:
                name = badges.preset_name(layer, windowing.presets().values())
                turned = windowing.inverted and not (first and scan is not None and scan.inverted)
                found += [line(each) for each in (name, "inverted" if turned else "") if each]
        return found[:4]


def pane_plane(scan: Volume, frame: Frame) -> str:
    """Return "Axial", "Coronal" or "Sagittal"; "" where the file does not say."""
    names = ("Axial", "Coronal", "Sagittal")
    return names[frame.depth_axis] if scan.geometry.orientation_known else ""
