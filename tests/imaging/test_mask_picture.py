"""The small picture of a mask: the fullest slice, its colours, its proportions in mm."""

from __future__ import annotations

import numpy as np

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.imaging.mask_picture import mask_picture


def test_the_fullest_slice_in_its_colours_and_as_wide_as_it_is_in_mm():
    ids = np.zeros((3, 4, 8), np.uint8)
    ids[0, 0, 0] = 1
    ids[1, :, :4] = 2
    labels = LabelSet((Label(1, "one", (10, 20, 30)), Label(2, "two", (200, 100, 50))))
    picture = mask_picture(LabelMap(ids, Geometry(ids.shape, (5.0, 3.0, 1.0)), labels), 96)
    assert picture.shape == (96, 64, 3) and picture.dtype == np.uint8  # 12 mm high, 8 mm wide
    np.testing.assert_array_equal(picture[:, :32], np.broadcast_to(np.uint8([200, 100, 50]), (96, 32, 3)))
    assert not picture[:, 32:].any()


def test_an_empty_mask_is_black():
    ids = np.zeros((2, 5, 5), np.uint8)
    assert not mask_picture(LabelMap(ids, Geometry(ids.shape, (1.0, 1.0, 1.0)), LabelSet()), 10).any()
