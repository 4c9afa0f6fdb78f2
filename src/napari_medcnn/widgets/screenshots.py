"""Pictures of the window for README and docs: ``python -m napari_medcnn.widgets.screenshots --out docs/images``.

Shows the example photograph and the phantom only.  The window takes the size of the screen it is on, so run it once
on a screen of 1366x768 and once on 1920x1080; the width stands in the file names.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from napari_medcnn.core.volume import LabelMap
from napari_medcnn.io.samples import phantom
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.demo_window import MODEL, run_model, save_picture, settle, show_example, wait_until
from napari_medcnn.widgets.dock import MedcnnDock
from napari_medcnn.widgets.launch import open_window


def main(arguments: list[str]) -> int:
    """Take all pictures; 0 if the model ran."""
    parser = argparse.ArgumentParser(prog="python -m napari_medcnn.widgets.screenshots")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--model", default=MODEL)
    options = parser.parse_args(arguments)
    viewer, dock = open_window()
    screen = dock.screen().availableGeometry()
    viewer.window.resize(screen.width(), screen.height())

    def take(name: str) -> None:
        save_picture(viewer, options.out / f"{name}-{screen.width()}.png")

    wait_until(lambda: dock.link.engine.state != "starting")
    settle(1.0)
    take("start-page")
    show_example(dock, "fundus")
    problem = run_model(dock, options.model)
    take("fundus-result")
    problem = problem or _show_doubt(dock, options.model)
    take("options-uncertainty")
    dock.running.managing.open()
    models = dock.running.managing.window
    settle()
    if models is not None:
        models.grab().save(str(options.out / "models.png"))
        models.close()
    dock.ai.result.doubt.setChecked(False)
    dock.ai.options.fold.setChecked(False)
    dock.tabs.setCurrentIndex(2)
    take("correct")
    dock.open_path(Path("missing-scan.nii.gz"))
    wait_until(lambda: not dock.tasks.names())
    take("error")
    dock.say("")
    show_example(dock, "phantom")
    _show_truth(dock)
    take("phantom")
    viewer.close()
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


def _show_doubt(dock: MedcnnDock, model: str) -> str:
    """Run once more with a map of where the model is undecided, options open; return what went wrong."""
    options = dock.ai.options
    options.doubt.setCurrentIndex(options.doubt.findData("entropy"))
    options.fold.setChecked(True)
    return run_model(dock, model)


def _show_truth(dock: MedcnnDock) -> None:
    truth: LabelMap = phantom()[1]
    dock.session.show_mask(jobs.prepare_mask(truth, dock.session.scan), "saved")
    dock.tabs.setCurrentIndex(2)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
