"""Captum on PyTorch, on the network of saliency_common with the same weights; serves orders until its input ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from captum import attr
from saliency_common import BATCH, CLASSES, FILTERS, SAMPLES, SHAPES, STEPS, TARGET, picture, seeded_weights, serve
from torch import nn


class Net(nn.Module):
    """Two 3-wide convolutions with ReLU a level, max pooling between levels, mean over places, a linear head."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        conv = nn.Conv2d if dimensions == 2 else nn.Conv3d
        pool = nn.MaxPool2d if dimensions == 2 else nn.MaxPool3d
        weights = seeded_weights(dimensions)
        steps: list[nn.Module] = []
        for level in range(len(FILTERS[dimensions])):
            if level:
                steps.append(pool(2))
            for number in (1, 2):
                kernel = torch.from_numpy(weights[f"{level}.{number}"]).permute(-1, -2, *range(dimensions))
                layer = conv(kernel.shape[1], kernel.shape[0], 3, padding=1, bias=False)
                layer.weight.data = kernel.contiguous()
                steps += [layer, nn.ReLU()]
        self.features = nn.Sequential(*steps)
        self.head = nn.Linear(FILTERS[dimensions][-1], CLASSES, bias=False)
        self.head.weight.data = torch.from_numpy(weights["head"].T.copy())
        self.places = tuple(range(2, 2 + dimensions))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores (batch, class)."""
        return self.head(self.features(x).mean(dim=self.places))


def works(dimensions: int) -> Mapping[str, Callable[[], np.ndarray]]:
    """Return what can be timed, by name."""
    net = Net(dimensions).eval()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    x = torch.from_numpy(picture(dimensions)).movedim(-1, 0)[None]
    noise = attr.NoiseTunnel(attr.Saliency(net))
    batch = BATCH[dimensions]

    def plain(value: Any) -> np.ndarray:
        return value.detach().numpy()[0]

    def forward() -> np.ndarray:
        with torch.no_grad():
            return net(x).numpy()

    return {
        "forward": forward,
        "gradient": lambda: plain(attr.Saliency(net).attribute(x, TARGET)),
        "grad-cam": lambda: plain(attr.LayerGradCam(net, net.features[-1]).attribute(x, TARGET)),
        "smoothgrad": lambda: plain(
            noise.attribute(x, nt_samples=SAMPLES, nt_samples_batch_size=batch, stdevs=0.15, target=TARGET)
        ),
        "integrated-gradients": lambda: plain(
            attr.IntegratedGradients(net).attribute(
                x, 0 * x, TARGET, n_steps=STEPS, method="riemann_middle", internal_batch_size=batch
            )
        ),
    }


if __name__ == "__main__":
    serve(works, SHAPES, f"captum on torch {torch.__version__}")
