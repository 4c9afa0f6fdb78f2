"""How the shipped model `hippocampus-t1` was trained: a 3D U-Net on 146 T1 crops (MSD Task04, CC BY-SA 4.0).

    python recipes/hippocampus_t1.py DATA OUT             # trains, under an hour on 2 cores; resumes
    python recipes/hippocampus_t1.py DATA OUT --evaluate  # writes OUT/final.keras and scores.json

DATA holds images/hippocampus_001.nii.gz and labels/ of the same names. Cases are sorted by file name; every fifth (the
5th, 10th, 15th and so on: VALIDATION) is the validation, fixed beforehand, and is read by --evaluate alone. Nothing is
chosen on it: the network is the one of the last epoch, and there is no clean-up, because keeping the largest piece of
each class changes nothing on the training cases.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import SimpleITK as sitk
from hippocampus_t1_card import BASE, DECISION, LEVELS, MOST, OVERLAP, PREPARATION, TILE, VALIDATION
from scipy import ndimage

from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.engine.augment import AffineRange, cut_patch, random_matrix_3d
from napari_medcnn.engine.losses import DiceCE
from napari_medcnn.engine.networks import spatial_divisor, unet
from napari_medcnn.evaluation import overlap
from napari_medcnn.evaluation.surface import surface_distances
from napari_medcnn.imaging import postprocess
from napari_medcnn.imaging.patches import stream_scores
from napari_medcnn.imaging.pipeline import plan, prepare, prepare_labels, restore_scores
from napari_medcnn.io.read import read_labels, read_volume

SEED, EPOCHS, STEPS, BATCH, PATCH, CLASSES = 20261121, 36, 73, 2, (40, 56, 40), 3
# In 171 of the 182 crops the tail lies further to the left than the head, as it does on the right side; mirrored crops
# look like the other side's, and the labels have no side.
SHAPES = AffineRange(zoom=(0.8, 1.25), stretch=0.08, shear=0.05, mirror=True, turn_degrees=15.0)
JITTER = 4  # voxels by which the middle of a patch may miss the middle of the crop
PARTS = ("anterior", "posterior")
PRECISION = "mixed_bfloat16"  # 1.4 times as fast where the processor has bfloat16; "float32" elsewhere


def files(data: Path, training: bool) -> list[str]:
    """Return the names of the training or of the validation cases, sorted."""
    names = sorted(path.name.removesuffix(".nii.gz") for path in (data / "images").glob("*.nii.gz"))
    if tuple(names[4::5]) != VALIDATION:
        raise SystemExit(f"{data}: the 5th, 10th, 15th ... case are not the validation cases of the published model")
    return [name for name in names if name not in VALIDATION] if training else list(VALIDATION)


def scan(data: Path, name: str) -> Volume:
    return read_volume(data / "images" / f"{name}.nii.gz")


def truth(data: Path, name: str) -> LabelMap:
    return read_labels(data / "labels" / f"{name}.nii.gz")


def load(data: Path, name: str) -> tuple[sitk.Image, sitk.Image]:
    """Return one prepared crop and its classes one-hot, as SimpleITK images on the network's grid."""
    ready = prepare(scan(data, name), PREPARATION)
    classes = np.eye(CLASSES, dtype=np.float32)[prepare_labels(truth(data, name), ready.record)]
    return sitk.GetImageFromArray(ready.data[..., 0]), sitk.GetImageFromArray(classes, isVector=True)


def sample(image: sitk.Image, classes: sitk.Image, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut one random patch, (*PATCH, 1) and one-hot (*PATCH, CLASSES)."""
    centre = (np.array(image.GetSize()) - 1) / 2 + rng.uniform(-JITTER, JITTER, 3)
    matrix = random_matrix_3d(SHAPES, rng)
    y = cut_patch(classes, centre, matrix, PATCH)
    y[..., 0] = 1 - y[..., 1:].sum(axis=-1)  # outside of the crop is background
    x = relight(cut_patch(image, centre, matrix, PATCH), rng)
    return x[..., None], np.eye(CLASSES, dtype=np.float32)[y.argmax(axis=-1)]


def relight(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change contrast, brightness, gamma, evenness, sharpness and noise, as scanners and coils differ."""
    x = x * rng.uniform(0.75, 1.3) + rng.uniform(-0.25, 0.25)
    if rng.random() < 0.4:  # a field that falls off in one direction
        slope = rng.normal(0, 0.25, 3)
        ramps = [np.linspace(-1, 1, n, dtype=np.float32) * s for n, s in zip(x.shape, slope, strict=True)]
        x = x + (ramps[0][:, None, None] + ramps[1][None, :, None] + ramps[2])
    if rng.random() < 0.4:
        low, spread = x.min(), max(float(np.ptp(x)), 1e-3)
        x = ((x - low) / spread) ** np.exp(rng.uniform(-0.4, 0.4)) * spread + low
    if rng.random() < 0.25:
        x = ndimage.gaussian_filter(x, rng.uniform(0.3, 0.9))
    if rng.random() < 0.25:
        x = x + rng.normal(0, rng.uniform(0.02, 0.2), x.shape)
    return x.astype(np.float32)


class Patches(keras.utils.PyDataset):
    """The patches of one epoch; each batch has a seed of its own, so a resumed run draws what an unbroken one draws."""

    def __init__(self, cases: list[tuple[sitk.Image, sitk.Image]], epoch: int) -> None:
        super().__init__(workers=1, max_queue_size=12)
        self.cases, self.epoch = cases, epoch
        self.order = np.random.default_rng([SEED, epoch]).permutation(len(cases))

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([SEED, self.epoch, index])
        chosen = self.order[np.arange(index * BATCH, (index + 1) * BATCH) % len(self.order)]
        pairs = [sample(*self.cases[case], rng) for case in chosen]
        return np.stack([x for x, _ in pairs]), np.stack([y for _, y in pairs])


def build() -> keras.Model:
    return unet(3, 1, CLASSES, BASE, LEVELS, max_filters=MOST, name="hippocampus_t1")


def train(data: Path, out: Path) -> None:
    """Train until EPOCHS; the checkpoint of every epoch is complete or not there at all."""
    keras.utils.set_random_seed(SEED)
    keras.config.set_dtype_policy(PRECISION)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    cases = [load(data, name) for name in files(data, training=True)]
    seconds, losses, state = 0.0, [], out / "state.json"
    if (out / "last.keras").exists():
        model = keras.models.load_model(out / "last.keras")
        seconds, losses = (json.loads(state.read_text())[key] for key in ("seconds", "losses"))
    else:
        model = build()
        total, warm = EPOCHS * STEPS, EPOCHS * STEPS // 30
        rate = keras.optimizers.schedules.CosineDecay(0.0, total - warm, warmup_target=2e-3, warmup_steps=warm)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=5e-3, clipnorm=5.0)
        model.compile(optimizer, DiceCE(), jit_compile=False)
    for epoch in range(int(model.optimizer.iterations) // STEPS, EPOCHS):
        begin = time.monotonic()
        history = model.fit(Patches(cases, epoch), epochs=1, verbose=0, shuffle=False)
        seconds, losses = seconds + time.monotonic() - begin, [*losses, round(history.history["loss"][-1], 4)]
        model.save(out / "writing.keras")
        (out / "writing.json").write_text(json.dumps({"epochs": epoch + 1, "seconds": seconds, "losses": losses}))
        os.replace(out / "writing.json", state)
        os.replace(out / "writing.keras", out / "last.keras")
        print(f"epoch {epoch + 1}/{EPOCHS}, loss {losses[-1]:.4f}, {seconds / 60:.1f} min", flush=True)


def predict(model: keras.Model, volume: Volume) -> np.ndarray:
    """Return the class of every voxel (z, y, x) of the scan, by the same steps as at prediction."""
    ready = prepare(volume, PREPARATION)

    def answer(window: np.ndarray) -> np.ndarray:
        return keras.ops.convert_to_numpy(keras.ops.softmax(model(window[None], training=False)))[0]

    slabs = stream_scores(ready.data, plan(ready, TILE, OVERLAP, spatial_divisor(LEVELS)), answer)
    return restore_scores(slabs, ready.record, DECISION).labels


def mirrored(volume: Volume) -> Volume:
    """Return the scan with left and right exchanged, on the same grid: the other side's hippocampus."""
    return replace(volume, array=volume.array[..., ::-1])


def dices(expected: np.ndarray, found: np.ndarray) -> list[float]:
    return [overlap.dice(expected, found, label) for label in (1, 2)]


def interval(values: list[float]) -> dict[str, float]:
    """Return the mean over cases and its 95 % interval, 10,000 draws of cases with replacement."""
    draws = np.random.default_rng(SEED).choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"mean": float(np.mean(values)), "low": float(low), "high": float(high), "n": len(values)}


def judge(model: keras.Model, data: Path, name: str) -> dict[str, list[float]]:
    """Score one case on its own grid: Dice and distances in mm of (anterior, posterior)."""
    volume, expected = scan(data, name), truth(data, name)
    found, other = predict(model, volume), predict(model, mirrored(volume))[..., ::-1]
    distances = [surface_distances(expected.array == k, found == k, volume.geometry.spacing_mm) for k in (1, 2)]
    return {
        "dice": dices(expected.array, found),
        "largest_pieces": dices(expected.array, postprocess.keep_largest(found)),
        "mirrored": dices(expected.array, other),
        "hd95_mm": [d.hd95_mm for d in distances],
        "assd_mm": [d.assd_mm for d in distances],
        "sides_mm": [n * s for n, s in zip(volume.geometry.shape, volume.geometry.spacing_mm, strict=True)],
    }


def evaluate(data: Path, out: Path) -> None:
    """Write the final network (without optimiser) and its scores on whole crops."""
    trained = keras.models.load_model(out / "last.keras", compile=False)
    keras.config.set_dtype_policy("float32")
    model, state = build(), json.loads((out / "state.json").read_text())
    model.set_weights(trained.get_weights())
    seen, unseen = ({n: judge(model, data, n) for n in files(data, training)} for training in (True, False))

    def table(cases: dict[str, dict[str, list[float]]], key: str) -> dict[str, dict[str, float]]:
        return {part: interval([c[key][i] for c in cases.values()]) for i, part in enumerate(PARTS)}

    sides = [side for case in seen.values() for side in case["sides_mm"]]
    result = {
        "validation": {key: table(unseen, key) for key in ("dice", "mirrored", "hd95_mm", "assd_mm")},
        "training": {key: table(seen, key) for key in ("dice", "largest_pieces")},
        "per_case": unseen,
        "sides_mm_of_training_crops": [min(sides), max(sides)],
        "n_training": len(seen),
        "parameters": model.count_params(),
        "epochs": state["epochs"],
        "patches_per_epoch": STEPS * BATCH,
        "loss_per_epoch": state["losses"],
        "training_minutes": state["seconds"] / 60,
        "precision": PRECISION,
        "seed": SEED,
        "versions": {p: version(p) for p in ("keras", "tensorflow", "numpy", "scipy", "SimpleITK")},
    }
    model.save(out / "final.keras")
    (out / "scores.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--evaluate", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    (evaluate if arguments.evaluate else train)(arguments.data, arguments.out)
