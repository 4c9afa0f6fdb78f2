"""A thousand mixed operations in 2x2 views: strokes, tools, classes, models; Ctrl+Z takes back one at a time."""

from __future__ import annotations

import shutil
import time
import zlib

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medcnn.annotation.history import CAP_BYTES
from napari_medcnn.annotation.recovery import find_recoverable
from napari_medcnn.core import paths
from napari_medcnn.core.labels import OKABE_ITO
from napari_medcnn.widgets.tools.registry import tool

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier
#: Tools that work anywhere, with what their forms say.
TOOLS: tuple[tuple[str, dict], ...] = (
    ("keep_largest", {}), ("fill_holes", {"where": "slice"}), ("smooth", {"radius": 1.0, "where": "slice"}),
    ("margin", {"length": 1.7, "way": "grow", "where": "slice"}), ("split_pieces", {}), ("copy_next", {}),
    ("threshold", {"low": 40.0, "high": 300.0, "where": "slice"}), ("remove_small", {"size": 4, "where": "slice"}),
)  # fmt: skip


class Mixed:
    """Does something at random, and keeps a whole copy after every step: the simplest history there is."""

    def __init__(self, desk, runs: tuple[int, ...]) -> None:
        self.runs, self.panes = runs, desk.four()[:3]  # when a model runs; where strokes are drawn
        self.desk, self.random = desk, np.random.default_rng(11)
        self.dock, self.session, self.strokes = desk.dock, desk.dock.session, desk.dock.strokes
        self.last = self.now()
        self._copies = [self._packed()]

    def now(self):
        return self.dock.layers.mask.data.copy(), self.session.labels

    def _packed(self):
        array, labels = self.last
        return zlib.compress(array.tobytes(), 1), labels

    def state(self, number: int):
        """Return voxels and classes after so many steps."""
        packed, labels = self._copies[number]
        array = self.last[0]
        return np.frombuffer(zlib.decompress(packed), array.dtype).reshape(array.shape), labels

    @property
    def steps(self) -> int:
        return len(self._copies) - 1

    def do(self, number: int) -> str:
        """Do one thing, let it end, and check that it was one step or none."""
        steps = len(self.strokes.history.names)
        what = (
            "model"
            if number in self.runs
            else str(self.random.choice(["stroke", "tool", "class"], p=[0.35, 0.4, 0.25]))
        )
        getattr(self, what)()
        self.strokes.commit()
        state, (array, labels) = self.now(), self.last
        changed = labels != state[1] or not np.array_equal(array, state[0])
        assert len(self.strokes.history.names) == steps + changed, (what, self.strokes.history.names[-2:])
        assert self.strokes.history.nbytes <= CAP_BYTES
        if changed:
            self.last = state
            self._copies.append(self._packed())
        return what if changed else "nothing"

    def stroke(self) -> None:
        self.session.choose_class(int(self.random.choice((0, *self.session.labels.ids))))
        pane = self.panes[int(self.random.integers(3))]
        middle = np.array(self.desk.centre(pane))
        start, end = (tuple(middle * (1 + self.random.uniform(-0.6, 0.6, 2))) for _ in range(2))
        self.desk.drag(start, end, steps=2, pane=pane)
        if self.random.random() < 0.3:
            QTest.keyClick(pane.native, Qt.Key.Key_Down)

    def tool(self) -> None:
        name, options = TOOLS[int(self.random.integers(len(TOOLS)))]
        there = [i for i in self.session.labels.ids if i in self.strokes.counts] or self.session.labels.ids
        self.session.choose_class(int(self.random.choice(there)))
        self.dock.toolbox.use(tool(name), options)
        self.desk.until(lambda: not self.dock.tasks.names())

    def class_(self) -> None:
        ids = self.session.labels.ids
        one, other = (int(i) for i in self.random.choice(ids, 2))
        kind, number = int(self.random.integers(5)), int(self.random.integers(10**6))
        if kind == 0 and len(ids) < 8:
            self.session.add_class(f"part {number}")
        elif kind == 1:
            self.session.recolour_class(one, OKABE_ITO[number % 7])
        elif kind == 2 and len(ids) > 3:
            self.dock.correcting.classes.delete(one)
        elif kind == 3 and len(ids) > 2:
            self.session.merge_class(one, other)
        else:
            self.session.rename_class(one, f"name {number}")
        self.desk.until(lambda: not self.dock.tasks.names())

    def model(self) -> None:
        self.desk.run("tiny-mask")
        self.dock.tabs.setCurrentIndex(2)
        QApplication.processEvents()


setattr(Mixed, "class", Mixed.class_)


@pytest.mark.parametrize(
    ("operations", "runs"),
    [
        (60, (15, 45)),
        pytest.param(1000, tuple(range(50, 1000, 100)), marks=[pytest.mark.proof, pytest.mark.timeout(1800)]),
    ],
)
def test_mixed_operations_are_undone_one_by_one(desk, operations, runs) -> None:
    desk.open("phantom")
    desk.empty_mask()
    mixed, dock, began = Mixed(desk, runs), desk.dock, time.monotonic()
    done = [mixed.do(number) for number in range(operations)]
    counted = {what: done.count(what) for what in ("stroke", "tool", "class", "model")}
    least = min(counted[what] for what in ("stroke", "tool", "class"))
    assert counted["model"] == len(runs) and least >= operations // 10, counted
    session, mask, history = dock.session, dock.layers.mask, dock.strokes.history
    assert sum(name == "Model: tiny-mask" for name in history.names) == len(runs) and history.dropped == 0
    session._journal.flush()
    copy = paths.recovery() / "99999997-killed.strokes"
    shutil.copy(session._journal.path, copy)  # what a kill leaves
    back = next(r for r in find_recoverable(paths.recovery()) if r.path == copy).restore()
    copy.unlink()
    np.testing.assert_array_equal(back.array, mask.data)
    assert set(session.labels) <= set(back.labels)
    steps = mixed.steps
    assert len(history.names) == steps
    print(f"{operations} operations in {time.monotonic() - began:.0f} s, {steps} steps: {counted}")
    print(f"{history.nbytes} of {CAP_BYTES} bytes")
    for back_to in range(steps - 1, -1, -1):
        QTest.keyClick(mixed.panes[back_to % 3].native, Qt.Key.Key_Z, CTRL)  # from any view
        QApplication.processEvents()
        array, labels = mixed.state(back_to)
        np.testing.assert_array_equal(mask.data, array)
        assert session.labels == labels and len(history.names) == back_to
    counts = np.bincount(mask.data.ravel())
    assert dock.strokes.counts == {i: int(n) for i, n in enumerate(counts) if n and i}
    mask.undo()  # napari's own history holds nothing
    np.testing.assert_array_equal(mask.data, mixed.state(0)[0])
    for _ in range(steps):
        dock.strokes.redo()
    np.testing.assert_array_equal(mask.data, mixed.last[0])
    assert session.labels == mixed.last[1] and not history.can_redo
    assert dock.strokes.counts == {i: int(n) for i, n in enumerate(np.bincount(mask.data.ravel())) if n and i}
    desk.open("fundus")  # another case has a history of its own
    assert not history.can_undo and not history.can_redo and not dock.strokes.active
