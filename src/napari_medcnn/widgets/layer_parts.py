"""Small parts of layers: colours of classes, and whether two layers lie in the same place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.io.layerdata import label_colours


def colormap_of(labels: LabelSet, hidden: Iterable[int] = ()) -> DirectLabelColormap:
    """Return the colours of the classes; hidden classes and background are transparent, unnamed ids grey."""
    colours = label_colours(labels)
    for label_id in hidden:
        colours[label_id] = (0.0, 0.0, 0.0, 0.0)
    return DirectLabelColormap(color_dict={key: np.array(rgba, np.float32) for key, rgba in colours.items()})


def place_of(value: Any) -> Any:
    """Return a scale, translate, rotate, shear or affine as numbers of their own."""
    matrix = getattr(value, "affine_matrix", None)
    return np.array(matrix if matrix is not None else value, dtype=float)


def same_place(value: Any, kept: Any) -> bool:
    """Return True if both say the same place."""
    return bool(np.allclose(place_of(value), kept))
