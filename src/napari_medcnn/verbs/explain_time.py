"""How long a question will take, said before it is put: from the card, the grid of the scan, and what a run took."""

from __future__ import annotations

import math
from dataclasses import replace

from napari_medcnn.core.explain_time import CHANNELS, Extent, Shape, forecast, map_passes, windows_along
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import ExplainOptions, PredictOptions, Span
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.core.saliency import GRADIENT, METHODS, Pace
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.imaging.boxes import turned_region
from napari_medcnn.imaging.forecast import forecast_for, grids
from napari_medcnn.imaging.slicing import turn

Box = tuple[Span, Span, Span]


def pace_of(result: Segmentation | Classification, geometry: Geometry, spec: ModelSpec) -> Pace | None:
    """Return the pace that a prediction shows; None where its record does not say how many windows were seen.

    Parameters
    ----------
    geometry
        Of the scan that was run.
    spec
        The card of the model that ran.
    """
    record = result.provenance
    seconds = {name: float(value) for name, value in record.seconds.items()}
    if seconds.get("window", 0.0) > 0:
        found = Pace.of_run(seconds["window"], 1)
        return None if found is None else replace(found, start=GRADIENT * seconds.get("start", 0.0))
    options = PredictOptions.from_json(record.options)
    if options.coarse:
        return None
    windows = forecast_for(geometry, "float32", spec, options).windows
    ways = 2 ** len(spec.symmetric) if options.flips else 1
    return Pace.of_run(seconds.get("forward", 0.0), windows * ways)


def extent_of(
    spec: ModelSpec, geometry: Geometry, options: ExplainOptions, box: Box | None = None, searched: bool = False
) -> Extent:
    """Return what a question looks at.

    Parameters
    ----------
    box
        Of a segmenter: the smallest box of the scan's own grid that holds what is asked about; None for anywhere.
    searched
        The model itself has to find first what is asked about (no mask and no voxel was given), or which class.

    Raises
    ------
    InputError, GeometryError
        As the question itself: slices that this model has not, a size in mm that is not known.
    """
    plain = PredictOptions(slices=options.slices, uncertainty=False)
    shape, _, _ = grids(geometry, spec, plain)
    preparation, flat = spec.preparation, spec.preparation.dimensions == 2
    how, _ = turn(geometry, preparation, options.slices)
    turned = geometry.reoriented(how)
    wide = [n * s for n, s in zip(turned.shape, turned.spacing_mm, strict=True)]
    z, y, x = (w / n for w, n in zip(wide, shape, strict=True))
    run = forecast_for(geometry, "float32", spec, plain).windows if searched else 0
    if spec.task == "classification":
        size = (1, *shape[1:]) if flat else shape
        many, seen = (shape[0] if flat else 1, 1, 1), shape
    else:
        tile = (1, *spec.tile) if flat else spec.tile
        steps = (1, spec.divisor, spec.divisor) if flat else (spec.divisor,) * 3
        size = _shape([min(t, -(-n // d) * d) for n, t, d in zip(shape, tile, steps, strict=True)])
        inside = turned_region(box or _whole(geometry.shape), geometry.shape, how)
        sides = [
            (side.start * n // have, max(side.start * n // have + 1, math.ceil(side.stop * n / have)))
            for side, n, have in zip(inside, shape, turned.shape, strict=True)
        ]
        shares = [0.0 if flat and axis == 0 else spec.overlap for axis in range(3)]
        counted = [
            windows_along(low, high, t, n, share)
            for (low, high), t, n, share in zip(sides, size, shape, shares, strict=True)
        ]
        if flat:  # every slice on its own
            counted[0] = (sides[0][1] - sides[0][0], 1)
        many = _shape([count for count, _ in counted])
        seen = _shape([min(n, (count - 1) * own + t) for (count, own), t, n in zip(counted, size, shape, strict=True)])
    return Extent(many, size, seen, (z, y, x), flat, preparation.neighbours, run)


def expected(
    options: ExplainOptions, extent: Extent, pace: Pace, channels: int = CHANNELS, first: bool = True
) -> float:
    """Return about how many seconds a map takes.

    Parameters
    ----------
    first
        The model was not asked by this method yet: it is traced.
    """
    return forecast(map_passes(options, extent, channels), pace if first else replace(pace, start=0.0))


def expected_by_method(
    options: ExplainOptions, extent: Extent, pace: Pace, asked: frozenset[str] = frozenset()
) -> dict[str, float]:
    """Return about how many seconds a map takes by each method; `asked` are those that were used before."""
    return {name: expected(replace(options, method=name), extent, pace, first=name not in asked) for name in METHODS}


def _shape(sides: list[int]) -> Shape:
    z, y, x = sides
    return (z, y, x)


def _whole(shape: Shape) -> Box:
    z, y, x = shape
    return ((0, z), (0, y), (0, x))
