"""Open napari with the MedCNN dock: ``python -m napari_medcnn.widgets.launch [PATH...]``."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

from napari_medcnn.widgets._beyond_public import without_pyqt5_warning
from napari_medcnn.widgets.dock import MedcnnDock
from napari_medcnn.worker.client import Launch


def open_window(launch: Launch | None = None, show: bool = True) -> tuple[Any, MedcnnDock]:
    """Open a viewer with the dock in it.

    Parameters
    ----------
    launch
        How to start the engine; by default from the preferences.
    show
        False keeps the window hidden until ``viewer.show()``.

    Returns
    -------
    viewer, dock
    """
    import napari

    without_pyqt5_warning()
    # napari's first page names keys and drags that mean something else here; the start page stands beside it
    viewer = napari.Viewer(title="MedCNN", show=show, show_welcome_screen=False)
    return viewer, add_dock(viewer, launch)


def add_dock(viewer: Any, launch: Launch | None = None) -> MedcnnDock:
    """Put the dock on the right side of a viewer."""
    dock = MedcnnDock(viewer, launch)
    viewer.window.add_dock_widget(dock, name="MedCNN", area="right")
    return dock


def main(arguments: list[str]) -> int:
    """Open the window with what was named and run until it is closed."""
    import napari

    _viewer, dock = open_window()
    # What stays until the end is left out of every search for garbage: with 10,000 headers in memory such a search
    # stops the window for a fifth of the time then.
    gc.collect()
    gc.freeze()
    if arguments:
        dock.open_paths([Path(name) for name in arguments])
    napari.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
