"""Losses on logits for training, written with `keras.ops` so that every backend computes the same number.

Why our own (measured on Keras 3.15.1): `keras.losses.Tversky` swaps its two weights against its own documentation, and
`keras.losses.Dice` pools the whole batch and calls a correct empty prediction wrong. Here every region loss

- is taken **per sample and per class** and then averaged, so one large case does not drown a small one,
- has `smooth` in the numerator **and** the denominator, so a correct empty prediction costs 0,
- names its weights `fp_weight` and `fn_weight` by what they punish.

Shapes: `y_true` (batch, *spatial, k) in [0, 1], `y_pred` (batch, *spatial, k) logits. Result: (batch,) float32.
k = 1 is one foreground (sigmoid); k > 1 is `mutually_exclusive` (softmax, y_true one-hot) unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

PACKAGE = "napari_medcnn"


def soft_dice(y_true: Any, probabilities: Any, smooth: float = 1e-5) -> Any:
    """Return 1 - Dice = 1 - (2 TP + smooth) / (2 TP + FP + FN + smooth) per sample, mean over classes.

    Milletari et al. 2016 with linear (not squared) sums. Empty truth and empty prediction: 0.
    """
    return tversky(y_true, probabilities, fp_weight=0.5, fn_weight=0.5, smooth=smooth / 2)


def tversky(y_true: Any, probabilities: Any, fp_weight: float, fn_weight: float, smooth: float = 1e-5) -> Any:
    """Return 1 - (TP + smooth) / (TP + fp_weight FP + fn_weight FN + smooth) per sample, mean over classes.

    Salehi et al. 2017, with the weights named by the error they punish.
    """
    y_true = ops.cast(y_true, "float32")
    probabilities = ops.cast(probabilities, "float32")
    axes = list(range(1, len(probabilities.shape) - 1))
    hits = ops.sum(y_true * probabilities, axis=axes)
    false_alarms = ops.sum((1.0 - y_true) * probabilities, axis=axes)
    misses = ops.sum(y_true * (1.0 - probabilities), axis=axes)
    index = (hits + smooth) / (hits + fp_weight * false_alarms + fn_weight * misses + smooth)
    return ops.mean(1.0 - index, axis=-1)


def cross_entropy(y_true: Any, logits: Any, mutually_exclusive: bool = True) -> Any:
    """Return the mean cross entropy per sample in nats, computed from logits.

    Softmax cross entropy over the last axis where classes exclude each other (k > 1), else the mean of k binary ones.
    """
    y_true = ops.cast(y_true, "float32")
    logits = ops.cast(logits, "float32")
    if mutually_exclusive and logits.shape[-1] > 1:
        voxelwise = -ops.sum(y_true * ops.log_softmax(logits, axis=-1), axis=-1)
    else:
        # max(x, 0) - x y + log(1 + exp(-|x|)): exact for any logit, no clipping
        voxelwise = ops.mean(ops.relu(logits) - logits * y_true + ops.log1p(ops.exp(-ops.abs(logits))), axis=-1)
    return ops.mean(voxelwise, axis=list(range(1, len(voxelwise.shape))))


def activate(logits: Any, mutually_exclusive: bool = True) -> Any:
    """Return float32 probabilities: softmax over the last axis for k > 1 exclusive classes, else a sigmoid."""
    logits = ops.cast(logits, "float32")
    if mutually_exclusive and logits.shape[-1] > 1:
        return ops.softmax(logits, axis=-1)
    return ops.sigmoid(logits)


class _RegionLoss(keras.losses.Loss):
    """Shared arguments of the region losses: a region term on probabilities plus a weighted cross entropy."""

    def __init__(self, ce_weight: float = 1.0, mutually_exclusive: bool = True, smooth: float = 1e-5, **kwargs: Any):
        super().__init__(**kwargs)
        self.ce_weight = ce_weight
        self.mutually_exclusive = mutually_exclusive
        self.smooth = smooth

    def region(self, y_true: Any, probabilities: Any) -> Any:
        """Return the region term, (batch,)."""
        raise NotImplementedError

    def call(self, y_true: Any, y_pred: Any) -> Any:
        probabilities = activate(y_pred, self.mutually_exclusive)
        loss = self.region(y_true, probabilities)
        if self.ce_weight > 0:
            loss = loss + self.ce_weight * cross_entropy(y_true, y_pred, self.mutually_exclusive)
        return loss

    def get_config(self) -> dict[str, Any]:
        own = {"ce_weight": self.ce_weight, "mutually_exclusive": self.mutually_exclusive, "smooth": self.smooth}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=PACKAGE)
class DiceCE(_RegionLoss):
    """Soft Dice loss plus `ce_weight` times the cross entropy, on logits (the nnU-Net combination)."""

    def region(self, y_true: Any, probabilities: Any) -> Any:
        return soft_dice(y_true, probabilities, self.smooth)


@keras.saving.register_keras_serializable(package=PACKAGE)
class TverskyCE(_RegionLoss):
    """Tversky loss plus `ce_weight` times the cross entropy, on logits.

    `fn_weight` above `fp_weight` asks for sensitivity: missed voxels cost more than false alarms.
    """

    def __init__(self, fp_weight: float = 0.3, fn_weight: float = 0.7, **kwargs: Any):
        super().__init__(**kwargs)
        self.fp_weight = fp_weight
        self.fn_weight = fn_weight

    def region(self, y_true: Any, probabilities: Any) -> Any:
        return tversky(y_true, probabilities, self.fp_weight, self.fn_weight, self.smooth)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fp_weight": self.fp_weight, "fn_weight": self.fn_weight}
