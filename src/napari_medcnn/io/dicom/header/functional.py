"""Enhanced multi-frame objects: what their functional groups say of every frame (DICOM PS3.3 C.7.6.16)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from napari_medcnn.io.dicom.facts import Frame
from napari_medcnn.io.dicom.header import frames as planes
from napari_medcnn.io.dicom.header.elements import (
    finite,
    first_item,
    items,
    number,
    numbers,
    seconds,
    text,
    texts,
)  # fmt: skip

#: (group, keyword, name in `Frame.moment`) of numbers that tell frames at one place apart.
_NUMBERS = (
    ("FrameContentSequence", "TemporalPositionIndex", "TemporalPositionIndex"),
    ("FrameContentSequence", "TemporalPositionTimeOffset", "TemporalPositionTimeOffset"),
    ("FrameContentSequence", "FrameAcquisitionNumber", "AcquisitionNumber"),
    ("FrameContentSequence", "InStackPositionNumber", "InStackPositionNumber"),
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "TriggerTime"),
    ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", "NominalPercentageOfCardiacPhase"),
    ("MRModifierSequence", "InversionTimes", "InversionTime"),
    ("CTXRayDetailsSequence", "KVP", "KVP"),
)
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence",
                "XRay3DFrameTypeSequence", "USImageDescriptionSequence",
                "ParametricMapFrameTypeSequence")  # fmt: skip


class _Groups:
    """The functional groups of one frame: its own first, the shared ones behind them; then the old top level."""

    def __init__(self, own: Any, shared: dict[str, Any]) -> None:
        self._own, self._shared, self._known = own, shared, dict[str, Any]()

    def item(self, group: str) -> Any:
        if group not in self._known:
            found = first_item(self._own, group) if self._own is not None else None
            self._known[group] = found if found is not None else self._shared.get(group)
        return self._known[group]


def functional_frames(data: Any, count: int, notes: list[str]) -> tuple[Frame, ...]:
    """Return the frames of an enhanced object in stored order.

    A frame without an item in the per-frame groups has what the shared ones say.
    """
    shared_item = first_item(data, "SharedFunctionalGroupsSequence")
    shared = dict(_groups_of(shared_item)) if shared_item is not None else {}
    own = list(items(data, "PerFrameFunctionalGroupsSequence"))
    if own and len(own) != count:
        notes.append(f"The file states {count} frames and describes {len(own)}; frames beyond these have no place.")
    base = planes.single_frame(data, notes)
    return tuple(
        _frame(k, _Groups(own[k] if k < len(own) else None, shared if k < len(own) or not own else {}), base, notes)
        for k in range(count)
    )


def _groups_of(item: Any) -> Iterator[tuple[str, Any]]:
    for element in item:
        if element.VR == "SQ" and element.keyword and (found := first_item(item, element.keyword)) is not None:
            yield element.keyword, found


def _frame(index: int, groups: _Groups, base: Frame, notes: list[str]) -> Frame:
    place, turn = groups.item("PlanePositionSequence"), groups.item("PlaneOrientationSequence")
    measures, values = groups.item("PixelMeasuresSequence"), groups.item("PixelValueTransformationSequence")
    look = groups.item("FrameVOILUTSequence")
    position = planes.place(place, notes) if place is not None else None
    row, column = planes.directions(finite(turn, "ImageOrientationPatient", 6) if turn is not None else None, notes)
    slope, intercept, unit = base.slope, base.intercept, base.unit
    if values is not None:
        slope, intercept = planes.scaling(values, notes)
        unit = text(values, "RescaleType", 16)
    return Frame(
        index,
        position,
        row if row is not None else base.row,
        column if column is not None else base.column,
        planes.spacing(measures, notes) if measures is not None else base.pixel_mm,
        (planes.thickness(measures) if measures is not None else None) or base.thickness_mm,
        (number(measures, "SpacingBetweenSlices") if measures is not None else None) or base.between_mm,
        slope,
        intercept,
        unit,
        planes.windows(look) if look is not None else base.windows,
        _moment(groups, base),
        None,
        base.instance,
    )


def _moment(groups: _Groups, base: Frame) -> dict[str, float | str]:
    found = {key: value for key, value in base.moment.items() if key not in ("ContentTime", "AcquisitionTime")}
    for group, keyword, name in _NUMBERS:
        item = groups.item(group)
        value = number(item, keyword) if item is not None else None
        if value is not None:
            found[name] = value
    content = groups.item("FrameContentSequence")
    if content is not None:
        if stack := text(content, "StackID", 16):
            found["StackID"] = stack
        for key in ("FrameAcquisitionDateTime", "FrameReferenceDateTime"):
            value = seconds(text(content, key, 32))
            if value is not None:
                found["AcquisitionTime" if key.startswith("FrameA") else "ReferenceTime"] = value
        indices = [v for v in numbers(content, "DimensionIndexValues") if math.isfinite(v)]
        if indices:
            found["DimensionIndexValues"] = " ".join(str(int(v)) for v in indices)
    for group in _FRAME_TYPES:
        item = groups.item(group)
        if item is not None:
            if kinds := texts(item, "FrameType", 24):
                found["ImageType"] = "/".join(kinds).upper()
            if part := text(item, "ComplexImageComponent", 16):
                found["ComplexImageComponent"] = part.upper()
    gradient = (
        first_item(groups.item("MRDiffusionSequence"), "DiffusionGradientDirectionSequence")
        if groups.item("MRDiffusionSequence") is not None
        else None
    )
    if gradient is not None and (way := finite(gradient, "DiffusionGradientOrientation", 3)):
        found["DiffusionGradientOrientation"] = " ".join(f"{v:.6g}" for v in way)
    anatomy = groups.item("FrameAnatomySequence")
    if anatomy is not None and (side := text(anatomy, "FrameLaterality", 4).upper()):
        found["FrameLaterality"] = side
    return found
