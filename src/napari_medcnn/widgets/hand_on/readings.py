"""Readings put aside and gone on with: which scans, how they were seen; kept in our own folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.reading_state import ReadingState, SavedScan
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.reading_state import Listed, forget_reading, list_readings, save_reading
from napari_medcnn.verbs.guard import guarded, stop_if
from napari_medcnn.verbs.scan_record import voxel_sha256
from napari_medcnn.widgets.hand_on.view_state import restore_view, view_state
from napari_medcnn.widgets.opening import OPENING
from napari_medcnn.widgets.parts import button
from napari_medcnn.widgets.tasks import Work

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

KEEPING, COMPARING = "Keeping the reading", "Comparing the scan"


class Readings:
    """Saves the reading of the open scan, lists what was saved on the start page, and goes on with it."""

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        self._steps: _Steps | None = None
        self.save_button = button("Save reading", self.save, "Come back to this scan, place and views later")
        dock.start.go_on.connect(self.go_on)
        dock.start.forget.connect(self.forget)
        dock.header.names_hidden.connect(lambda _hidden: self.show())
        self.show()

    def actions(self) -> dict[str, Callable[..., Any]]:
        """No key names a function of this feature."""
        return {}

    def close(self) -> None:
        """The dock goes."""
        if self._steps is not None:
            self._steps.end()
            self._steps = None

    # ---- the list --------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """List what was saved on the start page."""
        self._dock.start.offer_readings([(self._words(listed), listed) for listed in list_readings()])

    def _words(self, listed: Listed) -> str:
        state = listed.state
        if state is None:
            return f"✗  {listed.problem}"
        title = "Reading" if self._dock.header.hides_names else state.title
        gone = "" if _there(state.scan.path) else "; its file is not there"
        return f"{title}, {state.saved[:16].replace('T', ' ')}{gone}"

    def forget(self, listed: Listed) -> None:
        """Delete a saved reading, after asking; scan and mask stay."""
        if self._dock.dialogs.sure("Delete this saved reading? Scan and mask stay where they are."):
            forget_reading(listed.path)
            self.show()

    # ---- saving ----------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Put the reading aside."""
        dock, session = self._dock, self._dock.session
        scans = [scan for scan in (session.scan, *session.beside) if scan is not None]
        if not scans or not scans[0].source.get("path"):
            dock.showing.on_failed(InputError("Only a reading of a scan from a file can be saved; open one first."))
            return
        kept = [scan for scan in scans if scan.source.get("path")]
        mask = session.file.path
        view, features = view_state(dock), self._features()
        saved = datetime.now(UTC).astimezone().isoformat(timespec="seconds")

        def make(sums: list[str]) -> ReadingState:
            found = [SavedScan(*_place(scan), digest) for scan, digest in zip(kept, sums, strict=True)]
            at = "" if mask is None else str(mask.absolute())
            return ReadingState(scans[0].name, saved, found[0], tuple(found[1:]), at, view, features)

        def done(_path: Path) -> None:
            unsaved = session.layers.mask is not None and (mask is None or session.has_unsaved_strokes)
            dock.say("Reading saved." + (" The mask is not saved yet: Save mask keeps it." if unsaved else ""))
            self.show()

        dock.tasks.start(KEEPING, _keep(kept, make), done, dock.showing.on_failed)

    def _features(self) -> dict[str, Any]:
        found = {}
        for feature in self._dock.reading.features:
            state = getattr(feature, "state", None)
            if callable(state):
                found[type(feature).__name__] = state()
        return found

    # ---- going on --------------------------------------------------------------------------------------------------

    def go_on(self, listed: Listed) -> None:
        """Open everything as it was."""
        dock, state = self._dock, listed.state
        if state is None or not dock.may_close():
            return
        path = Path(state.scan.path)
        dock.session.names.add(str(path))
        if not _there(state.scan.path):
            dock.showing.on_failed(InputError(f"{path.name}: is not there any more; connect its disk or open it anew."))
            return
        dock.say("")
        dock.session.opening.again(path, state.scan.item, lambda: self._rest(state))

    def _rest(self, state: ReadingState) -> None:
        """The scan is there: what was beside it, its mask, and how they were seen."""
        opening, gone, steps = self._dock.session.opening, list[str](), list[Callable[[], None]]()
        for scan in state.beside:
            if _there(scan.path):
                steps.append(lambda scan=scan: self._beside(scan))  # type: ignore[misc]
            else:
                gone.append(Path(scan.path).name)
        if state.mask and _there(state.mask):
            steps.append(lambda: opening.mask(Path(state.mask)))
        elif state.mask:
            gone.append(Path(state.mask).name)
        steps.append(lambda: self._look(state, gone))
        if self._steps is not None:
            self._steps.end()
        self._steps = _Steps(self._dock, steps)

    def _beside(self, scan: SavedScan) -> None:
        session = self._dock.session
        found = session.found
        item = None if found is None else next((i for i in found.items if i.id == scan.item), None)
        if found is not None and item is not None and str(found.path) == scan.path:
            session.opening.beside_item(found, item)
        else:
            session.opening.beside([Path(scan.path)])

    def _look(self, state: ReadingState, gone: list[str]) -> None:
        dock = self._dock
        odd = restore_view(dock, state.view)
        for feature in dock.reading.features:
            kept, restore = state.features.get(type(feature).__name__), getattr(feature, "restore", None)
            if kept is not None and callable(restore) and callable(getattr(feature, "state", None)):
                try:
                    restore(dict(kept))
                except (InputError, KeyError, TypeError, ValueError):
                    odd = True
        words = [f"Not there any more: {', '.join(gone)}."] if gone else []
        words += ["Some of the view could not be brought back."] if odd else []
        dock.say(" ".join(words))
        scan, sums = dock.session.scan, {(each.path, each.item): each.sha256 for each in state.beside}
        pairs = [(each, sums.get(_place(each), "")) for each in dock.session.beside if each.source.get("path")]
        pairs += [(scan, state.scan.sha256)] if scan is not None else []

        def compared(changed: list[str]) -> None:
            if changed:
                said = f"⚠  Not what was read then, its voxels have changed: {', '.join(changed)}."
                dock.say(" ".join([said, *words]))

        dock.tasks.start(COMPARING, _compare([p for p in pairs if p[1]]), compared, dock.showing.on_failed)


def _there(path: str) -> bool:
    """Return True if a path can be seen; one that may not be looked at, or is none, counts as gone."""
    return os.path.exists(path)  # pathlib's own raises where a right is missing or a disk hangs


def _place(scan: Volume) -> tuple[str, str]:
    return str(Path(str(scan.source["path"])).absolute()), str(scan.source.get("item") or "")


def _keep(scans: list[Volume], make: Callable[[list[str]], ReadingState]) -> Work:
    @guarded
    def work(cancel: Cancel) -> Events:
        sums = []
        for scan in scans:
            stop_if(cancel)
            yield Progress(None, "Saving the reading")
            sums.append(voxel_sha256(scan))
        yield Result(save_reading(make(sums)))

    return work


def _compare(pairs: list[tuple[Volume, str]]) -> Work:
    """Name the scans whose voxels have another sum than the one that was kept."""

    @guarded
    def work(cancel: Cancel) -> Events:
        changed = []
        for scan, digest in pairs:
            stop_if(cancel)
            yield Progress(None, "Comparing the scan")
            if voxel_sha256(scan) != digest:
                changed.append(scan.name)
        yield Result(changed)

    return work


class _Steps(QObject):
    """Does one thing after the other, each once nothing is being opened any more, while the same scan is open."""

    def __init__(self, dock: MedcnnDock, steps: list[Callable[[], None]]) -> None:
        super().__init__(dock)
        self._tasks, self._session, self._steps = dock.tasks, dock.session, steps
        self._scan = dock.session.scan
        self._timer = QTimer(self)
        self._timer.setInterval(30)
        self._timer.timeout.connect(self._next)
        self._timer.start()

    def _next(self) -> None:
        if self._tasks.running(OPENING) is not None:
            return
        if not self._steps or self._session.scan is not self._scan:  # nothing of it belongs to another scan
            self.end()
            return
        self._steps.pop(0)()

    def end(self) -> None:
        """Do nothing more, and hold no scan."""
        self._timer.stop()
        self._steps, self._scan = [], None
