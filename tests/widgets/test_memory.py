"""Memory is given back: nothing of a case stays in widgets, on the graphics card, or in the process."""

from __future__ import annotations

import gc
import itertools
import statistics
import weakref
from collections import Counter
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication

from census import in_use_mb
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.layerdata import scan_layers
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.demo_window import settle, wait_until

pytestmark = [pytest.mark.gui, pytest.mark.own_window, pytest.mark.timeout(600)]

CYCLES = 4


def canvases(desk: Any) -> dict[str, Any]:
    return {pane.name: pane.qt.canvas._scene_canvas.context for pane in desk.dock.views.panes}


def kept(desk: Any) -> Counter[str]:
    """Return how much there is of widgets, of objects on the graphics card, and of commands that wait for a canvas."""
    gc.collect()
    found = Counter({"widgets": len(QApplication.allWidgets())})
    for name, context in canvases(desk).items():
        context.finish()
        alive = [thing for thing in context.shared.parser._objects.values() if not isinstance(thing, str)]
        found.update(f"{name}: {type(thing).__name__}" for thing in alive)
        found[f"{name}: waiting commands"] = len(context.glir._shared._commands)
    return found


def case() -> tuple[Volume, LabelMap]:
    """Return a scan of 2.6 MB with a mask: one copy that stays shows."""
    grid = Geometry((20, 256, 256), (3.0, 1.0, 1.0))
    array = np.random.default_rng(0).integers(0, 900, grid.shape, np.int16)
    return Volume(array, grid, name="scan"), LabelMap((array > 700).astype(np.uint8), grid, LabelSet.for_ids([1]))


def cycle(desk: Any, four: bool) -> None:
    scan, mask = case()
    desk.dock.session.show_opened(jobs.Opened(scan, scan_layers(scan)))
    desk.dock.session.show_mask(jobs.prepare_mask(mask, scan), "saved")
    settle(0.05)
    if four:
        desk.dock.views.show_four()
        settle(0.05)
        wait_until(lambda: not desk.dock.tasks.names(), 30)
        settle(0.1)
        desk.dock.views.show_one()
    desk.dock.session.close_scan()
    settle(0.2)


def test_cases_leave_nothing(desk):
    """In 2x2, then in one view while the further canvases are hidden: hidden ones must not gather anything either.

    A case is 4 MB here, its controls in napari 2.8 MB: one that stays is seen in the bytes in use. These swing by 3 MB
    from one moment to the next, so all moments are looked at, not two: the growth is the median over their pairs
    (P. K. Sen, J. Am. Stat. Assoc. 63 (1968) 1379), which one moment cannot move.
    """
    desk.qt_window.resize(900, 600)
    for four in (True, False):
        for _ in range(2):
            cycle(desk, four)
        before, used = kept(desk), [in_use_mb()]
        assert before["widgets"] > 100 and before["main: GlirProgram"] + before["second: GlirProgram"] > 0
        for _ in range(CYCLES):
            cycle(desk, four)
            after = kept(desk)
            used.append(in_use_mb())
        assert {name: after[name] - before[name] for name in after if after[name] - before[name] >= CYCLES} == {}
        if None not in used:
            assert growth(used) < 1.0, used


def growth(values: list[float]) -> float:
    """Return by how much a series grows from one value to the next."""
    pairs = itertools.combinations(enumerate(values), 2)
    return statistics.median((later - earlier) / (j - i) for (i, earlier), (j, later) in pairs)


def test_growth_is_what_a_line_has_and_one_value_cannot_move_it():
    assert growth([260.0, 263.0, 266.0, 269.0, 272.0]) == 3.0
    assert growth([260.0, 260.0, 260.0, 260.0, 263.0]) == 0.0


def test_what_is_put_aside_is_deleted_while_the_window_is_waited_for(qtbot):
    thing = QObject()
    gone: list[bool] = []
    thing.destroyed.connect(lambda: gone.append(True))
    thing.deleteLater()
    alive = weakref.ref(thing)
    del thing
    settle(0.05)
    assert gone == [True]
    assert alive() is None
