"""What is asked: which class, and over which voxels of the model's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.geometry import Reorientation
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.windows import Run, classify, make_plan
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.boxes import whole_box
from napari_medcnn.imaging.patches import stream_scores
from napari_medcnn.imaging.pipeline import Prepared
from napari_medcnn.imaging.record import Record
from napari_medcnn.imaging.resample import resample_labels
from napari_medcnn.imaging.restore import LabelPainter
from napari_medcnn.imaging.slicing import with_neighbours
from napari_medcnn.worker.server import Context

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Target:
    """A class by name and output channel, and where its score is summed on the model's grid (None: a whole case)."""

    name: str
    channel: int
    region: Bools | None
    warnings: tuple[str, ...] = ()


def find_target(
    loaded: Loaded, prepared: Prepared, options: ExplainOptions, region: Bools | None, context: Context,
    tile: tuple[int, ...],
) -> Target:  # fmt: skip
    """Return what is asked.

    Parameters
    ----------
    region
        On the scan's own grid; None for a whole case, or for the voxels a segmenter gives the class itself.
    tile
        Window for the look at what the network itself finds, where that is needed.

    Raises
    ------
    InputError
        The class is unknown, the region lies where the model does not look, the network finds nothing to explain.
    """
    spec = loaded.spec
    names = [spec.labels.name_of(i) for i in spec.decision.ids]
    if options.target and options.target not in names:
        raise InputError(f"target: expected one of {', '.join(names)}, got {options.target!r}")
    run = Run(loaded, tile, context)
    if spec.task == "classification":
        name = options.target or _winner(spec, classify(run, prepared))
        return Target(name, names.index(name), None)
    here = None if region is None else on_model_grid(region, prepared.record)
    if options.target and here is not None:
        return Target(options.target, names.index(options.target), here)
    context.progress(None, "Looking at what the model finds")
    labels = own_labels(run, prepared)
    if here is None:
        return _found(labels, spec, names, options.target)
    inside = _counted(labels, here)
    if inside:
        name = spec.labels.name_of(inside[0])
        return Target(name, spec.decision.ids.index(inside[0]), here)
    raise InputError(
        "target: the model gives background there, so it is not clear which class is meant; name one of "
        f"{', '.join(n for n, i in zip(names, spec.decision.ids, strict=True) if i)}"
    )


def on_model_grid(region: Bools, record: Record) -> Bools:
    """Bring voxels of the scan's own grid to the model's grid, nearest; what is too small for it keeps one voxel.

    Raises
    ------
    InputError
        All of it lies outside what the model looks at.
    """
    part = np.ascontiguousarray(record.how.apply(region)[record.box])
    if not part.any():
        raise InputError(
            "voxel: the model does not look there (it crops the scan to what it was made for); choose a place inside "
            "the body"
        )
    found = resample_labels(part.astype(np.uint8), record.part, record.model).astype(bool)
    if not found.any():
        points = np.argwhere(part)
        places = record.model.lps_to_index(record.part.index_to_lps(points))
        nearest = np.clip(np.rint(places).astype(int), 0, np.array(record.model.shape) - 1)
        found[tuple(nearest.T)] = True
    return found


def own_labels(run: Run, prepared: Prepared) -> npt.NDArray[Any]:
    """Return the class ids (z, y, x) that the network itself gives on the model's grid."""
    spec, model = run.loaded.spec, prepared.record.model
    upright = Reorientation((0, 1, 2), (False, False, False))
    painter = LabelPainter(Record(model, upright, whole_box(model.shape), model), spec.decision)

    def told(done: int, total: int) -> None:
        run.context.progress(done / total, f"Looking at what the model finds: window {done} of {total}")

    data = with_neighbours(prepared.data, spec.preparation)
    for slab in stream_scores(data, make_plan(run, prepared), run.scores, on_tile=told):
        painter.add(slab)
    return painter.labels


def _found(labels: npt.NDArray[Any], spec: ModelSpec, names: list[str], wanted: str) -> Target:
    """Return the voxels that the network itself gives a class: the one asked for, else the one with most voxels."""
    if not wanted:
        counted = _counted(labels, np.ones(labels.shape, bool))
        if not counted:
            raise InputError(
                "target: the model finds no class in this scan, so there is nothing of its own to explain; name a "
                "class and a voxel or a mask"
            )
        wanted = spec.labels.name_of(counted[0])
    channel = names.index(wanted)
    region = labels == spec.decision.ids[channel]
    if not region.any():
        raise InputError(
            f"target: the model gives no voxel of this scan the class {wanted}; give a voxel or a mask to ask about"
        )
    return Target(wanted, channel, region)


def _counted(labels: npt.NDArray[Any], inside: Bools) -> list[int]:
    """Return the class ids other than background inside, most voxels first, then by id."""
    ids, counts = np.unique(labels[inside], return_counts=True)
    order = sorted((-int(n), int(i)) for i, n in zip(ids, counts, strict=True) if i)
    return [i for _, i in order]


def _winner(spec: ModelSpec, scores: dict[str, float]) -> str:
    """Return the class a case gets: the largest, where each is judged alone the one furthest above its threshold."""
    if spec.decision.exclusive:
        return max(scores, key=lambda name: scores[name])
    thresholds = dict(zip(scores, spec.decision.thresholds, strict=True))
    return max(scores, key=lambda name: scores[name] - thresholds[name])
