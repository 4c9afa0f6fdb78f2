"""How the 3D test network `phantom-thresholds` was made: weights set by hand, no training, no patient.

    python recipes/phantom_thresholds.py TARGET     # writes the package, for instance tests/data/phantom-thresholds

It labels the CT phantom by intensity (liver, kidney, bone), which is enough to test the way of a volume through the
whole program: orientation, voxel size, tiles, classes. It is of no use on a real scan.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation
from napari_medcnn.engine.networks import threshold_segmenter_3d
from napari_medcnn.imaging.pipeline import prepare
from napari_medcnn.io.packages import write_package
from napari_medcnn.io.samples import phantom

LOW_HU, HIGH_HU = -200.0, 800.0
THRESHOLDS_HU = (80.0, 162.0, 400.0)  # half way between the phantom's tissues: 45, 115, 210, 650 HU


def card() -> ModelSpec:
    truth = phantom()[1]
    return ModelSpec(
        name="phantom-thresholds",
        title="CT phantom by thresholds (a test network)",
        task="segmentation",
        description="Weights set by hand; labels the phantom of napari-medcnn by intensity. For tests only.",
        preparation=Preparation(
            dimensions=3,
            channels=1,
            orientation=("I", "P", "L"),
            steps=(
                ("clip", {"low": LOW_HU, "high": HIGH_HU}),
                ("scale_linear", {"in_low": LOW_HU, "in_high": HIGH_HU}),
            ),
        ),
        labels=truth.labels,
        decision=Decision(ids=(0, 1, 2, 3), exclusive=True),
        activation="softmax",
        tile=(32, 64, 64),
        overlap=0.25,
        divisor=1,
        fingerprint=Fingerprint(modalities=("CT",), population="one procedural phantom"),
        licence="CC0-1.0",
        training_data="none: the weights are set by hand",
        intended_use="Tests of this software. Not for any scan of a person.",
        limits="It knows intensities and nothing else.",
    )


def main(target: Path) -> None:
    spec, (scan, _) = card(), phantom()
    thresholds = [(t - LOW_HU) / (HIGH_HU - LOW_HU) for t in THRESHOLDS_HU]
    model = threshold_segmenter_3d(thresholds, sharpness=60.0, name="phantom_thresholds")
    ready = prepare(scan, spec.preparation).data
    window = np.ascontiguousarray(ready[None, 20:32, 40:72, 24:72])
    cover = np.clip((scan.array[32, :, :, None].astype(np.float32) + 160) / 400 * 255, 0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "model.keras"
        model.save(weights)
        write_package(target, spec, weights, window, np.asarray(model(window)), cover.repeat(3, axis=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
