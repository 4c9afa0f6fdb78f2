"""A child process that may take little more memory, and runs a network that wants more: for the test of row 47."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import keras
import numpy as np
from keras import layers

from engine_cases import FakeContext, opened, spec_3d
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import Decision
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.predict import predict
from napari_medcnn.engine.runtime import load_runtime, out_of_memory_errors
from napari_medcnn.engine.windows import Outputs

MORE = 700 * 2**20


def main() -> None:
    """Print what `predict` returned, as one line of JSON."""
    runtime = load_runtime()
    inputs = keras.Input((None, None, None, 1))
    wide = layers.Conv3D(256, 1, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Conv3D(1, 1)(wide))
    labels, decision = LabelSet.from_names(("thing",)), Decision((1,), False, (0.5,))
    spec = spec_3d(labels=labels, decision=decision, activation="sigmoid", tile=(96, 96, 96))
    loaded = opened(model, spec)
    loaded.forward((1, 16, 16, 16, 1))(np.zeros((1, 16, 16, 16, 1), np.float32))
    raised, original, short = [], loaded.forward, out_of_memory_errors(runtime)

    def forward(shape):
        def watched(batch):
            try:
                return original(shape)(batch)
            except short as error:
                raised.append(type(error).__name__)
                raise

        return watched

    loaded.forward = forward
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MORE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    scan = Volume(np.random.default_rng(0).random((96, 96, 96), np.float32), Geometry((96, 96, 96)))
    options = PredictOptions(uncertainty=False)
    result = predict(lambda: iter([(loaded, "CPU")]), scan, options, Outputs(), FakeContext(), short)
    print(json.dumps({"device": result["device"], "warnings": result["warnings"], "raised": raised}), flush=True)


if __name__ == "__main__":
    main()
