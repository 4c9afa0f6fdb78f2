"""Intensity steps of the pipeline: clip, scale, z-score, local normalisation.

Every function takes an array `(z, y, x, channel)` of any real dtype and returns a new float32 array of the same shape.
Statistics use finite values only and each channel has its own. A value that is not finite (NaN, inf) becomes
`FILL` = 0 in the result **after** the step where the step centres the data (z-score, local normalisation), and the
lower end of the range where it does not (clip, percentile clip, linear scale): it stands for "nothing here".
Constant channels become all `FILL`, never a division by zero.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from napari_medcnn.errors import InputError

FILL = 0.0
Array = npt.NDArray[np.float32]
Channels = npt.NDArray[np.generic]


def clip(data: Channels, low: float, high: float) -> Array:
    """Limit values to [low, high] in the array's own units. Not finite becomes `low`."""
    if not low < high:
        raise InputError(f"clip: expected low below high, got low {low:g} and high {high:g}")
    values, finite = _as_float(data)
    np.clip(values, low, high, out=values)
    values[~finite] = low
    return values


def percentile_clip(data: Channels, low: float, high: float, nonzero: bool = False) -> Array:
    """Limit each channel to its own percentiles `low` and `high` (0 to 100). Not finite becomes the lower limit.

    With `nonzero` the percentiles are those of the values other than 0, which alone are limited; zeros stay zeros.
    """
    if not 0 <= low < high <= 100:
        raise InputError(f"percentile_clip: expected 0 <= low < high <= 100, got low {low:g} and high {high:g}")
    values, finite = _as_float(data)
    for channel in range(values.shape[-1]):
        plane, good = values[..., channel], finite[..., channel]
        used = good & (plane != 0) if nonzero else good
        if not used.any():
            plane[:] = FILL
            continue
        bottom, top = np.percentile(plane[used], [low, high])
        plane[used] = np.clip(plane[used], bottom, top)
        plane[~good] = bottom
    return values


def scale_linear(data: Channels, in_low: float, in_high: float, out_low: float = 0.0, out_high: float = 1.0) -> Array:
    """Map [in_low, in_high] onto [out_low, out_high] by a straight line, without clipping. Not finite -> `out_low`."""
    if not in_low < in_high:
        raise InputError(f"scale_linear: expected in_low below in_high, got {in_low:g} and {in_high:g}")
    values, finite = _as_float(data)
    values -= in_low
    values *= (out_high - out_low) / (in_high - in_low)
    values += out_low
    values[~finite] = out_low
    return values


def scale_range(data: Channels) -> Array:
    """Map each channel's own smallest and largest value onto 0 and 1. Not finite becomes 0; a constant channel too."""
    values, finite = _as_float(data)
    for channel in range(values.shape[-1]):
        plane, good = values[..., channel], finite[..., channel]
        low = float(plane[good].min()) if good.any() else 0.0
        spread = float(plane[good].max()) - low if good.any() else 0.0
        if spread > 0:
            plane -= low
            plane /= spread
        else:
            plane[:] = FILL
        plane[~good] = 0.0
    return values


def zscore(data: Channels, nonzero: bool = False) -> Array:
    """Subtract each channel's mean and divide by its standard deviation (population, ddof 0).

    Parameters
    ----------
    nonzero : take the statistics over, and apply them to, the non-zero values only; zeros stay `FILL`. For images
        whose background was set to 0 (skull-stripped MR). Without it every finite value counts.
    """
    values, finite = _as_float(data)
    for channel in range(values.shape[-1]):
        plane = values[..., channel]
        used = finite[..., channel] & (plane != 0) if nonzero else finite[..., channel]
        # float64 sums: 10^8 float32 values lose digits otherwise
        mean = float(plane[used].mean(dtype=np.float64)) if used.any() else 0.0
        spread = float(plane[used].std(dtype=np.float64)) if used.any() else 0.0
        if spread > 1e-8 * max(1.0, abs(mean)):
            plane -= mean
            plane /= spread
        else:
            plane[:] = FILL
        plane[~used] = FILL
    return values


def fixed_zscore(data: Channels, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
    """Subtract `mean` and divide by `std`, one number per channel or one for all, fixed by the training data."""
    values, finite = _as_float(data)
    channels = values.shape[-1]
    for name, numbers in (("mean", mean), ("std", std)):
        if len(numbers) not in (1, channels):
            raise InputError(f"{name}: expected 1 number or one for each of {channels} channels, got {len(numbers)}")
    if min(std) <= 0:
        raise InputError(f"std: expected numbers above 0, got {std}")
    values -= np.asarray(mean, np.float32)
    values /= np.asarray(std, np.float32)
    values[~finite] = FILL
    return values


def local_normalise(
    data: Channels, sigma_px: float, field_fraction: float = 0.1, floor: float = 0.2, border_px: int = 8
) -> Array:
    """Remove slow changes of brightness and contrast within each plane, inside the lit field of a photograph.

    Each pixel loses the Gaussian-weighted mean of its neighbourhood and is divided by that neighbourhood's standard
    deviation plus `floor` times the whole channel's (so noise in flat regions is not blown up). Averages are normalised
    convolutions over the lit field (Knutsson & Westin 1993), so the black surround of a fundus photograph makes no
    bright rim; the surround itself becomes `FILL`.

    Parameters
    ----------
    data : (z, y, x, channel); each z plane is treated alone.
    sigma_px : standard deviation of the neighbourhood in pixels of this grid.
    field_fraction : a pixel belongs to the field when its brightest channel, slightly smoothed, exceeds this fraction
        of the plane's 99th percentile. 0 takes every finite pixel.
    floor : see above.
    border_px : width of the field's border that is taken as surround: half dark from optics and compression, it would
        look like a vessel around the picture.
    """
    if sigma_px <= 0 or not 0 <= field_fraction < 1 or floor <= 0:
        raise InputError(
            "local_normalise: expected sigma_px > 0, 0 <= field_fraction < 1 and floor > 0, "
            f"got {sigma_px:g}, {field_fraction:g} and {floor:g}"
        )
    values, finite = _as_float(data)
    values[~finite] = FILL
    for z in range(values.shape[0]):
        field = lit_field(values[z], field_fraction, border_px) & finite[z].all(axis=-1)
        weight = field.astype(np.float32)
        share = np.maximum(_blur(weight, sigma_px), 1e-3)
        count = max(1, int(field.sum()))
        for channel in range(values.shape[-1]):
            plane = values[z, :, :, channel]
            centred = (plane - _blur(plane * weight, sigma_px) / share) * weight
            squared = centred * centred
            spread = np.sqrt(np.maximum(_blur(squared, sigma_px), 0) / share)
            overall = float(np.sqrt(squared.sum(dtype=np.float64) / count))
            # what is left of a constant plane is rounding, in proportion to its brightness
            varies = overall > 1e-5 * float(np.abs(plane).max())
            values[z, :, :, channel] = centred / (spread + floor * overall) if varies else FILL
    return values


def local_contrast(
    data: Channels, sigma_px: float, field_fraction: float = 0.1, border_px: int = 8, offset: float = 0.1
) -> Array:
    """Express each pixel of a photograph as its contrast to its neighbourhood, inside the lit field.

    Weber contrast (I - M) / (M + offset * P): M the Gaussian-weighted mean of the neighbourhood within the field, P the
    95th percentile of the plane's channel, which keeps black regions from exploding. Light falls on a vessel and its
    surroundings alike, so the contrast of a vessel is the same in the bright and the dark part of a photograph. Last,
    each channel of a plane is divided by its root mean square. Outside the field: `FILL`.

    Parameters
    ----------
    data, sigma_px, field_fraction, border_px : as for `local_normalise`.
    offset : see above.
    """
    if sigma_px <= 0 or not 0 <= field_fraction < 1 or offset <= 0:
        raise InputError(
            "local_contrast: expected sigma_px > 0, 0 <= field_fraction < 1 and offset > 0, "
            f"got {sigma_px:g}, {field_fraction:g} and {offset:g}"
        )
    values, finite = _as_float(data)
    values[~finite] = FILL
    for z in range(values.shape[0]):
        field = lit_field(values[z], field_fraction, border_px) & finite[z].all(axis=-1)
        if not field.any():
            values[z] = FILL
            continue
        weight = field.astype(np.float32)
        share = np.maximum(_blur(weight, sigma_px), 1e-3)
        for channel in range(values.shape[-1]):
            plane = values[z, :, :, channel]
            mean = _blur(plane * weight, sigma_px) / share
            reference = offset * float(np.percentile(np.abs(plane[field]), 95))
            contrast = (plane - mean) / np.maximum(np.abs(mean) + reference, 1e-6) * weight
            overall = float(np.sqrt((contrast * contrast).sum(dtype=np.float64) / field.sum()))
            values[z, :, :, channel] = contrast / overall if overall > 1e-5 else FILL
    return values


def weigh_channels(data: Channels, weights: tuple[float, ...]) -> Array:
    """Multiply each channel by its weight; 0 removes what a channel says (red and blue of a fundus photograph)."""
    values, finite = _as_float(data)
    if len(weights) != values.shape[-1]:
        raise InputError(f"weigh_channels: expected {values.shape[-1]} weights, got {len(weights)}")
    values[~finite] = FILL
    values *= np.asarray(weights, np.float32)
    return values


def lit_field(plane: npt.NDArray[np.float32], fraction: float, border_px: int = 8) -> npt.NDArray[np.bool_]:
    """Return which pixels of one plane (y, x, channel) belong to the lit field, `border_px` inside its border."""
    if fraction <= 0:
        return np.ones(plane.shape[:2], dtype=bool)
    brightest = ndimage.gaussian_filter(plane.max(axis=-1), 2.0)
    lit: npt.NDArray[np.bool_] = brightest > fraction * float(np.percentile(brightest, 99))
    if border_px < 1:
        return lit
    # border_value=1: the edge of the picture is not a border of the field
    inner: npt.NDArray[np.bool_] = ndimage.binary_erosion(lit, iterations=border_px, border_value=1)
    return inner


def _blur(plane: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Return a plane (y, x) blurred by a Gaussian cut at 3 sigma, zeros around it.

    Wide Gaussians go through a Fourier transform, one axis after the other: the same sum to 1e-6, eight times faster at
    30 pixels.
    """
    radius = int(3 * sigma + 0.5)
    if radius < 16:
        blurred: npt.NDArray[np.float32] = ndimage.gaussian_filter(plane, sigma, mode="constant", truncate=3.0)
        return blurred
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis, length in enumerate(plane.shape):
        room = fft.next_fast_len(length + 2 * radius, real=True)
        shape = (-1, 1) if axis == 0 else (1, -1)
        spectrum = fft.rfft(plane, room, axis=axis) * fft.rfft(kernel, room).reshape(shape)
        wide = fft.irfft(spectrum, room, axis=axis)
        plane = wide[radius : radius + length] if axis == 0 else wide[:, radius : radius + length]
    return plane


def _as_float(data: Channels) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return a float32 copy and where it is finite."""
    if data.ndim != 4:
        raise InputError(f"data: expected an array (z, y, x, channel), got shape {data.shape}")
    values = np.array(data, dtype=np.float32, copy=True)
    return values, np.isfinite(values)
