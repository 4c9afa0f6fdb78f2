"""What 100 cases that are opened and closed leave behind in a living window: objects and memory.

python benchmarks/left_behind.py [--cycles 100]

A case is a scan of 60 x 160 x 160 with a mask, shown in 2x2 with surfaces. The windows are small, where less is drawn:
software OpenGL is most of the time. "In use" is what malloc has given away; the process holds more, in holes that it
uses again.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
from pathlib import Path

import numpy as np
from viewer import _PRIVATE, Desk, case, settle, wait_until  # puts the tests' census within reach

from census import census, grown, in_use_mb


def resident_mb() -> float:
    """Return resident memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Open and close cases; tell every 10 cycles what grew since the first tenth, so that a run may be ended early."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=100)
    cycles = parser.parse_args().cycles
    desk = Desk()
    scan, mask = case((60, 160, 160))
    for viewer in (desk.bare, desk.viewer):
        viewer.window._qt_window.resize(800, 560)
    settle(0.5)
    warm = max(5, cycles // 10)
    memory, before = [], census()
    for number in range(cycles + warm):
        if number == warm:
            before = census()
        cycle(desk, scan, mask)
        if number >= warm:
            gc.collect()
            memory.append((resident_mb(), in_use_mb() or 0.0))
            if len(memory) % 10 == 0:
                tell(memory, grown(before, census(), max(2, len(memory) // 2)))
    desk.close()
    shutil.rmtree(_PRIVATE, ignore_errors=True)


def cycle(desk: Desk, scan, mask) -> None:
    """Open a case, look at it in 2x2 and in one view, close it."""
    desk.open_ours(scan, mask)
    settle(0.02)
    desk.dock.views.show_four()
    settle(0.02)
    desk.dock.reading.volume_view.make_surfaces()
    wait_until(lambda: not desk.dock.tasks.names())
    desk.dock.views.show_one()
    desk.close_ours()
    settle(0.02)


def tell(memory: list[tuple[float, float]], more: dict[str, int]) -> None:
    """Print where memory stands, its fitted lines, and the objects of which there are more."""
    slope = np.polyfit(np.arange(len(memory)), memory, 1)[0] * 1000
    told = zip(memory[-1], ("held", "in use"), slope, strict=True)
    words = ", ".join(f"{now:.0f} MB {name} ({kb:.0f} KB a cycle)" for now, name, kb in told)
    print(f"after {len(memory)}: {words}; objects that grew: {more or 'none'}", flush=True)


if __name__ == "__main__":
    main()
