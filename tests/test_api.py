"""The library: values back, named errors, any way of naming a model."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import nibabel
import numpy as np
import pytest

import napari_medcnn as mc
from dicom_files import write_series
from napari_medcnn import api
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import ConsentNeededError, InputError, MissingExtraError, ModelError
from napari_medcnn.worker.client import Engine
from tiny_packages import bright_xyz, classifier, keras_file, nifti, nifti_mask, package, segmenter


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch, _fake: Engine) -> Engine:
    monkeypatch.setattr(api, "_engine", lambda: _fake)
    return _fake


@pytest.fixture(scope="module")
def _fake() -> Iterator[Engine]:
    import fake_engine

    lent = Engine(fake_engine.launch())
    yield lent
    lent.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(tmp_path_factory.mktemp("packages"), segmenter())


def test_read_asks_and_takes_consent(tmp_path: Path) -> None:
    write_series(tmp_path / "in", np.arange(5 * 8 * 7, dtype=np.int16).reshape(5, 8, 7))[2].unlink()
    with pytest.raises(ConsentNeededError) as asked:
        mc.read(tmp_path / "in")
    assert asked.value.asks == "resample"
    one, other = mc.read(tmp_path / "in", consent=mc.Consent(resample=True)), mc.read(tmp_path / "in", resample=True)
    np.testing.assert_array_equal(one.array, other.array)
    assert one.source["consent"] == other.source["consent"] == {"resample": True}
    assert any("Resampled" in text for text in one.report.assumed)


def test_read_predict_save(tmp_path: Path, model: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    scan = mc.read(path)
    assert isinstance(scan, Volume)
    result = mc.predict(scan, model=model)
    written = mc.save(result, tmp_path / "mask.nii.gz")
    back = mc.read(written)
    assert isinstance(back, LabelMap)
    np.testing.assert_array_equal(back.array.T == 2, bright_xyz(path))
    assert back.geometry.same_grid(scan.geometry)
    assert (tmp_path / "mask.provenance.json").is_file()


def test_a_path_does_as_well_and_options_are_keywords(tmp_path: Path, model: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    result = mc.predict(str(path), model=str(model), device="cpu", probabilities=True)
    assert result.provenance.options["device"] == "cpu"
    assert result.probabilities is not None
    same = mc.predict(path, model, options=PredictOptions(device="cpu"), probabilities=True)
    np.testing.assert_array_equal(same.mask.array, result.mask.array)
    assert result.volume.geometry == result.mask.geometry
    with pytest.raises(FrozenInstanceError):
        result.volume = None
    with pytest.raises(InputError, match="unknown option devise; expected device"):
        mc.predict(path, model, devise="cpu")


def test_a_bare_keras_file_needs_a_card(tmp_path: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    weights = keras_file(tmp_path / "net.keras", 3, 1)
    with pytest.raises(ModelError, match="spec=ModelSpec"):
        mc.predict(path, weights)
    result = mc.predict(path, weights, spec=segmenter("mine"))
    assert result.provenance.model["name"] == "mine"
    assert weights.is_file()


def test_a_network_in_memory_saves_itself(tmp_path: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    source = keras_file(tmp_path / "net.keras", 3, 1)
    saved: list[Path] = []

    class Network:
        def save(self, target: str) -> None:
            saved.append(Path(target))
            shutil.copyfile(source, target)

    result = mc.predict(path, Network(), spec=segmenter("memory"))
    assert result.provenance.model["name"] == "memory"
    assert saved[0].suffix == ".keras" and not saved[0].exists()
    with pytest.raises(ModelError, match="spec=ModelSpec"):
        mc.predict(path, Network())
    with pytest.raises(ModelError, match=r"keras\.Model, got int"):
        mc.predict(path, 3)


def test_trusted_code_is_recorded_by_hash(tmp_path: Path, model: Path) -> None:
    import hashlib

    code = tmp_path / "layers.py"
    code.write_text("x = 1\n")
    result = mc.predict(nifti(tmp_path / "scan.nii.gz"), model, code=[str(code)])
    assert result.provenance.model["code"] == {str(code): hashlib.sha256(b"x = 1\n").hexdigest()}
    with pytest.raises(InputError, match=r"no Python file or module 'gone\.py'"):
        mc.predict(nifti(tmp_path / "scan.nii.gz"), model, code=["gone.py"])


def test_class_result(tmp_path: Path) -> None:
    result = mc.predict(nifti(tmp_path / "scan.nii.gz"), package(tmp_path / "p", classifier()))
    assert isinstance(result, api.ClassResult) and result.chosen == ("well",)


def test_evaluate(tmp_path: Path, model: Path) -> None:
    image = nifti(tmp_path / "a.nii.gz")
    nifti_mask(tmp_path / "m.nii.gz", np.where(bright_xyz(image), 2, 0))
    (tmp_path / "d.csv").write_text("case,patient,image,mask,class,split,site\na,p,a.nii.gz,m.nii.gz,,,\n")
    report = mc.evaluate(tmp_path / "d.csv", model)
    assert report.cases[0].scores["bright"]["dice"] == 1.0


def test_models_are_cards(tmp_path: Path, model: Path) -> None:
    cards = mc.models(model.parent)
    assert "tiny-mask" in [card["name"] for card in cards]


def test_explain(tmp_path: Path, model: Path) -> None:
    scan = nifti(tmp_path / "scan.nii.gz")
    made = mc.explain(scan, model, method="gradient", check=True)
    assert isinstance(made, api.MapResult) and made.badge == "depends on the model"
    assert made.volume is not None and made.values.shape == made.volume.geometry.shape
    for name in ("m.nii.gz", "m.png", "m.html"):
        assert mc.save(made, tmp_path / name).is_file()
    with pytest.raises(InputError, match="unknown option stepz"):
        mc.explain(scan, model, stepz=3)


def test_attach_without_the_window_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "napari_medcnn.widgets.launch", None)
    with pytest.raises(MissingExtraError, match=r'pip install "napari-medcnn\[pyqt5\]"'):
        mc.attach(object())


@pytest.mark.gui
def test_show_adds_scan_and_named_mask(tmp_path: Path, model: Path, make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    result = mc.predict(nifti(tmp_path / "scan.nii.gz"), model)
    result.show(viewer)
    assert len(viewer.layers) == 2
    mask = viewer.layers[1]
    assert int((np.asarray(mask.data) == 2).sum()) == int((result.mask.array == 2).sum())
    assert mask.metadata["medcnn"]["labels"].names == ("bright",)
    assert mask.extent.world.shape == viewer.layers[0].extent.world.shape


@pytest.mark.gui
def test_attach_adds_the_dock(make_napari_viewer, qtbot) -> None:
    viewer = make_napari_viewer()
    assert type(mc.attach(viewer)).__name__ == "MedcnnDock"
    qtbot.wait(300)  # what the dock put off until the window stands
    viewer.close()
    qtbot.wait(300)


IN_MEMORY = """
import sys
from pathlib import Path
import keras
import nibabel
import numpy as np
import napari_medcnn as mc
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
sys.path.insert(0, str(Path(sys.argv[1]).parent))
from brighter import Above
inputs = keras.Input((None, None, None, 1))
network = keras.Model(inputs, Above(name="above")(inputs))
spec = ModelSpec(
    name="above", title="Above 500", task="segmentation", preparation=Preparation(3, 1), activation="sigmoid",
    labels=LabelSet.from_names(["high"]), decision=Decision((1,), False, (0.5,)), tile=(8, 8, 8),
)
scan = mc.read(sys.argv[2])
result = mc.predict(scan, network, spec=spec, code=[sys.argv[1]])
np.testing.assert_array_equal(result.mask.array == 1, scan.array > 500)
assert len(result.provenance.model["code"][sys.argv[1]]) == 64
try:
    mc.predict(scan, network, spec=spec)
except mc.errors.ModelError as error:
    sys.stdout.write(f"refused: {error}")
"""


@pytest.mark.slow
def test_a_real_network_in_memory_with_trusted_code(tmp_path: Path) -> None:
    """In a process without a window; without the trusted code the same network is refused."""
    import subprocess

    code = tmp_path / "brighter.py"
    code.write_text(
        "import keras\n\n\n@keras.saving.register_keras_serializable('brighter')\nclass Above(keras.layers.Layer):\n"
        "    def call(self, x):\n        return (x - 500.25) * 100.0\n"
    )
    scan = nifti(tmp_path / "scan.nii.gz")
    words = [sys.executable, "-c", "import napari_medcnn.errors\n" + IN_MEMORY, str(code), str(scan)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.startswith("refused: ") and "Above" in ran.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="the stub uses POSIX signals")
def test_a_program_of_the_user_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medcnn.core.command import CommandModel
    from napari_medcnn.io.commands import save_command

    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    stub = str(Path(__file__).resolve().parent / "stub_program.py")
    save_command(CommandModel("mine", "Mine", (sys.executable, stub, "named", "{input}", "{output}")))
    path = nifti(tmp_path / "scan.nii.gz")
    result = mc.predict(path, model="mine", device="cpu")
    assert isinstance(result, api.MaskResult) and result.volume is not None
    np.testing.assert_array_equal(result.mask.array.T, np.where(bright_xyz(path), 3, 0))
    assert result.mask.labels.names == ("spleen", "liver")
    with pytest.raises(InputError, match="flips: mine runs your program"):
        mc.predict(path, model="mine", flips=True)


def test_a_list_of_scans_is_the_channels_of_one(tmp_path: Path, engine) -> None:
    two = package(tmp_path / "p", segmenter("two", channels=2))
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("ab")]
    both = sum(np.asarray(nibabel.load(p).dataobj, dtype=float) for p in paths) / 2
    for given in (paths, [mc.read(paths[0]), str(paths[1])]):
        result = mc.predict(given, model=two)
        np.testing.assert_array_equal(result.mask.array.T == 2, both > both.mean())
    with pytest.raises(InputError, match="takes 2"):
        mc.predict(paths[0], model=two)
