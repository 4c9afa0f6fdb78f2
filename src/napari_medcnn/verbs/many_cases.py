"""The cases of a long run: which items the inputs hold, how each is read, and where its result goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError, MedcnnError, SaveError
from napari_medcnn.imaging.channels import combine
from napari_medcnn.io.found import Found, Item
from napari_medcnn.io.read import inspect, read_item
from napari_medcnn.verbs.guard import plain_os_error
from napari_medcnn.verbs.names import has_image_suffix, output_stems, provenance_path

_JOIN = "|"


@dataclass(frozen=True)
class Part:
    """One image of a case: what was found at its path, and the item of it."""

    found: Found
    item: Item


@dataclass(frozen=True)
class Case:
    """One item to run on.

    Parameters
    ----------
    name
        The input as it was given; several channels joined by ``|``.
    item
        Its id in that input, None where it could not be looked at.
    parts
        The images, one per channel.
    several
        Other items of the same input run too.
    error
        Why it cannot run, or "".
    """

    name: str
    item: str | None
    parts: tuple[Part, ...] = ()
    several: bool = False
    error: str = ""

    @property
    def path(self) -> Path:
        """The first path."""
        return self.parts[0].found.path if self.parts else Path(self.name.partition(_JOIN)[0] or self.name)

    @property
    def picture(self) -> bool:
        """True if the result goes into a picture file."""
        return len(self.parts) == 1 and self.parts[0].item.kind == "picture"

    @property
    def files(self) -> tuple[Path, ...]:
        """All files the voxels come from."""
        return tuple(file for part in self.parts for file in (part.item.files or (part.found.path,)))

    def read(self, consent: Consent = NONE, channel_names: Sequence[str] = ()) -> Volume:
        """Return the scan; several channels on the grid of the first."""
        volumes = [read_item(part.found, part.item, consent) for part in self.parts]
        if len(volumes) == 1:
            return volumes[0]
        names = [part.found.path.name for part in self.parts]
        return combine(volumes, channel_names if len(channel_names) == len(volumes) else names)


def cases_of(given: Path, wanted: str | None) -> list[Case]:
    """Return the cases of one input; what cannot be looked at is a case that failed."""
    text = str(given)
    if _JOIN in text and not given.exists():
        return [_joined(text)]
    try:
        found = inspect(given)
    except (MedcnnError, OSError) as error:
        return [Case(text, None, error=_words(error))]
    usable = _usable(found)
    if wanted is not None:
        usable = [i for i in found.items if i.id == wanted]
        if not usable:
            ids = ", ".join(i.id for i in found.items)
            return [Case(text, wanted, error=f"{given.name}: there is no item {wanted!r}, only {ids}")]
    if not usable:
        return [Case(text, None, error=f"{given.name}: there is no image in it")]
    return [Case(text, item.id, (Part(found, item),), len(usable) > 1) for item in usable]


def _joined(text: str) -> Case:
    """Return one case of several scans, the channels of one."""
    parts: list[Part] = []
    for word in text.split(_JOIN):
        if not word.strip():
            return Case(text, None, error=f"{text}: expected a path on each side of {_JOIN!r}")
        try:
            found = inspect(Path(word.strip()))
        except (MedcnnError, OSError) as error:
            return Case(text, None, error=_words(error))
        usable = _usable(found)
        if len(usable) != 1:
            return Case(text, None, error=f"{word}: expected one image for a channel, found {len(usable)}")
        parts.append(Part(found, usable[0]))
    return Case(text, parts[0].item.id, tuple(parts))


def _usable(found: Found) -> list[Item]:
    """Return what a model runs on.  A scan of whole numbers may look like a mask; masks beside scans are left out."""
    scans = [i for i in found.items if i.kind in ("volume", "picture")]
    return scans or [i for i in found.items if i.kind == "labels"]


def targets_of(out: Path, cases: Sequence[Case], masks: bool) -> list[Path]:
    """Return the file each case writes, after making OUT; `masks` is False for classifiers.

    Raises
    ------
    InputError, SaveError
        OUT does not suit the number of cases, or cannot be made.
    """
    if masks and is_one_file(out, len(cases)):
        if not out.parent.is_dir():
            raise InputError(f"{out.parent}: there is no such folder; make it first or choose another one.")
        return [out]
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder for {len(cases)} results, got a file.")
    if has_image_suffix(out) and not out.exists():
        raise InputError(f"{out.name}: expected a folder; one file is written only for one input of a mask model.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(plain_os_error(error)) from error
    stems = output_stems([(case.path, case.item if case.several else None) for case in cases])
    if not masks:
        return [out / f"{stem}.provenance.json" for stem in stems]
    return [out / f"{stem}{'.png' if case.picture else '.nii.gz'}" for case, stem in zip(cases, stems, strict=True)]


def is_one_file(out: Path, cases: int) -> bool:
    """Return True if OUT names one mask file for one case."""
    return cases == 1 and has_image_suffix(out) and not out.is_dir()


def spare_input(case: Case, target: Path) -> None:
    """Refuse to write a result over what it was made from."""
    for path in (target, provenance_path(target)):
        for part in case.parts:
            source = part.found.path
            if path.exists() and source.exists() and path.samefile(source):
                raise InputError(f"{target}: the result would replace the input; choose another OUT folder.")


def _words(error: Exception) -> str:
    return plain_os_error(error) if isinstance(error, OSError) else str(error)
