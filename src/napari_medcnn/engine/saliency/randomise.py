"""A copy of a network whose layers are filled with random weights, from the output down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.saliency.anatomy import layers_of
from napari_medcnn.errors import InputError

#: How weights are made random.
DRAWS = ("normal", "shuffle")


@dataclass(frozen=True, eq=False)
class RandomCopy:
    """A network of the same layers with weights of its own.

    Parameters
    ----------
    model
        The copy; what is traced of it reads its weights anew at each call.
    trained
        The weights of the network it was made from, in the order of `model.weights`.
    draw
        "normal": kernels (tensors of two or more axes) from a normal distribution with mean 0 and the root mean
        square of the trained tensor, so that a network with normalisation neither fades nor overflows; vectors are
        shuffled, which keeps variances positive. "shuffle": every tensor is shuffled.
    """

    model: Any
    trained: tuple[npt.NDArray[Any], ...]
    draw: str
    seed: int
    device: str

    def layers(self) -> list[tuple[str, list[int]]]:
        """Return (name, indices into `model.weights`) of each layer with weights, from output to input.

        A weight belongs to the innermost layer that has it.
        """
        place = {id(v): i for i, v in enumerate(self.model.weights)}
        layers = dict(reversed(layers_of(self.model).items()))
        owner: dict[int, tuple[int, str]] = {}
        for name, layer in layers.items():
            weights = getattr(layer, "weights", ())
            for index in (place[id(v)] for v in weights if id(v) in place):
                owner[index] = min(owner.get(index, (len(weights), name)), (len(weights), name), key=lambda o: o[0])
        found: dict[str, list[int]] = {}
        for name in [*layers, "the network's own weights"]:
            mine = [i for i in range(len(self.trained)) if owner.get(i, (0, "the network's own weights"))[1] == name]
            if mine:
                found[name] = mine
        return list(found.items())

    def restore(self) -> None:
        """Give the copy the trained weights again."""
        self._assign(dict(enumerate(self.trained)))

    def randomise(self, indices: list[int] | None, number: int) -> None:
        """Fill weights (None: all) with random ones; the same `number` and index give the same."""
        chosen = range(len(self.trained)) if indices is None else indices
        self._assign({i: self._drawn(self.trained[i], np.random.default_rng([self.seed, number, i])) for i in chosen})

    def _drawn(self, values: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
        if not np.issubdtype(values.dtype, np.floating) and str(values.dtype) != "bfloat16":
            return values  # counters and seeds
        if self.draw == "normal" and values.ndim > 1:
            size = float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
            return (size * rng.standard_normal(values.shape)).astype(values.dtype)
        return rng.permutation(values.ravel()).reshape(values.shape)

    def _assign(self, values: dict[int, npt.NDArray[Any]]) -> None:
        with keras.device(self.device):
            for index, array in values.items():
                self.model.weights[index].assign(array)


def copy_of(loaded: Loaded, seed: int, draw: str = "normal") -> RandomCopy | None:
    """Return a copy of a Keras network with the same weights; None where its class cannot be built a second time.

    Raises
    ------
    InputError
        Unknown `draw`.
    """
    if draw not in DRAWS:
        raise InputError(f"draw: expected {' or '.join(DRAWS)}, got {draw!r}")
    model = loaded.model
    trained = tuple(np.asarray(keras.ops.convert_to_numpy(v)) for v in model.weights)
    try:
        with keras.device(loaded.device):
            copied = _built_again(model)
            copied.set_weights(trained)
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError):
        return None
    return RandomCopy(copied, trained, draw, seed, loaded.device)


def _built_again(model: Any) -> Any:
    try:
        return keras.models.clone_model(model)
    except ValueError:  # a subclassed network
        copied = type(model).from_config(model.get_config())
        copied.build(model.input_shape)
        return copied
