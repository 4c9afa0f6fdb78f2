"""What correcting a large mask takes, beside a bare napari doing the same in the same process.

    python benchmarks/annotation.py [--shape 300 512 512] [--rounds 5] [--only brush,undo,result,linked,fill,save]

Both sides of a ratio take turns, so a busy machine slows both; processor time is right on a busy machine, too.

- brush: one event of a drag until the canvas has drawn it, in one view; bare napari draws with its own brush.
- undo: the last drag taken back until that is drawn; bare napari takes back its own.
- result: a model's result over the mask, every class moved by two rows, until that is drawn; bare napari gets new data.
- linked: one event of a drag with the sphere in 2x2 until all three planes have drawn it.
- fill: filling a class between two slices 20 apart, the tool alone.
- save: a save that is checked and never leaves half a file, beside one plain write of the same voxels by nibabel.
- journal: what the hand waits for when a drag is kept on disk, and when it was written.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import time
from collections.abc import Callable
from dataclasses import replace

import nibabel
import numpy as np
import viewer
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget
from viewer import NO_KEYS, NONE, Desk, Drawn, Seconds, Table, timed, until_drawn

from napari_medcnn.annotation.tools.between import fill_between
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.results import Provenance, Segmentation
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.save import save_labels
from napari_medcnn.verbs.predict import PredictRequest
from napari_medcnn.widgets.demo_window import settle, wait_until
from napari_medcnn.widgets.jobs import prepare_mask
from napari_medcnn.widgets.run_jobs import Predicted
from napari_medcnn.widgets.run_steps import run_name

LEFT = Qt.MouseButton.LeftButton
KINDS = QEvent.Type
STEPS, BRUSH = 12, 20
ASKED = {"brush": 1.5, "linked ms": 50.0}
FREE_ROW = 0.12  # of the height of the plane: nothing but background lies there


def five_classes(shape: tuple[int, int, int]) -> tuple[Volume, LabelMap]:
    """Return a CT and a mask of five classes."""
    scan, mask = viewer.case(shape)
    mask.array[mask.array > 5] = 0
    return scan, LabelMap(mask.array, mask.geometry, LabelSet.for_ids([1, 2, 3, 4, 5]), name="Mask")


def send(native: QWidget, kind: QEvent.Type, at: tuple[float, float], held: bool) -> None:
    """Send one event of the left button."""
    point = QPointF(*at)
    button = NONE if kind == KINDS.MouseMove else LEFT
    where = QPointF(native.mapToGlobal(point.toPoint()))
    QApplication.sendEvent(native, QMouseEvent(kind, point, where, button, LEFT if held else NONE, NO_KEYS))


def drag(native: QWidget, canvases: list[Drawn], start: tuple[float, float], step: tuple[float, float]) -> Seconds:
    """Press, and return what each move costs until it is drawn; the release is not counted."""
    send(native, KINDS.MouseMove, start, False)
    send(native, KINDS.MouseButtonPress, start, True)
    settle(0.1)
    at = [(start[0] + step[0] * k, start[1] + step[1] * k) for k in range(1, STEPS + 1)]
    seconds = timed(canvases, [lambda a=a: send(native, KINDS.MouseMove, a, True) for a in at])
    send(native, KINDS.MouseButtonRelease, at[-1], False)
    settle(0.1)
    return seconds


def begin(native: QWidget) -> tuple[float, float]:
    return native.width() * 0.4, native.height() * FREE_ROW


class Brushes:
    """The two brushes in one view, and what they painted last."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.bare_layer = desk.bare.layers[1]
        self.bare_layer.mode, self.bare_layer.brush_size, self.bare_layer.selected_label = "paint", BRUSH, 1
        desk.bare.layers.selection.active = self.bare_layer
        self.mask = desk.dock.layers.mask
        desk.dock.tabs.setCurrentIndex(2)
        desk.dock.correcting.use_tool("paint")
        self.mask.brush_size, self.mask.selected_label = BRUSH, 1
        settle(0.3)

    def bare(self, _number: int, undo: bool = False) -> Seconds:
        native = self.desk.bare_drawn.native
        before = int(np.count_nonzero(self.bare_layer.data))
        painting = drag(native, [self.desk.bare_drawn], begin(native), (9, 0))
        if np.count_nonzero(self.bare_layer.data) == before:
            raise SystemExit("bare napari did not paint")
        undoing = timed([self.desk.bare_drawn], [self.bare_layer.undo])
        return undoing if undo else painting

    def ours(self, _number: int, undo: bool = False) -> Seconds:
        native, strokes = self.desk.native, self.desk.dock.strokes
        painting = drag(native, [self.desk.drawn["main"]], begin(native), (9, 0))
        if strokes.history.names[-1:] != ("Brush",):
            raise SystemExit("our brush did not paint one step")
        undoing = timed([self.desk.drawn["main"]], [strokes.undo])
        return undoing if undo else painting


class Results:
    """A model's results over the mask of both windows: the mask, and the same moved by two rows, in turn."""

    def __init__(self, desk: Desk, mask: LabelMap) -> None:
        self.desk, self.bare_layer = desk, desk.bare.layers[1]
        moved = replace(mask, array=np.roll(mask.array, 2, axis=1))
        self.masks, self.scan = (moved, mask), desk.dock.session.scan

    def bare(self, number: int) -> Seconds:
        data = self.masks[number % 2].array.copy()
        return timed([self.desk.bare_drawn], [lambda: setattr(self.bare_layer, "data", data)])

    def ours(self, number: int) -> Seconds:
        session = self.desk.dock.session
        mask = self.masks[number % 2]
        work = prepare_mask(mask, self.scan)
        found = Segmentation(mask, {}, Provenance({"name": "benchmark"}, {}, {}, "cpu", {}, ""))
        request = PredictRequest(self.scan, "benchmark")
        step = session.compare(run_name(found), work)
        predicted = Predicted(request, found, work, {}, step)
        seconds = timed([self.desk.drawn["main"]], [lambda: session.show_predicted(predicted)])
        if session.strokes.history.names[-1:] != ("Model: benchmark",):
            raise SystemExit("the result made no step")
        return seconds


def linked(desk: Desk, rounds: int) -> None:
    """Print milliseconds per point of a sphere in 2x2, until three planes are drawn, and of an event alone."""
    views, row = desk.dock.views, desk.dock.correct.brush_row
    views.show_four()
    wait_until(lambda: not desk.dock.tasks.names())
    settle(1.0)
    middle = tuple(views.grid.world_of_index(np.array(views.grid.shown.shape) // 2))
    views.go_to(middle)
    for pane in views.panes[1:]:
        desk.drawn.setdefault(pane.name, Drawn(pane.qt))
    flat = [pane for pane in views.panes if pane.is_flat]
    canvases = [desk.drawn[pane.name] for pane in flat]
    for sphere in (False, True):
        row.sphere.setChecked(sphere)
        desk.dock.layers.mask.brush_size = BRUSH * (2 if sphere else 1)
        for pane in flat:
            times = []
            for number in range(rounds + 1):
                views.go_to(middle)  # undo showed the place of the step
                settle(0.2)
                x, y = pane.frame().to_canvas(middle)
                desk.dock.layers.mask.selected_label = 2 + number % 2
                waited = canvases if sphere else [desk.drawn[pane.name]]
                seconds = drag(
                    pane.native, waited, (x - STEPS // 2, y - STEPS // 2), (1, 1)
                )  # around the place of all views
                desk.dock.strokes.undo()
                settle(0.2)
                times.append(seconds * 1000)
            clock, cpu = np.median(times[1:], axis=0)
            name = f"linked, {'sphere' if sphere else 'disc'} in {views.plane_of(pane) or pane.name}"
            told = f"at most {ASKED['linked ms']:.0f} ms" + ("" if clock <= ASKED["linked ms"] else " MISSED")
            print(f"{name:36}{clock:8.1f} ms a point{cpu:8.1f} ms of the processor  {told}", flush=True)
    row.sphere.setChecked(False)
    views.show_one()
    settle(0.5)


def best(act: Callable[[], object], rounds: int) -> float:
    """Return the median of milliseconds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000


def fill(mask: LabelMap, rounds: int) -> None:
    array = mask.array.copy()
    first = mask.array.shape[0] // 2
    array[first + 1 : first + 20][array[first + 1 : first + 20] == 1] = 0
    tool = Mask(array, mask.geometry.spacing_mm)
    changed = fill_between(tool, 0, [1]).after
    if not np.count_nonzero(changed):
        raise SystemExit("nothing was filled between the slices")
    print(f"{'fill between slices, 20 apart':36}{best(lambda: fill_between(tool, 0, [1]), rounds):8.1f} ms", flush=True)


def save(mask: LabelMap, rounds: int) -> None:
    path, plain = viewer._PRIVATE / "ours.nii.gz", viewer._PRIVATE / "plain.nii.gz"
    image = nibabel.Nifti1Image(np.ascontiguousarray(mask.array.T), np.diag([0.8, 0.8, 1.0, 1.0]))
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(best(lambda: nibabel.save(image, plain), 1))
        ours.append(best(lambda: save_labels(mask, path), 1))
    ratio = float(np.median(np.array(ours) / np.array(theirs)))
    words = f"{np.median(ours):8.0f} ms{np.median(theirs):8.0f} ms plain{ratio:8.2f} times"
    print(f"{'save, checked and whole':36}{words}", flush=True)


def journal(desk: Desk, rounds: int) -> None:
    strokes, times, written = desk.dock.strokes, [], []
    kept = strokes.journal
    if kept is None:
        raise SystemExit("no journal is open")
    box = (slice(100, 101), slice(40, 80), slice(40, 200))
    append = kept.append

    def timed_append(step: object) -> None:
        start = time.perf_counter()
        append(step)
        times.append((time.perf_counter() - start) * 1000)

    kept.append = timed_append
    all_of_it = []
    for number in range(rounds * 4):
        after = np.full([part.stop - part.start for part in box], 1 + number % 5, np.uint8)
        start = time.perf_counter()
        strokes.change("Brush", box, after)
        all_of_it.append((time.perf_counter() - start) * 1000)
        start = time.perf_counter()
        kept.flush()
        written.append((time.perf_counter() - start) * 1000)
    del kept.append
    words = f"{np.median(times):8.3f} ms of {np.median(all_of_it):.1f} ms; on disk after {np.median(written):.1f} ms"
    print(f"{'journal, what a step waits for it':36}{words}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="brush,undo,result,linked,fill,save,journal")
    given = parser.parse_args()
    only = set(given.only.split(","))
    scan, mask = five_classes(tuple(given.shape))
    if "fill" in only:
        fill(mask, given.rounds)
    if "save" in only:
        save(mask, given.rounds)
    if not only & {"brush", "undo", "result", "linked", "journal"}:
        return
    desk = Desk()
    try:
        size = desk.native.size()
        print(f"{' x '.join(map(str, given.shape))}, 5 classes; canvas {size.width()} x {size.height()}")
        desk.open_ours(scan, mask)
        desk.open_bare(scan, LabelMap(mask.array.copy(), mask.geometry, mask.labels, name="Mask"))
        settle(1.0)
        brushes = Brushes(desk)
        until_drawn([desk.drawn["main"]], desk.dock.layers.redraw_mask)
        if only & {"brush", "undo"}:
            table = Table(given.rounds)
            if "brush" in only:
                table.row("brush, one view", brushes.ours, brushes.bare, ASKED["brush"])
            if "undo" in only:
                table.row("undo", lambda n: brushes.ours(n, True), lambda n: brushes.bare(n, True), None)
        if "result" in only:
            results = Results(desk, mask)
            Table(given.rounds).row("a model's result", results.ours, results.bare, None)
        if "linked" in only:
            linked(desk, given.rounds)
        if "journal" in only:
            journal(desk, given.rounds)
        desk.dock.strokes.unsaved = 0
    finally:
        desk.close()
        shutil.rmtree(viewer._PRIVATE, ignore_errors=True)


if __name__ == "__main__":
    main()
