"""PET values as SUV normalised by body weight, after the vendor-neutral pseudo-code of QIBA (RSNA, 2013 and later).

SUVbw = activity concentration [Bq/ml] x weight [g] / dose decayed to the time the image is corrected to [Bq].
Nothing is guessed: whatever is missing or contradicts itself leaves the values in Bq/ml, with the reason in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from napari_medcnn.io.dicom.facts import Header
from napari_medcnn.io.dicom.header.elements import seconds

_DAY_S = 86400.0
#: An injection whose time of day lies after the scan's is taken for the evening before if it is then this recent.
_LONGEST_OVER_MIDNIGHT_S = 6 * 3600.0
_MOST_HALF_LIVES = 10.0
_LEAST_DOSE_BQ = 1e4  # less is a dose written in MBq
_ROUNDING_S = 1.0
_OTHER_SUV = {"LBM": "SUVlbm", "LBMJANMA": "SUVlbm", "LBMJAMES128": "SUVlbm", "BSA": "SUVbsa", "IBW": "SUVibw"}


@dataclass(frozen=True)
class Suv:
    """What turns rescaled values into SUV.

    Parameters
    ----------
    factor
        SUV for each Bq/ml, or for each rescaled value where the file is in other units.
    unit
        "SUVbw", or what the file names ("SUVlbm").
    by_activity_factor
        True if each file's Philips activity factor comes first: counts to Bq/ml.
    found, assumed
        The formula with its numbers, and what was taken for granted, in words.
    """

    factor: float
    unit: str = "SUVbw"
    by_activity_factor: bool = False
    found: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    def scale_of(self, header: Header) -> float:
        """Return the factor of one file's rescaled values."""
        return self.factor * (float(header.values["PhilipsActivityFactor"]) if self.by_activity_factor else 1.0)


class _NotAvailableError(Exception):
    """Why there is no SUV; never leaves this module."""


def suv(headers: Sequence[Header]) -> Suv | str:
    """Return how a PET series becomes SUV, or "SUV not available: ..." with what is missing.

    Parameters
    ----------
    headers
        Of all files of the series; their `values` as `headers.read_header` fills them.
    """
    try:
        return _suv(headers)
    except _NotAvailableError as error:
        return f"SUV not available: {error}."


def _suv(headers: Sequence[Header]) -> Suv:
    if not headers:
        raise _NotAvailableError("there is no image")
    units = str(_common(headers, "Units") or "").upper()
    if units == "GML":
        return _stated_suv(headers)
    if units == "CNTS":
        factors = {h.values.get("PhilipsSUVFactor") for h in headers}
        if len(factors) == 1 and _positive(next(iter(factors))):
            factor = float(next(iter(factors)))  # type: ignore[arg-type]
            _check_corrections(headers)
            return Suv(factor, found=(f"SUVbw = rescaled value x {factor:.6g}, the factor the scanner stored.",))
        if all(_positive(h.values.get("PhilipsActivityFactor")) for h in headers):
            return _from_activity(headers, by_activity_factor=True)
        raise _NotAvailableError("the values are counts and the file states no factor to Bq/ml")
    if units != "BQML":
        raise _NotAvailableError(f"the values are in {units.lower()}, not Bq/ml" if units else "the unit is missing")
    return _from_activity(headers, by_activity_factor=False)


def _stated_suv(headers: Sequence[Header]) -> Suv:
    kind = str(_common(headers, "SUVType") or "").upper()
    if kind in ("", "BW"):
        words = "The file states its values in g/ml: SUV by body weight."
        return Suv(1.0, found=(words,) if kind else (), assumed=() if kind else (words,))
    unit = _OTHER_SUV.get(kind)
    if unit is None:
        raise _NotAvailableError(f"the values are in g/ml of an unknown kind ({kind})")
    return Suv(1.0, unit, found=(f"The file states its values as {unit}.",))


def _from_activity(headers: Sequence[Header], by_activity_factor: bool) -> Suv:
    decay = _check_corrections(headers)
    missing = [
        words
        for key, words in (
            ("PatientWeight", "weight"), ("RadionuclideTotalDose", "dose"), ("RadionuclideHalfLife", "half-life"),
        )
        if not _positive(_common(headers, key)) and (key != "RadionuclideHalfLife" or decay == "START")
    ]  # fmt: skip
    if missing:
        raise _NotAvailableError(f"{', '.join(missing)} missing")
    weight, dose = float(_common(headers, "PatientWeight")), float(_common(headers, "RadionuclideTotalDose"))
    if dose < _LEAST_DOSE_BQ:
        raise _NotAvailableError(f"the stated dose of {dose:g} Bq cannot be right (written in MBq?)")
    share, how = 1.0, "the image is corrected to the injection"
    assumed: tuple[str, ...] = ()
    if decay == "START":
        half_life = float(_common(headers, "RadionuclideHalfLife"))
        elapsed, assumed = _elapsed_s(headers, half_life)
        share = 2.0 ** (-elapsed / half_life)
        how = f"decayed to {100 * share:.2f} % in {elapsed / 60:.1f} min (half-life {half_life / 60:.2f} min)"
    found: tuple[str, ...] = (
        f"SUVbw = Bq/ml x weight / dose: {weight:g} kg, {dose / 1e6:g} MBq injected, {how}; "
        f"factor {weight * 1000 / (dose * share):.6g}.",
    )
    if by_activity_factor:
        found = (*found, "Counts became Bq/ml by the scanner's own factor of each slice.")
    return Suv(weight * 1000.0 / (dose * share), "SUVbw", by_activity_factor, found, assumed)


def _check_corrections(headers: Sequence[Header]) -> str:
    """Return START or ADMIN: the time that decay is corrected to."""
    for header in headers:
        done = {str(v).upper() for v in header.values.get("CorrectedImage", ())}
        lacking = [words for words, names in (("attenuation", {"ATTN"}), ("decay", {"DECY", "DECAY"}))
                   if not done & names]  # fmt: skip
        if lacking:
            raise _NotAvailableError(f"the image is not said to be corrected for {' and '.join(lacking)}")
    decay = str(_common(headers, "DecayCorrection") or "").upper()
    if decay not in ("START", "ADMIN"):
        raise _NotAvailableError("the time that decay was corrected to is missing" if not decay
                                 else f"decay was corrected to an unknown time ({decay})")  # fmt: skip
    return decay


def _elapsed_s(headers: Sequence[Header], half_life: float) -> tuple[float, tuple[str, ...]]:
    """Return the seconds from injection to the time that the image is corrected to."""
    scan, assumed = _scan_time(headers, half_life)
    stamped = seconds(str(_common(headers, "RadiopharmaceuticalStartDateTime") or ""))
    clocked = seconds(str(_common(headers, "RadiopharmaceuticalStartTime") or ""))
    if stamped is not None and stamped >= _DAY_S:
        elapsed = scan - stamped
    elif clocked is not None:
        elapsed = scan % _DAY_S - clocked  # the same day: no date is stated (QIBA)
        if elapsed < 0 and elapsed + _DAY_S <= _LONGEST_OVER_MIDNIGHT_S:
            elapsed += _DAY_S
            assumed = (*assumed, "SUV: the injection was taken for the evening before the scan (midnight between).")
    else:
        raise _NotAvailableError("the time of the injection is missing")
    if elapsed < 0:
        raise _NotAvailableError(
            f"the stated injection lies {-elapsed / 60:.0f} min after the scan (times go backwards)"
        )
    if elapsed > _MOST_HALF_LIVES * half_life:
        raise _NotAvailableError(
            f"the stated injection lies {elapsed / 3600:.1f} h before the scan, more than 10 half-lives: a wrong date"
        )
    return elapsed, assumed


def _scan_time(headers: Sequence[Header], half_life: float) -> tuple[float, tuple[str, ...]]:
    """Return the start of the scan in seconds since year 0.

    Series time, unless it lies after the first acquisition, as in series that were processed later: then GE's private
    time, else the acquisition time less the frame's own reference time (mean count rate within the frame).
    """
    series = _stamp(_common(headers, "SeriesDate"), _common(headers, "SeriesTime"))
    starts = [a for h in headers if (a := _acquired(h)) is not None]
    if series is not None and starts and series <= min(starts) + _ROUNDING_S:
        return series, ()
    private = seconds(str(_common(headers, "GEPostInjectionDateTime") or ""))
    if private is not None and private >= _DAY_S:
        return private, ("SUV: the series was processed later; the scan's time is the scanner's own (GE).",)
    for header in headers:
        start = _acquired(header)
        reference, duration = header.values.get("FrameReferenceTime"), header.values.get("ActualFrameDuration")
        if start is not None and _positive(reference) and _positive(duration):
            decay = math.log(2) / half_life
            during = decay * float(duration) / 1000.0
            mean = math.log(during / -math.expm1(-during)) / decay
            return start - float(reference) / 1000.0 + mean, (
                "SUV: the series' time lies after its images; the scan's time was reckoned from a frame's reference "
                "time.",
            )
    if series is None:
        raise _NotAvailableError("the time of the series is missing")
    if not starts:
        raise _NotAvailableError("the time of the acquisition is missing")
    raise _NotAvailableError(
        f"the series' time lies {(series - min(starts)) / 60:.0f} min after its first image (times go backwards)"
    )


def _acquired(header: Header) -> float | None:
    whole = seconds(str(header.values.get("AcquisitionDateTime", "")))
    if whole is not None and whole >= _DAY_S:
        return whole
    return _stamp(header.values.get("AcquisitionDate"), header.values.get("AcquisitionTime"))


def _stamp(date: Any, clock: Any) -> float | None:
    """Return seconds since year 0 of a DICOM date and time, None if either is missing or odd."""
    digits = str(date or "").replace(".", "").replace("-", "")
    if len(digits) != 8 or not digits.isdigit() or not clock:
        return None
    return seconds(digits + str(clock).replace(":", ""))


def _common(headers: Sequence[Header], key: str) -> Any:
    """Return a value that all headers share, None if none has it.

    Raises
    ------
    _NotAvailableError
        They differ.
    """
    found = {h.values.get(key) for h in headers}
    if len(found) > 1:
        raise _NotAvailableError(f"{key} differs between the slices")
    return next(iter(found))


def _positive(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0
