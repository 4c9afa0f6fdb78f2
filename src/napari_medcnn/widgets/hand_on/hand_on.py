"""The block "Hand on" of the Scan tab: picture, film, case to share; without names unless they are ticked."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QApplication, QWidget

from napari_medcnn.core.geometry import Array
from napari_medcnn.core.labels import Colour
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io import burned_in
from napari_medcnn.io.measures_file import as_csv
from napari_medcnn.io.pictures_out import MAX_FRAMES, can_write_mp4, save_png
from napari_medcnn.io.share import without_identifiers
from napari_medcnn.verbs import share
from napari_medcnn.widgets.hand_on import render
from napari_medcnn.widgets.hand_on.caption import Caption, with_caption
from napari_medcnn.widgets.hand_on.film import FILM, Projector, write_film
from napari_medcnn.widgets.hand_on.wishes import (
    SLICES,
    TIMES,
    FilmOffer,
    FilmWish,
    PictureOffer,
    PictureWish,
    ShareOffer,
    ShareWish,
    risk_words,
)
from napari_medcnn.widgets.measuring.rows import file_table
from napari_medcnn.widgets.parts import button, column, row
from napari_medcnn.widgets.study_model import person_names, person_words
from napari_medcnn.widgets.views.pane import Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

SHARING = "Sharing"


class HandingOn:
    """Makes what leaves the window.

    Parameters
    ----------
    dock
        Whose scan, mask and views.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        self._projector: Projector | None = None
        self._header: tuple[Any, tuple[str, ...]] | None = None
        block = QWidget()
        self._layout = layout = column(block, margin=0)
        self.picture_button = button("Picture...", self.picture, "What the views show, as PNG or on the clipboard")
        self.copy_button = button("Copy picture", self.copy_picture, "What the views show, onto the clipboard")
        self.film_button = button("Film...", self.film, "A walk through the slices or time points as GIF or MP4")
        self.share_button = button("Share case...", self.share, "Mask, classes, measures, pictures, scan in one zip")
        layout.addLayout(row(self.picture_button, self.copy_button))
        layout.addLayout(row(self.film_button, self.share_button))
        self.block = block
        dock.scan.add_section("Hand on", block)

    def add(self, widget: QWidget) -> None:
        """Put one more button into the block."""
        self._layout.addWidget(widget)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """No key names a function of this feature."""
        return {}

    def close(self) -> None:
        """The dock goes: no more frames."""
        if self._projector is not None:
            self._projector.end()
            self._projector = None

    # ---- what is in it ---------------------------------------------------------------------------------------------

    @property
    def suggestion(self) -> str:
        """A file name that names nobody."""
        scan = self._dock.session.scan
        return f"medcnn-{(scan.modality if scan is not None else '').lower() or 'scan'}"

    @property
    def risk(self) -> tuple[str, ...]:
        """Why the picture itself may show a name; the header is looked at once for each scan."""
        scan, opened = self._dock.session.scan, self._dock.session.opened
        if scan is None:
            return ()
        if self._header is None or self._header[0] is not scan:
            item = None if opened is None else opened.item
            header = item.files[0] if item is not None and item.study is not None and item.files else None
            self._header = scan, burned_in.reasons(scan.modality, scan.is_picture, header)
        return self._header[1]

    @property
    def _offered(self) -> dict[str, Any]:
        person = self._dock.browsing.person()
        return {"suggestion": self.suggestion, "person": person_words(person), "risk": self.risk}

    def caption(self, panes: Sequence[Pane], names: bool, span: range | None = None) -> Caption:
        """Return the caption of some views: the classes that are seen in them; with `span`, in all those slices."""
        dock = self._dock
        mask = dock.layers.mask
        person = person_words(dock.browsing.person()) if names else ""
        if mask is None or not mask.visible:
            return Caption(words=person)
        seen = set(np.unique(mask.data)) if mask.data.ndim == 2 else self._seen(panes, mask.data, span)
        private = () if names else person_names(dock.browsing.person())
        classes: list[tuple[str, Colour]] = [
            (without_identifiers(label.name, private) if private else label.name, label.colour)
            for label in dock.session.labels
            if label.id in seen and label.id not in dock.session.hidden
        ]
        return Caption(tuple(classes), person)

    def _seen(self, panes: Sequence[Pane], data: Array, span: range | None) -> set[int]:
        grid, found = self._dock.views.grid, set[int]()
        for pane in panes:
            frame = pane.frame()
            if frame is None or grid is None:
                found |= set(np.unique(data[::2, ::2, ::2]).tolist())
                continue
            place = frame.to_place(0, 0)
            at = int(np.floor(grid.index_of(place)[frame.depth_axis] + 0.5))
            planes = [k for k in span or (at,) if 0 <= k < data.shape[frame.depth_axis]]
            found |= set(np.unique(data.take(planes, axis=frame.depth_axis)).tolist())
        return found

    def image(self, panes: Sequence[Pane], scale: float, names: bool, caption: Caption | None = None) -> QImage:
        """Return the picture of some views with its caption."""
        views = self._dock.views
        with views.without_names(not names):
            made = render.views_picture(views, panes, scale)
            dots = float(panes[0].native.logicalDpiY())
        return with_caption(made, self.caption(panes, names) if caption is None else caption, scale, dots)

    @property
    def panes(self) -> tuple[Pane, ...]:
        """The views that are seen."""
        return tuple(self._dock.views.shown)

    # ---- picture ---------------------------------------------------------------------------------------------------

    def picture(self) -> None:
        """Ask, and save or copy what the views show."""
        panes = self.panes
        if panes and self._dock.session.scan is not None:
            size = sum(p.native.width() for p in panes), sum(p.native.height() for p in panes)
            half = 2 if len(panes) > 2 else 1
            offer = PictureOffer(**self._offered, views=len(panes), size=(size[0] // half, size[1] // half))
            wish = self._dock.dialogs.picture(offer)
            if wish is not None:
                self.make_picture(wish)

    def copy_picture(self) -> None:
        """Put what the views show on the clipboard, without names."""
        question = f"{risk_words(self.risk)} Does it show none?"
        if self.panes and (not self.risk or self._dock.dialogs.sure(question)):
            self.make_picture(PictureWish(None))

    def make_picture(self, wish: PictureWish) -> None:
        """Save or copy."""
        dock, panes = self._dock, self.panes
        active = dock.views.active
        if not wish.all_views and active in panes:
            panes = (active,)
        try:
            made = self.image(panes, wish.scale, wish.names)
            if wish.path is not None:
                dock.session.names.add(str(wish.path))
                save_png(render.to_array(made), wish.path)
        except MedcnnError as error:
            dock.showing.on_failed(error)
            return
        if wish.path is None:
            QApplication.clipboard().setImage(made)
        size = f"{made.width()} x {made.height()} px"
        dock.say(f"Copied: {size}." if wish.path is None else f"Saved: {wish.path.name}, {size}.")

    # ---- film ------------------------------------------------------------------------------------------------------

    @property
    def film_pane(self) -> Pane | None:
        """The view a film is made of: the one under the mouse if it is flat, else the first."""
        flat = [pane for pane in self.panes if pane.frame() is not None]
        active = self._dock.views.active
        return active if active in flat else next(iter(flat), None)

    def _ways(self, pane: Pane) -> dict[str, tuple[int, int, int]]:
        """Return name -> (axis of the viewer, how many steps, step seen now)."""
        dims = pane.viewer.dims
        axes = {SLICES: pane.slider, TIMES: self._dock.viewing.time_axis}
        found = {}
        for name, axis in axes.items():
            if axis is not None and int(dims.nsteps[axis]) > 1:
                found[name] = (axis, int(dims.nsteps[axis]), int(dims.current_step[axis]))
        return found

    def film(self) -> None:
        """Ask, and make a film of one view."""
        pane = self.film_pane
        ways = {} if pane is None else self._ways(pane)
        if pane is None or not ways:
            self._dock.say("There is nothing to walk through here: a film needs several slices or time points.")
            return
        size = (pane.native.width(), pane.native.height())
        choices = tuple((name, count, now + 1) for name, (_axis, count, now) in ways.items())
        wish = self._dock.dialogs.film(FilmOffer(**self._offered, ways=choices, size=size, mp4=can_write_mp4()))
        if wish is not None:
            self.make_film(wish)

    def make_film(self, wish: FilmWish) -> None:
        """Draw frame by frame, write in a task; Cancel ends both."""
        dock, pane = self._dock, self.film_pane
        way = None if pane is None else self._ways(pane).get(wish.along)
        if pane is None or way is None or not 1 <= wish.first <= wish.last <= min(way[1], wish.first + MAX_FRAMES - 1):
            dock.showing.on_failed(InputError(f"Film: expected {wish.along} of the scan that is open; choose again."))
            return
        self.close()
        dims, axis, before = pane.viewer.dims, way[0], tuple(pane.viewer.dims.point)
        span = range(wish.first - 1, wish.last) if wish.along == SLICES else None
        caption = self.caption((pane,), wish.names, span)
        seen = dock.session.scan, dock.reading.second_series.seen, pane.axis

        def draw(number: int) -> Array:
            if seen != (dock.session.scan, dock.reading.second_series.seen, pane.axis):
                raise InputError("Another scan or plane was chosen while the film was made; start it again.")
            dims.set_current_step(axis, wish.first - 1 + number)
            return render.to_array(self.image((pane,), wish.scale, wish.names, caption))

        def put_back() -> None:
            if len(before) == dims.ndim and dock.session.scan is seen[0]:
                dims.point = before
            with contextlib.suppress(RuntimeError):  # the header has gone with its window
                dock.header.show_progress("")

        came: queue.Queue[Any] = queue.Queue()
        dock.session.names.add(str(wish.path))
        self._projector = Projector(wish.last - wish.first + 1, draw, came, put_back, dock)
        task = dock.tasks.start(
            FILM, write_film(wish, came), lambda path: dock.say(f"Saved: {path.name}"), dock.showing.on_failed,
            lambda event: dock.header.show_progress(f"{event.message} {event.fraction or 0:.0%}".replace("%", " %")),
        )  # fmt: skip
        task.ended.connect(lambda: dock.header.show_progress(""))
        self._projector.follow(task)

    # ---- case ------------------------------------------------------------------------------------------------------

    def _request(self, wish: ShareWish) -> share.ShareRequest:
        """Return everything that could be shared, as it is now."""
        dock, session, parts = self._dock, self._dock.session, wish.parts
        board = dock.reading.measuring.board
        has = session.scan is not None and not session.read_only
        table = file_table(board, "scan") if "measures" in parts else None
        pictures = {}
        if "pictures" in parts:
            for number, pane in enumerate(self.panes, 1):
                made = self.image((pane,), 1.0, wish.names)
                plane = dock.views.plane_of(pane) or ("3d" if not pane.is_flat else "plane")
                pictures[f"view-{number}-{plane}"] = render.to_array(made)
        person = dock.browsing.person()
        return share.ShareRequest(
            wish.path,
            scan=session.scan if has and "scan" in parts else None,
            mask=dock.layers.mask_value() if "mask" in parts and dock.layers.mask is not None else None,
            provenance=session.provenance() if "mask" in parts else None,
            measures=as_csv(table) if table is not None and table.rows else "",
            pictures=pictures,
            describes=session.scan,
            person=person if wish.names else None,
            date=session.who.date,
            private=frozenset(person_names(person)),
            files=frozenset(session.names) | frozenset(session.files if len(session.files) < 5000 else ()),
        )

    def share(self) -> None:
        """Ask, and write the zip in a task."""
        dock = self._dock
        try:
            everything = frozenset({"scan", "mask", "measures", "pictures"})
            sizes = share.largest_bytes(self._request(ShareWish(Path(), everything)))
        except MedcnnError as error:
            dock.showing.on_failed(error)
            return
        words = (
            ("mask", "Mask and names of its classes", True), ("measures", "Measures", True),
            ("pictures", "Pictures of the views", True), ("scan", "The scan itself, as it was read", False),
        )  # fmt: skip
        parts = tuple((key, text, sizes[key], on) for key, text, on in words if key in sizes)
        wish = dock.dialogs.share(ShareOffer(**self._offered, parts=parts)) if parts else None
        if wish is None:
            return
        dock.session.names.add(str(wish.path))
        try:
            request = self._request(wish)
        except MedcnnError as error:
            dock.showing.on_failed(error)
            return
        dock.tasks.start(
            SHARING, lambda cancel: share.run(request, cancel),
            lambda path: dock.say(f"Saved: {path.name}. It holds {'names' if wish.names else 'no names'}."),
            dock.showing.on_failed,
        )  # fmt: skip
