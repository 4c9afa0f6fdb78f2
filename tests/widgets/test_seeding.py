"""Marks with real drags, Enter, Backspace and Esc: what grows from them is what scikit-image makes of the same box."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from scipy import ndimage
from skimage.segmentation import watershed

from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.annotation.tools.refine import Refining, Thought, refine
from napari_medcnn.annotation.tools.walk import Walk
from napari_medcnn.widgets.tools import place, seeding
from napari_medcnn.widgets.tools.scribbles import BACKGROUND
from napari_medcnn.widgets.tools.seeding import GROW, REFINE

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier
SPACING = (3.0, 0.8, 0.8)  # of the phantom


@pytest.fixture
def bench(desk):
    """The phantom with an empty mask."""
    desk.open("phantom")
    desk.empty_mask()
    yield desk
    desk.key(Qt.Key.Key_Escape)
    desk.key(Qt.Key.Key_Escape)
    desk.dock.session.lock_classes(frozenset())
    desk.dock.toolbox._remembered.clear()


def take(desk, words: str) -> None:
    """Choose a tool in the list with keys."""
    desk.key(Qt.Key.Key_K, CTRL)
    QTest.keyClicks(desk.dock.toolbox.finder.search, words)
    QTest.keyClick(desk.dock.toolbox.finder.search, Qt.Key.Key_Return)
    desk.until(lambda: desk.dock.toolbox.finder is None)


def pixel(desk, voxel, pane=None) -> tuple[float, float]:
    pane = pane or desk.dock.views.panes[0]
    return pane.frame().to_canvas(tuple(desk.dock.layers.mask.data_to_world(voxel)))


def mark(desk, key, start, end, pane=None) -> None:
    """Draw a mark between two voxels with the class of a key."""
    desk.key(key)
    desk.drag(pixel(desk, start, pane), pixel(desk, end, pane), pane=pane)


def wait(desk) -> None:
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.02)


def in_scan(desk) -> tuple[int, int, int]:
    """Return a voxel in the middle of the shown slice."""
    _z, y, x = desk.dock.layers.mask.data.shape
    return int(desk.viewer.dims.current_step[0]), y // 2, x // 2


def grown_by_skimage(scan: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return ids of a box: the size of the gradient of the scan, averaged over 1 mm, flooded from the seeds."""
    soft = ndimage.gaussian_filter(scan.astype(np.float32), [1 / s for s in SPACING], mode="nearest")
    steep = np.sqrt(sum(np.square(g) for g in np.gradient(soft, *SPACING)))
    return np.where((grown := watershed(steep, seeds)) == BACKGROUND, 0, grown)


def test_marks_in_two_slices_and_views_grow_into_what_scikit_image_makes_of_the_box(bench) -> None:
    dock = bench.dock
    main, second, _third, _volume = bench.four()
    mask = dock.layers.mask
    z, y, x = in_scan(bench)
    take(bench, "grow seeds")
    tool = dock.seeding.tools[GROW]
    assert dock.toolbox.hand.armed is tool and dock.correct.form.title.text() == "Grow from seeds: Class 1"
    mark(bench, Qt.Key.Key_1, (z, y, x - 6), (z, y, x + 6), main)
    bench.key(Qt.Key.Key_Down)
    mark(bench, Qt.Key.Key_0, (z + 1, y - 20, x - 20), (z + 1, y - 20, x + 20), main)
    axis = second.frame().depth_axis
    across = [z, y, x]
    across[axis] = round(float(mask.world_to_data([second.frame().depth] * 3)[axis]))
    end = across.copy()
    end[0] += 2
    mark(bench, Qt.Key.Key_1, across, end, second)
    assert len(tool.marks) == 3 and tool.marks.labels == (0, 1)
    assert tuple(across) in {tuple(v) for v in tool.marks._marks[2].voxels.tolist()}
    assert not mask.data.any() and not dock.strokes.history.names  # marks are not in the mask
    box, seeds = tool.marks.seeds(10.0, SPACING)
    expected = np.zeros_like(mask.data)
    expected[box] = grown_by_skimage(dock.layers.scan.data[box], seeds)
    bench.key(Qt.Key.Key_Return)
    wait(bench)
    assert dock.toolbox.preview.edit is not None and not mask.data.any()
    bench.key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(mask.data, expected)
    assert expected.any() and dock.strokes.history.names == ("Grow from seeds",)
    assert not len(tool.marks)  # they have done their work
    bench.key(Qt.Key.Key_Z, CTRL)
    assert not mask.data.any() and not len(tool.marks)


def test_backspace_takes_marks_back_and_escape_leaves_nothing(bench) -> None:
    dock, mask = bench.dock, bench.dock.layers.mask
    z, y, x = in_scan(bench)
    take(bench, "grow seeds")
    tool, form = dock.seeding.tools[GROW], dock.correct.form
    bench.key(Qt.Key.Key_Return)
    assert "Draw a mark first" in dock.correct.message.text()
    mark(bench, Qt.Key.Key_1, (z, y, x - 6), (z, y, x + 6))
    bench.key(Qt.Key.Key_Return)
    wait(bench)
    assert "strokes of two classes or more" in form.words.text() and dock.toolbox.preview.edit is None
    bench.drag(pixel(bench, (z, y - 20, x)), pixel(bench, (z, y - 20, x + 9)), modifiers=CTRL)  # background
    assert tool.marks.labels == (0, 1)
    bench.key(Qt.Key.Key_Return)
    wait(bench)
    assert dock.toolbox.preview.edit is not None
    bench.key(Qt.Key.Key_Backspace)  # what was shown was of other marks
    assert tool.marks.labels == (1,) and dock.toolbox.preview.edit is None
    mark(bench, Qt.Key.Key_0, (z, y - 20, x), (z, y - 20, x + 9))
    bench.key(Qt.Key.Key_Return)
    wait(bench)
    bench.key(Qt.Key.Key_Escape)  # the preview
    assert dock.toolbox.preview.edit is None and len(tool.marks) == 2
    bench.key(Qt.Key.Key_Escape)  # the tool
    assert dock.toolbox.hand.armed is None and not len(tool.marks) and form.tool is None
    assert not mask.data.any() and not dock.strokes.history.names


def test_locked_classes_stay_and_escape_stops_what_runs(bench, monkeypatch) -> None:
    dock, mask = bench.dock, bench.dock.layers.mask
    z, y, x = in_scan(bench)
    dock.session.add_class("Finished")
    wall = np.s_[z : z + 1, y - 3 : y + 4, x + 10 : x + 14]
    dock.strokes.change("Test", wall, np.full((1, 7, 4), 2, np.uint8))
    dock.session.lock_classes(frozenset({2}))
    take(bench, "grow seeds")
    tool = dock.seeding.tools[GROW]
    mark(bench, Qt.Key.Key_2, (z, y, x - 6), (z, y, x + 6))
    assert not len(tool.marks) and "Finished is locked" in dock.correct.message.text()
    mark(bench, Qt.Key.Key_1, (z, y, x - 6), (z, y, x + 12))  # its end lies on the locked class
    mark(bench, Qt.Key.Key_0, (z, y - 20, x - 20), (z, y - 20, x + 20))
    grow = seeding.grow_seeds
    begun = threading.Event()

    def endless(*given) -> None:
        while True:
            given[5](1, 3)
            begun.set()
            time.sleep(0.005)

    monkeypatch.setattr(seeding, "grow_seeds", endless)
    bench.key(Qt.Key.Key_Return)
    bench.until(begun.is_set)
    bench.key(Qt.Key.Key_Escape)  # what runs is stopped; the marks stay
    wait(bench)
    assert len(tool.marks) == 2 and not (mask.data == 1).any() and dock.toolbox.preview.edit is None
    monkeypatch.setattr(seeding, "grow_seeds", grow)
    bench.key(Qt.Key.Key_Return)
    wait(bench)
    bench.key(Qt.Key.Key_Return)
    assert (mask.data == 1).any() and (mask.data[wall] == 2).all() and (mask.data == 2).sum() == 28


def test_scribbles_refine_with_the_probabilities_of_the_model(bench, monkeypatch) -> None:
    """The model holds a bar for half a class; a mark on it grows as far as the model and the scan allow."""
    dock = bench.dock
    bench.run("tiny-mask")
    dock.tabs.setCurrentIndex(2)
    z, y, x = in_scan(bench)
    mask, label = dock.layers.mask, dock.session.labels.ids[0]
    whole = tuple(slice(0, n) for n in mask.data.shape)
    dock.strokes.change("Test", whole, np.zeros_like(mask.data))
    scores = np.zeros((*mask.data.shape, 2), np.float32)
    scores[..., 0], scores[..., 1] = 0.99, 0.01
    bar = np.s_[z - 1 : z + 2, y - 2 : y + 3, x - 8 : x + 9]
    scores[bar] = [0.52, 0.48]
    turned = mask.metadata["medcnn"]["how"].inverse
    names = ("background", dock.session.labels.name_of(label))
    kept = dock.session.result
    dock.session.result = replace(kept, probabilities=turned.apply(scores, "zyxc"), channel_names=names)
    even = np.zeros(mask.data.shape, np.float32)  # no border in the scan: marks and model alone decide
    monkeypatch.setattr(place, "values_of", lambda _dock: even)
    take(bench, "refine")
    assert "were not kept" not in dock.correct.message.text()
    mark(bench, getattr(Qt.Key, f"Key_{label}"), (z, y, x - 5), (z, y, x + 5))
    stroke = dock.seeding.tools[REFINE].marks._marks[0].voxels
    bench.key(Qt.Key.Key_Return)
    wait(bench)
    bench.key(Qt.Key.Key_Return)
    assert dock.strokes.history.names[-1] == "Refine by scribbles"
    # the tool itself on the whole scan: what it does is tested against scikit-image with the other tools
    scribbles, empty = np.zeros(mask.data.shape, np.int32), Mask(np.zeros_like(mask.data), SPACING)
    scribbles[tuple(stroke.T)] = label
    how = Refining(10, walk=Walk(gamma=(0.8 / 5) ** 2))  # a mark reaches 5 mm, of voxels of 0.8 mm
    with_model = refine(empty, even, scribbles, how, Thought((0, label), scores))
    without = refine(empty, even, scribbles, how)
    expected, other = np.zeros_like(mask.data), np.zeros_like(mask.data)
    with_model.apply(expected)
    without.apply(other)
    np.testing.assert_array_equal(mask.data, expected)
    assert len(np.unique(stroke[:, 2])) >= 11 and np.count_nonzero(expected) > len(stroke)
    assert not np.array_equal(expected, other)  # so the model counted
    assert dock.toolbox.hand.armed.name == REFINE
