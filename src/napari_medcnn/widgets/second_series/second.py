"""A second series: which of the open scans are seen, and how; what may not be shown together is refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medcnn.core.volume import Volume
from napari_medcnn.core.who import Who, same_space
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.imaging.align import RESAMPLED, no_place, shares_axes
from napari_medcnn.widgets.jobs import Second
from napari_medcnn.widgets.second_series import kept, pairing
from napari_medcnn.widgets.second_series.fusion import Fusion, align
from napari_medcnn.widgets.second_series.panel import ALONE, FUSED, SIDE, Panel, bring_into_sight
from napari_medcnn.widgets.second_series.side import MOST, Side, SideBySide
from napari_medcnn.widgets.views.pane import Look

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

ALIGNING = "Aligning"


class SecondSeries(QObject):
    """The block of the Scan tab at work.

    Signal: `changed` when other scans are seen, or the same in another way.
    """

    changed = Signal()

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock, self._session, self._layers = dock, dock.session, dock.layers
        #: How scans are seen, and which: 0 is the first, 1 the first of those beside it.
        self.mode, self.number = ALONE, 0
        self.fusion = Fusion()
        self.side = SideBySide(dock, self._leave_side)
        #: True if side by side means all open scans.
        self.all_scans = False
        #: Of a saved reading: what the first view looked at, and what the sides showed, until they are there.
        self._kept: tuple[Look, dict[int, dict[str, Any]]] | None = None
        #: Scans beside (by identity) that may be fused although the files do not share a space: somebody said so.
        self.agreed: set[int] = set()
        self._aligned: dict[int, tuple[Volume, Image]] = {}
        self._opened: object = None
        panel = self.panel = Panel()
        self.section = dock.scan.add_section("Second series", panel)
        panel.mode_chosen.connect(self.show_mode)
        panel.scan_chosen.connect(self._choose)
        panel.mixed.connect(self.mix)
        panel.coloured.connect(self.paint)
        panel.agreed.connect(self._agree)
        panel.linked.connect(self._link)
        panel.link_set.connect(self.link_from_here)
        panel.all_wanted.connect(self._show_all)
        panel.removed.connect(self.remove)
        self._session.beside_changed.connect(self._on_beside)
        self._session.scan_changed.connect(self._on_scan)
        self._session.opening.preview_changed.connect(self._on_scan)
        dock.header.names_hidden.connect(self._show_names)
        dock.viewing.layer_under = self._layer_under
        dock.viewing.windowing.also_seen = self._layers_beside
        dock.views.add_painter(self.side.paint)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """It has no keys."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what a saved reading keeps."""
        return kept.state_of(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Show the scans of a saved reading as they were seen."""
        kept.restore(self, state)

    def close(self) -> None:
        """Let go of the viewer."""
        self.fusion.end()
        self.side.end()
        self._aligned.clear()

    # ---- what is seen -----------------------------------------------------------------------------------------------

    @property
    def second(self) -> Second | None:
        """The chosen scan beside the open one; None while that is the first."""
        seconds = self._session.seconds
        return seconds[self.number - 1] if 0 < self.number <= len(seconds) else None

    @property
    def seconds(self) -> list[Second]:
        """The scans beside the open one."""
        return self._session.seconds

    @property
    def alone(self) -> Second | None:
        """The scan beside the open one that is seen in its place; None while the first is seen."""
        return self.second if self.mode == ALONE else None

    @property
    def seen(self) -> Volume | None:
        """The scan whose picture the first view shows: another than the first only where that is seen alone."""
        second = self.alone
        if second is None:
            return self._session.scan
        return self._aligned[id(second)][0] if id(second) in self._aligned else second.scan

    def also_shown(self) -> tuple[Who, ...]:
        """Return of whom the scans are that are seen outside the session's own layers."""
        found = [side.second.opened.who for side in self.side.sides]
        second = self.second
        if second is not None and id(second) in self._aligned and self._aligned[id(second)][1].visible:
            found.append(second.opened.who)
        return tuple(found)

    def target(self, viewer: Any = None) -> Image | None:
        """Return the layer whose window is meant, in the view of `viewer` or by the numbers of the Scan tab."""
        under = None if viewer is None else self._layer_under(viewer)
        layer: Image | None = under or self._dock.viewing.windowing.layer
        return layer

    def _layer_under(self, viewer: Any) -> Image | None:
        side = self.side.side_of(viewer)
        return None if side is None else side.second.layers[0]

    def _layers_beside(self) -> tuple[Image, ...]:
        return tuple(side.second.layers[0] for side in self.side.sides)

    # ---- choosing ---------------------------------------------------------------------------------------------------

    def show_newest(self) -> None:
        """Show the scan that was opened last side by side with the first."""
        self.number = len(self._session.seconds)
        self.show_mode(SIDE)

    def show_mode(self, mode: str) -> None:
        """Show one at a time, fused or side by side; what is refused leaves everything as it is."""
        if mode != ALONE and not self.number and self._session.seconds:
            self.number = 1
        {FUSED: self._fuse, SIDE: self._show_sides}.get(mode, self._show_alone)()

    def _choose(self, number: int) -> None:
        self.number = number
        self.show_mode(self.mode if number else ALONE)

    def _show_alone(self) -> None:
        second = self.second
        if second is not None and self._must_turn(second):
            self._align(second, self._show_alone)
            return
        self._begin(ALONE)
        layer = None if second is None else self.layer_of(second)
        if layer is not None:
            layer.visible = True
        if self._layers.scan is not None:
            self._layers.scan.visible = layer is None
        said = [] if second is None or id(second) not in self._aligned else [RESAMPLED]
        self._end(said)

    def _must_turn(self, second: Second) -> bool:
        """Return True if the first view cannot show it as it is: its axes are not those of the window."""
        scan = self._session.scan
        if scan is None or id(second) in self._aligned or no_place(scan) or no_place(second.scan):
            return False
        return not second.layers[0].rgb and not shares_axes(second.scan.geometry, scan.geometry)

    # ---- fused ------------------------------------------------------------------------------------------------------

    def _fuse(self) -> None:
        second, scan = self.second, self._session.scan
        if second is None or scan is None or self._layers.scan is None:
            self._show_panel()
            return
        whose = (self._session.who, second.opened.who)
        refusal = pairing.fuse_refusal(scan, second.scan, whose)
        if refusal:
            self._dock.showing.on_failed(InputError(refusal))
            self._show_panel([refusal])
            return
        if same_space(*whose) is False and id(second) not in self.agreed:
            self._show_panel(pairing.remarks(scan, second.scan, whose), asks=True)
            return
        if self._must_turn(second):
            self._align(second, self._fuse)
            return
        self._begin(FUSED)
        self.fusion.begin(self._layers.scan, self.layer_of(second))
        self._dock.viewing.windowing.choose(self.layer_of(second))
        said = pairing.remarks(scan, second.scan, whose)
        self._end([*said, RESAMPLED] if id(second) in self._aligned else said)

    def _agree(self) -> None:
        if self.second is not None:
            self.agreed.add(id(self.second))
            self._fuse()

    def mix(self, share: float) -> None:
        """Show this much (0 to 1) of the second series."""
        self.fusion.mix(share)
        self.panel.show_mix(self.fusion.share, self.fusion.colour)

    def paint(self, colour: str) -> None:
        """Show the second series in these colours."""
        self.fusion.paint(colour)

    def _align(self, second: Second, then: Callable[[], None]) -> None:
        scan = self._session.scan
        if scan is None:
            return

        def done(found: Any) -> None:
            if second not in self._session.seconds:
                return
            volume, parts = found
            layer = self._layers.add_beside(parts)[0]
            layer.contrast_limits = second.layers[0].contrast_limits
            layer.colormap = second.layers[0].colormap
            self._aligned[id(second)] = (volume, layer)
            then()

        def failed(error: MedcnnError) -> None:
            self._dock.showing.on_failed(error)
            self._show_panel()

        self._show_panel(["Turning the second series onto the axes of the first ..."])
        task = self._dock.tasks.start(ALIGNING, align(second.scan, scan.geometry), done, failed)
        task.cancelled.connect(self._show_panel)

    def layer_of(self, second: Second) -> Image:
        """Return the layer that shows it in the first view: its own, or one turned onto the axes of the first scan."""
        return self._aligned[id(second)][1] if id(second) in self._aligned else second.layers[0]

    # ---- side by side -----------------------------------------------------------------------------------------------

    def _show_sides(self) -> None:
        seconds, scan = self._session.seconds, self._session.scan
        if not seconds or scan is None:
            self._show_panel()
            return
        chosen = list(enumerate(seconds, 1))
        if not self.all_scans:
            chosen = [pair for pair in chosen if pair[0] == self.number]
        self._begin(SIDE)
        self.side.begin(chosen[:MOST])
        for side in self.side.sides:
            by_position = pairing.linked_by_position(scan, side.second.scan, self.whose(side))
            side.link_now(by_position)
        QTimer.singleShot(0, self._fit_sides)
        self._end(self._side_words())

    def _fit_sides(self) -> None:
        """The canvases have their sizes now: all of the first is seen, and the sides follow."""
        views = self._dock.views
        if not self.side.sides or not views.panes:
            return
        shown, self._kept = self._kept, None
        for side in self.side.sides:
            side.pane.fit()
        if shown is None:
            views.panes[0].fit()
        else:
            views.panes[0].look = shown[0]
        for side in self.side.sides:
            side.follow_look()
            state = None if shown is None else shown[1].get(side.number)
            if state is not None:
                with contextlib.suppress(KeyError, TypeError, ValueError):  # of a damaged file: shown as if new
                    kept.restore_side(self, side, state)
        if shown is not None:
            self._show_panel(self._side_words())

    def show_as(self, mode: str, number: int, all_scans: bool, sides: dict[int, dict[str, Any]]) -> None:
        """Show the scans as a saved reading says; the first view keeps what it looks at."""
        self.number, self.all_scans = number, all_scans
        self.panel.show_all(all_scans)
        panes = self._dock.views.panes
        self._kept = (panes[0].look, sides) if mode == SIDE and panes else None
        self.show_mode(mode)

    def whose(self, side: Side) -> tuple[Who, Who]:
        """Return of whom the open scan and that of a side are."""
        return (self._session.who, side.second.opened.who)

    def _side_words(self) -> list[str]:
        scan, said = self._session.scan, []
        for side in self.side.sides:
            whose = self.whose(side)
            refusal = pairing.link_refusal(whose)
            if refusal:
                said.append(refusal)
            elif scan is not None:
                said += pairing.remarks(scan, side.second.scan, whose)
                if not side.linked:
                    said.append("Not linked. Show the same place in both, then press Link from here.")
        return list(dict.fromkeys(said))

    def _link(self, linked: bool) -> None:
        for side in self._linkable():
            side.link_now(linked)
        self._show_panel(self._side_words())

    def link_from_here(self) -> None:
        """What the views show now belongs together from now on; never across patients."""
        for side in self._linkable():
            side.link_from_here()
        self._show_panel(self._side_words())

    def _linkable(self) -> list[Side]:
        return [side for side in self.side.sides if not pairing.link_refusal(self.whose(side))]

    def _show_all(self, wanted: bool) -> None:
        self.all_scans = wanted
        if self.mode == SIDE:
            self._show_sides()

    def _leave_side(self) -> None:
        """2x2 is wanted: it shows the first scan."""
        self.number = 0
        self._show_alone()

    # ---- before and after -------------------------------------------------------------------------------------------

    def _begin(self, mode: str) -> None:
        """Take away what was seen before; the first scan is seen."""
        self.fusion.end()
        self.side.end()
        self.mode = mode
        for second in self._session.seconds:
            for layer in second.layers:
                layer.visible = False
        for _, layer in self._aligned.values():
            layer.visible = False
        if self._layers.scan is not None:
            self._layers.scan.visible = True
        self._dock.viewing.windowing.choose(None)

    def _end(self, said: list[str]) -> None:
        self._show_panel(said)
        self.changed.emit()
        self._dock.views.redraw()

    def _show_panel(self, said: list[str] | None = None, asks: bool = False) -> None:
        panel = self.panel
        panel.show_mode(self.mode, self.number)
        panel.show_mix(self.fusion.share, self.fusion.colour)
        panel.show_words([self._dock.browsing.clean(words) for words in said or ()], asks)
        linkable = self._linkable()
        panel.show_link(any(side.linked for side in linkable), bool(linkable))

    # ---- scans come and go ------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Close the chosen scan beside the first."""
        second, number = self.second, self.number
        if second is None:
            return
        self.number = 0
        self._show_alone()
        aligned = self._aligned.pop(id(second), None)
        if aligned is not None:
            self._layers.discard(aligned[1])
        self.agreed.discard(id(second))
        self._session.remove_beside(number)

    def _on_beside(self) -> None:
        seconds = self._session.seconds
        if self.number > len(seconds):
            self.number = 0
        self._show_names()
        if len(seconds) == 1:
            self.section.title.setChecked(True)
            QTimer.singleShot(0, lambda: bring_into_sight(self.section))
        self._show_panel()

    def _on_scan(self) -> None:
        """Another scan is open, or its first picture: what was shown together went with the old one."""
        if self._opened is self._session.opened and self._session.seconds:
            return
        self._opened = self._session.opened
        self.side.end()
        self.fusion = Fusion()
        self._aligned.clear()
        self.agreed.clear()
        self.mode, self.number, self._kept = ALONE, 0, None
        self._dock.tasks.drop(ALIGNING)
        self._show_names()

    def _show_names(self, _hidden: bool = False) -> None:
        session = self._session
        names = [scan.name for scan in (session.scan, *session.beside) if scan is not None]
        hidden = [f"Scan {i + 1}" for i in range(len(names))]
        self.panel.show_scans(hidden if self._dock.header.hides_names else names, self.number)
        self.side.redraw()
