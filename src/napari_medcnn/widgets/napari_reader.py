"""What napari's own File menu calls: short files at once, folders and large files by the dock, in a task.

A read on the window's thread would freeze it; the dock reads with progress and cancel, so napari gets the null layer
and the dock, opened where it is not open yet, does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_medcnn.io.hooks import napari_get_reader, takes_long

Reader = Callable[[Any], list[Any]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader if every path holds an image that we read, else None.

    Of several paths, or without an open window, everything is read at once as in scripts.
    """
    reader = napari_get_reader(path)
    if reader is None or not isinstance(path, str) or not takes_long(path):
        return reader
    viewer = _open_viewer()
    return reader if viewer is None else lambda name: _hand_over(viewer, Path(name))


def _open_viewer() -> Any:
    """Return the viewer with a window, or None in a script without one."""
    import napari

    viewer = napari.current_viewer()
    return viewer if viewer is not None and viewer.window is not None else None


def _hand_over(viewer: Any, path: Path) -> list[Any]:
    """Let the dock open `path`; napari is told that there is nothing for it to add."""
    from napari_medcnn.widgets.dock import MedcnnDock

    dock = next((w for w in viewer.window.dock_widgets.values() if isinstance(w, MedcnnDock)), None)
    if dock is None:
        _, dock = viewer.window.add_plugin_dock_widget("napari-medcnn", "MedCNN")
    dock.open_path(path)
    return [(None,)]
