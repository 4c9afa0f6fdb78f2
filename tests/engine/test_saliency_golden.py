"""Our maps against those of Captum, tf-keras-vis and pytorch-grad-cam on the same networks.

scripts/golden_saliency.py makes the file (make oracles). Grad-CAM++ is compared with pytorch-grad-cam: tf-keras-vis
scales the alphas of each channel to a sum of 1, which the paper's equations do not.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine_cases import FakeContext, opened
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.saliency.asking import Scan
from napari_medcnn.engine.saliency.explain import explain

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = json.loads((REPOSITORY / "tests" / "golden" / "saliency.json").read_text())
TARGET, STEPS, PATCH, STRIDE = (GOLDEN["settings"][name] for name in ("target", "steps", "patch", "stride"))
OCCLUSION = {"patch_mm": float(PATCH), "stride_mm": float(STRIDE), "baseline": "black"}
#: Our method -> its options, and whose maps it must equal.
ROWS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "gradient": ({}, ("captum gradient", "tf-keras-vis gradient")),
    "gradient-x-input": ({}, ("captum gradient-x-input",)),
    "integrated-gradients": ({"steps": STEPS, "baseline": "black"}, ("captum integrated-gradients",)),
    "guided-backprop": ({}, ("captum guided-backprop",)),
    "grad-cam": ({"layer": "conv2"}, ("captum grad-cam", "tf-keras-vis grad-cam")),
    "grad-cam++": ({"layer": "conv2"}, ("grad-cam grad-cam++",)),
    "layer-cam": ({"layer": "conv2"}, ("tf-keras-vis layer-cam",)),
    "score-cam": ({"layer": "conv2", "softmax_cam": False, "baseline": "black"}, ("tf-keras-vis score-cam",)),
    "occlusion": (OCCLUSION, ("captum occlusion",)),
}


def network(dimensions: int) -> Any:
    """Return the network that the script builds, with the weights in the golden file."""
    found = importlib.util.spec_from_file_location("golden_saliency", REPOSITORY / "scripts" / "golden_saliency.py")
    assert found is not None and found.loader is not None
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    return script.keras_net(GOLDEN["cases"][str(dimensions)], dimensions)


def our_map(dimensions: int, method: str, changes: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """Return our map (*spatial) and the reply."""
    picture = np.asarray(GOLDEN["cases"][str(dimensions)]["picture"], np.float32)[..., 0]
    array = picture[None] if dimensions == 2 else picture
    names = ("one", "two", "three")
    spec = ModelSpec(
        name="golden",
        title="Golden",
        task="classification",
        preparation=Preparation(dimensions, 1),
        labels=LabelSet.from_names(names),
        decision=Decision((1, 2, 3), exclusive=True),
        activation="softmax",
    )
    loaded = opened(network(dimensions), spec)

    def attempts() -> Iterator[tuple[Any, str]]:
        yield loaded, "CPU"

    options = ExplainOptions(method=method, target=names[TARGET], **changes)
    out = np.zeros(array.shape, np.float32)
    scan = Scan(Volume(array, Geometry(array.shape, (1.0, 1.0, 1.0))), None, options, FakeContext())
    reply = explain(attempts, scan, out)
    return (out[0] if dimensions == 2 else out), reply


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("method", list(ROWS))
def test_maps_equal_those_of_other_people(method: str, dimensions: int) -> None:
    changes, theirs = ROWS[method]
    ours, reply = our_map(dimensions, method, changes)
    maps = GOLDEN["cases"][str(dimensions)]["maps"]
    assert reply["score"] == pytest.approx(maps["torch score"], rel=1e-4)
    for name in theirs:
        golden = np.asarray(maps[name])
        np.testing.assert_allclose(ours, golden, rtol=2e-4, atol=2e-5 * np.abs(golden).max(), err_msg=name)
