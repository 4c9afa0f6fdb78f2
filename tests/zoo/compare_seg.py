"""Segmentations against their frames as pydicom decodes them: each segment at its place, and nowhere else."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from scipy.ndimage import binary_dilation
from skimage.draw import polygon2mask

from napari_medcnn.core.volume import LabelMap
from zoo.compare import PLACE_MM, Match
from zoo.oracle_dicom import Content, Frame, _group

LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"


def segments(content: Content) -> dict[int, list[tuple[Frame, np.ndarray]]]:
    """Return per segment number its frames as bool planes; fractional ones where above 0."""
    data = content.data
    out: dict[int, list[tuple[Frame, np.ndarray]]] = {}
    numbers = [int(s.SegmentNumber) for s in data.SegmentSequence]
    for frame in content.frames:
        if data.SOPClassUID == LABELMAP:
            for number in numbers:
                if number and np.any(frame.pixels == number):
                    out.setdefault(number, []).append((frame, frame.pixels == number))
            continue
        group = _group(data, frame.number, "SegmentIdentificationSequence")
        number = int(group.get("ReferencedSegmentNumber", numbers[0]))
        out.setdefault(number, []).append((frame, frame.pixels > 0))
    return out


def against_segments(masks: list[LabelMap], content: Content, match: Match) -> None:
    """Every set pixel of every segment is in exactly the mask that carries its number, and no voxel more."""
    for number, planes in segments(content).items():
        meant = sum(int(plane.sum()) for _, plane in planes)
        got, met = 0, 0
        for mask in masks:
            if number not in [label.id for label in mask.labels] and not np.any(mask.array == number):
                continue
            here = mask.array == number
            got += int(here.sum())
            met += sum(_met(here, mask, frame, plane, match) for frame, plane in planes)
        match.placed += len(planes)
        if (got, met) != (meant, meant):
            match.faults.append(f"segment {number}: {meant} pixels set, ours {got}, {met} of them in place")


def _met(here: np.ndarray, mask: LabelMap, frame: Frame, plane: np.ndarray, match: Match) -> int:
    """Return how many set pixels of the plane are set in ours at the same place in the patient."""
    rows, columns = np.nonzero(plane)
    if not len(rows):
        return 0
    if not frame.placed or not mask.geometry.orientation_known:
        flat = here[frame.number] if here.shape[0] > 1 else here[0]
        return int(np.sum(flat & plane)) if flat.shape == plane.shape else 0
    points = np.array([frame.lps(r, c) for r, c in zip(rows, columns, strict=True)])
    index = mask.geometry.lps_to_index(points)
    nearest = np.rint(index).astype(int)
    far = np.linalg.norm(mask.geometry.index_to_lps(nearest) - points, axis=1)
    match.mm = max(match.mm, float(far.max()))
    if far.max() > max(PLACE_MM, 0.01 * mask.geometry.spacing_mm[0]):
        return 0
    inside = np.all((nearest >= 0) & (nearest < here.shape), axis=1)
    nearest = nearest[inside]
    return int(here[nearest[:, 0], nearest[:, 1], nearest[:, 2]].sum())


def against_structures(mask: LabelMap, data: Dataset, scans: list[Frame]) -> Match:
    """Each region's polygons, filled by scikit-image on the scan's own planes, differ from ours at their edges only."""
    match = Match(near=True)
    regions = [int(r.ROINumber) for r in data.StructureSetROISequence]
    contours = {int(c.ReferencedROINumber): c.get("ContourSequence") or [] for c in data.ROIContourSequence}
    off = 0
    for number in regions:
        for frame in scans:
            meant, edge = _filled(contours.get(number, []), frame)
            index = np.rint(mask.geometry.lps_to_index(frame.position)).astype(int)
            here = mask.array[index[0]] == number
            wrong = (here != meant) & ~edge
            off += int((here != meant).sum())
            if wrong.any():
                match.faults.append(f"region {number}: {int(wrong.sum())} pixels differ away from its edge")
        match.placed += 1
    match.value = float(off)
    return match


def drawn_on(data: Dataset) -> tuple[set[str], set[str]]:
    """Return the series, and the frames of reference, that a structure set says it was drawn on."""
    series, space = set(), {str(r.get("ReferencedFrameOfReferenceUID", "")) for r in data.StructureSetROISequence}
    for frame in data.get("ReferencedFrameOfReferenceSequence") or []:
        space.add(str(frame.get("FrameOfReferenceUID", "")))
        for study in frame.get("RTReferencedStudySequence") or []:
            series |= {str(s.SeriesInstanceUID) for s in study.get("RTReferencedSeriesSequence") or []}
    return series, space - {""}


def _filled(contours: list[Dataset], frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return what the closed contours of one plane enclose (even-odd), and all pixels a step from their edges."""
    inside = np.zeros(frame.pixels.shape, bool)
    edge = np.zeros(frame.pixels.shape, bool)
    for contour in contours:
        points = np.array([float(v) for v in contour.ContourData]).reshape(-1, 3) - frame.position
        if np.abs(points @ frame.normal).max() > 0.5 or len(points) < 3:
            continue
        corners = np.column_stack([points @ frame.column / frame.pixel_mm[0], points @ frame.row / frame.pixel_mm[1]])
        inside ^= polygon2mask(inside.shape, corners)
        steps = np.concatenate([np.linspace(a, b, 64) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)])
        at = np.clip(np.rint(steps).astype(int), 0, np.array(edge.shape) - 1)
        edge[at[:, 0], at[:, 1]] = True
    return inside, binary_dilation(edge, iterations=1)
