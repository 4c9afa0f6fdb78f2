"""An annotator in a window of its own, for the loop test: predicts with the real engine, paints with real mouse
events, and then waits to be killed.

    python annotator_window.py SCAN MODEL    # models are found in MEDCNN_HOME
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from qtpy.QtCore import Qt

from napari_medcnn.io.layerdata import mask_from_layer
from napari_medcnn.widgets.launch import open_window


def desk_of(viewer, dock):
    """Return the hands that the window tests use."""
    path = Path(__file__).with_name("conftest.py")
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("desk", path))
    sys.modules["desk"] = module
    module.__spec__.loader.exec_module(module)
    return module.Desk(viewer, dock, Path("unused"))


def main(scan: str, model: str) -> None:
    viewer, dock = open_window()
    desk = desk_of(viewer, dock)
    desk.qt_window.resize(1200, 760)
    dock.open_path(Path(scan))
    desk.until(lambda: dock.session.scan is not None and not dock.tasks.names(), 60)
    desk.start_run(model)
    desk.until(lambda: dock.layers.mask is not None and not dock.tasks.names(), 120)
    drawn = dock.layers.mask.data.copy()
    dock.tabs.setCurrentIndex(2)
    desk.idle()
    x, y = desk.centre()
    desk.key(Qt.Key.Key_2)
    desk.drag((x - 80, y - 40), (x + 40, y - 40))
    desk.key(Qt.Key.Key_PageDown)
    desk.key(Qt.Key.Key_1)
    desk.drag((x - 60, y), (x + 60, y + 30))
    desk.key(Qt.Key.Key_E)
    desk.drag((x - 20, y), (x + 20, y + 10))
    desk.drag((x - 60, y), (x - 45, y))
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    desk.idle(2.5)  # what a journal may take to reach the disk
    layer = dock.layers.mask
    mask = mask_from_layer(layer.data, layer.metadata, layer.name)
    told = {
        "engine": dock.link.engine.pid,
        "saved": dock.header.saved.text(),
        "steps": dock.strokes.history.names,
        "changed": int(np.count_nonzero(layer.data != drawn)),
        "sha256": hashlib.sha256(np.ascontiguousarray(mask.array, np.uint8).tobytes()).hexdigest(),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    desk.idle(300)


if __name__ == "__main__":
    main(*sys.argv[1:])
