"""Maps of a result as layers over the scan: where the model is undecided, and the probability of every class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_medcnn.core.geometry import Array
from napari_medcnn.core.results import Segmentation
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.layerdata import LayerTuple, map_layer
from napari_medcnn.widgets.result_view import DOUBT, PROBABILITY


class AsFloat32:
    """A float16 array on disk that gives float32 for the part it is asked for: drawing cannot take float16.

    Nothing is read before napari asks for a slice; whole-volume copies are never made.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, array: Array) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """As that of the array."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """As that of the array."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """As that of the array."""
        return self._array.size

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return len(self._array)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Return a part as float32."""
        return np.asarray(self._array[key], dtype=np.float32)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Return all of it (a 3D view asks for that)."""
        return np.asarray(self._array, dtype=dtype or np.float32)

    def transpose(self, axes: Iterable[int]) -> AsFloat32:
        """Return the same with its axes in another order, still unread."""
        return AsFloat32(self._array.transpose(tuple(axes)))


def map_layers(result: Segmentation, scan: Volume) -> dict[str, list[LayerTuple]]:
    """Return the layers of each group of maps; a group that was not asked for is left out.

    The background's probability is left out: it is what the other classes leave over.
    """
    groups: dict[str, list[LayerTuple]] = {}
    if result.uncertainty is not None:
        groups[DOUBT] = [map_layer(result.uncertainty, scan, DOUBT, limits=(0.0, 255.0))]
    if result.probabilities is not None:
        groups[PROBABILITY] = []
        for channel, name in enumerate(result.channel_names):
            label = next((label for label in result.mask.labels if label.name == name), None)
            if label is None or label.id == 0:
                continue
            data, kwargs, kind = map_layer(
                result.probabilities[..., channel], scan, f"{PROBABILITY}: {name}", colormap="cividis"
            )
            groups[PROBABILITY].append((AsFloat32(data), kwargs, kind))
    return groups
