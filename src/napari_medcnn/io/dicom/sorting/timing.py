"""The values of a t axis in real units: seconds from the first time point, ms of echoes, s/mm2 of b-values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from napari_medcnn.io.dicom.facts import Header, Plane
from napari_medcnn.io.dicom.sorting.arrangement import Axis

Times = Sequence[Sequence[Plane]]
_DAY_S = 86400.0
_SHOWN = 6


@dataclass(frozen=True)
class Timing:
    """Values, unit and name as of `Volume`, and what is to be said of them."""

    values: tuple[float, ...] = ()
    unit: str = ""
    name: str = ""
    found: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def timing_of(times: Times, axis: Axis) -> Timing:
    """Return the values of the time points of one image."""
    if axis.name != "t":
        return _of_setting(times, axis)
    for values, how in (
        (_steady(times, "TemporalPositionTimeOffset", 1.0), ""),
        (_steady(times, "FrameReferenceTime", 1e-3), ""),
        (_steady(times, "AcquisitionTime", 1.0), ""),
        (_steady(times, "TriggerTime", 1e-3), ""),
        *_by_repetition(times),
    ):
        if values:
            if values[-1] > _DAY_S / 2:
                how = (
                    "The time points lie more than 12 hours apart: a clock may have passed midnight; check their order."
                )
            said = f"{len(values)} time points, {_steps(values)}."
            return Timing(values, "s", "t", (said,), (how,) if how else ())
    count = len(times)
    return Timing(
        tuple(float(k + 1) for k in range(count)), "", "t", (f"{count} time points.",),
        ("The files state no times of their time points; they are numbered.",),
    )  # fmt: skip


def _of_setting(times: Times, axis: Axis) -> Timing:
    values = tuple(_value(one[0], axis.key) for one in times)
    unit = f" {axis.unit}" if axis.unit else ""
    listed = ", ".join(f"{v:g}" for v in values[:_SHOWN]) + (", ..." if len(values) > _SHOWN else "")
    assumed: tuple[str, ...] = ()
    if any(_value(p, axis.key) != _value(one[0], axis.key) for one in times for p in one):
        assumed = (f"The {axis.word} differs a little from slice to slice; that of the first slice is shown.",)
    return Timing(values, axis.unit, axis.name, (f"{len(values)} {axis.word}s: {axis.name} {listed}{unit}.",), assumed)


def _value(plane: Plane, key: str) -> float:
    value = plane.frame.moment.get(key)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _steady(times: Times, key: str, factor: float) -> tuple[float, ...]:
    """Return seconds from the first time point of the earliest plane of each; () unless they rise."""
    firsts = []
    for one in times:
        stated = [p.frame.moment.get(key) for p in one]
        numbers = [float(v) for v in stated if isinstance(v, (int, float))]
        if len(numbers) < len(stated):
            return ()
        firsts.append(min(numbers))
    seconds = [round((v - firsts[0]) * factor, 6) for v in firsts]
    if key == "AcquisitionTime":  # a clock without a date may pass midnight
        seconds = [v + _DAY_S if v < -_DAY_S / 2 else v for v in seconds]
    return tuple(seconds) if all(a < b for a, b in itertools.pairwise(seconds)) else ()


def _by_repetition(times: Times) -> list[tuple[tuple[float, ...], str]]:
    """Return times by the repetition time, for echo-planar images only: there it is the time of one volume."""
    header = times[0][0].header
    repetition = header.values.get("RepetitionTime")
    if "EP" not in header.values.get("ScanningSequence", ()) or not isinstance(repetition, (int, float)):
        return []
    if repetition <= 0:
        return []
    values = tuple(round(k * repetition / 1000.0, 6) for k in range(len(times)))
    return [(values, "The files state no times; time points are taken to follow one repetition time after the other.")]


def _steps(values: Sequence[float]) -> str:
    gaps = [b - a for a, b in itertools.pairwise(values)]
    if gaps and max(gaps) - min(gaps) <= 0.02 * max(gaps):
        return f"one every {sum(gaps) / len(gaps):.4g} s"
    return f"t = {', '.join(f'{v:.4g}' for v in values[:_SHOWN])}{', ...' if len(values) > _SHOWN else ''} s"


def cine_of(header: Header, count: int) -> Timing:
    """Return the timing of the frames of one picture (ultrasound, angiography; PS3.3 C.7.6.5)."""
    steps = header.values.get("FrameTimeVector")
    values: tuple[float, ...] = ()
    if isinstance(steps, list) and len(steps) == count:
        total, sums = 0.0, []
        for k, step in enumerate(steps):
            total += float(step) if k else 0.0
            sums.append(round(total / 1000.0, 6))
        values = tuple(sums) if all(a < b for a, b in itertools.pairwise(sums)) else ()
    if not values:
        rate = _stated(header, "CineRate") or _stated(header, "RecommendedDisplayFrameRate")
        step = _stated(header, "FrameTime") / 1000.0 or (1.0 / rate if rate > 0 else 0.0)
        values = tuple(round(k * step, 6) for k in range(count)) if step > 0 else ()
    if values:
        return Timing(values, "s", "t", (f"{count} frames, {_steps(values)}.",))
    return Timing(
        tuple(float(k + 1) for k in range(count)), "", "frame", (f"{count} frames in one file.",),
        ("The file does not say how its frames follow each other; they are numbered.",),
    )  # fmt: skip


def _stated(header: Header, key: str) -> float:
    value = header.values.get(key)
    return float(value) if isinstance(value, (int, float)) else 0.0
