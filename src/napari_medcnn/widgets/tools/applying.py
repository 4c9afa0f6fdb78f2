"""What a tool has worked out becomes one step of the history, and is said in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_medcnn.annotation.edits import Edit
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.keymap import CORRECT
from napari_medcnn.widgets.result_view import amount
from napari_medcnn.widgets.tools import place
from napari_medcnn.widgets.tools.words import change_of, made_words

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


def apply_edit(dock: MedcnnDock, words: str, edit: Edit, axis: int, nothing: str) -> bool:
    """Make an edit one step called `words`; where it changes nothing say `nothing` and return False.

    Slices are counted along `axis`.
    """
    change = change_of(edit, axis)
    if not change.slices:
        say(dock, f"{words}: {nothing}.")
        return False
    dock.strokes.change(words, edit.box, edit.after)
    picture = bool(info_of(dock)["picture"])
    say(dock, made_words(words, change, dock.session.labels.name_of, lambda n: much(dock, n), picture))
    return True


def say(dock: MedcnnDock, words: str) -> None:
    """Show a line below the header, and on the Correct tab while it is used."""
    dock.say(words)
    if dock.mode == CORRECT:
        dock.correct.say(words)


def much(dock: MedcnnDock, voxels: int) -> str:
    """Return how much voxels of the open mask are: "1.2 ml"."""
    info = info_of(dock)
    grid = info["geometry"]
    return amount(voxels, grid.spacing_mm if grid.spacing_known else None, bool(info["picture"]))


def info_of(dock: MedcnnDock) -> dict[str, Any]:
    """Return what is known of the open mask; InputError where there is none."""
    found: dict[str, Any] = place.layer_of(dock).metadata[KEY]
    return found
