"""The block "Hand on" of the Scan tab: picture, film, case to share; without names unless they are ticked."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QWidget

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io.measures_file import as_csv, stamp
from napari_medcnn.io.pictures_out import MAX_FRAMES, can_write_mp4
from napari_medcnn.verbs import share
from napari_medcnn.widgets.hand_on import render
from napari_medcnn.widgets.hand_on.film import FILM, Projector, write_film
from napari_medcnn.widgets.hand_on.picture import Pictures
from napari_medcnn.widgets.hand_on.risks import Risks
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
from napari_medcnn.widgets.study_model import person_names
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
        self._risks = Risks(dock)
        self.pictures = Pictures(dock, self._risks)
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

    def cancel(self) -> None:
        """Esc ends a picture that is being made."""
        self.pictures.stills.end()

    def close(self) -> None:
        """The dock goes: no more frames."""
        self.pictures.stills.end()
        self._end_film()

    def _end_film(self) -> None:
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
        """Why the picture itself may show a name, as far as the headers were looked at."""
        return self._risks.reasons()

    @property
    def _offered(self) -> dict[str, Any]:
        return {"suggestion": self.suggestion, "person": self.pictures.person_words(), "risk": self.risk}

    # ---- picture ---------------------------------------------------------------------------------------------------

    def picture(self) -> None:
        """Ask, and save or copy what the views show."""
        if self.pictures.panes and self._dock.session.scan is not None:
            self._risks.look(self._ask_picture)

    def _ask_picture(self) -> None:
        panes = self.pictures.panes
        offer = PictureOffer(**self._offered, views=len(panes), sizes=self.pictures.sizes(render.SIZES))
        wish = self._dock.dialogs.picture(offer)
        if wish is not None:
            self.pictures.make(wish)

    def copy_picture(self) -> None:
        """Put what the views show on the clipboard, without names."""
        if self.pictures.panes:
            self._risks.look(self._copy_picture)

    def _copy_picture(self) -> None:
        question = f"{risk_words(self.risk)} Does it show none?"
        if not self.risk or self._dock.dialogs.sure(question):
            self.pictures.make(PictureWish(None))

    # ---- film ------------------------------------------------------------------------------------------------------

    @property
    def film_pane(self) -> Pane | None:
        """The view a film is made of: the one under the mouse if it is flat, else the first."""
        flat = [pane for pane in self._dock.views.shown if pane.frame() is not None]
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
        self._risks.look(lambda: self._ask_film(pane))

    def _ask_film(self, pane: Pane) -> None:
        ways, size = self._ways(pane), (pane.native.width(), pane.native.height())
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
        self._end_film()
        dims, axis, before = pane.viewer.dims, way[0], tuple(pane.viewer.dims.point)
        span = range(wish.first - 1, wish.last) if wish.along == SLICES else None
        caption = self.pictures.caption((pane,), wish.names, span)
        seen = dock.session.scan, dock.reading.second_series.seen, pane.axis

        def draw(number: int) -> Array:
            if seen != (dock.session.scan, dock.reading.second_series.seen, pane.axis):
                raise InputError("Another scan or plane was chosen while the film was made; start it again.")
            dims.set_current_step(axis, wish.first - 1 + number)
            return render.to_array(self.pictures.image((pane,), wish.scale, wish.names, caption))

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

    def _request(self, wish: ShareWish, pictures: Mapping[str, Array]) -> share.ShareRequest:
        """Return everything that could be shared, as it is now; pictures are drawn before."""
        dock, session, parts = self._dock, self._dock.session, wish.parts
        board = dock.reading.measuring.board
        has = session.scan is not None and not session.read_only
        table = file_table(board, "scan", stamp()) if "measures" in parts else None
        person = dock.browsing.person()
        private = (name for each in (person, *self.pictures.people()) for name in person_names(each))
        return share.ShareRequest(
            wish.path,
            scan=session.scan if has and "scan" in parts else None,
            mask=dock.layers.mask_value() if "mask" in parts and dock.layers.mask is not None else None,
            provenance=session.provenance() if "mask" in parts else None,
            measures=as_csv(table) if table is not None and table.rows else "",
            pictures=pictures if "pictures" in parts else {},
            describes=session.scan,
            person=person if wish.names else None,
            date=session.who.date,
            private=frozenset(private),
            files=frozenset(session.names) | frozenset(session.files if len(session.files) < 5000 else ()),
        )

    def share(self) -> None:
        """Ask, and write the zip in a task."""
        self._risks.look(self._ask_share)

    def _ask_share(self) -> None:
        dock = self._dock
        empty = np.zeros((1, 1, 1), np.uint8)
        blank = {
            str(number): np.broadcast_to(empty, (*render.view_size(pane)[::-1], 3))
            for number, pane in enumerate(self.pictures.panes)
        }
        try:
            everything = frozenset({"scan", "mask", "measures", "pictures"})
            sizes = share.largest_bytes(self._request(ShareWish(Path(), everything), blank))
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
        if "pictures" not in wish.parts:
            self._write_share(wish, {})
            return
        panes, scan = self.pictures.panes, dock.session.scan

        def drawn(made: list[Array]) -> None:
            if scan is dock.session.scan:
                names = [f"view-{number}-{self._plane(pane)}" for number, pane in enumerate(panes, 1)]
                self._write_share(wish, dict(zip(names, made, strict=True)))

        self.pictures.images(panes, wish.names, drawn, dock.showing.on_failed)

    def _plane(self, pane: Pane) -> str:
        return self._dock.views.plane_of(pane) or ("plane" if pane.is_flat else "3d")

    def _write_share(self, wish: ShareWish, pictures: Mapping[str, Array]) -> None:
        dock = self._dock
        try:
            request = self._request(wish, pictures)
        except MedcnnError as error:
            dock.showing.on_failed(error)
            return
        dock.tasks.start(
            SHARING, lambda cancel: share.run(request, cancel),
            lambda path: dock.say(f"Saved: {path.name}. It holds {'names' if wish.names else 'no names'}."),
            dock.showing.on_failed,
        )  # fmt: skip
