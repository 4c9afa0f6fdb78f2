"""The one table of keys, and the one place that binds them.

Keys are bound on the viewer instance and on layers that are ours, never on napari's classes, so layers of other
plugins keep theirs.  On our own layers napari's remaining keys are silenced: `M` or `=` would otherwise change the
class that is painted without a word.

The table says which key does what until the user says otherwise (`key_choice`).  Keys that later tools will have are
listed in `RESERVED`: they do nothing now, are not shown, and whoever gives one to something else is told what it is
kept for.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari.layers import Layer

READ, CORRECT = "Read", "Correct"
BOTH = (READ, CORRECT)


@dataclass(frozen=True)
class Key:
    """One line of the table.

    Parameters
    ----------
    key
        As napari spells it ("Control-Z"); "" for a line that has no key until the user gives it one.
    modes
        Where it works.
    does
        For people.
    action
        Name of the function; `argument` is handed to it if there is one.
    group
        Heading in the window of keys.
    held
        The action is undone by ``release_<action>`` when the key goes up.
    """

    key: str
    modes: tuple[str, ...]
    does: str
    action: str
    argument: int | None = None
    group: str = "Every mode"
    held: bool = False

    @property
    def shown(self) -> str:
        """The key as printed on keyboards."""
        return shown(self.key)


def shown(key: str) -> str:
    """Return a key as printed on keyboards: "Ctrl+Z"."""
    if len(key) < 2:
        return key
    names = {"Control": "Cmd" if sys.platform == "darwin" else "Ctrl", "Escape": "Esc"}
    return "+".join(names.get(part, part) for part in key.split("-"))


KEYS: tuple[Key, ...] = (
    Key("Up", BOTH, "Previous slice", "move", -1),
    Key("Down", BOTH, "Next slice", "move", 1),
    Key("PageUp", BOTH, "10 slices back", "move", -10),
    Key("PageDown", BOTH, "10 slices on", "move", 10),
    Key("Home", BOTH, "First slice", "go_to_end", 0),
    Key("End", BOTH, "Last slice", "go_to_end", 1),
    Key("Left", BOTH, "Previous time point", "move_time", -1),
    Key("Right", BOTH, "Next time point", "move_time", 1),
    *(Key(f"Control-{n}", BOTH, f"Window {n}", "preset", n) for n in range(1, 10)),
    Key("Control-0", BOTH, "The scan's own window", "preset", 0),
    Key("I", BOTH, "Invert black and white", "invert"),
    Key("H", BOTH, "Hide masks while held", "hide_overlays", held=True),
    Key("O", BOTH, "Mask as outline or filled", "outline"),
    Key("G", BOTH, "One view or 2x2", "toggle_views"),
    Key("Y", BOTH, "Why here? At the cursor", "why_here"),
    Key("T", BOTH, "Read or Correct", "toggle_mode"),
    Key("Control-K", BOTH, "Search the tools", "show_tools"),
    Key("F1", BOTH, "Show the keys", "show_keys"),
    Key("Escape", BOTH, "Cancel what is running", "cancel"),
    Key("Control-Z", BOTH, "Undo", "undo"),
    Key("", BOTH, "Undo", "undo"),
    Key("Control-Shift-Z", BOTH, "Redo", "redo"),
    Key("Control-Y", BOTH, "Redo", "redo"),
    *(Key(str(n), (READ,), f"Window {n}", "preset", n, READ) for n in range(1, 10)),
    Key("0", (READ,), "The scan's own window", "preset", 0, READ),
    Key("M", (READ,), "Measure a length", "measure_length", None, READ),
    Key("Shift-M", (READ,), "Measure an angle", "measure_angle", None, READ),
    Key("A", (READ,), "Values and area in an ellipse", "measure_area", None, READ),
    *(Key(str(n), (CORRECT,), f"Class {n}", "pick_class", n, CORRECT) for n in range(1, 10)),
    Key("0", (CORRECT,), "Background", "pick_class", 0, CORRECT),
    Key("Q", (CORRECT,), "Previous class", "step_class", -1, CORRECT),
    Key("W", (CORRECT,), "Next class", "step_class", 1, CORRECT),
    Key("C", (CORRECT,), "Find a class by name", "find_class", None, CORRECT),
    Key("L", (CORRECT,), "Pick the class under the cursor", "tool_pick", None, CORRECT),
    Key("X", (CORRECT,), "Swap class and background", "swap_class", None, CORRECT),
    Key("P", (CORRECT,), "Brush or sphere", "tool_paint", None, CORRECT),
    Key("E", (CORRECT,), "Eraser", "tool_erase", None, CORRECT),
    Key("F", (CORRECT,), "Fill; again: in 3D", "tool_fill", None, CORRECT),
    Key("A", (CORRECT,), "Lasso: drag, or click corners", "tool_lasso", None, CORRECT),
    Key("R", (CORRECT,), "Region grow, the wheel changes the tolerance", "tool_grow", None, CORRECT),
    Key("B", (CORRECT,), "Accept or reject the model in a box", "tool_box", None, CORRECT),
    Key("J", (CORRECT,), "Fill between slices", "fill_between", None, CORRECT),
    Key("D", (CORRECT,), "Menu of the piece under the mouse", "piece_menu", None, CORRECT),
    Key("N", (CORRECT,), "Next doubtful spot", "doubt", 1, CORRECT),
    Key("Shift-N", (CORRECT,), "Previous doubtful spot", "doubt", -1, CORRECT),
    Key("Enter", (CORRECT,), "Finish what is drawn", "finish", None, CORRECT),
    Key("Backspace", (CORRECT,), "Take the last point back", "remove_point", None, CORRECT),
    Key("[", (CORRECT,), "Smaller brush", "brush", -1, CORRECT),
    Key("]", (CORRECT,), "Larger brush", "brush", 1, CORRECT),
)

#: Keys that tools to come will have: key, modes, what it is kept for.
RESERVED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("S", (CORRECT,), "smart clicks"),
    ("U", (CORRECT,), "marking a case as unsure"),
    ("K", BOTH, "what digits mean"),
    ("Shift-Enter", (CORRECT,), "the previous case"),
)


def mouse_rows(wheel_moves_slices: bool) -> tuple[tuple[str, str], ...]:
    """Return what the mouse does, shown beside the keys."""
    wheel = "Next or previous slice (zoom on pictures)" if wheel_moves_slices else "Zoom"
    return (
        ("Wheel", wheel),
        ("Ctrl+wheel", "Zoom"),
        ("Shift+wheel", "Read: thickness of the slab. Correct: brush size"),
        ("Right-drag", "Brightness: across is window, up and down is level"),
        ("Middle-drag, Space+drag", "Move the picture"),
        ("Left-drag", "Read: move the picture. Correct: the chosen tool"),
        ("Ctrl+drag", "Correct: erase"),
        ("Alt+drag", "Zoom into a box"),
        ("Shift+move", "The other views follow the place under the mouse"),
        ("Double-click", "One view large, and back"),
    )


def ids(rows: Sequence[Key]) -> tuple[str, ...]:
    """Return one name per line, the same whatever the key: what it does, numbered where several lines do the same."""
    found: list[str] = []
    for row in rows:
        what = row.action if row.argument is None else f"{row.action} {row.argument}"
        number = 1 + sum(name == what or name.startswith(f"{what} #") for name in found)
        found.append(what if number == 1 else f"{what} #{number}")
    return tuple(found)


#: Keys of napari's viewer that may act while a layer of ours is selected: none of them touches a layer or a plane.
_HARMLESS = frozenset(
    {"hold_for_pan_zoom", "reset_view", "toggle_theme", "toggle_console_visibility", "show_shortcuts",
     "select_layer_above", "select_layer_below", "extend_selection_to_layer_above", "extend_selection_to_layer_below"}
)  # fmt: skip

Action = Callable[..., Any]


class KeyMap:
    """Binds the table for one dock.

    Parameters
    ----------
    viewer
        Gets the keys while no layer of ours is selected, too.
    actions
        Function of every action name in the table.
    mode
        Returns the mode that holds now.
    """

    def __init__(
        self, viewer: Any, actions: Mapping[str, Action], mode: Callable[[], str], rows: Sequence[Key] = KEYS
    ) -> None:
        missing = {key.action for key in rows} - set(actions)
        if missing:
            raise KeyError(f"keys without a function: {sorted(missing)}")
        self._viewer = viewer
        self._actions = actions
        self._mode = mode
        self._bound: list[weakref.ref[Any]] = []
        #: What was written into one layer or view of each kind: the next one of it takes that over.
        self._filled: dict[type, dict[Any, Callable[[Any], Any]]] = {}
        self._dispatch: dict[str, Callable[[Any], Any]] = {}
        self._guarded: dict[Any, Callable[[Any], Any]] = {}
        self.rows: tuple[Key, ...] = ()
        self.use(rows)

    def use(self, rows: Sequence[Key]) -> None:
        """Take another table, at once, in every view and on every layer of ours."""
        self._unbind()
        self._filled.clear()
        self.rows = tuple(rows)
        self._dispatch = {name: self._function_for(name) for name in dict.fromkeys(row.key for row in rows if row.key)}
        self._guarded = _keys_of(self._viewer, _HARMLESS)
        for key, original in self._guarded.items():
            self._viewer.bind_key(key, self._guard(original), overwrite=True)
        for name, function in self._dispatch.items():
            self._viewer.bind_key(name, function, overwrite=True)
        for reference in self._bound:
            bound = reference()
            if bound is not None:
                self._fill(bound)

    def bind_layer(self, layer: Layer) -> None:
        """Give a layer of ours the same keys; what else napari would do on it is silenced."""
        self._bind_alone(layer)

    def bind_viewer(self, viewer: Any) -> None:
        """Give a further view of ours the same keys; what else napari would do in it and its layers is silenced."""
        self._bind_alone(viewer)
        for layer in viewer.layers:
            self._bind_alone(layer)
        viewer.layers.events.inserted.connect(self._on_inserted)

    def _on_inserted(self, event: Any) -> None:
        self._bind_alone(event.value)

    def _bind_alone(self, where: Any) -> None:
        self._fill(where)
        self._bound = [*(reference for reference in self._bound if reference() is not None), weakref.ref(where)]

    def _fill(self, where: Any) -> None:
        """Write all keys of a layer or a view anew."""
        kind = type(getattr(where, "__wrapped__", where))
        where.keymap.clear()
        if kind in self._filled:  # napari reads 80 names of keys each time; none of them depends on which layer it is
            where.keymap.update(self._filled[kind])
            return
        for key in {**_keys_of(self._viewer, _HARMLESS), **_keys_of(where)}:
            where.bind_key(key, _nothing, overwrite=True)
        for name, function in self._dispatch.items():
            where.bind_key(name, function, overwrite=True)
        self._filled[kind] = dict(where.keymap)

    def _guard(self, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return what a key of napari's viewer does now: nothing while our layers are there and none of others' chosen.

        Otherwise it would depend on what is chosen whether it hides, turns or rolls away our scan.
        """

        def guarded(viewer: Any) -> Any:
            ours = [layer for layer in (bound() for bound in self._bound) if isinstance(layer, Layer)]
            chosen = viewer.layers.selection.active
            if ours and (chosen is None or any(chosen is layer for layer in ours)):
                return None
            return original(viewer)

        return guarded

    def _unbind(self) -> None:
        for name in (*self._dispatch, *self._guarded):
            self._viewer.bind_key(name, None)

    def press(self, name: str) -> bool:
        """Do what a key does now; False if it does nothing in this mode."""
        row = self.row(name)
        if row is None:
            return False
        arguments = () if row.argument is None else (row.argument,)
        self._actions[row.action](*arguments)
        return True

    def close(self) -> None:
        """Give the keys back to napari, those of layers that stay as well: what napari keeps would keep us."""
        self._unbind()
        for reference in self._bound:
            bound = reference()
            if bound is not None:
                bound.keymap.clear()
        self._bound.clear()
        self._filled.clear()
        self._dispatch, self._guarded, self.rows = {}, {}, ()

    def row(self, name: str) -> Key | None:
        """Return what a key does in this mode, None for nothing."""
        mode = self._mode()
        return next((row for row in self.rows if row.key == name and mode in row.modes), None)

    def _function_for(self, name: str) -> Callable[[Any], Any]:
        held = next((row for row in self.rows if row.key == name and row.held), None)
        if held is None:

            def pressed(_where: Any) -> None:
                self.press(name)

            return pressed

        def holding(_where: Any) -> Generator[None, None, None]:
            self._actions[held.action]()
            yield
            self._actions[f"release_{held.action}"]()

        return holding


def _keys_of(owner: Any, but: Collection[str] = ()) -> dict[Any, Callable[[Any], Any]]:
    """Return the keys that napari binds on the classes of a layer or viewer, those of the named functions aside."""
    found: dict[Any, Callable[[Any], Any]] = {}
    for cls in type(getattr(owner, "__wrapped__", owner)).__mro__:
        for key, function in getattr(cls, "class_keymap", {}).items():
            if getattr(function, "__name__", "") not in but:
                found.setdefault(key, function)
    return found


def _nothing(_layer: Any) -> None:
    """Do nothing: stands where napari's own key would act on a layer of ours."""
