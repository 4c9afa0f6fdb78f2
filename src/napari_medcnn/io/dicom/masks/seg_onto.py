"""A segmentation onto the grid of the series it was made from: an exact copy, or left on its own grid."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.placing import copied, placement, shared
from napari_medcnn.core.volume import LabelMap, Volume

Read = TypeVar("Read", LabelMap, Volume)


def grid_on(own: Geometry, reference: Geometry | None) -> Geometry:
    """Return the grid that `on_reference` will give."""
    if reference is None:
        return own
    if not own.orientation_known:
        return reference if reference.shape == own.shape else own
    if own.same_grid(reference):
        return reference
    place = placement(own, reference)
    if place is None:
        return own
    how, first = place
    return reference if shared(first, own.reoriented(how).shape, reference.shape) else own


def on_reference(image: Read, reference: Geometry | None) -> Read:
    """Return an image (z, y, x) on the reference grid where that is an exact copy, else as it is, saying so.

    What states no place in the patient is laid pixel on pixel over a source of its own size.
    """
    if reference is None or image.geometry == reference:
        return image
    if not image.geometry.orientation_known:
        if reference.shape == image.geometry.shape:
            return replace(image, geometry=reference)
        return _noted(image, "The scan it was made from has another size; the mask stands on its own.")
    if image.geometry.same_grid(reference):  # also where neither states how thick its one plane is
        return replace(image, geometry=reference)
    found = copied(image.array, image.geometry, reference)
    if found is None:
        return _noted(image, "The scan it was made from lies on another grid; the mask stands on its own grid.")
    array, lost = found
    image = replace(image, array=array, geometry=reference)
    return _noted(image, f"{lost} voxels of the mask lie outside of the scan and were cut off.") if lost else image


def _noted(image: Read, note: str) -> Read:
    report = replace(image.report, assumed=(*image.report.assumed, note))
    return replace(image, notes=(*image.notes, note), report=report)
