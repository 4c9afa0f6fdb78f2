"""Ask a program of the user's why: blank out one piece of the scan after the other and run it again each time.

A program gives a mask and no score, so the number that is followed is how many voxels of a class it marks: a voxel of
the map says how many of them are lost when a piece around it is gone. Every piece is a whole run of the program.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from scipy import ndimage

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Event, Events, Failed, Progress, Result
from napari_medcnn.core.explain_time import Box, Patches, patches
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.core.options import ExplainOptions, PredictOptions, to_json
from napari_medcnn.core.results import Segmentation
from napari_medcnn.core.saliency import CAUTION, METHODS, Check, SaliencyMap
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, UnsupportedError
from napari_medcnn.evaluation.saliency import energy_in_mask, points_into, precision_recall_area
from napari_medcnn.verbs import command_model
from napari_medcnn.verbs.command_model import CommandRequest, FoundProgram
from napari_medcnn.verbs.guard import relay
from napari_medcnn.verbs.place import component_at, inside, refuse_other_grid
from napari_medcnn.verbs.predict import one_frame

#: Patches along the longest side where no size was asked for: each is a run, so they are few and side by side.
PATCHES = 4
_BLUR = 1 / 16
_AIR_HU = -1000.0
#: What this way of asking cannot use.
_NOT_USED = ("layer", "supervoxels")
_UNCHECKED = "The weights of a program cannot be replaced, so it is not known whether the map depends on them."


@dataclass(frozen=True, eq=False)
class _Asked:
    command: CommandModel
    volume: Volume
    options: ExplainOptions
    cancel: Cancel
    program: FoundProgram


def refuse(command: CommandModel, options: ExplainOptions) -> None:
    """Refuse what a program cannot be asked.

    Raises
    ------
    UnsupportedError
        Another method than occlusion.
    InputError
        An option that has no meaning for a program.
    """
    if options.method != "occlusion":
        raise UnsupportedError(
            f"{command.name}: a program gives a mask and no score, and nothing inside it can be followed, so "
            f"{METHODS[options.method].title} cannot be calculated; choose the method occlusion."
        )
    plain = ExplainOptions()
    given = [name for name in _NOT_USED if getattr(options, name) != getattr(plain, name)]
    if given:
        raise InputError(f"{', '.join(given)}: has no meaning for {command.name}, which is a program; leave it out.")


def run(
    command: CommandModel, volume: Volume, options: ExplainOptions, mask: LabelMap | None, cancel: Cancel
) -> Events:
    """Explain; the result is a `SaliencyMap`.

    Parameters
    ----------
    mask
        As in `explain.ExplainRequest`; only voxels inside are counted.

    Raises
    ------
    UnsupportedError, InputError
        See `refuse`; the program marks nothing there, or not the class that was named.
    EngineError, ModelError, Cancelled
        As `command_model.run`.
    """
    refuse(command, options)
    volume = one_frame(volume, options.frame)
    if mask is not None:
        refuse_other_grid("mask", mask, volume.geometry)
    options = replace(options, frame=0)
    program: FoundProgram = yield from relay(command_model.look_up(command, cancel))
    asked = _Asked(command, volume, options, cancel, program)
    begun = time.monotonic()
    own: Segmentation = yield from _mask_of(asked, volume.array, Progress(0.0, "Occlusion: the scan as it is"))
    one = time.monotonic() - begun
    label, name = _target(own, options, mask)
    region = _region(own, label, options, mask)
    pieces = pieces_of(volume.geometry, options)
    base = _count(own, label, region)
    if not base:
        raise InputError(f"mask: the program marks no voxel of {name} there, so there is nothing to explain")
    told = f"Occlusion: 1 of {pieces.count + 1} runs"
    yield Progress(1 / (pieces.count + 1), told, expected=one * (pieces.count + 1))
    values = yield from _drops(asked, pieces, label, region, base)
    sign = -1 if options.negate else 1
    facts = {
        "baseline": options.baseline,
        "patch_mm": _in_mm(pieces.sizes, volume),
        "stride_mm": _in_mm(pieces.strides, volume),
        "runs": pieces.count + 1,
        "score": "voxels that the program marks",
    }
    yield Result(
        SaliencyMap(
            values=(sign * values).astype(np.float32),
            geometry=volume.geometry,
            method="occlusion",
            target=f"{'what spoke against ' if options.negate else ''}voxels marked as {name}",
            layer="",
            score=float(sign * base),
            provenance=replace(
                own.provenance,
                options=to_json(replace(options, target=name)),
                time=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
                seconds={"load": 0.0, "forward": round(time.monotonic() - begun, 3), "rest": 0.0},
                notes=(CAUTION, *own.provenance.notes),
            ),
            facts=facts,
            warnings=own.warnings,
        )
    )


def check(made: SaliencyMap, reference: LabelMap | None) -> SaliencyMap:
    """Return a map with what can be said of it: nothing of the weights, but how it agrees with a mask a person drew.

    Raises
    ------
    InputError
        The mask lies on another grid.
    """
    if reference is None:
        return replace(made, check=Check("not checked", _UNCHECKED))
    refuse_other_grid("reference", reference, made.geometry)
    named = str(made.provenance.options.get("target", ""))
    label = next((i for i in reference.labels.ids if reference.labels.name_of(i) == named), None)
    drawn = reference.array != 0 if label is None else reference.array == label
    found = Check(
        "not checked",
        _UNCHECKED,
        energy=energy_in_mask(made.values, drawn),
        pointing=points_into(made.values, drawn),
        auprc=precision_recall_area(made.values, drawn),
        prevalence=float(np.mean(drawn)),
    )
    return replace(made, check=found)


def pieces_of(grid: Geometry, options: ExplainOptions) -> Patches:
    """Return what is blanked out, one piece a run: over the whole scan, side by side unless another distance is asked.

    A scan takes one run more, as it is.
    """
    longest = max(n * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True))
    patch = options.patch_mm or longest / PATCHES
    z, y, x = grid.shape
    box: Box = (slice(0, z), slice(0, y), slice(0, x))
    options = replace(options, patch_mm=patch, stride_mm=options.stride_mm or patch)
    return patches(box, grid.spacing_mm, False, options)


def _drops(
    asked: _Asked, pieces: Patches, label: int, region: Array | None, base: int
) -> Generator[Event, None, Array]:
    """Return the mean drop over the patches that cover a voxel (Zeiler and Fergus 2014, section 4.2)."""
    shape, whole = asked.volume.geometry.shape, pieces.count + 1
    total, count = np.zeros(shape), np.zeros(shape)
    fill = _plain(asked)
    insisting = replace(asked, options=replace(asked.options, ignore_fit=True))
    for number, box in enumerate(pieces.boxes(), start=1):
        array = np.array(asked.volume.array)
        array[box] = fill[box]
        words = Progress(number / whole, f"Occlusion: {number + 1} of {whole} runs")
        # the scan itself was found to suit the program; blanked out it may look as if it did not
        found: Segmentation = yield from _mask_of(insisting, array, words)
        total[box] += base - _count(found, label, region)
        count[box] += 1
    return total / np.maximum(count, 1)


def _mask_of(asked: _Asked, array: Array, words: Progress) -> Generator[Event, None, Segmentation]:
    options = PredictOptions(device=asked.options.device, ignore_fit=asked.options.ignore_fit)
    request = CommandRequest(replace(asked.volume, array=array), asked.command, options, asked.program)
    found: Segmentation = yield from relay(_worded(command_model.run(request, asked.cancel), words))
    return found


def _worded(events: Events, words: Progress) -> Events:
    """Let `words` stand in for the progress of one run: it counts for nothing among many."""
    try:
        for event in events:
            yield event if isinstance(event, Result | Failed) else words
    finally:
        events.close()


def _target(own: Segmentation, options: ExplainOptions, mask: LabelMap | None) -> tuple[int, str]:
    """Return the class that is counted: the one named, that at the voxel, or the one with most voxels."""
    labels, array = own.mask.labels, own.mask.array
    present = [int(i) for i in np.unique(array) if i]
    names = {labels.name_of(i): i for i in {*labels.ids, *present} if i}
    if options.target:
        if options.target not in names:
            raise InputError(f"target: expected one of {', '.join(names)}, got {options.target!r}")
        return names[options.target], options.target
    if options.voxel is not None and inside(options.voxel, array.shape) and array[options.voxel]:
        label = int(array[options.voxel])
        return label, labels.name_of(label)
    where = np.ones(array.shape, bool) if mask is None else mask.array != 0
    counts = {i: int(np.count_nonzero((array == i) & where)) for i in present}
    if not any(counts.values()):
        raise InputError("target: the program marks nothing in this scan, so there is nothing to explain")
    label = max(counts, key=lambda i: counts[i])
    return label, labels.name_of(label)


def _region(own: Segmentation, label: int, options: ExplainOptions, mask: LabelMap | None) -> Array | None:
    """Return where voxels are counted, bool (z, y, x); None for everywhere."""
    if options.voxel is not None:
        return component_at(own.mask.array if mask is None else mask.array, options.voxel)
    if mask is None:
        return None
    same: Array = mask.array == label
    anything: Array = mask.array != 0
    return same if same.any() else anything


def _count(found: Segmentation, label: int, region: Array | None) -> int:
    marked = found.mask.array == label
    return int(np.count_nonzero(marked if region is None else marked & region))


def _in_mm(voxels: tuple[int, int, int], volume: Volume) -> list[float]:
    return [round(n * s, 3) for n, s in zip(voxels, volume.geometry.spacing_mm, strict=True)]


def _plain(asked: _Asked) -> Array:
    """Return the plain image in the scan's own values and type: what `options.baseline` names."""
    volume, kind = asked.volume, asked.options.baseline
    array, spatial = volume.array, (0, 1, 2)
    if kind == "blur":
        spacing = volume.geometry.spacing_mm
        wide = _BLUR * max(n * s for n, s in zip(array.shape[:3], spacing, strict=True))
        sigma = [wide / s for s in spacing] + [0.0] * (array.ndim - 3)
        values: Array = ndimage.gaussian_filter(array.astype(np.float32), sigma, mode="nearest")
    elif kind == "mean":
        values = array.mean(axis=spatial, dtype=np.float64)
    elif kind == "air" and volume.modality == "CT":
        values = np.full(array.shape[3:], _AIR_HU)
    else:
        values = array.min(axis=spatial)
    if np.issubdtype(array.dtype, np.integer):
        values = np.rint(values)
    return np.broadcast_to(values.astype(array.dtype), array.shape)
