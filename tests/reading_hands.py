"""Hands of a reader that several window tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from napari_medcnn.widgets.hand_on.wishes import PictureWish


def open_both(desk: Any, folder: Path) -> Any:
    """Open the first series from the tree, the second beside it with the button; return the feature."""
    dock = desk.dock
    dock.open_path(folder)
    desk.until(lambda: dock.session.found is not None and not dock.tasks.names() and not dock.scan.tree.is_filling)
    items = {item.series_number: item for item in dock.session.found.items}
    dock.browsing.open(items["1"].id)
    desk.until(lambda: dock.session.scan is not None and not dock.tasks.names())
    dock.scan.tree.choose(items["2"].id)
    desk.until(lambda: dock.scan.tree.beside.isEnabled())
    desk.click(dock.scan.tree.beside)
    desk.until(lambda: dock.session.seconds and not dock.tasks.names())
    desk.idle(0.1)
    return dock.reading.second_series


def saved_picture(desk: Any, path: Path, **wish: object) -> np.ndarray:
    """Save a picture as the dialog would wish for it; return its pixels. It says nothing beside them."""
    desk.dock.dialogs.picture_wish = PictureWish(path, **wish)
    desk.dock.say("")
    desk.dock.reading.handing_on.picture()
    desk.until(lambda: desk.dock.message.text().startswith("Saved: "), 60)
    with Image.open(path) as picture:
        assert picture.info == {}
        return np.asarray(picture)
