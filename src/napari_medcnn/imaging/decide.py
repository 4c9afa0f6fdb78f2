"""From the probabilities of voxels to class ids and to how sure the answer is. Arrays here are (..., channel)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.spec import Decision

Float32 = npt.NDArray[np.float32]
#: Stands for 0 in a logarithm: p log p is 0 there to all digits of float32.
_TINY = np.float32(1e-30)


def sure_background(decision: Decision, doubt: bool = False) -> tuple[float, ...]:
    """Return the scores of a voxel that is surely background, one per channel, and one 0 more with a doubt channel."""
    scores = tuple(1.0 if decision.exclusive and label == 0 else 0.0 for label in decision.ids)
    return (*scores, 0.0) if doubt else scores


def winners(scores: Float32, decision: Decision) -> tuple[npt.NDArray[np.intp], int]:
    """Return the winning channel of each voxel, and how many voxels more than one channel claims.

    Parameters
    ----------
    scores : (..., channel) probabilities, one channel for each of `decision.ids`.

    Returns
    -------
    tuple
        intp (...), the number of channels where none wins (background); and the number of voxels at which two or more
        channels that do not exclude each other reach their thresholds (0 where classes exclude each other).

    Notes
    -----
    Of equal classes the first wins. Not exclusive: a channel exactly at its threshold counts; furthest above is
    (p - t) / (1 - t), 1 at p = 1.
    """
    channels = len(decision.ids)
    if decision.exclusive:
        return scores.argmax(axis=-1), 0
    limits = np.asarray(decision.thresholds, np.float32)
    reached = scores >= limits
    if channels == 1:
        return np.where(reached[..., 0], 0, 1), 0
    claims = np.count_nonzero(reached, axis=-1)
    if decision.rule == "last":
        winner = channels - 1 - reached[..., ::-1].argmax(axis=-1)
    else:
        winner = np.where(reached, (scores - limits) / (1 - limits), np.float32(-1)).argmax(axis=-1)
    winner[claims == 0] = channels
    return winner, int(np.count_nonzero(claims > 1))


def entropy(scores: Float32, exclusive: bool) -> npt.NDArray[np.uint8]:
    """Return how undecided voxels are: uint8 (...), 0 sure to 255 as undecided as can be.

    Exclusive classes: Shannon entropy of the probabilities, -sum p log p, divided by the log of the number of classes.
    Else: the largest binary entropy of a channel, -p log2 p - (1 - p) log2 (1 - p). One exclusive class is always sure.
    """
    if exclusive:
        channels = scores.shape[-1]
        if channels == 1:
            return np.zeros(scores.shape[:-1], np.uint8)
        clipped = np.maximum(scores, _TINY)
        logs = np.log(clipped)
        logs *= clipped
        # a matrix product sums short rows faster than sum(axis=-1)
        total = logs @ np.full(channels, -1 / np.log(channels), np.float32)
    else:
        # binary entropy falls with the distance from 1/2: the nearest channel has the largest
        nearest = np.abs(scores - np.float32(0.5)).min(axis=-1)
        low, high = np.maximum(np.float32(0.5) - nearest, _TINY), np.minimum(np.float32(0.5) + nearest, np.float32(1))
        total = -(low * np.log2(low) + high * np.log2(high))
    return as_bytes(total)


def as_bytes(doubt: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return a doubt of 0 to 1 as uint8 0 to 255, rounded; what lies outside is cut."""
    painted: npt.NDArray[np.uint8] = np.rint(np.clip(doubt, 0, 1) * 255).astype(np.uint8)
    return painted
