"""Make the small picture of an item for the list of what was found."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medcnn.core.events import Cancel, Events, Result
from napari_medcnn.io.found import Found
from napari_medcnn.io.thumbnail import SIZE, thumbnail
from napari_medcnn.verbs.guard import guarded, stop_if


@dataclass(frozen=True)
class ThumbnailRequest:
    """Draw item `item_id` of `found`, at most `size` pixels high and wide."""

    found: Found
    item_id: str
    size: int = SIZE


@guarded
def run(request: ThumbnailRequest, cancel: Cancel) -> Events:
    """Draw; the result is uint8 (height, width) grey or (height, width, 3) colour.

    Fails with
    ----------
    InputError
        The item cannot be read, or is too large to be read for a small picture.
    """
    stop_if(cancel)
    yield Result(thumbnail(request.found, request.found.item(request.item_id), request.size))
