"""The layers of a network, by name, and what is changed in them while one forward pass is traced.

Layers are caught by standing in for `call` on the instance, which every Keras network reaches them through: flat,
nested (`base(x)`), functional, subclassed. Names of layers in nested ones are joined by "/".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from napari_medcnn.engine import gradients
from napari_medcnn.errors import InputError, UnsupportedError

#: What turns logits into probabilities, as activation, layer and operation.
_HEADS = ("softmax", "sigmoid")
_CONVOLUTIONS = ("Conv", "SeparableConv", "DepthwiseConv")


@dataclass(frozen=True, eq=False)
class Part:
    """A layer that was reached.

    Parameters
    ----------
    name
        Path of names joined by "/".
    calls
        How often it is called in one pass; the last call is the one that counts.
    sizes, channels
        Of its last answer: spatial sizes, and channels.
    order
        Its place among the last calls, from input to output.
    final
        Its last answer is the network's own.
    """

    name: str
    layer: Any
    calls: int
    sizes: tuple[int, ...]
    channels: int
    order: int
    final: bool = False

    @property
    def convolves(self) -> bool:
        """True for a convolution, transposed and separable ones included."""
        return type(self.layer).__name__.startswith(_CONVOLUTIONS)

    @property
    def places(self) -> int:
        """Number of places of its answer."""
        count = 1
        for size in self.sizes:
            count *= size
        return count


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The layers of a network whose answers have places, from input to output, for one input size.

    Parameters
    ----------
    parts
        Those layers.
    head
        (object, attribute, what stands in for it) that takes the last softmax or sigmoid off; None where there is none.
    relus
        How often a ReLU is calculated, wherever that is written: as a layer, an activation, inside a custom layer.
    """

    parts: tuple[Part, ...]
    head: tuple[Any, str, Any] | None
    relus: int

    def part(self, name: str) -> Part:
        """Return the layer of a name.

        Raises
        ------
        InputError
            There is none of that name whose answer has places; the message lists those there are.
        """
        for part in self.parts:
            if part.name == name:
                return part
        names = [p.name for p in self.parts]
        shown = ", ".join(names[-20:])
        more = f"the last 20 of {len(names)}: " if len(names) > 20 else ""
        raise InputError(f"layer: expected one of {more}{shown}; got {name!r}")

    def choose(self, mapped: bool) -> Part:
        """Return the layer to look at where none was named.

        Of a classifier the last answer with the size of the last convolution's (after its normalisation and ReLU, or
        where several paths are joined); of a segmenter the last one of the smallest size, the bottleneck.

        Raises
        ------
        UnsupportedError
            The network has no convolution whose answer has places.
        """
        convolutions = [p for p in self.parts if p.convolves and p.places > 1]
        if len(convolutions) > 1:  # the head of a segmenter is its answer, not what led to it
            convolutions = [p for p in convolutions if not p.final]
        if not convolutions:
            raise UnsupportedError(
                "This network has no convolution, so there is no layer with places to look at; choose the method "
                "integrated-gradients."
            )
        last = convolutions[-1]
        if mapped:
            fewest = min(p.places for p in convolutions)
            last = [p for p in convolutions if p.places == fewest][-1]
        alike = [p for p in self.parts if p.order >= last.order and p.sizes == last.sizes and not p.final]
        found = last
        for part in alike:
            if mapped and _grown(self.parts, last, part):
                break
            found = part
        return found

    def after(self, name: str) -> tuple[str, ...]:
        """Return the last convolution of each size after a layer, nearest first; the answer itself is none of them."""
        begin = self.part(name).order
        last = {p.sizes: p for p in self.parts if p.convolves and p.order > begin and p.places > 1 and not p.final}
        return tuple(p.name for p in sorted(last.values(), key=lambda p: p.order))


def _grown(parts: tuple[Part, ...], first: Part, then: Part) -> bool:
    """Return True if between two layers the answers had another size (the way up of a segmenter has begun)."""
    return any(first.order < p.order < then.order and p.sizes != first.sizes for p in parts)


def layers_of(model: Any) -> dict[str, Any]:
    """Return every layer and operation inside a network by its path of names; shared ones under their first."""
    found: dict[str, Any] = {}
    seen: set[int] = set()

    def walk(owner: Any, path: str) -> None:
        for part in _inside(owner):
            if id(part) in seen or isinstance(part, keras.layers.InputLayer):
                continue
            seen.add(id(part))
            name = base = f"{path}{part.name}"
            number = 1
            while name in found:
                number += 1
                name = f"{base}_{number}"
            found[name] = part
            walk(part, f"{name}/")

    seen.add(id(model))
    walk(model, "")
    return found


def _inside(owner: Any) -> list[Any]:
    """Return the layers and operations directly inside one, in the order it lists them."""
    if isinstance(owner, keras.Model):
        return list(getattr(owner, "operations", owner.layers))
    if not isinstance(owner, keras.layers.Layer):
        return []
    found = []
    for value in vars(owner).values():
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        found += [v for v in inner if isinstance(v, keras.layers.Layer)]
    return found


def study(model: Any, shape: tuple[int, ...]) -> Anatomy:
    """Run a network on a stand-in of `shape` (batch, *spatial, channel) and note what each layer gives."""
    layers = layers_of(model)
    calls: list[tuple[str, Any]] = []
    rank = len(shape)

    def watched(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            out = inner(*arguments, **named)
            calls.append((name, out))
            return out

        return call

    answers: list[Any] = []
    rectified: list[None] = []
    module, relu = gradients.relu_place()
    plain = getattr(module, relu)

    def counted(*arguments: Any, **named: Any) -> Any:
        rectified.append(None)
        return plain(*arguments, **named)

    changes = [(layer, "call", watched(name, layer.call)) for name, layer in layers.items()]
    changes.append((module, relu, counted))
    with changed(changes):
        gradients.survey(lambda x: answers.append(model(x, training=False)), shape)
    final = answers[-1]
    last: dict[str, tuple[int, Any]] = {}
    count: dict[str, int] = {}
    for order, (name, out) in enumerate(calls):
        last[name] = (order, out)
        count[name] = count.get(name, 0) + 1
    parts = []
    for name, (order, out) in sorted(last.items(), key=lambda item: item[1][0]):
        layer = layers[name]
        sizes: tuple[Any, ...] = getattr(out, "shape", ())
        if len(sizes) != rank or isinstance(layer, keras.Model) or not isinstance(layer, keras.layers.Layer):
            continue
        if any(n is None for n in sizes[1:]):
            continue
        places = tuple(int(n) for n in sizes[1:-1])
        parts.append(Part(name, layer, count[name], places, int(sizes[-1]), order, out is final))
    ends = [layers[name] for name, out in calls if out is final and not isinstance(layers[name], keras.Model)]
    head = next((change for end in ends if (change := _beheaded(end)) is not None), None)
    return Anatomy(tuple(parts), head, len(rectified))


def _beheaded(layer: Any) -> tuple[Any, str, Any] | None:
    if type(layer).__name__.lower() in _HEADS:
        return layer, "call", _identity
    if getattr(getattr(layer, "activation", None), "__name__", "") in _HEADS:
        return layer, "activation", keras.activations.linear
    return None


def _identity(x: Any, *_: Any, **__: Any) -> Any:
    return x


def surgery(changes: list[tuple[Any, str, Any]], part: Part | None) -> gradients.Surgery:
    """Return what opens a network for one traced pass: `changes` hold, and the last answer of `part` is caught."""

    @contextmanager
    def opened(probe: Any) -> Iterator[list[Any]]:
        caught: list[Any] = []
        calls = 0
        more = []
        if part is not None:
            wanted = part
            inner = wanted.layer.call

            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal calls
                calls += 1
                out = inner(*arguments, **named)
                if calls < wanted.calls:
                    return out
                out = keras.ops.cast(out, "float32") + probe
                caught.append(out)
                return out

            more = [(wanted.layer, "call", call)]
        with changed([*changes, *more]):
            yield caught

    return opened


@contextmanager
def changed(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Let attributes of instances and modules be something else for a while; Keras's bookkeeping does not see it."""
    before = [(owner, name, name in vars(owner), vars(owner).get(name)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            vars(owner)[name] = value
        yield
    finally:
        for owner, name, had, old in reversed(before):
            if had:
                vars(owner)[name] = old
            else:
                vars(owner).pop(name, None)
