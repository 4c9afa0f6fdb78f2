"""The block "Second series" of the Scan tab."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QLabel, QScrollArea, QSlider, QWidget

from napari_medcnn.widgets.parts import Choice, Text, button, column, row
from napari_medcnn.widgets.second_series.fusion import COLOURS

ALONE, FUSED, SIDE = "alone", "fused", "side"
_MODES = ((ALONE, "One at a time"), (FUSED, "Fused"), (SIDE, "Side by side"))
HINT = (
    "Open a second series to compare it: choose it in the list of series and press Beside, or use Open beside... below."
)


class Panel(QWidget):
    """Which scans are seen, and how.

    Signals: `mode_chosen` with "alone", "fused" or "side"; `scan_chosen` with the place in the list (0 is the first);
    `mixed` with 0 to 1; `coloured` with napari's name; `agreed`, `linked`, `link_set`, `all_wanted`, `removed`.
    """

    mode_chosen = Signal(str)
    scan_chosen = Signal(int)
    mixed = Signal(float)
    coloured = Signal(str)
    agreed = Signal()
    linked = Signal(bool)
    link_set = Signal()
    all_wanted = Signal(bool)
    removed = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.hint = Text(HINT)
        layout.addWidget(self.hint)
        self.shown = Choice()
        self.shown.setAccessibleName("Shown scan")
        self.shown.setToolTip("Which of the open scans is seen; the first is the one that masks are drawn on")
        self.shown.currentIndexChanged.connect(self.scan_chosen.emit)
        layout.addWidget(self.shown)
        self.modes = {mode: button(words, partial(self.mode_chosen.emit, mode)) for mode, words in _MODES}
        group = QButtonGroup(self)
        for made in self.modes.values():
            made.setCheckable(True)
            made.setStyleSheet("padding-left: 4px; padding-right: 4px")
            group.addButton(made)
        layout.addLayout(row(*self.modes.values()))
        self.words = Text()
        layout.addWidget(self.words)
        self.agree = button("Fuse all the same", self.agreed.emit, "You have seen that both fit")
        layout.addWidget(self.agree)
        self.fused, self.sides = self._fused_rows(), self._side_rows()
        layout.addWidget(self.fused)
        layout.addWidget(self.sides)
        self.remove = button("Close this scan", self.removed.emit, "Close the chosen scan; the first stays open")
        layout.addWidget(self.remove)
        self.show_scans([], 0)

    def _fused_rows(self) -> QWidget:
        made = QWidget()
        layout = column(made, margin=0)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setAccessibleName("How much of the second series is seen")
        self.slider.setToolTip("Left: the first series alone. Right: the second alone")
        self.slider.valueChanged.connect(self._on_slider)
        self.share = QLabel()
        line = row(QLabel("First"), self.slider, QLabel("Second"), self.share)
        line.setStretch(1, 1)
        layout.addLayout(line)
        self.colours = Choice()
        self.colours.setAccessibleName("Colours of the second series")
        self.colours.addItems(list(COLOURS))
        self.colours.currentTextChanged.connect(self._on_colour)
        colours = row(QLabel("Colours"), self.colours)
        colours.setStretch(1, 1)
        layout.addLayout(colours)
        return made

    def _side_rows(self) -> QWidget:
        made = QWidget()
        layout = column(made, margin=0)
        self.link = QCheckBox("Linked")
        self.link.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.link.setToolTip("Slice, middle and zoom follow each other by the position in the patient")
        self.link.toggled.connect(self.linked.emit)
        self.here = button("Link from here", self.link_set.emit, "What both show now belongs together from now on")
        layout.addLayout(row(self.link, self.here, stretch=True))
        self.every = QCheckBox("All open scans (three at most)")
        self.every.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.every.toggled.connect(self.all_wanted.emit)
        layout.addWidget(self.every)
        return made

    def _on_slider(self, value: int) -> None:
        self.mixed.emit(value / 100)

    def _on_colour(self, words: str) -> None:
        self.coloured.emit(COLOURS[words])

    # ---- showing -----------------------------------------------------------------------------------------------------

    def show_scans(self, names: Sequence[str], chosen: int) -> None:
        """List the open scans, the first at the top; a single one needs no list."""
        blocker = QSignalBlocker(self.shown)
        self.shown.clear()
        self.shown.addItems(list(names))
        self.shown.setCurrentIndex(chosen)
        blocker.unblock()
        several = len(names) > 1
        self.hint.setVisible(not several)
        for widget in (self.shown, *self.modes.values(), self.words, self.remove):
            widget.setVisible(several)
        self.every.setVisible(len(names) > 2)
        if not several:
            for widget in (self.agree, self.fused, self.sides):
                widget.hide()

    def show_mode(self, mode: str, chosen: int) -> None:
        """Show how the scans are seen, and the rows for that."""
        blocker = QSignalBlocker(self.shown)
        self.shown.setCurrentIndex(chosen)
        blocker.unblock()
        self.modes[mode].setChecked(True)
        several = self.shown.count() > 1
        self.fused.setVisible(several and mode == FUSED)
        self.sides.setVisible(several and mode == SIDE)
        self.remove.setEnabled(chosen > 0)

    def show_words(self, lines: Sequence[str], asks: bool = False) -> None:
        """Say what has to be known of both; `asks` offers the button to fuse all the same."""
        self.words.setText("\n".join(lines))
        self.words.setVisible(bool(lines) and self.shown.count() > 1)
        self.agree.setVisible(asks)

    def show_mix(self, share: float, colour: str) -> None:
        """Show the slider and the colours as they are."""
        blockers = [QSignalBlocker(self.slider), QSignalBlocker(self.colours)]
        self.slider.setValue(round(100 * share))
        self.share.setText(f"{round(100 * share)} %")
        names = {value: words for words, value in COLOURS.items()}
        self.colours.setCurrentText(names.get(colour, next(iter(COLOURS))))
        for blocker in blockers:
            blocker.unblock()

    def show_all(self, wanted: bool) -> None:
        """Show whether side by side means all open scans."""
        blocker = QSignalBlocker(self.every)
        self.every.setChecked(wanted)
        blocker.unblock()

    def show_link(self, linked: bool, allowed: bool) -> None:
        """Show whether the sides follow each other, and whether they may."""
        blocker = QSignalBlocker(self.link)
        self.link.setChecked(linked)
        blocker.unblock()
        self.link.setEnabled(allowed)
        self.here.setEnabled(allowed)


def bring_into_sight(block: QWidget) -> None:
    """Scroll to a block that stands far down."""
    area = block.parentWidget()
    while area is not None and not isinstance(area, QScrollArea):
        area = area.parentWidget()
    if area is not None:
        area.ensureWidgetVisible(block, 0, 0)
