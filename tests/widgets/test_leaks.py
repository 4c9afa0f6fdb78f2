"""Nothing is left behind: cases opened and closed, 2x2 on and off, the dock opened and closed in a living window."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QThreadPool

from census import census, grown
from napari_medcnn.core.events import Progress, Result
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.layerdata import scan_layers
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.demo_window import settle

pytestmark = [
    pytest.mark.gui,
    pytest.mark.own_window,
    pytest.mark.timeout(900),
]  # the census looks at every living object

CYCLES = 3
ROUNDS = 20
#: What napari 0.9.2 keeps of every dock (seen 2026-11-21): buttons of the bar over it, and the one worker that stood
#: for its work, since there is no public way to take a worker out of its list.
NAPARI_KEEPS = ("QtWidgets.QPushButton", "qthreading.FunctionWorker", "busy_note._Stands")


def left_behind(cycle: Any) -> dict[str, int]:
    """Return what there is more of after some cycles, of which at least one piece a cycle was left behind."""
    for _ in range(2):
        cycle()
    before = at_rest()
    for _ in range(CYCLES):
        cycle()
    return stays(before, CYCLES)


def at_rest() -> Counter[str]:
    """Count once nothing more goes away.

    Only an event loop deletes what was put aside to be deleted later, not the desk's own idling; what a dock takes
    along when it goes is put aside in its turn, and on a slow machine each turn outlasts any fixed rest.
    """
    settle(0.3)
    last = census()
    for _ in range(ROUNDS):
        settle(0.3)
        now = census()
        if now.total() >= last.total():
            break
        last = now
    return now


def stays(before: Counter[str], at_least: int) -> dict[str, int]:
    """Return what there is more of by `at_least` and does not go away, however long the event loop turns."""
    for _ in range(ROUNDS):
        settle(0.3)
        more = grown(before, census(), at_least)
        if set(more) <= {name for name in more if name.endswith(NAPARI_KEEPS)}:
            break
    return more


def scan_and_mask() -> tuple[Volume, LabelMap]:
    grid = Geometry((12, 40, 44), (3.0, 1.0, 1.0))
    array = np.random.default_rng(0).integers(0, 900, grid.shape, np.int16)
    return Volume(array, grid, name="scan"), LabelMap((array > 700).astype(np.uint8), grid, LabelSet.for_ids([1]))


def put_in(desk: Any) -> None:
    scan, mask = scan_and_mask()
    desk.dock.session.show_opened(jobs.Opened(scan, scan_layers(scan)))
    desk.dock.session.show_mask(jobs.prepare_mask(mask, scan), "saved")
    desk.idle(0.05)


def test_cases_leave_nothing_behind(desk):
    def cycle() -> None:
        put_in(desk)
        desk.dock.views.show_four()
        desk.until(lambda: not desk.dock.tasks.names())
        desk.dock.reading.volume_view.make_surfaces()
        desk.until(lambda: not desk.dock.tasks.names())
        desk.dock.views.show_one()
        desk.dock.session.close_scan()
        desk.idle(0.1)

    assert left_behind(cycle) == {}


def test_2x2_on_and_off_leaves_nothing_behind(desk):
    put_in(desk)

    def cycle() -> None:
        desk.dock.views.show_four()
        desk.until(lambda: not desk.dock.tasks.names())
        desk.idle(0.05)
        desk.dock.views.show_one()
        desk.idle(0.05)

    assert left_behind(cycle) == {}


def test_a_dock_that_is_closed_leaves_the_window_as_it_was(make_napari_viewer_proxy, orders, desk):
    """A second window, in which docks come and go; the first only lends its hands."""
    import fake_engine
    from napari_medcnn.widgets import dock as dock_module

    viewer = make_napari_viewer_proxy(show=True)
    scan, _mask = scan_and_mask()

    def cycle() -> None:
        dock = dock_module.MedcnnDock(viewer, fake_engine.launch(orders))
        viewer.window.add_dock_widget(dock, name="MedCNN", area="right")
        desk.until(lambda: dock.link.engine.state == "ready" and not dock.tasks.names(), 60)
        desk.idle(0.4)
        dock.session.show_opened(jobs.Opened(scan, scan_layers(scan)))
        dock.views.show_four()
        desk.until(lambda: not dock.tasks.names())
        dock.session.close_scan()
        dock.shut_down()
        dock.link.engine.close()
        QThreadPool.globalInstance().waitForDone(5000)  # work that was dropped is inside a step a moment longer
        viewer.window.remove_dock_widget(dock)
        dock.deleteLater()
        desk.idle(0.3)

    more = left_behind(cycle)
    assert {name: count for name, count in more.items() if not name.endswith(NAPARI_KEEPS)} == {}


def test_work_aside_holds_nothing_while_its_thread_goes_on(desk):
    """The 3D preview when a window is closed: its thread may be inside a long step."""

    class Listener:
        def hear(self, _what: object) -> None:
            """Hear."""

    inside, go_on = threading.Event(), threading.Event()

    def work(cancel: Any) -> Any:
        yield Progress(None, "begun")
        inside.set()
        assert go_on.wait(20)
        yield Result(1)

    listener = Listener()
    gone = weakref.ref(listener)
    desk.dock.tasks.start_aside("aside", work, listener.hear, listener.hear)
    assert inside.wait(20)
    assert asked_about(desk) == []
    desk.dock.tasks.drop("aside")
    del listener
    gc.collect()
    assert gone() is None
    go_on.set()


def manager_of(desk: Any) -> Any:
    """Return what napari knows of work that goes on."""
    return getattr(desk.viewer, "__wrapped__", desk.viewer).window._task_status_manager


def asked_about(desk: Any) -> list[str]:
    """Return what napari would ask about if the window were closed now."""
    return manager_of(desk).get_status()


def test_napari_asks_about_work_while_it_goes_on_and_keeps_none_of_it(desk):
    tasks, go_on = desk.dock.tasks, threading.Event()

    def work(cancel: Any) -> Any:
        yield Progress(None, "begun")
        assert go_on.wait(20)
        yield Result(1)

    desk.until(lambda: not tasks.names())
    assert asked_about(desk) == []
    for name in ("Saving", "Training"):
        tasks.start(name, work, lambda _value: None, lambda _error: None)
    (asked,) = asked_about(desk)
    assert "Saving, Training" in asked
    tasks.drop("Training")
    assert "Training" not in asked_about(desk)[0]
    go_on.set()
    desk.until(lambda: not tasks.names())
    assert asked_about(desk) == []

    before, kept = at_rest(), len(manager_of(desk)._tasks)
    for _ in range(5):
        tasks.start("Saving", work, lambda _value: None, lambda _error: None)
        desk.until(lambda: not tasks.names())
    assert stays(before, 3) == {}
    assert len(manager_of(desk)._tasks) == kept


def test_tasks_leave_qt_threads_of_its_own_pool(desk):
    """Qt 5 converts a picture of a window there, with Python's lock in hand, as many threads as it has parts."""
    pool = QThreadPool.globalInstance()
    go_on = threading.Event()

    def work(cancel: Any) -> Any:
        yield Progress(None, "begun")
        assert go_on.wait(20)
        yield Result(1)

    names = [f"aside {number}" for number in range(4)]
    for name in names:
        desk.dock.tasks.start_aside(name, work, print, print)
    desk.until(lambda: pool.activeThreadCount() >= len(names))
    assert pool.maxThreadCount() - len(names) >= 16
    go_on.set()
    desk.until(lambda: not desk.dock.tasks.names())
