"""Fill between slices against shapes that are known: exact for cylinders, within a stated share for cones."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medcnn.annotation.tools.between import fill_between
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.errors import Cancelled, InputError

MM = (5.0, 0.7, 1.3)


def done(mask: Mask, edit) -> np.ndarray:
    array = mask.array.copy()
    edit.apply(array)
    return array


def sections(whole: np.ndarray, kept, axis: int) -> np.ndarray:
    drawn = np.zeros_like(whole)
    at = [slice(None)] * 3
    for index in kept:
        at[axis] = index
        drawn[tuple(at)] = whole[tuple(at)]
    return drawn


def solid(shape, spacing, axis: int, radius_at) -> np.ndarray:
    """Return a solid of discs around the middle: radius in mm at each slice across an axis."""
    out = np.zeros(shape, np.uint8)
    flat = [a for a in range(3) if a != axis]
    grids = [(np.arange(shape[a]) - shape[a] / 2 + 0.5) * spacing[a] for a in flat]
    away = np.hypot(grids[0][:, None], grids[1])
    for index in range(shape[axis]):
        at = [slice(None)] * 3
        at[axis] = index
        out[tuple(at)] = away <= radius_at(index)
    return out


@pytest.mark.parametrize("axis", range(3))
def test_a_cylinder_is_restored_exactly(axis: int) -> None:
    shape = [60, 60, 60]
    shape[axis] = 25
    spacing = (1.7, 0.7, 1.3)
    whole = solid(shape, spacing, axis, lambda i: 12.0 if 3 <= i <= 21 else -1.0)
    mask = Mask(sections(whole, (3, 10, 11, 21), axis), spacing)
    assert np.array_equal(done(mask, fill_between(mask, axis)), whole)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(("name", "lost"), [("cone", 0.0), ("ellipsoid", 0.0135)])
def test_cones_and_ellipsoids_keep_their_volume(name: str, lost: float, axis: int) -> None:
    """Sections 5 slices apart. A cone's radius is linear, as the method is: nothing is lost.

    Of an ellipsoid r^2 = R^2 (1 - u^2), u = z / L, chords h apart lose h^2 / 12 times the integral of 2 pi r |r''|,
    with r r'' = -R^2 / L^2 - r'^2: for L = 24 and h = 5 slices from u = -20/24 to 20/24 that is 1.35 % of its volume.
    """
    shape = [80, 80, 80]
    shape[axis] = 41
    spacing = [0.7, 0.8, 0.6]
    spacing[axis] = 1.5
    if name == "cone":
        whole = solid(shape, spacing, axis, lambda i: 22.0 - 0.4 * i)
    else:
        whole = solid(shape, spacing, axis, lambda i: 22.0 * np.sqrt(max(0.0, 1 - ((i - 20) / 24) ** 2)))
    mask = Mask(sections(whole, range(0, 41, 5), axis), spacing)
    made = done(mask, fill_between(mask, axis))
    volume = int(whole.sum())
    assert (int(made.sum()) - volume) / volume == pytest.approx(-lost, abs=0.004)
    # the outline is known to half a voxel
    assert np.count_nonzero(made != whole) / volume < 0.03


def test_uneven_pixels_are_measured_in_mm() -> None:
    """Halfway between discs of 6 and 12 mm lies a disc of 9 mm: round in mm, though not in pixels."""
    spacing = (4.0, 0.5, 2.0)
    whole = solid((3, 81, 31), spacing, 0, lambda i: 6.0 + 3.0 * i)
    mask = Mask(sections(whole, (0, 2), 0), spacing)
    made = done(mask, fill_between(mask))
    distance = np.hypot(((np.arange(81) - 40) * 0.5)[:, None], (np.arange(31) - 15) * 2.0)
    # a border is known to half a pixel, of 2 mm along x
    assert made[1][distance <= 8.0].all()
    assert not made[1][distance > 10.0].any()
    assert made[1, :, 15].sum() == pytest.approx(2 * 9.0 / 0.5 + 1, abs=2)


def test_only_slices_between_drawn_ones_are_written() -> None:
    whole = solid((20, 30, 30), MM, 0, lambda _: 6.0)
    mask = Mask(sections(whole, (4, 8, 15), 0), MM)
    edit = fill_between(mask)
    made = done(mask, edit)
    assert np.flatnonzero(made.any(axis=(1, 2))).tolist() == list(range(4, 16))
    assert edit.box[0] == slice(5, 15)
    one = Mask(sections(whole, (4,), 0), MM)
    assert fill_between(one).changed == 0
    assert fill_between(Mask(np.zeros((4, 5, 6), np.int32), MM)).changed == 0


def test_classes_do_not_overwrite_each_other() -> None:
    """A cylinder of class 1 with a class 2 ring around and a locked class 3 that is in the way."""
    inner = solid((11, 40, 40), MM, 0, lambda _: 5.0)
    outer = solid((11, 40, 40), MM, 0, lambda _: 11.0)
    drawn = sections(np.where(inner, 1, outer * 2).astype(np.uint8), (0, 10), 0)
    drawn[5, :, 20:] = 3
    for locked in ((), (3,)):
        mask = Mask(drawn, MM, locked)
        made = done(mask, fill_between(mask))
        assert (made[5, :, 20:] == 3).all()
        free = drawn == 0
        free[[0, 10]] = False
        assert np.array_equal(made == 1, np.where(free, inner, drawn == 1))
        assert np.array_equal(made == 2, np.where(free, outer & (inner == 0), drawn == 2))
    only = done(Mask(drawn, MM), fill_between(Mask(drawn, MM), labels=[2]))
    assert np.array_equal(only == 1, drawn == 1)
    with pytest.raises(InputError, match="locked"):
        fill_between(Mask(drawn, MM, {2}), labels=[2])


def test_where_two_classes_meet_by_hand() -> None:
    """In one row: class 1 shrinks from 8 voxels to 2, class 2 grows from 2 to 8; halfway they meet in the middle."""
    drawn = np.zeros((3, 3, 10), np.uint8)
    drawn[0, :, :8], drawn[0, :, 8:] = 1, 2
    drawn[2, :, :2], drawn[2, :, 2:] = 1, 2
    made = done(Mask(drawn, MM), fill_between(Mask(drawn, MM)))
    assert made[1].tolist() == [[1] * 5 + [2] * 5] * 3


def test_of_two_claims_the_deeper_one_wins() -> None:
    """Slice 2: class 1 is 2 voxels deep at x = 4 and 1 at 5; class 2, between -2 and 3 and -1 and 4, is 0.5 and 1.5."""
    drawn = np.zeros((5, 3, 10), np.uint8)
    drawn[0, :, :6] = drawn[4, :, :6] = 1
    drawn[1, :, 6:], drawn[3, :, 2:] = 2, 2
    for labels in ((1, 2), (2, 1)):  # whichever comes first
        turned = np.array([0, *labels], np.uint8)[drawn]
        made = done(Mask(turned, MM), fill_between(Mask(turned, MM)))
        assert made[2].tolist() == [[labels[0]] * 5 + [labels[1]] * 5] * 3


def test_the_border_belongs_to_the_class() -> None:
    """From 5 voxels to 2: at x = 3 the depths are 2 and -2, so halfway the mixture is 0."""
    drawn = np.zeros((3, 3, 10), np.uint8)
    drawn[0, :, :5] = drawn[2, :, :2] = 1
    made = done(Mask(drawn, MM), fill_between(Mask(drawn, MM)))
    assert made[1].tolist() == [[1] * 4 + [0] * 6] * 3


def test_a_slanted_vessel_goes_on() -> None:
    """Two discs of 2 mm that have no voxel in common: in between they lie in between, with their own size."""
    drawn = np.zeros((5, 60, 30), np.uint8)
    grids = np.hypot(((np.arange(60) - 20) * 0.7)[:, None], (np.arange(30) - 12) * 1.3)
    drawn[0] = grids <= 2.0
    drawn[4] = np.roll(drawn[0], 8, axis=0)
    made = done(Mask(drawn, MM), fill_between(Mask(drawn, MM)))
    for z in range(5):
        assert np.array_equal(made[z], np.roll(drawn[0], 2 * z, axis=0))
    drawn[4] = np.roll(drawn[0], 30, axis=0)  # 21 mm away: another thing
    made = done(Mask(drawn, MM), fill_between(Mask(drawn, MM)))
    assert made[2].sum() == 0


def test_named_slices_are_gone_by_and_those_between_made_anew() -> None:
    whole = solid((9, 40, 40), MM, 0, lambda _: 8.0)
    rough = whole.copy()
    rough[2], rough[5] = 0, 1
    rough[4, 0, 0] = 1
    mask = Mask(rough, MM)
    made = done(mask, fill_between(mask, drawn=[0, 8]))
    assert np.array_equal(made, whole)
    assert fill_between(mask, drawn=[3]).changed == 0
    with pytest.raises(InputError, match="drawn"):
        fill_between(mask, drawn=[0, 9])


def test_progress_is_told_and_may_stop_it() -> None:
    mask = Mask(sections(solid((20, 20, 20), MM, 0, lambda _: 5.0), (0, 5, 12, 19), 0), MM)
    told = []
    fill_between(mask, progress=lambda i, n: told.append((i, n)))
    assert told == [(1, 3), (2, 3), (3, 3)]

    def stop(_i: int, _n: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fill_between(mask, progress=stop)
    with pytest.raises(InputError, match="axis"):
        fill_between(mask, 3)
    with pytest.raises(InputError, match="background"):
        fill_between(mask, labels=[0])
