"""How the shipped model `retina-vessels` was trained: a 2D U-Net on CHASE_DB1 (20 photographs, CC BY 4.0).

    python recipes/retina_vessels.py DATA OUT             # trains, under an hour on 2 cores; resumes
    python recipes/retina_vessels.py DATA OUT --evaluate  # writes OUT/final.keras, scores.json and spec.json

DATA holds Image_01L.jpg, Image_01L_1stHO.png, Image_01L_2ndHO.png and so on. Children 01 to 08 train; 09 and 10, both
eyes, are the validation, fixed beforehand. Several earlier networks' masks of the validation were looked at: the
preparation and `choroid` answer what was seen there, so the score is somewhat optimistic. The threshold is the
network's own 0.5: on the training children the Dice is flat from 0.30 to 0.50; scores.json holds the whole curve.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import SimpleITK as sitk
from retina_vessels_card import CLEAN_UP, LEVELS, OVERLAP, PREPARATION, TILE, card
from scipy import ndimage
from skimage import io

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.spec import Decision
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.augment import AffineRange, cut_patch, random_matrix
from napari_medcnn.engine.losses import DiceCE
from napari_medcnn.engine.networks import spatial_divisor, unet
from napari_medcnn.imaging import postprocess
from napari_medcnn.imaging.patches import stream_scores
from napari_medcnn.imaging.pipeline import plan, prepare, restore_scores

SEED, EPOCHS, STEPS, BATCH, PATCH, BASE, MOST = 20261121, 30, 100, 4, 256, 16, 128
SHAPES = AffineRange(zoom=(0.65, 1.45), stretch=0.08, shear=0.08, mirror=True)
THRESHOLD = 0.5
PRECISION = "mixed_bfloat16"  # 1.5 times as fast where the processor has bfloat16; "float32" elsewhere
TRAINING = [f"{child:02d}{eye}" for child in range(1, 9) for eye in "LR"]
VALIDATION = [f"{child:02d}{eye}" for child in (9, 10) for eye in "LR"]


def photograph(data: Path, case: str) -> Volume:
    pixels = io.imread(data / f"Image_{case}.jpg")
    return Volume(pixels[None], Geometry.picture(*pixels.shape[:2]), axes="zyxc")


def observer(data: Path, case: str, which: str = "1stHO") -> np.ndarray:
    return io.imread(data / f"Image_{case}_{which}.png") > 0


def sample(image: np.ndarray, *pictures: sitk.Image, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut one random patch, (PATCH, PATCH, 3) and (PATCH, PATCH, 1). Mirroring is fine: vessels have no sides."""
    height, width = image.shape[:2]
    matrix = random_matrix(SHAPES, rng)
    while True:  # a centre (x, y) inside the lit field
        centre = rng.uniform([PATCH / 2, PATCH / 2], [width - PATCH / 2, height - PATCH / 2])
        if np.any(image[int(centre[1]), int(centre[0])] != 0):
            break
    x, y = (cut_patch(picture, centre, matrix, PATCH) for picture in pictures)
    return recolour(x, rng), (y > 0.5).astype(np.float32)[..., None]


def recolour(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change contrast, brightness, sharpness, noise and the weak channels; what lies outside the field stays 0."""
    field = np.any(x != 0, axis=-1, keepdims=True)
    x = x * rng.uniform(0.6, 1.5) * rng.uniform(0.6, 1.5, 3)
    if rng.random() < 0.6:
        x = x - rng.uniform(0.5, 2.0) * choroid(rng)[..., None] * rng.uniform(0.5, 1.2, 3)
    if rng.random() < 0.4:
        x = x + rng.uniform(-0.4, 0.4, 3)
    if rng.random() < 0.35:
        x = ndimage.gaussian_filter(x, (*[rng.uniform(0.3, 1.6)] * 2, 0))
    if rng.random() < 0.35:
        x = x + rng.normal(0, rng.uniform(0.05, 0.35), x.shape)
    for channel in (0, 2):  # red and blue differ most between cameras
        if rng.random() < 0.3:
            x[..., channel] = x[..., 1] * rng.uniform(0, 1) if rng.random() < 0.5 else 0
    return (x * field).astype(np.float32)


def choroid(rng: np.random.Generator) -> np.ndarray:
    """Draw patches of soft bands, -1 to 1: choroidal vessels shine through pale fundi and are no target."""
    width = rng.uniform(4.0, 9.0) / 4  # drawn at a quarter of the size, which is ample for something this soft
    noise = ndimage.gaussian_filter(rng.normal(size=(PATCH // 2, PATCH // 2)), (width, width * rng.uniform(1, 3)))
    noise = ndimage.rotate(noise, rng.uniform(0, 180), reshape=False, order=1)  # bands run in one direction
    noise = ndimage.zoom(noise[PATCH // 8 :, PATCH // 8 :][: PATCH // 4, : PATCH // 4], 4, order=1) / noise.std()
    if rng.random() < 0.5:
        noise = 1.5 * np.exp(-((noise / rng.uniform(0.3, 0.6)) ** 2))  # a net: dark along the zero lines
    where = ndimage.zoom(rng.uniform(-0.7, 1, (4, 4)), PATCH / 4, order=1)
    return np.clip(noise / 1.5, -1, 1) * np.clip(where * 2, 0, 1)


class Patches(keras.utils.PyDataset):
    """The patches of one epoch; each batch has a seed of its own, so a resumed run draws what an unbroken one draws."""

    def __init__(self, cases: list[tuple[np.ndarray, sitk.Image, sitk.Image]], epoch: int) -> None:
        super().__init__(workers=2, max_queue_size=12)
        self.cases, self.epoch = cases, epoch

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([SEED, self.epoch, index])
        pairs = [sample(*self.cases[rng.integers(len(self.cases))], rng=rng) for _ in range(BATCH)]
        return np.stack([x for x, _ in pairs]), np.stack([y for _, y in pairs])


def train(data: Path, out: Path) -> None:
    """Train until EPOCHS; the checkpoint of every epoch is complete or not there at all."""
    keras.utils.set_random_seed(SEED)
    keras.config.set_dtype_policy(PRECISION)
    cases = []
    for name in TRAINING:
        image, mask = prepare(photograph(data, name), PREPARATION).data[0], observer(data, name).astype(np.float32)
        cases.append((image, sitk.GetImageFromArray(image, isVector=True), sitk.GetImageFromArray(mask)))
    seconds, state = 0.0, out / "state.json"
    if (out / "last.keras").exists():
        model = keras.models.load_model(out / "last.keras")
        seconds = json.loads(state.read_text())["seconds"]
    else:
        model = unet(2, 3, 1, BASE, LEVELS, max_filters=MOST, name="retina_vessels")
        total, warm = EPOCHS * STEPS, max(1, EPOCHS * STEPS // 30)
        rate = keras.optimizers.schedules.CosineDecay(0.0, total - warm, warmup_target=2e-3, warmup_steps=warm)
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
    trained = keras.models.load_model(out / "last.keras", compile=False)
    keras.config.set_dtype_policy("float32")
    model = unet(2, 3, 1, BASE, LEVELS, max_filters=MOST, name="retina_vessels")
    model.set_weights(trained.get_weights())
    thresholds = np.round(np.arange(0.3, 0.71, 0.05), 2)
    scores = {c: probabilities(model, photograph(data, c)) for c in TRAINING + VALIDATION}
    by_threshold = [{c: dice(mask_of(scores[c], t), observer(data, c)) for c in scores} for t in thresholds]
    training, validation = ([float(np.mean([d[c] for c in s])) for d in by_threshold] for s in (TRAINING, VALIDATION))
    ours = {c: by_threshold[int(np.argmin(abs(thresholds - THRESHOLD)))][c] for c in VALIDATION}
    draws = np.random.default_rng(SEED).choice(list(ours.values()), (10_000, len(ours))).mean(axis=1)
    result = {
        "dice_per_image": ours,
        "dice_mean": float(np.mean(list(ours.values()))),
        "dice_mean_95_percent_bootstrap_over_images": np.percentile(draws, [2.5, 97.5]).tolist(),
        "second_observer_dice": {c: dice(observer(data, c, "2ndHO"), observer(data, c)) for c in VALIDATION},
        "threshold": THRESHOLD,
        "dice_by_threshold": {"at": thresholds.tolist(), "training": training, "validation": validation},
        "parameters": model.count_params(),
        "training_minutes": json.loads((out / "state.json").read_text())["seconds"] / 60,
        "seed": SEED,
        "versions": {p: version(p) for p in ("keras", "tensorflow", "numpy", "scipy", "SimpleITK")},
    }
    model.save(out / "final.keras")
    (out / "scores.json").write_text(json.dumps(result, indent=2))
    (out / "spec.json").write_text(json.dumps(card(THRESHOLD, result).to_json(), indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--evaluate", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    (evaluate if arguments.evaluate else train)(arguments.data, arguments.out)
