"""Golden maps of other people's programs for small seeded networks, written to tests/golden/saliency.json.

    python scripts/golden_saliency.py torch     # in an environment with torch, captum and grad-cam
    python scripts/golden_saliency.py keras     # in one with tensorflow and tf-keras-vis

Each side fills in its own maps and leaves the other's. The networks keep the size of the picture (no pooling), so that
layers and pictures compare voxel by voxel: 3x3 convolution, ReLU, 3x3 convolution, ReLU, mean over places, linear head.
Weights and pictures stand in the file, four decimals, so that a test needs nothing but the file.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

OUT = Path(__file__).resolve().parent.parent / "tests" / "golden" / "saliency.json"
SHAPES = {2: (12, 10), 3: (8, 6, 6)}
CHANNELS = (1, 4, 5)
CLASSES, TARGET = 3, 1
STEPS = 64
PATCH, STRIDE = 4, 2


def case(dimensions: int) -> dict[str, Any]:
    """Return picture (*spatial, channel) and weights in Keras's layout (*kernel, in, out), as lists."""
    rng = np.random.default_rng(20261121 + dimensions)
    kernel = (3,) * dimensions
    first, middle, last = CHANNELS
    shapes = {
        "conv1": (*kernel, first, middle), "bias1": (middle,),
        "conv2": (*kernel, middle, last), "bias2": (last,),
        "dense": (last, CLASSES), "bias3": (CLASSES,),
    }  # fmt: skip
    weights = {name: np.round(rng.normal(0, 0.4, shape), 4).tolist() for name, shape in shapes.items()}
    picture = np.round(rng.random((*SHAPES[dimensions], first)), 4)
    picture.flat[0] = 0.0  # the lowest value is 0, so that "black" and Captum's baseline of 0 are the same
    return {"picture": picture.tolist(), "weights": weights, "maps": {}}


def main() -> None:
    """Fill in one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=("torch", "keras"))
    side = parser.parse_args().side
    golden = json.loads(OUT.read_text()) if OUT.exists() else {"versions": {}, "cases": {}}
    for dimensions in SHAPES:
        fresh = case(dimensions)
        kept = golden["cases"].get(str(dimensions))
        if kept is None or kept["weights"] != fresh["weights"] or kept["picture"] != fresh["picture"]:
            golden["cases"][str(dimensions)] = kept = fresh
        maps = torch_maps(kept, dimensions) if side == "torch" else keras_maps(kept, dimensions)
        kept["maps"].update({name: _short(m) for name, m in maps.items()})
    packages = ("torch", "captum", "grad-cam") if side == "torch" else ("tensorflow", "tf-keras-vis")
    golden["versions"].update({name: version(name) for name in packages})
    golden["settings"] = {"target": TARGET, "steps": STEPS, "patch": PATCH, "stride": STRIDE}
    OUT.write_text(json.dumps(golden, separators=(",", ":"), sort_keys=True) + "\n")


def _short(values: Any) -> Any:
    """Return a list with eight digits that count."""
    digits = np.asarray(values, float)
    return np.vectorize(lambda v: float(f"{v:.8g}"))(digits).tolist()


def torch_maps(given: dict[str, Any], dimensions: int) -> dict[str, Any]:
    """Return the maps of Captum and pytorch-grad-cam, (*spatial)."""
    import torch
    from captum import attr
    from pytorch_grad_cam import GradCAMPlusPlus
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    conv = torch.nn.Conv2d if dimensions == 2 else torch.nn.Conv3d
    first, middle, last = CHANNELS
    spatial = tuple(range(2, 2 + dimensions))

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.relu1 = conv(first, middle, 3, padding=1), torch.nn.ReLU()
            self.conv2, self.relu2 = conv(middle, last, 3, padding=1), torch.nn.ReLU()
            self.dense = torch.nn.Linear(last, CLASSES)

        def forward(self, x: Any) -> Any:
            return self.dense(self.relu2(self.conv2(self.relu1(self.conv1(x)))).mean(dim=spatial))

    net = Net().eval()
    tensors = {k: torch.tensor(v, dtype=torch.float32) for k, v in given["weights"].items()}
    with torch.no_grad():
        for number in (1, 2):
            layer = getattr(net, f"conv{number}")
            layer.weight.copy_(tensors[f"conv{number}"].permute(-1, -2, *range(dimensions)))
            layer.bias.copy_(tensors[f"bias{number}"])
        net.dense.weight.copy_(tensors["dense"].T)
        net.dense.bias.copy_(tensors["bias3"])
    x = torch.tensor(given["picture"], dtype=torch.float32).movedim(-1, 0)[None]
    window, strides = (first, *(PATCH,) * dimensions), (1, *(STRIDE,) * dimensions)
    integrated = attr.IntegratedGradients(net).attribute(x, 0 * x, TARGET, n_steps=STEPS, method="riemann_middle")
    found = {
        "gradient": attr.Saliency(net).attribute(x, TARGET, abs=True),
        "gradient-x-input": attr.InputXGradient(net).attribute(x, TARGET),
        "integrated-gradients": integrated,
        "guided-backprop": attr.GuidedBackprop(net).attribute(x, TARGET),
        "grad-cam": attr.LayerGradCam(net, net.relu2).attribute(x, TARGET, relu_attributions=True),
        "occlusion": attr.Occlusion(net).attribute(x, window, strides, 0, TARGET),
    }
    found = {f"captum {name}": value.detach().numpy()[0].sum(axis=0) for name, value in found.items()}
    plus = GradCAMPlusPlus(net, [net.relu2])
    plus(x, [ClassifierOutputTarget(TARGET)])  # its own answer is scaled to 0 to 1: asked again below, unscaled
    pulls, answers = plus.activations_and_grads.gradients[0], plus.activations_and_grads.activations[0]
    pulls, answers = pulls.numpy(), answers.numpy()
    # alpha is the same for 1000 g and A / 1000; so its epsilon of 1e-6 beside g squared (1e-6 here) does not count
    up = np.float32(1000)
    target = [ClassifierOutputTarget(TARGET)]
    weights = plus.get_cam_weights(x, net.relu2, target, answers / up, pulls * up)[0] / up
    found["grad-cam grad-cam++"] = np.maximum(np.einsum("c,c...->...", weights, answers[0]), 0)
    return {**found, "torch score": float(net(x)[0, TARGET])}


def keras_maps(given: dict[str, Any], dimensions: int) -> dict[str, Any]:
    """Return the maps of tf-keras-vis, (*spatial)."""
    import keras
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    net = keras_net(given, dimensions)
    x = np.asarray([given["picture"]], np.float32)
    score = CategoricalScore(TARGET)
    plain: dict[str, Any] = {"penultimate_layer": "conv2", "normalize_cam": False, "expand_cam": False}
    # it takes a softmax of the network's answer first; beside a class that always answers 0 that can be undone
    beside = keras.layers.Concatenate()([net.output, 0 * net.output[:, :1]])
    odds = keras.Model(net.input, beside)

    def logit(answer: Any) -> Any:
        return np.log(answer[:, TARGET]) - np.log(answer[:, CLASSES])

    found: dict[str, Any] = {
        "gradient": Saliency(net, clone=False)(score, x, normalize_map=False),
        "grad-cam": Gradcam(net, clone=False)(score, x, **plain),
        "layer-cam": Layercam(net, clone=False)(score, x, **plain),
        "score-cam": Scorecam(odds, clone=False)(logit, x, **plain),
    }
    found = {f"tf-keras-vis {name}": np.asarray(value)[0] for name, value in found.items()}
    keras.backend.clear_session()
    return {**found, "keras score": float(net(x)[0, TARGET])}


def keras_net(given: dict[str, Any], dimensions: int) -> Any:
    """Return the network of a case as a Keras model."""
    import keras

    conv = keras.layers.Conv2D if dimensions == 2 else keras.layers.Conv3D
    pool = keras.layers.GlobalAveragePooling2D if dimensions == 2 else keras.layers.GlobalAveragePooling3D
    first, middle, last = CHANNELS
    shape = (*SHAPES[dimensions], first)
    layers = [
        keras.Input(shape),
        conv(middle, 3, padding="same", activation="relu", name="conv1"),
        conv(last, 3, padding="same", activation="relu", name="conv2"),
        pool(name="mean"),
        keras.layers.Dense(CLASSES, name="dense"),
    ]
    inputs = outputs = layers[0]
    for layer in layers[1:]:
        outputs = layer(outputs)
    net = keras.Model(inputs, outputs)
    names = ("conv1", "bias1", "conv2", "bias2", "dense", "bias3")
    net.set_weights([np.asarray(given["weights"][name], np.float32) for name in names])
    return net


if __name__ == "__main__":
    main()
