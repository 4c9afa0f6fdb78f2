"""Open, run, see, cancel, survive: one window, the real protocol, an engine without a network."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt

from heartbeat import Heartbeat
from napari_medcnn.io.samples import fundus, phantom
from napari_medcnn.widgets.tasks import Task

pytestmark = pytest.mark.gui


def bright(array: np.ndarray) -> np.ndarray:
    """What the fake engine marks."""
    values = array.astype(np.float64)
    return values > values.mean()


def test_result_on_the_phantom_is_a_named_protected_layer_in_place(desk) -> None:
    desk.open("phantom")
    desk.run("tiny-mask")
    scan, layer = phantom()[0], desk.dock.layers.mask
    how = scan.geometry.reorientation_to()
    np.testing.assert_array_equal(layer.data == 2, bright(how.apply(scan.array)))
    assert set(np.unique(layer.data)) == {0, 2}
    assert layer.name == "Bright things" and layer.locked and layer.opacity == pytest.approx(0.4)
    np.testing.assert_allclose(layer.scale, desk.dock.layers.scan.scale)
    np.testing.assert_allclose(layer.translate, desk.dock.layers.scan.translate)
    assert list(layer.features["class"]) == ["background", "bright"]
    assert desk.dock.header.saved.text() == "not saved"
    n = int(bright(scan.array).sum())
    ml = n * 3.0 * 0.8 * 0.8 / 1000
    table = desk.dock.ai.result.table
    assert table.item(0, 0).text() == "bright" and table.item(0, 2).text() == "0.90"
    assert table.item(0, 1).text() == f"{ml:.3g} ml"


def test_result_on_the_photograph_counts_pixels_because_no_size_is_stated(desk) -> None:
    desk.open("fundus")
    assert desk.dock.layers.scan.rgb and desk.dock.layers.scan.ndim == 2
    desk.run("tiny-photo")
    expected = bright(fundus().array[0].astype(np.float64).mean(axis=-1))
    np.testing.assert_array_equal(desk.dock.layers.mask.data == 2, expected)
    assert desk.dock.ai.result.table.item(0, 1).text().replace(" ", "") == f"{expected.sum()}px"
    assert "left/right not stated" in desk.said()


def test_saved_mask_lies_on_the_scans_grid(desk, tmp_path: Path) -> None:
    import nibabel

    desk.open("phantom")
    desk.run("tiny-mask")
    desk.dock.dialogs.target = tmp_path / "mask.nii.gz"
    desk.click(desk.dock.ai.result.save)
    desk.until(lambda: desk.dock.header.saved.text() == "saved")
    scan = phantom()[0]
    stored = np.asarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj).T
    np.testing.assert_array_equal(stored == 2, bright(scan.array))
    record = (tmp_path / "mask.provenance.json").read_text()
    assert "tiny-mask" in record and "Research use only" in record


def test_classification_shows_bars(desk) -> None:
    desk.open("phantom")
    desk.run("tiny-class")
    result = desk.dock.ai.result
    assert result.isVisible() and result.title.text() == "Result: well"
    assert result.bars.rowCount() == 2 and desk.dock.layers.mask is None
    assert result.bars.itemAt(0, result.bars.ItemRole.FieldRole).widget().text() == "0.90"


def test_misfit_is_said_in_words_and_run_stays_off(desk) -> None:
    desk.open("phantom")
    desk.dock.tabs.setCurrentIndex(1)
    desk.until(lambda: desk.dock.ai.choose("tiny-two"))
    desk.until(lambda: "takes 2" in desk.dock.ai.fit.text())
    assert desk.dock.ai.fit.text().startswith("✗  Cannot run: Channels")
    assert not desk.dock.ai.run.isEnabled()


@pytest.mark.proof  # a speed; benchmarks/window.py prints it
def test_longest_stall_from_run_to_result(desk, record_property) -> None:
    desk.open("fundus")
    desk.run("tiny-photo")  # the first run of a session also loads code; the second is what a person waits for
    desk.order(slow=0.5)
    beat, stalls = Heartbeat(), {}
    session = desk.dock.session
    show = session.show_predicted

    def timed(predicted) -> None:
        stalls["until the result"] = beat.stop()
        start = time.perf_counter()
        show(predicted)
        stalls["adding the layer"] = time.perf_counter() - start

    session.show_predicted = timed
    desk.dock.ai.run.click()
    desk.until(lambda: "adding the layer" in stalls)
    for name, seconds in stalls.items():
        record_property(name, round(seconds * 1000))
        print(f"{name}: {seconds * 1000:.0f} ms")
    assert stalls["until the result"] < 0.1


def test_cancel_and_run_again(desk) -> None:
    desk.open("phantom")
    desk.order(slow=8)
    desk.start_run("tiny-mask")
    desk.until(lambda: desk.dock.link.engine.state == "busy")
    assert desk.dock.header.cancel.isVisible()
    start = time.monotonic()
    desk.click(desk.dock.header.cancel)
    desk.until(lambda: not desk.dock.tasks.names())
    assert time.monotonic() - start < 1.5
    assert desk.dock.layers.mask is None and desk.dock.ai.error.text() == ""
    desk.order()
    desk.run("tiny-mask")
    assert desk.dock.layers.mask is not None


def test_killed_engine_leaves_a_live_window_and_the_next_run_works(desk) -> None:
    desk.open("phantom")
    desk.order(slow=8)
    desk.start_run("tiny-mask")
    desk.until(lambda: desk.dock.link.engine.state == "busy")
    beat = Heartbeat()
    os.kill(desk.dock.link.engine.pid, signal.SIGKILL)
    desk.until(lambda: not desk.dock.tasks.names())
    assert beat.stop() < 0.25
    assert "killed" in desk.dock.ai.error.text()
    assert desk.dock.ai.run.isEnabled()
    desk.order()
    desk.run("tiny-mask")
    assert desk.dock.layers.mask is not None and not desk.dock.ai.error.isVisible()


def test_release_gives_the_process_back(desk) -> None:
    pid = desk.dock.link.engine.pid
    desk.open("phantom")
    desk.dock.tabs.setCurrentIndex(1)
    desk.idle()
    desk.dock.ai.release.click()
    desk.until(lambda: desk.dock.header.state.whole.endswith("AI off"))
    desk.until(lambda: not Path(f"/proc/{pid}").exists())


def test_engine_error_is_shown_where_run_is(desk) -> None:
    desk.open("phantom")
    desk.order(nan=True)
    desk.run("tiny-mask")
    assert "not numbers" in desk.dock.ai.error.text() and desk.dock.layers.mask is None


def test_scan_layer_deleted_while_running(desk) -> None:
    """Row 46: the layer goes, the run goes on or ends, the window lives."""
    desk.open("phantom")
    desk.order(slow=1)
    desk.start_run("tiny-mask")
    desk.until(lambda: desk.dock.link.engine.state == "busy")
    desk.viewer.layers.remove(desk.dock.layers.scan)
    desk.until(lambda: not desk.dock.tasks.names())
    assert desk.dock.session.scan is None and desk.dock.layers.mask is None
    desk.order()
    desk.open("phantom")
    desk.run("tiny-mask")
    assert desk.dock.layers.mask is not None


def test_window_closed_while_running(desk) -> None:
    """Row 46: no call on dead widgets, and the engine ends with the window."""
    desk.open("phantom")
    desk.order(slow=5)
    desk.start_run("tiny-mask")
    desk.until(lambda: desk.dock.link.engine.state == "busy")
    pid = desk.dock.link.engine.pid
    desk.viewer.close()
    desk.until(lambda: not Path(f"/proc/{pid}").exists(), 10)
    desk.idle(0.3)


def test_mask_painted_while_running_is_not_what_the_run_used(desk) -> None:
    """Row 45: the run works on the scan's own voxels; a mask drawn meanwhile is replaced, and undo brings it back."""
    desk.open("phantom")
    desk.empty_mask()
    desk.order(slow=1)
    desk.start_run("tiny-mask")
    desk.until(lambda: desk.dock.link.engine.state == "busy")
    desk.dock.layers.mask.data_setitem((np.array([3]), np.array([4]), np.array([5])), 1)
    desk.until(lambda: not desk.dock.tasks.names())
    assert set(np.unique(desk.dock.layers.mask.data)) == {0, 2}
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.argwhere(desk.dock.layers.mask.data).tolist() == [[3, 4, 5]]
    assert desk.dock.layers.mask.data[3, 4, 5] == 1 and desk.dock.session.has_unsaved_strokes


def failing(error: Exception):
    def work(cancel):
        yield from ()
        raise error

    return work


@pytest.mark.parametrize("error", [RuntimeError("x"), NotImplementedError("x"), ValueError("x"), MemoryError("x")])
def test_errors_of_every_kind_arrive(qtbot, error: Exception) -> None:
    """superqt swallows RuntimeError from generators: no signal, busy for ever."""
    task = Task("failing", failing(error))
    seen: list = []
    task.failed.connect(seen.append)
    with qtbot.waitSignal(task.ended, timeout=5000):
        task.start()
    assert "report this" in str(seen[0]) and type(error).__name__ in str(seen[0])


def test_dropped_task_closes_its_generator(qtbot) -> None:
    from napari_medcnn.core.events import Progress

    closed = []

    def work(cancel):
        try:
            while not cancel.is_set():
                time.sleep(0.01)
                yield Progress(None, "")
        finally:
            closed.append(True)

    task = Task("endless", work)
    task.start()
    qtbot.wait(100)
    task.drop()
    qtbot.waitUntil(lambda: bool(closed), timeout=3000)
    qtbot.wait(50)


def test_the_result_is_scrolled_into_view_and_what_suits_stands_in_one_line(desk) -> None:
    desk.qt_window.resize(1100, 620)
    desk.open("fundus")
    desk.run("tiny-photo")
    desk.idle()
    result = desk.dock.ai.result
    area = desk.dock.tabs.widget(1)
    top = result.mapTo(area.viewport(), result.rect().topLeft()).y()
    assert 0 <= top < area.viewport().height()
    assert desk.dock.ai.fit.text().count("✓") == 1
