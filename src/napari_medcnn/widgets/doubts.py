"""N and Shift+N: from one doubtful spot to the next, until none is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen

from napari_medcnn.annotation.doubt import Finding, Spot, differing, likely, margin_doubt, undecided
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.results import Segmentation
from napari_medcnn.errors import Cancelled, MedcnnError
from napari_medcnn.widgets.key_names import keys_of
from napari_medcnn.widgets.keymap import CORRECT
from napari_medcnn.widgets.tools import place
from napari_medcnn.widgets.tools.applying import info_of, much, say

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.views.frame import Frame

LOOKING = "Looking for doubtful spots"
NO_RESULT = (
    "Doubtful spots are where a model was undecided: run a model on the AI tab, then come back and press {} again."
)
NO_MAP = (
    "The mask is what the model drew, and how sure it was was not kept. On the AI tab choose Uncertainty: From the "
    "scores among the options and run it again; then {} goes to the doubtful spots."
)
UNDECIDED, DIFFERING = "undecided", "differing"
_WORDS = {UNDECIDED: "Doubtful spot", DIFFERING: "Changed spot"}
#: mm that doubt is averaged over, so that the seam along every border does not count as one large spot.
_SMOOTH_MM = 1.5
#: Fewer spots than these after that, and those without averaging are shown.
_FEW = 5
_EDGE, _LINE = QColor(0, 0, 0, 170), QColor(240, 228, 66)
_ROOM = 6.0  # pixels between a spot and the frame around it


@dataclass(frozen=True, eq=False)
class _Of:
    """What spots were found for; those of the difference hold for one state of the mask."""

    kind: str
    result: Segmentation
    array: Array
    revision: int | None

    def same(self, other: _Of | None) -> bool:
        """Return whether nothing changed since."""
        return (
            other is not None
            and (self.kind, self.revision) == (other.kind, other.revision)
            and self.result is other.result
            and self.array is other.array
        )


class Doubts(QObject):
    """Finds doubtful spots of the open mask, goes to them, and knows which are done.

    A spot is done when somebody drew inside it while it was shown, or pressed Enter there.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock = dock
        #: Where the model was undecided, or where the mask is not the model's any more.
        self.kind = UNDECIDED
        self.spots: tuple[Spot, ...] = ()
        #: Numbers in `spots` of those that are done.
        self.done: set[int] = set()
        self._of: _Of | None = None
        self._at: int | None = None
        self._seen: Array | None = None  # what the mask was in the spot when it was gone to
        self._finished: list[Spot] = []  # those done before the mask changed
        dock.views.add_painter(self.paint)
        dock.session.mask_changed.connect(self.forget)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of the keys; Enter belongs to what is drawn first."""
        enter = self._dock.toolbox.hand.enter
        return {"doubt": self.step, "finish": lambda: enter() or self.mark()}

    def modes(self) -> dict[str, Callable[[], None]]:
        """Return the functions of the rows in the list of tools."""
        return {"doubts": lambda: self.use(UNDECIDED), "changes": lambda: self.use(DIFFERING)}

    # ---- what the keys do ------------------------------------------------------------------------------------------

    def use(self, kind: str) -> None:
        """Go to spots of this kind from now on, and to the first of them."""
        if kind != self.kind:
            self.forget()
            self.kind = kind
        self.step(1)

    def step(self, direction: int) -> None:
        """Go to the next (1) or previous (-1) spot that is not done; find the spots first where that is to be done."""
        dock, result = self._dock, self._dock.session.result
        array = dock.strokes.array
        if array is None or not isinstance(result, Segmentation):
            self._say(NO_RESULT.format(self._keys))
            return
        dock.strokes.commit()
        self._leave()
        kind = DIFFERING if result.uncertainty is None and result.probabilities is None else self.kind
        of = _Of(kind, result, array, dock.strokes.revision if kind == DIFFERING else None)
        if of.same(self._of):
            self._go_on(direction)
            return
        if dock.tasks.running(LOOKING) is not None:
            return
        info = info_of(dock)
        work = _search(of, place.mask_of(dock), bool(info["picture"]), info["how"].apply)
        self._say(f"{LOOKING} ...")
        task = dock.tasks.start_aside(
            LOOKING, work, lambda spots: self._found(of, spots, direction), lambda error: self._say(str(error))
        )
        task.cancelled.connect(lambda: self._say(f"{LOOKING} was cancelled; {self._keys} looks again."))

    def mark(self) -> bool:
        """Enter: the spot that is shown is done; False where none is shown."""
        if self._at is None or self._seen is None:
            return False
        self._finish(self._at)
        left = len(self.spots) - len(self.done)
        goes_on = f"; {self._keys} goes on." if left else "."
        self._say(f"{_WORDS[self._kind]} {self._at + 1} is done, {left} left{goes_on}")
        self._hide()
        return True

    def forget(self) -> None:
        """Another mask, or none: nothing is known of it yet."""
        self._dock.tasks.drop(LOOKING)
        self.spots, self._of, self._at = (), None, None
        self.done.clear()
        self._finished.clear()
        self._hide()

    # ---- going -----------------------------------------------------------------------------------------------------

    def _found(self, of: _Of, spots: tuple[Spot, ...], direction: int) -> None:
        before = self._of is not None and self._at is not None and self.spots[self._at]
        self.spots, self._of, self._at = spots, of, None
        self.done = {
            number
            for number, spot in enumerate(spots)
            if any(np.isin(np.ravel_multi_index(spot.place, of.array.shape), old.voxels) for old in self._finished)
        }
        if before:  # the mask was changed: go on where it was, among those that are left
            self._at = sum(spot.doubt > before.doubt for spot in spots) - (1 if direction > 0 else 0)
        self._go_on(direction)

    def _go_on(self, direction: int) -> None:
        count = len(self.spots)
        left = [number for number in range(count) if number not in self.done]
        if not left:
            self._hide()
            self._say(self._nothing(count))
            return
        start = self._at if self._at is not None else -1 if direction > 0 else 0
        # of those that are left the nearest in that direction, around the ends
        number = min(left, key=lambda n: ((n - start) * direction - 1) % count)
        self._show(number)

    def _nothing(self, count: int) -> str:
        if count:
            return f"All {count} spots are done." if count > 1 else "The one spot is done."
        if self._kind != self.kind:
            return NO_MAP.format(self._keys)
        if self._kind == DIFFERING:
            return "The mask is what the model drew; there is no difference to look at."
        return "The model was sure everywhere; there is no doubtful spot."

    def _show(self, number: int) -> None:
        dock, spot = self._dock, self.spots[number]
        mask = place.layer_of(dock)
        self._at, self._seen = number, self._under(spot)
        at = [float(v) for v in mask.data_to_world(spot.place[-mask.ndim :])]
        where = (at[-3] if len(at) > 2 else 0.0, at[-2], at[-1])
        if mask.ndim > 2:
            dock.views.go_to(where)
        for pane in dock.views.shown:
            frame = pane.frame()
            if frame is not None:
                x, y = frame.to_canvas(where)
                if not (0 <= x < frame.width and 0 <= y < frame.height):
                    pane.viewer.scene.camera.center = (0.0, where[frame.axes[0]], where[frame.axes[1]])
        dock.views.redraw()
        self._say(self.words(number))

    def words(self, number: int) -> str:
        """Return "Doubtful spot 2 of 7: 0.12 ml, tumour or background"."""
        spot = self.spots[number]
        names = _either([self._dock.session.labels.name_of(i) for i in spot.classes])
        return f"{_WORDS[self._kind]} {number + 1} of {len(self.spots)}: {much(self._dock, len(spot.voxels))}, {names}"

    def _leave(self) -> None:
        """The spot that is shown is left: it is done if somebody drew inside."""
        if self._at is None or self._seen is None:
            return
        now = self._under(self.spots[self._at])
        if now is not None and not np.array_equal(now, self._seen):
            self._finish(self._at)

    def _finish(self, number: int) -> None:
        self.done.add(number)
        self._finished.append(self.spots[number])

    def _under(self, spot: Spot) -> Array | None:
        array = self._dock.strokes.array
        return None if array is None else array[np.unravel_index(spot.voxels, array.shape)]

    def _hide(self) -> None:
        self._seen = None
        self._dock.views.redraw()

    @property
    def _kind(self) -> str:
        return self.kind if self._of is None else self._of.kind

    @property
    def _keys(self) -> str:
        return keys_of(self._dock.keymap.rows, "doubt 1") or "the list of tools"

    def _say(self, words: str) -> None:
        say(self._dock, words)

    # ---- showing ---------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, frame: Frame | None, _pane: Any) -> None:
        """Draw a frame around the spot in slices it reaches, while it is the one that was gone to."""
        dock = self._dock
        mask, views = dock.layers.mask, dock.views
        hidden = frame is None or views.exporting or views.held or dock.mode != CORRECT
        if hidden or self._seen is None or self._at is None or mask is None or frame is None:
            return
        box = self.spots[self._at].box
        low = [float(v) for v in mask.data_to_world([part.start - 0.5 for part in box][-mask.ndim :])]
        high = [float(v) for v in mask.data_to_world([part.stop - 0.5 for part in box][-mask.ndim :])]
        first, last = [0.0, *low][-3:], [0.0, *high][-3:]
        if mask.ndim > 2 and not first[frame.depth_axis] <= frame.depth <= last[frame.depth_axis]:
            return
        (x0, y0), (x1, y1) = frame.to_canvas(tuple(first)), frame.to_canvas(tuple(last))  # type: ignore[arg-type]
        around = QRectF(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)).adjusted(-_ROOM, -_ROOM, _ROOM, _ROOM)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width, style in ((_EDGE, 3.0, Qt.PenStyle.SolidLine), (_LINE, 1.5, Qt.PenStyle.DashLine)):
            painter.setPen(QPen(colour, width, style))
            painter.drawRect(around)


def _search(of: _Of, mask: Mask, picture: bool, shown: Callable[..., Array]) -> Callable[[Cancel], Events]:
    """Return the work of finding spots; `shown` brings an array into the order of the mask."""
    smallest = max(10, of.array.size // 20_000) if picture else 10
    result = of.result

    def work(cancel: Cancel) -> Events:
        def told(_done: int, _total: int) -> None:
            if cancel.is_set():
                raise Cancelled(f"{LOOKING} was cancelled.")

        yield Progress(None, LOOKING)
        how = Finding(smallest_voxels=smallest, smooth_mm=_SMOOTH_MM)
        if of.kind == DIFFERING:
            yield Result(differing(mask, shown(result.mask.array), how, told))
            return
        scores = None if result.probabilities is None else shown(result.probabilities, "zyxc")
        if result.uncertainty is not None:
            doubt = shown(result.uncertainty)
        else:
            doubt = np.stack([_plane_doubt(plane, told) for plane in _required(scores)])
        spots = undecided(mask, doubt, how, told)
        if len(spots) < _FEW:  # a model that is sure of itself: then its thin seams of doubt are worth a look
            every = undecided(mask, doubt, replace(how, smooth_mm=0.0), told)
            spots = every if len(every) > len(spots) else spots
        ids = None if scores is None else place.channel_ids(result, scores.shape[-1])
        if scores is not None and ids is not None:
            spots = tuple(replace(spot, classes=likely(spot, ids, scores)) for spot in spots)
        yield Result(spots)

    return work


def _plane_doubt(plane: Array, told: Callable[[int, int], None]) -> Array:
    """Return the doubt (y, x) of one slice of probabilities; a single class is doubtful near one half."""
    told(0, 1)
    part = np.asarray(plane, np.float32)
    return margin_doubt(part if part.shape[-1] > 1 else np.concatenate([part, 1 - part], axis=-1))


def _required(scores: Array | None) -> Array:
    if scores is None:
        raise MedcnnError("This result says nothing of how sure the model was; run the model again.")
    return scores


def _either(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"inside {names[0]}"
    return f"{', '.join(names[:-1])} or {names[-1]}"
