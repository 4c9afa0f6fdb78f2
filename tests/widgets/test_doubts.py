"""N and Shift+N with real keys: every view goes to the spot; what was drawn in or marked with Enter is done."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from scipy import ndimage

from napari_medcnn.widgets import doubts
from napari_medcnn.widgets.doubts import DIFFERING

pytestmark = pytest.mark.gui
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def bench(desk):
    """The phantom with the mask of a model that was undecided in three cubes."""
    desk.open("phantom")
    desk.run("tiny-mask")
    desk.dock.tabs.setCurrentIndex(2)
    desk.idle(0.05)
    yield desk
    desk.dock.doubts.kind = "undecided"


def give_doubt(desk, *cubes: tuple[tuple[slice, slice, slice], int]) -> None:
    """Give the result another uncertainty map."""
    mask, session = desk.dock.layers.mask, desk.dock.session
    doubt = np.zeros(mask.data.shape, np.uint8)
    for box, value in cubes:
        doubt[box] = value
    how = mask.metadata["medcnn"]["how"]
    session.result = replace(session.result, uncertainty=how.inverse.apply(doubt))


def said(desk) -> str:
    return desk.dock.correct.message.text()


def press(desk, key, *modifiers) -> str:
    desk.key(key, *modifiers)
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.02)
    return said(desk)


def shown(desk) -> tuple[int, ...]:
    """Return the voxel that the views share."""
    return tuple(round(float(v)) for v in desk.dock.layers.mask.world_to_data(desk.dock.views.place))


# middles in (z, y, x); the first is the largest
CUBES = (
    (np.s_[4:9, 30:41, 30:41], 255), (np.s_[12:17, 50:59, 60:69], 255), (np.s_[2:7, 70:77, 20:27], 255),
)  # fmt: skip
MIDDLES = ((6, 35, 35), (14, 54, 64), (4, 73, 23))


def near(place: tuple[int, ...], middle: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 1 for a, b in zip(place, middle, strict=True))


def test_n_goes_from_spot_to_spot_in_every_view_and_round_the_end(bench) -> None:
    give_doubt(bench, *CUBES)
    panes = bench.four()
    words = press(bench, Qt.Key.Key_N)
    mask, spot = bench.dock.layers.mask.data, np.zeros(bench.dock.layers.mask.data.shape, bool)
    spot.flat[bench.dock.doubts.spots[0].voxels] = True
    classes = set(mask[ndimage.binary_dilation(spot, np.ones((3, 3, 3)))].tolist())
    assert len(classes) == 1 and 0 not in classes  # the largest cube lies inside what the model found
    assert words == f"Doubtful spot 1 of 3: {spot.sum() * 3.0 * 0.8 * 0.8 / 1000:.3g} ml, inside bright"
    assert near(shown(bench), MIDDLES[0])
    for pane in panes[:3]:
        frame = pane.frame()
        at = bench.dock.layers.mask.data_to_world(bench.dock.doubts.spots[0].place)
        assert frame.depth == pytest.approx(float(at[frame.depth_axis]))
    assert press(bench, Qt.Key.Key_N).startswith("Doubtful spot 2 of 3") and near(shown(bench), MIDDLES[1])
    assert press(bench, Qt.Key.Key_N).startswith("Doubtful spot 3 of 3") and near(shown(bench), MIDDLES[2])
    assert press(bench, Qt.Key.Key_N).startswith("Doubtful spot 1 of 3")
    assert press(bench, Qt.Key.Key_N, SHIFT).startswith("Doubtful spot 3 of 3")


def test_a_spot_with_a_stroke_or_enter_is_done_and_left_out(bench) -> None:
    give_doubt(bench, *CUBES)
    press(bench, Qt.Key.Key_N)
    before = bench.dock.layers.mask.data.copy()
    x, y = bench.dock.views.panes[0].frame().to_canvas(bench.dock.views.place)
    bench.key(Qt.Key.Key_E)  # the spot lies inside what the model found
    bench.drag((x - 4, y), (x + 4, y))
    assert not np.array_equal(before, bench.dock.layers.mask.data)
    assert press(bench, Qt.Key.Key_N).startswith("Doubtful spot 2 of 3")
    assert bench.dock.doubts.done == {0}
    assert press(bench, Qt.Key.Key_Return) == "Doubtful spot 2 is done, 1 left; N goes on."
    assert press(bench, Qt.Key.Key_N).startswith("Doubtful spot 3 of 3")
    assert press(bench, Qt.Key.Key_N).startswith("Doubtful spot 3 of 3")  # the only one left
    assert press(bench, Qt.Key.Key_Return) == "Doubtful spot 3 is done, 0 left."
    assert press(bench, Qt.Key.Key_N) == "All 3 spots are done."


def test_what_is_said_where_there_is_nothing_to_go_to(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    words = press(desk, Qt.Key.Key_N)
    assert "run a model on the AI tab" in words and words.endswith("press N again.")
    desk.run("tiny-mask")
    desk.dock.tabs.setCurrentIndex(2)
    assert "choose Uncertainty: From the scores" in press(desk, Qt.Key.Key_N)  # what was run kept none
    give_doubt(desk)
    assert press(desk, Qt.Key.Key_N) == "The model was sure everywhere; there is no doubtful spot."


def test_spots_changed_by_hand_are_where_the_mask_is_not_the_models(bench) -> None:
    dock = bench.dock
    mask = dock.layers.mask
    label = dock.session.labels.ids[0]
    model = mask.data.copy()
    box = np.s_[5:8, 40:50, 40:50]
    dock.strokes.change("Test", box, np.where(model[box] == 0, label, 0).astype(model.dtype))
    dock.doubts.use(DIFFERING)
    bench.until(lambda: not dock.tasks.names())
    name, ml = dock.session.labels.name_of(label), 300 * 3.0 * 0.8 * 0.8 / 1000
    assert said(bench) == f"Changed spot 1 of 1: {ml:.3g} ml, {name} or background"
    np.testing.assert_array_equal(dock.doubts.spots[0].voxels, np.flatnonzero(mask.data != model))
    bench.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert press(bench, Qt.Key.Key_N) == "The mask is what the model drew; there is no difference to look at."


def test_looking_can_be_cancelled_from_the_header_and_begun_again(bench, monkeypatch) -> None:
    give_doubt(bench, *CUBES)
    header, going, go = bench.dock.header, threading.Event(), threading.Event()

    def slow(*given, real=doubts.undecided):
        going.set()
        assert go.wait(60)
        given[-1](0, 1)  # as it tells how far it is
        return real(*given)

    monkeypatch.setattr(doubts, "undecided", slow)
    bench.key(Qt.Key.Key_N)
    bench.until(lambda: going.is_set() and header.cancel.isVisible())
    bench.click(header.cancel)
    go.set()
    bench.until(lambda: not bench.dock.tasks.names())
    assert said(bench) == f"{doubts.LOOKING} was cancelled; N looks again." and not header.cancel.isVisible()
    assert bench.dock.doubts.spots == ()
    assert press(bench, Qt.Key.Key_N).startswith("Doubtful spot 1 of 3")
