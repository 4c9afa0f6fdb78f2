"""Fine-tune a model on a dataset table into a new package; the original is only read.

The table is checked first.  Rows of the split "train" (or of none) train, "val" chooses the best epoch, all others are
never opened.  The score of an epoch is what the finished model would get: whole cases through the prediction pipeline.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from napari_medcnn.core.options import TrainOptions, to_json
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.engine import losses
from napari_medcnn.engine.backends.keras_engine import load_keras
from napari_medcnn.engine.cases import Batches, Case, Sampler, load_case, on_disk
from napari_medcnn.engine.checkpoints import Checkpoints, Progressed, plain_network
from napari_medcnn.engine.loading import Loaded
from napari_medcnn.engine.runtime import Runtime
from napari_medcnn.engine.trust import sha256_of
from napari_medcnn.engine.validate import validate
from napari_medcnn.errors import InputError, ModelError, ProjectError, UnsupportedError
from napari_medcnn.imaging.forecast import free_bytes
from napari_medcnn.io.atomic import atomic_write
from napari_medcnn.io.dataset import Dataset, Row, check_dataset, read_dataset
from napari_medcnn.io.packages import load_tests, write_package
from napari_medcnn.worker.server import Context

TRAIN, VALIDATION = ("", "train"), ("val", "validation")
#: Patches are at most this long, whatever the model's window: more, smaller patches teach more per second on a CPU.
LARGEST_PATCH = {2: 256, 3: 64}


@dataclass(frozen=True)
class TrainJob:
    """What to train on, where to write, and how; `resume` goes on from the newest checkpoint in `out`."""

    dataset: Path
    out: Path
    options: TrainOptions
    resume: bool
    runtime: Runtime

    @classmethod
    def from_body(cls, body: dict[str, Any], options: TrainOptions, runtime: Runtime) -> TrainJob:
        """Read a request."""
        return cls(Path(body["dataset"]), Path(body["out"]), options, bool(body.get("resume", False)), runtime)


class _NotANumber(Exception):  # noqa: N818 - passes through Keras, never out of this file
    pass


class _Watch(keras.callbacks.Callback):
    """Reports each batch, stops on cancel, and never lets a loss that is not a number reach a checkpoint."""

    def __init__(self, context: Context, epoch: int, options: TrainOptions) -> None:
        super().__init__()
        self._context, self._epoch, self._options = context, epoch, options

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {}).get("loss", math.nan))
        if not math.isfinite(loss):
            raise _NotANumber
        done = (self._epoch + (batch + 1) / self._options.steps_per_epoch) / self._options.epochs
        self._context.progress(done, f"Epoch {self._epoch + 1} of {self._options.epochs}, loss {loss:.4f}")


def train(job: TrainJob, loaded: Loaded, context: Context) -> dict[str, Any]:
    """Train and write the new package.

    Returns
    -------
    dict
        best (epoch, score, measure), history (one entry per epoch: loss, score), out (the new package), warnings.

    Raises
    ------
    ProjectError
        The table has faults, all named; nothing was started.
    ModelError
        The loss became not a number; the last good checkpoint is kept.
    Cancelled
        The checkpoints are kept; `resume` goes on.
    """
    spec, options = loaded.spec, job.options
    if loaded.package is not None and loaded.package.path.resolve() == (job.out / "model").resolve():
        raise InputError(f"{job.out}: the model to start from is in it and is never overwritten; choose another folder")
    context.progress(None, "Checking the dataset")
    dataset = read_dataset(job.dataset)
    training, validation = chosen_rows(dataset, spec)
    key = _key(loaded, job)
    checkpoints = Checkpoints(job.out / "checkpoints")
    state = checkpoints.last() if job.resume else None
    if state is not None and state.key != key:
        raise InputError(
            f"{job.out}: its checkpoints belong to another model, dataset or options; choose another folder"
        )
    state = state or Progressed(key)
    with tempfile.TemporaryDirectory(prefix=".cases-", dir=job.out) as folder:
        cases = _load(training, dataset, spec, options.seed, context, Path(folder))
        sampler = Sampler(cases, spec, patch_size(loaded), options)
        model = _compiled(loaded, checkpoints, state, options)
        running = replace(loaded, model=model, _compiled=type(loaded._compiled)())
        while state.epoch < options.epochs and not _patience_is_over(state, options):
            loss = _epoch(model, sampler, state, context, checkpoints)
            score = validate(running, validation, dataset, context) if validation else -loss
            state.epoch += 1
            state.history.append({"epoch": state.epoch, "loss": loss, "score": score if validation else None})
            if state.score is None or score > state.score:
                state.best, state.score = state.epoch, score
            checkpoints.save(model, state)
    context.progress(1.0, "Writing the package")
    return _finish(job, loaded, checkpoints, state, len(training), bool(validation))


def chosen_rows(dataset: Dataset, spec: ModelSpec) -> tuple[list[Row], list[Row]]:
    """Return the rows that train and the rows that choose the best epoch, after the integrity check.

    Raises
    ------
    ProjectError
        What the check found, or not one case to train on.
    """
    faults = [p for p in check_dataset(dataset, task=spec.task) if p.level == "stop"]
    if faults:
        more = f" and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise ProjectError(f"Nothing was started: {' '.join(map(str, faults[:8]))}{more}")
    training = [row for row in dataset.rows if row.split in TRAIN]
    if not training:
        raise ProjectError("Nothing was started: no case has the split train.")
    return training, [row for row in dataset.rows if row.split in VALIDATION]


def patch_size(loaded: Loaded) -> tuple[int, ...]:
    """Return the size of training patches: the window, made smaller where the network allows it."""
    spec = loaded.spec
    if any(n is not None for n in loaded.fixed_shape):
        return spec.tile
    limit = LARGEST_PATCH[spec.preparation.dimensions] // spec.divisor * spec.divisor
    return tuple(min(n, max(limit, spec.divisor)) for n in spec.tile)


def loss_of(spec: ModelSpec) -> Any:
    """Return the loss on logits that suits the task.

    Raises
    ------
    UnsupportedError
        The network gives probabilities: their gradient dies where it is most wrong.
    """
    if spec.activation == "none":
        raise UnsupportedError(
            f"{spec.name}: fine-tuning needs a network that gives logits, this one gives probabilities; remove its "
            "last activation and name it on the card instead"
        )
    if spec.task == "segmentation":
        return losses.DiceCE(mutually_exclusive=spec.decision.exclusive)
    exclusive = spec.decision.exclusive
    return lambda truth, logits: losses.cross_entropy(truth, logits, exclusive)


def _load(rows: list[Row], dataset: Dataset, spec: ModelSpec, seed: int, context: Context, folder: Path) -> list[Case]:
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    held, free = 0, free_bytes()
    for number, row in enumerate(rows):
        context.progress(None, f"Reading case {number + 1} of {len(rows)}")
        case = load_case(row, dataset, spec, rng)
        held += case.image.nbytes + case.target.nbytes
        cases.append(case if free is None or held < free // 2 else on_disk(case, folder))
    if spec.task == "segmentation" and not any(case.spots for case in cases):
        raise ProjectError("Nothing was started: the masks of all training cases are empty.")
    return cases


def _compiled(loaded: Loaded, checkpoints: Checkpoints, state: Progressed, options: TrainOptions) -> Any:
    """Return the network ready to train, with weights and optimiser of the newest checkpoint if there is one."""
    model = loaded.model
    if state.epoch:
        model = load_keras(checkpoints.network(state.epoch), loaded.device)
    steps = options.epochs * options.steps_per_epoch
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps, alpha=0.01)
    model = plain_network(model)
    model.compile(keras.optimizers.Adam(rate), loss_of(loaded.spec), jit_compile=False)
    if state.epoch:
        checkpoints.restore_optimizer(model, state.epoch)
    return model


def _epoch(model: Any, sampler: Sampler, state: Progressed, context: Context, checkpoints: Checkpoints) -> float:
    """Train one epoch and return its mean loss."""
    # dropout draws from here: an epoch is the same whether the run was broken before it or not
    keras.utils.set_random_seed((sampler.options.seed * 100_003 + state.epoch) % 2**32)
    watch = _Watch(context, state.epoch, sampler.options)
    try:
        fitted = model.fit(Batches(sampler, state.epoch), epochs=1, verbose=0, shuffle=False, callbacks=[watch])
        loss = float(fitted.history["loss"][-1])
        if not all(bool(keras.ops.all(keras.ops.isfinite(v))) for v in model.trainable_variables):
            raise _NotANumber
    except _NotANumber:
        kept = (
            f"the checkpoint of epoch {state.epoch} is kept in {checkpoints.folder}" if state.epoch else "nothing yet"
        )
        raise ModelError(
            f"Training stopped in epoch {state.epoch + 1}: the loss is not a number any more ({kept}). Try a learning "
            "rate ten times smaller, and look for cases with extreme values."
        ) from None
    return loss


def _patience_is_over(state: Progressed, options: TrainOptions) -> bool:
    return bool(options.patience and state.best and state.epoch - state.best >= options.patience)


def _finish(
    job: TrainJob, loaded: Loaded, checkpoints: Checkpoints, state: Progressed, count: int, validated: bool
) -> dict[str, Any]:
    best = checkpoints.network(state.best)
    measure = "loss" if not validated else "dice" if loaded.spec.task == "segmentation" else "accuracy"
    score = abs(state.score or 0.0) if measure == "loss" else state.score
    record = {
        "parent": loaded.spec.name,
        "parent_sha256": loaded.spec.sha256,
        "dataset_sha256": sha256_of(job.dataset),
        "training_cases": count,
        "best_epoch": state.best,
        f"validation_{measure}" if validated else "training_loss": score,
        "options": to_json(job.options),
        "versions": job.runtime.versions,
    }
    history = job.out / "history.json"
    text = json.dumps({**record, "history": state.history}, indent=2, allow_nan=False)
    atomic_write(history, lambda path: _write_text(path, text), lambda path: _same_text(path, text))
    target = job.out / "model"
    if target.exists():  # of an earlier, shorter run in this folder: made here, and made again
        shutil.rmtree(target)
    given, answer = _tests(loaded, best)
    out = write_package(target, new_spec(loaded.spec, record), best, given, answer)
    return {
        "best": {"epoch": state.best, "score": score, "measure": measure},
        "history": state.history,
        "out": str(out),
        "warnings": [] if validated else ["No case has the split val; the epoch of the lowest loss was taken."],
    }


def new_spec(spec: ModelSpec, record: dict[str, Any]) -> ModelSpec:
    """Return the card of the fine-tuned model: its own name and record, and no score that it did not earn."""
    name = spec.name if spec.name.endswith("-tuned") else f"{spec.name[:70]}-tuned"
    return replace(
        spec,
        name=name,
        title=spec.title if spec.title.endswith("(fine-tuned)") else f"{spec.title} (fine-tuned)",
        training_data=f"{spec.training_data}; fine-tuned on {record['training_cases']} own cases".lstrip("; "),
        temperature=1.0,  # the calibration of the parent does not hold for other weights
        scores={"fine_tuning": {k: v for k, v in record.items() if k not in ("options", "versions")}},
        sha256="",
    )


def _tests(loaded: Loaded, network: Path) -> tuple[Any, Any]:
    """Return test tensors for the new package: the parent's input, or seeded noise; never a patient's."""
    spec = loaded.spec
    if loaded.package is not None and loaded.package.tests is not None:
        given = load_tests(loaded.package)[0]
    else:
        sizes = [n or 2 * spec.divisor for n in loaded.fixed_shape]
        given = np.random.default_rng(0).random((1, *sizes, spec.preparation.network_channels), dtype=np.float32)
    model = load_keras(network, loaded.device)
    return given, keras.ops.convert_to_numpy(model(given, training=False))


def _key(loaded: Loaded, job: TrainJob) -> str:
    options = {k: v for k, v in to_json(job.options).items() if k not in ("device", "patience")}
    return json.dumps([loaded.spec.sha256, sha256_of(job.dataset), options])


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _same_text(path: Path, text: str) -> None:
    if path.read_text(encoding="utf-8") != text:
        raise OSError("does not read back equal")
