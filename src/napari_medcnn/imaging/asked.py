"""Can what was asked for be done with this model and this scan?  Said before anything runs."""

from __future__ import annotations

from napari_medcnn.core.options import PredictOptions, Slices
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.boxes import turned_region
from napari_medcnn.imaging.slicing import turn

_BODY_AXES = ("RL", "AP", "IS")


def check_options(volume: Volume, spec: ModelSpec, options: PredictOptions) -> None:
    """Refuse options that do not suit the model and the scan (one time point).

    Raises
    ------
    InputError
        Slices of a 3D model or of a picture; a region outside the scan; mirroring that the card does not allow.
    """
    how, _ = turn(volume.geometry, spec.preparation, options.slices)
    if options.region is not None:
        turned_region(options.region, volume.geometry.shape, how)
    if options.flips:
        flip_axes(volume, spec, options.slices)


def flip_axes(volume: Volume, spec: ModelSpec, slices: Slices = "card") -> tuple[int, ...]:
    """Return the axes of the network's grid along which a mirrored scan is as good as the scan, rising.

    The card names array axes of its own grid, which stand for directions of the body (its orientation letters); they
    are looked up in the grid that is really used. So left is never taken for right because a file is stored another
    way, or because other slices were chosen. Without letters on either side the axes can only be trusted in a picture,
    or where the card allows all of them. Axis 0 of a 2D network without neighbours holds one slice: nothing to mirror.

    Raises
    ------
    InputError
        The card allows none, or it cannot be known which ones it means.
    """
    preparation = spec.preparation
    used = {0, 1, 2} if preparation.dimensions == 3 or preparation.neighbours else {1, 2}
    if not set(spec.symmetric) & used:
        raise InputError(
            f"flips: the card of {spec.name} declares no side that may be mirrored (left and right may mean something "
            "to it); run without flips"
        )
    known = preparation.orientation is not None and volume.geometry.orientation_known
    if volume.is_picture or (not known and used <= set(spec.symmetric)):
        return tuple(sorted(set(spec.symmetric) & used))
    if preparation.orientation is None:
        raise InputError(
            "flips: the card does not say how the body lies in its axes, so nobody knows which side may be mirrored; "
            "run without flips"
        )
    if not known:
        raise InputError(
            "flips: the file does not state where left is, so nobody knows which side may be mirrored; run without "
            "flips"
        )
    allowed = {_body_axis(preparation.orientation[axis]) for axis in spec.symmetric}
    how, _ = turn(volume.geometry, preparation, slices)
    letters = (volume.geometry.reoriented(how).orientation or "")[::-1]
    axes = tuple(axis for axis in sorted(used) if _body_axis(letters[axis]) in allowed)
    if not axes:
        raise InputError(f"flips: no side of {slices} slices may be mirrored for this model; run without flips")
    return axes


def _body_axis(letter: str) -> str:
    return next(pair for pair in _BODY_AXES if letter in pair)
