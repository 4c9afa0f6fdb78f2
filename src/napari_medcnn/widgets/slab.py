"""Slab: the brightest, darkest or mean value of several slices instead of one, through napari's own margins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QSignalBlocker
from qtpy.QtWidgets import QLabel, QWidget

from napari_medcnn.core.quantity import short
from napari_medcnn.core.slab import Slab, margins, slab_at, slices_for
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.keymap import READ
from napari_medcnn.widgets.number_field import NumberField
from napari_medcnn.widgets.parts import Choice, Text, column, row
from napari_medcnn.widgets.views.pane import VOLUME, Pane

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock
    from napari_medcnn.widgets.views.view_section import ViewSection

OFF = ""
#: What is shown of a slab -> words for it; the keys are napari's projection modes.
MODES = {
    OFF: "Off",
    "max": "MIP (brightest)",
    "min": "MinIP (darkest)",
    "mean": "Mean",
}
_SHORT = {"max": "MIP", "min": "MinIP", "mean": "Mean"}
STAYS = "Masks and measures stay those of the middle slice."
_FIRST_MM = 10.0
_FIRST_SLICES = 5.0
_LARGEST = 1000.0
_SPATIAL = 3


class SlabRow(QWidget):
    """Off, MIP, MinIP or mean, and how thick."""

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.mode = Choice()
        self.mode.setAccessibleName("Slab")
        self.mode.setToolTip("Several slices shown as one. Shift+wheel over the picture: thicker or thinner")
        for key, name in MODES.items():
            self.mode.addItem(name, key)
        self.thickness = NumberField("Thickness", low=1e-6, high=_LARGEST)
        self.thickness.setMaximumWidth(70)
        self.unit = QLabel("mm")
        layout.addLayout(row(QLabel("Slab"), self.mode, self.thickness, self.unit, stretch=True))
        self.note = Text(STAYS)
        layout.addWidget(self.note)

    def show_slab(self, mode: str, thickness: float, unit: str) -> None:
        """Show how it stands."""
        blocker = QSignalBlocker(self.mode)
        self.mode.setCurrentIndex(self.mode.findData(mode))
        blocker.unblock()
        self.thickness.show_number(thickness)
        self.unit.setText(unit)
        for widget in (self.thickness, self.unit, self.note):
            widget.setVisible(mode != OFF)

    def show_note(self, words: str) -> None:
        """Say what is combined."""
        if self.note.text() != words:
            self.note.setText(words)


class Slabs(QObject):
    """The slab of one dock: the same thickness in every plane, off while correcting, gone with the scan.

    Parameters
    ----------
    dock
        Its panes get the margins, its scan the projection.
    section
        The block of the Scan tab that gets its row.
    """

    def __init__(self, dock: MedcnnDock, section: ViewSection) -> None:
        super().__init__(dock)
        self._dock = dock
        self.mode = OFF
        #: In mm, or in slices where the spacing is not known.
        self.thickness = _FIRST_MM
        self._last_mode = "max"
        self._followed: list[Any] = []
        self._before: list[tuple[Image, str]] = []
        self._busy = False
        self.row = SlabRow()
        section.add_row(self.row)
        self.row.mode.currentIndexChanged.connect(self._on_mode)
        self.row.thickness.typed.connect(lambda value: self.set(self.mode, value))
        self.row.thickness.refused.connect(dock.showing.on_failed)
        for signal in (dock.tabs.currentChanged, dock.session.mask_changed, dock.layers.added):
            signal.connect(self._apply)
        dock.session.scan_changed.connect(self._on_scan)
        dock.views.pane_added.connect(self._follow)
        dock.views.layout_changed.connect(self._apply)
        for pane in dock.views.panes:
            self._follow(pane)
        dock.views.add_hook("wheel", self.on_wheel)
        self._on_scan()

    def actions(self) -> dict[str, Callable[..., Any]]:
        """No key of its own: Shift+wheel."""
        return {}

    def close(self) -> None:
        """Leave the views without margins."""
        self.mode = OFF
        self._apply()
        for viewer in self._followed:
            for name in ("point", "order", "range"):
                getattr(viewer.dims.events, name).disconnect(self._on_dims)
        self._followed.clear()

    # ---- what others ask -------------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """True while a slab is shown: not while correcting, because strokes go into one slice."""
        return self.mode != OFF and self._dock.mode == READ and self._fits

    @property
    def _fits(self) -> bool:
        scan = self._dock.layers.scan
        return scan is not None and not scan.metadata[KEY]["picture"] and not scan.rgb

    @property
    def _known(self) -> bool:
        scan = self._dock.layers.scan
        return scan is None or bool(scan.metadata[KEY]["geometry"].spacing_known)

    def slab_of(self, pane: Pane) -> Slab | None:
        """Return the slices that a view shows as one now (display indices along `pane.axis`); None without a slab."""
        scan, axis = self._dock.layers.scan, pane.axis
        if not self.is_on or scan is None or axis is None or pane.slider is None:
            return None
        return self._slab(scan, axis, float(pane.viewer.dims.point[pane.slider]))[1]

    def slab_words(self, pane: Pane) -> str:
        """Return "MIP 9.14 mm, 3 slices" as it really is in a view; "" without a slab.

        One slice is named as what it is: the same picture as without a slab.
        """
        slab = self.slab_of(pane)
        if slab is None:
            return ""
        thick = f" {short(slab.thickness)} mm" if self._known else ""
        if slab.count == 1:
            return f"{_SHORT[self.mode]}{thick} = 1 slice, nothing combined"
        return f"{_SHORT[self.mode]}{thick}{',' if thick else ''} {slab.count} slices"

    def note_words(self) -> str:
        """Return what is combined in the view that the mouse was in last, and what lies on it."""
        pane = self._dock.views.current
        slab = None if pane is None else self.slab_of(pane)
        if slab is None:
            return STAYS
        apart = f" of {short(slab.spacing)} mm" if self._known else ""
        if slab.count == 1:
            asked = f"{short(self.thickness)} mm is less than two slices{apart}" if self._known else "This is one slice"
            return f"{asked}: nothing is combined. Choose more, or turn Shift+wheel. {STAYS}"
        made = f" make {short(slab.thickness)} mm" if self._known else ""
        cut = slices_for(self.thickness, slab.spacing) - slab.count
        return f"Here {slab.count} slices{apart}{made}{', where the scan ends' if cut > 0 else ''}. {STAYS}"

    # ---- changing --------------------------------------------------------------------------------------------------

    def set(self, mode: str, thickness: float | None = None) -> None:
        """Show a slab ("max", "min", "mean"), or one slice ("")."""
        self.mode = mode
        self._last_mode = mode or self._last_mode
        if thickness is not None:
            self.thickness = thickness
        self._show()
        self._apply()

    def state(self) -> dict[str, Any]:
        """Return what a saved reading keeps."""
        return {"mode": self.mode, "thickness": float(self.thickness)}

    def restore(self, kept: dict[str, Any]) -> None:
        """Show the slab of a saved reading."""
        thickness = float(kept["thickness"])
        if kept["mode"] not in ("", "max", "min", "mean") or not 0 < thickness < 10_000:
            raise ValueError("slab")
        self.set(kept["mode"], thickness)

    def step(self, pane: Pane, steps: int) -> None:
        """Make the slab some slices of a view thicker or thinner; one slice is no slab."""
        scan, axis = self._dock.layers.scan, pane.axis
        if scan is None or axis is None or not self._fits:
            return
        spacing = abs(float(scan.scale[axis - _SPATIAL]))
        count = slices_for(self.thickness, spacing) if self.mode != OFF else 1
        wanted = min(count + steps, int(scan.data.shape[scan.ndim + axis - _SPATIAL]))
        if wanted <= 1:
            self.set(OFF)
        else:
            self.set(self.mode or self._last_mode, wanted * spacing)

    def on_wheel(self, viewer: Any, event: Any) -> None:
        """Shift+wheel while reading; the brush has it while correcting."""
        if "Shift" not in event.modifiers or self._dock.mode != READ or not self._fits:
            return
        turns = float(event.delta[1]) or float(event.delta[0])
        pane = self._dock.views.pane_of(viewer)
        if turns and pane is not None and pane.is_flat:
            self.step(pane, 1 if turns > 0 else -1)
            event.handled = True

    def _on_mode(self, _index: int) -> None:
        self.set(str(self.row.mode.currentData()))

    def _on_scan(self) -> None:
        self.mode = OFF
        self.thickness = _FIRST_MM if self._known else _FIRST_SLICES
        self.row.setVisible(self._fits)
        self._show()
        self._apply()

    def _show(self) -> None:
        self.row.show_slab(self.mode, self.thickness, "mm" if self._known else "slices")

    # ---- napari's margins --------------------------------------------------------------------------------------------

    def _follow(self, pane: Pane) -> None:
        if pane.name == VOLUME:
            return
        self._followed.append(pane.viewer)
        for name in ("point", "order", "range"):
            getattr(pane.viewer.dims.events, name).connect(self._on_dims)
        self._apply()

    def _on_dims(self, _event: Any = None) -> None:
        if self.is_on and not self._busy:
            self._set_margins()
            self.row.show_note(self.note_words())

    def _apply(self, _what: Any = None) -> None:
        """Give views and layers what holds now."""
        self._restore()
        if self.is_on:
            images = self._images()
            # all first: further views follow the first one as soon as it changes
            self._before = [(layer, str(layer.projection_mode)) for layer in images]
            for layer in images:
                role = (layer.metadata.get(KEY) or {}).get("role", "scan")
                layer.projection_mode = "none" if layer.rgb or role == "map" else self.mode
        self._set_margins()
        self.row.show_note(self.note_words())
        self._dock.views.redraw()

    def _restore(self) -> None:
        for layer, mode in self._before:
            layer.projection_mode = mode
        self._before.clear()

    def _images(self) -> list[Image]:
        """Return our images of the first view; in further views all layers are ours, and follow."""
        found = [layer for layer in self._dock.layers.ours if isinstance(layer, Image)]
        for pane in self._dock.views.panes[1:]:
            if pane.name != VOLUME:
                found += [layer for layer in pane.viewer.layers if isinstance(layer, Image)]
        return found

    def _set_margins(self) -> None:
        self._busy = True
        try:
            for pane in self._dock.views.panes:
                if pane.name != VOLUME:
                    self._set_margins_of(pane)
        finally:
            self._busy = False

    def _set_margins_of(self, pane: Pane) -> None:
        """Margins along the slider of slices only: one time point stays one."""
        dims, scan, axis, slider = pane.viewer.dims, self._dock.layers.scan, pane.axis, pane.slider
        left, right = [0.0] * dims.ndim, [0.0] * dims.ndim
        if self.is_on and scan is not None and axis is not None and slider is not None:
            index, slab = self._slab(scan, axis, float(dims.point[slider]))
            left[slider], right[slider] = margins(index, slab)
        for name, values in (("margin_left", left), ("margin_right", right)):
            if any(abs(a - b) > 1e-9 for a, b in zip(getattr(dims, name), values, strict=True)):
                setattr(dims, name, tuple(values))

    def _slab(self, scan: Image, axis: int, place: float) -> tuple[float, Slab]:
        """Return the continuous index of a place along a display axis, and the slab around it."""
        spacing = abs(float(scan.scale[axis - _SPATIAL]))
        index = (place - float(scan.translate[axis - _SPATIAL])) / float(scan.scale[axis - _SPATIAL])
        length = int(scan.data.shape[scan.ndim + axis - _SPATIAL])
        return index, slab_at(index, slices_for(self.thickness, spacing), length, spacing)
