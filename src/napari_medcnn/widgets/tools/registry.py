"""The table of tools: how they are called, what they ask for, what they do. Lists, forms and menus are made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from napari_medcnn.annotation.edits import Edit
from napari_medcnn.widgets.tools import acts
from napari_medcnn.widgets.tools.given import EACH, SLICE, WHOLE, Given


@dataclass(frozen=True)
class Number:
    """A field for a number, `low` and `high` included. `default` None: it is taken from the brightness window."""

    key: str
    words: str
    unit: str
    low: float
    high: float
    default: float | None


@dataclass(frozen=True)
class Choice:
    """A field for one of several words: (value, words). Those in `in_volumes` are not offered for pictures.

    With `needs_mm` a value is not offered where the file does not state the size of a voxel.
    """

    key: str
    words: str
    choices: tuple[tuple[str, str], ...]
    in_volumes: frozenset[str] = frozenset()
    needs_mm: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ClassChoice:
    """A field for a class; `first` are further lines before the classes: (value, words)."""

    key: str
    words: str
    first: tuple[tuple[int, str], ...] = ()


Field = Number | Choice | ClassChoice


@dataclass(frozen=True)
class Tool:
    """One tool.

    Parameters
    ----------
    name
        For the program.
    words
        What it is called, and its step in the history.
    does
        One line for people.
    act
        Works the edit out; writes nothing. Tools of the mouse have none.
    fields
        What it asks for; without any it runs at once.
    nothing
        Said when there was nothing to change.
    action
        Of `keymap.KEYS`, "" where it has no key.
    at
        "class" works on the chosen class, "all" on all classes if the form says so, "piece" on what the mouse is over;
        "mode" is taken in hand and draws (`Toolbox.modes` has its function).
    in_volumes
        It needs several slices.
    may_erase
        It works with the background chosen, too.
    also
        Further words it is found by.
    live
        What it would do is seen all the time, so its form has no Preview.
    """

    name: str
    words: str
    does: str
    act: Callable[[Given], Edit] = acts.by_hand
    fields: tuple[Field, ...] = ()
    nothing: str = "nothing to change"
    action: str = ""
    at: Literal["class", "all", "piece", "mode"] = "class"
    in_volumes: bool = False
    may_erase: bool = False
    also: str = ""
    live: bool = False


_WHERE = Choice("where", "Where", ((WHOLE, "Whole scan (3D)"), (SLICE, "This slice only")), frozenset({SLICE}))
_WHICH = Choice("which", "Classes", (("chosen", "The chosen class"), ("all", "All that are not locked")))
_MM = "mm"
_OF = Choice("of", "From", (("model", "The model's mask"), ("saved", "The saved file")))
_THERE = Choice("there", "What is there", (("keep", "Stays"), ("replace", "Is replaced")))

TOOLS: tuple[Tool, ...] = (
    Tool("paint", "Brush", "Paints the chosen class", action="tool_paint", at="mode", also="draw pen"),
    Tool("erase", "Eraser", "Takes away what is painted", action="tool_erase", at="mode", also="rubber delete"),
    Tool(
        "fill", "Fill", "Fills the piece or hole under a click, in the slice or in 3D", acts.fill_here,
        nothing="it is of that class already", action="tool_fill", at="mode", may_erase=True, also="bucket flood",
    ),
    Tool("pick", "Pick", "Takes the class under the mouse", action="tool_pick", at="mode", also="choose class"),
    Tool(
        "lasso", "Lasso", "Fills what is drawn around, freehand or corner by corner",
        action="tool_lasso", at="mode", also="polygon outline freehand contour draw",
    ),
    Tool(
        "grow", "Region grow", "Grows a region of like values from a click; the wheel changes how like",
        fields=(
            Number("tolerance", "Tolerance", "", 0, 1e9, 0.0), _WHERE,
            Number("radius", "No further than", _MM, 0.1, 300, 30.0),
        ),
        action="tool_grow", at="mode", may_erase=True, also="threshold magic wand tolerance seed", live=True,
    ),
    Tool(
        "model_box", "Model in a box", "Accepts or rejects what the model drew, inside a box",
        action="tool_box", at="mode", also="accept reject rectangle",
    ),
    Tool(
        "grow_seeds", "Grow from seeds",
        "Draw marks of each class and of background (0): they grow until they meet. Enter shows it, Enter takes it",
        fields=(
            Choice("method", "How", (("watershed", "Watershed"), ("random walker", "Random walker"))),
            Number("margin", "Reach beyond marks", _MM, 0, 500, 10.0), _THERE,
            Number("width", "Width of a mark", _MM, 0, 50, 2.0),
        ),
        nothing="the marks do not grow into anything", at="mode", may_erase=True,
        also="watershed random walker scribble marks",
    ),
    Tool(
        "refine", "Refine by scribbles",
        "Draw marks where the mask is wrong; it changes around them. Enter shows it, Enter takes it",
        fields=(
            Number("reach", "A mark reaches", _MM, 0.1, 100, 5.0),
            Number("width", "Width of a mark", _MM, 0, 50, 2.0),
        ),
        nothing="the mask is like that already", at="mode", may_erase=True, also="random walker correct marks",
    ),
    Tool(
        "doubts", "Doubtful spots", "Goes to where the model was undecided, the most doubt first",
        action="doubt 1", at="mode", also="uncertainty next spot",
    ),
    Tool(
        "changes", "Spots changed by hand", "Goes to where the mask is not what the model drew",
        at="mode", also="difference disagreement compare model",
    ),
    Tool(
        "fill_between", "Fill between slices", "Makes the slices between drawn ones, from the shapes in them",
        acts.fill_between, (_WHICH,), "no slice is empty between two drawn ones", "fill_between", "all", True,
        also="interpolate interpolation",
    ),
    Tool(
        "keep_piece", "Keep only this piece", "Takes all other pieces of the class under the mouse away",
        acts.keep_piece, (_WHERE,), "the class has one piece only", "piece_menu", "piece", also="island component",
    ),
    Tool(
        "remove_piece", "Remove this piece", "Takes the piece under the mouse away",
        acts.remove_piece, (_WHERE,), "there is no piece", "piece_menu", "piece", also="island component delete",
    ),
    Tool(
        "give_piece", "Give this piece to a class", "The piece under the mouse gets another class",
        acts.give_piece, (ClassChoice("other", "Class"), _WHERE), "it is of that class", "piece_menu", "piece",
        also="island component relabel",
    ),
    Tool(
        "keep_largest", "Keep the largest piece", "Takes all pieces of the class but the largest away",
        acts.keep_largest, (_WHERE,), "the class has one piece at most", also="island component",
    ),
    Tool(
        "remove_small", "Remove small pieces", "Takes pieces of the class below a size away",
        acts.remove_small,
        (
            Number("size", "Smaller than", "", 0, 1e9, 1.0),
            Choice("unit", "Counted in", (("ml", "ml"), ("voxels", "voxels")), frozenset({"ml"}), frozenset({"ml"})),
            _WHERE,
        ),
        "no piece is smaller", also="island component noise specks",
    ),
    Tool(
        "split_pieces", "Split pieces into classes", "The largest piece stays, each other one gets a new class",
        acts.split_pieces, nothing="the class has one piece at most", also="island component separate",
    ),
    Tool(
        "fill_holes", "Fill holes", "Gives what the class encloses to it",
        acts.fill_holes,
        (
            Choice(
                "where", "Where",
                ((WHOLE, "Whole scan (3D)"), (EACH, "Slice by slice, all"), (SLICE, "This slice only")),
                frozenset({EACH, SLICE}),
            ),
        ),
        "there is no hole",
    ),
    Tool(
        "smooth", "Smooth", "Makes the outline of the class smoother",
        acts.smooth_class,
        (
            Choice(
                "method", "How",
                (("median", "Median"), ("gaussian", "Gaussian"), ("opening", "Opening: thin parts go"),
                 ("closing", "Closing: gaps close")),
            ),
            Number("radius", "Radius", _MM, 0.01, 100, 2.0), _WHERE,
        ),
        "the outline is as smooth already", also="median gaussian opening closing",
    ),
    Tool(
        "margin", "Grow or shrink", "Moves the outline of the class by a margin",
        acts.grow_or_shrink,
        (
            Choice("way", "Which way", (("grow", "Grow"), ("shrink", "Shrink"))),
            Number("length", "Margin", _MM, 0.01, 200, 2.0), _WHERE,
        ),
        "the margin is smaller than a voxel, or nothing around is free", also="margin dilate erode expand",
    ),
    Tool(
        "threshold", "Threshold to class", "Gives voxels with a value from low to high to the class",
        acts.threshold,
        (
            Number("low", "From", "", -1e9, 1e9, None), Number("high", "To", "", -1e9, 1e9, None),
            ClassChoice(
                "inside", "Inside",
                ((acts.BACKGROUND_ONLY, "Background only"), (acts.EVERYTHING, "Everything not locked")),
            ),
            Choice("where", "Where", ((SLICE, "This slice only"), (WHOLE, "Whole scan (3D)")), frozenset({SLICE})),
        ),
        "no voxel there has such a value", may_erase=True, also="range intensity hounsfield",
    ),
    Tool(
        "combine", "Combine classes", "Adds, intersects or subtracts another class",
        acts.combine_classes,
        (
            Choice(
                "how", "How",
                (("union", "Add it"), ("intersect", "Keep what both have"), ("subtract", "Take it away")),
            ),
            ClassChoice("other", "With class"),
            Choice("of", "Of", (("this", "This mask"), ("model", "The model's mask"), ("saved", "The saved file"))),
        ),
        "it makes no difference", also="union intersect subtract boolean merge logical",
    ),
    Tool(
        "copy_next", "Copy slice to next", "Copies what is drawn in this slice to the next one, goes there",
        acts.copy_to_next, (_WHICH, _THERE), "the next slice is the same", at="all", in_volumes=True,
    ),
    Tool(
        "copy_previous", "Copy slice to previous", "Copies what is drawn in this slice to the one before, goes there",
        acts.copy_to_previous, (_WHICH, _THERE), "the slice before is the same", at="all", in_volumes=True,
    ),
    Tool(
        "take_back", "Take a mask back", "Takes the model's or the saved mask back, in the whole scan",
        acts.take_back, (_OF, _WHICH), "the mask is the same already", at="all", also="model saved revert reset",
    ),
)  # fmt: skip

#: What the menu of a drawn box offers.
BOX_TOOLS: tuple[Tool, ...] = (
    Tool(
        "accept_box", "Accept the model here", "The model's mask, inside the box", acts.accept_box,
        nothing="the mask is the model's already", at="all", may_erase=True,
    ),
    Tool(
        "reject_box", "Reject the model here", "Takes away what the model drew inside the box", acts.reject_box,
        nothing="nothing of the model is left there", at="all", may_erase=True,
    ),
    Tool(
        "saved_box", "Back to the saved mask here", "The saved mask, inside the box", acts.saved_box,
        nothing="the mask is the saved one already", at="all", may_erase=True,
    ),
)  # fmt: skip


def tool(name: str) -> Tool:
    """Return a tool of the table."""
    return next(each for each in TOOLS if each.name == name)


def fitting(asked: Field, picture: bool, mm: bool) -> Field | None:
    """Return a field as it fits a picture, or unknown spacing; None if nothing is left to ask."""
    if not isinstance(asked, Choice):
        return asked
    barred = (asked.in_volumes if picture else frozenset()) | (frozenset() if mm else asked.needs_mm)
    choices = tuple(each for each in asked.choices if each[0] not in barred)
    return Choice(asked.key, asked.words, choices) if len(choices) > 1 else None


def found(typed: str, tools: tuple[Tool, ...] = TOOLS) -> tuple[Tool, ...]:
    """Return the tools whose words hold every word that was typed; those named so first, best from the beginning."""
    words = typed.lower().split()
    hits = [each for each in tools if all(word in f"{each.words} {each.does} {each.also}".lower() for word in words)]

    def rank(each: Tool) -> tuple[bool, bool]:
        name = each.words.lower()
        return not name.startswith(typed.strip().lower()), not all(word in name for word in words)

    return tuple(sorted(hits, key=rank))
