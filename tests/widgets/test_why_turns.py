"""What the window's own thread computes in one turn of its event loop while maps come, in one view and in 2x2."""

from __future__ import annotations

import time

import pytest
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from why_desk import answered, ready, two_parts

pytestmark = [pytest.mark.gui, pytest.mark.proof]  # a speed


class Turns:
    """CPU seconds of the longest turn of the event loop, and of the longest event that a test sends by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.longest = 0.0
        for owner, name in ((QApplication, "processEvents"), (QTest, "mouseClick")):
            monkeypatch.setattr(owner, name, staticmethod(self._timed(getattr(owner, name))))

    def _timed(self, inner):
        def measured(*given):
            start = time.thread_time()
            made = inner(*given)
            self.longest = max(self.longest, time.thread_time() - start)
            return made

        return measured

    def took(self) -> int:
        """Return the longest turn since the last call, in ms."""
        longest, self.longest = self.longest, 0.0
        return round(1000 * longest)


@pytest.mark.parametrize("layout", ["one", "2x2"])
def test_no_turn_takes_long_while_maps_come(desk, tmp_path, layout, record_property, monkeypatch) -> None:
    why = ready(desk, two_parts(tmp_path / "scan.nii.gz"))
    if layout == "2x2":
        desk.four()
    desk.idle(0.3)
    turns, found = Turns(monkeypatch), {}
    for name, act in (
        ("first map", lambda: desk.click(desk.dock.ai.result.why)),
        ("second map", lambda: desk.click(why.form.firsts["integrated-gradients"])),
        ("third map", lambda: desk.click(why.form.firsts["occlusion"])),
    ):
        turns.took()
        act()
        answered(desk, len(found) + 1)
        desk.idle(0.3)
        found[name] = turns.took()
    why.panel.maps.setCurrentIndex(0)
    desk.idle(0.3)
    found["another of them"] = turns.took()
    turns.took()
    why.panel.opacity.setValue(300)
    desk.idle(0.2)
    found["opacity"] = turns.took()
    for name, value in found.items():
        record_property(f"{layout}, {name}", value)
        print(f"{layout}, {name}: {value} ms")
