"""Why a picture of the scans that are seen may show a name: their headers are looked at in a task, once each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medcnn.core.events import Cancel, Events, Result
from napari_medcnn.core.volume import Volume
from napari_medcnn.io import burned_in
from napari_medcnn.verbs.guard import guarded, stop_if
from napari_medcnn.widgets.tasks import Work

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.jobs import Opened

LOOKING = "Looking for text in the picture"
_Known = tuple[Volume, tuple[str, ...]]


class Risks:
    """What is known of the scans of one dock; a header may lie on a disk that answers late."""

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        self._known: list[_Known] = []
        dock.session.scan_changed.connect(self._forget)
        dock.session.beside_changed.connect(self._forget)

    def _forget(self) -> None:
        """Let go of the scans that were closed."""
        session = self._dock.session
        still = [session.scan, *session.beside]
        self._known = [(scan, found) for scan, found in self._known if any(scan is s for s in still)]

    def seen(self) -> list[Opened]:
        """Return what the scans came from that leave with a picture: the open one, and those shown with it."""
        dock, session = self._dock, self._dock.session
        shown = [side.second for side in dock.reading.second_series.side.sides]
        second = dock.reading.second_series.second
        shown += [] if second is None or second in shown else [second]
        opened = [] if session.opened is None or session.scan is None else [session.opened]
        return [*opened, *(each.opened for each in shown)]

    def reasons(self) -> tuple[str, ...]:
        """Return the reasons of all scans that are seen, as far as they were looked at."""
        scans = [opened.scan for opened in self.seen()]
        return tuple(dict.fromkeys(r for scan, found in self._known if any(scan is s for s in scans) for r in found))

    def look(self, then: Callable[[], None]) -> None:
        """Go on with `then` once every scan that is seen was looked at; at once where that was done before."""
        session = self._dock.session
        self._forget()
        todo = [(opened.scan, _header(opened)) for opened in self.seen() if opened.scan is not None]
        todo = [(scan, header) for scan, header in todo if not any(scan is known for known, _ in self._known)]
        self._known += [(scan, _reasons(scan, None)) for scan, header in todo if header is None]
        todo = [(scan, header) for scan, header in todo if header is not None]
        if not todo:
            then()
            return

        def done(found: list[_Known]) -> None:
            self._known += found
            self._forget()
            if any(scan is session.scan for scan, _ in self._known):  # else another scan was opened in the meantime
                then()

        self._dock.tasks.start_aside(LOOKING, _look(todo), done, self._dock.showing.on_failed)


def _header(opened: Opened) -> Path | None:
    item = opened.item
    return item.files[0] if item is not None and item.study is not None and item.files else None


def _look(todo: list[tuple[Volume, Path | None]]) -> Work:
    @guarded
    def work(cancel: Cancel) -> Events:
        found: list[_Known] = []
        for scan, header in todo:
            stop_if(cancel)
            found.append((scan, _reasons(scan, header)))
        yield Result(found)

    return work


def _reasons(scan: Volume, header: Path | None) -> tuple[str, ...]:
    return burned_in.reasons(scan.modality, scan.is_picture, header)
