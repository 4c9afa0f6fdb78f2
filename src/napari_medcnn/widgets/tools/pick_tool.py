"""Pick: a click takes the class under the mouse as the one to paint, in every flat view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medcnn.widgets.tools.hand import At, DrawnTool

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class PickTool(DrawnTool):
    """Stands for napari's own, which knows one view.

    Parameters
    ----------
    dock
        Its mask and classes.
    """

    name, words = "pick", "Pick"

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock

    def press(self, at: At) -> None:
        """Paint the class under the mouse from now on, background as well; beside the mask nothing is chosen."""
        array = self._dock.strokes.array
        if at.inside and array is not None:
            self._dock.correcting.choose_class(int(array[at.index]))
