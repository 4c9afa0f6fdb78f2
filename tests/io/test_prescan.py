"""Models that must not be opened are refused by name, before Keras sees them (rows 52 to 55)."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path

import pytest

from keras_files import HDF5_HEAD, conv, functional, layer, write_keras
from napari_medcnn.errors import IncompleteFileError, ModelError, UnsafeModelError
from napari_medcnn.io.keras_classes import LAYERS, REFUSED
from napari_medcnn.io.packages import read_package
from napari_medcnn.io.prescan import check_keras_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.keras"


def test_a_plain_network_is_described(file: Path) -> None:
    write_keras(file, functional(conv(5), shape=(None, None, None, 3)))
    summary = check_keras_file(file)
    assert summary["input_shapes"] == [[None, None, 3]] and summary["out_channels"] == 5
    assert summary["layers"] == {"InputLayer": 1, "Conv2D": 1}
    assert (summary["keras_version"], summary["name"], summary["custom"]) == ("3.15.1", "handmade", [])
    assert summary["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_arithmetic_between_layers_is_allowed(file: Path) -> None:
    write_keras(file, functional(layer("Multiply", "keras.src.ops.numpy"), layer("Relu", "keras.src.ops.nn")))
    assert check_keras_file(file)["custom"] == []


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_row_52_layers_that_run_code_or_read_files_are_refused_by_name(file: Path, name: str) -> None:
    assert name not in LAYERS
    write_keras(file, functional(layer(name, vocabulary="/etc/passwd")))
    with pytest.raises(UnsafeModelError, match=name):
        check_keras_file(file)
    with pytest.raises(UnsafeModelError, match=name):  # trusting everything else does not help it
        check_keras_file(file, allowed_custom=("*", name))


def test_row_52_a_refused_layer_hides_nowhere(file: Path) -> None:
    hidden = layer("TimeDistributed", layer=layer("Lambda", function="abc"))
    inner = functional(layer("Sequential", "keras", layers=[hidden]))
    write_keras(file, functional(inner))
    with pytest.raises(UnsafeModelError, match="Lambda"):
        check_keras_file(file)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"), ("builtins", "exec"), ("builtins", "eval"), ("subprocess", "Popen"), ("", "Conv2D"),
        (None, "Conv2D"), ("keras.src.utils.file_utils", "get_file"), ("keras.src.saving.saving_lib", "load_model"),
        ("keras.layers", "NoSuchLayer"), ("keras.layers.core", "Dense"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("../evil", "Layer"), ("keras.src.ops.core", "Map"),
    ],
)  # fmt: skip
def test_row_52_only_listed_classes_of_listed_modules(file: Path, module: str | None, name: str) -> None:
    write_keras(file, functional(layer(name, module)))
    with pytest.raises(UnsafeModelError):
        check_keras_file(file)


@pytest.mark.parametrize("function", ["exec", "eval", "__import__", "os.system", "lambda x: x"])
def test_row_52_functions_are_activations_and_nothing_else(file: Path, function: str) -> None:
    def as_activation(name: str) -> dict:
        return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}

    write_keras(file, functional(conv(kernel=as_activation("softmax"))))
    assert check_keras_file(file)["layers"]["Conv2D"] == 1
    write_keras(file, functional(conv(kernel=as_activation(function))))
    with pytest.raises(UnsafeModelError, match="function"):
        check_keras_file(file)


def test_rows_52_and_55_a_custom_layer_is_named_and_opens_only_when_trusted(file: Path) -> None:
    custom = layer("Gate", "their_code", filters=2)
    custom["registered_name"] = "their_code>Gate"
    write_keras(file, functional(custom))
    with pytest.raises(UnsafeModelError, match=r"their_code>Gate.*their_code.*3\.15\.1.*code=\[") as error:
        check_keras_file(file)
    assert "\n" not in str(error.value)
    for trusted in ("Gate", "their_code>Gate"):
        assert check_keras_file(file, allowed_custom=(trusted,))["custom"] == [trusted]


def test_row_53_other_formats_name_the_exact_way_to_bring_them_over(tmp_path: Path) -> None:
    """Also where they are given as a package: ``medcnn models --add`` and ``predict -m``."""
    old = tmp_path / "old.h5"
    old.write_bytes(HDF5_HEAD + b"rest")
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "saved_model.pb").write_bytes(b"x")
    torch = tmp_path / "net.pt"
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("net/data.pkl", b"x")
    bare = tmp_path / "net.pth"
    bare.write_bytes(b"\x80\x02rest")
    for path, words in (
        (old, r"load_model\('old\.h5', compile=False\)\.save\('old\.keras'\)"),
        (saved, r"tf2onnx\.convert --saved-model saved --output saved\.onnx; then: medcnn models --add saved\.onnx"),
        (saved / "saved_model.pb", r"^saved: this is a TensorFlow SavedModel"),
        (torch, r"torch\.onnx\.export\(model\.eval\(\), example, 'net\.onnx'"),
        (bare, r"pickle .*runs code"),
    ):
        for look in (check_keras_file, read_package):
            with pytest.raises(ModelError, match=words):
                look(path)


def test_row_53_other_formats_say_what_to_do(tmp_path: Path) -> None:
    old = tmp_path / "old.h5"
    old.write_bytes(HDF5_HEAD + b"rest")
    with pytest.raises(UnsafeModelError, match=r"HDF5.*save the whole model as \.keras"):
        check_keras_file(old)
    pickled = tmp_path / "weights.h5"
    pickled.write_bytes(b"\x80\x04\x95rest")
    with pytest.raises(UnsafeModelError, match="pickle"):
        check_keras_file(pickled)
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(ModelError, match="SavedModel"):
        check_keras_file(saved)
    with pytest.raises(ModelError, match="no such model"):
        check_keras_file(tmp_path / "nothing.keras")
    (tmp_path / "text.keras").write_text("hello hello")
    with pytest.raises(ModelError, match="zip"):
        check_keras_file(tmp_path / "text.keras")


def test_row_54_a_file_cut_anywhere_is_named_incomplete(file: Path) -> None:
    write_keras(file, functional(conv()))
    whole = file.read_bytes()
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        with pytest.raises((IncompleteFileError, ModelError), match=r"model\.keras"):
            check_keras_file(file)
    file.write_bytes(whole)
    check_keras_file(file)


def test_row_54_a_changed_byte_in_the_weights_is_found(file: Path) -> None:
    write_keras(file, functional(conv()), weights=HDF5_HEAD + b"0123456789" * 50)
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"0123456789") + 7] ^= 1
    file.write_bytes(bytes(raw))
    with pytest.raises(IncompleteFileError, match="damaged"):
        check_keras_file(file)


def test_row_54_bombs_are_refused_before_they_unpack(file: Path) -> None:
    write_keras(file, functional(conv()), weights=HDF5_HEAD + bytes(60_000_000), compression=zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 100_000
    with pytest.raises(UnsafeModelError, match="60000008 bytes"):
        check_keras_file(file)
    write_keras(file, b'{"x": "' + bytes(b" " * 20_000_000) + b'"}')
    with pytest.raises(UnsafeModelError, match=r"config\.json"):
        check_keras_file(file)


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..\\evil", "C:/x", "a\0b", "x" * 300])
def test_row_54_layer_names_that_point_outside_are_refused(file: Path, name: str) -> None:
    write_keras(file, functional(conv(name=name)))
    with pytest.raises(UnsafeModelError, match="layer name"):
        check_keras_file(file)


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/cron.d/x", "assets/vocabulary.txt", "run.py"])
def test_row_54_other_members_are_refused(file: Path, name: str) -> None:
    write_keras(file, functional(conv()), extra={name: b"x"})
    with pytest.raises(UnsafeModelError, match="unexpected file"):
        check_keras_file(file)


def test_row_54_a_member_twice_or_missing(file: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        write_keras(file, functional(conv()), extra={"config.json": b"{}"})
    with pytest.raises(ModelError, match="twice"):
        check_keras_file(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ModelError, match=r"missing metadata\.json, model\.weights\.h5"):
        check_keras_file(file)


@pytest.mark.parametrize(
    "config",
    ["[1]", "not json", '{"class_name": "Dense", "class_name": "Lambda"}', b"\xff\xfe", "[" * 100_000],
    ids=["a list", "no json", "a key twice", "not utf-8", "too deep for the parser"],
)
def test_row_54_damaged_configurations(file: Path, config: str | bytes) -> None:
    write_keras(file, config)
    with pytest.raises(ModelError, match=r"config\.json"):
        check_keras_file(file)


def test_row_54_nesting_without_end(file: Path) -> None:
    deep: dict = {}
    for _ in range(400):
        deep = {"inner": deep}
    write_keras(file, functional(conv(extra=deep)))
    with pytest.raises(UnsafeModelError, match="nested"):
        check_keras_file(file)


@pytest.mark.parametrize("version", ["2.15.0", "4.0.0", "", "three"])
def test_row_55_another_keras_is_named(file: Path, version: str) -> None:
    write_keras(file, functional(conv()), version=version)
    with pytest.raises(ModelError, match=version or "Keras version"):
        check_keras_file(file)


def test_a_foreign_loss_is_told_and_not_loaded(file: Path) -> None:
    config = functional(conv())
    config["compile_config"] = {"loss": {"module": "their_code", "class_name": "Loss", "registered_name": "pkg>Loss"}}
    write_keras(file, config)
    assert check_keras_file(file)["compile_foreign"] == ["pkg>Loss"]


def test_keras_is_not_imported(file: Path) -> None:
    import subprocess

    write_keras(file, functional(conv()))
    code = (
        "import sys; from napari_medcnn.io.prescan import check_keras_file; check_keras_file(sys.argv[1]);"
        "raise SystemExit(sorted({'keras', 'tensorflow', 'h5py'} & set(sys.modules)) != [])"
    )
    assert subprocess.run([sys.executable, "-c", code, str(file)], timeout=60).returncode == 0
    assert json.loads(zipfile.ZipFile(file).read("metadata.json"))["keras_version"] == "3.15.1"
