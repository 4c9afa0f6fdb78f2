"""Fill: a click fills the piece or the hole under it, in the slice or in 3D, in every flat view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medcnn.widgets.tools.applying import say
from napari_medcnn.widgets.tools.filling import locked_words
from napari_medcnn.widgets.tools.given import SLICE, WHOLE, Spot
from napari_medcnn.widgets.tools.hand import At, DrawnTool
from napari_medcnn.widgets.tools.registry import tool

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

_SLICE_WORDS = "Fill: in the slice that is clicked; F again fills in 3D."
_DEEP_WORDS = "Fill: in 3D, through all slices; F again fills in the slice alone."


class FillTool(DrawnTool):
    """Stands for napari's own fill, which knows one view and no locked classes.

    Parameters
    ----------
    dock
        Its mask, classes and toolbox.
    """

    name, words = "fill", "Fill"

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        #: True to fill through all slices.
        self.deep = False

    def take(self) -> None:
        """Take it in hand; asked again, change between the slice and 3D."""
        mask = self._dock.layers.mask
        if mask is None:
            return
        if str(mask.mode) == "fill" and mask.ndim == 3:
            self.deep = not self.deep
        self._dock.correcting.use_tool("fill")
        if mask.ndim == 3:
            say(self._dock, _DEEP_WORDS if self.deep else _SLICE_WORDS)

    def press(self, at: At) -> None:
        """Fill what is under the mouse; with Ctrl it is taken away."""
        dock, array = self._dock, self._dock.strokes.array
        if not at.inside or array is None:
            return
        dock.strokes.commit()
        under = int(array[at.index])
        if under in dock.session.locked:
            say(dock, locked_words(dock, under))
            return
        if at.erases and not under:
            say(dock, "Fill: there is nothing to take away under the mouse.")
            return
        row, where = tool("fill"), WHOLE if self.deep else SLICE
        dock.toolbox.use(row, {"where": where}, 0 if at.erases else None, Spot(at.index, at.axis))
