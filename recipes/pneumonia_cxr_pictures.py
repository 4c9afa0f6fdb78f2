"""The pictures of PneumoniaMNIST: read without copies, changed at random for training, changed on purpose for testing.

Pneumonia and normal pictures of the source came in different sizes and fields of view, so sharpness, borders and
letters in the corners tell the classes apart without any lung. What is changed at random here takes those ways out;
`STRESS`, fixed before the first network was trained, measures whether it did. Left and right are never exchanged: the
heart lies on one side, and a mirrored chest would be a malformation that no picture here shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from napari_medcnn.imaging import intensity
from napari_medcnn.imaging.shrink import shrink

Float = npt.NDArray[np.float32]
Picture = Callable[[Float], Float]
SIZE, NEAR = 28, 0.97
#: What the card's pipeline does once a picture has its size; see `normalised`.
STEPS = (("percentile_clip", {"low": 1, "high": 99}), ("zscore", {}))


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures (n, 28, 28) uint8 and labels (n,), 0 normal and 1 pneumonia; `group` is equal for near copies."""

    pictures: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]


def read(data: Path) -> tuple[Split, Split]:
    """Return training pictures without copies, and validation pictures less those that are training pictures."""
    with np.load(data / "pneumoniamnist_trainval.npz", allow_pickle=False) as file:
        train, y, val, y_val = (file[k] for k in ("train_images", "train_labels", "val_images", "val_labels"))
    first = {picture.tobytes(): index for index, picture in reversed(list(enumerate(train)))}
    kept = np.array(sorted(first.values()))
    new = np.array([picture.tobytes() not in first for picture in val])
    pictures = train[kept]
    return (
        Split(pictures, y[kept, 0].astype(np.int64), near_copies(pictures)),
        Split(val[new], y_val[new, 0].astype(np.int64), np.arange(int(new.sum()))),
    )


def near_copies(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return a group number for each picture; pictures that correlate above NEAR share one."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    group = np.arange(len(pictures))
    for one, other in np.argwhere(np.triu(flat @ flat.T > NEAR, 1)):
        group[group == group[other]] = group[one]
    return group


def folds(split: Split, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the fold of each picture: near copies together, each class spread evenly."""
    rng, fold = np.random.default_rng(seed), np.zeros(len(split.labels), np.int64)
    for label in (0, 1):
        groups = rng.permutation(np.unique(split.group[split.labels == label]))
        for index, group in enumerate(groups):
            fold[split.group == group] = index % count
    return fold


def normalised(pictures: npt.NDArray[np.generic]) -> Float:
    """Return (n, y, x, 1) float32 as the network sees pictures (n, y, x): the intensity steps of the card."""
    data = np.moveaxis(pictures, 0, -1)[None]  # each channel of a step has statistics of its own
    for name, arguments in STEPS:
        data = getattr(intensity, name)(data, **arguments)
    return np.ascontiguousarray(np.moveaxis(data[0], -1, 0)[..., None])


def moved(
    x: Float, turn: float, zoom: Sequence[float], shift: Sequence[float], shear: float = 0.0, **how: Any
) -> Float:
    """Turn (radians), enlarge (y, x), shear and shift (pixels y, x) a picture around its middle."""
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]]) @ np.diag(1 / np.asarray(zoom))
    middle = np.full(2, (SIZE - 1) / 2)
    offset = middle - matrix @ (middle + np.asarray(shift))
    return ndimage.affine_transform(x, matrix, offset, **{"order": 1, "mode": "nearest", **how})


def sharpened(x: Float, sigma: float, amount: float) -> Float:
    return x + amount * (x - ndimage.gaussian_filter(x, sigma))


def coarse(x: Float, size: int) -> Float:
    """Shrink to `size` pixels and back: a picture that was small once."""
    small = shrink(x[None, ..., None], (size, size))
    return shrink(small, (SIZE, SIZE))[0, ..., 0]


def jpeg(x: Float, quality: int) -> Float:
    file = BytesIO()
    Image.fromarray(np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32) / 255


def shaded(x: Float, across: float, down: float) -> Float:
    """Brighten towards the right and the bottom by these shares."""
    ramp = np.linspace(-1, 1, SIZE, dtype=np.float32)
    return x * (1 + across * ramp[None, :] + down * ramp[:, None])


def framed(x: Float, width: int, value: float = 0.0) -> Float:
    y = np.full_like(x, value)
    y[width:-width, width:-width] = x[width:-width, width:-width]
    return y


def marked(x: Float, left: bool) -> Float:
    """Put a white letter-sized box into an upper corner."""
    y = x.copy()
    y[2:6, slice(2, 6) if left else slice(-6, -2)] = 1
    return y


#: Changes that leave the diagnosis as it is, on pictures 0 to 1; fixed before training.
STRESS: Mapping[str, Picture] = {
    "blurred": lambda x: ndimage.gaussian_filter(x, 0.8),
    "sharpened": lambda x: sharpened(x, 1.0, 1.5),
    "half resolution": lambda x: coarse(x, 14),
    "noisy": lambda x: x + np.random.default_rng(7).normal(0, 0.06, x.shape),
    "JPEG quality 20": lambda x: jpeg(x, 20),
    "gamma 0.5": lambda x: x**0.5,
    "gamma 2": lambda x: x**2.0,
    "overexposed": lambda x: x * 1.5,
    "underexposed": lambda x: x - 0.3,
    "shaded": lambda x: shaded(x, 0.25, -0.15),
    "3 px left": lambda x: moved(x, 0, (1, 1), (0, -3)),
    "3 px right": lambda x: moved(x, 0, (1, 1), (0, 3)),
    "3 px up": lambda x: moved(x, 0, (1, 1), (-3, 0)),
    "3 px down": lambda x: moved(x, 0, (1, 1), (3, 0)),
    "enlarged 1.2": lambda x: moved(x, 0, (1.2, 1.2), (0, 0)),
    "reduced 1.2": lambda x: moved(x, 0, (1 / 1.2, 1 / 1.2), (0, 0), mode="constant"),
    "turned 8 degrees": lambda x: moved(x, np.radians(8), (1, 1), (0, 0)),
    "black frame": lambda x: framed(x, 3),
    "white letter, left": lambda x: marked(x, True),
    "white letter, right": lambda x: marked(x, False),
}


def stressed(pictures: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.uint8]:
    """Return the pictures after one change, clipped and rounded as a file would hold them."""
    changed = [np.clip(STRESS[name](picture.astype(np.float32) / 255), 0, 1) for picture in pictures]
    return np.rint(np.stack(changed) * 255).astype(np.uint8)


def at_random(x: Float, rng: np.random.Generator, strength: str) -> Float:
    """Return one training picture (0 to 1) changed at random.

    "light" moves it, "strong" does all there is, "medium" is one or the other by a throw of a coin.
    """
    zoom = np.exp(rng.uniform(-0.2, 0.2) + rng.uniform(-0.08, 0.08, 2))
    edge = {"mode": "constant", "cval": rng.choice([0.0, 0.0, float(x.mean()), 1.0])} if rng.random() < 0.4 else {}
    x = moved(
        x, np.radians(rng.uniform(-10, 10)), zoom, rng.uniform(-3.5, 3.5, 2), rng.uniform(-0.06, 0.06),
        order=int(rng.choice([1, 3])), **edge,
    )  # fmt: skip
    if strength == "light" or (strength == "medium" and rng.random() < 0.5):
        return np.clip(x, 0, 1)
    x = np.clip(_exposed(x, rng), 0, 1)
    x = np.clip(_degraded(x, rng), 0, 1)
    return _covered(x, rng)


def _exposed(x: Float, rng: np.random.Generator) -> Float:
    x = np.clip(x, 0, 1)
    if rng.random() < 0.7:
        x = x ** np.exp(rng.uniform(-0.8, 0.8))
    if rng.random() < 0.5:
        x = shaded(x, *rng.uniform(-0.35, 0.35, 2))
    if rng.random() < 0.6:
        x = (x - x.mean()) * rng.uniform(0.6, 1.7) + x.mean() + rng.uniform(-0.25, 0.25)
    return x


def _degraded(x: Float, rng: np.random.Generator) -> Float:
    kind = rng.random()
    if kind < 0.3:
        x = ndimage.gaussian_filter(x, rng.uniform(0.3, 1.1))
    elif kind < 0.55:
        x = sharpened(x, rng.uniform(0.5, 1.5), rng.uniform(0.3, 2.5))
    elif kind < 0.7:
        x = coarse(x, int(rng.integers(12, 24)))
    if rng.random() < 0.35:
        x = x + rng.normal(0, rng.uniform(0.01, 0.09), x.shape)
    return jpeg(x, int(rng.integers(10, 70))) if rng.random() < 0.2 else x


def _covered(x: Float, rng: np.random.Generator) -> Float:
    """Cover borders, corners and a part inside, so that no single place decides."""
    x = np.array(x, np.float32)
    fill = float(rng.choice([0.0, x.mean(), rng.uniform(), 1.0]))
    if rng.random() < 0.4:
        top, bottom, left, right = rng.integers(0, 5, 4)
        x[:top], x[SIZE - bottom :], x[:, :left], x[:, SIZE - right :] = fill, fill, fill, fill
    for _ in range(int(rng.integers(0, 3))):  # letters, tubes' ends, arms
        height, width = rng.integers(2, 7, 2)
        y, z = rng.integers(0, 8, 2)
        rows = slice(y, y + height) if rng.random() < 0.7 else slice(SIZE - y - height, SIZE - y)
        columns = slice(z, z + width) if rng.random() < 0.5 else slice(max(0, SIZE - z - width), SIZE - z)
        x[rows, columns] = float(rng.choice([0.0, 1.0, rng.uniform()]))
    if rng.random() < 0.3:
        height, width = rng.integers(4, 10, 2)
        y, z = rng.integers(0, SIZE - height), rng.integers(0, SIZE - width)
        x[y : y + height, z : z + width] = rng.choice([float(x.mean()), rng.uniform()])
    return x
