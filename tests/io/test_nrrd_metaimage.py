"""NRRD, .seg.nrrd and MetaImage against pynrrd and SimpleITK, two readers that share no code with ours for voxels."""

from __future__ import annotations

import re
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from cases import ANISOTROPIC_MM, noise
from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import ConsentNeededError, GeometryError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.read import inspect, read, read_labels, read_volume

TURN = Rotation.from_euler("xyz", [12, -7, 25], degrees=True).as_matrix()


def image(dtype: str = "int16", turn=TURN) -> sitk.Image:
    result = sitk.GetImageFromArray(noise((4, 5, 6), dtype="int16").astype(dtype))
    result.SetSpacing(ANISOTROPIC_MM[::-1])
    result.SetOrigin((10.0, -20.5, 33.0))
    result.SetDirection(turn.ravel().tolist())
    return result


def same_as_simpleitk(path: Path) -> None:
    other = sitk.ReadImage(str(path))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(other))
    assert volume.array.dtype == sitk.GetArrayViewFromImage(other).dtype
    np.testing.assert_allclose(volume.geometry.spacing_mm, other.GetSpacing()[::-1], rtol=1e-6)
    np.testing.assert_allclose(volume.geometry.origin_lps, other.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(volume.geometry.direction.ravel(), other.GetDirection(), atol=1e-6)


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_what_simpleitk_writes_row_15(tmp_path: Path, suffix: str, packed: bool, dtype: str) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image(dtype), str(path), packed)
    same_as_simpleitk(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_colour(tmp_path: Path, suffix: str) -> None:
    planes = [sitk.Cast(image(), sitk.sitkUInt8) + k for k in range(3)]
    sitk.WriteImage(sitk.Compose(planes), str(tmp_path / f"c{suffix}"))
    assert read_volume(tmp_path / f"c{suffix}").axes == "zyxc"
    same_as_simpleitk(tmp_path / f"c{suffix}")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_time(tmp_path: Path, suffix: str) -> None:
    frames = [image(), image() + 1]
    path = tmp_path / f"t{suffix}"
    sitk.WriteImage(sitk.JoinSeries(frames), str(path))
    volume = read_volume(path)
    if suffix == ".mha":
        assert volume.axes == "tzyx"
        np.testing.assert_array_equal(volume.array[1], sitk.GetArrayFromImage(frames[1]))
        np.testing.assert_allclose(volume.geometry.spacing_mm, ANISOTROPIC_MM)
    else:
        assert volume.array.shape == (2, 4, 5, 6)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior", "LAS"])
def test_what_pynrrd_writes(tmp_path: Path, encoding: str, space: str) -> None:
    data = noise((4, 5, 6))
    directions = (TURN * np.array([0.7, 0.8, 3.0])).T
    header = {"space": space, "space directions": directions, "space origin": [1.0, 2, 3], "encoding": encoding}
    nrrd.write(str(tmp_path / "p.nrrd"), data, header, index_order="C")
    volume = read_volume(tmp_path / "p.nrrd")
    np.testing.assert_array_equal(volume.array, data)
    signs = {"l": np.array([1, 1, 1]), "r": np.array([-1, -1, 1])}[space[0].lower()]
    signs = np.array([1, -1, 1]) if space == "LAS" else signs
    np.testing.assert_allclose(volume.geometry.origin_lps, signs * np.array([1, 2, 3]))
    np.testing.assert_allclose(volume.geometry.affine_lps[:3, :3], signs[:, None] * directions.T, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    ["BallBinary30x30x30.nhdr", "BallBinary30x30x30.nrrd", "BallBinary30x30x30_byteskip_minus_one.nhdr",
     "BallBinary30x30x30_bz2.nrrd", "BallBinary30x30x30_gz.nrrd", "BallBinary30x30x30_gz_byteskip_minus_one.nrrd",
     "BallBinary30x30x30_gz_lineskip.nrrd", "test2d_ascii.nrrd"],
)  # fmt: skip
def test_real_variants_equal_pynrrd(shared_data, name: str) -> None:
    path = shared_data("nrrd-variants") / name
    expected, _ = nrrd.read(str(path), index_order="C")
    np.testing.assert_array_equal(read_volume(path).array.reshape(expected.shape), expected)


def test_row_8_spacing_that_is_none(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "n.nrrd"), noise((4, 5, 6)), {"spacings": [0.7, np.nan, 3.0]}, index_order="C")
    volume = read_volume(tmp_path / "n.nrrd")
    assert not volume.geometry.spacing_known
    assert volume.geometry.orientation is None
    sitk.WriteImage(image(), str(tmp_path / "m.mha"))
    text = (tmp_path / "m.mha").read_bytes()
    (tmp_path / "m.mha").write_bytes(re.sub(rb"ElementSpacing = [^\n]*", b"ElementSpacing = 0 -0.8 3", text))
    assert not read_volume(tmp_path / "m.mha").geometry.spacing_known
    lines = [line for line in text.split(b"\n") if not line.startswith(b"ElementSpacing")]
    (tmp_path / "m.mha").write_bytes(b"\n".join(lines))
    assert not read_volume(tmp_path / "m.mha").geometry.spacing_known


def test_row_12_sheared_and_singular(tmp_path: Path) -> None:
    header = {"space": "left-posterior-superior", "space origin": [0, 0, 0]}
    sheared = header | {"space directions": [[1, 0, 0], [0, 1, 0], [0, 0.5, 2]]}
    nrrd.write(str(tmp_path / "s.nrrd"), noise((4, 5, 6)), sheared, index_order="C")
    with pytest.raises(ConsentNeededError, match="sheared"):
        read(tmp_path / "s.nrrd")
    assert read_volume(tmp_path / "s.nrrd", consent=Consent(resample=True)).notes
    singular = header | {"space directions": [[1, 0, 0], [1, 0, 0], [0, 0, 2]]}
    nrrd.write(str(tmp_path / "x.nrrd"), noise((4, 5, 6)), singular, index_order="C")
    for resample in (False, True):
        with pytest.raises(GeometryError, match="singular"):
            read(tmp_path / "x.nrrd", consent=Consent(resample=resample))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("packed", [False, True])
def test_row_1_cut_files_never_open(tmp_path: Path, suffix: str, packed: bool) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image("float32"), str(path), packed)
    whole = path.read_bytes()
    for keep in (0, 3, 30, 120, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(InputError):
            read(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(IncompleteFileError):
        read(path)


@pytest.mark.parametrize("packed", [False, True])
def test_row_5_claims_are_checked_first(tmp_path: Path, packed: bool) -> None:
    for name, old, new in (("a.mha", b"DimSize = 6 5 4", b"DimSize = 60000 50000 4000"),
                           ("a.nrrd", b"sizes: 6 5 4", b"sizes: 60000 50000 4000")):  # fmt: skip
        sitk.WriteImage(image(), str(tmp_path / name), packed)
        data = (tmp_path / name).read_bytes()
        assert old in data
        (tmp_path / name).write_bytes(data.replace(old, new))
        with pytest.raises(IncompleteFileError, match=r"incomplete|claims"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    "target", ["/etc/hostname", "../secret.raw", "..\\secret.raw", "C:\\x.raw", "sub/../../secret.raw"]
)
@pytest.mark.parametrize("kind", ["mhd", "nhdr"])
def test_row_32_data_outside_the_folder_is_refused(tmp_path: Path, target: str, kind: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(range(8)))
    path = tmp_path / "in" / f"h.{kind}"
    if kind == "mhd":
        path.write_text(
            f"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = {target}\n"
        )
    else:
        path.write_text(f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: {target}\n")
    with pytest.raises(InputError, match="refused"):
        read(path)


def test_row_32_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(range(8)))
    (tmp_path / "in" / "link.raw").symlink_to(tmp_path / "secret.raw")
    path = tmp_path / "in" / "h.mhd"
    path.write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = link.raw\n"
    )
    with pytest.raises(InputError, match="link out"):
        read(path)


def test_real_segmentation_has_slicers_names_and_colours(shared_data) -> None:
    path = shared_data("slicer-ct-segnrrd/Segmentation.seg.nrrd")
    data, header = nrrd.read(str(path), index_order="C")
    mask = read(path)
    assert isinstance(mask, LabelMap)
    np.testing.assert_array_equal(mask.array, data)
    first = int(header["Segment0_LabelValue"])
    assert mask.labels.by_id(first).name == header["Segment0_Name"]
    assert mask.labels.by_id(first).colour == tuple(round(255 * float(c)) for c in header["Segment0_Color"].split())
    scan = read(shared_data("slicer-ct-segnrrd/CTChest4.nrrd"))
    assert scan.geometry.same_grid(mask.geometry)


def test_overlapping_segments_come_layer_by_layer(shared_data) -> None:
    path = shared_data("slicer-ct-segnrrd/SegmentationOverlapping.seg.nrrd")
    data, header = nrrd.read(str(path))
    assert [item.id for item in inspect(path).items] == ["layer-0", "layer-1"]
    with pytest.raises(InputError, match="layer-0, layer-1"):
        read(path)
    for layer in (0, 1):
        mask = read_labels(path, f"layer-{layer}")
        np.testing.assert_array_equal(mask.array, data[layer].T)
        named = {header[f"Segment{k}_Name"] for k in range(9) if header.get(f"Segment{k}_Layer") == str(layer)}
        assert named <= set(mask.labels.names)
        assert named


def test_row_61_a_megabyte_of_header_text_is_cut(tmp_path: Path) -> None:
    head = "NRRD0005\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nspacings: 1 1 1\n"
    name = "<b>liver</b>\t\x1b[31m" + "x" * 1_000_000
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(
        (head + f"Segment0_ID:=a\nSegment0_Name:={name}\nSegment0_LabelValue:=1\n\n").encode() + bytes([0, 1] * 4)
    )
    (label,) = read_labels(path).labels
    assert len(label.name) <= 200
    assert label.name.isprintable()
    assert label.name.startswith("<b>liver</b>")


def test_unreadable_layouts_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mhd"
    path.write_text("ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LIST\n")
    with pytest.raises(InputError, match="list of data files, got 0"):
        read(path)
    path.write_text("NRRD0004\ntype: block\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nblock size: 4\n\n")
    with pytest.raises(UnsupportedError, match="block"):
        read(path)
