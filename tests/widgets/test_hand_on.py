"""Pictures, films and cases that leave a real window: what is in them, and what is not."""

from __future__ import annotations

import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtWidgets import QApplication

import dicom_files
from napari_medcnn.widgets.hand_on import render
from napari_medcnn.widgets.hand_on.ask import FilmDialog, PictureDialog, ShareDialog
from napari_medcnn.widgets.hand_on.wishes import (
    SLICES,
    FilmOffer,
    FilmWish,
    PictureOffer,
    ShareOffer,
    ShareWish,
)
from reading_hands import saved_picture

pytestmark = pytest.mark.gui
NAME = "Zyxwvut^Quentin"


def open_dicom(desk, folder: Path, **tags: object) -> None:
    """A CT of 6 slices whose values rise with the slice number, of a named patient."""
    voxels = np.full((6, 40, 50), -1000, np.int16)
    for k in range(6):
        voxels[k, 8:32, 10:40] = -300 + 120 * k
    dicom_files.write_series(folder, voxels, (3.0, 0.8, 0.7), tags={"PatientName": NAME, **tags})
    desk.dock.open_path(folder)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.1)


def bright(pixels: np.ndarray) -> int:
    return int((pixels.min(axis=-1) > 200).sum())


def test_a_picture_has_letters_scale_window_and_what_it_is_for(desk, tmp_path: Path) -> None:
    open_dicom(desk, tmp_path / "dicom")
    width, height = desk.native.width(), desk.native.height()
    pixels = saved_picture(desk, tmp_path / "a.png", scale=1)
    assert pixels.shape[1] == width
    assert pixels.shape[0] > height + 15  # the caption below
    middle, edge = height // 2, width // 2
    assert bright(pixels[middle - 12 : middle + 12, :24]) > 10  # R
    assert bright(pixels[middle - 12 : middle + 12, width - 24 :]) > 10  # L
    assert bright(pixels[:24, edge - 12 : edge + 12]) > 10  # A
    assert bright(pixels[height - 60 : height, width - 200 :]) > 60  # scale bar and window
    assert bright(pixels[height:, :250]) > 100  # Research use only
    assert pixels[middle, edge].max() > 40  # the scan itself


@pytest.mark.parametrize("scale", [2, 3])
def test_a_large_picture_is_the_same_picture(desk, tmp_path: Path, scale: int) -> None:
    open_dicom(desk, tmp_path / "dicom")
    small = saved_picture(desk, tmp_path / "a.png", scale=1)
    zoom = desk.viewer.scene.camera.zoom
    large = saved_picture(desk, tmp_path / "b.png", scale=scale)
    assert large.shape[1] == scale * small.shape[1]
    height, width = desk.native.height(), desk.native.width()
    reduced = large[: height * scale, :].reshape(height, scale, width, scale, 3).mean(axis=(1, 3))
    assert np.abs(reduced - small[:height]).mean() < 6
    assert desk.viewer.scene.camera.zoom == pytest.approx(zoom)
    assert desk.native.width() == width


def test_names_leave_only_when_ticked(desk, tmp_path: Path) -> None:
    """The only difference between the two pictures is the patient: in the upper right corner and the caption."""
    open_dicom(desk, tmp_path / "dicom")
    without = saved_picture(desk, tmp_path / "a.png", scale=1)
    again = saved_picture(desk, tmp_path / "c.png", scale=1)
    assert np.array_equal(without, again)
    named = saved_picture(desk, tmp_path / "b.png", scale=1, names=True)
    differs = np.abs(named.astype(int) - without).max(axis=-1) > 60
    height, width = desk.native.height(), desk.native.width()
    assert differs[: height // 4, width // 2 :].sum() > 100
    assert differs[height:].sum() > 100
    assert differs[height // 4 : height].sum() == 0
    assert "zyxwvut" not in desk.dock.reading.handing_on.suggestion.lower()
    desk.dock.header.names.setChecked(True)
    assert np.array_equal(saved_picture(desk, tmp_path / "d.png", scale=1, names=True), named)


def test_the_legend_names_the_classes_that_are_seen(desk, tmp_path: Path) -> None:
    open_dicom(desk, tmp_path / "dicom", PatientID="Lesion77")
    desk.empty_mask()
    dock = desk.dock
    dock.session.rename_class(1, "Liver")
    dock.session.add_class("Lesion77")
    dock.session.add_class("Nowhere")
    now = int(desk.viewer.dims.current_step[0])
    dock.layers.mask.data[now, 10:20, 12:30] = 1
    dock.layers.mask.data[now, 22:28, 12:30] = 2
    dock.layers.redraw_mask()
    hand = dock.reading.handing_on.pictures
    caption = hand.caption(hand.panes, names=False)
    assert [name for name, _ in caption.classes] == ["Liver", "(left out)"]
    assert [name for name, _ in hand.caption(hand.panes, names=True).classes] == ["Liver", "Lesion77"]
    pixels = saved_picture(desk, tmp_path / "a.png", scale=1)
    colour = np.array(dock.session.labels.by_id(1).colour)
    box = (np.abs(pixels[desk.native.height() :].astype(int) - colour).max(axis=-1) < 3).sum()
    assert box > 40
    dock.layers.mask.visible = False
    assert hand.caption(hand.panes, names=False).classes == ()


def test_all_views_and_one_view(desk, tmp_path: Path) -> None:
    open_dicom(desk, tmp_path / "dicom")
    desk.dock.views.show_four()
    desk.until(lambda: len(desk.dock.views.shown) == 4 and not desk.dock.tasks.names())
    desk.idle(0.2)
    whole = saved_picture(desk, tmp_path / "a.png", scale=1)
    desk.dock.views.active = desk.dock.views.pane("second")
    one = saved_picture(desk, tmp_path / "b.png", scale=1, all_views=False)
    second = desk.dock.views.pane("second").native
    assert one.shape[1] == second.width()
    assert whole.shape[1] > 1.8 * one.shape[1]
    assert whole.shape[0] > 1.5 * one.shape[0]


def test_copy_puts_the_picture_on_the_clipboard(desk, tmp_path: Path) -> None:
    open_dicom(desk, tmp_path / "dicom")
    desk.dock.reading.handing_on.copy_picture()
    desk.until(lambda: not QApplication.clipboard().image().isNull())
    copied = render.to_array(QApplication.clipboard().image())
    assert np.array_equal(copied, saved_picture(desk, tmp_path / "a.png"))
    QApplication.clipboard().clear()


def test_a_picture_that_may_show_a_name_is_looked_at_first(desk, tmp_path: Path) -> None:
    open_dicom(desk, tmp_path / "dicom", BurnedInAnnotation="YES")
    dock = desk.dock
    dock.dialogs.yes = False
    dock.say("")
    dock.reading.handing_on.copy_picture()
    desk.until(lambda: any("look at it" in question for question in dock.dialogs.asked))
    desk.idle(0.2)
    assert dock.message.text() == ""  # nothing was copied
    dialog = PictureDialog(PictureOffer("x", risk=dock.reading.handing_on.risk, views=1))
    assert not dialog.go.isEnabled() and not dialog.copy.isEnabled()
    dialog.looked.setChecked(True)
    assert dialog.go.isEnabled() and dialog.copy.isEnabled()
    dialog.deleteLater()


def test_a_film_has_a_frame_for_every_slice(desk, tmp_path: Path) -> None:
    open_dicom(desk, tmp_path / "dicom")
    dock, target = desk.dock, tmp_path / "a.gif"
    before = tuple(desk.viewer.dims.point)
    dock.dialogs.film_wish = FilmWish(target, SLICES, 2, 6, 10.0, 0.5)
    dock.reading.handing_on.film()
    desk.until(lambda: "Saved: a.gif" in dock.message.text(), 60)
    assert tuple(desk.viewer.dims.point) == before
    with Image.open(target) as film:
        assert film.n_frames == 5
        assert film.size[0] == desk.native.width() // 2
        greys = []
        for k in range(5):
            film.seek(k)
            frame = np.asarray(film.convert("L"))
            greys.append(int(frame[desk.native.height() // 4, film.size[0] // 2]))
    # slices on screen run from above to below, DICOM's from below: each is 120 HU darker than the one before
    assert np.allclose(np.diff(greys), np.diff(greys)[0], atol=2) and np.diff(greys)[0] < -10


def test_a_film_can_be_stopped(desk, tmp_path: Path) -> None:
    open_dicom(desk, tmp_path / "dicom")
    dock, before = desk.dock, tuple(desk.viewer.dims.point)
    dock.reading.handing_on.make_film(FilmWish(tmp_path / "a.gif", SLICES, 1, 6))
    desk.idle(0.05)
    dock.cancel()
    desk.until(lambda: not dock.tasks.names())
    desk.idle(0.1)
    assert not list(tmp_path.glob("*.gif"))
    assert tuple(desk.viewer.dims.point) == before


def test_share_asks_and_writes_without_names(desk, tmp_path: Path) -> None:
    open_dicom(desk, tmp_path / "dicom", PatientComments="Markcomment")
    desk.empty_mask()
    dock = desk.dock
    dock.layers.mask.data[2, 10:20, 12:30] = 1
    dock.dialogs.share_wish = ShareWish(tmp_path / "case.zip", frozenset({"mask", "pictures", "scan"}))
    dock.reading.handing_on.share()
    desk.until(lambda: "Saved: case.zip" in dock.message.text())
    offer = dock.dialogs.offered
    assert [key for key, *_ in offer.parts] == ["mask", "pictures", "scan"]
    assert {key: on for key, _w, _s, on in offer.parts}["scan"] is False
    with zipfile.ZipFile(tmp_path / "case.zip") as archive:
        names = archive.namelist()
        whole = b"".join(archive.read(name) for name in names).lower()
    assert {"mask.nii.gz", "classes.csv", "scan.nii.gz", "pictures/view-1-axial.png"} <= set(names)
    assert b"zyxwvut" not in whole and b"markcomment" not in whole and str(tmp_path).lower().encode() not in whole
    assert threading.active_count() < 50


def test_windows_say_sizes_and_need_a_choice(desk) -> None:
    parts = (("mask", "Mask", 2_000_000, True), ("scan", "Scan", 90_000_000, False))
    dialog = ShareDialog(ShareOffer("x", parts=parts, risk=("this is ultrasound",)))
    assert "2 MB" in dialog.total.text()
    assert dialog.go.isEnabled()  # a mask alone shows no name
    dialog.ticks["scan"].setChecked(True)
    assert "92 MB" in dialog.total.text() and not dialog.go.isEnabled()
    dialog.looked.setChecked(True)
    assert dialog.go.isEnabled()
    for tick in dialog.ticks.values():
        tick.setChecked(False)
    assert not dialog.go.isEnabled()
    film = FilmDialog(FilmOffer("x", ways=((SLICES, 40, 3),), size=(100, 100), mp4=False))
    assert (film.first.value(), film.last.value(), film.kind.count()) == (1, 40, 1)
    for window in (dialog, film):
        window.deleteLater()


def test_a_film_never_goes_on_with_another_scan_or_plane(desk, tmp_path: Path) -> None:
    """As large as before, so that nothing but the check itself can tell."""
    open_dicom(desk, tmp_path / "dicom")
    dock, session = desk.dock, desk.dock.session
    hand, wish = dock.reading.handing_on, FilmWish(tmp_path / "a.gif", SLICES, 1, 6)
    for change in (
        lambda: setattr(session, "scan", replace(session.scan)),
        lambda: dock.views.pane("main").show_plane(1, int(desk.viewer.dims.ndim)),
    ):
        hand.make_film(wish)
        change()
        desk.until(lambda: not dock.tasks.names())
        assert "while the film was made" in dock.message.text() and not wish.path.exists()
        dock.say("")
