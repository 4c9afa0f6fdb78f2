"""The tools that are drawn with: lasso, region grow, the model in a box, fill, pick; and how they are taken in hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_medcnn.widgets.tools.box_tool import BoxTool
from napari_medcnn.widgets.tools.fill_tool import FillTool
from napari_medcnn.widgets.tools.grow_tool import GrowTool
from napari_medcnn.widgets.tools.hand import CorrectHand
from napari_medcnn.widgets.tools.lasso_tool import LassoTool
from napari_medcnn.widgets.tools.pick_tool import PickTool

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class DrawnTools:
    """Makes them once for one dock."""

    def __init__(self, dock: MedcnnDock, hand: CorrectHand) -> None:
        self._dock, self._hand = dock, hand
        self.lasso, self.grow = LassoTool(dock), GrowTool(dock)
        self.box, self.fill = BoxTool(dock), FillTool(dock)
        hand.stand_ins |= {"fill": self.fill, "pick": PickTool(dock)}
        hand.on_change(self._on_hand)
        dock.correct.form.closed.connect(self._on_closed)
        dock.correct.drawn_chosen.connect(self._choose)

    def modes(self) -> dict[str, Callable[[], None]]:
        """Return what takes each in hand, by the name of its row in the table."""
        return {
            "lasso": self._take_lasso,
            "grow": self.grow.take,
            "model_box": self.box.take,
            "fill": self.fill.take,
        }

    def _take_lasso(self) -> None:
        self._hand.arm(self.lasso)

    def _on_hand(self) -> None:
        """Another tool is in hand, or none: mark it on the tab, and close the form of the one before."""
        dock, armed = self._dock, self._hand.armed
        form = dock.correct.form
        if form.tool is not None and form.tool.name == self.grow.name and armed is not self.grow:
            dock.toolbox.close_form()
        self._mark()

    def _choose(self, name: str) -> None:
        """A button of the tab was pressed."""
        self._dock.toolbox.modes[name]()
        self._mark()

    def _mark(self) -> None:
        """Mark on the tab what the mouse holds."""
        armed, mask = self._hand.armed, self._dock.layers.mask
        if armed is not None:
            self._dock.correct.show_tool(armed.name)
        elif mask is not None:
            self._dock.correct.show_tool(str(mask.mode))

    def _on_closed(self) -> None:
        """The form was closed: its tool goes with it."""
        if self._hand.armed is self.grow:
            self._hand.disarm()
