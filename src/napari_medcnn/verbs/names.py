"""Names of the files that verbs write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

#: Longest first, so that ``.seg.nrrd`` is not taken for ``.nrrd``.
IMAGE_SUFFIXES = (".nii.gz", ".seg.nrrd", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".tif", ".tiff", ".bmp")
_MORE = (".jpeg", ".jpg", ".dicom", ".dcm", ".ima")


def stem_of(path: Path) -> str:
    """Return the name of a file without its image suffix, double suffixes included; of a folder, its name."""
    name = path.name or path.resolve().name
    for suffix in (*IMAGE_SUFFIXES, *_MORE):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def has_image_suffix(path: Path) -> bool:
    """Return True if the name says that one image is to be written there."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def provenance_path(path: Path) -> Path:
    """Return where the record of an output stands: ``<stem>.provenance.json`` beside it."""
    return path.with_name(f"{stem_of(path)}.provenance.json")


def output_stems(inputs: Sequence[tuple[Path, str | None]]) -> list[str]:
    """Return one name per case, all different, also for file systems that ignore case.

    `inputs` are (path, item id or None where the path holds one item).  Equal stems get the parent folder's name in
    front; what is equal even then is numbered in the order given.
    """
    stems = [stem_of(path) if item is None else f"{stem_of(path)}_{_plain(item)}" for path, item in inputs]
    repeated = Counter(s.casefold() for s in stems)
    longer = [
        f"{path.resolve().parent.name}_{stem}" if repeated[stem.casefold()] > 1 else stem
        for (path, _), stem in zip(inputs, stems, strict=True)
    ]
    taken: set[str] = set()
    result = []
    for stem in longer:
        name, number = stem, 2
        while name.casefold() in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name.casefold())
        result.append(name)
    return result


def _plain(item: str) -> str:
    item = stem_of(Path(item)) if item.lower().endswith((*IMAGE_SUFFIXES, *_MORE)) else item
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in item).strip(".") or "item"
