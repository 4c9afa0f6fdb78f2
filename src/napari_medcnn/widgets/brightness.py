"""The block "Brightness" of the Scan tab: presets, window and level as numbers, and windows from series to series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_medcnn.core.quantity import AS_STORED, plain
from napari_medcnn.core.windows import Limits
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.number_field import NumberField
from napari_medcnn.widgets.parts import GAP, Choice, Text, button, clear_layout, column, row
from napari_medcnn.widgets.windowing import Windowing

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

_COLUMNS = 3
_NARROWEST = 1e-9
_REST_MS = 250
_WORDS = (("Window", "Level"), ("Black", "White"))


class BrightnessBlock(QWidget):
    """What is seen of it; signals say what is wanted.

    Signals: `preset` with the number of a window; `typed` with black and white; `layer_chosen` with the place of a scan
    in the list that `show_layers` was given; `presets_changed` when other windows are offered; `refused` with an error.
    """

    preset = Signal(int)
    typed = Signal(float, float)
    layer_chosen = Signal(int)
    inverted = Signal()
    copied = Signal()
    last_wanted = Signal()
    presets_changed = Signal()
    refused = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.title = Text("Brightness", bold=True)
        layout.addWidget(self.title)
        self.which = Choice()
        self.which.setAccessibleName("Brightness of")
        self.which.setToolTip("Several scans are seen together; each has a window of its own")
        self.which.currentIndexChanged.connect(self.layer_chosen.emit)
        layout.addWidget(self.which)
        self.presets = QGridLayout()
        self.presets.setSpacing(GAP)
        layout.addLayout(self.presets)
        self._names: tuple[tuple[int, str], ...] = ()
        self._listed: tuple[list[str], int] | None = None
        self._limits: Limits = (0.0, 1.0)
        self._written: Limits | None = None
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.timeout.connect(self._show_numbers)
        layout.addLayout(self._fields())
        self.invert = button("Invert", self.inverted.emit, "Swap black and white", "invert")
        self.invert.setCheckable(True)
        self.copy = button("To other series", self.copied.emit, "Give this window to the other open scans of this kind")
        layout.addLayout(row(self.invert, self.copy))
        self.last = button("Use the last window", self.last_wanted.emit)
        layout.addWidget(self.last)

    def _fields(self) -> QGridLayout:
        """Return window, level, black and white; their values are read and shown here, not by Qt."""
        self.width_field = NumberField("Window", low=_NARROWEST)
        self.level_field = NumberField("Level")
        self.low_field, self.high_field = NumberField("Black"), NumberField("White")
        self.unit = QLabel()
        grid = QGridLayout()
        grid.setSpacing(GAP)
        rows = ((self.width_field, self.level_field), (self.low_field, self.high_field))
        for down, pair in enumerate(rows):
            for across, (field, name) in enumerate(zip(pair, _WORDS[down], strict=True)):
                label = QLabel(name)
                label.setBuddy(field)
                grid.addWidget(label, down, 2 * across)
                grid.addWidget(field, down, 2 * across + 1)
                field.typed.connect(self._read)
                field.refused.connect(self.refused.emit)
        grid.addWidget(self.unit, 0, 4)
        for place in (1, 3):
            grid.setColumnStretch(place, 1)
        return grid

    def _read(self, value: float) -> None:
        low, high = self._limits
        width, level = high - low, (low + high) / 2
        field = self.sender()
        if field is self.width_field:
            low, high = level - value / 2, level + value / 2
        elif field is self.level_field:
            low, high = value - width / 2, value + width / 2
        elif field is self.low_field:
            low = value
        else:
            high = value
        if low < high:
            self.typed.emit(low, high)
        else:
            self.refused.emit(InputError(f"White: expected more than black, {plain(low)}, got {plain(high)}"))
            self._written = None
            self._show_numbers()

    # ---- showing -----------------------------------------------------------------------------------------------

    def show_presets(self, names: Mapping[int, str]) -> None:
        """Show a button for each window by the number of its key; the block is hidden without any."""
        self.setVisible(bool(names))
        if not names or tuple(names.items()) == self._names:
            return  # between two scans of a kind the buttons stay: making them anew is seen when a scan opens
        self._names = tuple(names.items())
        clear_layout(self.presets)
        for place, (number, name) in enumerate(self._names):
            made = button(name, partial(self.preset.emit, number), name, f"preset {number}")
            made.setStyleSheet("padding-left: 2px; padding-right: 2px")
            self.presets.addWidget(made, place // _COLUMNS, place % _COLUMNS)
        self.presets_changed.emit()

    def show_window(self, limits: Limits, inverted: bool, unit: str) -> None:
        """Show the values of black and white, and what follows from them."""
        self._limits = limits
        self.invert.setChecked(inverted)
        self.unit.setText(unit)
        self.title.setText("Brightness" if unit else f"Brightness, values {AS_STORED}")
        if self._resting.isActive():
            self._resting.start(_REST_MS)
        else:
            self._show_numbers()

    def _show_numbers(self) -> None:
        """Write the numbers at once, in a drag when it rests: the view says them, and drawing them costs a slice."""
        if self._limits == self._written:
            return
        self._written = low, high = self._limits
        self.width_field.show_number(high - low)
        self.level_field.show_number((low + high) / 2)
        self.low_field.show_number(low)
        self.high_field.show_number(high)
        self._resting.start(_REST_MS)

    def show_layers(self, names: list[str], chosen: int) -> None:
        """List the scans that are seen together; a single one needs no list."""
        if (names, chosen) == self._listed:
            return
        self._listed = (names, chosen)
        blocker = QSignalBlocker(self.which)
        self.which.clear()
        self.which.addItems(names)
        self.which.setCurrentIndex(chosen)
        blocker.unblock()
        self.which.setVisible(len(names) > 1)

    def show_series(self, others: int, last: str) -> None:
        """Offer to give the window to other scans, and to take that of the scan before (its words, "" for none)."""
        self.copy.setVisible(others > 0)
        self.last.setVisible(bool(last))
        self.last.setToolTip(f"The window of the scan that was open before: {last}")


class Brightness:
    """Keeps the block and the windows of the scans alike.

    Parameters
    ----------
    dock
        Its Scan tab holds the block.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock = dock
        self._windowing: Windowing = dock.viewing.windowing
        self._listed: tuple[Image, ...] = ()
        block = self.block = dock.scan.brightness
        block.preset.connect(self._windowing.use_preset)
        block.typed.connect(self._windowing.set_window)
        block.inverted.connect(self._windowing.invert)
        block.copied.connect(self._copy)
        block.last_wanted.connect(self._windowing.use_last)
        block.layer_chosen.connect(self._choose)
        block.refused.connect(dock.showing.on_failed)
        self._windowing.changed.connect(self.show)
        dock.layers.changed.connect(self.show)
        self.show()

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Keys go to `Viewing`."""
        return {}

    def close(self) -> None:
        """Let go of the layers."""
        self._windowing.changed.disconnect(self.show)
        self._dock.layers.changed.disconnect(self.show)
        self._windowing.close()

    def _copy(self) -> None:
        count = self._windowing.copy_to_others()
        self._dock.say(f"The window was given to {count} other scan{'s' if count > 1 else ''}.")

    def _choose(self, index: int) -> None:
        if 0 <= index < len(self._listed):
            self._windowing.choose(self._listed[index])

    def show(self) -> None:
        """Show the window of the scan that is meant."""
        windowing, block = self._windowing, self.block
        names = {number: preset.name for number, preset in windowing.presets().items()}
        block.show_presets({0: "As opened", **names} if names else {})
        limits, layer = windowing.limits, windowing.layer
        if limits is None or layer is None:
            return
        block.show_window(limits, windowing.inverted, windowing.unit)
        seen = self._listed = windowing.seen
        block.show_layers([x.name for x in seen], next(i for i, x in enumerate(seen) if x is layer))
        offered = windowing.offered
        words = "" if offered is None else f"black {plain(offered.limits[0])}, white {plain(offered.limits[1])}"
        block.show_series(len(windowing.others()), words)
