"""Pictures are drawn smooth for reading and as their voxels are for correcting: nobody corrects what is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QObject

from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.layers import Layers


class Smoothing(QObject):
    """Says how the scans of ours are drawn between voxels; masks and layers of others are left alone."""

    def __init__(self, layers: Layers) -> None:
        super().__init__(layers)
        self._layers = layers
        self._smooth = True
        layers.added.connect(self._show)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """It has no keys."""
        return {}

    def show_mode(self, correct: bool) -> None:
        """Linear while reading, nearest while correcting."""
        if self._smooth == correct:
            self._smooth = not correct
            for layer in self._layers.ours:
                self._show(layer)

    def _show(self, layer: Any) -> None:
        if isinstance(layer, Image) and layer.metadata[KEY]["role"] in ("scan", "preview"):
            layer.interpolation2d = "linear" if self._smooth else "nearest"

    def close(self) -> None:
        """Listen no more."""
        self._layers.added.disconnect(self._show)
