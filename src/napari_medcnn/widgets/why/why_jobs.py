"""Explaining and checking as tasks: what was asked, and the map ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import SaliencyMap
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.layerdata import LayerTuple, map_layer, mask_from_layer
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs import explain
from napari_medcnn.verbs.save_map import write_map
from napari_medcnn.widgets.tasks import Work
from napari_medcnn.widgets.volume_view.map_volume import MapVolume, map_volume
from napari_medcnn.widgets.why.colours import Ranks, choices, colormap
from napari_medcnn.widgets.why.wording import name_of

#: Names of the tasks.
EXPLAINING, CHECKING = "Asking why", "Checking the map"


@dataclass(frozen=True, eq=False)
class MaskNow:
    """A mask as it is shown; it is copied in the thread, where that takes the time it needs."""

    data: Any
    metadata: Mapping[str, Any]
    name: str

    def value(self) -> LabelMap:
        """Return the mask on the scan's own grid."""
        return mask_from_layer(self.data, self.metadata, self.name)


@dataclass(frozen=True, eq=False)
class Asked:
    """One question.

    Parameters
    ----------
    mask
        With `options.voxel`: the mask whose component at that voxel is meant; None for the voxel alone.
    """

    volume: Volume
    model: Package
    options: ExplainOptions
    mask: MaskNow | None = None

    @property
    def place(self) -> tuple[Any, ...]:
        """What is asked about: which scan, model and component."""
        return (id(self.volume), self.model.spec.name, self.options.voxel, self.mask is None)


@dataclass(frozen=True, eq=False)
class Explained:
    """A map, the request that makes it again, its layer, its values in order, and what the 3D view shows of it."""

    asked: Asked
    request: explain.ExplainRequest
    made: SaliencyMap
    layer: LayerTuple
    ranks: Ranks
    volume: MapVolume | None = None


def explaining(asked: Asked, engine: Any) -> Work:
    """Ask: the result is `Explained`."""

    def work(cancel: Cancel) -> Events:
        if asked.mask is not None:
            yield Progress(None, "Looking for the component")
        model = asked.model
        request = explain.ExplainRequest(
            asked.volume,
            model.spec.name if model.shipped else model.path,
            asked.options,
            None if asked.mask is None else asked.mask.value(),
            keep=True,
        )
        for event in explain.run(request, cancel, engine):
            yield Result(_ready(asked, request, event.value)) if isinstance(event, Result) else event

    return work


def _ready(asked: Asked, request: explain.ExplainRequest, made: SaliencyMap) -> Explained:
    """Prepare a map for the window: everything that takes time."""
    ranks = Ranks.of(made.values, made.signed)
    scan = asked.volume.frame(asked.options.frame)
    data, kwargs, kind = map_layer(
        made.values, scan, name_of(made), limits=ranks.limits(made.signed), provenance=made.provenance.to_json()
    )
    kwargs |= {
        "colormap": colormap(choices(made.signed)[0], made.signed),
        "blending": "translucent_no_depth",
        "interpolation2d": "linear",
    }
    part = (data, kwargs, kind)
    return Explained(asked, request, made, part, ranks, map_volume(part, made.signed))


def checking(explained: Explained, made: SaliencyMap, reference: MaskNow | None, engine: Any) -> Work:
    """Check a map: the result is the map with its check. `reference` is a mask that a person drew or corrected."""

    def work(cancel: Cancel) -> Events:
        drawn = None
        if reference is not None:
            yield Progress(None, "Taking the corrected mask")
            drawn = reference.value()
        yield from explain.check(explained.request, made, drawn, cancel, engine)

    return work


def mask_now(layer: Any) -> MaskNow:
    """Return the mask of one of our layers as it is shown."""
    return MaskNow(layer.data, layer.metadata, layer.name)


def saving(explained: Explained, made: SaliencyMap, path: Path, person: str, mask: MaskNow | None) -> Work:
    """Save a map, and how it was made beside it: the result is the path.

    Parameters
    ----------
    person
        What a page calls the scan; "" leaves out all that names it.
    mask
        Drawn on the picture of a page.
    """

    def work(cancel: Cancel) -> Events:
        yield Progress(None, f"Saving {path.name}")
        drawn = None if mask is None else mask.value()
        yield Result(write_map(made, path, explained.asked.volume, drawn, person))

    return work
