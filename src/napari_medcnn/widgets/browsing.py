"""The Scan tab at work: the tree of what was found, what was noticed and asked, thumbnails, headers, first pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QLineEdit

from napari_medcnn.core.consent import NONE, Consent, Report
from napari_medcnn.core.events import Progress
from napari_medcnn.io.found import Found, Item, Person
from napari_medcnn.widgets.header_viewer import HeaderViewer
from napari_medcnn.widgets.names import without_names
from napari_medcnn.widgets.notices import ANSWERS, Question
from napari_medcnn.widgets.study_model import person_words, scan_under
from napari_medcnn.widgets.thumbnails import Thumbnails

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

SCAN_TAB = 0


class Browsing(QObject):
    """Connects tree, notices and header viewer with the session of a dock."""

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock, self._session = dock, dock.session
        self._tree, self._notices = dock.scan.tree, dock.scan.notices
        self.viewer: HeaderViewer | None = None
        self._found: Found | None = None
        self.thumbnails = Thumbnails(dock.session, dock.tasks, self._tree)
        self._tree.opened.connect(self.open)
        self._tree.chosen.connect(self._on_chosen)
        self._tree.header_asked.connect(self.show_header)
        self._tree.beside_asked.connect(self.open_beside)
        dock.header.clean = self.clean
        opening = self._session.opening
        opening.asked.connect(self._on_asked)
        opening.progressed.connect(self._on_progress)
        opening.preview_changed.connect(self._on_preview)
        dock.reading.second_series.changed.connect(self._show_person)
        self._session.mask_changed.connect(self._leave_tree)
        self._session.beside_changed.connect(self._leave_tree)

    # ---- opening ---------------------------------------------------------------------------------------------------

    def open(self, item_id: str) -> None:
        """Open a series of the tree; unsaved corrections are asked about first."""
        found = self._session.found
        item = next((i for i in found.items if i.id == item_id), None) if found is not None else None
        if item is None or (self._question_of(item) is not None and self._ask(item)):
            return
        if not self._dock.may_close():
            return
        self._dock.say("")
        scan = self._scan_first(item)
        self._session.opening.chosen(item_id, "" if scan is None else scan.id)

    def open_beside(self, item: Item) -> None:
        """Open a series of the tree beside the open scan, and show both."""
        found, session = self._session.found, self._session
        if found is None or session.scan is None:
            return
        if session.opened is not None and session.opened.item is item:
            self._dock.say("This series is open already; choose another one to put beside it.")
            return
        self._dock.say("")
        session.opening.beside_item(found, item, self._dock.reading.second_series.show_newest)

    def _scan_first(self, item: Item) -> Item | None:
        """Return the scan to open before a mask: its own, unless that or another of the same study is open."""
        found, opened = self._session.found, self._session.opened
        scan = None if found is None else scan_under(found, item)
        if scan is None or scan.study is None or scan.report.asks or scan.report.refused:
            return None
        under = None if opened is None or self._session.scan is None or opened.item is None else opened.item.study
        return None if under is not None and under.uid == scan.study.uid else scan

    def _ask(self, item: Item) -> bool:
        """Show what an item asks before it opens; True if there is a button for it."""
        self._show(item)
        buttons = self._notices.answer_buttons()
        if buttons:
            buttons[0].setFocus(Qt.FocusReason.OtherFocusReason)
        return bool(buttons)

    def _question_of(self, item: Item) -> Question | None:
        if not item.report.asks or item.report.asks not in ANSWERS:
            return None

        def again(consent: Consent) -> None:
            if self._dock.may_close():
                self._dock.say("")
                self._session.opening.item(item.id, consent)

        words = " ".join(item.report.refused) or "This opens only if you agree:"
        return Question(words, item.report.asks, again, NONE)

    def _show_person(self) -> None:
        self._dock.header.show_person(person_words(self.person()))

    # ---- the keyboard ------------------------------------------------------------------------------------------------

    def keys_to_picture(self) -> None:
        """A scan has opened: from now on keys act on it, unless somebody has begun to type in the meantime."""
        focused = self._dock.window().focusWidget()
        typing = isinstance(focused, QLineEdit) and focused.isVisible() and focused.text() != ""
        if self._session.scan is not None and not typing:
            self._focus_picture()

    def _leave_tree(self) -> None:
        """What was chosen in the list is there: a mask, or a scan beside the first."""
        focused = self._dock.window().focusWidget()
        if self._session.scan is not None and focused is not None and self._tree.view is focused:
            self._focus_picture()

    def _focus_picture(self) -> None:
        pane = self._dock.views.active
        if pane is None or not pane.native.isVisible():
            pane = next(iter(self._dock.views.shown), None)
        if pane is not None:
            pane.native.setFocus(Qt.FocusReason.OtherFocusReason)

    # ---- notices ---------------------------------------------------------------------------------------------------

    def show_scan(self) -> None:
        """Show what was noticed of the scan that is open, once it is; its row is the chosen one."""
        opened, scan = self._session.opened, self._session.scan
        self._tree.make_room(scan is not None)
        self._show_person()
        if scan is None or opened is None:
            self._notices.show_report(Report())
            return
        if opened.item is not None:
            self._tree.choose(opened.item.id)
        self._notices.show_report(scan_report(scan.report, scan.notes))

    def person(self) -> Person:
        """Return whom the scan that is seen, or the first picture of it, is of; empty where nothing is stated."""
        second = self._dock.reading.second_series.alone
        opened = self._session.opened if second is None else second.opened
        study = opened.item.study if opened is not None and opened.item is not None else None
        return Person() if study is None else study.person

    def _on_chosen(self, item: Item) -> None:
        if self._session.tasks.running("Opening") is None:
            self._show(item)

    def _show(self, item: Item) -> None:
        report = item.report
        if not any((report.found, report.assumed, report.refused)):
            report = Report(refused=item.warnings) if item.kind == "other" else Report(assumed=item.warnings)
        self._notices.show_report(report, self._question_of(item))

    def _on_asked(self, question: Question) -> None:
        """Reading came to something that the user has to agree to."""
        dock = self._dock
        dock.pages.setCurrentIndex(1)
        dock.tabs.setCurrentIndex(SCAN_TAB)
        self._notices.show_report(Report(), question)

    # ---- names, progress, first picture ------------------------------------------------------------------------------

    def clean(self, words: str) -> str:
        """Return words without names while names are hidden."""
        if not self._dock.header.hides_names:
            return words
        return without_names(words, self._session.names, self._session.files)

    def show_names(self) -> None:
        """Names were hidden, or are shown again."""
        hidden = self._dock.header.hides_names
        self.show_found()
        self._notices.hide_names(self.clean)
        if self.viewer is not None:
            self.viewer.hide_names(hidden)

    def show_found(self) -> None:
        """Fill the tree."""
        found, hidden = self._session.found, self._dock.header.hides_names
        self._tree.show_found(found, hidden, self.clean)
        if found is not self._found:  # what was noticed of the list before, and asked, went with it
            self._found = found
            self.show_scan()

    def _on_progress(self, event: Progress | None) -> None:
        self._dock.header.show_progress("" if event is None else self.clean(progress_words(event)))

    def _on_preview(self) -> None:
        self._dock.showing.on_scan()

    # ---- the header's own window --------------------------------------------------------------------------------

    def show_header(self, item: Item) -> None:
        """Show everything that the header of a series says."""
        if not item.files:
            return
        if self.viewer is None:
            self.viewer = HeaderViewer(self._dock.tasks, self._dock)
            self.viewer.finished.connect(self._on_viewer_closed)
        self.viewer.show_files(self.clean(item.title or item.id), item.files)
        self.viewer.hide_names(self._dock.header.hides_names)
        self.viewer.show()
        self.viewer.raise_()

    def _on_viewer_closed(self, _result: int = 0) -> None:
        self.viewer = None

    def close(self) -> None:
        """The dock goes."""
        if self.viewer is not None:
            self.viewer.close()


def scan_report(report: Report, notes: tuple[str, ...]) -> Report:
    """Return what there is to say of a scan that is open: what was refused before the user agreed is history."""
    said = {*report.found, *report.assumed, *report.refused}
    more = tuple(note for note in notes if note not in said)
    return Report(report.found, (*report.assumed, *more))


def progress_words(event: Progress) -> str:
    """Return "Reading 40 %" or the words alone."""
    return event.message if event.fraction is None else f"{event.message} {event.fraction:.0%}".replace("%", " %")
