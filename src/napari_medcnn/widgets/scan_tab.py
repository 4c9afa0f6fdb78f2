"""Scan tab: choose a series in the tree, see what was noticed, read what the file states, set the brightness."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_medcnn.core.volume import Volume
from napari_medcnn.widgets.brightness import BrightnessBlock
from napari_medcnn.widgets.notices import Notices
from napari_medcnn.widgets.parts import GAP, Section, Text, button, column, form, row
from napari_medcnn.widgets.study_tree import StudyTree
from napari_medcnn.widgets.wording import sides_words

#: What one step of a series is called, by the name of its value.
_STEPS = {"t": "time points", "b": "b-values", "TE": "echoes", "echo": "echoes", "": "time points"}


def is_volume(scan: Volume) -> bool:
    """Return True for what has planes and depth: not for pictures."""
    return not scan.is_picture


def moves(scan: Volume) -> bool:
    """Return True for what has time points or slices to go through."""
    return scan.frames > 1 or scan.geometry.shape[0] > 1


def size_words(volume: Volume) -> str:
    """Return the size as people say it: width x height x slices."""
    z, y, x = volume.geometry.shape
    words = f"{x} x {y} px" if volume.is_picture else f"{x} x {y}, {z} slice{'s' if z > 1 else ''}"
    if volume.frames > 1:
        words += f", {volume.frames} {_STEPS.get(volume.frame_name, 'steps')}"
    if volume.channels > 1:
        words += ", colour" if volume.channels == 3 else f", {volume.channels} channels"
    return words


def spacing_words(volume: Volume) -> str:
    """Return the voxel size in mm, or that it is not stated."""
    if volume.detector_mm is not None:
        y, x = volume.detector_mm
        return f"{x:.3g} x {y:.3g} mm at the detector; in the patient not stated"
    if not volume.geometry.spacing_known:
        return "not stated"
    z, y, x = volume.geometry.spacing_mm
    if volume.geometry.shape[0] == 1:
        return f"{x:.3g} x {y:.3g} mm"
    return f"{x:.3g} x {y:.3g} mm, slices {z:.3g} mm apart"


def values_words(volume: Volume) -> str:
    """Return what kind of numbers the voxels are, and their unit."""
    kind = volume.array.dtype
    words = f"{'whole' if kind.kind in 'iub' else 'decimal'} numbers, {8 * kind.itemsize} bit"
    return f"{words}, {volume.value_unit}" if volume.value_unit else words


class ScanTab(QWidget):
    """Shows one scan's facts; emits which item is wanted."""

    open_file = Signal()
    open_folder = Signal()
    close_scan = Signal()
    open_beside = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=GAP)
        layout.addLayout(
            row(button("Open scan...", self.open_file.emit), button("Open folder...", self.open_folder.emit))
        )
        self._sections: list[tuple[Section, Callable[[Volume], bool]]] = []
        self.tree = StudyTree()
        layout.addWidget(self.tree)
        self.notices = Notices()
        layout.addWidget(self.notices)
        self.brightness = BrightnessBlock()
        layout.addWidget(self.brightness)
        self.sections = column(margin=0)
        layout.addLayout(self.sections)
        stated = QWidget()
        self.facts = form()
        stated.setLayout(self.facts)
        self.facts_section = Section("What the file states", stated)
        layout.addWidget(self.facts_section)
        layout.addStretch(0)
        self.beside_button = button(
            "Open beside...",
            self.open_beside.emit,
            "Further scans: to compare, channels for a model, or cases to run it on",
        )
        self.close_button = button("Close", self.close_scan.emit, "Close all open scans")
        layout.addLayout(row(self.beside_button, self.close_button))
        self.show_scan(None)

    def add_section(
        self, title: str, content: QWidget, opened: bool = False, fits: Callable[[Volume], bool] = lambda _scan: True
    ) -> Section:
        """Put a block below the brightness that a click on its title opens and closes; seen with scans that it fits."""
        section = Section(title, content, opened)
        section.setVisible(False)
        self._sections.append((section, fits))
        self.sections.addWidget(section)
        return section

    def show_scan(self, volume: Volume | None) -> None:
        """Show the facts of a scan, None for none."""
        for widget in (self.facts_section, self.close_button, self.beside_button):
            widget.setVisible(volume is not None)
        for section, fits in self._sections:
            section.setVisible(volume is not None and fits(volume))
        while self.facts.rowCount():
            self.facts.removeRow(0)
        if volume is None:
            return
        for word, value in self._facts(volume):
            self.facts.addRow(word, Text(value))

    @staticmethod
    def _facts(volume: Volume) -> list[tuple[str, str]]:
        grid = volume.geometry
        sides = sides_words(volume)
        if grid.orientation:
            sides = "stated: see the letters at the edges of the picture"
        if grid.orientation and grid.obliquity_deg > 0.5:
            sides += f"; tilted by {grid.obliquity_deg:.0f} degrees"
        return [
            ("Kind", volume.modality or "not stated"),
            ("Size", size_words(volume)),
            ("Pixel size" if volume.is_picture else "Voxel size", spacing_words(volume)),
            ("Sides", sides),
            ("Values", values_words(volume)),
        ]
