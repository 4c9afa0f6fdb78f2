"""Window and level of the scans in one dock: which scan is meant, its presets, and windows that go on to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from napari.layers import Image, Layer
from qtpy.QtCore import QObject, Signal

from napari_medcnn.core import windows
from napari_medcnn.core.windows import Limits, Preset
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.widgets.layers import Layers

GREY, INVERTED = "gray", "gray_r"
#: What a layer covers what lies below it with.
_COVERING = ("opaque", "translucent", "translucent_no_depth")


@dataclass(frozen=True)
class Kept:
    """A window that was used, and for which values: it suits scans of the same kind only."""

    unit: str
    modality: str
    limits: Limits
    inverted: bool


class Windowing(QObject):
    """Acts on the scan that is seen, whichever layer is selected; colour pictures have no window.

    Signal: `changed` when a window, its inversion, or the scan that is meant changed.

    Parameters
    ----------
    viewer, layers
        What is seen, and which layers are ours.
    """

    changed = Signal()

    def __init__(self, viewer: Any, layers: Layers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._layers = viewer, layers
        self._followed: list[Image] = []
        self._acting: Image | None = None
        self._chosen: Image | None = None
        #: Returns scans that are seen in canvases of their own, side by side with the first.
        self.also_seen: Callable[[], tuple[Image, ...]] = tuple
        #: The window of the scan that was open before.
        self.last: Kept | None = None
        layers.added.connect(self._on_added)
        layers.removed.connect(self._on_removed)

    # ---- which scan is meant ---------------------------------------------------------------------------------------

    @property
    def seen(self) -> tuple[Image, ...]:
        """The scans with a window that are seen now, from below to above; those in canvases of their own first."""
        beside = tuple(layer for layer in self.also_seen() if _has_window(layer))
        return (*beside, *(layer for layer in self._viewer.layers if _has_window(layer) and layer.visible))

    @property
    def layer(self) -> Image | None:
        """The scan that is meant: the chosen one, else the uppermost that hides those below it, else the lowest."""
        seen = self.seen
        if any(layer is self._chosen for layer in seen):
            return self._chosen
        covering = [x for x in seen if x.opacity >= 1 and str(x.blending) in _COVERING]
        return covering[-1] if covering else next(iter(seen), None)

    def choose(self, layer: Image | None) -> None:
        """Mean another one of several scans that are seen together, None for the one that is seen best."""
        self._chosen = layer
        self._on_changed()

    # ---- windows ---------------------------------------------------------------------------------------------------

    @property
    def limits(self) -> Limits | None:
        """Values of black and white now; None without a scan or for colours."""
        layer = self.layer
        return None if layer is None else _limits(layer)

    @property
    def inverted(self) -> bool:
        """True while small values are white."""
        layer = self.layer
        return layer is not None and layer.colormap.name == INVERTED

    @property
    def unit(self) -> str:
        """Unit of the values, "" without one."""
        layer = self.layer
        return "" if layer is None else str(layer.metadata[KEY].get("value_unit", ""))

    def presets(self) -> Mapping[int, Preset]:
        """Return the windows of the scan by number of their key; empty for colours."""
        return {} if self.layer is None else _presets_of(self.layer)

    def use_preset(self, number: int) -> None:
        """Use preset 1, 2, ...; 0 is how the scan was opened. Numbers without a preset do nothing."""
        layer = self.layer
        if layer is None:
            return
        info = layer.metadata[KEY]
        if number == 0:
            low, high = info["window"]
            self.set_window(low, high, layer)
            self._invert(layer, bool(info["inverted"]))
            return
        preset = self.presets().get(number)
        if preset is not None:
            self.set_window(*preset.limits(layer.data, info["range"]), layer=layer)
            if preset.inverted is not None:
                self._invert(layer, preset.inverted)

    def set_window(self, low: float, high: float, layer: Image | None = None) -> None:
        """Show values from `low` (black) to `high` (white); what cannot be a window changes nothing."""
        layer = layer or self.layer
        if layer is None or not windows.is_window(low, high):
            return
        reach_low, reach_high = layer.contrast_limits_range
        if low < reach_low or high > reach_high:
            layer.contrast_limits_range = (min(low, reach_low), max(high, reach_high))
        layer.contrast_limits = (low, high)

    def drag(self, layer: Image, across: float, down: float) -> None:
        """Right is wider, up is brighter, as in radiology viewers: the level falls."""
        whole = layer.metadata[KEY]["range"]
        self.set_window(*windows.dragged(_limits(layer), across, down, whole, layer.dtype.kind in "iub"), layer=layer)

    def invert(self) -> None:
        """Swap black and white of the scan; a scan in other colours keeps them."""
        if self.layer is not None:
            self._invert(self.layer, not self.inverted)

    @staticmethod
    def _invert(layer: Image, inverted: bool) -> None:
        if layer.colormap.name in (GREY, INVERTED):
            layer.colormap = INVERTED if inverted else GREY

    # ---- from series to series -------------------------------------------------------------------------------------

    def others(self) -> tuple[Image, ...]:
        """Return the other open scans, hidden ones included, whose values are of the same kind."""
        layer = self.layer
        if layer is None:
            return ()
        mine = _kept(layer)
        return tuple(x for x in self._layers.ours if _has_window(x) and x is not layer and _same_kind(_kept(x), mine))

    def copy_to_others(self) -> int:
        """Give the window to the other open scans of the same kind; return how many there were."""
        others, layer = self.others(), self.layer
        for other in others:
            if layer is not None:
                self.set_window(*_limits(layer), layer=other)
                self._invert(other, self.inverted)
        return len(others)

    @property
    def offered(self) -> Kept | None:
        """The window of the scan that was open before, if it suits this one and is another."""
        layer = self.layer
        if layer is None or self.last is None or not _same_kind(self.last, _kept(layer)):
            return None
        return None if self.last == _kept(layer) else self.last

    def use_last(self) -> None:
        """Use the window that was offered."""
        offered, layer = self.offered, self.layer
        if offered is not None and layer is not None:
            self.set_window(*offered.limits, layer=layer)
            self._invert(layer, offered.inverted)

    # ---- following layers ------------------------------------------------------------------------------------------

    def _on_added(self, layer: Layer) -> None:
        if not _has_window(layer):
            return
        self._followed.append(layer)
        for name in ("contrast_limits", "colormap", "visible"):
            getattr(layer.events, name).connect(self._on_changed)
        self._on_changed()

    def _on_removed(self, layer: Layer) -> None:
        if not any(layer is followed for followed in self._followed):
            return
        self._let_go(layer)
        self._followed = [x for x in self._followed if x is not layer]
        if layer is self._chosen:
            self._chosen = None
        if layer is self._acting and _has_window(layer):
            self.last = _kept(layer)
            self._acting = None  # it holds the voxels of the scan
        self._on_changed()

    def _on_changed(self, _event: Any = None) -> None:
        self._acting = self.layer
        self.changed.emit()

    def _let_go(self, layer: Image) -> None:
        for name in ("contrast_limits", "colormap", "visible"):
            getattr(layer.events, name).disconnect(self._on_changed)

    def close(self) -> None:
        """Let go of all layers."""
        for layer in self._followed:
            self._let_go(layer)
        self._followed, self._acting, self._chosen = [], None, None


def _has_window(layer: Any) -> bool:
    """Return True for a layer of an open scan in shades of grey, previews left out."""
    info = layer.metadata.get(KEY) if isinstance(layer, Image) else None
    return isinstance(info, dict) and "window" in info and info.get("role") != "preview" and not layer.rgb


def _presets_of(layer: Image) -> Mapping[int, Preset]:
    info = layer.metadata[KEY]
    unit, modality = str(info.get("value_unit", "")), str(info.get("modality", ""))
    return windows.presets(unit, info["range"], info.get("windows", ()), modality)


def _limits(layer: Image) -> Limits:
    low, high = layer.contrast_limits
    return (float(low), float(high))


def _kept(layer: Image) -> Kept:
    info = layer.metadata[KEY]
    return Kept(
        str(info.get("value_unit", "")), str(info.get("modality", "")), _limits(layer), layer.colormap.name == INVERTED
    )


def _same_kind(one: Kept, other: Kept) -> bool:
    return (one.unit, one.modality) == (other.unit, other.modality)
