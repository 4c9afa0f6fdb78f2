"""The window against bare napari with the same layers: slices, crosshair, brightness and opening.

python benchmarks/viewer.py [--shape 600 512 512] [--rounds 7] [--only slice,opening,...]

Both are real windows of one process and one size; ours with the dock, the overlay over its canvases and the engine of
the tests. A time ends when every canvas concerned has drawn and been shown. Ways take turns in every round; a ratio is
the median of the ratios of the rounds, with the smallest and largest beside it.

What is timed: "slice" is a turn of the wheel against `dims.set_current_step`, scan and mask shown. "crosshair" is a new
place on all three axes in 2x2 until its three planes are drawn, against one bare slice change; the 3D view draws its
crosshair in the same time, and is not waited for. "window" is a step of a right-drag, with its mouse move, against
setting `contrast_limits`. "opening" is from arrays in memory to the picture against `add_image` and `add_labels` of the
same arrays. Its first row is what the window waits for: threads have read the scan and prepared the mask before. The
second is all of it, one after the other, until the mask can be painted: range of values, display window, copy of the
mask, voxels per class, journal. Reading files is apart (`reading.py`).
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

_PRIVATE = Path(tempfile.mkdtemp(prefix="medcnn-bench-"))
os.environ["MEDCNN_HOME"] = str(_PRIVATE / "home")
os.environ["NAPARI_CONFIG"] = str(_PRIVATE / "napari.yaml")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import napari  # noqa: E402
from napari.settings import get_settings  # noqa: E402
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt  # noqa: E402
from qtpy.QtGui import QMouseEvent, QWheelEvent  # noqa: E402
from qtpy.QtWidgets import QApplication, QWidget  # noqa: E402

import fake_engine  # noqa: E402
from napari_medcnn.core.geometry import Geometry  # noqa: E402
from napari_medcnn.core.labels import LabelSet  # noqa: E402
from napari_medcnn.core.volume import LabelMap, Volume  # noqa: E402
from napari_medcnn.io.layerdata import scan_layers  # noqa: E402
from napari_medcnn.widgets import dock as dock_module  # noqa: E402
from napari_medcnn.widgets import jobs  # noqa: E402
from napari_medcnn.widgets.demo_window import settle, wait_until  # noqa: E402
from napari_medcnn.widgets.engine_link import Preferences  # noqa: E402
from napari_medcnn.widgets.launch import add_dock  # noqa: E402

#: Steps of a round; the time of a step is that of all, divided.
STEPS = 12
#: What is asked: at most this ratio.
ASKED = {"slice": 1.3, "crosshair": 4.5, "window": 1.3, "opening": 1.2}
NONE, RIGHT = Qt.MouseButton.NoButton, Qt.MouseButton.RightButton
NO_KEYS = Qt.KeyboardModifier.NoModifier


#: On the clock, and of the processor (all threads): the second is right on a busy machine, too.
Seconds = np.ndarray


class Drawn:
    """Counts what a canvas draws and shows."""

    def __init__(self, qt_viewer) -> None:
        self.native = qt_viewer.canvas.native
        self.draws = self.swaps = 0
        qt_viewer.canvas._scene_canvas.events.draw.connect(self._drawn)
        self.native.frameSwapped.connect(self._swapped)

    def _drawn(self, _event) -> None:
        self.draws, self.swaps = self.draws + 1, 0

    def _swapped(self) -> None:
        self.swaps += 1


def until_drawn(canvases: list[Drawn], act: Callable[[], object]) -> None:
    """Do something and wait until every canvas drew and was shown after it."""
    before = [canvas.draws for canvas in canvases]
    act()
    end = time.perf_counter() + 30
    while any(c.draws == b or not c.swaps for c, b in zip(canvases, before, strict=True)):
        QApplication.processEvents()
        if time.perf_counter() > end:
            raise SystemExit("a canvas did not draw within 30 s")


def timed(canvases: list[Drawn], acts: list[Callable[[], object]]) -> Seconds:
    """Return seconds of one act, drawn, on the clock and of the processor; what acts leave to be done counts, too."""
    canvases[0].native.window().raise_()  # a window behind another is shown for less
    settle(0.1)
    start = np.array((time.perf_counter(), time.process_time()))
    for act in acts:
        until_drawn(canvases, act)
    QApplication.processEvents()
    return (np.array((time.perf_counter(), time.process_time())) - start) / len(acts)


def case(shape: tuple[int, int, int]) -> tuple[Volume, LabelMap]:
    """Return a noisy CT and a mask of eight classes in display order already, so that nobody copies to reorder."""
    rng = np.random.default_rng(0)
    plane = rng.normal(0, 40, (8, *shape[1:]))
    y, x = np.ogrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    body = x * x / 0.8 + y * y / 0.5 < 1
    array = np.empty(shape, np.int16)
    mask = np.zeros(shape, np.uint8)
    for k in range(shape[0]):
        array[k] = np.where(body, 40 + plane[k % 8], -1000)
        for number in range(8):
            angle = number * np.pi / 4 + k / shape[0]
            near = (x - 0.45 * np.cos(angle)) ** 2 + (y - 0.35 * np.sin(angle)) ** 2 < 0.015
            mask[k][near] = number + 1
    turned = np.diag([1.0, 1.0, -1.0])  # slices run to Inferior
    grid = Geometry(shape, (1.0, 0.8, 0.8), direction=turned)
    labels = LabelSet.for_ids(list(range(1, 9)))
    return Volume(array, grid, name="CT", modality="CT", value_unit="HU"), LabelMap(mask, grid, labels, name="Mask")


class Desk:
    """The two windows."""

    def __init__(self) -> None:
        # napari's note that PyQt5 is deprecated would lie over the bare canvas, and slow it down, for some seconds
        get_settings().application.gui_notification_level = "none"
        orders = _PRIVATE / "orders.json"
        dock_module.read_preferences = lambda: Preferences(model_folder=str(_PRIVATE / "models"))
        self.bare = napari.Viewer(title="bare")
        self.viewer = napari.Viewer(title="ours")
        self.dock = add_dock(self.viewer, fake_engine.launch(orders))
        for viewer in (self.bare, self.viewer):
            viewer.window._qt_window.resize(1366, 768)
        wait_until(lambda: self.dock.link.engine.state == "ready" and not self.dock.tasks.names())
        settle(1.0)
        # the same window and the same canvas on both sides: napari's docks go, an empty one is as wide as ours
        self.bare.window._qt_viewer.dockLayerList.hide()
        self.bare.window._qt_viewer.dockLayerControls.hide()
        self.native = self.viewer.window._qt_viewer.canvas.native
        blank = QWidget()
        blank.setFixedWidth(self.dock.width())
        self.bare.window.add_dock_widget(blank, name="empty", area="right")
        settle(0.5)
        self.bare_drawn = Drawn(self.bare.window._qt_viewer)
        self.drawn = {"main": Drawn(self.viewer.window._qt_viewer)}

    def open_ours(self, scan: Volume, mask: LabelMap) -> None:
        self.show_ours(*self.prepare(scan, mask))

    @staticmethod
    def prepare(scan: Volume, mask: LabelMap) -> tuple[jobs.Opened, jobs.MaskWork]:
        """Do what threads do in the window."""
        return jobs.Opened(scan, scan_layers(scan)), jobs.prepare_mask(mask, scan)

    def show_ours(self, opened: jobs.Opened, mask: jobs.MaskWork) -> None:
        self.dock.session.show_opened(opened)
        self.dock.session.show_mask(mask, "saved")

    def open_bare(self, scan: Volume, mask: LabelMap) -> None:
        place = {"scale": scan.geometry.spacing_mm, "units": "mm"}
        self.bare.add_image(scan.array, **place)
        self.bare.add_labels(mask.array, **place)

    def close_ours(self) -> None:
        self.dock.session.close_scan()

    def wheel(self, turns: int) -> None:
        at = QPointF(self.native.width() / 2, self.native.height() / 2)
        QApplication.sendEvent(
            self.native,
            QWheelEvent(at, QPointF(self.native.mapToGlobal(at.toPoint())), QPoint(0, 0), QPoint(0, 120 * turns), NONE,
                        NO_KEYS, Qt.ScrollPhase.NoScrollPhase, False),
        )  # fmt: skip

    def mouse(self, kind, at: tuple[float, float], button, buttons, keys=NO_KEYS) -> None:
        point = QPointF(*at)
        where = QPointF(self.native.mapToGlobal(point.toPoint()))
        QApplication.sendEvent(self.native, QMouseEvent(kind, point, where, button, buttons, keys))

    def close(self) -> None:
        self.dock.shut_down()
        self.dock.link.engine.close()
        self.viewer.close()
        self.bare.close()


def bare_slices(desk: Desk, number: int) -> Seconds:
    dims, half = desk.bare.dims, int(desk.bare.dims.nsteps[0]) // 2
    first = half + number * STEPS % (half - STEPS)
    acts = [lambda k=k: dims.set_current_step(0, first + k) for k in range(1, STEPS + 1)]
    dims.set_current_step(0, first)
    settle(0.05)
    return timed([desk.bare_drawn], acts)


def our_slices(desk: Desk, number: int) -> Seconds:
    half = int(desk.viewer.dims.nsteps[0]) // 2
    desk.viewer.dims.set_current_step(0, half + number * STEPS % (half - STEPS))
    settle(0.05)
    before = desk.viewer.dims.current_step[0]
    seconds = timed([desk.drawn["main"]], [lambda: desk.wheel(-1)] * STEPS)
    if abs(desk.viewer.dims.current_step[0] - before) != STEPS:
        raise SystemExit("the wheel did not move one slice a turn")
    return seconds


def our_crosshair(desk: Desk, number: int) -> Seconds:
    views = desk.dock.views
    for pane in views.panes[1:]:
        if pane.name not in desk.drawn:
            desk.drawn[pane.name] = Drawn(pane.qt)
    flat = [desk.drawn[pane.name] for pane in views.panes if pane.is_flat]
    size = np.array(views.grid.shown.shape)
    start = size // 2 + number
    acts = [lambda k=k: views.go_to(tuple(views.grid.world_of_index(start + k))) for k in range(1, STEPS + 1)]
    views.go_to(tuple(views.grid.world_of_index(start)))
    settle(0.1)
    seconds = timed(flat, acts)
    if tuple(np.round(views.grid.index_of(views.place)).astype(int)) != tuple(start + STEPS):
        raise SystemExit("the crosshair is elsewhere")
    return seconds


def our_shift_move(desk: Desk, number: int) -> Seconds:
    flat = [desk.drawn[pane.name] for pane in desk.dock.views.panes if pane.is_flat and pane.name != "main"]
    shift = Qt.KeyboardModifier.ShiftModifier
    w, h = desk.native.width() / 2, desk.native.height() / 2
    acts = [
        lambda k=k: desk.mouse(QEvent.Type.MouseMove, (w - 40 + 4 * k + number, h - 40 + 4 * k), NONE, NONE, shift)
        for k in range(STEPS)
    ]
    return timed(flat, acts)


def bare_limits(desk: Desk, number: int) -> Seconds:
    layer = desk.bare.layers[0]
    acts = [
        lambda k=k: setattr(layer, "contrast_limits", (-160.0 + k, 240.0 + 2 * k + number))
        for k in range(STEPS)
    ]  # fmt: skip
    return timed([desk.bare_drawn], acts)


def our_drag(desk: Desk, number: int) -> Seconds:
    kinds, at = QEvent.Type, (desk.native.width() / 2, desk.native.height() / 2)
    before = desk.dock.layers.scan.contrast_limits
    desk.mouse(kinds.MouseMove, at, NONE, NONE)
    desk.mouse(kinds.MouseButtonPress, at, RIGHT, RIGHT)
    settle(0.05)
    way = 1 if number % 2 else -1
    acts = [
        lambda k=k: desk.mouse(kinds.MouseMove, (at[0] + way * k, at[1] + way * k), NONE, RIGHT)
        for k in range(1, STEPS + 1)
    ]
    canvases = [desk.drawn[p.name] for p in desk.dock.views.shown if p.is_flat]
    seconds = timed(canvases, acts)
    desk.mouse(kinds.MouseButtonRelease, at, RIGHT, NONE)
    settle(0.05)
    if tuple(desk.dock.layers.scan.contrast_limits) == tuple(before):
        raise SystemExit("the drag did not change the window")
    return seconds


def opening(desk: Desk, scan: Volume, mask: LabelMap, way: str) -> Seconds:
    if way == "whole":
        seconds = timed([desk.drawn["main"]], [lambda: desk.open_ours(scan, mask)])
    elif way == "window":
        ready = desk.prepare(scan, mask)
        seconds = timed([desk.drawn["main"]], [lambda: desk.show_ours(*ready)])
    if way != "bare":
        wait_until(lambda: not desk.dock.tasks.names())
        desk.close_ours()
    else:
        seconds = timed([desk.bare_drawn], [lambda: desk.open_bare(scan, mask)])
        desk.bare.layers.clear()
    settle(0.3)
    gc.collect()
    return seconds


class Table:
    """Rounds in which ways take turns."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        print(
            f"{'what':28}{'ours ms':>8}{'bare ms':>8}{'ratio':>7}  {'spread':13}{'CPU ratio':>10}  {'spread':13}asked"
        )

    def row(
        self, name: str, ours: Callable[[int], Seconds], bare: Callable[[int], Seconds], asked: float | None
    ) -> None:
        """Print the row of one comparison; the first round warms up and does not count."""
        pairs = []
        for number in range(self.rounds + 1):
            ways = (ours, bare) if number % 2 else (bare, ours)
            times = [way(number) for way in ways]
            pairs.append(times if number % 2 else times[::-1])
        ratios = np.sort([a / b for a, b in pairs[1:]], axis=0)
        clock, cpu = np.median(ratios, axis=0)
        told = "" if asked is None else f"at most {asked}" + ("" if clock <= asked else " MISSED")
        ms = np.median(pairs[1:], axis=0)[:, 0] * 1000
        spread = [f"{low:.2f} to {high:.2f}" for low, high in zip(ratios[0], ratios[-1], strict=True)]
        line = f"{name:28}{ms[0]:8.1f}{ms[1]:8.1f}{clock:7.2f}  {spread[0]:13}{cpu:10.2f}  {spread[1]:13}{told}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(600, 512, 512))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="slice,window,crosshair,opening")
    given = parser.parse_args()
    only = set(given.only.split(","))
    desk = Desk()
    try:
        measure(desk, *case(tuple(given.shape)), only, given.rounds)
    finally:
        desk.close()
        shutil.rmtree(_PRIVATE, ignore_errors=True)


def measure(desk: Desk, scan: Volume, mask: LabelMap, only: set[str], rounds: int) -> None:
    size = desk.native.size()
    print(
        f"{' x '.join(map(str, scan.array.shape))} int16 with a mask of uint8; canvas {size.width()} x {size.height()}"
    )
    table = Table(rounds)
    if "opening" in only:
        for name, way in (("opening, the window's part", "window"), ("opening, all work", "whole")):
            table.row(name, lambda n, way=way: opening(desk, scan, mask, way),
                      lambda n: opening(desk, scan, mask, "bare"), ASKED["opening"])  # fmt: skip
    desk.open_ours(scan, mask)
    desk.open_bare(scan, mask)
    settle(1.0)
    if "slice" in only:
        table.row("slice, one view", lambda n: our_slices(desk, n), lambda n: bare_slices(desk, n), ASKED["slice"])
    if "window" in only:
        table.row(
            "window/level, one view", lambda n: our_drag(desk, n), lambda n: bare_limits(desk, n), ASKED["window"]
        )
    if "crosshair" in only:
        desk.dock.views.show_four()
        wait_until(lambda: not desk.dock.tasks.names())
        settle(1.0)
        table.row(
            "crosshair, 2x2", lambda n: our_crosshair(desk, n), lambda n: bare_slices(desk, n), ASKED["crosshair"]
        )
        table.row("Shift+move, 2x2", lambda n: our_shift_move(desk, n), lambda n: bare_slices(desk, n), None)
        table.row("window/level, 2x2", lambda n: our_drag(desk, n), lambda n: bare_limits(desk, n), None)
        desk.dock.views.show_one()
        settle(0.5)


if __name__ == "__main__":
    main()
