"""Does this scan suit this model?  Said in words before running, kept on the result."""

from __future__ import annotations

import numpy as np

from napari_medcnn.core.results import FitItem
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import Volume

_AXIS = ("slice distance", "row spacing", "column spacing")
#: Spacing and field of view may leave the training range by this factor before it is mentioned.
_SLACK = 1.25
#: A field of view this many times larger or smaller is another kind of scan: a head for a model of one organ's box.
_OTHER_KIND = 2.0
_SAMPLES = 200_000


def check_fit(volume: Volume, spec: ModelSpec) -> tuple[FitItem, ...]:
    """Compare a scan with the model card.

    Returns
    -------
    tuple of FitItem
        One line per topic that the card states (channels, dimensions, spacing, size, range, modality, field of view,
        population). "stop": cannot run. "override": runs only if the user insists. "warn": runs, is noted.
    """
    items = [_channels(volume, spec), _dimensions(volume, spec)]
    items += _spacing(volume, spec)
    items += _size(volume, spec)
    items += _values(volume, spec)
    modalities = spec.fingerprint.modalities
    if modalities:
        if not volume.modality:
            items.append(
                FitItem("warn", "Modality", f"The file does not state it; the model expects {_or(modalities)}.")
            )
        elif volume.modality in modalities:
            items.append(FitItem("ok", "Modality", volume.modality))
        else:
            items.append(
                FitItem(
                    "override", "Modality", f"This is {volume.modality}; the model was trained on {_or(modalities)}."
                )
            )
    if spec.fingerprint.population:
        items.append(FitItem("ok", "Trained on", spec.fingerprint.population))
    return tuple(items)


def worst(items: tuple[FitItem, ...]) -> str:
    """Return the gravest level present; "ok" for none."""
    order = ("ok", "warn", "override", "stop")
    return max((item.level for item in items), key=order.index, default="ok")


def _channels(volume: Volume, spec: ModelSpec) -> FitItem:
    wanted, names = spec.preparation.channels, spec.preparation.channel_names
    if volume.channels == wanted:
        given = tuple(name.casefold() for name in volume.channel_names)
        expected = tuple(name.casefold() for name in names)
        if given != expected and sorted(given) == sorted(expected):
            return FitItem(
                "override",
                "Channels",
                f"They come as {_and(volume.channel_names)}; the model takes {_and(names)}, in this order.",
            )
        return FitItem("ok", "Channels", _and(names) if names else str(wanted))
    if wanted == 1 and volume.as_grey() is not None:
        return FitItem("ok", "Channels", "1 (a grey picture stored as RGB)")
    if names:
        return FitItem(
            "stop",
            "Channels",
            f"This model takes {_and(names)}; choose a layer for each (this scan has {volume.channels}).",
        )
    return FitItem(
        "stop", "Channels", f"The model takes {wanted}, this scan has {volume.channels}; choose another one."
    )


def _dimensions(volume: Volume, spec: ModelSpec) -> FitItem:
    depth = volume.geometry.shape[0]
    if spec.preparation.dimensions == 3 and depth == 1:
        return FitItem("stop", "Dimensions", "The model reads volumes; this is a single picture.")
    if spec.preparation.dimensions == 2 and depth > 1:
        return FitItem("warn", "Dimensions", f"The model reads pictures; it will run on {depth} slices one by one.")
    return FitItem("ok", "Dimensions", f"{spec.preparation.dimensions}D")


def _spacing(volume: Volume, spec: ModelSpec) -> list[FitItem]:
    wanted = spec.preparation.spacing_mm
    needs_mm = wanted is not None and any(w is not None for w in wanted)
    ranges = spec.fingerprint.spacing_mm
    if not volume.geometry.spacing_known:
        if needs_mm:
            return [FitItem("stop", "Voxel size", "The model needs it in mm, and the file does not state it.")]
        return [FitItem("warn", "Voxel size", "Not stated in the file; no areas or volumes in mm.")] if ranges else []
    items = _outside(ranges, volume.geometry.spacing_mm, "Voxel size", _AXIS)
    extent = tuple(n * s for n, s in zip(volume.geometry.shape, volume.geometry.spacing_mm, strict=True))
    view = spec.fingerprint.field_of_view_mm
    found = _outside(view, extent, "Field of view", ("height", "depth", "width"))
    if any(not low / _OTHER_KIND <= e <= high * _OTHER_KIND for e, (low, high) in zip(extent, view, strict=False)):
        found = [FitItem("override", i.topic, f"{i.text} So different a view is another kind of scan.") for i in found]
    return items + found


def _outside(
    ranges: tuple[tuple[float, float], ...], values: tuple[float, ...], topic: str, names: tuple[str, ...]
) -> list[FitItem]:
    if len(ranges) != len(values):
        return []
    wrong = [
        f"{name} {value:.3g} mm, trained on {low:.3g} to {high:.3g}"
        for name, value, (low, high) in zip(names, values, ranges, strict=True)
        if not low / _SLACK <= value <= high * _SLACK
    ]
    if wrong:
        return [FitItem("warn", topic, "; ".join(wrong) + ".")]
    return [FitItem("ok", topic, " x ".join(f"{v:.3g}" for v in values) + " mm")]


def _size(volume: Volume, spec: ModelSpec) -> list[FitItem]:
    if spec.fingerprint.size_px is None:
        return []
    low, high = spec.fingerprint.size_px
    height, width = volume.geometry.shape[1:]
    if low / _SLACK <= min(height, width) and max(height, width) <= high * _SLACK:
        return [FitItem("ok", "Size", f"{width} x {height} px")]
    return [FitItem("warn", "Size", f"{width} x {height} px, trained on {low:.0f} to {high:.0f} px.")]


def _values(volume: Volume, spec: ModelSpec) -> list[FitItem]:
    flat = volume.array.reshape(-1) if volume.array.flags.c_contiguous else volume.array.ravel()
    sample = flat[:: max(1, flat.size // _SAMPLES)]
    if sample.dtype.kind == "c":
        return [FitItem("stop", "Values", "Complex numbers; save the magnitude first.")]
    finite = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    if finite.size == 0:
        return [FitItem("stop", "Values", "Not one number in this scan.")]
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return [FitItem("override", "Values", f"Every voxel is {low:g}; there is nothing to see.")]
    if spec.fingerprint.values is None:
        return []
    wanted_low, wanted_high = spec.fingerprint.values
    span = wanted_high - wanted_low
    if low < wanted_low - span or high > wanted_high + span or (high - low) < 0.05 * span:
        return [FitItem("warn", "Values", f"{low:g} to {high:g}; trained on {wanted_low:g} to {wanted_high:g}.")]
    return [FitItem("ok", "Values", f"{low:g} to {high:g}")]


def _and(words: tuple[str, ...]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _or(words: tuple[str, ...]) -> str:
    return " or ".join(words)
