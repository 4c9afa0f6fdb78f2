"""What the model would score now on whole cases, through the pipeline of prediction."""

from __future__ import annotations

import numpy as np

from napari_medcnn.core.options import PredictOptions
from napari_medcnn.engine.cases import class_target, read_image, read_mask
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.windows import Outputs, Run, classify, segment
from napari_medcnn.evaluation.overlap import per_class
from napari_medcnn.imaging import pipeline, postprocess
from napari_medcnn.io.dataset import Dataset, Row
from napari_medcnn.worker.server import Context


class _Quiet(Context):
    """Looks at cancel, and leaves the progress of windows unsaid."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def progress(self, fraction: float | None, message: str) -> None:
        self._context.check_cancel()

    def check_cancel(self) -> None:
        self._context.check_cancel()


def validate(loaded: Loaded, rows: list[Row], dataset: Dataset, context: Context) -> float:
    """Return the mean over cases: of the mean Dice of the classes, or of the cases classified right.

    A class that a case and its prediction both lack counts as 1, as in `evaluation.overlap`.
    """
    scores = []
    for number, row in enumerate(rows):
        context.progress(None, f"Validation case {number + 1} of {len(rows)}")
        scores.append(_score(loaded, row, dataset, context))
    return float(np.mean(scores))


def _score(loaded: Loaded, row: Row, dataset: Dataset, context: Context) -> float:
    spec = loaded.spec
    volume = read_image(row, dataset).frame(0)
    prepared = pipeline.prepare(volume, spec.preparation)
    run = Run(loaded, spec.tile, _Quiet(context))
    if spec.task == "classification":
        chances = np.array(list(classify(run, prepared).values()))
        truth = class_target(row, spec) > 0
        if spec.decision.exclusive:
            return float(truth[chances.argmax()])
        return float(np.mean((chances >= np.array(spec.decision.thresholds)) == truth))
    mask = read_mask(row, dataset, spec)
    painter = segment(run, prepared, PredictOptions(uncertainty=False), Outputs())
    across = prepared.record.how.order[0] if spec.preparation.dimensions == 2 else None
    # what cannot be done on this scan (a size in mm3 without a voxel size) is left out, as at prediction
    labels = postprocess.clean_up(painter.labels, volume.geometry, spec.postprocess, across, note=lambda _: None)
    ids = [i for i in spec.decision.ids if i]
    return float(np.mean([overlap.dice for overlap in per_class(mask.array, labels, ids).values()]))
