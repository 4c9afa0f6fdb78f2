"""Model packages: written whole, read strictly, and refused by name when anything is not what the card says."""

from __future__ import annotations

import os
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from cases import REPOSITORY
from keras_files import conv, functional, layer, write_keras
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation
from napari_medcnn.errors import IncompleteFileError, ModelError, SaveError, UnsafeModelError
from napari_medcnn.io import package_zip
from napari_medcnn.io.package_yaml import dump_yaml, load_yaml
from napari_medcnn.io.packages import (
    BrokenPackage,
    Package,
    find_model,
    list_models,
    load_tests,
    package_from_keras,
    read_package,
    write_package,
)

TEST_PACKAGE = REPOSITORY / "tests" / "data" / "phantom-thresholds"


def card(**changes: object) -> ModelSpec:
    fields: dict = {
        "name": "nerves",
        "title": "Nerves & Gefäße",
        "task": "segmentation",
        "preparation": Preparation(2, 1, steps=(("clip", {"low": 0.0, "high": 9.5}),)),
        "labels": LabelSet((Label(1, "Nerv", (1, 2, 3), "SCT:3057000"), Label(4, "no", (9, 9, 9)))),
        "decision": Decision((0, 1, 4), True),
        "activation": "softmax",
        "tile": (64, 64),
        "divisor": 8,
        "fingerprint": Fingerprint(("MR",), values=(0.0, 9.5), population="drei Kinder"),
        "licence": "CC-BY-4.0",
        "scores": {"dice": {"mean": 0.8125, "n": 3}},
    }
    return ModelSpec(**{**fields, **changes})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_keras(tmp_path / "trained.keras", functional(conv(3), shape=(None, None, None, 1)))


@pytest.fixture
def package(tmp_path: Path, weights: Path) -> Path:
    rng = np.random.default_rng(0)
    given, answer = rng.random((1, 16, 24, 1), np.float32), rng.random((1, 16, 24, 3), np.float32)
    return write_package(tmp_path / "nerves", card(), weights, given, answer, np.zeros((32, 32, 3), np.uint8))


def edited(package: Path, change: Callable[[dict], None]) -> Path:
    data = yaml.safe_load((package / "rdf.yaml").read_text(encoding="utf-8"))
    change(data)
    (package / "rdf.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return package


def zipped(package: Path, names: dict[str, str] | None = None, compression: int = zipfile.ZIP_STORED) -> Path:
    """Zip a package as anybody would; `names` renames members."""
    target = package.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", compression) as archive:
        for path in package.iterdir():
            archive.write(path, (names or {}).get(path.name, path.name))
    return target


def test_written_and_read_back_equal(package: Path, weights: Path) -> None:
    back = read_package(package)
    assert back.spec.to_json() == card().to_json()
    assert back.spec.labels.by_id(4).name == "no"  # YAML 1.1 would make False of it
    assert back.weights.read_bytes() == weights.read_bytes()
    assert back.spec.sha256 == back.files["weights.keras"]
    assert set(back.files) == {"weights.keras", "test_input.npy", "test_output.npy", "cover.png", "README.md"}
    given, answer = load_tests(back)
    assert given.shape == (1, 16, 24, 1) and answer.shape == (1, 16, 24, 3)
    assert "Research use only" in (package / "README.md").read_text(encoding="utf-8")


def test_equal_input_gives_equal_bytes(tmp_path: Path, weights: Path) -> None:
    one, two = (write_package(tmp_path / n / "same", card(), weights) for n in "ab")
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in two.iterdir()}
    one, two = (write_package(tmp_path / n / "same.zip", card(), weights) for n in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_a_zip_is_as_good_as_a_folder(tmp_path: Path, weights: Path) -> None:
    target = write_package(tmp_path / "nerves.zip", card(), weights)
    back = read_package(target)
    assert back.path == target and back.spec.to_json() == card().to_json()
    assert back.weights.read_bytes() == weights.read_bytes() and target.parent not in back.weights.parents


def test_a_changed_copy_in_the_cache_is_made_anew(tmp_path: Path, weights: Path) -> None:
    target = write_package(tmp_path / "nerves.zip", card(), weights)
    copy = read_package(target).weights
    copy.write_bytes(b"changed")
    assert read_package(target).weights.read_bytes() == weights.read_bytes()


def test_a_model_is_never_overwritten(package: Path, weights: Path) -> None:
    before = (package / "rdf.yaml").read_bytes()
    with pytest.raises(SaveError, match="never overwritten"):
        write_package(package, card(version="2"), weights)
    assert (package / "rdf.yaml").read_bytes() == before


def test_nothing_is_left_behind_by_a_refusal(tmp_path: Path, weights: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(ModelError, match="channels"):
        write_package(folder / "m", card(preparation=Preparation(2, 3)), weights)
    with pytest.raises(ModelError, match="finite"):
        bad = np.full((1, 8, 8, 1), np.nan, np.float32)
        write_package(folder / "m", card(), weights, bad, bad)
    assert list(folder.iterdir()) == []


def test_a_lambda_is_not_packed_row_52(tmp_path: Path) -> None:
    bad = write_keras(tmp_path / "bad.keras", functional(layer("Lambda")))
    with pytest.raises(UnsafeModelError, match="Lambda"):
        package_from_keras(bad, card(), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_row_51_without_a_preparation_record_nothing_is_guessed(package: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.medcnn is missing.*never guessed"):
        read_package(edited(package, lambda rdf: rdf.pop("config")))


@pytest.mark.parametrize("name", ["weights.keras", "test_input.npy", "test_output.npy", "cover.png", "README.md"])
def test_every_file_is_compared_with_its_hash(package: Path, name: str) -> None:
    content = (package / name).read_bytes()
    (package / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match=rf"nerves: {name}.*sha256"):
        read_package(package)
    (package / name).unlink()
    with pytest.raises(IncompleteFileError, match=f"{name} is missing"):
        read_package(package)


def _set(*path: object, value: object) -> Callable[[dict], None]:
    def change(data: dict) -> None:
        for key in path[:-1]:
            data = data[key]  # type: ignore[index]
        data[path[-1]] = value  # type: ignore[index]

    return change


KERAS = ("weights", "keras_v3")


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd", "../weights.keras", "a/weights.keras", "..\\weights.keras", "C:weights.keras", ".hidden.keras",
        "https://example.org/weights.keras", "file:///etc/weights.keras", "weights.keras ", "", None, 7, ["a.keras"],
    ],
)  # fmt: skip
def test_only_plain_names_of_files_in_the_package(package: Path, source: object) -> None:
    with pytest.raises(UnsafeModelError, match=r"keras_v3\.source"):
        read_package(edited(package, _set(*KERAS, "source", value=source)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("attachments", value=[]), "attachments"),
        (_set(*KERAS, "architecture", value="x"), "architecture"),
        (_set("weights", "pytorch_state_dict", value={}), "pytorch_state_dict"),
        (_set("inputs", 0, "preprocessing", value=[]), "preprocessing"),
        (_set("outputs", 0, "postprocessing", value=[{"id": "custom"}]), "postprocessing"),
        (_set("inputs", 0, "axes", 1, "halo", value=4), "halo"),
        (_set("config", "other", value={}), "other"),
        (_set("config", "medcnn", "hook", value="os.system"), "hook"),
        (_set("config", "medcnn", "spec_version", value=2), "spec_version"),
        (_set("config", "medcnn", "task", value="detection"), "task"),
        (_set("format_version", value="0.4.10"), "format_version"),
        (_set("type", value="dataset"), "type"),
        (_set("inputs", value=[]), "inputs"),
        (_set(*KERAS, "sha256", value="abc"), "sha256"),
        (_set("covers", value=["cover.png"]), "covers"),
    ],
)
def test_what_is_outside_the_profile_is_refused_by_name(package: Path, change: Callable, words: str) -> None:
    with pytest.raises(ModelError, match=words) as error:
        read_package(edited(package, change))
    assert str(error.value).startswith("nerves") and "\n" not in str(error.value)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links_are_refused(package: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.keras"
    outside.write_bytes((package / "weights.keras").read_bytes())
    (package / "weights.keras").unlink()
    (package / "weights.keras").symlink_to(outside)
    with pytest.raises(UnsafeModelError, match="link"):
        read_package(package)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x\n", "alias"),
        ("a: 1\na: 2\n", "twice"),
        ("a: " + "[" * 40 + "]" * 40, "deeper"),
        ("a: " + "{a: " * 3000 + "1" + "}" * 3000, "deeper"),
        ("a: !!python/object/apply:os.system ['true']\n", "YAML"),
        ("a: 2026-11-21\n", "date"),
        ("a: .nan\n", "finite"),
        ("1: x\n", "plain word"),
        ("- 1\n", "named entries"),
        ("a: [\n", "YAML"),
        ("", "named entries"),
        ("a: " + "x" * 1_000_001, "bytes"),
    ],
)
def test_yaml_is_read_strictly(text: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_yaml(text.encode(), "rdf.yaml")
    with pytest.raises(ModelError, match="UTF-8"):
        load_yaml(b"a: \xff\xfe", "rdf.yaml")


def test_yaml_there_and_back() -> None:
    data = {"z": ["no", "1", "2026-11-21", "ä: #", None, True, 1.5e-07, -3], "a": {"same": [1], "again": [1]}}
    assert load_yaml(dump_yaml(data), "x") == data
    shared = [1, 2]
    assert load_yaml(dump_yaml({"a": shared, "b": shared}), "x") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("name", ["../weights.keras", "/tmp/weights.keras", "sub/weights.keras", "..\\weights.keras"])
def test_row_33_members_that_point_outside_are_refused_and_nothing_is_written(package: Path, name: str) -> None:
    target = zipped(package, {"weights.keras": name})
    before = set(package.parent.rglob("*"))
    with pytest.raises(UnsafeModelError, match=r"nerves\.zip: file in the zip"):
        read_package(target)
    assert set(package.parent.rglob("*")) == before


def test_row_33_links_and_repeats_in_a_zip(package: Path) -> None:
    target = zipped(package)
    with zipfile.ZipFile(target, "a") as archive:
        link = zipfile.ZipInfo("link.keras")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafeModelError, match="link"):
        read_package(target)
    target = zipped(package)
    with zipfile.ZipFile(target, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("rdf.yaml", "type: model")
    with pytest.raises(UnsafeModelError, match="twice"):
        read_package(target)


def test_rows_6_and_54_a_zip_bomb_is_refused(package: Path) -> None:
    (package / "cover.png").write_bytes(bytes(50_000_000))
    target = zipped(package, compression=zipfile.ZIP_DEFLATED)
    assert target.stat().st_size < 200_000
    with pytest.raises(UnsafeModelError, match="50000000 bytes"):
        read_package(target)


def test_row_54_a_member_that_lies_about_its_size(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream is cut at the declared size, whatever it would give."""
    target = zipped(package)
    with zipfile.ZipFile(target) as archive:
        item = archive.getinfo("rdf.yaml")
        with pytest.raises(UnsafeModelError, match="larger than allowed"):
            package_zip._copy_member(archive, item, package.parent, item.file_size - 1)


def test_a_zip_cut_anywhere_is_named(package: Path) -> None:
    target = zipped(package)
    whole = target.read_bytes()
    for length in range(0, len(whole), 997):
        target.write_bytes(whole[:length])
        with pytest.raises((ModelError, IncompleteFileError), match=r"nerves\.zip"):
            read_package(target)


def test_test_tensors_never_allocate_what_they_claim(package: Path) -> None:
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999,), }"
    (package / "test_input.npy").write_bytes(header.ljust(127) + b"\n")
    with pytest.raises(ModelError, match=r"test_input\.npy is damaged"):
        load_tests(_unchecked(package))
    np.save(package / "test_input.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelError, match=r"test_input\.npy is damaged"):
        load_tests(_unchecked(package))


def _unchecked(folder: Path) -> Package:
    tests = (folder / "test_input.npy", folder / "test_output.npy")
    return Package(folder, card(), folder / "weights.keras", tests, None, None, {}, "3.15.1")


def test_reading_never_uses_the_network(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert read_package(package).spec.name == "nerves"


def test_models_are_listed_with_those_that_are_broken(package: Path) -> None:
    folder = package.parent / "shelf"
    folder.mkdir()
    os.replace(package, folder / "nerves")
    (folder / "broken").mkdir()
    (folder / "broken" / "rdf.yaml").write_text("type: model")
    found = {entry.path.name: entry for entry in list_models(folder)}
    assert isinstance(found["nerves"], Package) and found["nerves"].spec.name == "nerves"
    assert isinstance(found["broken"], BrokenPackage) and "format_version" in str(found["broken"].error)
    assert find_model("nerves", folder) == folder / "nerves"
    assert find_model(folder / "nerves") == folder / "nerves"
    assert find_model(folder / "nerves" / "rdf.yaml") == folder / "nerves"
    with pytest.raises(ModelError, match=r"'nervs'.*models here:.*nerves"):
        find_model("nervs", folder)


def test_user_models_are_found(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    from napari_medcnn.core.paths import user_models

    write_package(user_models() / "mine", card(name="mine"), weights)
    assert find_model("mine") == user_models() / "mine"
    assert [e.shipped for e in list_models() if isinstance(e, Package) and e.spec.name == "mine"] == [False]


def test_the_standard_fields_say_what_the_card_says() -> None:
    """Nobody must find another channel name, voxel size or hash there than in what we run."""
    package = read_package(TEST_PACKAGE)
    rdf = yaml.safe_load((TEST_PACKAGE / "rdf.yaml").read_text(encoding="utf-8"))
    assert rdf["outputs"][0]["axes"][-1]["channel_names"] == ["background", *package.spec.labels.names]
    assert len(rdf["inputs"][0]["axes"][-1]["channel_names"]) == package.spec.preparation.channels
    assert rdf["weights"]["keras_v3"]["sha256"] == package.spec.sha256
    assert rdf["run_mode"] == {"name": "medcnn"} and package.spec.preparation.steps
    assert rdf["inputs"][0]["data"] == {"type": "float32"}  # an integer type would round 0..1 to 0 and 1
    assert "preprocessing" not in rdf["inputs"][0]


def test_voxel_size_and_fixed_sizes_reach_the_standard_fields(tmp_path: Path) -> None:
    fixed = write_keras(tmp_path / "f.keras", functional(layer("Dense", units=2), shape=(None, 24, 32, 32, 1)))
    spec = card(
        task="classification",
        preparation=Preparation(3, 1, spacing_mm=(3.0, None, 0.8)),
        labels=LabelSet((Label(1, "class", (1, 1, 1)), Label(2, "Ödem 2", (2, 2, 2)))),
        decision=Decision((1, 2), True),
        tile=(),
        licence="our own",
    )
    rdf = yaml.safe_load((write_package(tmp_path / "f", spec, fixed) / "rdf.yaml").read_text(encoding="utf-8"))
    space = rdf["inputs"][0]["axes"][1:4]
    assert [a["size"] for a in space] == [24, 32, 32]
    assert [(a.get("unit"), a.get("scale")) for a in space] == [("millimeter", 3.0), (None, None), ("millimeter", 0.8)]
    names = rdf["outputs"][0]["axes"]
    assert [a["type"] for a in names] == ["batch", "channel"] and names[1]["channel_names"] == ["class_1", "dem_2"]
    assert "license" not in rdf  # not a licence the format knows; our own card has it


def test_the_test_package_is_small_and_whole() -> None:
    assert sum(p.stat().st_size for p in TEST_PACKAGE.iterdir()) < 500_000
    given, answer = load_tests(read_package(TEST_PACKAGE))
    assert given.shape[:-1] == answer.shape[:-1] and answer.shape[-1] == 4
