"""The tools at work: what the form, the list, the menu of pieces and the keys ask for becomes one step, or words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medcnn.annotation.class_steps import ClassStep, free_colour
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.ready_step import ReadyStep, ready_step
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.labels import Label
from napari_medcnn.errors import Cancelled, InputError, MedcnnError
from napari_medcnn.widgets.key_names import keys_of
from napari_medcnn.widgets.search_list import SearchList
from napari_medcnn.widgets.showing import CORRECTING, TOOL
from napari_medcnn.widgets.tools import place
from napari_medcnn.widgets.tools.applying import info_of, much, say
from napari_medcnn.widgets.tools.drawn_tools import DrawnTools
from napari_medcnn.widgets.tools.filling import defaults_of, given_of, locked_words
from napari_medcnn.widgets.tools.finder import tool_finder
from napari_medcnn.widgets.tools.form import ToolForm
from napari_medcnn.widgets.tools.given import Given, Spot, Value
from napari_medcnn.widgets.tools.hand import CorrectHand
from napari_medcnn.widgets.tools.pieces_menu import pieces_menu, show_at
from napari_medcnn.widgets.tools.preview import EditPreview
from napari_medcnn.widgets.tools.registry import Tool, fitting, tool
from napari_medcnn.widgets.tools.words import Change, change_of, made_words, preview_words

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

#: Milliseconds after which a tool shows how far it is.
_SOON_MS = 150


@dataclass(frozen=True, eq=False)
class _Asked:
    """One run of a tool: on what, and at which state of the mask."""

    tool: Tool
    given: Given
    revision: int


@dataclass(frozen=True, eq=False)
class _Worked:
    """What came of it, worked out in the tool's thread: counting and packing a large edit takes half a second."""

    edit: Edit
    change: Change
    #: None where nothing changes.
    ready: ReadyStep | None


class Toolbox(QObject):
    """Runs the tools of the table on the mask of one dock; nothing is written before a tool has finished."""

    _told = Signal(int, int)

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock, self._session, self._strokes = dock, dock.session, dock.strokes
        self.form: ToolForm = dock.correct.form
        self.finder: SearchList | None = None
        self.menu: Any = None
        self.preview = EditPreview(dock.views)
        self._previewed: tuple[_Asked, _Worked] | None = None
        self._pointed = place.Pointed(dock.views)
        self.hand = CorrectHand(dock)
        use = dock.correcting.use_tool
        #: What takes a tool of the mouse in hand, by the name of its row in the table.
        self.modes: dict[str, Callable[[], None]] = {name: partial(use, name) for name in ("paint", "erase", "pick")}
        self.drawn = DrawnTools(dock, self.hand)
        self.modes |= self.drawn.modes()
        #: What was typed last, by tool: 400 cases want the same margin.
        self._remembered: dict[str, dict[str, Value]] = {}
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(lambda: self.form.show_working(self._running))
        self._told.connect(self.form.show_progress)
        self.form.preview_asked.connect(lambda: self._from_form(preview=True))
        self.form.apply_asked.connect(lambda: self._from_form(preview=False))
        self.form.closed.connect(self.close_form)
        self.form.cancel_asked.connect(self.cancel)
        self.form.changed.connect(self._forget_preview)
        self.form.refused.connect(lambda error: self.form.say(str(error)))
        dock.correct.tools_asked.connect(self.show_tools)
        dock.correct.classes.itemSelectionChanged.connect(self._on_class)
        dock.session.classes_changed.connect(self._on_class)
        dock.session.mask_changed.connect(self._on_mask)
        dock.strokes.changed.connect(self._forget_preview)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of the keys."""
        return {
            "show_tools": self.show_tools,
            "piece_menu": self.show_menu,
            "fill_between": lambda: self.use(tool("fill_between")),
            "tool_lasso": self.modes["lasso"],
            "tool_grow": self.modes["grow"],
            "tool_box": self.modes["model_box"],
            "tool_fill": self.modes["fill"],
            "finish": self.hand.enter,
            "remove_point": self.hand.backspace,
        }

    # ---- choosing --------------------------------------------------------------------------------------------------

    def show_tools(self) -> None:
        """Show the list of tools; without a mask say how to get one."""
        try:
            place.layer_of(self._dock)
        except InputError as error:
            self._say(str(error))
            return
        self._dock.tabs.setCurrentIndex(CORRECTING)
        self.finder = tool_finder(lambda action: keys_of(self._dock.keymap.rows, action), self._dock)
        self.finder.chosen.connect(self.choose)
        self.finder.finished.connect(self._no_finder)
        self.finder.show()
        self.finder.activateWindow()

    def choose(self, chosen: Tool) -> None:
        """A tool was taken from the list: it runs, or its form opens."""
        if chosen.at == "mode":
            self._dock.tabs.setCurrentIndex(CORRECTING)
            self.modes[chosen.name]()
        elif chosen.at == "piece":
            keys = keys_of(self._dock.keymap.rows, chosen.action)
            self._say(
                f"Point at the piece in the picture and press {keys}: {chosen.words.lower()} is in the menu there."
            )
        elif chosen.fields:
            self.open_form(chosen)
        else:
            self.use(chosen)

    def open_form(self, chosen: Tool) -> None:
        """Show the options of a tool, as they were used last."""
        try:
            self._require(chosen)
        except MedcnnError as error:
            self._say(str(error))
            return
        self._forget_preview()
        self._dock.tabs.setCurrentIndex(CORRECTING)
        self._dock.say("")  # what the tool before said would be read as said of this one
        info = self._info
        mm = bool(info["geometry"].spacing_known)
        picture = bool(info["picture"])
        fields = tuple(f for f in (fitting(f, picture, mm) for f in chosen.fields) if f is not None)
        values = self._defaults(chosen)
        self.form.show_tool(chosen, fields, values, self._session.labels, "mm" if mm else "px" if picture else "voxels")
        self._on_class()

    def close_form(self) -> None:
        """Close the form, and take the preview away."""
        self._forget_preview()
        self.form.forget()

    def show_menu(self) -> None:
        """Show what can be done with the piece under the mouse."""
        mask, array = self._dock.layers.mask, self._strokes.array
        if mask is None or array is None:
            return
        self._strokes.commit()
        seed = self._pointed.voxel(mask)
        label = 0 if seed is None else int(array[seed])
        if not label:
            self._say("There is no class under the mouse; point at the piece you mean.")
            return
        session = self._session
        if label in session.locked:
            self._say(locked_words(self._dock, label))
            return

        def do(chosen: Tool, options: Mapping[str, Value]) -> None:
            self.use(chosen, options, label, Spot(seed))

        def form(chosen: Tool) -> None:
            session.choose_class(label)
            self.open_form(chosen)

        picture = bool(self._info["picture"])
        self.menu = pieces_menu(label, session.labels, session.locked, picture, do, form)
        self.menu.aboutToHide.connect(self._no_menu)
        canvas, at = self._pointed.on_canvas()
        show_at(self.menu, canvas, at)

    # ---- running ---------------------------------------------------------------------------------------------------

    def use(
        self,
        chosen: Tool,
        options: Mapping[str, Value] | None = None,
        label: int | None = None,
        spot: Spot | None = None,
        *,
        preview: bool = False,
    ) -> None:
        """Run a tool on a class, by default the chosen one; what `options` does not name is as it was used last."""
        self._strokes.commit()
        try:
            self._require(chosen)
            values = {**self._defaults(chosen), **(options or {})}
            given = given_of(self._dock, chosen, values, label, spot)
        except MedcnnError as error:
            self._fail(error)
            return
        self._forget_preview()
        asked, labels = _Asked(chosen, given, self._strokes.revision), self._session.labels

        def work(cancel: Cancel) -> Events:
            def told(done: int, total: int) -> None:
                if cancel.is_set():
                    raise Cancelled(f"{chosen.words} was cancelled.")
                self._told.emit(done, total)

            yield Progress(None, chosen.words)
            edit = chosen.act(replace(given, progress=told))
            change = change_of(edit, given.plane.axis)
            ready = ready_step(ClassStep(chosen.words, labels, edit), labels, given.mask.array)
            told(1, 1)
            yield Result(_Worked(edit, change, ready))

        then = self._show_preview if preview else self._apply
        task = self._dock.tasks.start_aside(TOOL, work, partial(then, asked), self._fail)
        task.cancelled.connect(lambda: self._say(f"{chosen.words}: cancelled, the mask is as it was."))
        task.ended.connect(self._ended)
        self.form.apply.setEnabled(False)
        self.form.preview.setEnabled(False)
        self._soon.start()

    def cancel(self) -> None:
        """Stop the tool that runs."""
        task = self._dock.tasks.running(TOOL)
        if task is not None:
            task.cancel()

    def escape(self) -> None:
        """Esc: what is drawn goes, or the preview, then the form; what runs is stopped with all other tasks."""
        if self.hand.cancel():
            return
        if self._previewed is not None:
            self._forget_preview()
        elif not self._running:
            self.form.forget()

    @property
    def _running(self) -> bool:
        return self._dock.tasks.running(TOOL) is not None

    def _from_form(self, preview: bool) -> None:
        chosen = self.form.tool
        armed = self.hand.armed
        if chosen is None or (armed is not None and armed.from_form(preview)):
            return
        self.form.say("")
        options = self.form.values()
        if self.form.words.text():  # a number was refused
            return
        self._remembered[chosen.name] = options
        seen = self._previewed
        if seen is not None and not preview and dict(seen[0].given.options) == options:
            self._apply(*seen)
        else:
            self.use(chosen, options, preview=preview)

    def _require(self, chosen: Tool) -> None:
        """Raise where a tool cannot be used now."""
        mask = place.mask_of(self._dock)
        if self._running:
            raise InputError("Another tool is still at work; wait for it, or cancel it.")
        if chosen.in_volumes and mask.shape[0] == 1:
            raise InputError(f"{chosen.words} needs several slices, and this is a picture.")

    def _defaults(self, chosen: Tool) -> dict[str, Value]:
        return defaults_of(self._dock, chosen, self._remembered.get(chosen.name, {}))

    # ---- what came of it -------------------------------------------------------------------------------------------

    def _current(self, asked: _Asked) -> bool:
        """Return whether the mask is still what the tool saw; if not, say so."""
        self._strokes.commit()
        same = asked.given.mask.array is self._strokes.array and asked.revision == self._strokes.revision
        if not same:
            self._say(f"{asked.tool.words}: the mask was changed meanwhile, so nothing was done. Use it again.")
        return same

    def _apply(self, asked: _Asked, worked: _Worked) -> None:
        self._soon.stop()
        if not self._current(asked):
            return
        chosen, change = asked.tool, worked.change
        if worked.ready is None:
            self._say(f"{chosen.words}: {chosen.nothing}.")
            return
        session = self._session
        if chosen.name == "split_pieces":
            self._split(asked, worked.edit, [i for i, _ in change.by_class])
        elif asked.given.mask.locked != session.locked:  # a class was locked since: its voxels stay as they are
            self._strokes.change(chosen.words, worked.edit.box, worked.edit.after)
        else:
            self._strokes.take(worked.ready)
        self._say(made_words(chosen.words, change, session.labels.name_of, self._much, bool(self._info["picture"])))
        step = {"copy_next": 1, "copy_previous": -1}.get(chosen.name)
        if step:
            self._dock.views.move(step)

    def _split(self, asked: _Asked, edit: Edit, ids: list[int]) -> None:
        """Give pieces to classes of their own, made in the same step; the one that is painted stays chosen."""
        labels, base = self._session.labels, self._session.labels.name_of(asked.given.label)
        for number, new in enumerate((i for i in ids if i not in labels), 2):
            name = f"{base} {number}"
            while name in labels.names:
                name += "'"
            labels = labels.with_label(Label(new, name, free_colour(labels, new)))
        self._session.change(ClassStep(asked.tool.words, labels, edit))

    def _show_preview(self, asked: _Asked, worked: _Worked) -> None:
        self._soon.stop()
        if self.form.tool is not asked.tool or not self._current(asked):
            return
        if worked.ready is None:
            self.form.say(f"{asked.tool.nothing[:1].upper()}{asked.tool.nothing[1:]}.")
            return
        self._previewed = (asked, worked)
        self.preview.show(worked.edit, self._dock.layers.mask)
        picture = bool(self._info["picture"])
        name = self._session.labels.name_of
        self.form.say(preview_words(worked.change, self._strokes.counts, name, self._much, picture))

    def _forget_preview(self) -> None:
        if self._previewed is not None:
            self._previewed = None
            self.form.say("")
        self.preview.show(None)

    def _fail(self, error: MedcnnError) -> None:
        if self.form.tool is not None:
            self.form.say(str(error))
        self._say(str(error))

    def _ended(self) -> None:
        self._soon.stop()
        self.form.show_working(False)
        self.form.apply.setEnabled(True)
        self.form.preview.setEnabled(True)

    # ---- in step with the window -----------------------------------------------------------------------------------

    def _on_mask(self) -> None:
        self._dock.tasks.drop(TOOL)
        self._ended()
        self.close_form()

    def _on_class(self) -> None:
        mask = self._dock.layers.mask
        if mask is None or self.form.tool is None:
            return
        label = int(mask.selected_label)
        name = self._session.labels.name_of(label) if label else "background"
        self.form.show_class(name)
        if self._previewed is not None and self._previewed[0].given.label != label:
            self._forget_preview()

    @property
    def _info(self) -> dict[str, Any]:
        return info_of(self._dock)

    def _much(self, voxels: int) -> str:
        return much(self._dock, voxels)

    def _say(self, words: str) -> None:
        say(self._dock, words)

    def _no_finder(self, _how: int = 0) -> None:
        self.finder = None

    def _no_menu(self) -> None:
        self.menu = None
