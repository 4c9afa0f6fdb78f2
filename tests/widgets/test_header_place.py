"""Nothing moves away under the hand: hiding names and saying a line leave every button where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QPushButton

from dicom_files import write_series

pytestmark = pytest.mark.gui


def places(desk) -> dict[str, tuple[int, int]]:
    """Return where all buttons of the dock are seen."""
    desk.idle(0.15)
    dock, found = desk.dock, {}
    for button in dock.findChildren(QPushButton):
        if button.isVisible() and button.text():
            at = button.mapTo(dock, QPoint(0, 0))
            found[f"{button.text()} {len(found)}"] = (at.x(), at.y())
    return found


def test_buttons_stay_and_the_series_is_still_named_while_names_are_hidden(desk, tmp_path: Path) -> None:
    voxels = np.zeros((4, 20, 20), np.int16)
    words = {"SeriesDescription": "Zyxwvut thorax 1 mm", "PatientName": "Zyxwvut^Quentin"}
    write_series(tmp_path / "Zyxwvut", voxels, tags=words)
    dock = desk.dock
    dock.open_path(tmp_path / "Zyxwvut")
    desk.until(lambda: dock.session.scan is not None and not dock.tasks.names())
    before = places(desk)
    assert len(before) > 10 and "Zyxwvut" in dock.header.person.whole
    dock.say("Saved: picture.png, 1518 x 1008 px.")
    assert places(desk) == before
    desk.click(dock.header.names)
    after = places(desk)
    assert after == before
    assert dock.header.scan.whole == "CT 5, (name hidden) thorax 1 mm"
    assert "Zyxwvut" not in dock.header.person.whole + dock.header.scan.toolTip() + dock.header.person.toolTip()
    dock.say("")
    assert places(desk) == before
    desk.click(dock.header.names)
    assert dock.header.scan.whole == "CT 5, Zyxwvut thorax 1 mm"
