"""Models are looked into before they are opened; what is damaged, unsafe or foreign is named (rows 52 to 55)."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from engine_cases import spec_3d
from napari_medcnn.engine import runtime
from napari_medcnn.engine.backends.keras_engine import load_keras
from napari_medcnn.engine.loading import open_model, self_test
from napari_medcnn.engine.models import ModelCache
from napari_medcnn.engine.networks import threshold_segmenter_3d
from napari_medcnn.engine.runtime import Runtime, load_runtime
from napari_medcnn.engine.trust import sha256_of, trust
from napari_medcnn.engine.weights import check_hdf5, check_weights
from napari_medcnn.errors import InputError, MedcnnError, MissingExtraError, ModelError, UnsafeModelError
from napari_medcnn.io.packages import write_package

CPU = Runtime("tensorflow", (), {})


@pytest.fixture
def cache() -> ModelCache:
    return ModelCache(CPU)


def rewritten(source: Path, target: Path, **members: bytes) -> Path:
    """Copy a .keras file with some members replaced (dots in names as double underscores)."""
    new = {name.replace("__", "."): content for name, content in members.items()}
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as archive:
        for name in old.namelist():
            archive.writestr(name, new.get(name, old.read(name)))
    return target


def hdf5(fill) -> io.BytesIO:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream


def test_a_package_gives_its_recorded_answer(cache: ModelCache, package_3d: Path) -> None:
    loaded = cache.get({"model": str(package_3d)}, "cpu:0")
    tested = self_test(loaded)
    assert tested["ok"]
    assert tested["largest_difference"] < 1e-5
    assert loaded.spec.sha256 == sha256_of(package_3d / "weights.keras")


def test_a_wrong_answer_is_named(cache: ModelCache, network_3d, save_network, tmp_path: Path) -> None:
    noise = np.random.default_rng(5).random((1, 8, 8, 8, 1), dtype=np.float32)
    answer = keras.ops.convert_to_numpy(network_3d(noise))
    answer[0, 3, 3, 3, 1] += 0.01 * np.abs(answer).max()
    wrong = write_package(tmp_path / "wrong", spec_3d(), save_network(network_3d), noise, answer)
    with pytest.raises(ModelError, match=r"differs from the recorded one by 0\.0"):
        self_test(cache.get({"model": str(wrong)}, "cpu:0"))


def test_without_test_tensors_the_self_test_says_so(
    cache: ModelCache, network_3d, save_network, tmp_path: Path
) -> None:
    bare = write_package(tmp_path / "bare", spec_3d(), save_network(network_3d))
    with pytest.raises(ModelError, match="no test tensors"):
        self_test(cache.get({"model": str(bare)}, "cpu:0"))


def test_a_bare_keras_file_opens_with_its_card(cache: ModelCache, network_3d, save_network) -> None:
    path = save_network(network_3d)
    loaded = cache.get({"model": str(path), "spec": spec_3d().to_json()}, "cpu:0")
    assert loaded.spec.name == "thresholds"
    with pytest.raises(ModelError, match="no test tensors"):
        self_test(loaded)


def test_models_are_kept_until_the_cap(network_3d, tmp_path: Path, save_network) -> None:
    paths = [write_package(tmp_path / f"m{i}", spec_3d(name=f"m{i}"), save_network(network_3d)) for i in range(3)]
    small = ModelCache(CPU, cap_bytes=2 * (paths[0] / "weights.keras").stat().st_size)
    first = small.get({"model": str(paths[0])}, "cpu:0")
    second = small.get({"model": str(paths[1])}, "cpu:0")
    assert small.get({"model": str(paths[0])}, "cpu:0") is first  # and is now the last used
    small.get({"model": str(paths[2])}, "cpu:0")
    assert small.get({"model": str(paths[0])}, "cpu:0") is first
    assert small.get({"model": str(paths[1])}, "cpu:0") is not second


def test_a_changed_package_is_noticed_although_it_is_in_memory(cache: ModelCache, network_3d, save_network, tmp_path):
    package = write_package(tmp_path / "m", spec_3d(), save_network(network_3d))
    cache.get({"model": str(package)}, "cpu:0")
    with (package / "weights.keras").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="sha256 differs"):
        cache.get({"model": str(package)}, "cpu:0")


def test_row_52_a_lambda_is_refused_and_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    trap_layer = layers.Lambda(lambda x, name=str(trap): (__import__("os").mkdir(name), x)[1])
    model = keras.Sequential([keras.Input((4, 4, 4, 1)), trap_layer])
    trap.rmdir()  # building it ran it, here
    model.save(tmp_path / "bad.keras")
    with pytest.raises(UnsafeModelError, match="Lambda"):
        open_model(tmp_path / "bad.keras", spec_3d(), "cpu:0", None, {})
    assert not trap.exists()


LAYER = """
import keras

@keras.saving.register_keras_serializable(package="clinic")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2.0 * x
"""


def test_row_55_a_missing_layer_is_named_and_trusted_code_brings_it(cache: ModelCache, tmp_path: Path) -> None:
    code = tmp_path / "clinic_layers.py"
    code.write_text(LAYER)
    hashes = trust([str(code)])
    assert hashes == {str(code): sha256_of(code)}
    twice = keras.saving.get_registered_object("clinic>Twice")
    inputs = keras.Input((None, None, None, 1))
    keras.Model(inputs, twice()(inputs)).save(tmp_path / "custom.keras")
    spec = spec_3d(decision=type(spec_3d().decision)((1,), False, (0.5,)), activation="sigmoid")
    body = {"model": str(tmp_path / "custom.keras"), "spec": spec.to_json()}
    with pytest.raises(UnsafeModelError, match="Twice"):
        cache.get(body, "cpu:0")
    loaded = cache.get({**body, "code": [str(code)]}, "cpu:0")
    assert loaded.code == hashes
    assert float(loaded.model(np.full((1, 2, 2, 2, 1), 3.0, np.float32)).numpy().max()) == 6.0


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no file"), ("import no_such_module_x", "cannot be imported"), ("x =", "SyntaxError")]
)
def test_trusted_code_that_fails_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "layers.py"
    if content is not None:
        path.write_text(content)
    before = set(sys.modules)
    with pytest.raises(InputError, match=words):
        trust([str(path)])
    assert not {m for m in set(sys.modules) - before if m.startswith("medcnn_trusted")}


def test_trusted_modules_by_name_too() -> None:
    assert trust(["json"]) == {"json": sha256_of(Path(json.__file__))}
    with pytest.raises(InputError, match="no Python file or module 'no_such_thing'"):
        trust(["no_such_thing"])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    file.create_virtual_dataset("w", layout)


def deep(file: h5py.File) -> None:
    group = file
    for _ in range(150):
        group = group.create_group("g")


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda f: f.__setitem__("w", h5py.ExternalLink("/etc/passwd", "/x")), "is a link elsewhere"),
        (lambda f: f.__setitem__("w", h5py.SoftLink("/other")), "is a link elsewhere"),
        (lambda f: f.create_dataset("w", (4,), "u1", external=[("/etc/passwd", 0, 4)]), "lie in another file"),
        (virtual, "lie in another file"),
        (lambda f: f.create_dataset("w", (2**20, 2**20), "f4", chunks=(64, 64)), "claim 4398046511104 bytes"),
        (lambda f: [f.create_dataset(f"w{i}", (2**16,), "f4", chunks=(64,)) for i in range(40)], "weights claim"),
        (deep, "nested deeper"),
    ],
)
def test_row_54_weights_that_read_or_fill_are_refused(fill, words: str) -> None:
    stream = hdf5(fill)
    with pytest.raises(UnsafeModelError, match=words):
        check_hdf5(stream, "bad.keras", min(len(stream.getvalue()), 30_000))


def test_row_54_the_whole_file_with_such_weights_is_refused(network_3d, save_network, tmp_path: Path) -> None:
    stream = hdf5(lambda f: f.__setitem__("layers", h5py.ExternalLink("/etc/passwd", "/x")))
    bad = rewritten(save_network(network_3d), tmp_path / "bad.keras", model__weights__h5=stream.getvalue())
    with pytest.raises(UnsafeModelError, match=r"bad\.keras: damaged or unsafe model"):
        open_model(bad, spec_3d(), "cpu:0", None, {})


def test_row_54_a_cut_file_is_named_at_every_length(network_3d, save_network, tmp_path: Path) -> None:
    whole = save_network(network_3d).read_bytes()
    cut = tmp_path / "cut.keras"
    for length in range(0, len(whole), max(1, len(whole) // 25)):
        cut.write_bytes(whole[:length])
        with pytest.raises(MedcnnError, match="cut"):
            open_model(cut, spec_3d(), "cpu:0", None, {})


def test_damaged_weights_are_named(network_3d, save_network, tmp_path: Path) -> None:
    with zipfile.ZipFile(save_network(network_3d)) as archive:
        weights = archive.read("model.weights.h5")
    bad = rewritten(tmp_path / f"{network_3d.name}.keras", tmp_path / "b.keras", model__weights__h5=weights[:1000])
    with pytest.raises(ModelError, match="weights are damaged"):
        open_model(bad, spec_3d(), "cpu:0", None, {})


def test_weights_of_another_network_are_named(network_3d, save_network, tmp_path: Path) -> None:
    other = threshold_segmenter_3d([0.1, 0.2, 0.3, 0.4], smooth=5)
    other.save(tmp_path / "other.keras")
    with zipfile.ZipFile(tmp_path / "other.keras") as archive:
        weights = archive.read("model.weights.h5")
    bad = rewritten(save_network(network_3d), tmp_path / "bad.keras", model__weights__h5=weights)
    with pytest.raises(ModelError, match=f"Keras {keras.__version__} cannot open this model"):
        open_model(bad, spec_3d(), "cpu:0", None, {})


def test_memory_is_asked_before_the_weights_are_read(network_3d, save_network) -> None:
    path = save_network(network_3d)
    assert check_weights(path) >= 4 * network_3d.count_params()
    with pytest.raises(ModelError, match="MB are free"):
        check_weights(path, free_bytes=1000)


def test_row_48_without_keras_the_one_command_is_named(monkeypatch) -> None:
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'keras and tensorflow, .*pip install "napari-medcnn\[engine\]"'):
        load_runtime()


def test_devices_are_chosen_and_absent_ones_refused() -> None:
    gpu = Runtime("tensorflow", ("Fast 1000",), {})
    assert (gpu.device("auto"), gpu.device("gpu"), gpu.device("cpu")) == ("gpu:0", "gpu:0", "cpu:0")
    assert gpu.describe("gpu:0") == "GPU (Fast 1000)"
    assert (CPU.device("auto"), CPU.describe("cpu:0")) == ("cpu:0", "CPU")
    with pytest.raises(InputError, match="no working GPU"):
        CPU.device("gpu")


def test_safe_mode_is_asked_for(monkeypatch, tmp_path: Path) -> None:
    asked = {}
    monkeypatch.setattr(keras.models, "load_model", lambda path, **kwargs: asked.update(kwargs))
    load_keras(tmp_path / "x.keras")
    assert asked == {"safe_mode": True, "compile": False}
