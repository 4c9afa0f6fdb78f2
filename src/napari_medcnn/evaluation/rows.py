"""The scan and the mask of one row of a dataset table, read the same for training and for measuring."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.channels import combine
from napari_medcnn.io.dataset import Dataset, Row
from napari_medcnn.io.found import stem
from napari_medcnn.io.read import read_labels, read_volume


def located(row: Row, dataset: Dataset) -> Row:
    """Return the row with its files where they are, instead of relative to the table."""
    return replace(
        row, image=tuple(dataset.resolve(p) for p in row.image), mask=tuple(dataset.resolve(p) for p in row.mask)
    )


def row_image(row: Row) -> Volume:
    """Read the image of a case (a located row); several files are its channels, on the grid of the first.

    Raises
    ------
    InputError
        There is no image, or the files cannot be laid over each other.
    """
    if not row.image:
        raise InputError(f"case {row.case}: the image column is empty")
    try:
        volumes = [read_volume(path) for path in row.image]
        return combine(volumes, [stem(path) for path in row.image])
    except InputError as error:
        raise InputError(f"case {row.case}: {error}") from error


def row_mask(row: Row) -> LabelMap:
    """Read the mask of a case (a located row); of several files the later ones lie on top.

    Raises
    ------
    InputError
        There is no mask, or the files differ in grid: masks are never resampled here.
    """
    if not row.mask:
        raise InputError(f"case {row.case}: the mask column is empty, there is nothing to compare with")
    try:
        masks = [read_labels(path) for path in row.mask]
    except InputError as error:
        raise InputError(f"case {row.case}: {error}") from error
    first = masks[0]
    if len(masks) == 1:
        return first
    merged = np.array(first.array, dtype=np.uint16)
    labels = LabelSet()
    for path, mask in zip(row.mask, masks, strict=True):
        if not mask.geometry.same_grid(first.geometry):
            raise InputError(f"case {row.case}: {path.name} has another grid than {row.mask[0].name}")
        merged = np.where(mask.array > 0, mask.array, merged)
        for label in mask.labels:
            labels = labels if label.id in labels else labels.with_label(label)
    return LabelMap(merged, first.geometry, labels.covering(tuple(np.unique(merged).tolist())))
