"""The rows of the brush on the Correct tab: its size, disc or sphere, and the values it is limited to."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QSlider, QWidget

from napari_medcnn.annotation.tools.brush import Range
from napari_medcnn.core.quantity import plain
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.number_field import NumberField, number
from napari_medcnn.widgets.parts import button, column, row

#: In voxels of the finest spacing.
LARGEST_BRUSH = 100


class BrushRow(QWidget):
    """Shows the brush; what is ticked and typed here is how it paints.

    Signals: `size_changed` with the diameter in voxels of the finest spacing; `changed` when anything else did;
    `limits_asked` when the limits were switched on and are empty; `learn_asked` when a
    sample is to be taken; `refused` with an error.
    """

    size_changed = Signal(int)
    changed = Signal()
    limits_asked = Signal()
    learn_asked = Signal()
    refused = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.size_slider = QSlider(Qt.Orientation.Horizontal)
        self.size_slider.setRange(1, LARGEST_BRUSH)
        self.size_slider.setAccessibleName("Brush size")
        self.size_slider.setToolTip("Width of the brush: Shift+wheel over the picture, or [ and ]")
        self.size_slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.size_slider.valueChanged.connect(self._on_slider)
        self.size_words = QLabel("")
        self.size_words.setMinimumWidth(52)
        self.sphere = QCheckBox("Sphere")
        self.sphere.setToolTip("Paint in all directions, not only in the slice that is seen (P, and P again)")
        self.sphere.toggled.connect(self._on_changed)
        sizes = row(QLabel("Brush size"), self.size_slider, self.size_words, self.sphere)
        sizes.setStretch(1, 1)
        layout.addLayout(sizes)
        self.limited = QCheckBox("Only values")
        self.limited.setToolTip("Brush and eraser change only voxels whose value in the scan lies in this range")
        self.limited.toggled.connect(self._on_limited)
        self.low, self.high = NumberField("lowest value"), NumberField("highest value")
        for field in (self.low, self.high):
            field.setMinimumWidth(30)
            field.typed.connect(self._on_typed)
            field.refused.connect(self.refused)
        self.unit_words = QLabel("")
        tip = "The next click in the picture takes the values under the brush as limits"
        self.learn = button("Learn", self._on_learn, tip)
        self.learn.setAccessibleName("Learn the values from a sample")
        self.learn.setCheckable(True)
        values = row(self.limited, self.low, QLabel("to"), self.high, self.unit_words, self.learn)
        values.setSpacing(3)  # a tab is 308 pixels wide on a small screen
        for place in (1, 3):
            values.setStretch(place, 1)
        layout.addLayout(values)
        #: Millimetres that one step of the slider stands for; None where the file does not state them.
        self.unit_mm: float | None = None

    def show_size(self, size: int) -> None:
        """Show the size without sending it back."""
        with QSignalBlocker(self.size_slider):
            self.size_slider.setValue(size)
        self.size_words.setText(size_words(size, self.unit_mm))

    def show_units(self, unit_mm: float | None, values: str, flat: bool) -> None:
        """Say what the numbers are of: mm per step of the slider, unit of the scan's values; no sphere in a picture."""
        self.unit_mm = unit_mm
        self.unit_words.setText(values)
        self.sphere.setEnabled(not flat)
        self.show_size(self.size_slider.value())

    def show_limits(self, limits: Range) -> None:
        """Show values that were learned, and paint within them."""
        self.low.show_number(limits.low)
        self.high.show_number(limits.high)
        self.learn.setChecked(False)
        self.limited.setChecked(True)
        self.changed.emit()

    def limits(self) -> Range | None:
        """Return the range to paint in; None for all values.

        Raises
        ------
        InputError
            A limit is missing, or they are the wrong way round.
        """
        if not self.limited.isChecked():
            return None
        low, high = (number(field.text(), field.accessibleName()) for field in (self.low, self.high))
        if low > high:
            raise InputError(f"Only values: expected the lower one first, got {plain(low)} to {plain(high)}")
        return Range(low, high)

    def put_away(self) -> None:
        """Another mask: its scan has other values, so all values are painted again."""
        self.limited.setChecked(False)
        self.learn.setChecked(False)

    def _on_slider(self, size: int) -> None:
        self.size_words.setText(size_words(size, self.unit_mm))
        self.size_changed.emit(size)

    def _on_limited(self, on: bool) -> None:
        if on and not (self.low.text() and self.high.text()):
            self.limits_asked.emit()
        self.changed.emit()

    def _on_typed(self, _value: float) -> None:
        if self.low.text() and self.high.text():
            self.limited.setChecked(True)
        self.changed.emit()

    def _on_learn(self) -> None:
        if self.learn.isChecked():
            self.learn_asked.emit()
        self.changed.emit()

    def _on_changed(self, _checked: bool = False) -> None:
        self.changed.emit()


def size_words(size: int, unit_mm: float | None) -> str:
    """Return "6.4 mm", or "8 px" where the file states no spacing."""
    return f"{size} px" if unit_mm is None else f"{plain(size * unit_mm, 3)} mm"
