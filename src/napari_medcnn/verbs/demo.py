"""The first minute: a photograph of a real retina, its vessels found by the shipped network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.io.samples import fundus
from napari_medcnn.verbs import predict
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.verbs.names import provenance_path
from napari_medcnn.verbs.save import SaveRequest, write
from napari_medcnn.worker.client import Engine

MODEL = "retina-vessels"
MASK_NAME = "fundus-vessels.png"


@dataclass(frozen=True)
class DemoRequest:
    """Run the shipped model on the example photograph and write mask and record into the folder `out`."""

    out: Path
    model: Path | str = MODEL


@guarded
def run(request: DemoRequest, cancel: Cancel, engine: Engine) -> Events:
    """Predict and save; the result is a tuple of the paths written."""
    stop_if(cancel)
    yield Progress(0.0, "Opening the example photograph")
    out = Path(request.out)
    out.mkdir(parents=True, exist_ok=True)
    work = predict.PredictRequest(fundus(), request.model, PredictOptions(uncertainty=False))
    result = yield from relay(predict.run(work, cancel, engine))
    mask = write(SaveRequest(result, out / MASK_NAME))
    yield Result((mask, provenance_path(mask)))
