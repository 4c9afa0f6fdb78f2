"""What tests of measuring share: scans with known marks, and where they are seen."""

from __future__ import annotations

import math

import numpy as np
from qtpy.QtCore import Qt

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.measures import Measure
from napari_medcnn.core.volume import Volume

#: Anisotropic, its axes permuted and flipped: array axes run to Left, Anterior, Superior.
TURNED = Geometry((50, 40, 30), (1.0, 2.0, 3.0), (5.0, 7.0, -11.0), np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0.0]]))
#: Two marks in the file's own order (z, y, x), on one slice of each plane in turn.
MARKS = {0: ((20, 10, 8), (20, 31, 23)), 1: ((12, 18, 6), (41, 18, 25)), 2: ((9, 5, 14), (37, 33, 14))}


def show(desk, scan: Volume) -> None:
    """Open a scan that is made here, by the road of files that were read."""
    from napari_medcnn.io.layerdata import scan_layers
    from napari_medcnn.widgets.jobs import Opened

    desk.dock.session.show_opened(Opened(scan, scan_layers(scan)))
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.1)


def turned(frames: int = 1, unit: str = "HU") -> Volume:
    shape = TURNED.shape if frames == 1 else (frames, *TURNED.shape)
    values = np.random.default_rng(1).normal(50, 10, shape).astype(np.float32)
    return Volume(values, TURNED, "zyx" if frames == 1 else "tzyx", name="Crate", modality="CT", value_unit=unit)


def board(desk):
    return desk.dock.reading.measuring.board


def pixel(desk, index, pane=None) -> tuple[float, float]:
    """Return the pixel of a place of the file in a pane, which is brought there."""
    grid = board(desk).grid
    place = tuple(float(v) for v in grid.world_of_source(index))
    return desk.dock.views.pane(pane or "main").frame().to_canvas(place)


def go(desk, index) -> None:
    desk.dock.views.go_to(tuple(float(v) for v in board(desk).grid.world_of_source(index)))
    desk.idle(0.1)


def millimetres(a, b, spacing=TURNED.spacing_mm) -> float:
    return math.sqrt(sum(((q - p) * s) ** 2 for p, q, s in zip(a, b, spacing, strict=True)))


def only(desk) -> Measure:
    (measure,) = board(desk).measures
    return measure


def value(desk, measure: Measure | None = None) -> str:
    from napari_medcnn.widgets.measuring.rows import value_words

    return value_words(board(desk), measure or only(desk))


def three(desk) -> None:
    """Draw a length, on the next slice an ellipse, on the next a length."""
    x, y = desk.centre()
    for key in (Qt.Key.Key_M, Qt.Key.Key_A):
        desk.key(key)
        desk.drag((x - 60, y - 40), (x + 60, y + 40))
        desk.key(Qt.Key.Key_Down)
    desk.key(Qt.Key.Key_M)
    desk.drag((x - 20, y - 40), (x + 20, y + 40))
