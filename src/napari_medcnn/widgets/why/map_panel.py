"""The map that is shown: what it is, whether to believe it, how it looks, and where it goes."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QSlider, QWidget

from napari_medcnn.core.saliency import CAUTION, SaliencyMap
from napari_medcnn.widgets.parts import Choice, Text, as_tip, button, column, form, row
from napari_medcnn.widgets.why.colours import Ranks, choices
from napari_medcnn.widgets.why.legend import Legend, LegendBar
from napari_medcnn.widgets.why.maps import Look
from napari_medcnn.widgets.why.wording import (
    EMPTY,
    badge_words,
    check_lines,
    is_muted,
    lines_of,
    method_words,
    name_of,
    time_words,
)

_STEPS = 1000
ALONE = "Nothing beside it"


class MapPanel(QWidget):
    """Signals: `looked` when opacity, colours or what is hidden changed; the others say what is wanted."""

    looked = Signal()
    shown = Signal(bool)
    chosen = Signal(int)
    beside = Signal(int)
    next_asked = Signal()
    check_asked = Signal()
    plots_asked = Signal()
    save_asked = Signal()
    picture_asked = Signal()
    how_asked = Signal()
    command_asked = Signal()
    python_asked = Signal()
    remove_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._ranks: Ranks | None = None
        #: The share of voxels was chosen, not the threshold: it holds for other maps too.
        self._by_share = False
        #: Below which share of the largest value the map is clear; the sliders show it as finely as they can.
        self.hidden = 0.0
        layout = column(self, margin=0)
        self.maps = Choice()
        self.maps.setAccessibleName("Which map")
        self.maps.currentIndexChanged.connect(self.chosen.emit)
        layout.addWidget(self.maps)
        self.title = Text("", bold=True)
        self.badge = Text("", bold=True)
        self.badge.setAccessibleName("What the check says")
        self.caution = Text(CAUTION)
        self.words = Text("")
        for text in (self.title, self.badge, self.caution, self.words):
            layout.addWidget(text)
        self.legend = LegendBar()
        layout.addWidget(self.legend)
        layout.addLayout(self._looks())
        self.next = button("Next class", self.next_asked.emit, "The same question for the next class of the model")
        self.remove = button("Remove map", self.remove_asked.emit, "The scan and the mask stay")
        layout.addLayout(row(self.next, self.remove))
        self.check = button("Check this map", self.check_asked.emit, "Does it change when the network is replaced?")
        self.plots = button("See the check", self.plots_asked.emit, "As curves, below the picture")
        layout.addLayout(row(self.check, self.plots))
        self.found = Text("")
        layout.addWidget(self.found)
        self.save = button("Save map...", self.save_asked.emit, "As NIfTI, or as a page to read (HTML)")
        self.picture = button("Picture...", self.picture_asked.emit, "What the views show, with these colours below")
        self.command = button("Copy as command", self.command_asked.emit, "For a terminal")
        self.python = button("Copy as Python", self.python_asked.emit, "For a script or notebook")
        self.how = button("How this was made", self.how_asked.emit)
        layout.addLayout(row(self.save, self.picture))
        layout.addLayout(row(self.command, self.python))
        layout.addLayout(row(self.how, stretch=True))
        self.hide()

    def _looks(self) -> object:
        made = form()
        self.visible_box = QCheckBox("Show the map")
        self.visible_box.setChecked(True)
        self.visible_box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.visible_box.toggled.connect(self.shown.emit)
        made.addRow(self.visible_box)
        self.colour = Choice()
        self.colour.currentIndexChanged.connect(lambda _i: self.looked.emit())
        self.opacity, self.low, self.top = (_slider(_STEPS) for _ in range(3))
        self.opacity.setValue(round(0.65 * _STEPS))
        self.top.setValue(_STEPS)
        self.opacity.valueChanged.connect(lambda _v: self._on_look())
        self.low.valueChanged.connect(lambda _v: self._on_low())
        self.top.valueChanged.connect(lambda _v: self._on_top())
        self.low_words, self.top_words = QLabel(), QLabel()
        self.other = Choice()
        self.other.currentIndexChanged.connect(lambda at: self.beside.emit(at - 1))
        rows = (
            ("Colours", self.colour, None), ("Opacity", self.opacity, None), ("Hide below", self.low, self.low_words),
            ("Only the top", self.top, self.top_words), ("Beside", self.other, None),
        )  # fmt: skip
        for words, widget, said in rows:
            widget.setAccessibleName(words)
            if said is None:
                made.addRow(words, widget)
                continue
            said.setFixedWidth(self.fontMetrics().horizontalAdvance("00.00 %"))
            said.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            made.addRow(words, row(widget, said))
        self.low.setToolTip("Values below this share of the largest are clear")
        self.top.setToolTip("Only the highest values are seen: this share of all voxels of the scan")
        self.other.setToolTip("A second map in a second view: another method, or another class")
        return made

    # ---- what is shown -------------------------------------------------------------------------------------------

    def show_maps(self, names: Sequence[str], at: int) -> None:
        """List the maps there are; `at` is the one that is shown."""
        for choice, more in ((self.maps, []), (self.other, [ALONE])):
            blocker = QSignalBlocker(choice)
            chosen = choice.currentIndex() if choice is self.other else at
            choice.clear()
            choice.addItems([*more, *names])
            choice.setCurrentIndex(min(max(0, chosen), choice.count() - 1))
            blocker.unblock()
        self.maps.setVisible(len(names) > 1)
        self.other.setEnabled(len(names) > 1)
        self.setVisible(bool(names))

    def show_beside(self, at: int) -> None:
        """Say which map stands in the second view, -1 for none."""
        blocker = QSignalBlocker(self.other)
        self.other.setCurrentIndex(at + 1)
        blocker.unblock()

    def show_map(self, made: SaliencyMap, ranks: Ranks, several: bool) -> None:
        """Show another map; how it looks is taken over as far as it fits."""
        self._ranks = ranks
        self.title.setText(f"{method_words(made.method)}: {made.target}")
        self.words.setText("\n".join([*([f"!  {EMPTY}"] if ranks.empty else []), *lines_of(made)]))
        kept = self.colour.currentText()
        names = choices(made.signed)
        blocker = QSignalBlocker(self.colour)
        self.colour.clear()
        self.colour.addItems(list(names))
        self.colour.setCurrentIndex(names.index(kept) if kept in names and not made.signed else 0)
        blocker.unblock()
        self.next.setVisible(several)
        self.maps.setToolTip(name_of(made))
        if self._by_share:
            self._on_top(quiet=True)
        else:
            self._on_low(quiet=True)
        self.show_check(made)

    def forget_map(self) -> None:
        """Hold nothing of a map that went: its sorted values are as large as a scan."""
        self._ranks = None
        self.legend.show_legend(None)

    def show_visible(self) -> None:
        """A new map is seen, whatever was hidden before."""
        blocker = QSignalBlocker(self.visible_box)
        self.visible_box.setChecked(True)
        blocker.unblock()

    def show_check(self, made: SaliencyMap) -> None:
        """Show the verdict; a map without one is muted and says so."""
        muted = "  (drawn faintly)" if is_muted(made) else ""
        self.badge.setText(f"{badge_words(made)}{muted}")
        took = time_words(made.check_seconds)
        self.check.setText(f"Check this map ({took})" if took else "Check this map")
        self.check.setVisible(made.check is None)
        self.plots.setVisible(made.check is not None)
        self.found.setText("\n".join(check_lines(made)))
        self.found.setVisible(made.check is not None)

    def show_copyable(self, reasons: Sequence[str]) -> None:
        """Say why nothing can be copied as a command and as Python, "" where it can."""
        tips = ("For a terminal", "For a script or notebook")
        for made, tip, reason in zip((self.command, self.python), tips, reasons, strict=True):
            made.setEnabled(not reason)
            made.setToolTip(as_tip(reason or tip))

    def show_busy(self, busy: bool) -> None:
        """While a question is answered or a map checked."""
        for widget in (self.check, self.next):
            widget.setEnabled(not busy)

    def legend_of(self, title: str, made: SaliencyMap, ranks: Ranks) -> Legend:
        """Return what the colours of a map mean as they are chosen now."""
        look, negated = self.look_of(made, ranks), bool(made.provenance.options.get("negate"))
        return Legend(title, look.colour, made.signed, look.hidden, ranks.largest, negated, method_words(made.method))

    # ---- what was chosen -----------------------------------------------------------------------------------------

    def look_of(self, made: SaliencyMap, ranks: Ranks) -> Look:
        """Return how a map is drawn as it is chosen now: in its own range, and with the same share of its voxels."""
        names = choices(made.signed)
        colour = self.colour_name if self.colour_name in names else names[0]
        if ranks is self._ranks or not self._by_share:
            return Look(colour, self.share, self.hidden)
        return Look(colour, self.share, ranks.hidden_for(_share_at(self.top.value())))

    @property
    def colour_name(self) -> str:
        """The colours that were chosen."""
        return str(self.colour.currentText())

    @property
    def share(self) -> float:
        """How opaque, 0 to 1."""
        return self.opacity.value() / _STEPS

    # ---- inside --------------------------------------------------------------------------------------------------

    def _on_look(self) -> None:
        self.looked.emit()

    def _on_low(self, quiet: bool = False) -> None:
        """The threshold was moved: the share of voxels follows."""
        ranks, self.hidden, self._by_share = self._ranks, self.low.value() / _STEPS, False
        share = 1.0 if ranks is None or not self.low.value() else ranks.share_above(self.hidden)
        blocker = QSignalBlocker(self.top)
        self.top.setValue(_place_of(share))
        blocker.unblock()
        self._say(share)
        if not quiet:
            self.looked.emit()

    def _on_top(self, quiet: bool = False) -> None:
        """The share of voxels was moved: the threshold follows."""
        ranks, self._by_share = self._ranks, self.top.value() < _STEPS
        if ranks is None:
            return
        self.hidden = ranks.hidden_for(_share_at(self.top.value()))
        blocker = QSignalBlocker(self.low)
        self.low.setValue(round(self.hidden * _STEPS))
        blocker.unblock()
        self._say(ranks.share_above(self.hidden) if self.hidden else 1.0)
        if not quiet:
            self.looked.emit()

    def _say(self, share: float) -> None:
        self.low_words.setText(f"{100 * self.hidden:.0f} %")
        self.top_words.setText("100 %" if share >= 1 else f"{100 * share:.3g} %")


def _slider(steps: int) -> QSlider:
    made = QSlider(Qt.Orientation.Horizontal)
    made.setRange(0, steps)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made


def _share_at(value: int) -> float:
    """Return the share of voxels at a place of the slider: its left half has the first tenth, where it matters."""
    at = value / _STEPS
    return float(max(0.0001, at * 0.2 if at <= 0.5 else 0.1 + (at - 0.5) * 1.8))


def _place_of(share: float) -> int:
    return round(_STEPS * (share / 0.2 if share <= 0.1 else 0.5 + (share - 0.1) / 1.8))
