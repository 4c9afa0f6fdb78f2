"""The one table of keys, and the one place that binds them.

Keys are bound on the viewer instance and on layers that are ours, never on napari's classes, so layers of other
plugins keep theirs.  On our own layers napari's remaining keys are silenced: `M` or `=` would otherwise change the
class that is painted without a word.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Mapping
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
        As napari spells it ("Control-Z").
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
        return self.key.replace("Control", "Ctrl").replace("-", "+") if len(self.key) > 1 else self.key


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
    Key("T", BOTH, "Read or Correct", "toggle_mode"),
    Key("F1", BOTH, "Show the keys", "show_keys"),
    Key("Escape", BOTH, "Cancel what is running", "cancel"),
    Key("Control-Z", BOTH, "Undo", "undo"),
    Key("Control-Shift-Z", BOTH, "Redo", "redo"),
    Key("Control-Y", BOTH, "Redo", "redo"),
    *(Key(str(n), (READ,), f"Window {n}", "preset", n, READ) for n in range(1, 10)),
    Key("0", (READ,), "The scan's own window", "preset", 0, READ),
    *(Key(str(n), (CORRECT,), f"Class {n}", "pick_class", n, CORRECT) for n in range(1, 10)),
    Key("0", (CORRECT,), "Background", "pick_class", 0, CORRECT),
    Key("Q", (CORRECT,), "Previous class", "step_class", -1, CORRECT),
    Key("W", (CORRECT,), "Next class", "step_class", 1, CORRECT),
    Key("L", (CORRECT,), "Pick the class under the cursor", "tool_pick", None, CORRECT),
    Key("X", (CORRECT,), "Swap class and background", "swap_class", None, CORRECT),
    Key("P", (CORRECT,), "Brush", "tool_paint", None, CORRECT),
    Key("E", (CORRECT,), "Eraser", "tool_erase", None, CORRECT),
    Key("F", (CORRECT,), "Fill", "tool_fill", None, CORRECT),
    Key("[", (CORRECT,), "Smaller brush", "brush", -1, CORRECT),
    Key("]", (CORRECT,), "Larger brush", "brush", 1, CORRECT),
)

#: What the mouse does; shown beside the keys.
MOUSE: tuple[tuple[str, str], ...] = (
    ("Wheel", "Next or previous slice (zoom on pictures)"),
    ("Ctrl+wheel", "Zoom"),
    ("Shift+wheel", "Correct: brush size"),
    ("Right-drag", "Brightness: across is window, up and down is level"),
    ("Middle-drag", "Move the picture"),
    ("Left-drag", "Read: move the picture. Correct: the chosen tool"),
    ("Ctrl+drag", "Correct: erase"),
)

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

    def __init__(self, viewer: Any, actions: Mapping[str, Action], mode: Callable[[], str]) -> None:
        missing = {key.action for key in KEYS} - set(actions)
        if missing:
            raise KeyError(f"keys without a function: {sorted(missing)}")
        self._viewer = viewer
        self._actions = actions
        self._mode = mode
        self._bound: list[weakref.ref[Any]] = []
        self._dispatch = {name: self._function_for(name) for name in dict.fromkeys(key.key for key in KEYS)}
        for name, function in self._dispatch.items():
            viewer.bind_key(name, function, overwrite=True)

    def bind_layer(self, layer: Layer) -> None:
        """Give a layer of ours the same keys; what else napari would do on it is silenced."""
        self._bind_alone(layer)

    def bind_viewer(self, viewer: Any) -> None:
        """Give a further view of ours the same keys; what else napari would do in it is silenced."""
        self._bind_alone(viewer)

    def _bind_alone(self, where: Any) -> None:
        for cls in type(where).__mro__:
            for key in tuple(getattr(cls, "class_keymap", {})):
                where.bind_key(key, _nothing, overwrite=True)
        for name, function in self._dispatch.items():
            where.bind_key(name, function, overwrite=True)
        self._bound.append(weakref.ref(where))

    def press(self, name: str) -> bool:
        """Do what a key does now; False if it does nothing in this mode."""
        row = self._row(name)
        if row is None:
            return False
        arguments = () if row.argument is None else (row.argument,)
        self._actions[row.action](*arguments)
        return True

    def close(self) -> None:
        """Give the keys back to napari, those of layers that stay as well: what napari keeps would keep us."""
        for name in self._dispatch:
            self._viewer.bind_key(name, None)
        for reference in self._bound:
            bound = reference()
            if bound is not None:
                bound.keymap.clear()
        self._bound.clear()

    def _row(self, name: str) -> Key | None:
        mode = self._mode()
        return next((key for key in KEYS if key.key == name and mode in key.modes), None)

    def _function_for(self, name: str) -> Callable[[Any], Any]:
        held = next((key for key in KEYS if key.key == name and key.held), None)
        if held is None:

            def pressed(_where: Any) -> None:
                self.press(name)

            return pressed

        def holding(_where: Any) -> Generator[None, None, None]:
            self._actions[held.action]()
            yield
            self._actions[f"release_{held.action}"]()

        return holding


def _nothing(_layer: Any) -> None:
    """Do nothing: stands where napari's own key would act on a layer of ours."""
