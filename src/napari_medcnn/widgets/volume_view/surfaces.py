"""Surfaces of the classes in the 3D view: which are wanted, made, out of date, and how fine they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_medcnn.core.events import Progress
from napari_medcnn.errors import MedcnnError
from napari_medcnn.imaging.surface import Surface
from napari_medcnn.widgets.volume_view import work
from napari_medcnn.widgets.volume_view.class_list import Entry
from napari_medcnn.widgets.volume_view.export import ask_and_save
from napari_medcnn.widgets.volume_view.graphics import Graphics
from napari_medcnn.widgets.volume_view.panel import OUT_OF_DATE, VolumePanel

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

SURFACES = "Surfaces"
EMPTY = "The mask is empty: there is nothing to show."
_GREY = (153, 153, 153)


class Surfaces(QObject):
    """The surfaces of the open mask.

    Parameters
    ----------
    dock
        Its session has mask and classes.
    panel
        Says what is wanted, and is told how it stands.
    graphics
        Returns what the graphics of this computer can take.
    show
        Shows some surfaces in 3D; called with those that are to be seen whenever that changes.
    """

    def __init__(
        self,
        dock: MedcnnDock,
        panel: VolumePanel,
        graphics: Callable[[], Graphics],
        show: Callable[[Mapping[int, Surface]], None],
    ) -> None:
        super().__init__(dock)
        self._dock, self._session, self._layers = dock, dock.session, dock.layers
        self._panel, self._graphics, self._show = panel, graphics, show
        self.made: dict[int, Surface] = {}
        #: The mask changed since they were made.
        self.stale = False
        panel.surfaces_asked.connect(self.make)
        panel.surfaces_shown.connect(lambda _shown: self.show())
        panel.classes.chosen.connect(self._on_classes)
        panel.save_asked.connect(lambda: ask_and_save(dock, self.wanted))
        self._session.mask_changed.connect(self._on_mask)
        self._session.classes_changed.connect(self._on_classes)
        self._session.visibility_changed.connect(self._on_classes)
        dock.strokes.changed.connect(self._on_stroke)

    # ---- what others ask -------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> frozenset[int]:
        """Ids of the classes that have voxels, are ticked, and are not hidden in the table of classes."""
        return self._panel.classes.ticked - self._session.hidden

    @property
    def seen(self) -> dict[int, Surface]:
        """The surfaces that are to be seen now."""
        wanted = self.wanted if self._panel.shown.isChecked() else frozenset()
        return {label_id: surface for label_id, surface in self.made.items() if label_id in wanted}

    def notices(self) -> list[str]:
        """Return what has to be known of them beside the picture."""
        seen = self.seen
        coarser = max((surface.coarser for surface in seen.values()), default=1)
        said = [f"Surfaces {coarser}x coarser than the mask"] if coarser > 1 else []
        return said + (["Surfaces: " + OUT_OF_DATE[0].lower() + OUT_OF_DATE[1:]] if seen and self.stale else [])

    def show(self) -> None:
        """Show those that are to be seen."""
        self._show(self.seen)

    # ---- making ----------------------------------------------------------------------------------------------------

    def make(self) -> None:
        """Make the surfaces of the wanted classes as the mask is now; while they are made, stop."""
        running = self._dock.tasks.running(SURFACES)
        mask = self._layers.mask
        if running is not None:
            running.cancel()
            return
        if mask is None or mask.ndim != 3:
            return
        self._session.strokes.commit()
        self._list_classes()
        if not self.wanted:
            self._panel.say("No class is ticked." if self._session.strokes.counts else EMPTY)
            return
        self.stale = False
        wanted = work.Wanted(self.wanted, self._graphics().triangles)
        todo = work.surfaces(mask.data, self._session.labels, work.grid_of(mask), wanted)

        def progressed(event: Progress) -> None:
            self._panel.show_work(event.message)

        def failed(error: MedcnnError) -> None:
            self.show_state()
            self._dock.showing.on_failed(error)

        task = self._dock.tasks.start_aside(SURFACES, todo, self._on_made, failed, progressed)
        task.cancelled.connect(self.show_state)
        self._panel.show_work("Looking for classes")

    def _on_made(self, made: dict[int, Surface]) -> None:
        self.made = made
        self._panel.show_checked(True)
        self._dock.reading.volume_view.bring_up()
        self.show()
        self.show_state()
        if not made:
            self._panel.say(EMPTY)

    def show_state(self) -> None:
        """Tell the panel how it stands."""
        self._panel.show_surfaces(self._layers.mask is not None, bool(self.made), self.stale)
        if self.made and not self.stale:
            self._panel.say(surfaces_words(self.made))
        self._dock.views.redraw()

    # ---- what happens ----------------------------------------------------------------------------------------------

    def _list_classes(self) -> None:
        """List the classes that have voxels now."""
        labels, mask = self._session.labels, self._layers.mask
        counts = self._session.strokes.counts if mask is not None and mask.ndim == 3 else {}
        self._panel.classes.show_classes([
            Entry(i, labels.name_of(i), labels.by_id(i).colour if i in labels else _GREY)
            for i, voxels in sorted(counts.items())
            if i and voxels
        ])  # fmt: skip

    def _on_classes(self) -> None:
        """Some were ticked, shown, named or the opposite: what is made is shown or hidden, what is missing is made."""
        self._list_classes()
        if self.made and self.wanted - set(self.made) and self._dock.tasks.running(SURFACES) is None:
            self.make()
        self.show()
        self._dock.views.redraw()

    def _on_mask(self) -> None:
        """Another mask, or none: the surfaces were those of the one before."""
        self._dock.tasks.drop(SURFACES)
        self.made, self.stale = {}, False
        self._panel.classes.forget()
        self._list_classes()
        self.show()
        self.show_state()

    def _on_stroke(self) -> None:
        self._list_classes()
        making = self._dock.tasks.running(SURFACES) is not None
        if (self.made or making) and not self.stale:
            self.stale = True
            if not making:
                self.show_state()


def surfaces_words(surfaces: Mapping[int, Surface]) -> str:
    """Return how many surfaces and triangles there are, and how much coarser than the mask they are for this screen."""
    count, triangles = len(surfaces), sum(len(surface.faces) for surface in surfaces.values())
    coarser = max(surface.coarser for surface in surfaces.values())
    fine = f", {coarser}x coarser than the mask so that they turn smoothly; saved ones are finer" if coarser > 1 else ""
    return f"{count} surface{'s' if count > 1 else ''}, {triangles} triangles{fine}."
