"""Refine a mask by scribbles: what the annotator says for certain, what the model thought, and what the scan shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_medcnn.annotation.box import Box
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.connect import PIECES, numbered
from napari_medcnn.annotation.tools.mask import Mask, Progress, check_length, tell
from napari_medcnn.annotation.tools.seeds import WALK_LIMIT, seeds_box
from napari_medcnn.annotation.tools.walk import Walk, probabilities
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError


@dataclass(frozen=True, eq=False)
class Thought:
    """What a model thought of every voxel.

    Parameters
    ----------
    ids
        The class of each channel; 0, the background, is one of them or what the others leave.
    probabilities
        (z, y, x, class), 0 to 1, or 0 to 255 as bytes; may be a memory-mapped file, of which only the box is read.
    """

    ids: tuple[int, ...]
    probabilities: Array

    def __post_init__(self) -> None:
        if self.probabilities.ndim != 4 or self.probabilities.shape[3] != len(self.ids):
            raise InputError(
                f"probabilities: expected (z, y, x, class) with {len(self.ids)} classes, got {self.probabilities.shape}"
            )
        if len(set(self.ids)) != len(self.ids):
            raise InputError(f"probabilities: expected each class once, got {self.ids}")


@dataclass(frozen=True)
class Refining:
    """How far and how strongly scribbles act.

    Parameters
    ----------
    margin_mm
        How far beyond the scribbles' box the mask may change.
    background
        The id in the scribbles that stands for background: 0 means "not scribbled" there.
    trust
        0.5 to 1: how sure the mask is of itself where no model says more, and where the annotator drew otherwise.
    walk
        beta for the scan; gamma for the prior: in an even scan a scribble reaches about 1 / sqrt(gamma) voxels.
    """

    margin_mm: float = 20.0
    background: int | None = None
    trust: float = 0.8
    walk: Walk = field(default_factory=lambda: Walk(gamma=0.005))

    def __post_init__(self) -> None:
        check_length(self.margin_mm, "margin_mm")
        if not 0.5 <= self.trust <= 1:
            raise InputError(f"trust: expected 0.5 to 1, got {self.trust}")
        if self.walk.gamma <= 0:
            raise InputError("gamma: expected above 0; without a prior use growing from seeds")


def refine(
    mask: Mask,
    scan: Array,
    scribbles: Array,
    how: Refining,
    thought: Thought | None = None,
    progress: Progress | None = None,
) -> Edit:
    """Change a mask around scribbles: a random walker with the model's probabilities as prior.

    Scribbled voxels get their class. Around them a walker (Grady, CVPR 2005) weighs the scribbles near by, the prior
    and the borders in the scan. The prior is the model's probability where the mask is what the model would give, else
    the mask itself with `trust`, so that earlier corrections stand. A change that no scribble touches is not made.

    Parameters
    ----------
    scan
        Values (z, y, x).
    scribbles
        Ids (z, y, x), 0 where nothing is scribbled.
    thought
        What the model thought; None: the mask itself is the prior.
    progress
        Told (steps done, steps in all at most) at each step of the solver; it may raise to cancel.

    Returns
    -------
    Edit
        Empty where nothing is scribbled, or all of it stands there already.

    Raises
    ------
    InputError
        A scan, scribbles or probabilities on another grid; a scribble of a locked class; a box of more than 2 million
        voxels (a smaller margin, or scribbles nearer to each other).
    """
    mask.require_scan(scan)
    if scribbles.shape != mask.shape or scribbles.dtype.kind not in "biu":
        raise InputError(f"scribbles: expected ids of shape {mask.shape}, got {scribbles.dtype} of {scribbles.shape}")
    if thought is not None and thought.probabilities.shape[:3] != mask.shape:
        raise InputError(f"probabilities: expected the mask's grid {mask.shape}, got {thought.probabilities.shape[:3]}")
    box = seeds_box(mask, scribbles, how.margin_mm)
    if box is None:
        return mask.nothing()
    ids, drawn = mask.array[box].astype(np.int64), scribbles[box].astype(np.int64)
    if ids.size > WALK_LIMIT:
        raise InputError(
            f"scribbles: their box has {ids.size} voxels, at most {WALK_LIMIT} can be refined at once; scribble nearer "
            "together or make the margin smaller"
        )
    marked = drawn != 0
    drawn[drawn == (-1 if how.background is None else how.background)] = 0
    free = mask.writable(box, drawn=True)
    classes = sorted({0, *ids[free].tolist(), *drawn[marked].tolist(), *(thought.ids if thought is not None else ())})
    mask.require_free(*np.unique(drawn[marked]).tolist())
    classes = [c for c in classes if c not in mask.locked]
    marks = np.zeros(ids.shape, np.int32)
    marks[marked] = np.searchsorted(classes, drawn[marked]) + 1
    marks[~free] = -1
    prior = _prior(mask, box, classes, thought, how.trust)
    steps = iter(range(1, 10**9))
    found = probabilities(
        scan[box], marks, mask.spacing, how.walk, prior, step=lambda: tell(progress, min(next(steps), 499), 500)
    )
    won = np.where(free, np.array(classes)[found.argmax(axis=0)], ids)
    pieces, count = numbered((won != ids) | (marked & free), PIECES)
    touched = np.zeros(count + 1, bool)
    touched[pieces[marked & free]] = True
    touched[0] = False
    tell(progress, 500, 500)
    return mask.replaced(box, np.where(touched[pieces], won, ids))


def _prior(mask: Mask, box: Box, classes: Sequence[int], thought: Thought | None, trust: float) -> NDArray[np.float32]:
    """Return (class, z, y, x), 1 in sum: the model's where the mask is what it would give, else the mask, softened."""
    ids = mask.array[box]
    rest = (1 - trust) / max(1, len(classes) - 1)
    prior = np.stack([np.where(ids == c, trust, rest) for c in classes]).astype(np.float32)
    if thought is not None:
        model = np.zeros_like(prior)
        part = np.asarray(thought.probabilities[box])
        scale = 255.0 if part.dtype.kind in "iu" else 1.0
        for channel, label in enumerate(thought.ids):
            if label in classes:
                model[classes.index(label)] = part[..., channel] / scale
        if 0 not in thought.ids and 0 in classes:
            model[classes.index(0)] = np.clip(1 - model.sum(axis=0), 0, 1)
        agrees = np.asarray(classes)[model.argmax(axis=0)] == ids
        prior = np.where(agrees, model, prior)
    total = prior.sum(axis=0)
    return np.asarray(np.where(total > 0, prior / np.maximum(total, 1e-6), 1 / len(classes)), np.float32)
