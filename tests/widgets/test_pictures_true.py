"""A picture is as large as was promised, shows every view of one moment, and the window lives while it is made."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QTimer

from dicom_files import uid, write_series
from napari_medcnn.io import burned_in
from napari_medcnn.widgets.hand_on import render
from napari_medcnn.widgets.hand_on.ask import PictureDialog
from napari_medcnn.widgets.hand_on.wishes import PictureWish
from napari_medcnn.widgets.volume_view.graphics import graphics_of
from reading_hands import saved_picture

pytestmark = pytest.mark.gui


def opened(desk, folder: Path, grey: int, **tags: object) -> None:
    """A CT of one grey, of a named patient."""
    voxels = np.full((6, 40, 50), grey, np.int16)
    write_series(folder, voxels, (3.0, 0.8, 0.7), tags={"WindowCenter": "500", "WindowWidth": "1000", **tags})
    desk.dock.open_path(folder)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.1)


def said_size(dialog: PictureDialog, index: int) -> tuple[int, int]:
    width, _, height = dialog.size_.itemText(index).rpartition(": ")[2].removesuffix(" px").partition(" x ")
    return (int(width), int(height))


def test_the_dialog_says_how_large_the_file_will_be(desk, tmp_path: Path) -> None:
    """With two rows of classes below, in 2x2 and for the one view under the mouse, with and without names."""
    opened(desk, tmp_path / "dicom", 300)
    desk.empty_mask()
    dock = desk.dock
    for number in range(2, 8):
        dock.session.add_class(f"A class with a long name, number {number}")
    for number in range(1, 8):
        dock.layers.mask.data[:, 4 * number : 4 * number + 3, 10:40] = number
    dock.tabs.setCurrentIndex(0)
    desk.four()
    desk.until(lambda: not dock.tasks.names())
    dock.views.active = dock.views.pane("second")
    saved_picture(desk, tmp_path / "first.png", scale=1)
    dialog = PictureDialog(dock.dialogs.offered)
    sizes = set()
    for all_views, scale, names in ((True, 1, False), (True, 2, True), (False, 1, True), (False, 2, False)):
        dialog.views.setCurrentIndex(0 if all_views else 1)
        dialog.names.setChecked(names)
        made = saved_picture(desk, tmp_path / "a.png", all_views=all_views, scale=scale, names=names)
        assert said_size(dialog, scale - 1) == (made.shape[1], made.shape[0])
        assert f"{made.shape[1]} x {made.shape[0]} px" in dock.message.text()
        sizes.add(made.shape)
    assert len(sizes) == 4
    dialog.deleteLater()


def test_the_window_lives_between_the_views_and_the_picture_is_of_one_moment(
    desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = np.repeat(np.arange(0, 1000, 40, dtype=np.int16)[:, None, None], 40, axis=1).repeat(40, axis=2)
    write_series(tmp_path / "dicom", voxels, tags={"WindowCenter": "500", "WindowWidth": "1000"})
    dock = desk.dock
    dock.open_path(tmp_path / "dicom")
    desk.until(lambda: dock.session.scan is not None and not dock.tasks.names())
    desk.four()
    desk.until(lambda: not dock.tasks.names())
    drawn, beats, draw = [], [], render.view_picture
    beat = QTimer()
    beat.setInterval(0)
    beat.timeout.connect(lambda: beats.append(len(drawn)))

    def drawing(views, pane, scale=1.0):
        drawn.append((pane.name, threading.current_thread() is threading.main_thread()))
        return draw(views, pane, scale)

    monkeypatch.setattr(render, "view_picture", drawing)
    beat.start()
    still = saved_picture(desk, tmp_path / "a.png", scale=2)
    beat.stop()
    assert [name for name, _main in drawn] == ["main", "second", "third", "volume"]
    assert {1, 2, 3} <= set(beats)  # the event loop ran after every view
    drawn.clear()
    desk.dock.dialogs.picture_wish = PictureWish(tmp_path / "b.png", scale=2)
    dock.say("")
    dock.reading.handing_on.picture()
    desk.until(lambda: len(drawn) == 2)
    dock.views.move(3, dock.views.pane("main"))  # the reader goes on: other views show another slice than the first
    desk.until(lambda: dock.message.text().startswith("Saved: "), 60)
    monkeypatch.setattr(render, "view_picture", draw)
    with Image.open(tmp_path / "b.png") as picture:
        moved = np.asarray(picture)
    assert np.array_equal(moved, saved_picture(desk, tmp_path / "c.png", scale=2))
    assert not np.array_equal(moved, still)


def test_side_by_side_is_in_the_picture_and_headers_are_looked_at_in_a_task(
    desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"SeriesInstanceUID": uid("other"), "SeriesNumber": 6, "SeriesDescription": "Zyxwvut Bone"}
    opened(desk, tmp_path / "1", 250, PatientName="Zyxwvut^Quentin")
    write_series(tmp_path / "2", np.full((6, 40, 50), 750, np.int16), (3.0, 0.8, 0.7), tags={
        **other, "PatientName": "Zyxwvut^Quentin", "BurnedInAnnotation": "YES", "WindowCenter": "500",
        "WindowWidth": "1000",
    })  # fmt: skip
    dock = desk.dock
    dock.session.opening.beside([tmp_path / "2"])
    desk.until(lambda: dock.session.beside and not dock.tasks.names())
    dock.reading.second_series.show_newest()
    desk.idle(0.3)
    looked, look = [], burned_in.reasons

    def looking(*args):
        looked.append(threading.current_thread() is threading.main_thread())
        return look(*args)

    monkeypatch.setattr(burned_in, "reasons", looking)
    pixels = saved_picture(desk, tmp_path / "a.png", scale=1)
    assert looked == [False, False]  # the header of each scan that is seen, never by the window itself
    assert "burned into the picture" in " ".join(dock.dialogs.offered.risk)  # of the second
    (side,) = dock.reading.second_series.side.sides
    height, width = desk.native.height(), desk.native.width()
    assert pixels.shape[1] == width + 2 + side.pane.native.width()
    first, second = (
        pixels[height // 2 + 30, width // 2],
        pixels[height // 2 + 30, width + 2 + side.pane.native.width() // 2],
    )
    assert abs(int(first[0]) - 64) < 4 and abs(int(second[0]) - 191) < 4  # a quarter and three quarters of the window
    views = dock.views
    with views.without_names():
        without = side.words.corners(side.pane.frame()).words
    with views.without_names(False):
        named = side.words.corners(side.pane.frame()).words
    assert "zyxwvut" not in " ".join(without).lower() and "2024" not in " ".join(without)
    assert "zyxwvut" in " ".join(named).lower()
    saved_picture(desk, tmp_path / "b.png", scale=1)
    assert len(looked) == 2  # once each


def test_3d_drawn_by_the_processor_is_taken_as_it_stands(desk, tmp_path: Path) -> None:
    """Pixel for pixel what napari draws once more, which takes seconds there; larger it is enlarged."""
    desk.open("phantom")
    desk.four()
    desk.until(lambda: not desk.dock.tasks.names())
    pane = desk.dock.views.pane("volume")
    if not graphics_of(pane.native).software:
        pytest.skip("a graphics card draws here")
    for angles in ((0.0, 0.0, 90.0), (20.0, 30.0, 40.0)):
        pane.viewer.scene.camera.angles = angles
        desk.idle(0.5)
        taken = render._drawn(pane.native)
        assert np.array_equal(taken[..., :3], pane.qt.screenshot(flash=False)[..., :3]) and taken[..., :3].max() > 50
    large = render.view_picture(desk.dock.views, pane, 2.0)
    assert (large.width(), large.height()) == render.view_size(pane, 2.0)
