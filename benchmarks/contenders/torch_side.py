"""Contenders of the other environment: MONAI and nnU-Net on PyTorch, the same network with the same weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from common import LEVELS, Job, scan, seeded_weights, serve
from torch import nn

for _name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(_name, "unused")

Work = Callable[[], np.ndarray]


class Double(nn.Sequential):
    """Two convolutions, instance norm, leaky ReLU."""

    def __init__(self, name: str, weights: dict[str, np.ndarray]) -> None:
        steps: list[nn.Module] = []
        for index in (1, 2):
            kernel = as_torch(weights[f"{name}.{index}.kernel"])
            filters, channels = kernel.shape[:2]
            conv = nn.Conv3d(channels, filters, 3, padding=1, bias=False)
            norm = nn.InstanceNorm3d(filters, eps=1e-5, affine=True)
            conv.weight.data = kernel
            norm.weight.data = torch.from_numpy(weights[f"{name}.{index}.gamma"])
            norm.bias.data = torch.from_numpy(weights[f"{name}.{index}.beta"])
            steps += [conv, norm, nn.LeakyReLU(0.01, inplace=True)]
        super().__init__(*steps)


class UNet(nn.Module):
    """The network of `keras_side.network`: (batch, 1, z, y, x) -> logits (batch, class, z, y, x)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        weights = seeded_weights(classes)
        depth = len(LEVELS)
        self.down = nn.ModuleList(Double(f"down{level}", weights) for level in range(depth))
        self.up = nn.ModuleList(Double(f"up{level}", weights) for level in range(depth - 1))
        grow = []
        for level in range(depth - 1):
            step = nn.ConvTranspose3d(LEVELS[level + 1], LEVELS[level], 2, stride=2)
            step.weight.data = as_torch(weights[f"grow{level}.kernel"])
            step.bias.data = torch.from_numpy(weights[f"grow{level}.bias"])
            grow.append(step)
        self.grow = nn.ModuleList(grow)
        self.head = nn.Conv3d(LEVELS[0], classes, 1)
        self.head.weight.data = as_torch(weights["head.kernel"])
        self.head.bias.data = torch.from_numpy(weights["head.bias"])
        self.pool = nn.MaxPool3d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        skips = []
        for level, step in enumerate(self.down):
            x = step(self.pool(x) if level else x)
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([skips[level], self.grow[level](x)], dim=1))
        return self.head(x)


def as_torch(kernel: np.ndarray) -> torch.Tensor:
    """Return a kernel (z, y, x, a, b) as (b, a, z, y, x): (out, in) of a convolution, (in, out) of a transposed one."""
    return torch.from_numpy(np.ascontiguousarray(kernel.transpose(4, 3, 0, 1, 2)))


def monai(job: Job) -> Work:
    """MONAI's sliding_window_inference with its Gaussian, then the argmax."""
    from monai.inferers import sliding_window_inference

    net, data = UNet(job.classes).eval(), torch.from_numpy(scan(job))[None, None]
    tile = (job.tile,) * 3
    with torch.inference_mode():
        net(torch.zeros(1, 1, *tile))

    def work() -> np.ndarray:
        with torch.inference_mode():
            logits = sliding_window_inference(data, tile, 1, net, overlap=0.5, mode="gaussian")
            return logits.argmax(1)[0].numpy()

    return work


def nnunet(job: Job) -> Work:
    """nnU-Net's predictor with its Gaussian and without mirroring, then the argmax."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor: Any = nnUNetPredictor(
        tile_step_size=0.5, use_gaussian=True, use_mirroring=False, perform_everything_on_device=False,
        device=torch.device("cpu"), verbose=False, verbose_preprocessing=False, allow_tqdm=False,
    )  # fmt: skip
    predictor.network = UNet(job.classes).eval()
    predictor.configuration_manager = SimpleNamespace(patch_size=[job.tile] * 3)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=job.classes)
    predictor.allowed_mirroring_axes = None
    data = torch.from_numpy(scan(job))[None]
    with torch.inference_mode():
        predictor.network(torch.zeros(1, 1, *[job.tile] * 3))

    def work() -> np.ndarray:
        return predictor.predict_sliding_window_return_logits(data).argmax(0).numpy()

    return work


def versions() -> str:
    """Return what this process computed with."""
    import sys
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in ("torch", "monai", "nnunetv2") if name in sys.modules)


if __name__ == "__main__":
    serve(lambda job: {"monai": monai, "nnunet": nnunet}[job.engine](job), versions)
