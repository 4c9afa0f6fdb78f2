"""The networks this project trains itself, in backend-neutral Keras 3.

Every network here
- takes and returns channels-last arrays (channels_first is about 7x slower on a CPU),
- is built from stock Keras layers only, so the strict allow-list of layers loads it,
- returns **logits**: the activation is declared in the model's specification, because a float32 sigmoid has a gradient
  of exactly 0 at a logit of 20 and every loss and saliency map wants the logit.

`dimensions` is 2 for pictures and slices, 3 for volumes. Spatial sizes are free (`None`); each must be a multiple of
`2 ** (levels - 1)`, which `spatial_divisor` names for the tiling.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from napari_medcnn.errors import ModelError

NORMS = ("none", "batch", "instance")


def spatial_divisor(levels: int) -> int:
    """Return the number that every spatial size given to a `unet` of this many levels must be a multiple of."""
    return int(2 ** (levels - 1))


def unet(
    dimensions: int,
    in_channels: int,
    out_channels: int,
    base: int,
    levels: int,
    *,
    norm: str = "batch",
    dropout: float = 0.0,
    max_filters: int | None = None,
    name: str = "unet",
) -> keras.Model:
    """Build a U-Net: two 3-wide convolutions a level, max pooling, 2-wide transposed convolutions, a 1-wide head.

    Parameters
    ----------
    dimensions : 2 or 3.
    in_channels, out_channels : channels of the input and logits of the output (at least 1).
    base : filters of the finest level; every level below has twice as many, up to `max_filters`.
    levels : number of resolutions, at least 2 (5 for the classic network).
    norm : 'none', 'batch' or 'instance' (group normalisation with one group per channel, epsilon 1e-5).
    dropout : fraction dropped in the coarsest level while training.
    name : name of the model.

    Returns
    -------
    keras.Model
        (batch, *spatial, in_channels) float32 -> (batch, *spatial, out_channels) logits, same spatial size.

    Notes
    -----
    Ronneberger et al. 2015 (2D) and Cicek et al. 2016 (3D), with 'same' padding so that sizes are kept.
    """
    _check(dimensions, in_channels, out_channels, base, norm)
    if levels < 2:
        raise ModelError(f"A U-Net needs at least 2 levels, but levels is {levels}. Give 2 or more.")
    inputs = keras.Input((*[None] * dimensions, in_channels), name="image")
    filters = [min(base * 2**level, max_filters or base * 2**level) for level in range(levels)]
    x, skips = inputs, []
    for level in range(levels - 1):
        x = _double_conv(x, dimensions, filters[level], norm, f"down{level}")
        skips.append(x)
        x = _layer("MaxPooling", dimensions)(2, name=f"down{level}_pool")(x)
    x = _double_conv(x, dimensions, filters[-1], norm, "bottom")
    if dropout > 0:
        x = layers.Dropout(dropout, name="bottom_drop")(x)
    for level in reversed(range(levels - 1)):
        x = _layer("Conv", dimensions, "Transpose")(filters[level], 2, strides=2, name=f"up{level}_grow")(x)
        x = layers.Concatenate(name=f"up{level}_join")([skips[level], x])
        x = _double_conv(x, dimensions, filters[level], norm, f"up{level}")
    logits = _layer("Conv", dimensions)(out_channels, 1, name="logits", dtype="float32")(x)
    return keras.Model(inputs, logits, name=name)


def cnn_classifier(
    dimensions: int,
    in_channels: int,
    classes: int,
    base: int = 16,
    levels: int = 4,
    *,
    norm: str = "batch",
    dropout: float = 0.0,
    name: str = "classifier",
) -> keras.Model:
    """Build a small image classifier: two convolutions a level, max pooling, global average pooling, one dense layer.

    The head is global average pooling on purpose: it has few weights, takes any image size, and makes Grad-CAM equal
    to the class activation map (Zhou et al. 2016), which gives the saliency code an exact reference.

    Returns
    -------
    keras.Model
        (batch, *spatial, in_channels) float32 -> (batch, classes) logits.
    """
    _check(dimensions, in_channels, classes, base, norm)
    if levels < 1:
        raise ModelError(f"A classifier needs at least 1 level, but levels is {levels}. Give 1 or more.")
    inputs = keras.Input((*[None] * dimensions, in_channels), name="image")
    x = inputs
    for level in range(levels):
        x = _double_conv(x, dimensions, base * 2**level, norm, f"level{level}")
        if level < levels - 1:
            x = _layer("MaxPooling", dimensions)(2, name=f"level{level}_pool")(x)
    x = _layer("GlobalAveragePooling", dimensions)(name="average")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="drop")(x)
    logits = layers.Dense(classes, name="logits", dtype="float32")(x)
    return keras.Model(inputs, logits, name=name)


def average_classifiers(members: Sequence[keras.Model], name: str = "classifiers") -> keras.Model:
    """Join trained `cnn_classifier` networks of one kind into one network whose logits are the mean of theirs.

    A mean of logits is one dense layer over all their features, so the joined network is again convolutions, global
    average pooling and one dense layer: its layer `features` (batch, *spatial, member x filter) carries the class
    activation map of the whole, which saliency needs as one layer.

    Returns
    -------
    keras.Model
        (batch, *spatial, in_channels) float32 -> (batch, classes) logits, the members' weights copied, no dropout.

    Raises
    ------
    ModelError
        There are no members, or they are no `cnn_classifier` networks of the same input and classes.
    """
    shapes = {(tuple(m.input_shape), tuple(m.output_shape)) for m in members}
    pools = [layer for m in members for layer in m.layers if layer.name == "average"]
    if len(shapes) != 1 or len(pools) != len(members):
        raise ModelError("members: expected one or more cnn_classifier networks of the same channels and classes")
    inputs = keras.Input(members[0].input_shape[1:], name="image")
    ends, heads = [], []
    for index, member in enumerate(members):
        x = inputs
        for layer in member.layers[1 : [layer.name for layer in member.layers].index("average")]:
            copy = type(layer).from_config({**layer.get_config(), "name": f"member{index}_{layer.name}"})
            x = copy(x)
            copy.set_weights(layer.get_weights())
        ends.append(x)
        heads.append(member.get_layer("logits").get_weights())
    x = layers.Concatenate(name="features")(ends) if len(ends) > 1 else ends[0]
    logits = layers.Dense(members[0].output_shape[-1], name="logits", dtype="float32")
    model = keras.Model(inputs, logits(type(pools[0])(name="average")(x)), name=name)
    share = np.float32(1 / len(members))
    logits.set_weights([np.concatenate([k for k, _ in heads]) * share, sum(b for _, b in heads) * share])
    return model


def threshold_segmenter_3d(
    thresholds: Sequence[float],
    *,
    sharpness: float = 10.0,
    smooth: int = 3,
    name: str = "thresholds",
) -> keras.Model:
    """Build a 3D network with weights set by hand that labels voxels by intensity. For tests and examples.

    Class k (0 is background) is the most likely one where the locally averaged intensity lies between
    `thresholds[k - 1]` and `thresholds[k]`. No training and no random number is involved, so a test can say by hand
    what the network must answer. With thresholds t the logit of class k is `sharpness * sum_{j<k} (x - t_j)`: two
    neighbours k-1 and k are equal exactly where x = t_{k-1}.

    Parameters
    ----------
    thresholds : rising intensities, in the units the network receives; n thresholds make n + 1 classes.
    sharpness : how fast the scores change around a threshold.
    smooth : width in voxels of a mean filter before the comparison (odd; 1 means none), so that the network has a
        receptive field larger than one voxel and tiling errors show.

    Returns
    -------
    keras.Model
        (batch, z, y, x, 1) float32 -> (batch, z, y, x, n + 1) logits.
    """
    levels = np.asarray(thresholds, dtype=np.float32)
    if levels.ndim != 1 or levels.size == 0 or np.any(np.diff(levels) <= 0) or not np.all(np.isfinite(levels)):
        raise ModelError(f"thresholds must be one or more rising numbers, but they are {list(thresholds)}.")
    if smooth < 1 or smooth % 2 == 0:
        raise ModelError(f"smooth must be an odd number of voxels (1, 3, 5 ...), but it is {smooth}.")
    inputs = keras.Input((None, None, None, 1), name="image")
    mean = layers.Conv3D(1, smooth, padding="same", use_bias=False, name="mean")
    logits = layers.Conv3D(levels.size + 1, 1, name="logits", dtype="float32")
    model = keras.Model(inputs, logits(mean(inputs)), name=name)
    mean.set_weights([np.full((smooth, smooth, smooth, 1, 1), 1.0 / smooth**3, np.float32)])
    slopes = sharpness * np.arange(levels.size + 1, dtype=np.float32)
    offsets = -sharpness * np.concatenate([[0.0], np.cumsum(levels)]).astype(np.float32)
    logits.set_weights([slopes.reshape(1, 1, 1, 1, -1), offsets])
    return model


def _double_conv(x: object, dimensions: int, filters: int, norm: str, name: str) -> object:
    """Apply convolution, normalisation and ReLU twice."""
    for index in (1, 2):
        # A bias before a normalisation that subtracts the mean is dead weight.
        bias = norm == "none"
        x = _layer("Conv", dimensions)(
            filters, 3, padding="same", use_bias=bias, kernel_initializer="he_normal", name=f"{name}_conv{index}"
        )(x)
        if norm == "batch":
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm{index}")(x)
        elif norm == "instance":
            x = layers.GroupNormalization(groups=-1, epsilon=1e-5, name=f"{name}_norm{index}")(x)
        x = layers.Activation("relu", name=f"{name}_relu{index}")(x)
    return x


def _layer(kind: str, dimensions: int, suffix: str = "") -> type[keras.layers.Layer]:
    """Return the stock Keras layer class of this kind, e.g. ('Conv', 3, 'Transpose') -> Conv3DTranspose."""
    found: type[keras.layers.Layer] = getattr(layers, f"{kind}{dimensions}D{suffix}")
    return found


def _check(dimensions: int, in_channels: int, out_channels: int, base: int, norm: str) -> None:
    """Refuse arguments that no network can be built from, naming the argument."""
    if dimensions not in (2, 3):
        raise ModelError(f"dimensions must be 2 or 3, but it is {dimensions}.")
    for label, value in (("in_channels", in_channels), ("out_channels", out_channels), ("base", base)):
        if value < 1:
            raise ModelError(f"{label} must be at least 1, but it is {value}.")
    if norm not in NORMS:
        raise ModelError(f"norm must be one of {', '.join(NORMS)}, but it is '{norm}'.")
