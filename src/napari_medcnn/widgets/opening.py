"""Opening scans and masks: look what is there, ask where it must be asked, show the first picture, then the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import ConsentNeededError, InputError, MedcnnError
from napari_medcnn.io.found import Found, Item, shown
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.notices import Question
from napari_medcnn.widgets.study_model import only_scan
from napari_medcnn.widgets.tasks import Task, Work

if TYPE_CHECKING:
    from napari_medcnn.widgets.session import Session

OPENING = "Opening"


class Opening(QObject):
    """Everything that puts a scan or a mask into a session.

    Signals: `progressed` with a Progress, and None at the end; `asked` with a `Question`; `preview_changed` when the
    first picture of a scan comes or goes.
    """

    progressed = Signal(object)
    asked = Signal(object)
    preview_changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._then: Callable[[], None] | None = None
        self._reading: Task | None = None
        #: The first picture of a scan that is being read; nothing can be drawn or run on it.
        self.preview: Volume | None = None
        self._before: jobs.Opened | None = None

    # ---- what is wanted --------------------------------------------------------------------------------------------

    def paths(self, paths: Sequence[Path]) -> None:
        """Look what is there; a single scan opens at once, several are listed."""
        self._then = None
        self._session.names |= {str(path) for path in paths}
        self._start(jobs.look(tuple(paths)), self._looked)

    def item(self, item_id: str | None, consent: Consent = NONE, resample_mask: bool = False) -> None:
        """Open one item of what was found; None where there is but one."""
        session = self._session
        found = session.found
        if found is None:
            return
        item = next((i for i in found.items if item_id in (None, i.id)), None)

        def done(opened: jobs.Opened) -> None:
            session.show_opened(replace(opened, item=item, consent=consent))

        def again(more: Consent) -> None:
            self.item(item_id, more, resample_mask or more == consent)

        work = jobs.open_item(found, item_id, consent, jobs.Over(session.scan, resample_mask, session.who))
        self._start(work, done, Asker(again, consent))

    def again(self, path: Path, item_id: str, then: Callable[[], None]) -> None:
        """Open what was open before, by its path and item, and do something once its scan is there."""
        session, self._then = self._session, None
        session.names.add(str(path))

        def looked(there: jobs.Looked) -> None:
            session.found = there.found
            session.names |= there.names
            session.files |= there.files
            session.found_changed.emit()
            items = [item.id for item in there.found.items]
            if item_id and item_id not in items:
                session.failed.emit(InputError(f"{shown(path)}: what was open is not in there any more; choose again"))
                return
            self._then = then
            self.item(item_id if item_id or len(items) != 1 else items[0])

        self._start(jobs.look((path,)), looked)

    def chosen(self, item_id: str, under: str = "") -> None:
        """Open what the user chose; of a mask `under` is the scan to open first."""
        self._then = (lambda: self.item(item_id)) if under else None
        self.item(under or item_id)

    def mask(self, path: Path, resample: bool = False) -> None:
        """Read a mask and lay it over the open scan."""
        self._session.names.add(str(path))
        over = jobs.Over(self._session.scan, resample, self._session.who)
        work = jobs.open_mask(path, over, self._session.file.now)
        self._start(work, self._session.show_opened, Asker(lambda _consent: self.mask(path, True), NONE))

    def sample(self, name: str) -> None:
        """Open the example "fundus" or "phantom"."""
        self._then = None
        self._session.found = None
        self._session.found_changed.emit()
        self._start(jobs.open_sample(name), self._session.show_opened)

    def beside(self, paths: Sequence[Path]) -> None:
        """Open scans beside the one that is open; each must be one scan."""
        if not paths:
            return
        session, path, rest = self._session, paths[0], paths[1:]
        session.names.add(str(path))

        def looked(there: jobs.Looked) -> None:
            session.names |= there.names
            session.files |= there.files
            item = only_scan(there.found)
            if item is None and there.found.items:
                session.failed.emit(
                    InputError(
                        f"{shown(path)}: holds {len(there.found.items)} series; open it with Open folder, and choose "
                        "Open beside in the list of series"
                    )
                )
            else:
                self.beside_item(there.found, item, lambda: self.beside(rest))

        self._start(jobs.look((path,)), looked)

    def beside_item(
        self, found: Found, item: Item | None, then: Callable[[], None] | None = None, consent: Consent = NONE
    ) -> None:
        """Open one item of what was found beside the scan that is open, then go on; None where there is but one."""
        session = self._session

        def opened(ready: jobs.Opened) -> None:
            plain = item is None or item.study is None
            if ready.mask is not None and session.scan is not None and plain and session.layers.mask is None:
                session.show_opened(ready)  # a scan and its mask were named together
            elif ready.scan is None or session.scan is None:
                name = shown(found.path) if item is None or plain else item.title
                why = (
                    "no scan is open" if session.scan is None else "it is a mask; open it from the list, over its scan"
                )
                session.note.emit(f"{name} was not opened beside: {why}.")
                return
            else:
                session.add_beside(replace(ready, item=item, consent=consent))
            if then is not None:
                then()

        work = jobs.open_item(found, None if item is None else item.id, consent, jobs.Over(session.scan))
        asker = Asker(lambda more: self.beside_item(found, item, then, more), consent)
        self._start(work, opened, asker, preview=False)

    def then(self, path: Path | str, then: Callable[[], None]) -> None:
        """Open a file, or the example of that name, and do something once its scan is there."""
        if isinstance(path, Path):
            self.paths([path])
        else:
            self.sample(path)
        self._then = then

    def scan_is_there(self) -> None:
        """Do what had to wait for the scan."""
        then, self._then = self._then, None
        if then is not None:
            then()

    # ---- what comes of it ------------------------------------------------------------------------------------------

    def _start(self, work: Work, done: Callable[[Any], None], asker: Asker | None = None, preview: bool = True) -> None:
        self._give_up()

        def finished(value: Any) -> None:
            self._end_preview()
            self._before = None
            done(value)

        def failed(error: MedcnnError) -> None:
            self._give_up()
            if isinstance(error, ConsentNeededError) and asker is not None:
                self.asked.emit(Question(str(error), error.asks, asker.again, asker.given))
            else:
                self._then = None  # it waited for this scan, and must never be done on the next one
                self._session.failed.emit(error)

        task = self._session.tasks.start(OPENING, work, finished, failed, self.progressed.emit)
        if preview:
            task.previewed.connect(self._show_preview)
        task.cancelled.connect(self._on_cancelled)
        task.ended.connect(self._ended)
        self._reading = task

    def _ended(self) -> None:
        """A reading ended: its words go, unless another took its place; what is made of the scan has none."""
        if self._reading is not None and not self._reading.running:
            self._reading = None
            self.progressed.emit(None)

    def _looked(self, looked: jobs.Looked) -> None:
        session, found = self._session, looked.found
        session.found = found
        session.names |= looked.names
        session.files |= looked.files
        session.found_changed.emit()
        only = only_scan(found)
        files = found.roots if len(found.roots) > 1 and not any(i.study for i in found.items) else ()
        if files and all(path.is_file() for path in files):
            self._then = lambda: self.beside(files[1:])
            self.item(found.items[0].id)
        elif only is not None:
            self.item(only.id if len(found.items) > 1 else None)

    # ---- the first picture -----------------------------------------------------------------------------------------

    def _show_preview(self, first: jobs.Opened) -> None:
        """Show it in the place of the open scan, which comes back if the reading ends early; never over a mask."""
        session = self._session
        if self.preview is not None or session.layers.mask is not None or session.beside:
            return
        self.preview, self._before = first.scan, session.opened
        session.put_scan_away()
        session.layers.add_preview(first.layers)
        self.preview_changed.emit()

    def _end_preview(self) -> None:
        if self.preview is not None:
            self.preview = None
            self._session.layers.discard_preview()
            self.preview_changed.emit()

    def _on_cancelled(self) -> None:
        self._then = None
        self._give_up()

    def _give_up(self) -> None:
        """The reading ended early, or something else is opened instead: what was there before comes back."""
        if self.preview is None:
            return
        self._end_preview()
        before, self._before = self._before, None
        if before is not None:
            self._session.show_opened(before)


class Asker:
    """How to go on after a question, and what was agreed to before it."""

    def __init__(self, again: Callable[[Consent], None], given: Consent) -> None:
        self.again, self.given = again, given
