"""Pictures of "Why?" with the shipped models: ``python scripts/why_pictures.py --data DIR --out DIR``.

`--data` holds ``hippocampus-mri`` and ``pneumonia-mnist``; what is not there is left out.  Run it on a screen of
1366x768; the width of the screen stands in the file names.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from napari_medcnn.widgets.demo_window import run_model, save_picture, settle, show_example, wait_until
from napari_medcnn.widgets.launch import open_window

#: A layer of the second half of the hippocampus network.
LAYER = "up1_relu2"


class Camera:
    """A window on which questions are put, and pictures taken."""

    def __init__(self, out: Path) -> None:
        self.viewer, self.dock = open_window()
        self.why = self.dock.why
        screen = self.dock.screen().availableGeometry()
        self.viewer.window.resize(screen.width(), screen.height())
        self._name = lambda name: out / f"{name}-{screen.width()}.png"
        wait_until(lambda: self.dock.link.engine.state != "starting" and not len(self.viewer.layers))
        wait_until(lambda: bool(self.dock.ai.all_models))

    def take(self, name: str) -> None:
        wait_until(lambda: not self.dock.tasks.names())
        settle(1.0)
        save_picture(self.viewer, self._name(name))

    def open(self, path: Path) -> None:
        self.dock.open_path(path)
        wait_until(lambda: self.dock.session.scan is not None and not self.dock.tasks.names())
        settle()

    def ask(self, method: str) -> None:
        """Ask, wait for the map and its check, and say what they took."""
        start = time.monotonic()
        self.why.ask(method)
        wait_until(lambda: not self.dock.tasks.names(), 550)
        shown = self.why.maps.current
        words = self.why.block.error.text() or (shown.made.target + ", " + shown.made.badge if shown else "nothing")
        sys.stdout.write(f"{method}: {time.monotonic() - start:.1f} s, {words}\n")

    def check(self) -> None:
        settle(0.3)  # the map is brought in a turn after its task ended
        shown = self.why.maps.current
        if shown is not None and shown.made.check is None:
            self.why.check()
            wait_until(lambda: not self.dock.tasks.names(), 550)

    def middle_of_mask(self, label: int = 0) -> tuple[int, int, int]:
        """Return a voxel (z, y, x of the file) in the middle of a class of the mask, 0: the largest; and go there."""
        mask = self.dock.layers.mask_value().array
        label = label or max(set(np.unique(mask)) - {0}, key=lambda i: np.count_nonzero(mask == i))
        places = np.argwhere(mask == label)
        voxel = places[np.argmin(np.abs(places - places.mean(axis=0)).sum(axis=1))]
        place = self.dock.views.grid.world_of_source(voxel)
        self.dock.views.go_to(tuple(float(p) for p in place))
        return tuple(int(i) for i in voxel)


def hippocampus(camera: Camera, data: Path) -> None:
    """A component of the mask, Where it looked, in 2x2; then two methods side by side."""
    camera.open(data)
    run_model(camera.dock, "hippocampus-t1")
    camera.why.at(camera.middle_of_mask())
    wait_until(lambda: not camera.dock.tasks.names(), 550)
    camera.ask("eigen-cam")  # the lowest layer may have nothing that raised the score: this map names all layers
    layers = camera.why.form.layer
    layers.setCurrentIndex(max(0, layers.findData(LAYER)))
    camera.ask("grad-cam")
    camera.check()
    camera.dock.views.show_four()
    camera.middle_of_mask()
    camera.take("why-component")
    camera.dock.views.show_one()
    camera.why.panel.other.setCurrentIndex(1)
    camera.why.panel.top.setValue(400)
    camera.take("why-beside")
    camera.why.panel.top.setValue(1000)
    camera.why.panel.other.setCurrentIndex(0)


def pneumonia(camera: Camera, data: Path) -> None:
    """A classifier: Fine detail, its badge and the curves of its check."""
    camera.open(data)
    run_model(camera.dock, "pneumonia-cxr")
    camera.why.about("")
    wait_until(lambda: not camera.dock.tasks.names(), 550)
    camera.take("why-classifier")
    for section in (camera.why.form.more, camera.why.form.options_section):
        section.title.setChecked(True)
    settle(0.3)
    camera.why.block.look_at(camera.why.block)
    camera.take("why-methods")
    for section in (camera.why.form.more, camera.why.form.options_section):
        section.title.setChecked(False)
    camera.ask("integrated-gradients")
    camera.check()
    camera.dock.reading.strip.show_page("Check")
    camera.take("why-check")
    camera.dock.reading.strip.hide()
    camera.ask("occlusion")
    camera.take("why-occlusion")


def radiograph(folder: Path, into: Path) -> Path | None:
    """Write the first ill case of the validation part as PNG; None without the data."""
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as arrays:
            at = int(np.flatnonzero(arrays["val_labels"].ravel() == 1)[0])
            Image.fromarray(arrays["val_images"][at]).save(into / "radiograph.png")
        return into / "radiograph.png"
    return None


def fundus(camera: Camera) -> None:
    """The photograph: one piece of its vessels that fits into a window of the network, and the check."""
    show_example(camera.dock, "fundus")
    run_model(camera.dock, "retina-vessels")
    parts, count = ndimage.label(camera.dock.layers.mask_value().array, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    chosen = int(np.argsort(sizes)[count - 3]) + 1
    camera.why.at(tuple(int(i) for i in np.argwhere(parts == chosen)[0]))
    wait_until(lambda: not camera.dock.tasks.names(), 550)
    camera.check()
    camera.take("why-fundus")
    camera.dock.reading.strip.show_page("Check")
    camera.take("why-fundus-check")


def main(arguments: list[str]) -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="why_pictures.py")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("hippocampus", "pneumonia", "fundus"), default="")
    options = parser.parse_args(arguments)
    camera = Camera(options.out)
    scans = sorted((options.data / "hippocampus-mri" / "images").glob("*.nii*"))
    if scans and options.only in ("", "hippocampus"):
        hippocampus(camera, scans[0])
    with tempfile.TemporaryDirectory() as folder:
        picture = radiograph(options.data / "pneumonia-mnist", Path(folder))
        if picture is not None and options.only in ("", "pneumonia"):
            pneumonia(camera, picture)
    if options.only in ("", "fundus"):
        fundus(camera)
    camera.dock.shut_down()
    camera.viewer.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
