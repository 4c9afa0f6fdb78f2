"""What a command model wrote, read back onto the grid of the scan that it was given."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.geometry import Array, Geometry, Reorientation
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.io.found import plain
from napari_medcnn.io.label_table import dataset_labels
from napari_medcnn.io.read import ids_present, read_labels
from napari_medcnn.verbs.names import stem_of

MASK = "mask.nii.gz"
NNUNET_MASK = "case.nii.gz"
DATASET = "dataset.json"
#: A mask lies on the scan's grid if no corner is off by more than this share of the smallest spacing: headers hold
#: positions in single precision, and programs go through them more than once.
_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Answer:
    """The mask on the scan's grid, and in words what was odd."""

    mask: LabelMap
    warnings: tuple[str, ...]


def read_answer(command: CommandModel, folder: Path, grid: Geometry) -> Answer:
    """Return what the program left in its output folder.

    Raises
    ------
    ModelError
        It wrote nothing, something else than a mask, or a mask on another grid; the message says which.
    """
    if command.output == "class files":
        return _class_files(command, folder, grid)
    name = MASK if command.output == "file" else NNUNET_MASK
    if not (folder / name).is_file():
        raise ModelError(f"{_who(command)} ended without writing a mask: expected {name}, {_found(folder)}.")
    mask, moved = _on_grid(command, folder / name, grid)
    labels = _labels(command, folder) or mask.labels
    unnamed = sorted(set(ids_present(mask.array)) - {0, *labels.ids})
    warnings = [moved] if moved else []
    if unnamed and len(labels):
        warnings.append(f"The mask holds class numbers without a name: {', '.join(map(str, unnamed[:20]))}.")
    named = labels.covering(unnamed)
    return Answer(LabelMap(mask.array, grid, named, command.title), (*warnings, *_odd(mask)))


def _class_files(command: CommandModel, folder: Path, grid: Geometry) -> Answer:
    """Lay the masks of single classes over each other, in order of id or of name; the later one wins where two meet."""
    files = {stem_of(path): path for path in sorted(folder.glob("*.nii*")) if path.is_file()}
    if not files:
        raise ModelError(f"{_who(command)} ended without writing a mask: expected a file per class, {_found(folder)}.")
    labels = _class_ids(command, files)
    whole = np.zeros(grid.shape, dtype=labels.smallest_dtype)
    shared = 0
    notes: set[str] = set()
    for label in labels:
        if label.name not in files:
            continue
        mask, moved = _on_grid(command, files[label.name], grid)
        inside = mask.array > 0
        shared += int(np.count_nonzero(whole[inside]))
        whole[inside] = label.id
        notes |= {moved} - {""}
    warnings = sorted(notes)
    if shared:
        warnings.append(f"Classes overlap in {shared} voxels; there the later one in the list is shown.")
    return Answer(LabelMap(whole, grid, labels, command.title), tuple(warnings))


def _class_ids(command: CommandModel, files: Mapping[str, Path]) -> LabelSet:
    """Return the classes the card names, then those that only a file names, in order of their names."""
    extra = [name for name in files if name not in command.labels.names]
    first = max(command.labels.ids, default=0) + 1
    try:
        return LabelSet(command.labels.labels + LabelSet.from_names(extra, first).labels)
    except InputError as error:
        raise ModelError(f"{_who(command)}: its files do not name classes ({error}).") from error


def _on_grid(command: CommandModel, path: Path, grid: Geometry) -> tuple[LabelMap, str]:
    """Return the mask of a file on the scan's grid, and a note if it was stored in another order."""
    try:
        mask = read_labels(path)
    except InputError as error:
        raise ModelError(f"{_who(command)} wrote something that is not a mask. {error}") from error
    array = in_order_of(mask, replace(grid, spacing_known=True, orientation_known=True))
    if array is None:
        raise ModelError(
            f"{_who(command)} wrote a mask on another grid: {_grid(mask.geometry)}; the scan has {_grid(grid)}. It "
            "must write on the grid of the scan it was given."
        )
    moved = "" if mask.geometry.same_grid(grid, _TOLERANCE) else "The mask was stored in another order of its axes."
    return replace(mask, array=array, geometry=grid), moved


def in_order_of(mask: LabelMap, grid: Geometry) -> Array | None:
    """Return the voxels in the storage order of `grid` by flips and permutations alone, None if it is another grid."""
    if not mask.geometry.orientation_known:
        return None
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            how = Reorientation((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))
            if mask.geometry.reoriented(how).same_grid(grid, _TOLERANCE):
                return np.ascontiguousarray(how.apply(mask.array))
    return None


def _labels(command: CommandModel, folder: Path) -> LabelSet | None:
    """Return the names that are known beside the mask itself: on the card, then in a ``dataset.json``."""
    if len(command.labels):
        return command.labels
    try:
        if command.dataset_json:
            return dataset_labels(Path(command.dataset_json).expanduser())
        if command.output == "nnunet" and (folder / DATASET).is_file():
            return dataset_labels(folder / DATASET)
    except InputError as error:
        raise ModelError(f"{_who(command)}: its class names cannot be read. {error}") from error
    return None


def _odd(mask: LabelMap) -> list[str]:
    return [note for note in mask.notes if note.startswith("The mask")]


def _found(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return f"found {plain(', '.join(names), 200)}" if names else "found nothing"


def _grid(grid: Geometry) -> str:
    size = " x ".join(map(str, grid.shape))
    if not grid.orientation_known:
        return f"{size} voxels, position not stated"
    spacing = " x ".join(f"{mm:.4g}" for mm in grid.spacing_mm)
    origin = ", ".join(f"{mm:.1f}" for mm in grid.origin_lps)
    return f"{size} voxels (z, y, x) of {spacing} mm, first voxel at {origin} mm"


def _who(command: CommandModel) -> str:
    return plain(command.title)
