"""The class table at work: choosing, naming, colours, finishing, merging, deleting, finding by name, pieces."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QPoint
from qtpy.QtWidgets import QWidget

from napari_medcnn.annotation.instances import KeptInstances
from napari_medcnn.core.labels import Colour
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.class_finder import class_finder
from napari_medcnn.widgets.class_menu import ClassActs, class_menu
from napari_medcnn.widgets.class_pieces import ClassPieces, file_table
from napari_medcnn.widgets.correct_tab import CorrectTab
from napari_medcnn.widgets.dialogs import Dialogs
from napari_medcnn.widgets.search_list import SearchList
from napari_medcnn.widgets.session import Session
from napari_medcnn.widgets.tables import ask_and_save


class Classing(QObject):
    """Connects the table of classes with the session.

    Parameters
    ----------
    dialogs
        Returns what asks the user.
    say
        Shows one line.
    much
        Returns so many voxels as an amount: ml, mm2 or a number.
    """

    def __init__(
        self,
        tab: CorrectTab,
        session: Session,
        dialogs: Callable[[], Dialogs],
        say: Callable[[str], None],
        much: Callable[[int], str],
    ) -> None:
        super().__init__(tab)
        self._tab, self._session, self._dialogs, self._say, self._much = tab, session, dialogs, say, much
        self.finder: SearchList | None = None
        self.menu: Any = None
        self.pieces: ClassPieces | None = None
        self._instances = KeptInstances()
        tab.class_added.connect(session.add_class)
        tab.classes.renamed.connect(session.rename_class)
        tab.classes.hidden_changed.connect(session.hide_classes)
        tab.classes.locked_changed.connect(session.lock_classes)
        tab.classes.menu_asked.connect(self.show_menu)
        tab.change_asked.connect(self._menu_of_chosen)
        session.mask_changed.connect(self._on_mask)
        session.classes_changed.connect(self._on_classes)

    # ---- the menu ------------------------------------------------------------------------------------------------

    def show_menu(self, label_id: int, at: QPoint) -> None:
        """Show what can be done with a class, at a place of the screen."""
        session = self._session
        acts = ClassActs(
            partial(self._tab.classes.rename, label_id),
            partial(self.recolour, label_id),
            partial(session.finish_class, label_id),
            partial(session.merge_class, label_id),
            partial(self.show_pieces, label_id),
            partial(self.delete, label_id),
        )
        self.menu = class_menu(label_id, session.labels, session.locked, acts)
        self.menu.setParent(self._tab, self.menu.windowFlags())
        self.menu.aboutToHide.connect(self.menu.deleteLater)
        self.menu.aboutToHide.connect(self._no_menu)
        self.menu.popup(at)

    def recolour(self, label_id: int, colour: Colour | None) -> None:
        """Give a class a colour; ask which where none is given."""
        label = self._session.labels.by_id(label_id)
        colour = self._dialogs().colour(label.name, label.colour) if colour is None else colour
        if colour is not None:
            self._session.recolour_class(label_id, colour)

    def delete(self, label_id: int) -> None:
        """Delete a class; where voxels go with it, say how much and ask."""
        session = self._session
        session.strokes.commit()
        name, count = session.labels.name_of(label_id), session.strokes.counts.get(label_id, 0)
        may_go = label_id not in session.locked and len(session.labels) > 1
        question = f"Delete the class {name}? {self._much(count)} of the mask become background. Undo brings it back."
        if count == 0 or not may_go or self._dialogs().sure(question):  # what may not go is refused in words
            session.delete_class(label_id)

    def _menu_of_chosen(self) -> None:
        chosen = self._tab.classes.chosen_id
        if chosen is None:
            self._say("Choose a class in the table first.")
            return
        button: QWidget = self._tab.change_class
        self.show_menu(chosen, button.mapToGlobal(QPoint(0, button.height())))

    def _no_menu(self) -> None:
        self.menu = None

    # ---- finding, pieces -----------------------------------------------------------------------------------------

    def find(self) -> None:
        """Show the list of classes to search by name."""
        if self._session.layers.mask is None:
            return
        counts = self._session.strokes.counts

        def much(label_id: int) -> str:
            count = counts.get(label_id, 0)
            return self._much(count) if count else "none"

        self.finder = class_finder(self._session.labels, much, self._tab)
        self.finder.chosen.connect(self._session.choose_class)
        self.finder.finished.connect(self._no_finder)
        self.finder.show()
        self.finder.activateWindow()

    def _no_finder(self, _how: int = 0) -> None:
        self.finder = None

    def show_pieces(self, label_id: int) -> None:
        """List the pieces of a class; a click goes there."""
        session = self._session
        session.strokes.commit()
        self._close_pieces()
        if session.strokes.array is None:
            return
        self.pieces = ClassPieces(session, label_id, self._instances, self._much, self._tab)
        self.pieces.finished.connect(self._no_pieces)
        self.pieces.save_asked.connect(self._save_pieces)
        self.pieces.show()

    def _save_pieces(self) -> None:
        """Ask for a file and write the table."""
        session = self._session
        found = None if self.pieces is None else self._instances.of(self.pieces.label_id)
        if self.pieces is None or found is None or session.layers.mask is None:
            return
        name = session.labels.name_of(self.pieces.label_id)
        info = session.layers.mask.metadata[KEY]
        grid, picture = info["geometry"], bool(info["picture"])
        make = partial(file_table, found, name, grid, picture)
        ask_and_save(session, self._dialogs(), self._say, make, "pieces.csv")

    def _on_mask(self) -> None:
        """Numbers of pieces belong to one mask; those of a mask that a model ran over go on."""
        self._close_pieces()
        if not self._session.strokes.revision:
            self._instances.forget()
        self._on_classes()

    def _on_classes(self) -> None:
        if self._session.layers.mask is not None:
            self._instances.follow(self._session.labels)

    def _close_pieces(self) -> None:
        if self.pieces is not None:
            self.pieces.close()

    def _no_pieces(self, _how: int = 0) -> None:
        self.pieces = None
