"""Counts living objects, to find what is left behind."""

from __future__ import annotations

import gc
from collections import Counter

_KINDS = ("napari_medcnn.", "napari.layers", "napari.components", "napari._vispy", "napari._qt", "PyQt", "PySide",
          "vispy.scene")  # fmt: skip
#: What napari 0.9.2 without us leaves behind too (seen 2026-11-21): parts of the layer controls and notes that come
#: and go. Workers: its list of tasks keeps each that its `create_worker` made while there was a window, done or not,
#: to ask about it when a window is closed, and there is no public way to take one out.
NAPARIS = {"QGraphicsOpacityEffect", "QPushButton", "QtModeRadioButton", "GeneratorWorker"}


def census() -> Counter[str]:
    """Count objects of our classes, of napari's layers and views, and of Qt."""
    for _ in range(3):
        gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        module = getattr(type(thing), "__module__", None)
        if isinstance(module, str) and module.startswith(_KINDS):
            found[f"{module}.{type(thing).__qualname__}"] += 1
    return found


def grown(before: Counter[str], after: Counter[str], at_least: int) -> dict[str, int]:
    """Return what there is more of by `at_least`, napari's own leavings aside."""
    more = {name: after[name] - before[name] for name in after if after[name] - before[name] >= at_least}
    return {name: count for name, count in more.items() if name.rpartition(".")[2] not in NAPARIS}
