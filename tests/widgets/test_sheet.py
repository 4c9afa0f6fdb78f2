"""Words on a view: those from the cache of pictures are those that are drawn afresh, at once and the second time."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QRect
from qtpy.QtGui import QColor, QFont, QImage, QPainter
from qtpy.QtWidgets import QWidget

from napari_medcnn.widgets.views.overlay import Overlay
from napari_medcnn.widgets.views.sheet import YELLOW, Sheet

WIDTH, HEIGHT = 240, 48


def written(on_screen: bool, words: str, at=(12.0, 30.0), colour="#ffffff", clip: QRect | None = None, dots=1.0):
    """Return grey values (rows, columns, channels) of words on a dark green picture, and the boxes that are told."""
    image = QImage(round(WIDTH * dots), round(HEIGHT * dots), QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(dots)
    image.fill(QColor(20, 60, 20))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if clip is not None:
        painter.setClipRect(clip)
    sheet = Sheet(painter, WIDTH, HEIGHT, 1.0, 96.0, on_screen=on_screen)
    font = QFont(sheet.strong)
    sheet.write(words, *at, font, colour)
    painter.end()
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bits, np.uint8).reshape(image.height(), image.width(), 4).astype(int).copy(), sheet.written


@pytest.mark.parametrize("dots", [1.0, 2.0])
@pytest.mark.parametrize(("words", "colour"), [("W 400 L 40", "#ffffff"), ("Jj|gÅ 12 of 60 · S 3.0 mm", YELLOW)])
def test_words_from_the_cache_are_those_drawn_afresh(qapp, words, colour, dots):
    afresh, box = written(False, words, colour=colour, dots=dots)
    background = written(False, "", dots=dots)[0]
    assert np.abs(afresh - background).max() > 100
    for _ in range(2):  # made, then found
        cached, same_box = written(True, words, colour=colour, dots=dots)
        assert np.abs(cached - afresh).max() <= 4  # eight rims are blended one by one: rounding
        assert same_box == box


def test_the_cache_tells_words_colours_and_sizes_apart(qapp):
    first = written(True, "W 400 L 40")[0]
    assert np.abs(written(True, "W 400 L 41")[0] - first).max() > 50
    assert np.abs(written(True, "W 400 L 40", colour=YELLOW)[0] - first).max() > 50
    assert written(True, "W 400 L 40", dots=2.0)[0].shape != first.shape


def test_a_place_between_pixels_moves_words_by_half_a_pixel_at_most(qapp):
    at = written(True, "S 34", at=(12.4, 30.4))[0]
    assert np.array_equal(at, written(True, "S 34", at=(12.0, 30.0))[0])


@pytest.mark.parametrize("on_screen", [False, True])
def test_words_outside_what_is_drawn_again_are_told_but_not_drawn(qapp, on_screen):
    whole, box = written(on_screen, "READ")
    background = written(on_screen, "")[0]
    away, told = written(on_screen, "READ", clip=QRect(WIDTH // 2, 0, WIDTH // 2, HEIGHT))
    assert np.array_equal(away, background)
    assert told == box
    # one that reaches into it is drawn as far as it does
    cut, _ = written(on_screen, "READ", clip=QRect(0, 0, 30, HEIGHT))
    assert np.array_equal(cut[:, :30], whole[:, :30])
    assert np.array_equal(cut[:, 30:], background[:, 30:])


def test_words_that_change_quickly_are_drawn_at_once_and_again_at_last(qtbot):
    """As many requests as a hand gives: the first is drawn at once, the last within a moment, few in between."""

    class Stub:
        def __init__(self):
            self.native = QWidget()
            self.native.resize(200, 100)

        def frame(self):
            return None

    pane, seen, said = Stub(), [], [0]
    qtbot.addWidget(pane.native)
    overlay = Overlay(pane, [lambda painter, _frame, _pane: seen.append((said[0], painter.clipBoundingRect().top()))])
    pane.native.show()
    qtbot.waitUntil(lambda: len(seen) > 0)
    seen.clear()
    said[0] = 1
    overlay.update_lower()
    qtbot.waitUntil(lambda: len(seen) > 0)
    assert seen[0][0] == 1
    assert seen[0][1] >= 50  # the lower half only
    for number in range(2, 40):
        said[0] = number
        overlay.update_lower()
    qtbot.waitUntil(lambda: seen[-1][0] == 39)
    assert len(seen) < 10
