"""Thumbnails of the rows that are seen, made one after the other in a task and kept while the folder is open."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject
from qtpy.QtGui import QImage, QPixmap

from napari_medcnn.core.events import Cancel, Events
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.found import Found
from napari_medcnn.verbs import thumbnail
from napari_medcnn.widgets.session import Session
from napari_medcnn.widgets.study_rows import THUMB
from napari_medcnn.widgets.study_tree import StudyTree
from napari_medcnn.widgets.tasks import Tasks, Work

_TASK = "Thumbnail"


class Thumbnails(QObject):
    """Fills the pictures of a tree.

    Rows that went out of sight before their turn are left out; reading a scan goes first.
    """

    def __init__(self, session: Session, tasks: Tasks, tree: StudyTree) -> None:
        super().__init__(tree)
        self._session, self._tasks, self._tree = session, tasks, tree
        self._found: Found | None = None
        self._made: set[str] = set()
        self._wanted: list[str] = []
        tree.pictures_wanted.connect(self.want)
        tasks.changed.connect(self._next)

    def want(self, item_ids: list[str]) -> None:
        """Make the pictures of these rows that are not there yet."""
        found = self._session.found
        if found is not self._found:
            self._found, self._made = found, set()
        self._wanted = [item_id for item_id in item_ids if item_id not in self._made]
        self._next()

    def _next(self) -> None:
        found = self._found
        if not self._wanted or found is None or found is not self._session.found or self._tasks.names():
            return
        item_id = self._wanted.pop(0)

        def made(array: Any) -> None:
            self._keep(found, item_id, to_pixmap(array))

        def failed(_error: MedcnnError) -> None:
            self._keep(found, item_id, QPixmap())  # the row keeps its word; opening says what is wrong

        self._tasks.start(_TASK, _work(found, item_id), made, failed)

    def _keep(self, found: Found, item_id: str, picture: QPixmap) -> None:
        if found is self._found:
            self._made.add(item_id)
            self._tree.show_picture(item_id, picture)


def to_pixmap(array: Any) -> QPixmap:
    """Return grey (y, x) or colour (y, x, 3) uint8 as a picture."""
    data = np.ascontiguousarray(array, dtype=np.uint8)
    height, width = data.shape[:2]
    kind = QImage.Format.Format_RGB888 if data.ndim == 3 else QImage.Format.Format_Grayscale8
    return QPixmap.fromImage(QImage(data.tobytes(), width, height, data.strides[0], kind).copy())


def _work(found: Found, item_id: str) -> Work:
    def work(cancel: Cancel) -> Events:
        yield from thumbnail.run(thumbnail.ThumbnailRequest(found, item_id, 2 * THUMB), cancel)

    return work
