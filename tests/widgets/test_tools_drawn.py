"""Tools that are drawn with, by real mouse and keys: lasso, region grow, model in a box, fill; in every flat view."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from scipy import ndimage

pytestmark = pytest.mark.gui
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NOTHING = Qt.MouseButton.NoButton
NONE, CTRL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def bench(desk):
    """The phantom with an empty mask."""
    desk.open("phantom")
    desk.empty_mask()
    yield desk
    desk.dock.toolbox.hand.disarm()
    desk.dock.session.lock_classes(frozenset())


def pane_of(desk: Any, name: str = "main") -> Any:
    return next(each for each in desk.dock.views.panes if each.name == name)


def pixel(desk: Any, voxel: tuple[float, float, float], pane: str = "main") -> tuple[float, float]:
    """Return where a voxel index is on a view."""
    return pane_of(desk, pane).frame().to_canvas(tuple(desk.dock.layers.mask.data_to_world(voxel)))


def click(desk: Any, voxel: Any, held: Any = NONE, pane: str = "main") -> None:
    at = pixel(desk, voxel, pane)
    desk.drag(at, at, LEFT, held, steps=1, pane=pane)


def drag_along(desk: Any, voxels: list[Any], held: Any = NONE, pane: str = "main") -> None:
    """Press at the first voxel, go in steps from one to the next, let go at the last."""
    stops = [np.array(pixel(desk, voxel, pane)) for voxel in voxels]
    kinds = QEvent.Type
    desk.mouse(kinds.MouseMove, tuple(stops[0]), NOTHING, NOTHING, held, pane)
    desk.mouse(kinds.MouseButtonPress, tuple(stops[0]), LEFT, LEFT, held, pane)
    for start, end in itertools.pairwise(stops):
        for share in (0.25, 0.5, 0.75, 1.0):
            desk.mouse(kinds.MouseMove, tuple(start + share * (end - start)), NOTHING, LEFT, held, pane)
            desk.idle(0.02)  # vispy leaves out moves that follow each other more quickly
    desk.mouse(kinds.MouseButtonRelease, tuple(stops[-1]), LEFT, NOTHING, held, pane)
    desk.idle(0.05)


def finished(desk: Any) -> None:
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.02)


def said(desk: Any) -> str:
    return desk.dock.correct.message.text()


def shown_slice(desk: Any) -> int:
    return int(desk.viewer.dims.current_step[0])


def put(desk: Any, box: Any, label: int) -> np.ndarray:
    """Give a box to a class; return a copy of the mask."""
    mask = desk.dock.layers.mask
    box = tuple(slice(*part.indices(n)) for part, n in zip(box, mask.data.shape, strict=True))
    desk.dock.strokes.change("Test", box, np.full(mask.data[box].shape, label, np.uint8))
    return mask.data.copy()


def names(desk: Any) -> tuple[str, ...]:
    return desk.dock.strokes.history.names


#: An L of 10 x 20 and 5 x 10 voxels; its corners lie between voxels, so that no half pixel changes what is inside.
L_SHAPE = ((29.5, 39.5), (29.5, 59.5), (39.5, 59.5), (39.5, 49.5), (44.5, 49.5), (44.5, 39.5))


def of_l(shape: tuple[int, ...]) -> np.ndarray:
    """Return the voxels (y, x) of the L: 250 by hand."""
    inside = np.zeros(shape, bool)
    inside[30:40, 40:60] = inside[40:45, 40:50] = True
    assert inside.sum() == 10 * 20 + 5 * 10
    return inside


def test_polygon_by_clicks_fills_what_a_hand_counts_and_undo_is_identity(bench) -> None:
    mask, z = bench.dock.layers.mask, shown_slice(bench)
    bench.key(Qt.Key.Key_A)
    tool = bench.dock.toolbox.hand.armed
    assert tool.name == "lasso" and bench.dock.correct.tools.checkedButton().text() == "Lasso"
    for y, x in L_SHAPE[:3]:
        click(bench, (z, y, x))
    click(bench, (z, 80.5, 80.5))  # a slip
    bench.key(Qt.Key.Key_Backspace)
    for y, x in L_SHAPE[3:]:
        click(bench, (z, y, x))
    assert not mask.data.any(), "nothing is written before it is finished"
    bench.key(Qt.Key.Key_Return)
    expected = np.zeros_like(mask.data)
    expected[z][of_l(mask.data.shape[1:])] = 1
    np.testing.assert_array_equal(mask.data, expected)
    assert names(bench) == ("Lasso",) and said(bench) == "Lasso: 1 slice, 0.48 ml more of Class 1"  # 250 x 1.92 mm3
    # with Ctrl, finished by a double-click: the foot of the L goes
    for y, x in ((39.5, 30.5), (39.5, 70.5), (50.5, 70.5)):
        click(bench, (z, y, x), CTRL)
    at = pixel(bench, (z, 50.5, 30.5))
    for kind, button in ((QEvent.Type.MouseButtonPress, LEFT), (QEvent.Type.MouseButtonDblClick, LEFT)):
        bench.mouse(kind, at, button, LEFT, CTRL)
        bench.mouse(QEvent.Type.MouseButtonRelease, at, LEFT, NOTHING, CTRL)
    bench.idle(0.05)
    expected[z, 40:45] = 0
    np.testing.assert_array_equal(mask.data, expected)
    assert names(bench) == ("Lasso", "Lasso") and bench.dock.views.layout == "one", "no view was made large or small"
    bench.key(Qt.Key.Key_Z, CTRL)
    bench.key(Qt.Key.Key_Z, CTRL)
    assert not mask.data.any() and bench.dock.strokes.counts == {}


def test_lasso_in_the_second_view_leaves_a_locked_class_and_the_other_slices_alone(bench) -> None:
    bench.four()
    mask, second = bench.dock.layers.mask, pane_of(bench, "second")
    axis = second.frame().depth_axis
    assert axis != 0
    bench.dock.session.add_class("Wall")
    at = [8, 60, 60]
    bench.dock.views.go_to(tuple(mask.data_to_world(at)))
    bench.idle(0.05)
    before = put(bench, np.s_[4:6, 50:70, 50:70], 2)
    bench.dock.session.lock_classes(frozenset({2}))
    bench.dock.session.choose_class(1)
    bench.key(Qt.Key.Key_A, pane="second")
    across = 3 - axis  # the view shows z and this one
    corners = []
    for z, v in ((2.5, 45.5), (2.5, 75.5), (9.5, 75.5), (9.5, 45.5)):
        corner = [z, float(at[1]), float(at[2])]
        corner[across] = v
        corners.append(tuple(corner))
    drag_along(bench, corners, pane="second")
    inside = np.zeros(before.shape, bool)
    box: list[Any] = [slice(3, 10), slice(46, 76), slice(46, 76)]
    box[axis] = at[axis]
    inside[tuple(box)] = True
    assert inside.sum() == 7 * 30
    expected = np.where(inside & (before != 2), 1, before)
    np.testing.assert_array_equal(mask.data, expected)
    assert bench.dock.strokes.counts == {1: 7 * 30 - 2 * 20, 2: 800} and names(bench)[-1] == "Lasso"
    bench.dock.session.choose_class(2)
    drag_along(bench, corners, pane="second")
    np.testing.assert_array_equal(mask.data, expected)
    assert said(bench) == "Wall is locked; unlock it in the class table to change it."
    bench.dock.session.choose_class(1)
    bench.dock.views.show_one()


def test_what_is_begun_is_given_up_by_esc_and_other_gestures_stay_what_they_are(bench) -> None:
    mask, z = bench.dock.layers.mask, shown_slice(bench)
    hand = bench.dock.toolbox.hand
    bench.key(Qt.Key.Key_A)
    click(bench, (z, 30.0, 30.0))
    click(bench, (z, 30.0, 60.0))
    bench.key(Qt.Key.Key_Return)
    assert "three corners" in said(bench)
    bench.wheel(-1)
    assert shown_slice(bench) == z + 1, "the wheel is the slices'"
    click(bench, (z + 1, 60.0, 60.0))
    assert f"slice {z + 1}" in said(bench) and not mask.data.any()
    centre = tuple(bench.viewer.scene.camera.center)
    window = bench.dock.layers.scan.contrast_limits
    x, y = bench.centre()
    bench.drag((x, y), (x + 40, y + 30), RIGHT)
    assert bench.dock.layers.scan.contrast_limits != window
    QTest.keyPress(bench.native, Qt.Key.Key_Space)
    bench.drag((x, y), (x + 40, y + 30))
    QTest.keyRelease(bench.native, Qt.Key.Key_Space)
    assert tuple(bench.viewer.scene.camera.center) != centre, "Space moves the picture"
    bench.key(Qt.Key.Key_Escape)
    assert hand.armed is not None
    bench.key(Qt.Key.Key_Escape)
    assert hand.armed is None and str(mask.mode) == "paint" and not mask.data.any() and names(bench) == ()
    bench.key(Qt.Key.Key_A)
    bench.key(Qt.Key.Key_E)
    assert hand.armed is None and str(mask.mode) == "erase", "another tool puts it away"
    bench.key(Qt.Key.Key_A)
    bench.key(Qt.Key.Key_T)
    assert hand.armed is None and bench.dock.mode == "Read"


def oracle(desk: Any, seed: tuple[int, int, int], tolerance: float, radius: float, free: np.ndarray) -> np.ndarray:
    """Return the connected voxels near in value and in space, by scipy."""
    scan = desk.dock.layers.scan.data.astype(float)
    grid = np.indices(scan.shape)
    away = sum(((g - s) * mm) ** 2 for g, s, mm in zip(grid, seed, (3.0, 0.8, 0.8), strict=True))
    fits = (np.abs(scan - scan[seed]) <= tolerance) & (away <= radius**2 * 1.0002) & free
    found = ndimage.label(fits)[0]
    return found == found[seed]


@pytest.mark.parametrize("where", ["main", "second"])
def test_region_is_what_scipy_finds_and_the_wheel_changes_it(bench, where) -> None:
    if where == "second":
        bench.four()
    mask, box = bench.dock.layers.mask, bench.dock.toolbox
    bench.dock.session.add_class("Wall")
    z = shown_slice(bench)
    before = put(bench, np.s_[:, :, 70:72], 2)
    bench.dock.session.lock_classes(frozenset({2}))
    bench.dock.session.choose_class(1)
    seed = (z, 60, 60)
    bench.dock.views.go_to(tuple(mask.data_to_world(seed)))
    bench.idle(0.05)
    bench.key(Qt.Key.Key_R, pane=where)
    tool, form = box.hand.armed, bench.dock.correct.form
    assert tool.name == "grow" and form.title.text() == "Region grow: Class 1"
    click(bench, seed, pane=where)
    finished(bench)
    first = tool.tolerance
    assert tool.levels is not None and (mask.data == before).all()
    place = bench.dock.views.place
    bench.wheel(3, pane=where, at=pixel(bench, seed, where))
    assert tool.tolerance > first and bench.dock.views.place == place, "the wheel is the tolerance's"
    assert form.values()["tolerance"] == tool.tolerance and "Values from" in form.words.text()
    region = oracle(bench, seed, tool.tolerance, 30.0, before != 2)
    assert 100 < region.sum() < 300_000
    shown = np.zeros(before.shape, bool)
    edit = tool.preview.edit
    shown[edit.box] = edit.before != edit.after
    np.testing.assert_array_equal(shown, region & (before != 1))
    click(bench, seed, pane=where)  # again: it is taken
    expected = np.where(region, 1, before)
    np.testing.assert_array_equal(mask.data, expected)
    assert names(bench)[-1] == "Region grow" and tool.levels is None and tool.preview.edit is None
    bench.key(Qt.Key.Key_Z, CTRL, pane=where)
    np.testing.assert_array_equal(mask.data, before)
    bench.dock.views.go_to(tuple(mask.data_to_world(seed)))  # undo went to where it changed something
    click(bench, seed, pane=where)
    finished(bench)
    field = form._numbers[0]
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, "25")
    QTest.keyClick(field, Qt.Key.Key_Return)
    np.testing.assert_array_equal(mask.data, np.where(oracle(bench, seed, 25, 30.0, before != 2), 1, before))
    bench.key(Qt.Key.Key_Z, CTRL, pane=where)
    click(bench, seed, pane=where)
    finished(bench)
    bench.key(Qt.Key.Key_Escape, pane=where)
    assert tool.levels is None and box.hand.armed is tool
    bench.key(Qt.Key.Key_Escape, pane=where)
    assert box.hand.armed is None and not form.box.isVisible()
    np.testing.assert_array_equal(mask.data, before)
    if where == "second":
        bench.dock.views.show_one()


def test_the_model_is_accepted_or_rejected_in_a_box(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    desk.key(Qt.Key.Key_B)
    assert "no model has drawn" in said(desk) and desk.dock.toolbox.hand.armed is None
    desk.run("tiny-mask")
    desk.dock.tabs.setCurrentIndex(2)
    desk.idle(0.05)
    mask = desk.dock.layers.mask
    model = mask.data.copy()
    z = int(np.argmax((model > 0).sum(axis=(1, 2))))
    desk.dock.views.go_to(tuple(mask.data_to_world((z, 64, 64))))
    ys, xs = (np.unique(i) for i in np.nonzero(model[z]))
    y, x = int(ys[len(ys) // 2]), int(xs[len(xs) // 2])
    wiped = put(desk, np.s_[:, :, :], 0)
    desk.key(Qt.Key.Key_B)
    tool = desk.dock.toolbox.hand.armed

    def ask() -> Any:
        desk.drag(pixel(desk, (z, y - 8.5, x - 8.5)), pixel(desk, (z, y + 8.5, x + 8.5)))
        return tool.menu

    def choose(words: str, nth: int) -> None:
        menu = ask()
        action = [each for each in menu.actions() if each.text() == words][nth]
        menu.setActiveAction(action)
        QTest.keyClick(menu, Qt.Key.Key_Return)
        finished(desk)

    here = np.zeros(model.shape, bool)
    here[z, y - 8 : y + 9, x - 8 : x + 9] = True
    assert model[here].any()
    assert [each.text() for each in ask().actions() if each.isEnabled() and each.text()] == 2 * [
        "Accept the model here", "Reject the model here",
    ]  # fmt: skip
    QTest.keyClick(tool.menu, Qt.Key.Key_Escape)
    desk.until(lambda: tool.menu is None)
    np.testing.assert_array_equal(mask.data, wiped)
    choose("Accept the model here", 0)
    np.testing.assert_array_equal(mask.data, np.where(here, model, 0))
    choose("Accept the model here", 1)
    column = np.broadcast_to(here.any(axis=0), model.shape)
    np.testing.assert_array_equal(mask.data, np.where(column, model, 0))
    by_hand = np.argwhere(here & (model == 0))[:1]
    if len(by_hand):  # what somebody drew is not the model's
        put(desk, tuple(slice(int(i), int(i) + 1) for i in by_hand[0]), 1)
    kept = mask.data.copy()
    choose("Reject the model here", 0)
    np.testing.assert_array_equal(mask.data, np.where(here & (kept == model), 0, kept))
    assert names(desk)[-1] == "Reject the model here"
    desk.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, kept)
    desk.dock.toolbox.hand.disarm()


@pytest.mark.parametrize("where", ["main", "third"])
def test_fill_takes_the_hole_under_a_click_in_the_slice_or_in_3d(bench, where) -> None:
    if where != "main":
        bench.four()
    mask = bench.dock.layers.mask
    bench.dock.session.add_class("Wall")
    at = (10, 60, 60)
    bench.dock.views.go_to(tuple(mask.data_to_world(at)))
    put(bench, np.s_[6:15, 50:71, 50:71], 1)
    put(bench, np.s_[8:13, 55:66, 55:66], 0)
    before = put(bench, np.s_[10:11, 60:61, 62:63], 2)
    bench.dock.session.choose_class(1)
    bench.idle(0.05)
    hole = before[8:13, 55:66, 55:66] == 0
    bench.key(Qt.Key.Key_F, pane=where)
    click(bench, at, pane=where)
    finished(bench)
    axis = pane_of(bench, where).frame().depth_axis
    expected = before.copy()
    plane: list[Any] = [slice(None)] * 3
    plane[axis] = at[axis]
    part = expected[tuple(plane)]
    part[part == 0] = np.where(ndimage.binary_fill_holes(part > 0), 1, 0)[part == 0]
    np.testing.assert_array_equal(mask.data, expected)
    assert names(bench)[-1] == "Fill" and str(mask.mode) == "fill"
    bench.key(Qt.Key.Key_Z, CTRL, pane=where)
    np.testing.assert_array_equal(mask.data, before)
    bench.key(Qt.Key.Key_F, pane=where)
    assert "3D" in said(bench)
    click(bench, at, pane=where)
    finished(bench)
    expected = before.copy()
    expected[8:13, 55:66, 55:66][hole] = 1
    np.testing.assert_array_equal(mask.data, expected)
    bench.dock.session.lock_classes(frozenset({1}))
    bench.dock.session.choose_class(2)
    click(bench, at, pane=where)
    finished(bench)
    np.testing.assert_array_equal(mask.data, expected)
    assert "is locked" in said(bench)
    bench.dock.session.lock_classes(frozenset())
    bench.key(Qt.Key.Key_F, pane=where)
    click(bench, (2, 20, 20) if where == "main" else (10, 5, 60), pane=where)
    finished(bench)
    assert "would fill nearly everything" in said(bench)
    np.testing.assert_array_equal(mask.data, expected)
    bench.key(Qt.Key.Key_P, pane=where)
    if where != "main":
        bench.dock.views.show_one()
