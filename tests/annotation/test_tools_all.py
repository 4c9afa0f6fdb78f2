"""What holds for every tool: locked classes, edit and inverse, purity, type, empty masks, empty edits."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medcnn.annotation import tools
from napari_medcnn.annotation.edits import Edit
from napari_medcnn.annotation.tools import (
    between,
    brush,
    combine,
    flood,
    grow,
    holes,
    islands,
    lasso,
    margin,
    model,
    parts,
    refine,
    seeds,
    smooth,
)
from napari_medcnn.annotation.tools.brush import Brush, Range
from napari_medcnn.annotation.tools.mask import Mask, Plane
from napari_medcnn.errors import InputError

MM = (5.0, 0.7, 1.3)
SHAPE = (5, 14, 12)
DTYPES = [np.uint8, np.int8, np.uint16, np.int32, np.uint64]
SCAN = np.random.default_rng(1).integers(-50, 50, SHAPE).astype(np.int16)


def classes(seed: int, dtype=np.uint8) -> np.ndarray:
    """Return five classes in lumps, so that there are pieces, holes and gaps."""
    rng = np.random.default_rng(seed)
    array = np.zeros(SHAPE, dtype)
    for _ in range(12):
        low = [int(rng.integers(0, n)) for n in SHAPE]
        box = tuple(slice(i, i + int(rng.integers(1, 6))) for i in low)
        array[box] = rng.integers(0, 5)
    array[rng.random(SHAPE) > 0.9] = 0
    return array


@dataclass(frozen=True)
class Case:
    """What a tool is called with; not every tool uses everything."""

    mask: Mask
    place: tuple[int, int, int]
    label: int
    other: int
    size: float
    plane: Plane | None
    seed: int

    @property
    def axis(self) -> int:
        return self.seed % 3

    @property
    def flat(self) -> Plane:
        return self.plane or Plane(self.axis, self.place[self.axis])

    @property
    def second(self) -> np.ndarray:
        return classes(self.seed + 1)

    @property
    def box(self) -> tuple[slice, ...]:
        return tuple(slice(i - 3, i + 4) for i in self.place)

    @property
    def path(self) -> list[tuple[float, ...]]:
        return [self.place, (*self.place[:2], self.place[2] + self.size)]


def disc(c: Case) -> Brush:
    return Brush(c.size, 0, Range(-30, 30))


TOOLS = {
    brush.paint: [
        lambda c: brush.paint(c.mask, Brush(c.size), c.path, c.label),
        lambda c: brush.paint(c.mask, disc(c), c.path, c.label, SCAN),
        lambda c: brush.paint(c.mask, Brush(c.size), c.path, 0),
    ],
    lasso.fill_polygon: [
        lambda c: lasso.fill_polygon(c.mask, c.flat, [(0, 0), (3, 9), (8, 2)], c.label, SCAN, Range(-40, 40)),
    ],
    flood.fill: [lambda c: flood.fill(c.mask, c.place, c.label, c.plane, open_too=bool(c.seed % 2))],
    grow.grow_to: [
        lambda c: grow.grow_to(
            c.mask, grow.flood_levels(c.mask, SCAN, c.place, grow.Reach(8.0, c.plane)), 0.0, c.label
        ),
    ],
    between.fill_between: [
        lambda c: between.fill_between(c.mask, c.axis),
        lambda c: between.fill_between(c.mask, 0, [c.label], drawn=[0, 4]),
    ],
    seeds.grow_seeds: [
        lambda c: seeds.grow_seeds(c.mask, SCAN, seeds.Growing(background=c.other)),
        lambda c: seeds.grow_seeds(c.mask, SCAN, seeds.Growing(margin_mm=2.0), seeds=sparse(c.second)),
        lambda c: seeds.grow_seeds(c.mask, SCAN, seeds.Growing("random walker"), c.box),
    ],
    refine.refine: [
        lambda c: refine.refine(c.mask, SCAN, sparse(c.second), refine.Refining(3.0, background=c.other)),
        lambda c: refine.refine(c.mask, SCAN, sparse(c.second), refine.Refining(3.0), thought(c.seed)),
    ],
    islands.keep_piece: [lambda c: islands.keep_piece(c.mask, c.place, c.plane)],
    islands.remove_piece: [lambda c: islands.remove_piece(c.mask, c.place, c.plane)],
    islands.give_piece: [lambda c: islands.give_piece(c.mask, c.place, c.label, c.plane)],
    islands.keep_largest: [lambda c: islands.keep_largest(c.mask, c.label, c.plane)],
    islands.remove_small: [lambda c: islands.remove_small(c.mask, c.label, c.size * 10, None, c.plane)],
    islands.split: [lambda c: islands.split(c.mask, c.label, range(20, 100), c.plane)],
    holes.fill_holes: [
        lambda c: holes.fill_holes(c.mask, c.label, c.axis),
        lambda c: holes.fill_holes(c.mask, c.label, plane=c.plane),
    ],
    smooth.smooth: [
        lambda c: smooth.smooth(c.mask, c.label, "median", c.size, c.plane),
        lambda c: smooth.smooth(c.mask, c.label, "gaussian", c.size, c.plane),
        lambda c: smooth.smooth(c.mask, c.label, "opening", c.size, c.plane),
        lambda c: smooth.smooth(c.mask, c.label, "closing", c.size, c.plane),
    ],
    margin.margin: [
        lambda c: margin.margin(c.mask, c.label, c.size, c.plane),
        lambda c: margin.margin(c.mask, c.label, -c.size, c.plane),
    ],
    combine.threshold: [
        lambda c: combine.threshold(c.mask, SCAN, Range(-10, 20), c.label, c.box),
        lambda c: combine.threshold(c.mask, SCAN, Range(-10, 20), c.label, inside=c.other),
        lambda c: combine.threshold(c.mask, SCAN, Range(-10, 20), 0),
    ],
    combine.combine: [
        lambda c: combine.combine(c.mask, c.label, c.second, c.other, "union"),
        lambda c: combine.combine(c.mask, c.label, c.second, c.other, "intersect"),
        lambda c: combine.combine(c.mask, c.label, c.second, c.other, "subtract"),
    ],
    combine.copy_slice: [
        lambda c: combine.copy_slice(c.mask, c.flat, max(c.flat.index - 1, 0), replace=bool(c.seed % 2)),
        lambda c: combine.copy_slice(c.mask, c.flat, max(c.flat.index - 1, 0), [c.label]),
    ],
    model.accept_model: [
        lambda c: model.accept_model(c.mask, c.box, c.second),
        lambda c: model.accept_model(c.mask, c.box, c.second, [c.label]),
    ],
    model.reject_model: [lambda c: model.reject_model(c.mask, c.box, c.second)],
}
CALLS = [(f"{tool.__name__}-{i}", call) for tool, calls in TOOLS.items() for i, call in enumerate(calls)]


#: These take the very voxels that the call names, whatever may be overwritten else.
TAKES_WHAT_IS_NAMED = ("give_piece", "split", "threshold-1", "fill_between-1", "copy_slice", "accept", "reject")
#: These take no scan and no second mask of the volume's size, and no limit in mm3.
FLAT_TOOLS = ("fill-", "fill_between", "keep", "remove_piece", "give", "split", "fill_holes", "smooth", "margin")
FLAT = [(name, call) for name, call in CALLS if name.startswith(FLAT_TOOLS)]


def sparse(array: np.ndarray) -> np.ndarray:
    return np.where(np.arange(array.size).reshape(array.shape) % 11 == 0, array, 0)


def thought(seed: int) -> refine.Thought:
    chance = np.random.default_rng(seed).random((*SHAPE, 4))
    return refine.Thought((0, 1, 3, 4), (chance / chance.sum(axis=-1, keepdims=True)).astype(np.float16))


def test_every_tool_is_in_the_table() -> None:
    """A public function of the package that returns an edit and is not called below is not tested by them."""
    found = set()
    for entry in pkgutil.iter_modules(tools.__path__):
        module = importlib.import_module(f"{tools.__name__}.{entry.name}")
        for name, value in vars(module).items():
            ours = inspect.isfunction(value) and value.__module__ == module.__name__
            if ours and not name.startswith("_") and value.__annotations__.get("return") == "Edit":
                found.add(value)
    assert found - {parts.reshape_class} == set(TOOLS)
    assert len(found) > 20


@st.composite
def cases(draw) -> Case:
    seed = draw(st.integers(0, 9999))
    array = classes(seed, draw(st.sampled_from(DTYPES)))
    over = draw(st.sampled_from([None, None, {0, 1}, {0, 1, 2, 3, 4}]))
    mask = Mask(array, MM, draw(st.frozensets(st.integers(0, 4), max_size=2)), over)
    place = tuple(draw(st.integers(0, n - 1)) for n in SHAPE)
    axis = draw(st.sampled_from([None, 0, 1, 2]))
    plane = None if axis is None else Plane(axis, place[axis])
    label, other = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return Case(mask, place, label, other, draw(st.sampled_from([0.7, 1.3, 2.9, 6.0])), plane, seed)


def made(call, case: Case) -> Edit | None:
    """Return the edit, or None where the tool refuses in words."""
    try:
        return call(case)
    except InputError as error:
        assert len(str(error)) > 20
        return None


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
@given(case=cases())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_what_holds_for_every_tool(name: str, call, case: Case) -> None:
    before = case.mask.array.copy()
    edit = made(call, case)
    assert np.array_equal(case.mask.array, before)  # pure: nothing is written before apply
    if edit is None:
        return
    assert edit.before.dtype == edit.after.dtype == before.dtype
    array = before.copy()
    edit.apply(array)
    assert array.dtype == before.dtype
    assert int((array != before).sum()) == edit.changed
    for label in case.mask.locked:
        assert np.array_equal(array == label, before == label)
    if case.mask.over is not None and not name.startswith(TAKES_WHAT_IS_NAMED):
        # what may not be overwritten goes to no other class; a class that shrinks leaves background
        kept = ~np.isin(before, sorted(case.mask.over))
        assert ((array == 0) | (array == before))[kept].all()
    edit.inverse.apply(array)
    assert np.array_equal(array, before)


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
def test_no_tool_refuses_everything(name: str, call) -> None:
    """Of a few dozen masks without locks at least one is changed; else the test above would prove nothing."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        place = tuple(int(rng.integers(0, n)) for n in SHAPE)
        case = Case(Mask(classes(seed), MM), place, 1 + seed % 4, 1 + (seed + 1) % 4, 2.9, None, seed)
        edit = made(call, case)
        if edit is not None and edit.changed:
            return
    raise AssertionError(f"{name} changed nothing in 60 masks")


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
def test_an_empty_mask_gives_an_empty_edit_or_an_error_in_words(name: str, call) -> None:
    """What makes voxels from nothing (brush, lasso, region, scribbles, seeds, a model) is allowed to."""
    case = Case(Mask(np.zeros(SHAPE, np.uint8), MM), (2, 5, 5), 1, 2, 2.9, None, 0)
    edit = made(call, case)
    makes = ("paint-0", "paint-1", "fill_polygon", "fill-", "grow", "refine", "threshold-0", "combine-0", "accept")
    if edit is not None and not name.startswith((*makes, "reject")):
        assert edit.changed == 0


@pytest.mark.parametrize(("name", "call"), FLAT, ids=[name for name, _ in FLAT])
def test_a_picture_is_a_mask_of_one_slice(name: str, call) -> None:
    """z has no say in a picture, whatever its spacing."""
    for seed in range(4):
        array = classes(seed)[2:3]
        case = Case(Mask(array, MM), (0, 5, 5), 1 + seed % 4, 2, 1.5, None, 3 * seed)
        results = []
        for spacing in (MM, (0.01, *MM[1:])):
            edit = made(call, replace(case, mask=Mask(array, spacing)))
            written = array.copy()
            if edit is not None:
                edit.apply(written)
            results.append(written)
        assert np.array_equal(*results)
