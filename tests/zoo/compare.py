"""Ours against the oracle: every plane in its place with its values, nothing left over on either side."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from napari_medcnn.core.volume import LabelMap, Volume
from zoo.oracle_dicom import Frame
from zoo.oracle_files import Other

#: How far a plane may lie from its grid: headers round positions; a hundredth of the gap is what highdicom allows, too.
PLACE_MM = 0.02
PLACE_SHARE = 0.01


@dataclass
class Match:
    """What was found: planes placed, the largest differences, and every fault in words."""

    placed: int = 0
    value: float = 0.0
    mm: float = 0.0
    dropped: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    near: bool = False


def bound_of(reference: np.ndarray, share: float = 0.0) -> float:
    """Return the largest difference that counts as equal; with a share of the range, the largest mean difference.

    Lossy decoders differ by rounding, and at edges in how they widen colours; more is another picture.
    """
    if reference.size == 0:
        return 0.0
    if share:
        return max(1.0, share * float(np.ptp(reference.astype(np.float64))))
    if reference.dtype.kind == "f":
        return 1e-6 * max(1.0, float(np.max(np.abs(reference[np.isfinite(reference)]), initial=0.0)))
    return 0.0


def difference(ours: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest difference, inf for another shape; NaN equals NaN."""
    if ours.shape != reference.shape:
        return float("inf")
    a, b = ours.astype(np.float64), reference.astype(np.float64)
    both = np.isnan(a) & np.isnan(b)
    gap = np.abs(a - b)
    gap[both | (a == b)] = 0
    return float("inf") if np.isnan(gap).any() else float(gap.max(initial=0.0))


def plane_difference(ours: np.ndarray, reference: np.ndarray, share: float) -> float:
    """As `difference`, lossy ones on average; colours of a 16-bit table may be kept at their eight highest bits."""
    if share and ours.shape == reference.shape:
        return float(np.abs(ours.astype(np.float64) - reference).mean())
    gap = difference(ours, reference)
    if gap and ours.dtype == np.uint8 and reference.dtype == np.uint16 and reference.ndim == 3:
        return difference(ours, reference >> 8)
    return gap


def complex_difference(ours: np.ndarray, reference: np.ndarray) -> float:
    if ours.shape != reference.shape:
        return float("inf")
    return float(np.abs(ours.astype(np.complex128) - reference.astype(np.complex128)).max(initial=0.0))


def _planes(volume: Volume | LabelMap) -> np.ndarray:
    """Return voxels as (t, z, y, x[, c])."""
    array = volume.array
    return array if getattr(volume, "axes", "zyx").startswith("t") else array[None]


class Placement:
    """The planes of one series or file, to be found in one or several volumes, each exactly once."""

    def __init__(self, frames: list[Frame], share: float = 0.0) -> None:
        self.frames, self.share = frames, share
        self.left = dict(enumerate(frames))
        self.nearest: dict[int, str] = {}
        self.suv: float | None = None
        self.times: dict[int, list[Frame]] = {}

    def into(self, volume: Volume, match: Match) -> None:
        """Find what lies in `volume`; every plane of the volume must be met."""
        self.times = {}
        planes = _planes(volume)
        if "SUV" in volume.value_unit:
            if self.suv is None:
                match.faults.append("SUV is claimed and cannot be worked out from the header")
                return
            self.frames = [replace(f, pixels=f.pixels * self.suv) for f in self.frames]
            self.left = {key: self.frames[key] for key in self.left}
            self.suv = 1.0
        hit = np.zeros(planes.shape[:2], bool)
        if volume.geometry.orientation_known:
            self._by_place(volume, planes, hit, match)
        else:
            self._by_order(volume, planes, hit, match)
        self._in_order(volume, match)
        if not hit.all():
            match.faults.append(f"{int((~hit).sum())} of {hit.size} planes are not in the files")

    def _by_place(self, volume: Volume, planes: np.ndarray, hit: np.ndarray, match: Match) -> None:
        affine = volume.geometry.affine_lps
        inverse = np.linalg.inv(affine)
        tolerance = max(PLACE_MM, PLACE_SHARE * volume.geometry.spacing_mm[0])
        for key, frame in list(self.left.items()):
            if not frame.placed:
                match.faults.append(f"frame {frame.number} states no place, ours claims one")
                continue
            k = round(float((inverse @ [*frame.position, 1.0])[2]))
            far = max(np.linalg.norm((affine @ [c, r, k, 1.0])[:3] - p) for (r, c), p in frame.corners().items())
            if far > tolerance or not 0 <= k < planes.shape[1]:
                self.nearest.setdefault(key, f"{far:.3g} mm from the nearest plane")
                continue
            self._take(key, frame, planes, hit, k, match, far)

    def _take(
        self, key: int, frame: Frame, planes: np.ndarray, hit: np.ndarray, k: int, match: Match, far: float
    ) -> None:
        bound = bound_of(frame.pixels, self.share)
        best = float("inf")
        for t in range(len(planes)):
            gap = plane_difference(planes[t, k], frame.pixels, self.share)
            best = min(best, gap)
            if gap > bound:
                continue
            if hit[t, k]:
                match.dropped += 1
            hit[t, k] = True
            self.times.setdefault(t, []).append(frame)
            match.placed += 1
            match.value, match.mm = max(match.value, gap), max(match.mm, float(far))
            del self.left[key]
            return
        self.nearest[key] = f"values differ by {best:.6g}"

    def _by_order(self, volume: Volume, planes: np.ndarray, hit: np.ndarray, match: Match) -> None:
        flat, met = planes.reshape(-1, *planes.shape[2:]), hit.reshape(-1)
        spacing = volume.geometry.spacing_mm
        for index, (key, frame) in enumerate(list(self.left.items())):
            if index >= len(flat):
                break
            gap = plane_difference(flat[index], frame.pixels, self.share)
            if gap > bound_of(frame.pixels, self.share):
                self.nearest[key] = f"values differ by {gap:.6g}"
                continue
            met[index] = True
            match.placed += 1
            match.value = max(match.value, gap)
            del self.left[key]
            if frame.placed:
                match.notes.append("files state a place, ours claims none")
            if frame.pixel_mm and volume.geometry.spacing_known:
                match.mm = max(match.mm, *(abs(a - b) for a, b in zip(frame.pixel_mm, spacing[1:], strict=True)))
            elif volume.geometry.spacing_known and not frame.pixel_mm:
                match.notes.append("ours claims a spacing the header does not plainly state")
            elif frame.pixel_mm and np.abs(np.subtract(frame.pixel_mm, spacing[1:])).max() > 1e-3:
                match.faults.append("the header states a pixel spacing, ours another or none")
        if match.mm > PLACE_MM:
            match.faults.append(f"spacing differs by {match.mm:.3g} mm")

    def _in_order(self, volume: Volume, match: Match) -> None:
        """Time points, echoes and b-values must rise by something that the header says of every frame."""
        if len(self.times) < 2:
            return
        along = [self.times[t] for t in sorted(self.times)]
        known = set.intersection(*(set(f.when) for frames in along for f in frames))
        rising = []
        for name in known:
            means = [float(np.mean([f.when[name] for f in frames])) for frames in along]
            if all(a < b for a, b in itertools.pairwise(means)):
                rising.append(name)
        if not rising:
            match.faults.append("its time points rise by nothing that the header says")
        match.notes.append(f"rises by {', '.join(sorted(rising))}")
        for name, tags in (("b", ("DiffusionBValue",)), ("TE", ("EchoTime", "EffectiveEchoTime"))):
            if volume.frame_name == name:
                said = [next((frames[0].when[t] for t in tags if t in frames[0].when), None) for frames in along]
                if None not in said and not np.allclose(said, volume.frame_values, rtol=1e-6):
                    match.faults.append(f"{name} is {said} in the header, {volume.frame_values} in ours")

    def rest(self) -> list[str]:
        """Return what was found nowhere, in words."""
        return [
            f"{frame.path.name[:40]} frame {frame.number}: {self.nearest.get(key, 'in no image')}"
            for key, frame in self.left.items()
        ]


def against(volume: Volume | LabelMap, other: Other) -> Match:
    """Compare a whole volume with another reader's."""
    match = Match(placed=1)
    ours, theirs = np.asarray(volume.array), np.asarray(other.values)
    if theirs.ndim == ours.ndim and theirs.shape[-1:] == (4,) and ours.shape[-1:] == (3,):
        theirs = theirs[..., :3]  # transparency is left out, with a note
        if not volume.notes:
            match.faults.append("transparency was left out without a word")
    if other.mean and ours.shape == theirs.shape:
        match.near = True
        match.value = float(np.abs(ours.astype(float) - theirs).mean())
        if match.value > 1:
            match.faults.append(f"values differ by {match.value:.3g} on average")
    elif ours.dtype.kind == "c" or theirs.dtype.kind == "c":
        match.value = complex_difference(ours, theirs)
    else:
        match.value = difference(ours, _fit(theirs, ours.shape))
    if not match.near and match.value > bound_of(theirs):
        match.faults.append(f"values differ by {match.value:.6g} (ours {ours.shape}, {other.reader} {theirs.shape})")
    geometry = volume.geometry
    if other.affine is not None:
        if not geometry.orientation_known:
            match.faults.append("the file states where left is, ours does not say")
        else:
            z, y, x = geometry.shape
            ends = np.array([[i, j, k, 1] for i in (0, x) for j in (0, y) for k in (0, z)], float)
            match.mm = float(np.abs(ends @ (geometry.affine_lps - other.affine).T).max())
    elif geometry.orientation_known:
        match.faults.append("the file does not state where left is, ours claims it")
    if other.affine is None and other.spacing and geometry.spacing_known:
        match.mm = float(np.abs(np.array(geometry.spacing_mm) - np.array(other.spacing)).max())
    if match.mm > 1e-3:
        match.faults.append(f"the grid differs by {match.mm:.4g} mm")
    return match


def _fit(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `values` in `shape` if only axes of length 1 differ."""
    same = [n for n in values.shape if n != 1] == [n for n in shape if n != 1]
    return values.reshape(shape) if same else values
