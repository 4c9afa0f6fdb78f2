"""A saliency map as a picture for people: one slice of the scan with the map over it, and what its colours mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_medcnn.core.geometry import Array
from napari_medcnn.core.saliency import CAUTION, METHODS, SaliencyMap
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.layerdata import window_for

#: Inferno (van der Walt and Smith 2015) at nine places; between them straight lines.
_HEAT = np.array(
    [(0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
     (249, 201, 50), (252, 255, 164)], float,
)  # fmt: skip
#: Blue for "spoke against", orange for "spoke for" (Okabe and Ito), white between them.
_SIGNED = np.array([(0, 114, 178), (255, 255, 255), (230, 159, 0)], float)
_MASK = (0, 158, 115)
#: The colours end at this quantile of the sizes above 0, and are opaque from this share of it on.
_BRIGHT, _RAMP = 0.999, 0.4
_MUTED = 0.5
_SIDE = 480
_MARGIN, _BAR, _LINE = 10, 14, 20


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice in display order: `scan` uint8 (y, x, 3), `values` (y, x), `mask` bool (y, x) or None.

    `size` is (height, width) in pixels with square ones; `number` of `count` as it is shown, from 1.
    """

    scan: Array
    values: Array
    mask: Array | None
    size: tuple[int, int]
    number: int
    count: int


def slice_of(made: SaliencyMap, volume: Volume, mask: LabelMap | None = None, frame: int = 0) -> Slice:
    """Return the slice that holds the largest value of a map, by size; the middle one of an empty map."""
    one = volume.frame(frame) if volume.axes.startswith("t") else volume
    how, grid = made.geometry.displayed
    values = how.apply(made.values)
    size = np.abs(values) if made.signed else np.clip(values, 0, None)
    number = int(np.argmax(size.max(axis=(1, 2)))) if size.any() else len(size) // 2
    shades = _shades(one, how.apply(one.array, one.axes)[number])
    marked = None if mask is None else how.apply(mask.array)[number] != 0
    y, x = (n * s for n, s in zip(values.shape[1:], grid.spacing_mm[1:], strict=True))
    scale = _SIDE / max(y, x)
    return Slice(
        shades, values[number], marked, (max(1, round(y * scale)), max(1, round(x * scale))), number + 1, len(values)
    )


def scan_picture(part: Slice, with_mask: bool = False) -> Array:
    """Return the slice alone, or with the outline of the mask, uint8 (height, width, 3)."""
    picture = _nearest(part.scan, part.size)
    if with_mask and part.mask is not None:
        inside = _nearest(part.mask, part.size)
        core = inside.copy()
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            core &= np.roll(inside, step, axis)
        picture[inside & ~core] = _MASK
    return picture


def map_picture(part: Slice, made: SaliencyMap) -> Array:
    """Return the slice with the map over it and its legend below, uint8 (height, width, 3).

    A map that was not checked, or that failed, is drawn half as strong; the legend says so.
    """
    values = _nearest(part.values, part.size)
    top = largest(made)
    colours, opacity = _colours(values / top, made.signed)
    opacity *= 1.0 if made.badge == "depends on the model" else _MUTED
    picture = scan_picture(part).astype(float)
    picture[...] = picture.mean(axis=-1, keepdims=True)  # colours of a photograph would be taken for those of the map
    picture += opacity[..., None] * (colours - picture)
    return np.concatenate([np.rint(picture).astype(np.uint8), _legend(made, top, part)])


def largest(made: SaliencyMap) -> float:
    """Return the value at which the colours end; 1 for an empty map."""
    size = np.abs(made.values) if made.signed else made.values
    some = size[size > 0]
    return float(np.quantile(some, _BRIGHT)) if some.size else 1.0


def side_words(made: SaliencyMap) -> tuple[str, str]:
    """Return what values below and above 0 did to the class; turned round where what spoke against it was asked."""
    words = ("spoke against", "spoke for")
    return (words[1], words[0]) if made.provenance.options.get("negate") else words


def _colours(share: Array, signed: bool) -> tuple[Array, Array]:
    """Return colours (..., 3) from 0 to 255 and opacity (...) from 0 to 1 of values divided by the largest."""
    table = _SIGNED if signed else _HEAT
    place = (np.clip(share, -1, 1) + 1) / 2 if signed else np.clip(share, 0, 1)
    at = np.linspace(0, 1, len(table))
    colours = np.stack([np.interp(place, at, table[:, c]) for c in range(3)], axis=-1)
    return colours, np.clip((np.abs(share) if signed else np.clip(share, 0, None)) / _RAMP, 0, 1)


def _legend(made: SaliencyMap, top: float, part: Slice) -> Array:
    """Return the strip below: the colours with their ends, what was asked, the badge and the caution."""
    width = part.size[1]
    words = [
        f"{METHODS[made.method].title}: {made.target}",
        f"Slice {part.number} of {part.count}" if part.count > 1 else "",
        "Not checked whether this depends on the model" if made.badge == "not checked" else f"Check: {made.badge}",
        CAUTION,
        "Research use only, not for diagnosis.",
    ]
    font = ImageFont.load_default(13)
    lines = [line for text in words if text for line in _wrapped(text, font, width - 2 * _MARGIN)]
    strip = Image.new("RGB", (width, 2 * _MARGIN + _BAR + _LINE * (len(lines) + 1)), (21, 24, 28))
    draw = ImageDraw.Draw(strip)
    room = max(width - 2 * _MARGIN, 1)
    colours, _ = _colours(np.linspace(-1 if made.signed else 0, 1, room), made.signed)
    for x, colour in enumerate(np.rint(colours).astype(int)):
        draw.line([(_MARGIN + x, _MARGIN), (_MARGIN + x, _MARGIN + _BAR)], fill=tuple(map(int, colour)))
    high = f"{top:.3g}"
    y = _MARGIN + _BAR + 2
    low_words, high_words = side_words(made)
    draw.text((_MARGIN, y), f"-{high} {low_words}" if made.signed else "0", fill=(230, 230, 230), font=font)
    right = f"{high} {high_words}" if made.signed else high
    draw.text((width - _MARGIN - font.getlength(right), y), right, fill=(230, 230, 230), font=font)
    for row, line in enumerate(lines, 1):
        draw.text((_MARGIN, y + row * _LINE), line, fill=(230, 230, 230), font=font)
    return np.asarray(strip)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _shades(volume: Volume, plane: Array) -> Array:
    """Return a slice (y, x[, c]) in the scan's window as uint8 (y, x, 3)."""
    if plane.ndim == 3 and volume.channels in (3, 4) and plane.dtype == np.uint8:
        return np.ascontiguousarray(plane[..., :3])
    grey = plane[..., 0] if plane.ndim == 3 else plane
    low, high = window_for(volume)
    with np.errstate(invalid="ignore"):
        share = (np.nan_to_num(grey.astype(np.float64), nan=low, posinf=high, neginf=low) - low) / (high - low)
    shades = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    if volume.inverted:
        shades = 255 - shades
    return np.repeat(shades[..., None], 3, axis=-1)


def _nearest(plane: Array, size: tuple[int, int]) -> Array:
    """Return the nearest pixels on a grid of square ones."""
    y, x = ((np.arange(n) * old // n) for n, old in zip(size, plane.shape, strict=False))
    return np.ascontiguousarray(plane[y][:, x])
