"""The Correct tab at work: tools, classes, undo, saving, adding to a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject

from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.classing import Classing
from napari_medcnn.widgets.correct_tab import CorrectTab
from napari_medcnn.widgets.dialogs import Dialogs
from napari_medcnn.widgets.result_view import amount
from napari_medcnn.widgets.session import Session
from napari_medcnn.widgets.tools.brush_row import LARGEST_BRUSH


class Correcting(QObject):
    """Connects the Correct tab with the session; choosing a tool selects the mask, whatever was selected before."""

    def __init__(self, tab: CorrectTab, session: Session, dialogs: Dialogs, say: Callable[[str], None]) -> None:
        super().__init__(tab)
        self._tab, self._session, self._dialogs, self._say = tab, session, dialogs, say
        self._layers = session.layers
        self._tool = "paint"
        self._last_class = 1
        self._correct = False
        self.classes = Classing(tab, session, lambda: self._dialogs, say, self._words)
        tab.tool_chosen.connect(self.use_tool)
        tab.brush_changed.connect(self._set_brush)
        tab.classes.chosen.connect(self.choose_class)
        tab.undo_asked.connect(session.strokes.undo)
        tab.redo_asked.connect(session.strokes.redo)
        tab.save_asked.connect(self.save)
        tab.dataset_asked.connect(self.add_to_dataset)
        tab.keep_up.toggled.connect(self._keep_up)
        tab.empty_asked.connect(session.start_empty_mask)
        tab.open_asked.connect(self._open_mask)
        session.saving.replace_asked.connect(self._ask_to_replace)
        session.mask_changed.connect(self._on_mask)
        session.scan_changed.connect(self._on_mask)
        session.classes_changed.connect(self._show_classes)
        session.strokes.changed.connect(self._on_strokes)
        session.strokes.note.connect(tab.say)

    # ---- tools and classes ---------------------------------------------------------------------------------------

    def use_tool(self, tool: str) -> None:
        """Take a tool."""
        self._tool = tool
        self._layers.use_tool(tool)  # type: ignore[arg-type]
        self._tab.show_tool(tool)

    def show_mode(self, correct: bool) -> None:
        """In Correct the mask has its tool; in Read the mouse moves the picture."""
        self._correct = correct
        if self._layers.mask is None:
            return
        if correct:
            self.use_tool(self._tool)
        else:
            self._layers.use_tool("pan_zoom")

    def choose_class(self, label_id: int) -> None:
        """Paint this class; ids without a class are told, not made."""
        if label_id and label_id not in self._session.labels:
            self._say(f"There is no class {label_id}.")
            return
        self._session.choose_class(label_id)

    def step_class(self, step: int) -> None:
        """Choose the next or previous class, around the ends."""
        ids = self._session.labels.ids
        mask = self._layers.mask
        if mask is None or not ids:
            return
        now = ids.index(mask.selected_label) if mask.selected_label in ids else -1 if step > 0 else 0
        self._session.choose_class(ids[(now + step) % len(ids)])

    def swap_class(self) -> None:
        """Change between the class and background."""
        mask = self._layers.mask
        if mask is None:
            return
        if mask.selected_label:
            self._last_class = int(mask.selected_label)
            self._session.choose_class(0)
        else:
            self._session.choose_class(self._last_class)

    def step_brush(self, step: int) -> None:
        """Make the brush a fifth larger or smaller, by one pixel at least."""
        mask = self._layers.mask
        if mask is not None:
            size = float(mask.brush_size)
            size = max(size + 1, size * 1.2) if step > 0 else min(size - 1, size / 1.2)
            self._set_brush(int(np.clip(round(size), 1, LARGEST_BRUSH)))

    def on_wheel(self, _viewer: Any, event: Any) -> None:
        """Shift+wheel makes the brush larger or smaller; some systems turn the wheel sideways for Shift."""
        if self._correct and tuple(event.modifiers) == ("Shift",) and self._layers.mask is not None:
            turns = float(event.delta[1]) or float(event.delta[0])
            if turns:
                self.step_brush(1 if turns > 0 else -1)
            event.handled = True

    def _set_brush(self, size: int) -> None:
        if self._layers.mask is not None:
            self._layers.mask.brush_size = size
        self._tab.show_brush(size)

    # ---- saving --------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Ask where, and save the mask."""
        mask = self._layers.mask
        if mask is None:
            return
        info = mask.metadata[KEY]
        path = self._dialogs.save_mask(suggestion(info), bool(info["picture"]))
        if path is not None:
            self._session.saving.save(path)

    def _keep_up(self, wanted: bool) -> None:
        self._session.saving.by_itself = wanted

    def _ask_to_replace(self, path: Path, error: MedcnnError) -> None:
        """Somebody else has the file open or has changed it: write over it only if the user wants that."""
        if self._dialogs.sure(f"{error}.\n\nReplace it?"):
            self._session.saving.save(path, over=True)

    def add_to_dataset(self) -> None:
        """Ask which table, and add scan and mask to it."""
        if self._session.scan is None:
            self._say("Open the scan of this mask first; a dataset needs both.")
            return
        entry = self._dialogs.add_to_dataset(self._session.scan.name)
        if entry is not None:
            self._session.add_to_dataset(entry)

    def _open_mask(self) -> None:
        path = self._dialogs.open_file()
        if path is not None:
            self._session.opening.mask(path)

    # ---- showing -------------------------------------------------------------------------------------------------

    def _on_mask(self) -> None:
        mask = self._layers.mask
        self._tab.show_mask(mask is not None, self._session.scan is not None)
        self._tab.say("")
        if mask is None:
            self._tab.show_history(None, None)
            return
        mask.events.selected_label.connect(self._on_class)
        mask.events.brush_size.connect(self._on_brush)
        mask.brush_size = self._fitting_brush(mask)
        self._show_classes()
        self._on_strokes()

    @staticmethod
    def _fitting_brush(mask: Any) -> int:
        """A brush that covers about a hundredth of the width."""
        return int(np.clip(max(mask.data.shape[-2:]) / 100, 4, 20))

    def _on_class(self, _event: Any = None) -> None:
        if self._layers.mask is not None:
            self._tab.classes.choose(int(self._layers.mask.selected_label))

    def _on_brush(self, _event: Any = None) -> None:
        if self._layers.mask is not None:
            self._tab.show_brush(int(np.clip(self._layers.mask.brush_size, 1, LARGEST_BRUSH)))

    def _show_classes(self) -> None:
        session = self._session
        self._tab.classes.show_classes(
            session.labels, session.strokes.counts, session.locked, session.hidden, self._words
        )
        self._on_class()

    def _on_strokes(self) -> None:
        strokes = self._session.strokes
        self._tab.classes.show_amounts(strokes.counts, self._words)
        undo, redo = strokes.history.names, strokes.history.redo_names
        self._tab.show_history(undo[-1] if undo else None, redo[-1] if redo else None)

    def _words(self, n: int) -> str:
        mask = self._layers.mask
        if mask is None:
            return ""
        info = mask.metadata[KEY]
        grid = info["geometry"]
        return amount(n, grid.spacing_mm if grid.spacing_known else None, bool(info["picture"]))


def suggestion(info: dict[str, Any]) -> str:
    """Return a file name for a mask: the scan's own stem where it came from a file; no spaces, nothing odd."""
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in str(info.get("case") or "scan")).strip("_")
    suffix = ".png" if info["picture"] else ".nii.gz"
    folder = Path(str(info["source"].get("path", ""))).parent if info["source"].get("path") else Path()
    return str(folder / f"{stem or 'scan'}_mask{suffix}")
