"""The demonstration in a window: ``python -m napari_medcnn.widgets.demo_window --out DIR [--mask FILE] [--stay]``.

Opens the fundus photograph, runs the vessel model on it (or shows a mask that was made before) and writes the picture
``window.png`` into the folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_medcnn.widgets.dock import MedcnnDock
from napari_medcnn.widgets.launch import open_window

MODEL = "retina-vessels"
_SECONDS = 240.0


def wait_until(condition: Callable[[], Any], seconds: float = _SECONDS) -> bool:
    """Let the window live until something is true; False if it is not in time.

    In an event loop, as a window does: with `processEvents` outside of one Qt never deletes what was put aside with
    `deleteLater`, and napari's controls of every layer that ever was would stay (2.8 MB for a scan with a mask).
    """
    from qtpy.QtCore import QEventLoop, QTimer

    loop, end = QEventLoop(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        QTimer.singleShot(10, loop.quit)
        loop.exec()
    return True


def settle(seconds: float = 0.5) -> None:
    """Let the window draw what was just changed."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end)


def show_example(dock: MedcnnDock, name: str) -> None:
    """Open an example and wait for it."""
    dock.open_sample(name)
    wait_until(lambda: dock.session.scan is not None and not dock.tasks.names())
    settle()


def run_model(dock: MedcnnDock, name: str) -> str:
    """Run a model on what is open and wait; return what went wrong, "" if nothing did."""
    dock.tabs.setCurrentIndex(1)
    if not dock.ai.choose(name):
        return f"There is no model named {name}."
    wait_until(lambda: not dock.tasks.names())
    dock.running.run()
    if not wait_until(lambda: not dock.tasks.names()):
        return "The model did not finish in time."
    settle()
    return str(dock.ai.error.text()).removeprefix("✗").strip()


def save_picture(viewer: Any, path: Path) -> None:
    """Write the whole window as a picture."""
    settle()
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.window.screenshot(path=str(path), flash=False)


def main(arguments: list[str]) -> int:
    """Show the demonstration; 0 if the result stood in the window."""
    import napari

    parser = argparse.ArgumentParser(prog="python -m napari_medcnn.widgets.demo_window")
    parser.add_argument("--out", type=Path, required=True, help="folder for window.png")
    parser.add_argument("--mask", type=Path, help="show this mask instead of running the model")
    parser.add_argument("--stay", action="store_true", help="leave the window open")
    options = parser.parse_args(arguments)
    viewer, dock = open_window()
    viewer.window.resize(1366, 768)
    settle(1.0)
    show_example(dock, "fundus")
    if options.mask is not None:
        dock.session.opening.mask(options.mask)
        wait_until(lambda: not dock.tasks.names())
        settle()
        problem = "" if dock.layers.mask is not None else str(dock.message.text())
    else:
        problem = run_model(dock, MODEL)
    save_picture(viewer, options.out / "window.png")
    if problem:
        sys.stderr.write(f"{problem}\n")
    if options.stay:
        napari.run()
    else:
        viewer.close()
    return 1 if problem else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
