"""Undo of a model's run: what was found, which classes were locked, and results whose ids need a wider type."""

from __future__ import annotations

import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_medcnn.annotation.recovery import find_recoverable
from napari_medcnn.core import paths
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.spec import Decision
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.io import layerdata
from napari_medcnn.widgets.jobs import prepare_mask
from tiny_packages import package, segmenter

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier
#: Half of the phantom, as the model's box.
HALF = ((0, 24), (0, 128), (0, 128))


def run_in_half(desk, monkeypatch, model: str = "tiny-mask") -> None:
    """Run a model in one half of the scan, which finds less."""
    choices = desk.dock.running.choices
    wanted = choices.wanted

    def in_half(model, base):
        made = wanted(model, base)
        return replace(made, options=replace(made.options, region=HALF))

    with monkeypatch.context() as patch:
        patch.setattr(choices, "wanted", in_half)
        desk.run(model)


def undo(desk) -> None:
    desk.key(Qt.Key.Key_Z, CTRL)


def redo(desk) -> None:
    desk.key(Qt.Key.Key_Y, CTRL)


def test_undo_and_redo_say_how_much_was_found_without_counting_it_again(desk, monkeypatch) -> None:
    desk.open("phantom")
    desk.run("tiny-mask")
    found = desk.dock.session.result.mask.array == 2

    def amount() -> str:
        return desk.dock.ai.result.table.item(0, 1).text()

    whole, half = (f"{np.count_nonzero(x) * 3.0 * 0.8 * 0.8 / 1000:.3g} ml" for x in (found, found[:24]))
    assert amount() == whole != half
    run_in_half(desk, monkeypatch)
    assert amount() == half
    monkeypatch.setattr(layerdata, "_counted", lambda *_: pytest.fail("the window counted the voxels"))
    undo(desk)
    assert amount() == whole and desk.dock.ai.result.isVisible()
    redo(desk)
    assert amount() == half


def test_the_window_compares_no_mask_unless_something_was_drawn_in_the_meantime(desk, monkeypatch) -> None:
    """A run is compared with the mask in the run's thread; what was drawn after that is compared again."""
    desk.open("phantom")
    desk.run("tiny-mask")
    session, strokes, layer = desk.dock.session, desk.dock.strokes, desk.dock.layers.mask
    first, results = layer.data.copy(), []
    show, step = type(session).show_predicted, type(strokes)._step

    def slice_alone(strokes, box, *more):
        assert box[0].stop - box[0].start == 1, "the window compared the masks"
        return step(strokes, box, *more)

    def shown(session, predicted) -> None:
        results.append(predicted)
        with monkeypatch.context() as patch:
            patch.setattr(type(strokes), "_step", slice_alone)
            show(session, predicted)

    monkeypatch.setattr(type(session), "show_predicted", shown)
    run_in_half(desk, monkeypatch)
    half = layer.data.copy()
    assert results and np.count_nonzero(half) < np.count_nonzero(first)
    assert strokes.counts == {2: np.count_nonzero(half)} and strokes.history.names == ("Model: tiny-mask",)
    undo(desk)
    np.testing.assert_array_equal(layer.data, first)
    redo(desk)
    drawn = stroke(desk, 0)
    assert (drawn != half).any()
    show(session, results[0])  # compared with `first`
    np.testing.assert_array_equal(layer.data, half)
    assert strokes.counts == {2: np.count_nonzero(half)}
    for wanted in (drawn, half, first):
        undo(desk)
        np.testing.assert_array_equal(layer.data, wanted)
    assert strokes.counts == {2: np.count_nonzero(first)}
    np.testing.assert_array_equal(killed_now(desk), first)


def test_a_run_over_a_corrected_photograph_is_undone_voxel_by_voxel(desk) -> None:
    desk.open("fundus")
    desk.run("tiny-photo")
    layer = desk.dock.layers.mask
    found = layer.data.copy()
    desk.dock.session.choose_class(0)  # what was found is taken away
    drawn = stroke(desk, 0)
    assert layer.data.ndim == 2 and 0 < np.count_nonzero(drawn) < np.count_nonzero(found)
    desk.run("tiny-photo")
    assert desk.dock.layers.mask is layer
    np.testing.assert_array_equal(layer.data, found)
    again = stroke(desk, 20)
    for wanted in (found, drawn, found):
        undo(desk)
        np.testing.assert_array_equal(layer.data, wanted)
    for wanted in (drawn, found, again):
        redo(desk)
        np.testing.assert_array_equal(layer.data, wanted)
    np.testing.assert_array_equal(killed_now(desk).reshape(found.shape), again)


def test_undo_of_a_run_brings_the_locks_back_that_stood_before_and_redo_those_after(desk, monkeypatch) -> None:
    desk.open("phantom")
    desk.run("tiny-mask")
    desk.dock.tabs.setCurrentIndex(2)
    session, table = desk.dock.session, desk.dock.correct.classes
    column = next(c for c in range(table.columnCount()) if table.horizontalHeaderItem(c).text() == "Lock")

    def lock(on: bool) -> None:
        table.item(0, column).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def locked() -> bool:
        shown = table.item(0, column).checkState() == Qt.CheckState.Checked
        assert session.locked == session.strokes.locked == (frozenset({2}) if shown else frozenset())
        return shown

    lock(True)
    assert locked()
    run_in_half(desk, monkeypatch)
    assert not locked()
    undo(desk)
    desk.dock.tabs.setCurrentIndex(2)
    assert locked()
    before, (x, y) = desk.dock.layers.mask.data.copy(), desk.centre()
    desk.key(Qt.Key.Key_E)
    desk.drag((x - 60, y), (x + 60, y + 20))
    np.testing.assert_array_equal(desk.dock.layers.mask.data, before)
    redo(desk)
    assert not locked()
    lock(True)  # from now on this is how it stands after the run
    undo(desk)
    lock(False)
    redo(desk)
    assert locked()
    undo(desk)
    assert not locked()


@pytest.fixture
def wide_model(model_folder):
    """A model whose class has an id that does not fit into eight bits."""
    labels = LabelSet((Label(300, "bright", (90, 90, 90)),))
    made = package(model_folder, segmenter("tiny-wide", labels=labels, decision=Decision((300,), False, (0.5,))))
    yield "tiny-wide"
    shutil.rmtree(made)
    (model_folder / "tiny-wide.keras").unlink()


def killed_now(desk) -> np.ndarray:
    """Return what would be recovered after a kill."""
    journal = desk.dock.session._journal
    journal.flush()
    copy = paths.recovery() / "99999996-killed.strokes"
    shutil.copy(journal.path, copy)
    back = next(r for r in find_recoverable(paths.recovery()) if r.path == copy).restore()
    copy.unlink()
    return back.array


def stroke(desk, low: float) -> np.ndarray:
    """Draw a line some pixels below the middle; return the mask."""
    desk.dock.tabs.setCurrentIndex(2)
    x, y = desk.centre()
    desk.drag((x - 60, y + low), (x + 60, y + low))
    return desk.dock.layers.mask.data.copy()


@pytest.mark.own_window  # it finds one model more
def test_a_result_with_wider_ids_is_one_step_and_undo_crosses_it(wide_model, desk, tmp_path) -> None:
    desk.open("phantom")
    desk.empty_mask()
    layer, history = desk.dock.layers.mask, desk.dock.strokes.history
    drawn = [layer.data.copy(), stroke(desk, 0), stroke(desk, 40)]
    assert layer.data.dtype == np.uint8 and np.count_nonzero(drawn[1]) < np.count_nonzero(drawn[2])
    desk.run(wide_model)
    assert desk.dock.layers.mask is layer and layer.data.dtype == np.uint16
    assert set(np.unique(layer.data)) == {0, 300} and history.names == ("Brush", "Brush", "Model: tiny-wide")
    drawn.append(layer.data.copy())
    for label_id in (0, 300):
        desk.dock.session.choose_class(label_id)
        drawn.append(stroke(desk, -20))
    sizes = [np.count_nonzero(mask == 300) for mask in drawn[3:]]
    assert sizes[0] == sizes[2] > sizes[1] > 0
    np.testing.assert_array_equal(killed_now(desk), drawn[5])
    panes = desk.four()[:3]
    for number in (4, 3, 2, 1, 0):
        desk.key(Qt.Key.Key_Z, CTRL, pane=panes[number % 3])
        np.testing.assert_array_equal(layer.data, drawn[number])
        np.testing.assert_array_equal(killed_now(desk), drawn[number])
    assert all(shown.data is layer.data for shown in mirrored(desk))
    layer.undo()  # napari's own history holds nothing
    np.testing.assert_array_equal(layer.data, drawn[0])
    for number in (1, 2, 3, 4, 5):
        redo(desk)
        np.testing.assert_array_equal(layer.data, drawn[number])
    counts = np.bincount(layer.data.ravel())
    assert desk.dock.strokes.counts == {i: int(n) for i, n in enumerate(counts) if n and i}
    for _ in range(3):
        undo(desk)
    desk.dock.dialogs.target = tmp_path / "mask.nii.gz"
    desk.click(desk.dock.correct.save)
    desk.until(lambda: desk.dock.header.saved.text() == "saved")
    on_disk = np.asarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj)
    assert on_disk.dtype == np.uint8 and np.count_nonzero(on_disk) == np.count_nonzero(drawn[2])


def test_a_mask_of_another_scan_is_not_replaced_by_a_result_that_undo_could_not_take_back(desk) -> None:
    """As after recovered work was brought back and another scan was chosen for it."""
    desk.open("phantom")
    grid = Geometry((6, 20, 10), (5.0, 0.7, 1.3))
    other = LabelMap(np.ones(grid.shape, np.uint8), grid, LabelSet.from_names(["liver"]))
    desk.dock.session.show_mask(prepare_mask(other, None), "not saved")
    layer = desk.dock.layers.mask
    desk.dock.tabs.setCurrentIndex(1)
    desk.until(lambda: desk.dock.ai.choose("tiny-mask") and desk.dock.ai.run.isEnabled())
    desk.until(lambda: not desk.dock.tasks.names())
    desk.click(desk.dock.ai.run)
    assert not desk.dock.tasks.names() and "undo could not bring it back" in desk.dock.ai.error.text()
    assert desk.dock.layers.mask is layer and layer.data.all()
    desk.open("phantom")
    desk.run("tiny-mask")
    assert desk.dock.layers.mask.data.shape == desk.dock.layers.scan.data.shape and not desk.dock.ai.error.text()


def mirrored(desk) -> list:
    """Return the masks that the further flat views show."""
    panes = desk.dock.views.panes[1:3]
    return [x for pane in panes for x in pane.viewer.layers if type(x).__name__ == "Labels"]


@pytest.mark.own_window  # it finds one model more
def test_a_result_with_narrower_ids_is_one_step_too(wide_model, desk) -> None:
    desk.open("phantom")
    desk.run(wide_model)
    layer, found = desk.dock.layers.mask, desk.dock.layers.mask.data.copy()
    corrected = stroke(desk, 0)
    desk.run("tiny-mask")
    assert desk.dock.layers.mask is layer and layer.data.dtype == np.uint16
    np.testing.assert_array_equal(layer.data == 2, found == 300)
    assert desk.dock.strokes.history.names[-1] == "Model: tiny-mask"
    undo(desk)
    np.testing.assert_array_equal(layer.data, corrected)
    assert desk.dock.session.labels.ids == (300,)
    redo(desk)
    np.testing.assert_array_equal(layer.data == 2, found == 300)
    np.testing.assert_array_equal(killed_now(desk), layer.data)
