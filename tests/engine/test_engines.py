"""ONNX Runtime and OpenVINO behind the same forward pass: right numbers, used only after they were found equal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy import special

import onnx_files
from engine_cases import FakeContext, outputs, run, spec_3d
from napari_medcnn.core.explain_time import patches
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import ExplainOptions, PredictOptions
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine import parity
from napari_medcnn.engine.backends import finish, openvino_engine
from napari_medcnn.engine.loading import self_test
from napari_medcnn.engine.models import ModelCache
from napari_medcnn.engine.networks import unet
from napari_medcnn.engine.parity import Verdicts, compare
from napari_medcnn.engine.runtime import Runtime, load_runtime
from napari_medcnn.engine.saliency.asking import Scan, ask, prepare_scan
from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.io.packages import read_package, write_package

pytestmark = pytest.mark.slow
SHAPE = (1, 8, 12, 16, 1)
REAL_CONVERT = openvino_engine.convert_keras


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return load_runtime()


@pytest.fixture
def cache(runtime: Runtime) -> ModelCache:
    return ModelCache(runtime)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    return unet(3, 1, 3, 6, 2, norm="instance")


@pytest.fixture(scope="module")
def keras_package(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    network.save(folder / "net.keras")
    noise = np.random.default_rng(5).standard_normal(SHAPE, dtype=np.float32)
    answer = keras.ops.convert_to_numpy(network(noise))
    spec = spec_3d(name="net", divisor=2, temperature=1.5)
    return write_package(folder / "net", spec, folder / "net.keras", noise, answer)


@pytest.fixture(params=[False, True], ids=["channels first", "channels last"])
def onnx_package(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return onnx_files.package(tmp_path, last=request.param)


def body(package: Path, **options: Any) -> dict[str, Any]:
    return {"model": str(package), "options": options}


def allow_auto(cache: ModelCache, package: Path) -> None:
    """Prepare, and say that it was faster, whatever this computer was busy with meanwhile."""
    verdict = cache.prepare(cache.source(body(package)), "openvino", "float32", lambda: None)
    place = cache.verdicts.place(cache.source(body(package)).sha256, "openvino", "float32")
    parity.save_verdict(place, replace(verdict, seconds={"other": 1.0, "keras": 2.0}))


# ---- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_from_raw_scores_to_probabilities_as_scipy(activation: Any) -> None:
    raw = np.random.default_rng(0).normal(0, 30, (2, 5, 4, 3)).astype(np.float32)
    scores, low, high = finish(raw.copy(), activation, 2.0)
    expected = {"softmax": special.softmax(raw / 2, axis=-1), "sigmoid": special.expit(raw / 2), "none": raw}
    assert np.abs(scores - expected[activation]).max() < 1e-6
    assert np.array_equal(low, raw.min((0, 1, 2))) and np.array_equal(high, raw.max((0, 1, 2)))


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_onnx_gives_what_the_reference_gives(cache, onnx_package: Path, engine: str, activation: str) -> None:
    """The oracle is onnx's own evaluator in numpy, through the test tensors, and scipy."""
    loaded = cache.get(body(onnx_package, engine=engine), "cpu:0")
    assert loaded.kind == engine and loaded.engine.split()[0] in ("ONNX", "OpenVINO")
    assert self_test(loaded)["largest_difference"] < 1e-4
    window = np.random.default_rng(9).standard_normal((1, 6, 10, 8, 1), dtype=np.float32)  # another size
    weights = onnx_package / "weights.onnx"
    last = loaded.package.layout == "last"
    raw = onnx_files.reference(weights, window if last else np.moveaxis(window, -1, 1))
    raw = raw if last else np.moveaxis(raw, 1, -1)
    spec = replace(loaded.spec, activation=activation, temperature=0.7)
    again = replace(loaded, spec=spec, _compiled=type(loaded._compiled)())
    scores, low, high = again.forward(window.shape)(window)
    expected = special.softmax(raw / 0.7, axis=-1) if activation == "softmax" else special.expit(raw / 0.7)
    assert scores.dtype == np.float32 and np.abs(scores - expected).max() < 1e-4
    assert np.abs(low - raw.min((0, 1, 2, 3))).max() < 1e-3 and np.abs(high - raw.max((0, 1, 2, 3))).max() < 1e-3


def test_openvino_gives_what_keras_gives(cache, keras_package: Path) -> None:
    ours = cache.get(body(keras_package, engine="openvino"), "cpu:0")
    theirs = cache.get(body(keras_package, engine="keras"), "cpu:0")
    window = np.random.default_rng(1).standard_normal((1, 10, 8, 14, 1), dtype=np.float32)
    for one, other in zip(ours.forward(window.shape)(window), theirs.forward(window.shape)(window), strict=True):
        assert one.shape == other.shape and np.abs(one - other).max() < 1e-4
    assert ours.fixed_shape == theirs.fixed_shape == (None, None, None)
    assert ours.engine.startswith("OpenVINO 20") and theirs.engine.startswith("Keras 3.")


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_occlusion_is_the_drop_of_the_references_score(cache, tmp_path: Path, engine: str) -> None:
    """What if this were gone, without Keras: the oracle is onnx's own evaluator, shown each blanked window."""
    package = onnx_files.package(tmp_path)
    loaded = cache.get(body(package, engine=engine), "cpu:0")
    noise = np.random.default_rng(3).standard_normal((16, 24, 24)).astype(np.float32)
    region = np.zeros(noise.shape, bool)
    region[4:8, 10:16, 12:20] = True
    options = ExplainOptions("occlusion", "grey", patch_mm=12.0, stride_mm=12.0, baseline="black")
    scan = Scan(Volume(noise, Geometry(noise.shape, (1.0, 1.0, 1.0)), modality="MR"), region, options, FakeContext())
    asked, _ = ask(loaded, prepare_scan(loaded, scan), scan, loaded.spec.tile, 2)
    made = asked.saliency()
    (view,) = asked.views.views
    channel = [loaded.spec.labels.name_of(i) for i in loaded.spec.decision.ids].index("grey")

    def score(data: np.ndarray) -> float:
        window = np.moveaxis(asked.views.cut(data, view)[None], -1, 1)
        raw = np.moveaxis(onnx_files.reference(package / "weights.onnx", window), 1, -1)
        return float((raw[0, ..., channel] * view.weights).sum())

    base, boxes = score(asked.data), list(patches(asked.views.box(), (1.0, 1.0, 1.0), False, options).boxes())
    count, expected = np.zeros(made.shape), np.zeros(made.shape)
    for box in boxes:
        gone = asked.data.copy()
        gone[box] = asked.data.min()
        expected[box] += base - score(gone)
        count[box] += 1
    assert len(boxes) == 8 and np.abs(expected).max() > 1
    np.testing.assert_allclose(made, expected / count, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("size", [None, (16, 24, 24)], ids=["any size", "one size"])
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_the_mask_of_a_scan_is_the_largest_score_of_the_reference(cache, tmp_path: Path, engine: str, size) -> None:
    package = onnx_files.package(tmp_path, size=size)
    loaded = cache.get(body(package, engine=engine), "cpu:0")
    assert loaded.fixed_shape == (size or (None, None, None))
    values = np.random.default_rng(4).standard_normal((16, 24, 24)).astype(np.float32)
    volume = Volume(values, Geometry(values.shape, (3.0, 0.8, 0.7)), modality="MR")
    out = outputs(volume)
    run(loaded, volume, PredictOptions(uncertainty=False), out)
    expected = onnx_files.reference(package / "weights.onnx", values[None, None])[0].argmax(0)
    ids = np.array(loaded.spec.decision.ids)
    assert (out.labels == ids[expected]).mean() > 0.9999 and len(np.unique(out.labels)) > 1


# ---- parity --------------------------------------------------------------------------------------------------------


def test_preparing_keeps_a_verdict_and_the_converted_model(cache, keras_package: Path, own_home: Path) -> None:
    source = cache.source(body(keras_package))
    verdict = cache.prepare(source, "openvino", "float32", lambda: None)
    assert verdict.ok and verdict.parity["largest_difference"] < 1e-4 and verdict.parity["equal"] > 0.9999
    assert set(verdict.seconds) == {"keras", "other"} and verdict.on == "test tensors"
    (folder,) = (own_home / "engines").iterdir()
    assert {p.name for p in folder.iterdir()} == {"model.xml", "model.bin", "verdict.json"}
    weights = 4 * sum(w.size for w in keras.models.load_model(source.weights, compile=False).get_weights())
    assert (folder / "model.bin").stat().st_size > 0.9 * weights  # float32 kept, not halved; equal ones are kept once
    assert cache.verdicts.read(source.sha256, "openvino", "float32") == verdict


def scaled(factor: float):
    """Return a conversion that goes wrong: one layer's weights are multiplied."""

    def convert(model: keras.Model, target: Path) -> None:
        copy = keras.models.clone_model(model)
        weights = model.get_weights()
        weights[-2] = weights[-2] * factor
        copy.set_weights(weights)
        REAL_CONVERT(copy, target)

    return convert


@pytest.mark.parametrize("factor", [1.01, -1.0])
def test_a_wrong_conversion_is_caught_refused_and_said(cache, keras_package: Path, monkeypatch, factor: float) -> None:
    monkeypatch.setattr(openvino_engine, "convert_keras", scaled(factor))
    verdict = cache.prepare(cache.source(body(keras_package)), "openvino", "float32", lambda: None)
    assert not verdict.ok
    plan = cache.plan(body(keras_package))
    assert plan.kind == "keras" and "OpenVINO gives other results" in plan.notes[0]
    with pytest.raises(ModelError, match=r"OpenVINO 20.* gives other results than keras .* so it is refused"):
        cache.plan(body(keras_package, engine="openvino"))


def test_another_network_in_its_place_is_caught(cache, keras_package: Path, monkeypatch) -> None:
    keras.utils.set_random_seed(99)
    other = unet(3, 1, 3, 6, 2, norm="instance")
    monkeypatch.setattr(openvino_engine, "convert_keras", lambda model, target: REAL_CONVERT(other, target))
    assert not cache.prepare(cache.source(body(keras_package)), "openvino", "float32", lambda: None).ok


def test_auto_takes_the_other_engine_only_with_a_verdict(cache, keras_package: Path) -> None:
    assert cache.plan(body(keras_package)).kind == "keras"
    allow_auto(cache, keras_package)
    plan = cache.plan(body(keras_package))
    assert (plan.kind, plan.notes) == ("openvino", ())
    assert cache.plan(body(keras_package, device="gpu", engine="keras")).kind == "keras"
    assert cache.plan(body(keras_package, device="gpu")).kind == "keras"
    with pytest.raises(InputError, match="OpenVINO runs on the CPU"):
        cache.plan(body(keras_package, device="gpu", engine="openvino"))


@pytest.mark.parametrize("what", ["slower", "model.bin", "verdict.json", "machine"])
def test_a_verdict_that_does_not_hold_leaves_keras(cache, keras_package: Path, monkeypatch, what: str) -> None:
    allow_auto(cache, keras_package)
    place = cache.verdicts.place(cache.source(body(keras_package)).sha256, "openvino", "float32")
    if what == "slower":
        data = json.loads((place / "verdict.json").read_text())
        (place / "verdict.json").write_text(json.dumps(data | {"seconds": {"other": 2.0, "keras": 1.0}}))
    elif what == "machine":
        monkeypatch.setattr(parity, "machine", lambda: "another")
    else:
        content = bytearray((place / what).read_bytes())
        content[len(content) // 2] ^= 255
        (place / what).write_bytes(content)
    assert cache.plan(body(keras_package)).kind == "keras"


def test_the_comparison_knows_what_counts() -> None:
    spec = spec_3d()
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 5, (1, 8, 8, 8, 3)).astype(np.float32)
    assert compare(raw, raw, spec, "float32") == {
        "largest_difference": 0.0, "tolerance": 1e-3, "equal": 1.0, "dice": 1.0, "ok": True,
    }  # fmt: skip
    top = float(np.abs(raw).max())
    near, far = raw.copy(), raw.copy()
    near[0, 0, 0, 0, 0] += 0.0009 * top
    far[0, 0, 0, 0, 0] += 0.0012 * top
    assert compare(raw, near, spec, "float32")["ok"] and not compare(raw, far, spec, "float32")["ok"]
    broken = raw.copy()
    broken[0, 1, 1, 1, 1] = np.nan
    assert not compare(raw, broken, spec, "float32")["ok"]
    assert not compare(raw, raw[..., :2], spec, "float32")["ok"]
    # ties everywhere: no value differs by much, many decisions do
    flat = np.zeros_like(raw)
    flat[..., 0] = 1e-4
    other = np.zeros_like(raw)
    other[..., 1] = 1e-4
    flat[0, 0, 0, 0, 0] = other[0, 0, 0, 0, 0] = 10.0
    assert not compare(flat, other, spec, "float32")["ok"]


def test_bfloat16_is_judged_by_the_dice_of_its_decisions() -> None:
    spec = spec_3d()
    raw = np.zeros((1, 10, 10, 10, 3), np.float32)
    raw[..., 0] = 1.0
    raw[0, :5, :, :, 1] = 2.0  # class 1 in 500 voxels
    other = raw.copy()
    other[0, 0, 0, :4, 1] = 0.0  # four voxels fewer: Dice 2 * 496 / 996
    found = compare(raw, other, spec, "bfloat16")
    assert found["dice"] == pytest.approx(992 / 996) and found["ok"]
    other[0, 0, :3, :, 1] = 0.0
    assert not compare(raw, other, spec, "bfloat16")["ok"]


@pytest.mark.parametrize("engine", ["keras", "openvino"])
def test_bfloat16_runs_where_its_decisions_hold_and_says_so(cache, package_3d: Path, engine: str) -> None:
    loaded = cache.get(body(package_3d, engine=engine, precision="bfloat16"), "cpu:0")
    assert loaded.engine.endswith(", bfloat16")
    exact = cache.get(body(package_3d, engine="keras"), "cpu:0")
    window = np.random.default_rng(2).random((1, 8, 8, 8, 1), dtype=np.float32)
    difference = np.abs(loaded.forward(window.shape)(window)[0] - exact.forward(window.shape)(window)[0]).max()
    assert difference < 0.2
    if engine == "keras":
        assert difference > 0  # it does calculate in bfloat16


def test_bfloat16_that_changes_decisions_is_refused(cache, package_3d: Path, monkeypatch) -> None:
    monkeypatch.setattr(parity, "LEAST_DICE", 1.01)
    with pytest.raises(ModelError, match="bfloat16 gives other results"):
        cache.plan(body(package_3d, engine="keras", precision="bfloat16"))


# ---- choice and refusal --------------------------------------------------------------------------------------------


def test_engines_that_a_package_has_no_weights_for_are_refused_in_words(cache, keras_package, tmp_path) -> None:
    with pytest.raises(ModelError, match="holds no ONNX weights"):
        cache.plan(body(keras_package, engine="onnx"))
    made = onnx_files.package(tmp_path)
    with pytest.raises(ModelError, match="holds no Keras weights"):
        cache.plan(body(made, engine="keras"))
    with pytest.raises(InputError, match="ONNX Runtime calculates in float32"):
        cache.plan(body(made, engine="onnx", precision="bfloat16"))
    assert cache.plan(body(made)).kind == "onnx"


def test_models_of_all_engines_share_the_room(runtime: Runtime, keras_package: Path, tmp_path: Path) -> None:
    made = onnx_files.package(tmp_path)
    probe = ModelCache(runtime)
    sizes = [probe.get(body(made, engine=e), "cpu:0").memory_bytes for e in ("onnx", "openvino")]
    assert sizes[0] == 2 * (made / "weights.onnx").stat().st_size
    roomy = ModelCache(runtime)
    first = roomy.get(body(made, engine="onnx"), "cpu:0")
    second = roomy.get(body(made, engine="openvino"), "cpu:0")
    third = roomy.get(body(keras_package), "cpu:0")
    again = [roomy.get(body(made, engine="onnx"), "cpu:0"), roomy.get(body(made, engine="openvino"), "cpu:0")]
    assert again == [first, second] and roomy.get(body(keras_package), "cpu:0") is third
    narrow = ModelCache(runtime, cap_bytes=sizes[0] + 1)
    first = narrow.get(body(made, engine="onnx"), "cpu:0")
    narrow.get(body(keras_package), "cpu:0")
    assert narrow.get(body(made, engine="onnx"), "cpu:0") is not first


def test_both_weights_in_one_package(cache, tmp_path: Path) -> None:
    """ONNX beside Keras is used when asked for, after the comparison; another network there is refused."""
    path = onnx_files.unet(tmp_path / "n.onnx", last=True)
    inputs = keras.Input((None, None, None, 1))
    keras.Model(inputs, keras.layers.Conv3D(3, 1)(inputs)).save(tmp_path / "n.keras")
    both = write_package(tmp_path / "both", spec_3d(name="both", divisor=2), [tmp_path / "n.keras", path])
    package = read_package(both)
    assert package.kinds == ("keras", "onnx") and package.weights.name == "weights.keras"
    assert cache.plan(body(both)).kind == "keras"
    with pytest.raises(ModelError, match=r"ONNX Runtime 1.* gives other results than keras"):
        cache.plan(body(both, engine="onnx"))
    with pytest.raises(ModelError, match="must take its channels last"):
        write_package(tmp_path / "no", spec_3d(), [tmp_path / "n.keras", onnx_files.unet(tmp_path / "f.onnx")])


def test_converted_models_of_older_versions_go(cache, keras_package: Path, own_home: Path) -> None:
    sha = cache.source(body(keras_package)).sha256
    old = own_home / "engines" / f"{sha[:32]}-openvino-2025.0.0-float32"
    other = own_home / "engines" / f"{'0' * 32}-openvino-2025.0.0-float32"
    for folder in (old, other):
        folder.mkdir(parents=True)
    cache.prepare(cache.source(body(keras_package)), "openvino", "float32", lambda: None)
    assert not old.exists() and other.exists()
    assert Verdicts().folder == own_home / "engines"
