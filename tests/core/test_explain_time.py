"""How long a question takes: every number is counted by hand."""

from __future__ import annotations

import pytest

from napari_medcnn.core.explain_time import (
    Extent,
    Passes,
    check_passes,
    forecast,
    map_passes,
    patches,
    score_count,
    windows_along,
)
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import METHODS, Pace

#: One slice of 64 x 64 in one window; a volume of 2 x 1 x 2 windows of 32 that cover 48 x 32 x 48.
FLAT = Extent((1, 1, 1), (1, 64, 64), (1, 64, 64), (1.0, 1.0, 1.0), flat=True)
DEEP = Extent((2, 1, 2), (32, 32, 32), (48, 32, 48), (1.0, 1.0, 1.0), flat=False)


@pytest.mark.parametrize(
    ("method", "flat", "deep"),
    [
        ("grad-cam", Passes(0, 1), Passes(4, 4)),  # several windows are asked a second time, with common weights
        ("gradient", Passes(0, 1), Passes(0, 4)),
        ("eigen-cam", Passes(1, 0), Passes(4, 0)),
        ("smoothgrad", Passes(0, 20), Passes(0, 80)),
        ("integrated-gradients", Passes(2, 64), Passes(8, 256)),
        ("score-cam", Passes(10 + 2, 0), Passes(4 * 12, 0)),
    ],
)
def test_passes_of_a_map(method: str, flat: Passes, deep: Passes) -> None:
    assert map_passes(ExplainOptions(method), FLAT, channels=10) == flat
    assert map_passes(ExplainOptions(method), DEEP, channels=10) == deep


def test_passes_of_occlusion() -> None:
    # patches of 64 / 8 = 8 every 4: starts 0, 4, ..., 56 and 60, moved to 56: 15 along each side
    assert map_passes(ExplainOptions("occlusion"), FLAT) == Passes(1 + 15 * 15)
    # patches of 48 / 6 = 8 every 6: 0, 6, ..., 36, 42 (moved to 40): 8 along 48; 0, ..., 24: 5 along 32
    # each is seen by 2 x (32 + 8 - 1) / 48 = 1.625 windows along z and along x, by 1 along y
    assert map_passes(ExplainOptions("occlusion"), DEEP) == Passes(4 + 845)  # 8 * 5 * 8 * 1.625^2
    wide = ExplainOptions("occlusion", patch_mm=32, stride_mm=32)
    assert map_passes(wide, FLAT) == Passes(1 + 4)


def test_every_method_is_counted_and_a_search_comes_on_top() -> None:
    searched = Extent((1, 1, 1), (1, 64, 64), (1, 64, 64), (1.0, 1.0, 1.0), flat=True, search=9)
    for name in METHODS:
        plain = map_passes(ExplainOptions(name), FLAT)
        assert plain.answers + plain.gradients >= 1
        assert map_passes(ExplainOptions(name), searched) == plain + Passes(9)


def test_a_check_is_eight_maps_and_sixty_two_scores() -> None:
    assert score_count() == 62  # both ends, and 15 points inside each of: best first twice, two random orders
    assert check_passes(Passes(2, 3), "grad-cam", 5) == Passes(8 * 2 + 62 * 5, 8 * 3)
    assert check_passes(Passes(0, 20), "smoothgrad", 1) == Passes(62, 9 * 20)  # once more with another seed


def test_seconds() -> None:
    assert forecast(Passes(10, 4), Pace(0.5, 1.25, start=2.0)) == pytest.approx(12.0)
    assert forecast(Passes(), Pace(0.5, 1.25, start=2.0)) == 0
    assert Pace.of_run(6.0, 4) == Pace(1.5, 3.0)
    assert Pace.of_run(6.0, 0) is None and Pace.of_run(0.0, 4) is None


def test_windows_over_a_region() -> None:
    assert windows_along(3, 9, 16, 16, 0.5) == (1, 6)  # the window holds the whole axis
    assert windows_along(10, 22, 16, 64, 0.5) == (1, 12)  # 12 of 16: with 2 voxels of room on each side
    assert windows_along(10, 40, 16, 64, 0.5) == (4, 8)  # 30 voxels, 8 counted by each


def test_patches_cover_a_box_that_they_do_not_divide() -> None:
    found = patches((slice(0, 1), slice(2, 12), slice(0, 4)), (5.0, 1.0, 2.0), True, ExplainOptions(patch_mm=4.0))
    assert found.sizes == (1, 4, 2) and found.strides == (1, 2, 1)  # 4 mm, every 2 mm, in voxels of 1 and 2 mm
    assert [s.start for s in found.along[1]] == [2, 4, 6, 8] and [s.start for s in found.along[2]] == [0, 1, 2]
    assert found.count == 12 == len(list(found.boxes()))
