"""Several scans as channels: on the first one's grid, against a function of space and against SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import GeometryError, InputError
from napari_medcnn.imaging.channels import combine

TURNED = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def field(grid, name="Scan", **more):
    """Sample x + 2 y - z, which linear interpolation keeps exactly."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return Volume((grid.index_to_lps(index) @ np.array([1.0, 2.0, -1.0])).astype(np.float32), grid, name=name, **more)


def test_channels_stand_where_the_first_stands():
    first = field(Geometry((5, 6, 7), (2.0, 1.0, 1.0), (10.0, 10.0, 10.0)), "T1", modality="MR")
    turned = Geometry((30, 32, 30), (0.7, 0.9, 1.1), (30.0, 30.0, 30.0), TURNED @ np.diag([1.0, 1.0, -1.0]))
    # wherever its axes run, it covers the first
    centre = first.geometry.index_to_lps([2, 2.5, 3]) - turned.index_to_lps([14.5, 15.5, 14.5])
    turned = Geometry(turned.shape, turned.spacing_mm, tuple(np.array(turned.origin_lps) + centre), turned.direction)
    both = combine([first, field(turned, "FLAIR", notes=("odd",))])
    assert both.axes == "zyxc" and both.geometry == first.geometry and both.channel_names == ("T1", "FLAIR")
    np.testing.assert_allclose(both.array[..., 1], both.array[..., 0], atol=1e-3)
    assert both.modality == "MR"
    assert both.notes == ("FLAIR was resampled onto the grid of T1.", "odd")


def test_outside_stands_the_smallest_value_and_the_share_is_told():
    first = Volume(np.zeros((4, 4, 8), np.int16), Geometry((4, 4, 8)), name="T1")
    half = Volume(np.full((4, 4, 4), 9, np.int16), Geometry((4, 4, 4), origin_lps=(4.0, 0.0, 0.0)), name="T2")
    low = half.array.copy()
    low[0, 0, 0] = -5
    both = combine([first, Volume(low, half.geometry, name="T2")], ("a", "b"))
    assert (both.array[..., :4, 1] == -5).all() and (both.array[1:, 1:, 5:, 1] == 9).all()
    assert both.notes == (
        "b was resampled onto the grid of a; it covers 50% of it, its smallest value stands for the rest.",
    )
    assert both.array.dtype == np.float32
    image = sitk.GetImageFromArray(low.astype(np.float32))
    image.SetOrigin((4.0, 0.0, 0.0))
    reference = sitk.GetImageFromArray(first.array.astype(np.float32))
    np.testing.assert_allclose(
        both.array[..., 1],
        sitk.GetArrayFromImage(sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, -5.0)),
    )


def test_one_grid_keeps_every_value_and_the_dtype():
    a, b = (
        Volume(np.full((1, 3, 4), n, np.uint8), Geometry.picture(3, 4), source={"path": f"{n}.png"}) for n in (1, 2)
    )
    both = combine([a, b])
    assert both.array.dtype == np.uint8 and both.array[0, 0, 0].tolist() == [1, 2] and both.notes == ()
    assert both.source["path"] == "1.png|2.png"
    assert combine([a]) is a


def test_what_cannot_be_combined_is_refused_in_words():
    plain = Volume(np.zeros((3, 3, 3)), Geometry((3, 3, 3)), name="T1")
    unknown = Volume(np.zeros((4, 3, 3)), Geometry((4, 3, 3), spacing_known=False), name="T2")
    far = Volume(np.zeros((4, 3, 3)), Geometry((4, 3, 3), origin_lps=(900.0, 0.0, 0.0)), name="Knee")
    colours = Volume(np.zeros((3, 3, 3, 3)), Geometry((3, 3, 3)), "zyxc", name="RGB")
    with pytest.raises(GeometryError, match="T2 has another grid than T1, and the file of T2 does not state the voxel"):
        combine([plain, unknown])
    with pytest.raises(GeometryError, match="the file of T2 does not state"):
        combine([unknown, plain])
    with pytest.raises(GeometryError, match="the orientation"):
        combine([plain, Volume(np.zeros((4, 3, 3)), Geometry((4, 3, 3), orientation_known=False), name="T2")])
    with pytest.raises(InputError, match="Knee lies elsewhere than T1"):
        combine([plain, far])
    with pytest.raises(InputError, match="RGB has 3 channels of its own"):
        combine([plain, colours])
    with pytest.raises(InputError, match="2 names"):
        combine([plain, plain], ("one",))
    with pytest.raises(InputError, match="at least one"):
        combine([])
