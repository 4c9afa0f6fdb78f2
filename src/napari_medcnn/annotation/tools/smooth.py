"""Smooth the outline of a class: median, Gaussian, opening, closing, with a radius in mm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools.distance import grown, shrunk
from napari_medcnn.annotation.tools.mask import ON_LIMIT, Bools, Mask, Plane, Progress, check_length
from napari_medcnn.annotation.tools.parts import reshape_class
from napari_medcnn.errors import InputError

Method = Literal["median", "gaussian", "opening", "closing"]

_TRUNCATE = 4.0  # standard deviations


def smooth(
    mask: Mask,
    label: int,
    method: Method,
    radius_mm: float,
    plane: Plane | None = None,
    progress: Progress | None = None,
) -> Edit:
    """Smooth a class.

    median : a voxel belongs if more than half of the voxels within the radius do.
    gaussian : the class as 0 and 1, filtered with a Gaussian, cut at one half; `radius_mm` is the standard deviation.
    opening : shrink by the radius, then grow by it: removes what is thinner than twice the radius.
    closing : grow by the radius, then shrink by it: closes gaps and bays.

    All of them are round in mm. Beyond the scan its last voxels go on (median, Gaussian), or nothing is known (opening,
    closing). The class grows only over what may be overwritten (see `Mask.over`: by default the background); what it
    loses becomes background.

    Parameters
    ----------
    radius_mm
        Above 0. A radius that reaches no neighbour along an axis changes nothing along it, except the Gaussian's.
    plane
        In this slice only, in two dimensions. A picture is always smoothed in two.
    progress
        Told after each part of the class; it may raise to cancel.

    Returns
    -------
    Edit
        Empty where the class has no voxel, or none changes.

    Raises
    ------
    InputError
        The class is 0 or locked, the radius is not above 0, or the method is none of the four.
    """
    mask.require_free(label)
    if method not in get_args(Method):
        raise InputError(f"method: expected {', '.join(get_args(Method))}, got {method!r}")
    radius = check_length(radius_mm, "radius_mm", zero=False)
    # an opening needs to see twice its radius: what is cut off must not come back from a part nearby
    reach = _TRUNCATE * radius if method == "gaussian" else 2 * radius
    spacing = mask.spacing

    def change(region: Bools) -> Bools:
        if method == "opening":
            return grown(shrunk(region, radius, spacing), radius, spacing)
        if method == "closing":
            return shrunk(grown(region, radius, spacing), radius, spacing)
        return _median(region, radius, spacing) if method == "median" else _gaussian(region, radius, spacing)

    return reshape_class(mask, label, mask.region(plane), reach, change, progress)


def _gaussian(region: Bools, sigma: float, spacing: Sequence[float]) -> Bools:
    # a slice has no neighbours across it
    sigmas = [0.0 if n == 1 else sigma / s for n, s in zip(region.shape, spacing, strict=True)]
    soft = ndimage.gaussian_filter(region.astype(np.float32), sigmas, mode="nearest", truncate=_TRUNCATE)
    return np.asarray(soft >= 0.5)


def _median(region: Bools, radius: float, spacing: Sequence[float]) -> Bools:
    """Return the voxels of which more than half of the ball around them lies in the region."""
    reach = [0 if n == 1 else int(radius / s * (1 + ON_LIMIT)) for n, s in zip(region.shape, spacing, strict=True)]
    grids = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    squared = sum((g * s) ** 2 for g, s in zip(grids, spacing, strict=True))
    ball = np.asarray(squared <= (radius * (1 + ON_LIMIT)) ** 2)
    wide = np.pad(region, [(r, r) for r in reach], mode="edge")
    # whole numbers far below 2**24, so float32 rounds to the right one
    counts = fftconvolve(wide.astype(np.float32), ball.astype(np.float32), mode="valid")
    return np.asarray(np.rint(counts) > ball.sum() / 2)
