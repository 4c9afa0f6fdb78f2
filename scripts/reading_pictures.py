"""Pictures of the reading views for the docs: ``python scripts/reading_pictures.py --out docs/images``.

Shows the CT phantom only.  Run it on a screen of 1366x768; the width of the screen stands in the file names.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from napari_medcnn.core.measures import ANGLE, ELLIPSE, LENGTH, Measure
from napari_medcnn.io.samples import phantom
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.demo_window import save_picture, settle, show_example, wait_until
from napari_medcnn.widgets.launch import open_window

#: On the slice with liver, kidney and spine; indices of the file.
MEASURES = (
    Measure(LENGTH, ((23, 79, 83), (23, 79, 100)), 0, name="Kidney, across"),
    Measure(ELLIPSE, ((23, 44, 28), (23, 62, 48)), 0, name="Liver"),
    Measure(ANGLE, ((23, 95, 40), (23, 112, 64), (23, 95, 90)), 0, name="Ribs"),
)


def main(arguments: list[str]) -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="reading_pictures.py")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args(arguments)
    viewer, dock = open_window()
    screen = dock.screen().availableGeometry()
    viewer.window.resize(screen.width(), screen.height())
    wait_until(lambda: dock.link.engine.state != "starting" and not len(viewer.layers))

    def take(name: str) -> None:
        wait_until(lambda: not dock.tasks.names())
        settle(1.0)
        save_picture(viewer, options.out / f"{name}-{screen.width()}.png")

    show_example(dock, "phantom")
    dock.session.show_mask(jobs.prepare_mask(phantom()[1], dock.session.scan), "saved")
    dock.tabs.setCurrentIndex(0)
    dock.views.show_four()
    take("views")
    dock.views.show_one()
    dock.layers.mask.visible = False
    board = dock.reading.measuring.board
    for measure in MEASURES:
        board.add(measure)
    dock.reading.measuring.go_to(MEASURES[0].id)
    dock.reading.strip.show_page("Measures")
    take("measures")
    for measure in MEASURES:  # they would be kept for the phantom otherwise
        board.remove(measure.id)
    settle(1.0)
    dock.shut_down()
    viewer.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
