"""Everything that goes beyond napari's public interface, each item with a test that fails when napari changes it."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

import numpy as np
from app_model.expressions import Context, get_context
from napari._qt import qt_main_window

#: Name of napari's module variable: True while it still has to say, with its first window, that PyQt5 is going.
_PYQT5_WARNING = "SHOW_QT_WARNING"


def without_pyqt5_warning() -> None:
    """Let napari's first window not say that its support of PyQt5 will end.

    It covers a corner of the picture at every start, and says nothing a reader could do: which binding is installed is
    our README's choice. Only for windows that we start ourselves; napari has no setting for it.
    """
    if hasattr(qt_main_window, _PYQT5_WARNING):
        setattr(qt_main_window, _PYQT5_WARNING, False)


def forget_copies(viewer: Any) -> None:
    """Let no copy of a viewer's list of layers listen to it.

    With every move of the mouse napari copies the list to say what is under the cursor, and each copy stays connected
    to the list for ever: choosing a layer or opening a scan takes longer with every move of the day, and the copies
    stay in memory. A copy still knows what the list knew when it was made, which is all it is asked for.
    """
    context = _context_of(viewer)
    if context is None:
        return

    def child(m: MutableMapping[Any, Any] | None = None) -> Context:
        made = Context()
        made.maps = [{} if m is None else m, *context.maps]
        return made

    context.new_child = child  # type: ignore[method-assign]


def listen_to_copies(viewer: Any) -> None:
    """Leave a viewer as napari made it."""
    context = _context_of(viewer)
    if context is not None:
        context.__dict__.pop("new_child", None)


def redraw_part(layer: Any, box: Sequence[slice]) -> None:
    """Draw a box of voxels of a labels layer anew, where its view shows it: what napari does for its own brush.

    Napari's public `refresh` cuts out, colours and hands over the whole slice, with each move of a hand and for each
    view. The event says `part`, so that who follows the layer can tell.
    """
    shown = layer._slice.slice_input.displayed
    if not layer.loaded or any(not box[a].start <= at < box[a].stop for a, at in layer._get_pt_not_disp().items()):
        return
    raw, wide = layer._slice.image.raw, int(layer.contour)
    spans = zip((box[axis] for axis in shown), raw.shape, strict=True)
    part = tuple(slice(max(0, span.start - wide), min(size, span.stop + wide)) for span, size in spans)
    colours = layer._raw_to_displayed(raw, data_slice=part)
    layer._slice.image.view[part] = colours
    layer.events.labels_update(data=np.asarray(colours), offset=[span.start for span in part], part=True)


def _context_of(viewer: Any) -> Context | None:
    layers = viewer.layers
    found: Context | None = get_context(getattr(layers, "__wrapped__", layers))
    return found
