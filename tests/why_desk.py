"""A scan with two bright parts, and hands that ask why about them; places are derived from the file alone."""

from __future__ import annotations

import nibabel
import numpy as np

from tiny_packages import AFFINE

SHAPE = (24, 20, 16)
#: Two bright blocks (x, y, z of the file): the model marks each as a component of its own.
BLOCKS = ((slice(3, 8), slice(4, 9), slice(3, 6)), (slice(14, 20), slice(10, 16), slice(9, 13)))


def two_parts(path):
    """Write the scan."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.zeros(SHAPE, np.int16)
    for block in BLOCKS:
        data[block] = 1000
    made = nibabel.Nifti1Image(data, AFFINE)
    made.set_sform(AFFINE, 1)
    made.set_qform(AFFINE, 1)
    nibabel.save(made, path)
    return path


def lps(index_xyz) -> np.ndarray:
    """Return where a voxel of the file lies, LPS mm, from the affine alone."""
    ras = AFFINE[:3, :3] @ np.asarray(index_xyz, float) + AFFINE[:3, 3]
    return ras * (-1, -1, 1)


def layer_lps(layer, index) -> np.ndarray:
    """Return where a voxel of a layer is drawn: its axes run to Inferior, Posterior and Left.

    The scan lies straight in the body, so each axis of the window is one of the body, and LPS is read off it.
    """
    z, y, x = np.asarray(index) * np.asarray(layer.scale) + np.asarray(layer.translate)
    return np.array([x, y, -z])


def open_file(desk, path) -> None:
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.1)


def ready(desk, path, model: str = "tiny-mask"):
    open_file(desk, path)
    desk.run(model)
    return desk.dock.why


def answered(desk, maps: int = 1) -> None:
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.05)
    assert desk.dock.why.block.error.text() == ""
    assert len(desk.dock.why.maps.all) == maps


def pixel_of(desk, index_xyz) -> tuple[float, float]:
    """Go to the slice of a voxel of the file and return its pixel on the main canvas."""
    x, y, z = lps(index_xyz)
    place = (-z, y, x)
    desk.dock.views.go_to(place)
    desk.idle(0.1)
    return desk.dock.views.panes[0].frame().to_canvas(place)


def map_layers(desk) -> list:
    return [layer for layer in desk.viewer.layers if layer.name.startswith("Why:")]
