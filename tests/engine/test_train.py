"""Fine-tuning: learns, is checked first, survives NaN, cancel and a broken run, and never touches its parent."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import keras
import nibabel as nib
import numpy as np
import pytest
from keras import layers

from engine_cases import FakeContext, spec_3d
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import TrainOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.engine.cases import Case, Sampler
from napari_medcnn.engine.checkpoints import Checkpoints
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.models import ModelCache
from napari_medcnn.engine.runtime import Runtime
from napari_medcnn.engine.train import TrainJob, train
from napari_medcnn.engine.windows import Outputs, Run, segment
from napari_medcnn.errors import Cancelled, InputError, MedcnnError, ModelError, ProjectError, UnsupportedError
from napari_medcnn.io.packages import read_package, write_package

CPU = Runtime("tensorflow", (), {"keras": keras.__version__})
SPEC = spec_3d(
    name="bright",
    labels=LabelSet.from_names(("bright",)),
    decision=Decision((1,), exclusive=False, thresholds=(0.5,)),
    activation="sigmoid",
    tile=(8, 8, 8),
    temperature=1.7,
)
FAST = TrainOptions(epochs=3, steps_per_epoch=8, batch=4, learning_rate=0.3, seed=3)


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """One weight and one bias; at first everything is background, the right answer is above 0.5."""
    model = keras.Sequential([keras.Input((None, None, None, 1)), layers.Conv3D(1, 1, name="logits")])
    model.layers[-1].set_weights([np.full((1, 1, 1, 1, 1), 4.0, np.float32), np.array([-5.0], np.float32)])
    model.save(tmp_path / "net.keras")
    return write_package(tmp_path / "parent", SPEC, tmp_path / "net.keras")


def write_case(folder: Path, name: str, seed: int, mask=lambda x: x > 0.5) -> None:
    values = np.random.default_rng(seed).random((10, 12, 9)).astype(np.float32)  # (x, y, z) as NIfTI stores
    affine = np.diag([0.8, 0.7, 3.0, 1.0])
    nib.save(nib.Nifti1Image(values, affine), folder / f"{name}.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(mask(values)).astype(np.uint8), affine), folder / f"{name}_mask.nii.gz")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    lines = ["case,patient,image,mask,class,split,site"]
    for number, split in enumerate(["train", "train", "train", "val", "gate"]):
        write_case(folder, f"c{number}", number)
        lines.append(f"c{number},p{number},c{number}.nii.gz,c{number}_mask.nii.gz,,{split},")
    (folder / "dataset.csv").write_text("\n".join(lines) + "\n")
    return folder / "dataset.csv"


def opened(package: Path) -> Loaded:
    return ModelCache(CPU).get({"model": str(package)}, "cpu:0")


def run(package: Path, table: Path, out: Path, options=FAST, resume=False, context=None) -> dict:
    out.mkdir(exist_ok=True)
    return train(TrainJob(table, out, options, resume, CPU), opened(package), context or FakeContext())


def weights_of(package: Path) -> list[np.ndarray]:
    return opened(package).model.get_weights()


def sha256_of_folder(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_it_learns_and_writes_a_new_package(parent: Path, table: Path, tmp_path: Path) -> None:
    before = sha256_of_folder(parent)
    context = FakeContext()
    result = run(parent, table, tmp_path / "out", context=context)
    assert sha256_of_folder(parent) == before
    losses = [e["loss"] for e in result["history"]]
    assert [e["epoch"] for e in result["history"]] == [1, 2, 3]
    assert losses[-1] < losses[0]
    assert result["best"]["measure"] == "dice"
    assert result["best"]["score"] == max(e["score"] for e in result["history"]) > 0.8
    new = read_package(Path(result["out"]))
    assert new.spec.name == "bright-tuned"
    assert new.spec.temperature == 1.0
    record = new.spec.scores["fine_tuning"]
    assert record["parent_sha256"] == read_package(parent).spec.sha256 != new.spec.sha256
    assert record["dataset_sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert record["training_cases"] == 3
    told = json.loads((tmp_path / "out" / "history.json").read_text())
    assert told["history"] == result["history"]
    assert any(m.startswith("Epoch 3 of 3, loss") for m in context.messages)
    assert not list((tmp_path / "out").glob(".cases-*"))
    # what was validated is what the package gives: the Dice of its own mask, counted here
    loaded = opened(Path(result["out"]))
    image = nib.load(table.parent / "c3.nii.gz").get_fdata().astype(np.float32)
    truth = nib.load(table.parent / "c3_mask.nii.gz").get_fdata() > 0
    logits = keras.ops.convert_to_numpy(loaded.model(image.T[None, ..., None]))[0, ..., 0]
    found = (logits >= 0).T
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) == pytest.approx(result["best"]["score"], abs=1e-6)


def test_cases_kept_for_the_gate_are_never_opened(parent: Path, table: Path, tmp_path: Path) -> None:
    """A gate case with foreign classes would stop the training if it were read."""
    write_case(table.parent, "c4", 4, mask=lambda x: np.full(x.shape, 9))
    assert run(parent, table, tmp_path / "out", replace(FAST, epochs=1, steps_per_epoch=1))["best"]["epoch"] == 1


def test_a_broken_run_goes_on_as_if_it_had_not_been_broken(parent: Path, table: Path, tmp_path: Path) -> None:
    whole = run(parent, table, tmp_path / "whole")

    class Stop(FakeContext):
        def progress(self, fraction, message) -> None:
            if message.startswith("Epoch 3"):
                raise Cancelled("Cancelled.")
            super().progress(fraction, message)

    with pytest.raises(Cancelled):
        run(parent, table, tmp_path / "broken", context=Stop())
    assert Checkpoints(tmp_path / "broken" / "checkpoints").last().epoch == 2
    assert not (tmp_path / "broken" / "model").exists()
    resumed = run(parent, table, tmp_path / "broken", resume=True)
    assert resumed["history"] == whole["history"]
    for one, two in zip(weights_of(Path(whole["out"])), weights_of(Path(resumed["out"])), strict=True):
        assert np.array_equal(one, two)


def test_going_on_with_something_else_is_refused(parent: Path, table: Path, tmp_path: Path) -> None:
    run(parent, table, tmp_path / "out", replace(FAST, epochs=1, steps_per_epoch=1))
    with pytest.raises(InputError, match="another model, dataset or options"):
        run(parent, table, tmp_path / "out", replace(FAST, epochs=2, steps_per_epoch=1), resume=True)


def test_the_parent_is_never_written_over(parent: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tuned = Path(run(parent, table, out, replace(FAST, epochs=1, steps_per_epoch=1))["out"])
    before = sha256_of_folder(tuned)
    with pytest.raises(InputError, match="never overwritten"):
        run(tuned, table, out, FAST)
    assert sha256_of_folder(tuned) == before


def test_row_57_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(parent, table, tmp_path: Path) -> None:
    class Poison(FakeContext):
        """After the first epoch a case turns to infinity, as a division by zero in a file would."""

        def progress(self, fraction, message) -> None:
            super().progress(fraction, message)
            if message.startswith("Epoch 2"):
                self.model.layers[-1].kernel.assign(np.full((1, 1, 1, 1, 1), np.nan))

    context, loaded = Poison(), opened(parent)
    context.model = loaded.model
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ModelError, match=r"epoch 2: the loss is not a number.*epoch 1 is kept"):
        train(TrainJob(table, out, FAST, False, CPU), loaded, context)
    checkpoints = Checkpoints(out / "checkpoints")
    assert checkpoints.last().epoch == 1
    kept = keras.models.load_model(checkpoints.network(1), compile=False)
    assert all(np.isfinite(w).all() for w in kept.get_weights())
    assert not (out / "model").exists()


def test_a_checkpoint_that_was_being_written_is_not_one(tmp_path: Path) -> None:
    half = tmp_path / ".writing-abc"
    half.mkdir()
    (half / "state.json").write_text("{}")
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.last() is None
    assert not half.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace("p3", "p0"), "Patient p0 is in"),
        (lambda t: t.replace("c1_mask.nii.gz", "none.nii.gz"), "c1: the mask none.nii.gz is not there"),
        (lambda t: t.replace("c1_mask.nii.gz", ""), "c1 has an image and no mask"),
        (lambda t: t.replace(",train,", ",test,"), "nothing can be learnt"),
        (lambda t: "\n".join(t.splitlines()[:2]), "at least 2 cases"),
    ],
)
def test_row_56_a_table_with_faults_starts_nothing(parent, table: Path, tmp_path: Path, change, words: str) -> None:
    table.write_text(change(table.read_text()))
    with pytest.raises(ProjectError, match=words):
        run(parent, table, tmp_path / "out")
    assert not (tmp_path / "out" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("mask", "words"),
    [(lambda x: x > 2, "masks of all training cases are empty"), (lambda x: x * 0 + 7, r"class ids \[7\]")],
)
def test_row_56_masks_that_teach_nothing_or_something_else(parent, table: Path, tmp_path: Path, mask, words) -> None:
    for number in range(4):
        write_case(table.parent, f"c{number}", number, mask)
    with pytest.raises(ProjectError, match=words):
        run(parent, table, tmp_path / "out")


def test_255_is_the_only_class_there_is(parent: Path, table: Path, tmp_path: Path) -> None:
    plain = run(parent, table, tmp_path / "a", replace(FAST, epochs=1))
    for number in range(4):
        write_case(table.parent, f"c{number}", number, lambda x: 255 * (x > 0.5))
    assert run(parent, table, tmp_path / "b", replace(FAST, epochs=1))["history"] == plain["history"]


def test_without_validation_cases_the_lowest_loss_wins_and_is_said(parent: Path, table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text().replace(",val,", ",train,"))
    result = run(parent, table, tmp_path / "out")
    losses = [e["loss"] for e in result["history"]]
    assert result["best"] == {"epoch": 1 + losses.index(min(losses)), "score": min(losses), "measure": "loss"}
    assert "split val" in result["warnings"][0]


def test_a_network_of_probabilities_is_refused_with_a_reason(parent: Path, table: Path, tmp_path: Path) -> None:
    loaded = opened(parent)
    loaded.spec = replace(loaded.spec, activation="none")
    (tmp_path / "out").mkdir()
    with pytest.raises(UnsupportedError, match="gives logits"):
        train(TrainJob(table, tmp_path / "out", FAST, False, CPU), loaded, FakeContext())


def cube(spots: bool = True) -> Case:
    """A value that names its place, and one foreground voxel in a corner."""
    image = np.arange(20 * 30 * 40, dtype=np.float32).reshape(20, 30, 40, 1)
    target = np.zeros((20, 30, 40), np.uint8)
    target[19, 0, 39] = 1
    return Case("cube", image, target, (np.flatnonzero(target),) if spots else ())


def sampler(case: Case, tile: tuple[int, ...], spec: ModelSpec = SPEC, **options) -> Sampler:
    return Sampler([case], spec, tile, replace(FAST, batch=64, **options))


def test_patches_are_windows_of_the_image_and_its_mask() -> None:
    images, targets = sampler(cube(), (4, 6, 8)).batch(0, 0)
    assert images.shape == (64, 4, 6, 8, 1)
    assert targets.shape == (64, 4, 6, 8, 1)
    for image, target in zip(images, targets, strict=True):
        corner = int(image[0, 0, 0, 0])
        z, y, x = corner // 1200, corner // 40 % 30, corner % 40
        assert np.array_equal(image, cube().image[z : z + 4, y : y + 6, x : x + 8])
        assert np.array_equal(target[..., 0], cube().target[z : z + 4, y : y + 6, x : x + 8])


def test_half_of_the_patches_show_the_rare_class() -> None:
    """One voxel of 24000: by chance alone it would be in about one patch in 900."""
    _, targets = sampler(cube(), (4, 6, 8)).batch(0, 0)
    assert 20 <= targets.any(axis=(1, 2, 3, 4)).sum() <= 44  # 64 draws at 0.5: +- 3 standard deviations
    _, targets = sampler(cube(spots=False), (4, 6, 8)).batch(0, 0)
    assert targets.any(axis=(1, 2, 3, 4)).sum() <= 3


def test_patches_larger_than_the_image_are_padded_with_background() -> None:
    images, targets = sampler(cube(), (24, 30, 40)).batch(0, 0)
    assert np.array_equal(images[0, 2:22], cube().image)
    assert (images[:, :2] == 0).all()
    assert (images[:, 22:] == 0).all()
    assert targets.sum() == 64


def test_batches_depend_on_seed_epoch_and_step_only() -> None:
    def first(epoch: int, step: int, seed: int = 0) -> np.ndarray:
        return sampler(cube(), (4, 6, 8), seed=seed).batch(epoch, step)[0]

    assert np.array_equal(first(1, 2), first(1, 2))
    assert not np.array_equal(first(1, 2), first(2, 1))
    assert not np.array_equal(first(1, 2), first(1, 2, seed=1))


def test_only_the_named_axes_are_mirrored() -> None:
    def steps(axis: int, flips: tuple[int, ...]) -> set[int]:
        images = sampler(cube(), (4, 6, 8), flips=flips).batch(0, 0)[0]
        return set(np.sign(np.diff(images[..., 0], axis=axis + 1)).astype(int).ravel().tolist())

    assert [steps(axis, ()) for axis in range(3)] == [{1}, {1}, {1}]
    assert [steps(axis, (2,)) for axis in range(3)] == [{1}, {1}, {-1, 1}]


def test_2d_networks_train_on_slices() -> None:
    spec = replace(SPEC, preparation=Preparation(2, 1), tile=(6, 8))
    images, targets = sampler(cube(), (6, 8), spec).batch(0, 0)
    assert images.shape == targets.shape == (64, 6, 8, 1)
    assert len({int(i[0, 0, 0]) // 1200 for i in images}) > 5


def test_classifiers_are_fine_tuned_too(table: Path, tmp_path: Path) -> None:
    """Two classes told apart by brightness."""
    inputs = keras.Input((None, None, None, 1))
    pooled = layers.GlobalAveragePooling3D()(inputs)
    model = keras.Model(inputs, layers.Dense(2, kernel_initializer="zeros")(pooled))
    model.save(tmp_path / "classifier.keras")
    spec = spec_3d(
        name="tone", task="classification", tile=(), labels=LabelSet.from_names(("dark", "light")),
        decision=Decision((1, 2), exclusive=True),
    )  # fmt: skip
    package = write_package(tmp_path / "tone", spec, tmp_path / "classifier.keras")
    lines = ["case,patient,image,mask,class,split,site"]
    for number in range(6):
        light = number % 2
        write_case(table.parent, f"t{number}", number)
        image = nib.load(table.parent / f"t{number}.nii.gz")
        nib.save(nib.Nifti1Image(image.get_fdata() + 2 * light - 1, image.affine), table.parent / f"t{number}.nii.gz")
        lines.append(f"t{number},,t{number}.nii.gz,,{('dark', 'light')[light]},{'val' if number > 3 else 'train'},")
    table.write_text("\n".join(lines) + "\n")
    result = run(package, table, tmp_path / "out")
    assert result["best"]["measure"] == "accuracy"
    assert result["best"]["score"] == 1.0
    table.write_text(table.read_text().replace(",light,train", ",pale,train"))
    with pytest.raises(MedcnnError, match="expected a class of dark, light, got 'pale'"):
        run(package, table, tmp_path / "other")


def test_the_tuned_model_runs_like_any_other(parent: Path, table: Path, tmp_path: Path, scan) -> None:
    from napari_medcnn.core.options import PredictOptions
    from napari_medcnn.imaging.pipeline import prepare

    loaded = opened(Path(run(parent, table, tmp_path / "out", replace(FAST, epochs=1))["out"]))
    painted = segment(
        Run(loaded, SPEC.tile, FakeContext()), prepare(scan, SPEC.preparation), PredictOptions(), Outputs()
    )
    assert painted.labels.shape == scan.geometry.shape
