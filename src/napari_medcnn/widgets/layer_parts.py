"""Small parts of layers: colours of classes, a new region, and whether two layers lie in the same place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.io.layerdata import KEY, LayerTuple, label_colours

#: Slices this much thicker than their pixels are thick.
_THICK = 1.5


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


def widen_limits(layer: Image, low: float, high: float) -> None:
    """Let the slider of brightness reach over all values of a scan; what is shown stays."""
    if not layer.rgb:
        limits = layer.contrast_limits
        layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
        layer.contrast_limits = limits


def rewrite_map(layer: Image, part: LayerTuple) -> None:
    """Write another map of the same grid into a hidden layer: a fraction of what a new layer costs, in every view.

    Its colours stay: to change them twice would cost more than the rest.
    """
    data, kwargs, _ = part
    group = layer.metadata[KEY]["group"]
    layer.metadata[KEY] = {**kwargs["metadata"][KEY], "group": group}
    layer.data = data
    layer.contrast_limits_range = kwargs["contrast_limits"]
    layer.contrast_limits = kwargs["contrast_limits"]


def fits(layer: Image | Labels, part: LayerTuple, any_type: bool = False) -> bool:
    """Return True if a layer can take these voxels: as many, of their kind unless `any_type`, in the same place."""
    data, kwargs, _ = part
    if layer.data.shape != data.shape or (layer.data.dtype != data.dtype and not any_type):
        return False
    return all(same_place(getattr(layer, name), kwargs[name]) for name in ("scale", "translate"))


def write_ids(layer: Labels, ids: NDArray[Any]) -> None:
    """Write a whole mask into a layer; only ids of a wider type make a new array of it."""
    if np.can_cast(ids.dtype, layer.data.dtype):
        layer.data[...] = ids
    else:
        layer.data = ids


def through_axis(grid: Geometry) -> int:
    """Return the display axis (0 body, 1 front to back, 2 side to side) that the slices shown first follow on."""
    z, y, x = grid.spacing_mm
    thick = grid.shape[0] == 1 or (grid.spacing_known and z > _THICK * max(y, x))
    return grid.reorientation_to().order.index(0) if thick else 0


def axis_order(layer: Image) -> tuple[int, ...]:
    """Return the order of axes that shows the plane a scan was acquired in, sliders first.

    Thick slices, and single ones, are shown as they were taken: a sagittal series edge-on is a strip, a scout a line.
    Everything else is shown axially.
    """
    info, count = layer.metadata[KEY], layer.ndim
    if info["picture"] or count < 3:
        return tuple(range(count))
    through = through_axis(info["geometry"])
    leading = tuple(range(count - 3))
    return leading + tuple(count - 3 + axis for axis in (through, *(a for a in range(3) if a != through)))


def show_whole(viewer: Any, layer: Image) -> None:
    """Show all of a scan, in the plane it was acquired in, at its first time point; beside more axes the view stays.

    Napari begins every axis in its middle: a reader of a series in time begins at its beginning.
    """
    if viewer.dims.ndim == layer.ndim:
        viewer.dims.order = axis_order(layer)
        if str(layer.metadata[KEY].get("axes", "")).startswith("t"):
            viewer.dims.set_current_step(0, 0)
    viewer.reset_view()


def region_layer(scan: Image) -> Shapes:
    """Return an empty layer for regions, in the place of a scan."""
    placed = {name: getattr(scan, name) for name in ("scale", "translate", "units", "axis_labels")}
    dims = scan.ndim
    info = {**scan.metadata[KEY], "role": "region"}
    layer = Shapes(
        ndim=dims, name="Region", edge_color="#56b4e9", face_color="transparent", metadata={KEY: info}, **placed
    )
    layer.current_edge_width = max(1.0, max(scan.data.shape[dims - 2 : dims]) / 250)
    return layer


def tiny_layers() -> list[Layer]:
    """Return two layers that nobody can see, to be shown once: the first of their kind cost shader work."""
    nothing, name = np.zeros((4, 4), np.uint8), "getting ready"
    return [
        Image(nothing, contrast_limits=(0, 1), name=name, opacity=0.01),
        Labels(nothing.copy(), name=name, colormap=colormap_of(LabelSet.for_ids([1])), opacity=0),
    ]


def say_no_keys(layer: Layer) -> None:
    """Keep napari's line of keys for a layer out of the status bar: here its digits choose classes, not tools."""
    layer.events.help.connect(_empty_help)
    layer.help = ""


def _empty_help(event: Any) -> None:
    event.source.help = ""
