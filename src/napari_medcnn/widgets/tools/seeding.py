"""Grow from seeds, refine by scribbles: marks drawn over the picture; Enter shows what they make, Enter takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject
from qtpy.QtGui import QPainter

from napari_medcnn.annotation.box import Box, whole
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.brush import Brush, swept_region
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.annotation.tools.refine import Refining, Thought, refine
from napari_medcnn.annotation.tools.seeds import Growing, Kind, grow_seeds
from napari_medcnn.annotation.tools.walk import Walk
from napari_medcnn.core.results import Segmentation
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.showing import TOOL
from napari_medcnn.widgets.tools import place
from napari_medcnn.widgets.tools.filling import locked_words
from napari_medcnn.widgets.tools.given import Given
from napari_medcnn.widgets.tools.hand import At, DrawnTool
from napari_medcnn.widgets.tools.registry import Tool, tool
from napari_medcnn.widgets.tools.scribbles import BACKGROUND, Mark, Marks, draw

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.views.frame import Frame

GROW, REFINE = "grow_seeds", "refine"
_HINT = (
    "{}: draw marks of the chosen class, and of background with key 0, in any slice and view. Enter shows what comes "
    "of them, Enter again takes it; Backspace takes the last mark back, Esc gives up."
)
#: Refining looks so many times as far as a mark reaches.
_ROOM = 2.0
_NO_MARKS = "Draw a mark first: press a class key, or 0 for background, and draw in the picture."
_NO_MODEL = (
    " The probabilities of the model were not kept (AI tab, Probability of every class); the mask stands for them."
)


@dataclass
class _Stroke:
    """What is being drawn: class, axis it is drawn across, the last place, width in mm, voxels swept so far."""

    label: int
    axis: int
    last: tuple[float, float, float]
    width: float
    parts: list[NDArray[np.int64]]


class Scribbling(DrawnTool):
    """The tool in hand: draws marks for one of the two tools.

    Parameters
    ----------
    dock
        Its mask, form and toolbox.
    row
        The tool of the table, whose `act` is replaced by one that knows the marks.
    """

    def __init__(self, dock: MedcnnDock, row: Tool) -> None:
        self._dock = dock
        self.name, self.words, self.hint = row.name, row.words, ""
        self.marks = Marks(())
        self.tool = replace(row, act=self._act)
        self._stroke: _Stroke | None = None
        #: The model's probabilities in the order of the mask, as they were when the tool was taken.
        self._thought: Thought | None = None
        self._applying = False

    # ---- beginning and end -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take it in hand, without marks, and show its form."""
        dock = self._dock
        try:
            mask = place.mask_of(dock)
            self._thought = _thought_of(dock) if self.name == REFINE else None
        except MedcnnError as error:
            dock.say(str(error))
            return
        self.hint = _HINT.format(self.words)
        if self.name == REFINE and self._thought is None and isinstance(dock.session.result, Segmentation):
            self.hint += _NO_MODEL
        self.marks, self._stroke = Marks(mask.shape), None
        if dock.toolbox.hand.arm(self):
            dock.toolbox.open_form(self.tool)

    def end(self) -> None:
        """Leave nothing: marks, preview and form go, work is stopped."""
        self.marks, self.hint = Marks(()), ""
        self._stroke, self._thought, self._applying = None, None, False
        box = self._dock.toolbox
        if box.form.tool is self.tool:
            box.cancel()
            box.close_form()

    # ---- the mouse -------------------------------------------------------------------------------------------------

    def press(self, at: At) -> None:
        """A mark begins; with Ctrl it is one of background."""
        dock = self._dock
        label = 0 if at.erases else int(place.layer_of(dock).selected_label)
        if label in dock.session.locked:
            dock.correct.say(locked_words(dock, label))
            return
        form = dock.toolbox.form
        width = float(form.values().get("width", 0.0)) if form.tool is self.tool else 0.0
        self._stroke = _Stroke(label, at.axis, at.voxel, width, [])
        self._sweep(at)

    def move(self, at: At) -> None:
        """It goes on; in another view it does not."""
        if at.pressed:
            self._sweep(at)

    def release(self, at: At) -> None:
        """It is done."""
        self._sweep(at)
        stroke, self._stroke = self._stroke, None
        voxels = None if stroke is None or not stroke.parts else np.concatenate(stroke.parts)
        if stroke is not None and voxels is not None and len(voxels):
            self.marks.add(Mark(stroke.label, np.unique(voxels, axis=0)))
            self._changed()
        self._dock.views.redraw()

    def enter(self) -> bool:
        """Show what the marks make; where that is shown, take it."""
        box = self._dock.toolbox
        if not len(self.marks):
            self._dock.correct.say(_NO_MARKS)
            return True
        if self._dock.tasks.running(TOOL) is not None:
            return True
        if box.form.tool is not self.tool:
            box.open_form(self.tool)
        if box.preview.edit is None:
            box.form.preview_asked.emit()
        else:
            self._applying = True
            box.form.apply_asked.emit()
        return True

    def backspace(self) -> bool:
        """Take the last mark back."""
        if not len(self.marks):
            return False
        self.marks.take_back()
        self._changed()
        self._dock.views.redraw()
        return True

    def cancel(self) -> bool:
        """The preview goes, or all marks with the tool; what runs is stopped with all other tasks."""
        box = self._dock.toolbox
        self._stroke = None
        if box.form.tool is self.tool and (box.preview.edit is not None or self._running):
            box.cancel()
            box.form.changed.emit()
            return True
        return False

    def paint(self, painter: QPainter, frame: Frame) -> None:
        """Draw the marks of the slice that is shown."""
        dock, mask = self._dock, self._dock.layers.mask
        if mask is None:
            return
        at = [frame.depth if axis == frame.depth_axis else 0.0 for axis in range(3)][-mask.ndim :]
        axis = 0 if mask.ndim == 2 else frame.depth_axis
        index = 0 if mask.ndim == 2 else int(np.floor(float(mask.world_to_data(at)[axis]) + 0.5))
        shown = self.marks.in_slice(axis, index)
        stroke = self._stroke
        if stroke is not None and stroke.parts:
            voxels = np.concatenate(stroke.parts)
            voxels = voxels[voxels[:, axis] == index]
            shown += [(stroke.label, voxels)] if len(voxels) else []
        labels = dock.session.labels
        draw(painter, frame, mask, shown, lambda label: labels.by_id(label).colour)

    def applied(self) -> None:
        """The mask was changed: by this tool, then its marks have done their work."""
        if self._applying:
            self._applying = False
            self.marks.clear()
            self._dock.views.redraw()

    # ---- the work --------------------------------------------------------------------------------------------------

    @property
    def _running(self) -> bool:
        return self._dock.tasks.running(TOOL) is not None

    def _sweep(self, at: At) -> None:
        stroke, dock = self._stroke, self._dock
        if stroke is None or at.axis != stroke.axis or at.voxel[at.axis] != stroke.last[at.axis]:
            return
        box, swept = swept_region(place.mask_of(dock), Brush(stroke.width / 2, stroke.axis), [stroke.last, at.voxel])
        stroke.last = at.voxel
        stroke.parts.append(np.argwhere(swept) + [part.start for part in box])
        dock.views.redraw()

    def _changed(self) -> None:
        """What was worked out of other marks is out of date."""
        self._applying = False
        box = self._dock.toolbox
        box.cancel()
        box.form.changed.emit()
        count = len(self.marks)
        words = f"{count} {'mark' if count == 1 else 'marks'}; Enter shows what comes of them."
        box.form.say(words)
        self._dock.correct.say(words)

    def _act(self, given: Given) -> Edit:
        """Work the edit out, in the box of the marks alone."""
        if given.scan is None:
            raise InputError(f"{self.words} needs the values of a scan; open the scan of this mask first.")
        grows, finest = self.name == GROW, min(given.mask.spacing)
        reach = given.number("margin" if grows else "reach")
        margin = reach if grows else _ROOM * reach
        found = self.marks.seeds(margin, given.mask.spacing)
        if found is None:
            raise InputError(_NO_MARKS)
        box, seeds = found
        if given.scan.shape != given.mask.shape:
            given.mask.require_scan(given.scan)
        over = frozenset({0, *given.classes}) if given.options.get("there") == "replace" else None
        part = Mask(given.mask.array[box], given.mask.spacing_mm, given.mask.locked, over)
        scan = given.scan[box]
        if grows:
            how = Growing(cast(Kind, given.options["method"]), BACKGROUND, margin)
            edit = grow_seeds(part, scan, how, whole(part.shape), seeds, given.progress)
        else:
            # in an even scan a mark reaches 1 / sqrt(gamma) voxels
            refining = Refining(margin, BACKGROUND, walk=Walk(gamma=(finest / reach) ** 2))
            edit = refine(part, scan, seeds, refining, _inside(self._thought, box), given.progress)
        moved = tuple(
            slice(own.start + outer.start, own.stop + outer.start) for own, outer in zip(edit.box, box, strict=True)
        )
        return Edit(moved, edit.before, edit.after)


class Seeding(QObject):
    """The two tools of one dock."""

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._hand = dock.toolbox.hand
        self.tools = {name: Scribbling(dock, tool(name)) for name in (GROW, REFINE)}
        self._hand.on_change(self._on_hand)
        dock.strokes.changed.connect(self._on_step)
        dock.correct.form.closed.connect(self._on_closed)

    def modes(self) -> dict[str, Callable[[], None]]:
        """Return the functions of the rows in the list of tools."""
        return {name: each.begin for name, each in self.tools.items()}

    def _on_hand(self) -> None:
        for each in self.tools.values():
            if self._hand.armed is not each and each.marks.shape:
                each.end()

    def _on_step(self) -> None:
        armed = self._hand.armed
        if isinstance(armed, Scribbling):
            armed.applied()

    def _on_closed(self) -> None:
        """The form was closed: the tool goes with it."""
        if isinstance(self._hand.armed, Scribbling):
            self._hand.disarm()


def _thought_of(dock: MedcnnDock) -> Thought | None:
    """Return what the model thought of every voxel of the mask; None where that was not kept."""
    result = dock.session.result
    if not isinstance(result, Segmentation) or result.probabilities is None:
        return None
    ids = place.channel_ids(result, result.probabilities.shape[-1])
    if ids is None:
        return None
    return Thought(ids, place.layer_of(dock).metadata[KEY]["how"].apply(result.probabilities, "zyxc"))


def _inside(thought: Thought | None, box: Box) -> Thought | None:
    return None if thought is None else Thought(thought.ids, thought.probabilities[box])
