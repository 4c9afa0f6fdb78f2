"""What a bare network does not say about itself: the questions, a draft of the answers, and the card they give.

What the file tells is read without any engine; what it cannot tell is asked, never guessed.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.spec import Activation, Decision, ModelSpec, Preparation, Steps, Task
from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.io.onnx_header import check_onnx_file
from napari_medcnn.io.package_yaml import MAX_BYTES, load_yaml
from napari_medcnn.io.prescan import check_keras_file

Values = Literal["", "none", "0-255", "window", "zscore", "percentiles"]
#: How values are scaled for the network, in words; the keys stand in ``answers.yaml``.
VALUES = {
    "none": "not at all, values as in the file",
    "0-255": "0 to 255 becomes 0 to 1",
    "window": "CT window: low to high in HU becomes 0 to 1",
    "zscore": "each image: mean 0, standard deviation 1",
    "percentiles": "each image: cut at 1 % and 99 %, then 0 to 1",
}
BACKGROUND = "background"
_WINDOW = {2: 256, 3: 64}


@dataclass(frozen=True)
class Facts:
    """What the file tells: sizes are (y, x) or (z, y, x), None where free; `outputs` and `task` None if not plain."""

    file: str
    dimensions: int
    channels: int
    outputs: int | None
    activation: str | None
    task: Task | None
    sizes: tuple[int | None, ...]
    divisor: int

    @property
    def fixed(self) -> tuple[int, ...]:
        """The one size the network takes; () if any axis is free."""
        whole = tuple(n for n in self.sizes if n is not None)
        return whole if len(whole) == self.dimensions else ()

    @property
    def asks_exclusive(self) -> bool:
        """True if the file does not show whether classes exclude each other."""
        return self.activation not in ("softmax", "sigmoid") and self.outputs != 1


@dataclass(frozen=True)
class Answers:
    """What a person says about a network; each field is a key of ``answers.yaml``.

    Parameters
    ----------
    name
        Any short name; its letters, digits and dashes become the model's id.
    finds
        "segmentation" (a class for every voxel) or "classification" (one answer per case).
    classes
        One name for each output of the network, in its order; "background" is what is not marked.
    exclusive
        True: every voxel or case has one class. False: each class is judged alone. None: not said.
    values, window_hu
        Key of `VALUES`; (low, high) for "window".
    voxel_mm
        Voxel size (z, y, x) the network was trained at; None, whole or for an axis, is "as the scan".
    threshold
        Where classes are judged alone: from which probability on, above 0 and below 1.
    window
        Size (y, x) or (z, y, x) of the piece the network sees at once; classifiers that take any size have none.
    """

    name: str = ""
    finds: str = ""
    classes: tuple[str, ...] = ()
    exclusive: bool | None = None
    values: Values = ""
    window_hu: tuple[float, float] | None = None
    voxel_mm: tuple[float | None, float | None, float | None] | None = None
    threshold: float = 0.5
    window: tuple[int, ...] = ()
    licence: str = "unknown"
    trained_on: str = ""


@dataclass(frozen=True)
class Draft:
    """What the file tells, answers as far as it tells them, and the names of the answers that are open."""

    facts: Facts
    answers: Answers
    open: tuple[str, ...]


def draft_answers(path: Path | str, code: tuple[str, ...] = ()) -> Draft:
    """Look into a bare network and return the draft; `code` names trusted modules of its own layers.

    Raises
    ------
    ModelError, UnsafeModelError, IncompleteFileError
        Unsafe, damaged, or no network that takes one scan and gives one answer; the message names what.
    """
    path = Path(path)
    facts = _facts(path.name, look_into(path, code))
    one_class = facts.task == "segmentation" and facts.activation != "sigmoid" and (facts.outputs or 0) > 1
    count = facts.outputs or 0
    names = [f"Class {i}" for i in range(1, count + 1 - one_class)]
    window = facts.fixed
    if not window and facts.task != "classification":
        near = -(-_WINDOW[facts.dimensions] // facts.divisor) * facts.divisor
        window = tuple(n or near for n in facts.sizes)
    known = {"softmax": True, "sigmoid": False}
    exclusive = False if count == 1 else known.get(facts.activation or "")
    answers = Answers(
        path.stem, facts.task or "", (*([BACKGROUND] if one_class else []), *names), exclusive, window=window
    )
    return Draft(facts, answers, open_questions(facts, replace(answers, classes=())))


def look_into(path: Path, code: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a ``.keras`` or ``.onnx`` file says of itself, after refusing everything unsafe."""
    if path.suffix.lower() == ".onnx":
        return check_onnx_file(path)
    return check_keras_file(path, ("*",) if code else ())


def _facts(file: str, summary: dict[str, Any]) -> Facts:
    ends, shapes = summary["ends"], summary["input_shapes"]
    for what in ("inputs", "outputs"):
        if ends[what] not in (None, 1):
            raise ModelError(f"{file}: expected a network with one input and one output, it has {ends[what]} {what}")
    if not shapes or len(shapes[0]) not in (3, 4):
        raise ModelError(
            f"{file}: expected an input of (y, x, channel) or (z, y, x, channel), got "
            f"{tuple(shapes[0]) if shapes else 'none stated'}; save the network with such an Input first"
        )
    *sizes, channels = shapes[0]
    if channels is None or not 1 <= channels <= 64:
        raise ModelError(f"{file}: expected a fixed number of input channels from 1 to 64, got {channels}")
    if ends["activation"] not in (None, "linear", "softmax", "sigmoid"):
        raise ModelError(
            f"{file}: its last step is {str(ends['activation'])[:40]!r}, which gives no probabilities; expected "
            "softmax, sigmoid or none"
        )
    if ends["activation"] == "softmax" and ends["channels_out"] == 1:
        raise ModelError(f"{file}: it ends with softmax over a single output, which is always 1; it tells nothing")
    return Facts(
        file, len(sizes), channels, ends["channels_out"], ends["activation"], ends["task"], tuple(sizes),
        ends["divisor"],
    )  # fmt: skip


def open_questions(facts: Facts, answers: Answers) -> tuple[str, ...]:
    """Return the names of the answers without which no card can be written."""
    wants_window = answers.finds == "segmentation" and not answers.window
    missing = {
        "name": not answers.name.strip(),
        "finds": answers.finds not in ("segmentation", "classification"),
        "classes": not answers.classes,
        "exclusive": answers.exclusive is None and facts.asks_exclusive and len(answers.classes) != 1,
        "values": answers.values not in VALUES,
        "window_hu": answers.values == "window" and answers.window_hu is None,
        "window": wants_window,
    }
    return tuple(name for name, open_ in missing.items() if open_)


def spec_from(facts: Facts, answers: Answers) -> ModelSpec:
    """Return the card that the answers give.

    Raises
    ------
    InputError
        An answer is missing or does not fit the network; the message names it.
    """
    missing = open_questions(facts, answers)
    if missing:
        raise InputError(f"{facts.file}: please answer: {', '.join(missing)}")
    names = [name.strip() for name in answers.classes]
    if facts.outputs is not None and len(names) != facts.outputs:
        raise InputError(
            f"classes: expected {facts.outputs} names, one for each output of the network, got {len(names)}"
        )
    known = {"softmax": True, "sigmoid": False}.get(facts.activation or "")
    exclusive = known if known is not None else bool(answers.exclusive) and len(names) > 1
    if answers.exclusive is not None and known is not None and answers.exclusive != known and len(names) > 1:
        raise InputError(f"exclusive: the network ends with {facts.activation}, so expected {str(known).lower()}")
    activation = "none" if known is not None else "softmax" if exclusive else "sigmoid"
    task = cast(Task, answers.finds)
    labels, ids = _classes(names, exclusive and task == "segmentation")
    if not exclusive and not 0 < answers.threshold < 1:
        raise InputError(f"threshold: expected a number above 0 and below 1, got {answers.threshold:g}")
    window = _window(facts, answers)
    steps = _steps(answers)
    if task == "classification" and window:
        steps, window = (("fit_shape", {"shape": window}), *steps), ()
    return ModelSpec(
        name=model_id(answers.name),
        title=" ".join(answers.name.split()),
        task=task,
        preparation=Preparation(facts.dimensions, facts.channels, spacing_mm=_voxels(answers, facts), steps=steps),
        labels=labels,
        decision=Decision(ids, exclusive, () if exclusive else (answers.threshold,) * len(ids)),
        activation=cast(Activation, activation),
        description=f"Added from {facts.file}.",
        tile=window,
        divisor=facts.divisor,
        licence=answers.licence.strip() or "unknown",
        training_data=answers.trained_on.strip(),
        limits="Scans are taken as stored, without turning. Nobody has stated what the model is good for.",
    )


def model_id(name: str) -> str:
    """Return letters, digits and dashes of a name, accents left out: "Lungen-Läppchen 2" -> "lungen-lappchen-2"."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    made = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:80]
    if not made:
        raise InputError(f"name: expected some letters A to Z or digits, got {name[:60]!r}")
    return made


def _classes(names: list[str], with_background: bool) -> tuple[LabelSet, tuple[int, ...]]:
    """Return the named classes and the id of each output; "background" is id 0 where classes exclude each other."""
    if with_background:
        ids: list[int] = []
        for name in names:
            ids.append(0 if name.lower() == BACKGROUND and 0 not in ids else sum(i > 0 for i in ids) + 1)
    else:
        if BACKGROUND in (n.lower() for n in names) and len(names) > 1:
            raise InputError("classes: where each class is judged alone there is no background among them")
        ids = list(range(1, len(names) + 1))
    kept = [name for name, i in zip(names, ids, strict=True) if i]
    if not kept:
        raise InputError("classes: expected at least one class besides the background")
    return LabelSet.from_names(kept), tuple(ids)


def _window(facts: Facts, answers: Answers) -> tuple[int, ...]:
    window = answers.window
    if not window:
        return ()
    if len(window) != facts.dimensions or min(window) < 1 or max(window) > 4096:
        raise InputError(f"window: expected {facts.dimensions} sizes from 1 to 4096, got {_times(window)}")
    if any(n is not None and n != w for n, w in zip(facts.sizes, window, strict=True)):
        raise InputError(f"window: the network takes only {_times(facts.sizes)}, got {_times(window)}")
    if not facts.fixed and any(w % facts.divisor for w in window):
        raise InputError(f"window: expected multiples of {facts.divisor}, got {_times(window)}")
    return window


def _steps(answers: Answers) -> Steps:
    if answers.values == "0-255":
        return (("scale_linear", {"in_low": 0.0, "in_high": 255.0}),)
    if answers.values == "zscore":
        return (("zscore", {}),)
    if answers.values == "percentiles":
        return (("percentile_clip", {"low": 1.0, "high": 99.0}), ("scale_range", {}))
    if answers.values == "window" and answers.window_hu is not None:
        low, high = answers.window_hu
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"window_hu: expected low below high, got {low:g} and {high:g}")
        return (("clip", {"low": low, "high": high}), ("scale_linear", {"in_low": low, "in_high": high}))
    return ()


def _voxels(answers: Answers, facts: Facts) -> tuple[float | None, float | None, float | None] | None:
    sizes = answers.voxel_mm
    if sizes is None or all(n is None for n in sizes):
        return None
    if facts.dimensions == 2 and sizes[0] is not None:
        raise InputError("voxel_mm: a 2D network works slice by slice; leave the first (z) empty")
    if any(n is not None and not 0.0001 <= n <= 1000 for n in sizes):
        raise InputError(f"voxel_mm: expected millimetres from 0.0001 to 1000, got {sizes}")
    return sizes


def _times(sizes: tuple[int | None, ...]) -> str:
    return " x ".join("any" if n is None else str(n) for n in sizes)


def read_answers(path: Path | str, draft: Answers | None = None) -> Answers:
    """Read ``answers.yaml``: known keys only, each of its own type; what is absent or empty stays as in the `draft`.

    The names of classes are never taken from the draft, which only numbers them.

    Raises
    ------
    InputError, ModelError
        Not there, not YAML, an unknown key, or a value of another type.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = load_yaml(file.read(MAX_BYTES + 1), path.name)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    known = [f.name for f in fields(Answers)]
    unknown = [key for key in data if key not in known]
    if unknown:
        raise InputError(f"{path.name}: unknown key {', '.join(unknown)[:80]}; expected {', '.join(known)}")
    given = {key: _typed(path.name, key, value) for key, value in data.items() if value is not None}
    return replace(draft or Answers(), **{"classes": (), **given})


def _typed(file: str, key: str, value: Any) -> Any:
    """Return the value of one key, lists as tuples; nothing is converted from text."""
    number = type(value) in (int, float)
    numbers = isinstance(value, list) and all(type(v) in (int, float) for v in value)
    right, words = {
        "classes": (isinstance(value, list) and all(isinstance(v, str) for v in value), "a list of names"),
        "exclusive": (isinstance(value, bool), "true or false"),
        "values": (isinstance(value, str) and value in VALUES, "one of " + ", ".join(VALUES)),
        "window_hu": (numbers and len(value) == 2, "two numbers, [low, high]"),
        "voxel_mm": (
            isinstance(value, list) and len(value) == 3 and all(v is None or type(v) in (int, float) for v in value),
            "three numbers or null, [z, y, x]",
        ),
        "threshold": (number, "a number"),
        "window": (isinstance(value, list) and all(type(v) is int for v in value), "a list of whole numbers"),
    }.get(key, (isinstance(value, str), "text"))
    if not right:
        raise InputError(f"{file}: {key}: expected {words}, got {str(value)[:60]!r}")
    return tuple(value) if isinstance(value, list) else value
