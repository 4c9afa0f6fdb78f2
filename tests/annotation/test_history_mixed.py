"""One history for everything: tools, classes and models in any order, undone one by one, and kept by the journal."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.annotation import class_steps
from napari_medcnn.annotation.class_steps import ClassChange, ClassStep
from napari_medcnn.annotation.history import CAP_BYTES, History
from napari_medcnn.annotation.journal import Journal, JournalInfo
from napari_medcnn.annotation.recovery import find_recoverable
from napari_medcnn.annotation.tools import between, brush, combine, holes, islands, lasso, margin, model, smooth
from napari_medcnn.annotation.tools.brush import Brush
from napari_medcnn.annotation.tools.flood import fill
from napari_medcnn.annotation.tools.mask import Mask, Plane
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import OKABE_ITO, LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError

SHAPE, MM = (6, 16, 14), (3.0, 0.7, 1.1)
SCAN = np.random.default_rng(5).integers(-50, 50, SHAPE).astype(np.int16)
Random = np.random.Generator
EVERYTHING = tuple(slice(0, n) for n in SHAPE)


def lumps(random: Random, classes: int) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    for _ in range(6):
        low = [int(random.integers(0, n)) for n in SHAPE]
        array[tuple(slice(i, i + int(random.integers(1, 7))) for i in low)] = random.integers(0, classes + 1)
    return array


def place(random: Random) -> tuple[int, int, int]:
    z, y, x = (int(random.integers(0, n)) for n in SHAPE)
    return (z, y, x)


#: Mask, class, another class, random numbers: each gives an edit.
TOOLS: list[Callable] = [
    lambda m, a, b, r: brush.paint(m, Brush(float(r.uniform(0.5, 4))), [place(r), place(r)], a),
    lambda m, a, b, r: brush.paint(m, Brush(2.0), [place(r)], 0),
    lambda m, a, b, r: lasso.fill_polygon(m, Plane(0, int(r.integers(0, 6))), [place(r)[1:] for _ in range(4)], a),
    lambda m, a, b, r: fill(m, place(r), a, Plane(0, 2)),
    lambda m, a, b, r: between.fill_between(m, 0, [a]),
    lambda m, a, b, r: islands.keep_largest(m, a),
    lambda m, a, b, r: islands.remove_piece(m, place(r)),
    lambda m, a, b, r: islands.give_piece(m, place(r), b),
    lambda m, a, b, r: holes.fill_holes(m, a),
    lambda m, a, b, r: smooth.smooth(m, a, "median", 1.5),
    lambda m, a, b, r: margin.margin(m, a, float(r.uniform(-2, 2))),
    lambda m, a, b, r: combine.threshold(m, SCAN, brush.Range(0, 10), a),
    lambda m, a, b, r: model.accept_model(m, (slice(0, 4),) * 3, lumps(r, 2), None),
]


@dataclass
class Case:
    """A mask with classes, its history, and the simplest history there is beside it: whole copies."""

    array: np.ndarray = field(default_factory=lambda: np.zeros(SHAPE, np.uint8))
    labels: LabelSet = field(default_factory=lambda: LabelSet.from_names(["Class 1", "Class 2"]))
    history: History = field(default_factory=History)
    journal: Journal | None = None

    def __post_init__(self) -> None:
        self.snapshot = self.array.copy()
        self.past = [(self.array.copy(), self.labels)]
        self.future: list = []

    def make(self, name: str, edit, labels: LabelSet | None = None) -> None:
        if edit is not None:
            edit.apply(self.array)
        labels = self.labels if labels is None else labels
        change = ClassChange(self.labels, labels)
        step = self.history.record_change(name, self.array, self.snapshot, EVERYTHING, None, change)
        self.labels = labels
        if step is not None:
            self.past.append((self.array.copy(), self.labels))
            self.future.clear()
            self._keep(step)

    def undo(self) -> None:
        step = self.history.undo(self.array)
        if step is not None:
            self.labels = self.labels if step.classes is None else step.classes.before
            self.future.append(self.past.pop())
            self.snapshot[step.box] = self.array[step.box]
            self._keep(step.reversed())

    def redo(self) -> None:
        step = self.history.redo(self.array)
        if step is not None:
            self.labels = self.labels if step.classes is None else step.classes.after
            self.past.append(self.future.pop())
            self.snapshot[step.box] = self.array[step.box]
            self._keep(step)

    def _keep(self, step) -> None:
        if self.journal is not None:
            self.journal.append(step)

    def check(self) -> None:
        array, labels = self.past[-1]
        assert np.array_equal(self.array, array) and np.array_equal(self.snapshot, array)
        assert self.labels == labels
        assert len(self.history.names) == len(self.past) - 1 and self.history.nbytes <= CAP_BYTES


def class_step(case: Case, random: Random) -> ClassStep:
    ids, mask = case.labels.ids, Mask(case.array, MM)
    one, other = (int(random.choice(ids)) for _ in range(2))
    what = int(random.integers(0, 5))
    if what == 0 and len(ids) < 12:
        return class_steps.add(case.labels, f"part {random.integers(0, 10**9)}")
    if what == 1:
        return class_steps.recolour(case.labels, one, OKABE_ITO[int(random.integers(0, 7))])
    if what == 2 and len(ids) > 2:
        return class_steps.delete(case.labels, mask, one)
    if what == 3 and one != other:
        return class_steps.merge(case.labels, mask, one, other)
    return class_steps.rename(case.labels, one, f"name {random.integers(0, 10**9)}")


def do_something(case: Case, random: Random) -> str:
    what = random.random()
    if what < 0.05:
        case.undo()
        return "undo"
    if what < 0.08:
        case.redo()
        return "redo"
    if what < 0.35:
        made = class_step(case, random)
        case.make(made.name, made.edit, made.labels)
        return "classes"
    if what < 0.42:  # a model draws everything anew, with classes of its own
        drawn = model.accept_model(Mask(case.array, MM), EVERYTHING, lumps(random, 3), None)
        case.make("Model: tiny", drawn, LabelSet.from_names([f"{random.integers(0, 99)} {n}" for n in "abc"]))
        return "model"
    chosen = TOOLS[int(random.integers(0, len(TOOLS)))]
    one, other = (int(random.choice(case.labels.ids)) for _ in range(2))
    try:
        edit = chosen(Mask(case.array, MM), one, other, random)
    except InputError:  # no piece there, or the same class twice
        return "refused"
    case.make("tool", edit)
    return "tool"


def test_a_thousand_mixed_operations_are_undone_one_by_one(tmp_path: Path) -> None:
    case, random = Case(), np.random.default_rng(7)
    grid = Geometry(SHAPE, MM)
    case.journal = Journal.create(tmp_path, LabelMap(case.array.copy(), grid, case.labels, "m"), JournalInfo("case"))
    done = []
    for _ in range(1000):
        done.append(do_something(case, random))
        case.check()
    assert {word: done.count(word) > 20 for word in ("undo", "redo", "classes", "model", "tool")} == dict.fromkeys(
        ("undo", "redo", "classes", "model", "tool"), True
    )
    case.journal.flush()
    shutil.copy(case.journal.path, tmp_path / "99999999-killed.strokes")  # what a kill leaves
    found = next(r for r in find_recoverable(tmp_path) if "killed" in r.path.name)
    back = found.restore()
    np.testing.assert_array_equal(back.array, case.array)
    assert set(case.labels) <= set(back.labels)  # ids that never had a class get a name of their own
    assert {i: back.labels.name_of(i) for i in case.labels.ids} == dict(
        zip(case.labels.ids, case.labels.names, strict=True)
    )
    case.journal.close(saved=True)
    case.journal = None
    steps = len(case.past) - 1
    assert steps > 450
    for _ in range(steps):
        case.undo()
        case.check()
    assert not case.array.any() and case.labels.names == ("Class 1", "Class 2") and not case.history.can_undo
    for _ in range(steps):
        case.redo()
        case.check()


def test_steps_of_classes_count_towards_the_limit() -> None:
    history, array = History(cap_bytes=20_000), np.zeros(SHAPE, np.uint8)
    labels = LabelSet.from_names(["a", "b"])
    for k in range(60):
        made = class_steps.rename(labels, 1, f"name {k}")
        step = history.record_change(made.name, array, array.copy(), EVERYTHING, None, ClassChange(labels, made.labels))
        assert step is not None and step.changed == 0 and step.view == ()
        labels = made.labels
        assert history.nbytes <= 20_000
    assert 1 < len(history.names) < 60 and history.dropped == 60 - len(history.names)
    assert history.names[-1] == "Class renamed: name 58 to name 59"
    assert history.record("same", EVERYTHING, array, array, None, ClassChange(labels, labels)) is None


def test_what_each_change_of_classes_does_and_refuses() -> None:
    labels = LabelSet.from_names(["lesion", "liver", "vessel"])
    array = np.array([[[0, 1, 2], [3, 3, 1]]], np.uint8)
    mask = Mask(array, MM)
    assert class_steps.rename(labels, 1, "tumour").name == "Class renamed: lesion to tumour"
    assert class_steps.recolour(labels, 2, (1, 2, 3)).labels.by_id(2).colour == (1, 2, 3)
    added = class_steps.add(labels.without(2), "bile")
    assert added.labels.by_id(2).name == "bile" and added.edit is None
    gone = class_steps.delete(labels, mask, 3)
    merged = class_steps.merge(labels, mask, 1, 2)
    for made, wanted, names in (
        (gone, [[[0, 1, 2], [0, 0, 1]]], ("lesion", "liver")),
        (merged, [[[0, 2, 2], [3, 3, 2]]], ("liver", "vessel")),
    ):
        drawn = array.copy()
        made.edit.apply(drawn)
        assert drawn.tolist() == wanted and made.labels.names == names
    assert class_steps.delete(labels, Mask(np.zeros((1, 2, 2), np.uint8)), 3).edit.changed == 0
    locked = replace(mask, locked={2})
    for refused, words in (
        (lambda: class_steps.delete(labels, locked, 2), "liver is locked"),
        (lambda: class_steps.merge(labels, locked, 1, 2), "liver is locked"),
        (lambda: class_steps.merge(labels, locked, 2, 1), "liver is locked"),
        (lambda: class_steps.merge(labels, mask, 1, 1), "into itself"),
        (lambda: class_steps.delete(LabelSet.from_names(["a"]), mask, 1), "only class"),
        (lambda: class_steps.rename(labels, 1, "liver"), "every name once"),
        (lambda: class_steps.add(labels, "x", 3), "at most 3"),
    ):
        with pytest.raises(InputError, match=words):
            refused()
