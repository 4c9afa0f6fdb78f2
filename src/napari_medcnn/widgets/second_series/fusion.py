"""A second series over the first: both are mixed by one slider, the second in colours of its own."""

from __future__ import annotations

from typing import Any

from napari.layers import Image

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.imaging.align import align_steps
from napari_medcnn.io.layerdata import LayerTuple, scan_layers
from napari_medcnn.widgets.tasks import Work

#: Words for the list -> name of napari's colormap.
COLOURS = {"Inferno": "inferno", "Hot": "hot", "Grey": "gray", "Grey, inverted": "gray_r"}
_LOOK = ("opacity", "blending", "colormap")


def align(volume: Volume, reference: Geometry) -> Work:
    """Bring a scan onto the axes of another: the result is (volume, its layers)."""

    def work(cancel: Cancel) -> Events:
        steps = align_steps(volume, reference)
        while not cancel.is_set():
            try:
                yield Progress(next(steps), "Turning the second series onto the axes of the first")
            except StopIteration as end:
                parts = [(data, {**kwargs, "name": f"{kwargs['name']}, turned"}, kind)
                         for data, kwargs, kind in scan_layers(end.value)]  # fmt: skip
                done: tuple[Volume, list[LayerTuple]] = (end.value, parts)
                yield Result(done)
                return

    return work


class Fusion:
    """Mixes two layers and puts them back as they were.

    What is seen is share x second + (1 - share) x first, in every view: both layers add up their light.
    """

    def __init__(self) -> None:
        self._before: list[tuple[Image, dict[str, Any]]] = []
        self.share, self.colour = 0.5, "inferno"

    @property
    def layers(self) -> tuple[Image, ...]:
        """First and second layer while they are mixed; else empty."""
        return tuple(layer for layer, _ in self._before)

    def begin(self, first: Image, second: Image) -> None:
        """Show both."""
        self.end()
        self._before = [(layer, {name: getattr(layer, name) for name in _LOOK}) for layer in (first, second)]
        for layer, _ in self._before:
            layer.blending = "additive"
            layer.visible = True
        self.mix(self.share)
        self.paint(self.colour)

    def mix(self, share: float) -> None:
        """Show this much (0 to 1) of the second."""
        self.share = min(1.0, max(0.0, share))
        for (layer, _), part in zip(self._before, (1.0 - self.share, self.share), strict=False):
            layer.opacity = part

    def paint(self, colour: str) -> None:
        """Show the second in these colours."""
        self.colour = colour
        if self._before:
            self._before[1][0].colormap = colour

    def end(self) -> None:
        """Both look as they did before; which of them is seen is not decided here."""
        before, self._before = self._before, []
        for layer, looked in before:
            for name, value in looked.items():
                setattr(layer, name, value)
