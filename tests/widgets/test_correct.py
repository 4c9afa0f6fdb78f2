"""Painting with a real mouse: what reaches the voxels, the history, the journal and the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_medcnn.widgets.parts import Text

pytestmark = pytest.mark.gui
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
RIGHT, MIDDLE = Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton


@pytest.fixture
def bench(desk):
    """The phantom with an empty mask, brush in hand."""
    desk.open("phantom")
    desk.empty_mask()
    assert desk.dock.mode == "Correct" and str(desk.dock.layers.mask.mode) == "paint"
    return desk


def stroke(desk, dx: float = 60, dy: float = 0, **how) -> None:
    x, y = desk.centre()
    desk.drag((x + dx, y + dy), (x + dx + 40, y + dy), **how)


def painted(desk) -> int:
    return int(np.count_nonzero(desk.dock.layers.mask.data))


def test_stroke_is_one_step_in_the_shown_slice(bench) -> None:
    stroke(bench)
    data, dock = bench.dock.layers.mask.data, bench.dock
    n = painted(bench)
    assert n > 10
    z = int(bench.viewer.dims.current_step[0])
    assert np.flatnonzero(data.any(axis=(1, 2))).tolist() == [z]
    assert dock.strokes.history.names == ("Brush",)
    assert dock.strokes.counts == {1: n}
    assert dock.header.saved.text() == "not saved"
    ml = n * 3.0 * 0.8 * 0.8 / 1000
    assert dock.correct.classes.item(0, 4).text() == f"{ml:.3g} ml"
    assert dock.correct.undo.text() == "Undo brush"


def test_nothing_of_a_mask_that_has_gone_is_left_in_the_tab(bench) -> None:
    stroke(bench)
    correct = bench.dock.correct
    correct.new_class.setText("half a na")
    bench.dock.session.close_scan()
    assert correct.undo.text() == "Undo" and not correct.undo.isEnabled() and not correct.new_class.text()
    assert correct.undo.toolTip() == "Take the last stroke back (Ctrl+Z)"


def test_undo_and_redo_are_ours_and_napari_keeps_nothing(bench) -> None:
    stroke(bench)
    first = bench.dock.layers.mask.data.copy()
    stroke(bench, dy=80)
    both = bench.dock.layers.mask.data.copy()
    assert (both != first).any()
    mask = bench.dock.layers.mask
    mask.undo()  # napari's own: nothing left in it to write stale voxels with
    np.testing.assert_array_equal(mask.data, both)
    bench.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, first)
    bench.key(Qt.Key.Key_Z, CTRL)
    assert painted(bench) == 0 and bench.dock.strokes.counts == {}
    bench.key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(mask.data, first)
    bench.key(Qt.Key.Key_Y, CTRL)
    np.testing.assert_array_equal(mask.data, both)
    assert bench.dock.strokes.counts == {1: int(np.count_nonzero(both))}


def test_undo_shows_the_slice_it_changes(bench) -> None:
    stroke(bench)
    z = bench.viewer.dims.current_step[0]
    bench.key(Qt.Key.Key_PageDown)
    assert bench.viewer.dims.current_step[0] == z + 10
    bench.key(Qt.Key.Key_Z, CTRL)
    assert bench.viewer.dims.current_step[0] == z
    assert "Undone: Brush" in bench.dock.correct.message.text()


def test_eraser_and_ctrl_drag_take_away(bench) -> None:
    stroke(bench)
    n = painted(bench)
    bench.key(Qt.Key.Key_E)
    x, y = bench.centre()
    bench.drag((x + 60, y), (x + 70, y))
    left = painted(bench)
    assert 0 < left < n and bench.dock.strokes.history.names == ("Brush", "Eraser")
    bench.key(Qt.Key.Key_P)
    bench.drag((x + 60, y), (x + 110, y), modifiers=CTRL)
    assert painted(bench) < left
    assert str(bench.dock.layers.mask.mode) == "paint"


@pytest.mark.parametrize("how", [{"button": RIGHT}, {"button": MIDDLE}, {"modifiers": SHIFT}], ids=str)
def test_other_drags_paint_nothing_and_do_not_zoom(bench, how) -> None:
    zoom = bench.viewer.scene.camera.zoom
    stroke(bench, **how)
    stroke(bench, dy=50, **how)
    assert painted(bench) == 0 and bench.dock.strokes.history.names == ()
    assert bench.viewer.scene.camera.zoom == zoom
    assert str(bench.dock.layers.mask.mode) == "paint"
    stroke(bench)
    assert painted(bench) > 0


def test_right_drag_is_window_and_level(bench) -> None:
    low, high = bench.dock.layers.scan.contrast_limits
    bench.drag((300, 300), (340, 300), button=RIGHT)
    wide = bench.dock.layers.scan.contrast_limits
    assert wide[1] - wide[0] > high - low and sum(wide) == pytest.approx(low + high)
    bench.drag((300, 300), (300, 260), button=RIGHT)
    brighter = bench.dock.layers.scan.contrast_limits
    assert sum(brighter) < sum(wide) and brighter[1] - brighter[0] == pytest.approx(wide[1] - wide[0])


def test_middle_drag_moves_the_picture(bench) -> None:
    before = np.array(bench.viewer.scene.camera.center)
    bench.drag((300, 300), (350, 300), button=MIDDLE)
    assert bench.viewer.scene.camera.center[-1] < before[-1]


def test_locked_class_keeps_its_voxels(bench) -> None:
    stroke(bench)
    first = bench.dock.layers.mask.data.copy()
    bench.dock.session.add_class("other")
    bench.dock.session.lock_classes(frozenset({1}))
    assert bench.dock.layers.mask.selected_label == 2
    x, y = bench.centre()
    bench.drag((x + 20, y), (x + 140, y))
    data = bench.dock.layers.mask.data
    np.testing.assert_array_equal(data[first == 1], 1)
    assert (data == 2).sum() > 0 and bench.dock.strokes.counts == {1: int(first.sum()), 2: int((data == 2).sum())}
    assert "locked" in bench.dock.correct.message.text()
    bench.dock.session.choose_class(1)
    stroke(bench, dy=100)
    assert (bench.dock.layers.mask.data == 1).sum() == first.sum()


def test_fill_is_one_step(bench) -> None:
    z = int(bench.viewer.dims.current_step[0])
    ring = np.ones((1, 12, 12), np.uint8)
    ring[:, 1:-1, 1:-1] = 0
    middle = bench.viewer.layers[0].data.shape[1] // 2
    box = np.s_[z : z + 1, middle - 6 : middle + 6, middle - 6 : middle + 6]
    bench.dock.strokes.change("Test", box, ring)
    x, y = bench.centre()
    bench.key(Qt.Key.Key_F)
    bench.drag((x, y), (x, y), steps=1)
    bench.until(lambda: not bench.dock.tasks.names())
    assert (bench.dock.layers.mask.data[box] == 1).all() and painted(bench) == 12 * 12
    assert bench.dock.strokes.history.names == ("Test", "Fill")


@pytest.mark.own_window
def test_strokes_of_a_killed_session_come_back(bench, make_desk) -> None:
    """What is on disk at the moment of a kill is what a recovery reads: the journal is copied, not closed."""
    import shutil

    from napari_medcnn.annotation.recovery import find_recoverable
    from napari_medcnn.core import paths

    stroke(bench)
    stroke(bench, dy=60)
    bench.key(Qt.Key.Key_Z, CTRL)
    expected = bench.dock.layers.mask.data.copy()
    journal = bench.dock.session._journal
    journal.flush()
    copy = paths.recovery() / "99999999-killed.strokes"
    shutil.copy(journal.path, copy)
    (found,) = [r for r in find_recoverable(paths.recovery()) if r.path == copy]
    assert found.info.case == "CT phantom" and found.steps == 3
    other = make_desk()
    texts = [w.text() for w in other.dock.start.findChildren(type(other.dock.message))]
    assert any(t.startswith("CT phantom: 3 strokes") for t in texts), texts
    drawn = [
        w.pixmap().toImage() for w in other.dock.start.findChildren(QLabel) if "What was drawn" in w.accessibleName()
    ]
    colours = {picture.pixelColor(x, y).name() for picture in drawn for x in range(64) for y in range(picture.height())}
    assert len(colours) == 2 and "#000000" in colours, colours  # one class was drawn
    other.dock.recovering.recover(found)
    other.until(lambda: other.dock.layers.mask is not None)
    other.idle()
    np.testing.assert_array_equal(other.dock.layers.mask.data, expected)
    assert other.dock.header.saved.text() == "not saved"
    assert other.dock.session.scan is not None
    assert "· AI" in other.dock.header.state.whole  # not "Making the example" for ever
    other.dock.session.let_recovered_go()  # as after saving: what was recovered is in the file
    assert not copy.exists()
    other.dock.strokes.unsaved = 0
    other.dock.session.close_scan()

    def offered() -> bool:
        return any(w.text().startswith("CT phantom: 3 strokes") for w in other.dock.start.findChildren(Text))

    other.until(lambda: not offered())  # what is saved is not offered again


def test_closing_asks_and_keeps(bench) -> None:
    from napari_medcnn.annotation.recovery import find_recoverable
    from napari_medcnn.core import paths

    stroke(bench)
    bench.dock.dialogs.unsaved_answer = "cancel"
    bench.qt_window.close()
    assert bench.dock.dialogs.asked[-1] == "unsaved CT phantom" and bench.qt_window.isVisible()
    bench.dock.dialogs.unsaved_answer = "discard"
    before = len(find_recoverable(paths.recovery()))
    bench.dock.shut_down()
    bench.until(lambda: len(find_recoverable(paths.recovery())) == before + 1)
    find_recoverable(paths.recovery())[0].discard()


def test_corrected_mask_is_saved_with_the_note(bench, tmp_path: Path) -> None:
    import nibabel

    bench.run("tiny-mask")
    bench.dock.tabs.setCurrentIndex(2)
    bench.idle()
    before = bench.dock.layers.mask.data.copy()
    bench.dock.session.choose_class(2)
    x, y = bench.centre()
    bench.drag((x - 300, y), (x + 300, y), steps=12)
    shown = bench.dock.layers.mask.data
    assert (shown != before).any()
    bench.dock.dialogs.target = tmp_path / "corrected.nii.gz"
    bench.click(bench.dock.correct.save)
    bench.until(lambda: bench.dock.header.saved.text() == "saved")
    how = bench.dock.session.scan.geometry.reorientation_to()
    stored = np.asarray(nibabel.load(tmp_path / "corrected.nii.gz").dataobj).T
    np.testing.assert_array_equal(how.apply(stored), shown)
    assert "Corrected by hand" in (tmp_path / "corrected.provenance.json").read_text()
    bench.drag((x - 300, y), (x + 300, y), modifiers=CTRL)
    assert bench.dock.header.saved.text() == "not saved"


def test_case_goes_into_a_dataset(bench, tmp_path: Path) -> None:
    from napari_medcnn.io.dataset import read_dataset
    from napari_medcnn.widgets.dialogs import DatasetEntry

    stroke(bench)
    bench.dock.dialogs.entry = DatasetEntry(tmp_path / "set", "phantom", "p1", "train")
    bench.click(bench.dock.correct.dataset)
    bench.until(lambda: "Added to" in bench.dock.message.text())
    (row,) = read_dataset(tmp_path / "set" / "dataset.csv").rows
    assert (row.case, row.patient, row.split) == ("phantom", "p1", "train")
    assert all((tmp_path / "set" / path).is_file() for path in (*row.image, *row.mask))


def test_classes_are_named_added_and_shown(bench) -> None:
    table = bench.dock.correct.classes
    table.item(0, 0).setText("tumour")
    assert list(bench.dock.layers.mask.features["class"]) == ["background", "tumour"]
    bench.dock.correct.new_class.setText("oedema")
    bench.dock.correct.new_class.returnPressed.emit()
    assert bench.dock.session.labels.names == ("tumour", "oedema")
    assert bench.dock.layers.mask.selected_label == 2
    table.item(0, 2).setCheckState(Qt.CheckState.Unchecked)
    assert bench.dock.layers.mask.colormap.color_dict[1][3] == 0
    table.item(0, 0).setText("oedema")  # a name twice is refused and the old one stays
    assert bench.dock.session.labels.names == ("tumour", "oedema") and table.item(0, 0).text() == "tumour"


def test_mask_removed_by_hand_leaves_a_usable_dock(bench) -> None:
    stroke(bench)
    bench.viewer.layers.remove(bench.dock.layers.mask)
    bench.idle()
    assert bench.dock.mode == "Read" and bench.dock.header.saved.text() == ""
    bench.empty_mask()
    stroke(bench)
    assert painted(bench) > 0


def test_painting_on_a_picture(desk) -> None:
    desk.open("fundus")
    desk.empty_mask()
    stroke(desk)
    n = painted(desk)
    assert n > 0 and desk.dock.strokes.counts == {1: n}
    desk.key(Qt.Key.Key_Z, CTRL)
    assert painted(desk) == 0


def test_layers_of_ours_cannot_be_moved_or_deleted_by_key(bench) -> None:
    mask, scan = bench.dock.layers.mask, bench.dock.layers.scan
    place = np.array(mask.scale), np.array(mask.translate)
    mask.mode = "transform"
    assert str(mask.mode) == "pan_zoom" and "cannot be moved" in bench.dock.message.text()
    mask.translate = (5, 5, 5)
    scan.rotate = 30
    np.testing.assert_array_equal(mask.scale, place[0])
    np.testing.assert_array_equal(mask.translate, place[1])
    np.testing.assert_allclose(np.array(scan.rotate), np.eye(3))
    bench.viewer.layers.selection = {mask, scan}
    bench.viewer.layers.remove_selected()
    assert bench.dock.layers.mask is mask and bench.dock.layers.scan is scan


def test_a_mask_without_a_model_says_so_beside_the_file(bench, tmp_path: Path) -> None:
    stroke(bench)
    bench.dock.dialogs.target = tmp_path / "mine.nii.gz"
    bench.click(bench.dock.correct.save)
    bench.until(lambda: bench.dock.header.saved.text() == "saved")
    record = json.loads((tmp_path / "mine.provenance.json").read_text())
    assert record["model"] is None and "by hand" in record["notes"][0]
