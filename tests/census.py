"""Counts living objects, to find what is left behind."""

from __future__ import annotations

import ctypes
import gc
from collections import Counter

_KINDS = ("napari_medcnn.", "napari.layers", "napari.components", "napari._vispy", "napari._qt", "PyQt", "PySide",
          "vispy.scene")  # fmt: skip


class Heap(ctypes.Structure):
    """What glibc's `mallinfo2` answers; `uordblks` are the bytes in use, whatever the heap's holes."""

    _fields_ = [(f"before{i}", ctypes.c_size_t) for i in range(4)] + [
        ("hblkhd", ctypes.c_size_t), ("usmblks", ctypes.c_size_t), ("fsmblks", ctypes.c_size_t),
        ("uordblks", ctypes.c_size_t), ("fordblks", ctypes.c_size_t), ("keepcost", ctypes.c_size_t),
    ]  # fmt: skip


def in_use_mb() -> float | None:
    """Return what the process holds by malloc, in MB; None where it cannot be asked (glibc 2.33 or newer)."""
    try:
        ask = ctypes.CDLL("libc.so.6").mallinfo2
    except (OSError, AttributeError):
        return None
    ask.restype = Heap
    heap = ask()
    return (heap.uordblks + heap.hblkhd) / 1e6


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
    """Return what there is more of by `at_least`; only after an event loop has turned is what was deleted gone."""
    return {name: after[name] - before[name] for name in after if after[name] - before[name] >= at_least}
