"""How the shipped model `retina-vessels` was trained: a 2D U-Net on CHASE_DB1 (20 photographs, CC BY 4.0).

    python recipes/retina_vessels.py DATA OUT             # trains, half an hour or more on 2 cores; resumes
    python recipes/retina_vessels.py DATA OUT --evaluate  # writes OUT/final.keras, scores.json and spec.json

DATA holds Image_01L.jpg, Image_01L_1stHO.png, Image_01L_2ndHO.png and so on. Children 01 to 08 train; 09 and 10, both
eyes, are the validation, fixed beforehand; the threshold is chosen on the training children. One earlier network's
masks of the validation were looked at, and `choroid` below was added because of what was seen there.
Each photograph is normalised by `imaging.pipeline` exactly as at prediction; patches of it are turned, flipped,
scaled, darkened and blurred, so that the network also reads photographs of other cameras.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import SimpleITK as sitk
from retina_vessels_card import CLEAN_UP, LEVELS, OVERLAP, PREPARATION, TILE, card
from scipy import ndimage
from skimage import io

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.spec import Decision
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.losses import DiceCE
from napari_medcnn.engine.networks import spatial_divisor, unet
from napari_medcnn.imaging import postprocess
from napari_medcnn.imaging.patches import stream_scores
from napari_medcnn.imaging.pipeline import plan, prepare, restore_scores

SEED, EPOCHS, STEPS, BATCH, PATCH, BASE, MOST = 20261121, 30, 100, 4, 256, 16, 128
TRAINING = [f"{child:02d}{eye}" for child in range(1, 9) for eye in "LR"]
VALIDATION = [f"{child:02d}{eye}" for child in (9, 10) for eye in "LR"]


def photograph(data: Path, case: str) -> Volume:
    pixels = io.imread(data / f"Image_{case}.jpg")
    return Volume(pixels[None], Geometry.picture(*pixels.shape[:2]), axes="zyxc")


def observer(data: Path, case: str, which: str = "1stHO") -> np.ndarray:
    return io.imread(data / f"Image_{case}_{which}.png") > 0


def sample(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut one random patch, (PATCH, PATCH, 3) and (PATCH, PATCH, 1). Mirroring is fine: vessels have no sides."""
    height, width = mask.shape
    zoom = np.exp(rng.uniform(np.log(0.65), np.log(1.45))) * np.exp(rng.uniform(-0.08, 0.08, 2))
    angle, shear = rng.uniform(0, 2 * np.pi), rng.uniform(-0.08, 0.08)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(1 / zoom)
    if rng.random() < 0.5:
        matrix = matrix @ np.diag([-1, 1])
    while True:  # a centre (x, y) inside the lit field
        centre = rng.uniform([PATCH / 2, PATCH / 2], [width - PATCH / 2, height - PATCH / 2])
        if np.any(image[int(centre[1]), int(centre[0])] != 0):
            break
    move = sitk.AffineTransform(2)
    move.SetMatrix(matrix.ravel())
    move.SetTranslation(centre - matrix @ np.full(2, (PATCH - 1) / 2))
    grid = ([PATCH, PATCH], move, sitk.sitkLinear, [0.0] * 2, [1.0] * 2, [1.0, 0, 0, 1], 0.0)
    pictures = sitk.GetImageFromArray(image, isVector=True), sitk.GetImageFromArray(mask.astype(np.float32))
    x, y = (sitk.GetArrayFromImage(sitk.Resample(picture, *grid)) for picture in pictures)
    return recolour(x, rng), (y > 0.5).astype(np.float32)[..., None]


def recolour(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change contrast, brightness, sharpness and noise; what lies outside the field stays 0."""
    field = np.any(x != 0, axis=-1, keepdims=True)
    x = x * rng.uniform(0.6, 1.5)
    if rng.random() < 0.5:
        x = x - rng.uniform(0.5, 2.0) * choroid(rng)[..., None]
    if rng.random() < 0.4:
        x = x + rng.uniform(-0.5, 0.5)
    if rng.random() < 0.35:
        x = ndimage.gaussian_filter(x, (*[rng.uniform(0.3, 1.6)] * 2, 0))
    if rng.random() < 0.35:
        x = x + rng.normal(0, rng.uniform(0.1, 0.6), x.shape)
    if rng.random() < 0.25:
        x = np.sign(x) * np.abs(x) ** rng.uniform(0.75, 1.3)
    return (x * field * [0, 1, 0]).astype(np.float32)


def choroid(rng: np.random.Generator) -> np.ndarray:
    """Draw a patchy net of soft dark bands, 0 to 1: choroidal vessels shine through pale fundi and are no target."""
    width = rng.uniform(5.0, 10.0)
    noise = ndimage.gaussian_filter(rng.normal(size=(PATCH, PATCH)), width)
    bands = np.exp(-((noise / noise.std() / rng.uniform(0.3, 0.6)) ** 2))  # dark along the zero lines of the noise
    where = ndimage.zoom(rng.uniform(-0.7, 1, (4, 4)), PATCH / 4, order=1)
    return ndimage.gaussian_filter(bands, width / 4) * np.clip(where * 2, 0, 1)


class Patches(keras.utils.PyDataset):
    """The patches of one epoch; each batch has a seed of its own, so a resumed run draws what an unbroken one draws."""

    def __init__(self, cases: list[tuple[np.ndarray, np.ndarray]], epoch: int) -> None:
        super().__init__(workers=2, max_queue_size=12)
        self.cases, self.epoch = cases, epoch

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([SEED, self.epoch, index])
        pairs = [sample(*self.cases[rng.integers(len(self.cases))], rng) for _ in range(BATCH)]
        return np.stack([x for x, _ in pairs]), np.stack([y for _, y in pairs])


def train(data: Path, out: Path) -> None:
    """Train until EPOCHS; the checkpoint of every epoch is complete or not there at all."""
    keras.utils.set_random_seed(SEED)
    cases = [(prepare(photograph(data, c), PREPARATION).data[0], observer(data, c)) for c in TRAINING]
    seconds, state = 0.0, out / "state.json"
    if (out / "last.keras").exists():
        model = keras.models.load_model(out / "last.keras")
        seconds = json.loads(state.read_text())["seconds"]
    else:
        model = unet(2, 3, 1, BASE, LEVELS, max_filters=MOST, dropout=0.2, name="retina_vessels")
        rate = keras.optimizers.schedules.CosineDecay(0.0, EPOCHS * STEPS - 100, warmup_target=2e-3, warmup_steps=100)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=5e-3, clipnorm=5.0)
        model.compile(optimizer, DiceCE(), jit_compile=False)
    for epoch in range(int(model.optimizer.iterations) // STEPS, EPOCHS):
        begin = time.monotonic()
        history = model.fit(Patches(cases, epoch), epochs=1, verbose=0, shuffle=False)
        seconds, loss = seconds + time.monotonic() - begin, history.history["loss"][-1]
        model.save(out / "writing.keras")
        (out / "writing.json").write_text(json.dumps({"epochs": epoch + 1, "seconds": seconds, "loss": loss}))
        os.replace(out / "writing.json", state)
        os.replace(out / "writing.keras", out / "last.keras")
        print(f"epoch {epoch + 1}/{EPOCHS}, loss {loss:.4f}, {seconds / 60:.1f} min", flush=True)


def probabilities(model: keras.Model, volume: Volume) -> np.ndarray:
    """Return the vessel probability of every pixel (y, x), by the same steps as at prediction."""
    ready, scores = prepare(volume, PREPARATION), np.zeros((*volume.geometry.shape, 1), np.float32)

    def predict(window: np.ndarray) -> np.ndarray:
        return keras.ops.convert_to_numpy(keras.ops.sigmoid(model(window, training=False)))

    slabs = stream_scores(ready.data, plan(ready, TILE, OVERLAP, spatial_divisor(LEVELS)), predict)
    restore_scores(slabs, ready.record, Decision((1,), False, (0.5,)), probabilities=scores)
    return scores[0, :, :, 0]


def mask_of(scores: np.ndarray, threshold: float) -> np.ndarray:
    labels = (scores >= threshold).astype(np.uint8)[None]
    return postprocess.clean_up(labels, Geometry.picture(*scores.shape), CLEAN_UP)[0] > 0


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def evaluate(data: Path, out: Path) -> None:
    """Write the final network (without optimiser) and its scores on whole photographs."""
    model = keras.models.load_model(out / "last.keras", compile=False)
    thresholds = np.round(np.arange(0.3, 0.71, 0.05), 2)
    scores = {c: probabilities(model, photograph(data, c)) for c in TRAINING + VALIDATION}
    on_training = [np.mean([dice(mask_of(scores[c], t), observer(data, c)) for c in TRAINING]) for t in thresholds]
    threshold = float(thresholds[int(np.argmax(on_training))])
    ours = {c: dice(mask_of(scores[c], threshold), observer(data, c)) for c in VALIDATION}
    draws = np.random.default_rng(SEED).choice(list(ours.values()), (10_000, len(ours))).mean(axis=1)
    result = {
        "dice_per_image": ours,
        "dice_mean": float(np.mean(list(ours.values()))),
        "dice_mean_95_percent_bootstrap_over_images": np.percentile(draws, [2.5, 97.5]).tolist(),
        "second_observer_dice": {c: dice(observer(data, c, "2ndHO"), observer(data, c)) for c in VALIDATION},
        "training_dice_mean": float(max(on_training)),
        "threshold": threshold,
        "parameters": model.count_params(),
        "training_minutes": json.loads((out / "state.json").read_text())["seconds"] / 60,
        "seed": SEED,
        "versions": {p: version(p) for p in ("keras", "tensorflow", "numpy", "scipy", "SimpleITK")},
    }
    keras.Model(model.inputs, model.outputs, name=model.name).save(out / "final.keras")
    (out / "scores.json").write_text(json.dumps(result, indent=2))
    (out / "spec.json").write_text(json.dumps(card(threshold, result).to_json(), indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--evaluate", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    (evaluate if arguments.evaluate else train)(arguments.data, arguments.out)
