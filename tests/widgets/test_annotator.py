"""A scripted annotator: ten real scans predicted, saved, found with errors, mended with three tools and saved again.

Keys and mouse events only, in a real window with the real engine. The errors are planted in the file on disk, with
nibabel: a stray piece (mended with D), two empty slices (J), a hole (brush). What counts at the end is the file: it
must hold, by position in mm, what was painted.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from scipy import ndimage

from cases import REPOSITORY
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets import dock as dock_module
from napari_medcnn.widgets.engine_link import Preferences

SCANS = REPOSITORY.parent / "shared" / "data" / "hippocampus-mri" / "images"
CASES = 10
#: Seconds that pass between a key and the next look; a person needs longer.
_LOOK = 0.02

pytestmark = [
    pytest.mark.gui,
    pytest.mark.own_window,
    pytest.mark.proof,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="the engine is not installed"),
    pytest.mark.skipif(not SCANS.is_dir(), reason="shared/data/hippocampus-mri is not there"),
]


@dataclass(frozen=True)
class Planted:
    """What is wrong in a file: slices of its last axis that were emptied, voxels (i, j, k) added and taken away."""

    gap: tuple[int, int]
    stray: np.ndarray
    hole: np.ndarray


class Counted:
    """The hands of an annotator: each key and each press of the mouse counts as one action."""

    def __init__(self, desk) -> None:
        self.desk, self.actions = desk, 0

    def key(self, key, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
        self.desk.key(key, modifiers)
        self.actions += 1

    def click(self, button) -> None:
        self.desk.click(button)
        self.actions += 1

    def drag(self, start, end) -> None:
        self.desk.drag(start, end)
        self.actions += 1

    def done(self, thing: Callable[[], object]) -> None:
        """Do what is one action for a person: a file chosen in a dialog."""
        thing()
        self.actions += 1


def plant(path: Path) -> Planted:
    """Write three errors into a saved mask."""
    image = nibabel.load(path)
    ids = np.asarray(image.dataobj).copy()
    areas = np.count_nonzero(ids, axis=(0, 1))
    inner = np.flatnonzero((areas > 30) & (np.roll(areas, 1) > 30) & (np.roll(areas, -1) > 30))
    middle = int(inner[len(inner) // 2])
    gap = (middle - 4, middle - 3)
    ids[:, :, gap[0] : gap[1] + 1] = 0
    depth = ndimage.distance_transform_edt(ids[:, :, middle])
    i, j = np.unravel_index(np.argmax(depth), depth.shape)
    hole = np.zeros(ids.shape, bool)
    hole[i - 1 : i + 2, j - 1 : j + 2, middle] = True
    hole &= ids > 0
    stray = np.zeros(ids.shape, bool)
    away = ndimage.distance_transform_edt(ids == 0)[2:-2, 2:-2, middle]
    i, j = np.unravel_index(np.argmax(away), away.shape)
    stray[i + 1 : i + 4, j + 1 : j + 4, middle - 1 : middle + 2] = True
    assert away.max() > 5 and not ids[stray].any()
    ids[hole], ids[stray] = 0, 1
    nibabel.save(nibabel.Nifti1Image(ids, image.affine, image.header), path)
    return Planted(gap, stray, hole)


def pixel_of(desk, mm: np.ndarray) -> tuple[float, float]:
    """Return where a place of the patient (RAS, mm) is on the first view, after showing its slice."""
    mask = desk.dock.layers.mask
    voxel = voxel_of(desk, mm)
    world = tuple(mask.data_to_world(voxel))
    return desk.dock.views.panes[0].frame().to_canvas(world)


def voxel_of(desk, mm: np.ndarray) -> tuple[int, ...]:
    """Return the index in the layer of a place of the patient (RAS, mm), by the grid that the layer states."""
    grid = grid_of(desk)
    lps = np.array([-mm[0], -mm[1], mm[2]])
    xyz = np.linalg.solve(np.asarray(grid.direction) * np.asarray(grid.spacing_mm)[::-1], lps - grid.origin_lps)
    return tuple(int(n) for n in np.rint(xyz[::-1]))


def grid_of(desk) -> Geometry:
    """Return where the voxels of the layer lie."""
    info = desk.dock.layers.mask.metadata[KEY]
    return info["geometry"].reoriented(info["how"])


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero((a == b) & (a > 0)) / (np.count_nonzero(a) + np.count_nonzero(b))


def saved(hands: Counted, path: Path) -> None:
    desk = hands.desk
    desk.dock.tabs.setCurrentIndex(2)
    desk.dock.dialogs.target = path
    hands.click(desk.dock.correct.save)
    hands.actions += 1  # the dialog
    desk.until(lambda: desk.dock.header.saved.text() == "saved" and not desk.dock.tasks.names(), 60)


def to_slice(hands: Counted, mm: np.ndarray) -> None:
    """Go to a slice with the keys."""
    wanted, dims = voxel_of(hands.desk, mm)[0], hands.desk.viewer.dims
    while int(dims.current_step[0]) != wanted:
        off = wanted - int(dims.current_step[0])
        hands.key(Qt.Key.Key_Down if off > 0 else Qt.Key.Key_Up)
        assert abs(wanted - int(dims.current_step[0])) == abs(off) - 1


def mend(hands: Counted, planted: Planted, affine: np.ndarray) -> None:
    """Mend what is wrong: the stray piece with D, the empty slices with J, the hole with the brush."""
    desk = hands.desk

    def at(where: np.ndarray) -> np.ndarray:
        return nibabel.affines.apply_affine(affine, np.argwhere(where).mean(axis=0))

    to_slice(hands, at(planted.stray))
    desk.move(pixel_of(desk, at(planted.stray)))
    hands.key(Qt.Key.Key_D)
    menu = desk.dock.toolbox.menu
    words = [action.text() for action in menu.actions() if action.text() and action.isEnabled()]
    for _ in range(words.index("Remove this piece") + 1):
        QTest.keyClick(menu, Qt.Key.Key_Down)
    assert menu.activeAction().text() == "Remove this piece"
    QTest.keyClick(menu, Qt.Key.Key_Return)
    hands.actions += 1  # a click in the menu
    desk.until(lambda: not desk.dock.tasks.names())
    to_slice(hands, at(planted.hole))
    middle = np.array(pixel_of(desk, at(planted.hole)))
    mask = desk.dock.layers.mask
    hands.key(Qt.Key.Key_1 if neighbour(desk, at(planted.hole)) == 1 else Qt.Key.Key_2)
    while mask.brush_size > 3:
        hands.key(Qt.Key.Key_BracketLeft)
    hands.drag(tuple(middle - 0.1), tuple(middle + 0.1))
    for key in (Qt.Key.Key_1, Qt.Key.Key_2):
        hands.key(key)
        hands.key(Qt.Key.Key_J)
        desk.until(lambda: not desk.dock.tasks.names())
        desk.idle(_LOOK)


def neighbour(desk, mm: np.ndarray) -> int:
    """Return the class around a hole, as an annotator sees it."""
    z, y, x = voxel_of(desk, mm)
    around = desk.dock.layers.mask.data[z, y - 3 : y + 4, x - 3 : x + 4]
    return int(np.argmax(np.bincount(around[around > 0], minlength=3)))


def test_ten_scans_are_predicted_mended_with_three_tools_and_saved(
    make_napari_viewer_proxy, desk_of, monkeypatch, tmp_path, record_property
) -> None:
    monkeypatch.setattr(dock_module, "read_preferences", lambda: Preferences(device="cpu"))
    desk = desk_of(None)
    hands = Counted(desk)
    for number, scan in enumerate(sorted(SCANS.glob("*.nii.gz"))[4::5][:CASES]):  # none of them was trained on
        path, before, began = tmp_path / f"case{number}.nii.gz", hands.actions, time.monotonic()
        hands.done(lambda scan=scan: desk.dock.open_path(scan))
        desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names(), 60)
        desk.dock.tabs.setCurrentIndex(1)
        desk.until(lambda: desk.dock.ai.choose("hippocampus-t1") and desk.dock.ai.run.isEnabled(), 60)
        hands.click(desk.dock.ai.run)
        desk.until(lambda: desk.dock.layers.mask is not None and not desk.dock.tasks.names(), 120)
        saved(hands, path)
        good = np.asarray(nibabel.load(path).dataobj).copy()
        planted = plant(path)
        bad = np.asarray(nibabel.load(path).dataobj).copy()
        hands.done(lambda path=path: desk.dock.session.opening.mask(path))
        desk.until(lambda: not desk.dock.tasks.names() and desk.dock.layers.mask is not None)
        desk.idle(0.3)
        assert np.count_nonzero(desk.dock.layers.mask.data) == np.count_nonzero(bad)
        mend(hands, planted, nibabel.load(path).affine)
        saved(hands, path)
        file = nibabel.load(path)
        mended = np.asarray(file.dataobj)
        np.testing.assert_allclose(file.affine, nibabel.load(scan).affine, atol=1e-5)
        on_screen(desk, file)
        assert dice(bad, good) < 0.95 < 0.97 < dice(mended, good), (dice(bad, good), dice(mended, good))
        assert not mended[planted.stray].any() and mended[planted.hole].all()
        assert mended[:, :, list(planted.gap)].any(axis=(0, 1)).all()
        seconds = time.monotonic() - began
        told = f"{scan.name}: {hands.actions - before} actions, {seconds:.1f} s, Dice {dice(bad, good):.3f} -> "
        told += f"{dice(mended, good):.3f}"
        record_property(scan.name, told)
        print(told)
        desk.dock.session.close_scan()
        desk.idle(0.2)


def on_screen(desk, file) -> None:
    """Compare every voxel of the layer with the file at the same place in mm."""
    layer, grid = desk.dock.layers.mask, grid_of(desk)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in layer.data.shape), indexing="ij"), -1).reshape(-1, 3)
    step = np.asarray(grid.direction) * np.asarray(grid.spacing_mm)[::-1]
    lps = index[:, ::-1] @ step.T + np.asarray(grid.origin_lps)
    ijk = nibabel.affines.apply_affine(np.linalg.inv(file.affine), lps * (-1, -1, 1))
    np.testing.assert_allclose(ijk, np.rint(ijk), atol=1e-3)
    i, j, k = np.rint(ijk).astype(int).T
    np.testing.assert_array_equal(np.asarray(file.dataobj)[i, j, k], layer.data.ravel())
