"""Scores of a batch and what they depend on: gradients to the input or to a layer. The only backend branch for them.

A zero array, the probe, is added to what a layer gives while the forward pass is traced; the gradient to the probe is
the gradient to the layer's answer. So no graph is rebuilt, and flat, nested and subclassed networks are all the same.
Every function is traced once for one shape (eager tapes took 2.8 times as long).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from napari_medcnn.engine.backends import Float32
from napari_medcnn.errors import ModelError

#: Opens a network for one traced pass: takes the probe, gives where the layer's answer will lie.
Surgery = Callable[[Any], AbstractContextManager[list[Any]]]
_EDGE = 1e-7


@dataclass(frozen=True)
class Trace:
    """What to trace.

    Parameters
    ----------
    model
        A `keras.Model`.
    surgery
        See `Surgery`.
    shape
        (batch, *spatial, channel) of the input.
    outputs
        Channels of the output.
    mapped
        The output has places: the score is a sum over them.
    to_input
        The gradient to the input is wanted.
    layer_shape
        (batch, ...) of the layer's answer; None where no layer is looked at.
    to_layer
        The gradient to that answer is wanted as well.
    logit
        The output is a probability whose activation could not be taken off: log(p / (1 - p)) is differentiated.
    """

    model: Any
    surgery: Surgery
    shape: tuple[int, ...]
    outputs: int
    mapped: bool
    to_input: bool = False
    layer_shape: tuple[int, ...] | None = None
    to_layer: bool = False
    logit: bool = False


@dataclass(frozen=True, eq=False)
class Answer:
    """One score for each item of the batch, float32; what was not asked for is None.

    `gradient` is that of the score to the input, `activation` what the layer gave, `pull` the gradient to it. `cut` is
    True where no path leads from the score to what was differentiated.
    """

    scores: Any
    gradient: Float32 | None = None
    activation: Float32 | None = None
    pull: Float32 | None = None
    cut: bool = False


#: (batch, weights (batch, *places) of the places that count, weights (channel,) of the outputs) -> answer.
Scorer = Callable[[Float32, Float32, Float32], Answer]


def compile_scores(trace: Trace, device: str) -> Scorer:
    """Trace scores, and gradients where wanted, for one shape.

    Raises
    ------
    ModelError
        The backend is neither TensorFlow nor JAX.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        run = _tensorflow(trace)
    elif backend == "jax":
        run = _jax(trace)
    else:
        raise ModelError(f"KERAS_BACKEND: expected tensorflow or jax, got {backend!r}")

    def scorer(batch: Float32, places: Float32, channels: Float32) -> Answer:
        with keras.device(device):
            found, cut = run(*(keras.ops.convert_to_tensor(a, "float32") for a in (batch, places, channels)))
        scores, gradient, activation, pull = (
            None if part is None else np.asarray(keras.ops.convert_to_numpy(part), np.float32) for part in found
        )
        return Answer(scores, gradient, activation, pull, cut)

    return scorer


def survey(run: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    """Call `run` with a stand-in of this shape: shapes become known, nothing is calculated."""
    if keras.config.backend() == "jax":
        import jax

        jax.eval_shape(lambda x: _nothing(run(x)), jax.ShapeDtypeStruct(shape, "float32"))
        return
    import tensorflow as tf

    tf.function(lambda x: _nothing(run(x))).get_concrete_function(tf.TensorSpec(shape, tf.float32))


def relu_place() -> tuple[Any, str]:
    """Return the backend's own ReLU as (module, name): layers, activations and `keras.ops.relu` all end there.

    What is written another way, as `keras.ops.maximum(x, 0)`, does not.
    """
    if keras.config.backend() == "jax":
        import jax

        return jax.nn, "relu"
    import tensorflow as tf

    return tf.nn, "relu"


def guided_relu() -> tuple[Any, str, Any]:
    """Return where max(x, 0) is calculated, and one whose gradient lets only positive values back (Springenberg 2015).

    The third is a function that stands in for it; section 3 of the paper.
    """
    module, name = relu_place()
    plain = getattr(module, name)
    if keras.config.backend() == "jax":
        import jax
        import jax.numpy as jnp

        @jax.custom_vjp
        def relu(value: Any) -> Any:
            return jnp.maximum(value, 0)

        def forward(value: Any) -> Any:
            return relu(value), value

        def backward(value: Any, back: Any) -> Any:
            return (jnp.where((value > 0) & (back > 0), back, 0).astype(back.dtype),)

        relu.defvjp(forward, backward)
        return module, name, relu
    import tensorflow as tf

    @tf.custom_gradient
    def guided(value: Any) -> Any:
        def backward(back: Any) -> Any:
            return tf.where((value > 0) & (back > 0), back, tf.zeros_like(back))

        return plain(value), backward

    return module, name, lambda features, name=None: guided(features)


def _nothing(_: Any) -> int:
    return 0


def _scored(trace: Trace, forward: Callable[[Any], Any], x: Any, places: Any, channels: Any, probe: Any) -> Any:
    """Return (scores (batch,), answer of the layer or None) in the backend's own tensors."""
    ops = keras.ops
    with trace.surgery(probe) as caught:
        answer = forward(x)
    answer = ops.cast(answer, "float32")
    if trace.logit:
        answer = ops.clip(answer, _EDGE, 1 - _EDGE)
        answer = ops.log(answer) - ops.log(1 - answer)
    chosen = ops.matmul(answer, ops.reshape(channels, (trace.outputs, 1)))[..., 0]
    weighed = chosen * places
    scores = ops.sum(weighed, axis=tuple(range(1, len(weighed.shape)))) if trace.mapped else weighed
    return scores, (caught[-1] if caught else None)


def _tensorflow(trace: Trace) -> Callable[..., tuple[tuple[Any, ...], bool]]:
    import tensorflow as tf

    cut: list[bool] = []
    places = trace.shape[:-1] if trace.mapped else trace.shape[:1]
    signature = [tf.TensorSpec(s, tf.float32) for s in (trace.shape, places, (trace.outputs,))]

    @tf.function(input_signature=signature, jit_compile=False)
    def traced(x: Any, weights: Any, channels: Any) -> Any:
        probe = None if trace.layer_shape is None else tf.zeros(trace.layer_shape, tf.float32)
        sources = [x] * trace.to_input + [probe] * trace.to_layer
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for source in sources:
                tape.watch(source)
            scores, activation = _scored(trace, lambda a: trace.model(a, training=False), x, weights, channels, probe)
        found = list(tape.gradient(scores, sources)) if sources else []
        cut.append(any(g is None for g in found))
        found = [tf.zeros_like(s) if g is None else g for g, s in zip(found, sources, strict=True)]
        gradient = found.pop(0) if trace.to_input else None
        return scores, gradient, activation, (found.pop(0) if trace.to_layer else None)

    return lambda x, weights, channels: (traced(x, weights, channels), cut[-1])


def _jax(trace: Trace) -> Callable[..., tuple[tuple[Any, ...], bool]]:
    import jax
    import jax.numpy as jnp

    model = trace.model

    def score(x: Any, probe: Any, own: Any, rest: Any, weights: Any, channels: Any) -> Any:
        def forward(a: Any) -> Any:
            return model.stateless_call(own, rest, a, training=False)[0]

        scores, activation = _scored(trace, forward, x, weights, channels, probe)
        return jnp.sum(scores), (scores, activation)

    wanted = (0,) * trace.to_input + (1,) * trace.to_layer

    def both(*arguments: Any) -> Any:
        if not wanted:
            _, (scores, activation) = score(*arguments)
            return scores, None, activation, None
        (_, (scores, activation)), found = jax.value_and_grad(score, argnums=wanted, has_aux=True)(*arguments)
        parts = list(found)
        gradient = parts.pop(0) if trace.to_input else None
        return scores, gradient, activation, (parts.pop(0) if trace.to_layer else None)

    traced = jax.jit(both)
    probe = None if trace.layer_shape is None else np.zeros(trace.layer_shape, np.float32)

    def run(x: Any, weights: Any, channels: Any) -> tuple[tuple[Any, ...], bool]:
        # read at each call: the check fills them with random values
        own = [v.value for v in model.trainable_variables]
        rest = [v.value for v in model.non_trainable_variables]
        return traced(x, probe, own, rest, weights, channels), False

    return run
