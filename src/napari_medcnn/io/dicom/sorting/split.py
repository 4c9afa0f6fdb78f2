"""Which planes of one series can belong together at all: those of one patient, size, kind and orientation.

Rules of DICOM PS3.3 C.7.6.1 to C.7.6.3 and C.7.6.16; nothing here looks at file names.  A series that holds several
of anything becomes several bundles; none is merged, none is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from napari_medcnn.io.dicom.facts import Header, Plane

#: Two orientations are one if no component of their unit vectors differs by more.
ORIENTATION_TOLERANCE = 1e-3
_SPACING_TOLERANCE = 1e-4
_NUMBERED = re.compile(r"(ECHO|TE)_?\d+")
_NO_UNIT = ("US", "UNSPECIFIED", "NONE")
_COMPONENTS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}


@dataclass(frozen=True)
class Bundle:
    """Planes in order of instance number, what tells them from the rest of the series, and what was said of them.

    `suffix` goes behind the series UID (":echo-2"), `words` behind the title ("echo 2").
    """

    planes: tuple[Plane, ...]
    suffix: str = ""
    words: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def bundles_of(planes: Sequence[Plane]) -> list[Bundle]:
    """Return the planes in bundles that agree in all of `_STEPS`: patient, study, size and so on to the spacing."""
    ordered = tuple(
        sorted(planes, key=lambda p: (p.frame.instance, str(p.header.path), p.frame.index, p.frame.tile or ()))
    )
    found = [Bundle(ordered)] if ordered else []
    for name, key, told in _STEPS:
        found = [part for bundle in found for part in divide(bundle, name, key(bundle.planes), told)]
    return found


def divide(bundle: Bundle, name: str, keys: Sequence[Hashable], told: Callable[[Hashable, int], str]) -> list[Bundle]:
    """Return one bundle for each key, in order of their first planes; the first keeps its suffix.

    `told(key, number)` gives the words; a word that is also a safe name ("phase") becomes the suffix itself.
    """
    groups: dict[Hashable, list[Plane]] = {}
    for key, plane in zip(keys, bundle.planes, strict=True):
        groups.setdefault(key, []).append(plane)
    if len(groups) < 2:
        return [bundle]
    parts = []
    for k, (key, planes) in enumerate(groups.items()):
        words = told(key, k + 1)
        label = words if words.isalpha() and words.islower() else f"{name}-{k + 1}"
        suffix = bundle.suffix if k == 0 else f"{bundle.suffix}:{label}"
        parts.append(
            replace(
                bundle, planes=tuple(planes), suffix=suffix, words=(*bundle.words, words) if words else bundle.words
            )
        )
    return parts


def _persons(planes: Sequence[Plane]) -> list[Hashable]:
    return [p.header.person_key for p in planes]


def _studies(planes: Sequence[Plane]) -> list[Hashable]:
    """Return the study; files that state none go with the first that is stated.

    Some writers make up a study for each file of a series: that tells nothing apart.
    """
    if one_study_each([p.header for p in planes]):
        return [""] * len(planes)
    return _stated_or_first([p.header.study_uid for p in planes])


def one_study_each(headers: Sequence[Header]) -> bool:
    """Return True if every file of three or more names a study of its own."""
    stated = {h.path: h.study_uid for h in headers}
    return len(set(stated.values()) - {""}) == len(stated) > 2


def _modalities(planes: Sequence[Plane]) -> list[Hashable]:
    return _stated_or_first([p.header.modality for p in planes])


def _units(planes: Sequence[Plane]) -> list[Hashable]:
    """Return the unit of the values; planes that state none, or an unspecified one, go with the first that does."""
    told = [(p.frame.unit or str(p.header.values.get("Units", ""))).upper() for p in planes]
    return _stated_or_first(["" if unit in _NO_UNIT else unit for unit in told])


def _stated_or_first(words: Sequence[str]) -> list[Hashable]:
    first = next((word for word in words if word), "")
    return [word or first for word in words]


def _sizes(planes: Sequence[Plane]) -> list[Hashable]:
    return [(s.rows, s.columns) if (s := p.header.stored) else None for p in planes]


def _colours(planes: Sequence[Plane]) -> list[Hashable]:
    kinds: list[Hashable] = []
    for plane in planes:
        stored = plane.header.stored
        grey = stored is not None and stored.photometric.startswith("MONOCHROME")
        kinds.append(None if stored is None else stored.photometric if grey else is_colour(plane))
    return kinds


def is_colour(plane: Plane) -> bool:
    """Return True if the plane decodes to red, green and blue."""
    stored = plane.header.stored
    return stored is not None and (stored.samples == 3 or stored.photometric == "PALETTE COLOR")


def _spaces(planes: Sequence[Plane]) -> list[Hashable]:
    """Return the frame of reference; files that state none go with the first that is stated."""
    return _stated_or_first([p.header.frame_of_reference for p in planes])


def _stacks(planes: Sequence[Plane]) -> list[Hashable]:
    return [p.frame.moment.get("StackID", "") for p in planes]


def image_type(plane: Plane) -> tuple[str, ...]:
    """Return the image type of a frame, of its file where the frame states none, without numbers of echoes."""
    own = plane.frame.moment.get("ImageType")
    parts = str(own).split("/") if own else plane.header.image_type
    return tuple(part for part in parts if not _NUMBERED.fullmatch(part))


def component(plane: Plane) -> str:
    """Return "magnitude", "phase", "real" or "imaginary" of a complex image; "" where not stated."""
    stated = str(plane.frame.moment.get("ComplexImageComponent", "")).lower()
    if stated in _COMPONENTS.values():
        return stated
    for part in image_type(plane)[2:]:
        if part in _COMPONENTS:
            return _COMPONENTS[part]
        if part.lower() in _COMPONENTS.values():
            return part.lower()
    return ""


def _components(planes: Sequence[Plane]) -> list[Hashable]:
    return [component(p) or ("localizer" if "LOCALIZER" in image_type(p) else "") for p in planes]


def _orientations(planes: Sequence[Plane]) -> list[Hashable]:
    keys = [None if f.row is None or f.column is None else (*f.row, *f.column) for f in (p.frame for p in planes)]
    return _clustered(keys, lambda a, b: max(abs(x - y) for x, y in zip(a, b, strict=True)) <= ORIENTATION_TOLERANCE)


def _spacings(planes: Sequence[Plane]) -> list[Hashable]:
    return _clustered(
        [p.frame.pixel_mm for p in planes],
        lambda a, b: all(abs(x - y) <= _SPACING_TOLERANCE * max(x, y) for x, y in zip(a, b, strict=True)),
    )


def _clustered(
    keys: Sequence[tuple[float, ...] | None], same: Callable[[tuple[float, ...], tuple[float, ...]], bool]
) -> list[Hashable]:
    """Return for each key the first one that it equals within the tolerance."""
    known: dict[tuple[float, ...] | None, tuple[float, ...] | None] = {None: None}
    heads: list[tuple[float, ...]] = []
    for key in keys:
        if key is None or key in known:
            continue
        head = next((h for h in heads if same(h, key)), None)
        if head is None:
            heads.append(key)
        known[key] = head or key
    return [known[key] for key in keys]


_STEPS: tuple[tuple[str, Callable[[Sequence[Plane]], list[Hashable]], Callable[[Hashable, int], str]], ...] = (
    ("patient", _persons, lambda _, k: f"patient {k} of this series"),
    ("study", _studies, lambda _, k: f"study {k} of this series"),
    ("modality", _modalities, lambda key, _: str(key)),
    ("size", _sizes, lambda key, _: f"{key[0]} x {key[1]}" if isinstance(key, tuple) else ""),
    ("colour", _colours, lambda key, _: "colour" if key is True else "inverted" if key == "MONOCHROME1" else "grey"),
    ("space", _spaces, lambda _, k: f"frame of reference {k}"),
    ("unit", _units, lambda key, _: f"in {str(key).lower()}" if key else "no unit"),
    ("stack", _stacks, lambda key, k: f"stack {key or k}"),
    ("component", _components, lambda key, _: str(key)),
    ("orientation", _orientations, lambda _, k: f"orientation {k}"),
    ("spacing", _spacings, lambda key, _: f"{key[0]:g} x {key[1]:g} mm" if isinstance(key, tuple) else "no spacing"),
)
