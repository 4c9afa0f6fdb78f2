"""Look, open, convert, save: shapes of answers, grids by nibabel, refusals by name."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cases import noise
from napari_medcnn.core.events import Cancel, result_of
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.results import Classification, Provenance
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io.read import read_labels
from napari_medcnn.verbs import convert, info, save
from napari_medcnn.verbs import open as open_verb
from tiny_packages import AFFINE, nifti, nifti_mask, photo

ITEM_KEYS = [
    "id", "kind", "axes", "shape", "dtype", "spacing_mm", "affine_lps", "orientation", "modality", "series_uid",
    "warnings", "report",
]  # fmt: skip


def look(path: Path) -> dict:
    return json.loads(json.dumps(info.to_json(result_of(info.run(info.InfoRequest(path), Cancel()))), allow_nan=False))


def test_info_of_a_volume_is_the_contracts_shape(tmp_path: Path) -> None:
    data = look(nifti(tmp_path / "scan.nii.gz"))
    assert list(data) == ["path", "items"]
    (item,) = data["items"]
    assert list(item) == ITEM_KEYS
    assert (item["kind"], item["axes"], item["shape"], item["dtype"]) == ("volume", "zyx", [4, 5, 6], "int16")
    assert item["spacing_mm"] == pytest.approx([3.0, 0.8, 0.7])
    np.testing.assert_allclose(item["affine_lps"], np.diag([-1, -1, 1, 1]) @ AFFINE, atol=1e-5)
    assert item["orientation"] == "LSA"  # of RAS: x runs to Left, y to Superior, z to Anterior
    assert item["warnings"] == []
    assert item["report"] == {"found": [], "assumed": [], "refused": [], "asks": ""}


def test_info_of_a_picture_states_no_size_in_mm(tmp_path: Path) -> None:
    (item,) = look(photo(tmp_path / "eye.png"))["items"]
    assert list(item) == ITEM_KEYS
    assert item["kind"] == "picture"
    assert item["spacing_mm"] is None and item["affine_lps"] is None and item["orientation"] is None
    assert dict(zip(item["axes"], item["shape"], strict=True)) == {"z": 1, "y": 9, "x": 12, "c": 3}


def test_info_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MedcnnError, match=r"gone\.nii"):
        look(tmp_path / "gone.nii")


def test_open_gives_a_scan(tmp_path: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    value = result_of(open_verb.run(open_verb.OpenRequest(path), Cancel()))
    assert isinstance(value, Volume)
    np.testing.assert_array_equal(value.array.T, np.asarray(nibabel.load(path).dataobj))


@pytest.mark.parametrize("name", ["out.nii", "out.nrrd", "out.mha"])
def test_convert_keeps_values_and_grid(tmp_path: Path, name: str) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    written = result_of(convert.run(convert.ConvertRequest(path, tmp_path / name), Cancel()))
    assert written == tmp_path / name
    back = tmp_path / "back.nii.gz"
    result_of(convert.run(convert.ConvertRequest(written, back), Cancel()))
    before, after = nibabel.load(path), nibabel.load(back)
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)


def test_convert_onto_itself_is_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    before = path.read_bytes()
    with pytest.raises(InputError, match="same file"):
        result_of(convert.run(convert.ConvertRequest(path, path), Cancel()))
    assert path.read_bytes() == before


def test_convert_of_several_items_lists_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        nifti(tmp_path / "folder" / f"{name}.nii.gz")
    with pytest.raises(InputError, match=r"holds 2 items.*--item.*a.*b") as caught:
        result_of(convert.run(convert.ConvertRequest(tmp_path / "folder", tmp_path / "o.nii"), Cancel()))
    assert not (tmp_path / "o.nii").exists()
    ids = [item["id"] for item in look(tmp_path / "folder")["items"]]
    assert all(i in str(caught.value) for i in ids)
    result_of(convert.run(convert.ConvertRequest(tmp_path / "folder", tmp_path / "o.nii", ids[1]), Cancel()))
    assert (tmp_path / "o.nii").is_file()


PROVENANCE = Provenance({"name": "m"}, {}, {}, "cpu", {"sha256": "00"}, "2026-11-21T00:00:00+00:00")


def test_save_writes_the_record_beside_the_mask(tmp_path: Path) -> None:
    array = np.zeros((4, 5, 6), np.uint8)
    array[1, 2, 3] = 2
    mask = LabelMap(array, Geometry((4, 5, 6), (3.0, 0.8, 0.7)), LabelSet.from_names(["bright"], 2))
    path = result_of(save.run(save.SaveRequest(mask, tmp_path / "m.seg.nrrd", PROVENANCE), Cancel()))
    back = read_labels(path)
    np.testing.assert_array_equal(back.array, array)
    assert back.labels.names == ("bright",)
    assert json.loads((tmp_path / "m.provenance.json").read_text())["model"] == {"name": "m"}


def test_save_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    volume = Volume(noise((2, 3, 4)), Geometry((2, 3, 4)))
    with pytest.raises(InputError, match="no such folder"):
        result_of(save.run(save.SaveRequest(volume, tmp_path / "no" / "x.nii"), Cancel()))


def test_save_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a scan, a mask or a result, got dict"):
        result_of(save.run(save.SaveRequest({}, tmp_path / "x.nii"), Cancel()))  # type: ignore[arg-type]


def test_class_scores_as_json_and_table(tmp_path: Path) -> None:
    result = Classification({"well": 0.25, "ill": 0.75}, ("ill",), PROVENANCE)
    result_of(save.run(save.SaveRequest(result, tmp_path / "c.json"), Cancel()))
    assert json.loads((tmp_path / "c.json").read_text())["classes"] == {"well": 0.25, "ill": 0.75}
    result_of(save.run(save.SaveRequest(result, tmp_path / "c.csv"), Cancel()))
    assert (tmp_path / "c.csv").read_text() == "input,class,p_well,p_ill\n00,ill,0.250000,0.750000\n"
    with pytest.raises(InputError, match=r"\.csv or \.json"):
        result_of(save.run(save.SaveRequest(result, tmp_path / "c.nii"), Cancel()))


def test_mask_converts_as_a_mask(tmp_path: Path) -> None:
    ids = np.zeros((6, 5, 4), np.uint8)
    ids[1:4, 2, 1] = 3
    path = nifti_mask(tmp_path / "m.nii.gz", ids)
    result_of(convert.run(convert.ConvertRequest(path, tmp_path / "m.nrrd"), Cancel()))
    np.testing.assert_array_equal(read_labels(tmp_path / "m.nrrd").array.T, ids)
