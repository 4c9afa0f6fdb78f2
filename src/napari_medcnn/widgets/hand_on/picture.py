"""The picture of what the views show: how large it will be, what stands below it, and into a file or the clipboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QApplication

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.labels import Colour
from napari_medcnn.io.pictures_out import save_png
from napari_medcnn.io.share import without_identifiers
from napari_medcnn.verbs.guard import guarded, stop_if
from napari_medcnn.widgets.hand_on import render
from napari_medcnn.widgets.hand_on.caption import Caption, caption_height, with_caption
from napari_medcnn.widgets.hand_on.risks import Risks
from napari_medcnn.widgets.hand_on.stills import Failed, Stills
from napari_medcnn.widgets.hand_on.wishes import PictureWish
from napari_medcnn.widgets.study_model import person_names, person_words
from napari_medcnn.widgets.tasks import Work
from napari_medcnn.widgets.views.pane import Pane

if TYPE_CHECKING:
    from napari_medcnn.io.found import Person
    from napari_medcnn.widgets.dock import MedcnnDock

PICTURE = "Picture"


class Pictures:
    """Makes pictures of the views of one dock.

    Parameters
    ----------
    dock, risks
        Whose views, and which scans are seen in them.
    """

    def __init__(self, dock: MedcnnDock, risks: Risks) -> None:
        self._dock, self._risks = dock, risks
        self.stills = Stills(dock)

    # ---- what is in it ---------------------------------------------------------------------------------------------

    @property
    def panes(self) -> tuple[Pane, ...]:
        """The views that are seen: of the open scan, and side by side with it."""
        dock = self._dock
        both = (dock.reading.second_series.side, dock.why.beside.sides)
        sides = (side.pane for beside in both for side in beside.sides)
        return (*dock.views.shown, *(pane for pane in sides if pane.native.isVisible()))

    def chosen(self, all_views: bool) -> tuple[Pane, ...]:
        """Return all views, or the one under the mouse."""
        panes, active = self.panes, self._dock.views.active
        return panes if all_views or active not in panes or active is None else (active,)

    def people(self) -> list[Person]:
        """Return of whom the scans are that are seen, each once."""
        persons = [self._dock.browsing.person()]
        studies = (opened.item.study for opened in self._risks.seen() if opened.item is not None)
        persons += [study.person for study in studies if study is not None]
        return list({person_words(person): person for person in persons if person_words(person)}.values())

    def person_words(self) -> str:
        """Return of whom a picture with names would tell, "" where nobody is stated."""
        return "; ".join(person_words(person) for person in self.people())

    def caption(self, panes: Sequence[Pane], names: bool, span: range | None = None) -> Caption:
        """Return the caption of some views: the classes that are seen in them; with `span`, in all those slices."""
        dock = self._dock
        mask = dock.layers.mask
        words = self.person_words() if names else ""
        if mask is None or not mask.visible:
            return Caption(words=words)
        seen = set(np.unique(mask.data)) if mask.data.ndim == 2 else self._seen(panes, mask.data, span)
        private = () if names else [word for person in self.people() for word in person_names(person)]
        classes: list[tuple[str, Colour]] = [
            (without_identifiers(label.name, private) if private else label.name, label.colour)
            for label in dock.session.labels
            if label.id in seen and label.id not in dock.session.hidden
        ]
        return Caption(tuple(classes), words)

    def _seen(self, panes: Sequence[Pane], data: Array, span: range | None) -> set[int]:
        views, found = self._dock.views, set[int]()
        grid = views.grid
        for pane in panes:
            frame = pane.frame()
            if pane not in views.panes:
                continue  # a scan beside the first: no mask lies over it
            if frame is None or grid is None:
                found |= set(self._dock.strokes.counts)  # of the whole mask
                continue
            place = frame.to_place(0, 0)
            at = int(np.floor(grid.index_of(place)[frame.depth_axis] + 0.5))
            planes = [k for k in span or (at,) if 0 <= k < data.shape[frame.depth_axis]]
            found |= set(np.unique(data.take(planes, axis=frame.depth_axis)).tolist())
        return found

    def sizes(self, scales: Sequence[int]) -> dict[tuple[bool, int, bool], tuple[int, int]]:
        """Return (width, height) in pixels of the picture for every (all views, scale, with names)."""
        found = {}
        for all_views in (True, False):
            panes = self.chosen(all_views)
            for names in (True, False):
                caption = self.caption(panes, names)
                for scale in scales:
                    width, height = render.together_size(panes, scale)
                    below = caption_height(width, caption, scale, _dots(panes))
                    found[(all_views, scale, names)] = (width, height + below)
        return found

    def image(self, panes: Sequence[Pane], scale: float, names: bool, caption: Caption | None = None) -> QImage:
        """Return the picture of some views with its caption, at once."""
        views = self._dock.views
        with views.without_names(not names):
            made = render.views_picture(views, panes, scale)
        return with_caption(made, self.caption(panes, names) if caption is None else caption, scale, _dots(panes))

    def images(
        self,
        panes: Sequence[Pane],
        names: bool,
        done: Callable[[list[Array]], None],
        failed: Failed,
    ) -> None:
        """Draw every view as a picture of its own, as large as on screen, each with its caption."""
        captions = [self.caption((pane,), names) for pane in panes]

        def taken(pictures: list[QImage]) -> None:
            each = zip(pictures, captions, strict=True)
            done([render.to_array(with_caption(made, words, 1.0, _dots(panes))) for made, words in each])

        self.stills.take(panes, 1.0, names, taken, failed)

    # ---- making it -------------------------------------------------------------------------------------------------

    def make(self, wish: PictureWish) -> None:
        """Draw the views one after the other, then save or copy."""
        dock, panes = self._dock, self.chosen(wish.all_views)
        if not panes:
            return
        dock.reading.cine.stop()
        caption, dots = self.caption(panes, wish.names), _dots(panes)

        def taken(pictures: list[QImage]) -> None:
            work = _finish(render.together(panes, pictures), caption, wish, dots)
            dock.tasks.start(PICTURE, work, lambda made: self._finished(made, wish), dock.showing.on_failed)

        if wish.path is not None:
            dock.session.names.add(str(wish.path))
        self.stills.take(panes, wish.scale, wish.names, taken, dock.showing.on_failed)

    def _finished(self, made: QImage, wish: PictureWish) -> None:
        if wish.path is None:
            QApplication.clipboard().setImage(made)
        size = f"{made.width()} x {made.height()} px"
        self._dock.say(f"Copied: {size}." if wish.path is None else f"Saved: {wish.path.name}, {size}.")


def _finish(picture: QImage, caption: Caption, wish: PictureWish, dots: float) -> Work:
    """Write the caption below and, where wanted, the file: nothing of it needs the window."""

    @guarded
    def work(cancel: Cancel) -> Events:
        stop_if(cancel)
        yield Progress(None, "Writing the picture")
        made = with_caption(picture, caption, wish.scale, dots)
        if wish.path is not None:
            save_png(render.to_array(made), wish.path)
        yield Result(made)

    return work


def _dots(panes: Sequence[Pane]) -> float:
    return float(panes[0].native.logicalDpiY()) if panes else 96.0
