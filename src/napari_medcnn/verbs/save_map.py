"""Save a saliency map: its values on the scan's grid, a picture with legend, or a page; the record stands beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from napari_medcnn.core.saliency import SaliencyMap
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.atomic import is_protected
from napari_medcnn.io.map_page import map_page
from napari_medcnn.io.map_pictures import map_picture, slice_of
from napari_medcnn.io.pictures_out import save_png
from napari_medcnn.io.save import save_json, save_text, save_volume
from napari_medcnn.verbs.names import provenance_path

VALUES = (".nii.gz", ".nii", ".nrrd", ".mha")
SUFFIXES = (*VALUES, ".png", ".html")


def write_map(
    made: SaliencyMap, path: Path | str, volume: Volume | None = None, mask: LabelMap | None = None, name: str = ""
) -> Path:
    """Write a map; the suffix decides.

    .nii.gz, .nii, .nrrd, .mha hold the raw values, float32 on the scan's own grid; .png one slice with the map over it
    and its legend; .html a page with pictures, check and record.

    Parameters
    ----------
    volume
        The scan, for pictures and pages.
    mask
        On the scan's grid, its outline stands on the page.
    name
        What the page calls the scan; "" leaves out all that names it.

    Raises
    ------
    InputError
        Another suffix, no such folder, or no scan to draw on.
    SaveError
        It cannot be written; an old file of that name is as it was.
    """
    path = Path(path)
    check_target(path)
    if path.name.lower().endswith(VALUES):
        save_volume(Volume(made.values, made.geometry), path)
    elif volume is None:
        raise InputError(f"{path.name}: a picture needs the scan below the map; give it, or save as .nii.gz")
    elif path.suffix.lower() == ".png":
        frame = int(made.provenance.options.get("frame", 0))
        save_png(map_picture(slice_of(made, volume, mask, frame), made), path)
    else:
        save_text(map_page(made, volume, mask, name), path)
    save_json(record_of(made), record_path(path))
    return path


def record_path(path: Path) -> Path:
    """Return where the record of a map stands: ``<stem>.provenance.json`` beside ``<stem>.nii.gz``, as that of a mask.

    What is not .nii.gz keeps its suffix, ``<stem>.png.provenance.json``, so that a picture, a page and the values of
    one name each have their own.
    """
    if path.name.lower().endswith(".nii.gz"):
        return provenance_path(path)
    return path.with_name(f"{path.name}.provenance.json")


def check_target(path: Path) -> None:
    """Refuse before the work what cannot be written after it."""
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError(f"{path.name}: a map is written as {', '.join(SUFFIXES)}; choose one of them")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: there is no such folder; make it first or choose another one.")
    if path.is_dir():
        raise InputError(f"{path}: there is a folder of this name; choose another name for the map.")
    try:
        with tempfile.TemporaryFile(dir=path.parent, prefix=".medcnn-"):
            pass
    except OSError as error:
        raise InputError(
            f"{path.parent}: nothing can be written there ({error.strerror or error}); choose another folder with -o."
        ) from error
    for each in (path, record_path(path)):
        if is_protected(each):
            raise InputError(f"{each}: this file is protected and cannot be replaced; choose another name.")


def record_of(made: SaliencyMap) -> dict[str, Any]:
    """Return how a map was made, and what it found, in plain JSON types."""
    found = {
        "method": made.method, "target": made.target, "layer": made.layer, "score": made.score,
        "facts": dict(made.facts), "check": None if made.check is None else made.check.to_json(),
    }  # fmt: skip
    return {**made.provenance.to_json(), "map": found}
