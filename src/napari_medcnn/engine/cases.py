"""Training cases: read, checked, prepared as at prediction, and cut into seeded patches."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from napari_medcnn.core.options import TrainOptions
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, ProjectError
from napari_medcnn.evaluation.rows import located, row_image, row_mask
from napari_medcnn.imaging.pipeline import prepare, prepare_labels
from napari_medcnn.imaging.slicing import flipped, with_neighbours
from napari_medcnn.io.dataset import Dataset, Row

Array = npt.NDArray[Any]
#: Share of patches centred on a voxel of a foreground class (nnU-Net takes a third; one class is rarely in view here).
FOREGROUND_SHARE = 0.5
_SPOTS = 5000


@dataclass(frozen=True, eq=False)
class Case:
    """What the network trains on.

    Parameters
    ----------
    image
        Prepared (z, y, x, channel) float32.
    target
        (z, y, x) class ids on the same grid for segmentation; (class,) 0 or 1 for classification.
    spots
        Per foreground class present: flat indices of up to 5000 of its voxels, drawn at random.
    """

    name: str
    image: Array
    target: Array
    spots: tuple[Array, ...] = ()


def read_image(row: Row, dataset: Dataset) -> Volume:
    """Read the image of a case; several files are its channels, on the grid of the first."""
    try:
        return row_image(located(row, dataset))
    except InputError as error:
        raise ProjectError(str(error)) from error


def read_mask(row: Row, dataset: Dataset, spec: ModelSpec) -> LabelMap:
    """Read the mask of a case in the model's class ids; of several files the later ones lie on top.

    255 stands for the only class there is: pictures of masks are drawn black and white more often than 0 and 1.

    Raises
    ------
    ProjectError
        It holds classes that the model does not have, or its files differ in grid.
    """
    try:
        mask = row_mask(located(row, dataset))
    except InputError as error:
        raise ProjectError(str(error)) from error
    array = mask.array
    known = [i for i in spec.decision.ids if i]
    found = [int(i) for i in np.unique(array) if i]
    if len(known) == 1 and found == [255]:
        array, found = np.where(array > 0, known[0], 0), known
    strange = sorted(set(found) - set(known))
    if strange:
        raise ProjectError(f"{row.case}: its mask holds class ids {strange[:8]}, the model has {known}")
    return LabelMap(array.astype(spec.decision.dtype), mask.geometry, spec.labels)


def load_case(row: Row, dataset: Dataset, spec: ModelSpec, rng: np.random.Generator) -> Case:
    """Read and prepare one case, exactly as it would be at prediction.

    Raises
    ------
    ProjectError
        Image and mask do not lie on one grid, or the classes are not the model's.
    """
    volume = read_image(row, dataset)
    if volume.frames > 1:
        raise ProjectError(f"{row.case}: expected one time point, got {volume.frames}; save the one that was labelled")
    prepared = prepare(volume.frame(0), spec.preparation)
    if spec.task == "classification":
        return Case(row.case, prepared.data, class_target(row, spec))
    mask = read_mask(row, dataset, spec)
    try:
        labels = prepare_labels(mask, prepared.record)
    except InputError as error:
        raise ProjectError(f"{row.case}: image and mask do not lie on the same grid ({error})") from error
    spots = []
    for label in [i for i in spec.decision.ids if i]:
        places = np.flatnonzero(labels == label)
        if places.size:
            spots.append(rng.choice(places, min(_SPOTS, places.size), replace=False))
    return Case(row.case, prepared.data, labels, tuple(spots))


def class_target(row: Row, spec: ModelSpec) -> Array:
    """Return 0 or 1 for each output channel of a classifier; the class column may name several, joined by ``|``."""
    names = [spec.labels.name_of(i) for i in spec.decision.ids]
    told = [part.strip() for part in row.cls.split("|") if part.strip()]
    strange = [name for name in told if name not in names]
    if strange or (spec.decision.exclusive and len(told) != 1):
        raise ProjectError(f"{row.case}: expected a class of {', '.join(names)}, got {row.cls!r}")
    return np.array([name in told for name in names], np.float32)


def on_disk(case: Case, folder: Path) -> Case:
    """Return the case with its voxels in mapped files, for datasets larger than the memory."""
    image, target = (_mapped(array, folder) for array in (case.image, case.target))
    return Case(case.name, image, target, case.spots)


def _mapped(array: Array, folder: Path) -> Array:
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".npy", delete=False) as file:
        np.save(file, array, allow_pickle=False)
    loaded: Array = np.load(file.name, mmap_mode="r", allow_pickle=False)
    return loaded


@dataclass(eq=False)
class Sampler:
    """Draws batches; each (epoch, step) has a seed of its own, so a resumed run draws what an unbroken one draws.

    Parameters
    ----------
    tile
        Size (y, x) or (z, y, x) of a patch; empty takes the whole image (classification).
    """

    cases: Sequence[Case]
    spec: ModelSpec
    tile: tuple[int, ...]
    options: TrainOptions
    flips: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.flips = self.options.flips

    def batch(self, epoch: int, step: int) -> tuple[Array, Array]:
        """Return inputs (batch, *spatial, channel) and targets (batch, *spatial, class) or (batch, class)."""
        rng = np.random.default_rng([self.options.seed, epoch, step])
        size = self.options.batch
        if not self.tile and len({case.image.shape for case in self.cases}) > 1:
            size = 1  # images of several sizes cannot be stacked
        pairs = [self._patch(self.cases[int(rng.integers(len(self.cases)))], rng) for _ in range(size)]
        return np.stack([x for x, _ in pairs]), np.stack([y for _, y in pairs])

    def _patch(self, case: Case, rng: np.random.Generator) -> tuple[Array, Array]:
        flat = self.spec.preparation.dimensions == 2
        tile = (1, *self.tile) if flat and self.tile else self.tile or case.image.shape[:3]
        shape = case.image.shape[:3]
        centre = [int(rng.integers(n)) for n in shape]
        if case.spots and rng.random() < FOREGROUND_SHARE:
            spots = case.spots[int(rng.integers(len(case.spots)))]
            centre = [int(i) for i in np.unravel_index(int(spots[rng.integers(len(spots))]), shape)]
        # inside the image where it is large enough, with the image in the middle of the padding where it is not
        start = [
            min(max(c - t // 2, 0), n - t) if n >= t else (n - t) // 2
            for c, t, n in zip(centre, tile, shape, strict=True)
        ]
        image = _cut(with_neighbours(case.image, self.spec.preparation), start, tile)
        turned = tuple(axis for axis in self.flips if not (flat and axis == 0) and rng.random() < 0.5)
        if self.spec.task == "classification":
            image = flipped(image, turned, self.spec.preparation)
            return (image[0] if flat else image), case.target
        labels = _cut(case.target, start, tile)
        if turned:
            image, labels = flipped(image, turned, self.spec.preparation), np.flip(labels, turned)
        target = np.stack([labels == i for i in self.spec.decision.ids], axis=-1).astype(np.float32)
        return (image[0], target[0]) if flat else (image, target)


def _cut(array: Array, start: Sequence[int], tile: Sequence[int]) -> Array:
    """Return a window, 0 (background) where it reaches over the edge; as at prediction."""
    inside = tuple(slice(max(s, 0), min(s + t, n)) for s, t, n in zip(start, tile, array.shape, strict=False))
    part = np.asarray(array[inside])
    if part.shape[:3] == tuple(tile):
        return part
    window = np.zeros((*tile, *array.shape[3:]), array.dtype)
    window[tuple(slice(i.start - s, i.stop - s) for i, s in zip(inside, start, strict=True))] = part
    return window


class Batches(keras.utils.PyDataset):
    """The batches of one epoch for `keras.Model.fit`."""

    def __init__(self, sampler: Sampler, epoch: int) -> None:
        super().__init__()
        self._sampler = sampler
        self._epoch = epoch

    def __len__(self) -> int:
        return self._sampler.options.steps_per_epoch

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        return self._sampler.batch(self._epoch, index)
