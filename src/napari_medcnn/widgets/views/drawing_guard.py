"""A canvas that does not crash after layers were taken away.

Seen with Mesa's software OpenGL (Debian 12, both Qt bindings): maps and a mask are removed, one image stays, and the
second picture after that ends the process inside ``glDrawArrays``. Attributes, buffers and textures are in order then,
and unbinding all of them does not help; what helps is that some other visual is drawn in the same picture. So each
canvas draws napari's text overlay, with a space in it.
"""

from __future__ import annotations

from typing import Any


def guard(viewer: Any) -> None:
    """Guard the canvas of a viewer for as long as it lives, whoever adds and removes layers later."""
    text = viewer.canvas.overlays["text"]
    if not text.visible:
        text.text = " "
        text.visible = True
